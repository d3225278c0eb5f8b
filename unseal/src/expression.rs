//! The language of `unseal_when`: which leaves together open the root key.
//!
//! ```text
//! expr = name | "any(" list ")" | "all(" list ")" | INT " of (" list ")" | INT " of " [INT] name
//! list = expr { "," expr }
//! name = 1 to 64 of A-Z a-z 0-9 . _ -   (not all digits; not any, all, of)
//! ```
//!
//! White space between words is free. The last form is for a leaf whose key custodians hold in shares. An [`Expression`]
//! is what somebody wrote; a [`Tree`](crate::Tree) is an expression whose names have been looked up.

mod parse;

use std::fmt;

/// The longest text, in bytes.
pub const MAX_TEXT: usize = 4096;
/// The deepest nesting of lists.
pub const MAX_DEPTH: usize = 8;
/// The most leaves, each counted as often as it occurs.
pub const MAX_OCCURRENCES: usize = 64;
/// The longest name, in bytes.
pub const MAX_NAME: usize = 64;

/// A parsed expression. Two are equal when they mean the same in the same order, whatever their spacing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    pub(crate) node: Node,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Leaf(Mention),
    Threshold { needed: u8, members: Vec<Node> },
}

/// A leaf named in an expression, with its quorum as far as it was written down.
#[derive(Debug, Clone)]
pub(crate) struct Mention {
    pub(crate) name: String,
    pub(crate) threshold: Option<u8>,
    pub(crate) shares: Option<u8>,
    pub(crate) column: usize,
}

impl PartialEq for Mention {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.threshold, self.shares) == (&other.name, other.threshold, other.shares)
    }
}

impl Eq for Mention {}

impl Expression {
    /// What holds without an `unseal_when`: any of the seals, in the order given. `None` without a seal.
    pub fn any_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mention =
            |name: &str| Node::Leaf(Mention { name: name.to_owned(), threshold: None, shares: None, column: 1 });
        let mut members: Vec<Node> = names.into_iter().map(mention).collect();
        let node = if members.len() < 2 { members.pop()? } else { Node::Threshold { needed: 1, members } };
        Some(Expression { node })
    }

    /// The names it mentions, in order, each as often as it occurs.
    pub fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.node.each(&mut |mention| names.push(mention.name.as_str()));
        names
    }
}

impl Node {
    pub(crate) fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Mention)) {
        match self {
            Node::Leaf(mention) => visit(mention),
            Node::Threshold { members, .. } => members.iter().for_each(|member| member.each(visit)),
        }
    }
}

/// Whether `text` can name a leaf in an expression.
pub fn is_name(text: &str) -> bool {
    let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(in_alphabet)
        && !text.bytes().all(|byte| byte.is_ascii_digit())
        && !matches!(text, "any" | "all" | "of")
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt(f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Leaf(mention) => {
                if let Some(threshold) = mention.threshold {
                    write!(f, "{threshold} of ")?;
                }
                if let Some(shares) = mention.shares {
                    write!(f, "{shares} ")?;
                }
                f.write_str(&mention.name)
            }
            Node::Threshold { needed, members } => list(f, *needed, members),
        }
    }
}

/// Writes a list in its shortest form: one of many is `any`, all of them is `all`.
pub(crate) fn list(f: &mut fmt::Formatter<'_>, needed: u8, members: &[impl fmt::Display]) -> fmt::Result {
    match usize::from(needed) {
        1 => f.write_str("any(")?,
        count if count == members.len() => f.write_str("all(")?,
        count => write!(f, "{count} of (")?,
    }
    for (index, member) in members.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{member}")?;
    }
    f.write_str(")")
}
