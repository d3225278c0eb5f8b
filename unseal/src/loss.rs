//! What a tree survives: which single loss ends everything, and whether a store brought back from yesterday is noticed.

use crate::tree::{Kind, Tree};
use std::fmt;

/// One thing whose loss means that the root key is gone for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// A device, a configured key or another server: the leaf of this name.
    Leaf(String),
    /// Any single share of the custodians' leaf of this name.
    Share(String),
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Leaf(leaf) => {
                write!(f, "without {leaf} there is no way in: if it is lost, so is everything; add a second seal")
            }
            Loss::Share(leaf) => {
                write!(
                    f,
                    "every share of {leaf} is needed: if one is lost, so is everything; deal more than are needed"
                )
            }
        }
    }
}

/// The single losses that end everything; `init` warns of each. None: the tree survives the loss of any one thing.
pub fn single_losses(tree: &Tree) -> Vec<Loss> {
    let essential = |index: usize| !tree.is_satisfied_by_leaves(&|leaf| leaf != index);
    let leaves = tree.leaves().iter().enumerate().filter(|(index, _)| essential(*index));
    let losses = leaves.filter_map(|(_, leaf)| match leaf.quorum() {
        None => Some(Loss::Leaf(leaf.name().to_owned())),
        Some(shape) if shape.threshold() == shape.shares() => Some(Loss::Share(leaf.name().to_owned())),
        Some(_) => None,
    });
    losses.collect()
}

/// Whether something outside the store keeps its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollback {
    /// Nothing does: the words are `rollback: unprotected`.
    Unprotected,
    /// A device does, and there is a way in without any: then an older store is noticed when a device is next there.
    WhenPresent,
    /// Every way in passes a device that does.
    Protected,
}

impl Rollback {
    /// The word in `sys/seal-status` and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Rollback::Unprotected => "unprotected",
            Rollback::WhenPresent => "protected while a counting device is present",
            Rollback::Protected => "protected",
        }
    }
}

/// How well a tree notices rollback, where `counts` says of each leaf's kind whether it keeps a counter for us
/// ([`Kind::counts`], less what a device turned out to lack).
pub fn rollback(tree: &Tree, counts: &impl Fn(&str, Kind) -> bool) -> Rollback {
    let counting: Vec<bool> = tree.leaves().iter().map(|leaf| counts(leaf.name(), leaf.kind())).collect();
    match () {
        () if !counting.contains(&true) => Rollback::Unprotected,
        () if tree.is_satisfied_by_leaves(&|leaf| !counting[leaf]) => Rollback::WhenPresent,
        () => Rollback::Protected,
    }
}
