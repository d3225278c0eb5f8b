//! The seal tree: an expression whose leaves are known by kind, ready to deal a root key over.

mod format;
mod resolve;
pub mod sharing;

use crate::expression;
use std::fmt;

pub use resolve::{Resolved, Seal};

/// What kind of thing a leaf is. The numbers are format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A key in a PKCS#11 token.
    Pkcs11 = 1,
    /// A TPM 2.0 object.
    Tpm = 2,
    /// A wrap key in a YubiHSM 2.
    Yubihsm = 3,
    /// A key in the configuration, held by the software token.
    Static = 4,
    /// A key held in shares by custodians.
    Shamir = 5,
    /// A key of another Vault, OpenBao or Strongroom.
    Transit = 6,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 6] = [Kind::Pkcs11, Kind::Tpm, Kind::Yubihsm, Kind::Static, Kind::Shamir, Kind::Transit];

    /// The word for it in a configuration's `seal` block and in `sys/seal-status`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pkcs11 => "pkcs11",
            Kind::Tpm => "tpm",
            Kind::Yubihsm => "yubihsm",
            Kind::Static => "static",
            Kind::Shamir => "shamir",
            Kind::Transit => "transit",
        }
    }

    /// The kind that a `seal` block's word names.
    pub fn from_name(name: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Whether it is a device that only its holder has, and that can keep the store's epoch where the store's owner
    /// cannot write. A `static` key lies in a file beside the store, custodians cannot count, and of another server
    /// we know only what it says.
    pub fn counts(self) -> bool {
        matches!(self, Kind::Pkcs11 | Kind::Tpm | Kind::Yubihsm)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many shares a quorum has and needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuorumShape {
    threshold: u8,
    shares: u8,
}

impl QuorumShape {
    /// One of one, or `threshold` of `shares` with 2 <= threshold <= shares <= 255; otherwise the text that Vault's
    /// clients know.
    pub fn new(threshold: u8, shares: u8) -> Result<Self, crate::Error> {
        let refuse = |text| Err(crate::Error::Shape(text));
        match (threshold, shares) {
            (_, 0) => refuse("invalid seal configuration: shares must be at least one"),
            (0, _) => refuse("invalid seal configuration: threshold must be at least one"),
            _ if threshold > shares => refuse("invalid seal configuration: threshold cannot be larger than shares"),
            (1, 2..) => refuse("invalid seal configuration: threshold must be greater than one for multiple shares"),
            _ => Ok(QuorumShape { threshold, shares }),
        }
    }

    /// Shares needed.
    pub fn threshold(self) -> u8 {
        self.threshold
    }

    /// Shares dealt.
    pub fn shares(self) -> u8 {
        self.shares
    }
}

/// A leaf of the tree, once, however often it occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafDecl {
    name: String,
    kind: Kind,
    quorum: Option<QuorumShape>,
}

impl LeafDecl {
    /// The name in the expression.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its quorum; `Some` for a shamir leaf and for no other.
    pub fn quorum(&self) -> Option<QuorumShape> {
        self.quorum
    }
}

/// A place in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Branch {
    Leaf(usize),
    Threshold { needed: u8, members: Vec<Branch> },
}

/// One mention of a leaf: it has a keyslot of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    path: Vec<u8>,
    leaf: usize,
}

impl Occurrence {
    /// The member to take at each list from the outside in, from 0; empty when the tree is one leaf.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Its leaf, as an index into [`Tree::leaves`].
    pub fn leaf(&self) -> usize {
        self.leaf
    }

    /// The path as it stands in a row's name: `root` for the tree that is one leaf, else `0`, `1.2`, and so on.
    pub fn label(&self) -> String {
        if self.path.is_empty() {
            return "root".to_owned();
        }
        self.path.iter().map(u8::to_string).collect::<Vec<_>>().join(".")
    }
}

/// A monotone threshold expression over known leaves. It has at least one leaf; every leaf occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    leaves: Vec<LeafDecl>,
    root: Branch,
}

impl Tree {
    /// The leaves in the order in which they are first mentioned.
    pub fn leaves(&self) -> &[LeafDecl] {
        &self.leaves
    }

    /// The leaf of this name.
    pub fn leaf(&self, name: &str) -> Option<&LeafDecl> {
        self.leaves.iter().find(|leaf| leaf.name == name)
    }

    /// Every mention of a leaf, in the order of the text.
    pub fn occurrences(&self) -> Vec<Occurrence> {
        let mut found = Vec::new();
        self.root.walk(&mut Vec::new(), &mut |path, leaf| found.push(Occurrence { path: path.to_vec(), leaf }));
        found
    }

    /// Whether the occurrences (by index into [`Tree::occurrences`]) that `holds` accepts open the root.
    pub fn is_satisfied(&self, holds: &impl Fn(usize) -> bool) -> bool {
        self.root.is_satisfied(&mut 0, holds)
    }

    /// Whether the leaves (by index into [`Tree::leaves`]) that `holds` accepts open the root.
    pub fn is_satisfied_by_leaves(&self, holds: &impl Fn(usize) -> bool) -> bool {
        let occurrences = self.occurrences();
        self.is_satisfied(&|occurrence: usize| holds(occurrences[occurrence].leaf))
    }

    /// What is still needed beside the occurrences that `holds` accepts, in the words of the expression; `None` when
    /// nothing is.
    pub fn needed(&self, holds: &impl Fn(usize) -> bool) -> Option<String> {
        self.needed_at(&self.root, &mut 0, holds)
    }

    fn needed_at(&self, branch: &Branch, next: &mut usize, holds: &impl Fn(usize) -> bool) -> Option<String> {
        match branch {
            Branch::Leaf(leaf) => {
                let occurrence = *next;
                *next += 1;
                (!holds(occurrence)).then(|| self.leaf_text(*leaf))
            }
            Branch::Threshold { needed, members } => {
                let open: Vec<String> =
                    members.iter().filter_map(|member| self.needed_at(member, next, holds)).collect();
                let missing = usize::from(*needed).saturating_sub(members.len() - open.len());
                match missing {
                    0 => None,
                    _ if open.len() == 1 => open.into_iter().next(),
                    1 => Some(format!("any({})", open.join(", "))),
                    count if count == open.len() => Some(format!("all({})", open.join(", "))),
                    count => Some(format!("{count} of ({})", open.join(", "))),
                }
            }
        }
    }

    fn leaf_text(&self, leaf: usize) -> String {
        let leaf = &self.leaves[leaf];
        match leaf.quorum {
            Some(QuorumShape { threshold, shares }) => format!("{threshold} of {shares} {}", leaf.name),
            None => leaf.name.clone(),
        }
    }
}

impl Branch {
    pub(crate) fn walk(&self, path: &mut Vec<u8>, visit: &mut impl FnMut(&[u8], usize)) {
        match self {
            Branch::Leaf(leaf) => visit(path, *leaf),
            Branch::Threshold { members, .. } => {
                for (index, member) in members.iter().enumerate() {
                    // At most MAX_OCCURRENCES members.
                    path.push(index as u8);
                    member.walk(path, visit);
                    path.pop();
                }
            }
        }
    }

    fn is_satisfied(&self, next: &mut usize, holds: &impl Fn(usize) -> bool) -> bool {
        match self {
            Branch::Leaf(_) => {
                let occurrence = *next;
                *next += 1;
                holds(occurrence)
            }
            Branch::Threshold { needed, members } => {
                let satisfied = members.iter().filter(|member| member.is_satisfied(next, holds)).count();
                satisfied >= usize::from(*needed)
            }
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown { tree: self, branch: &self.root }.fmt(f)
    }
}

struct Shown<'a> {
    tree: &'a Tree,
    branch: &'a Branch,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.branch {
            Branch::Leaf(leaf) => f.write_str(&self.tree.leaf_text(*leaf)),
            Branch::Threshold { needed, members } => {
                let shown: Vec<_> = members.iter().map(|branch| Shown { tree: self.tree, branch }).collect();
                expression::list(f, *needed, &shown)
            }
        }
    }
}
