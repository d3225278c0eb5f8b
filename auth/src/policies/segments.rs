//! Patterns with `+` segments, as a tree whose edges are segments.

use std::collections::HashMap;

use super::prefixes::Prefixes;

/// A tree over the segments of patterns, its nodes in one vector so that its depth costs no stack.
#[derive(Clone, Debug, Default)]
pub(super) struct Segments {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// Segments that stand for themselves.
    literal: HashMap<Box<str>, u32>,
    /// The segment `+`.
    any: Option<u32>,
    /// The pattern that ends here.
    end: Option<u32>,
    /// Patterns that end in `*`: what the next segment must start with.
    open: Prefixes,
}

impl Segments {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a pattern by its text without `*`; `open` says whether there was one.
    pub(super) fn insert(&mut self, stem: &str, open: bool, value: u32) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        let mut segments = stem.split('/');
        let last = if open { segments.next_back() } else { None };
        for segment in segments {
            at = self.step(at, segment);
        }
        match last {
            Some(start) => self.nodes[at].open.insert(start, value),
            None => self.nodes[at].end = Some(value),
        }
    }

    /// Calls `visit` with every pattern that matches `path`, but for those that another at the same place outranks.
    ///
    /// Each node is met at most once, and only where `+` and a literal segment both lead on are there two ways.
    pub(super) fn matches(&self, path: &str, mut visit: impl FnMut(u32)) {
        if self.nodes.is_empty() {
            return;
        }
        let mut ways: Vec<(u32, Option<&str>)> = vec![(0, Some(path))];
        while let Some((at, rest)) = ways.pop() {
            let node = &self.nodes[at as usize];
            let Some(rest) = rest else {
                node.end.into_iter().for_each(&mut visit);
                continue;
            };
            let (segment, after) = match rest.split_once('/') {
                Some((segment, after)) => (segment, Some(after)),
                None => (rest, None),
            };
            // At one node the longest start outranks the others: they share all that stands before.
            node.open.longest(segment).into_iter().for_each(&mut visit);
            ways.extend(node.any.map(|next| (next, after)));
            ways.extend(node.literal.get(segment).map(|next| (*next, after)));
        }
    }

    fn step(&mut self, at: usize, segment: &str) -> usize {
        // Fewer than 2³² nodes, as in `Prefixes`.
        let next = u32::try_from(self.nodes.len()).expect("fewer than 2^32 nodes");
        let node = &mut self.nodes[at];
        let edge = match segment {
            "+" => node.any.get_or_insert(next),
            _ => node.literal.entry(segment.into()).or_insert(next),
        };
        let found = *edge;
        if found == next {
            self.nodes.push(Node::default());
        }
        found as usize
    }
}
