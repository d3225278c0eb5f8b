//! How a path in a policy matches the path of a request, and which of several patterns counts.

use std::cmp::Ordering;

/// A path as a policy writes it, sorted by how it matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pattern {
    /// The path itself.
    Exact(Box<str>),
    /// Ends in `*`: every path that starts with what stands before. The text has the `*`.
    Prefix(Box<str>),
    /// Has `+` segments, each of which is any one segment; may end in `*`.
    Segments(Box<str>),
}

impl Pattern {
    /// The pattern that `path` is; a `/` at its start is left out.
    pub(super) fn new(path: &str) -> Pattern {
        let path = path.strip_prefix('/').unwrap_or(path);
        if path == "+" || path.starts_with("+/") || path.contains("/+") {
            Pattern::Segments(path.into())
        } else if path.ends_with('*') {
            Pattern::Prefix(path.into())
        } else {
            Pattern::Exact(path.into())
        }
    }

    /// The path as it is written, without the `/` at its start.
    pub(super) fn text(&self) -> &str {
        match self {
            Pattern::Exact(text) | Pattern::Prefix(text) | Pattern::Segments(text) => text,
        }
    }

    /// The path without the `*` at its end, and whether there was one that counts.
    pub(super) fn stem(&self) -> (&str, bool) {
        match self {
            Pattern::Exact(text) => (text, false),
            Pattern::Prefix(text) | Pattern::Segments(text) => match text.strip_suffix('*') {
                Some(stem) => (stem, true),
                None => (text, false),
            },
        }
    }

    /// Where among several patterns that match, none of them exact, this one stands: the greatest counts.
    pub(super) fn rank(&self) -> Rank<'_> {
        let (stem, open) = self.stem();
        let plus = self.text().find('+').filter(|_| matches!(self, Pattern::Segments(_)));
        Rank {
            literal: plus.unwrap_or(stem.len()),
            closed: !open,
            wildcards: match self {
                Pattern::Segments(_) => stem.split('/').filter(|segment| *segment == "+").count(),
                _ => 0,
            },
            stem,
        }
    }
}

/// The order of patterns: longest literal start; then without `*`; then fewer `+`; then longer; then by its letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank<'p> {
    literal: usize,
    closed: bool,
    wildcards: usize,
    stem: &'p str,
}

impl Ord for Rank<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.literal.cmp(&other.literal))
            .then(self.closed.cmp(&other.closed))
            .then(other.wildcards.cmp(&self.wildcards))
            .then(self.stem.len().cmp(&other.stem.len()))
            .then(self.stem.cmp(other.stem))
    }
}

impl PartialOrd for Rank<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
