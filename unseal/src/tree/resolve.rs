//! From an expression to a tree: every name is looked up among the configured seals.

use super::{Branch, Kind, LeafDecl, QuorumShape, Tree};
use crate::Error;
use crate::expression::{Expression, Mention, Node, is_name};

/// A configured seal, as far as the tree needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The leaf's name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// For a shamir seal: the shares and threshold that init was given.
    pub quorum: Option<QuorumShape>,
}

/// A tree, and what its configuration holds beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The tree.
    pub tree: Tree,
    /// Names of seals that the expression does not mention: they open nothing.
    pub unused: Vec<String>,
}

impl Expression {
    /// Looks every name up among `seals`.
    ///
    /// A shamir leaf needs its shares and threshold from its seal or from the expression (`K of N name`); where both
    /// give them, or the expression mentions the leaf twice, they must agree.
    pub fn resolve(&self, seals: &[Seal]) -> Result<Resolved, Error> {
        for (index, seal) in seals.iter().enumerate() {
            let refuse = |reason: &str| Err(Error::Leaf { leaf: seal.name.clone(), reason: reason.to_owned() });
            if !is_name(&seal.name) {
                return refuse("a name is 1 to 64 of A-Z a-z 0-9 . _ -, not all digits, and not any, all or of");
            }
            if seals[..index].iter().any(|other| other.name == seal.name) {
                return refuse("two seals have this name");
            }
            if seal.quorum.is_some() && seal.kind != Kind::Shamir {
                return refuse("only a shamir seal is dealt in shares");
            }
        }
        let mut leaves = Vec::new();
        let root = branch(&self.node, seals, &mut leaves)?;
        let unused = seals.iter().filter(|seal| !leaves.iter().any(|leaf: &LeafDecl| leaf.name == seal.name));
        let unused = unused.map(|seal| seal.name.clone()).collect();
        Ok(Resolved { tree: Tree { leaves, root }, unused })
    }

    /// Whether this is what `tree` was made from, where it says anything: a quorum that is not written out agrees with
    /// any. The stored tree is the truth; where a configuration does not agree with it, its operator is told.
    pub fn agrees_with(&self, tree: &Tree) -> bool {
        fn agree(node: &Node, branch: &Branch, tree: &Tree) -> bool {
            match (node, branch) {
                (Node::Leaf(mention), Branch::Leaf(leaf)) => {
                    let leaf = &tree.leaves[*leaf];
                    let differs = |written: Option<u8>, stored: Option<u8>| written.is_some() && written != stored;
                    mention.name == leaf.name
                        && !differs(mention.threshold, leaf.quorum.map(QuorumShape::threshold))
                        && !differs(mention.shares, leaf.quorum.map(QuorumShape::shares))
                }
                (Node::Threshold { needed, members }, Branch::Threshold { needed: stored, members: branches }) => {
                    needed == stored
                        && members.len() == branches.len()
                        && members.iter().zip(branches).all(|(member, branch)| agree(member, branch, tree))
                }
                _ => false,
            }
        }
        agree(&self.node, &tree.root, tree)
    }
}

fn branch(node: &Node, seals: &[Seal], leaves: &mut Vec<LeafDecl>) -> Result<Branch, Error> {
    match node {
        Node::Leaf(mention) => leaf(mention, seals, leaves).map(Branch::Leaf),
        Node::Threshold { needed, members } => {
            let members = members.iter().map(|member| branch(member, seals, leaves)).collect::<Result<_, _>>()?;
            Ok(Branch::Threshold { needed: *needed, members })
        }
    }
}

fn leaf(mention: &Mention, seals: &[Seal], leaves: &mut Vec<LeafDecl>) -> Result<usize, Error> {
    let mistake = |reason| Error::Expression { column: mention.column, reason };
    let name = &mention.name;
    let Some(seal) = seals.iter().find(|seal| seal.name == *name) else {
        let nearest = seals.iter().min_by_key(|seal| distance(&seal.name, name)).map(|seal| seal.name.as_str());
        return Err(mistake(match nearest {
            Some(nearest) => format!("no seal is named {name:?}; the nearest name is {nearest:?}"),
            None => format!("no seal is named {name:?}: there are none"),
        }));
    };
    let quorum = quorum(mention, seal).map_err(mistake)?;
    if let Some(index) = leaves.iter().position(|leaf| leaf.name == *name) {
        return match leaves[index].quorum == quorum {
            true => Ok(index),
            false => Err(mistake(format!("{name:?} is mentioned twice with different shares or thresholds"))),
        };
    }
    leaves.push(LeafDecl { name: name.clone(), kind: seal.kind, quorum });
    Ok(leaves.len() - 1)
}

/// The quorum of a mentioned leaf, from the expression and its seal together.
fn quorum(mention: &Mention, seal: &Seal) -> Result<Option<QuorumShape>, String> {
    let name = &seal.name;
    if seal.kind != Kind::Shamir {
        return match mention.threshold {
            None => Ok(None),
            Some(_) => Err(format!("{name:?} is a {} seal, and only a shamir seal has shares", seal.kind)),
        };
    }
    match (mention.threshold, mention.shares, seal.quorum) {
        (None, _, Some(given)) => Ok(Some(given)),
        (Some(threshold), shares, Some(given)) => {
            if threshold == given.threshold && shares.is_none_or(|shares| shares == given.shares) {
                return Ok(Some(given));
            }
            let written = shares.map_or(format!("{threshold} of"), |shares| format!("{threshold} of {shares}"));
            Err(format!("{written} {name} does not fit the {} of {} that were given", given.threshold, given.shares))
        }
        (Some(threshold), Some(shares), None) => {
            QuorumShape::new(threshold, shares).map(Some).map_err(|error| error.to_string())
        }
        (_, None, None) | (None, Some(_), None) => {
            Err(format!("the number of shares and the threshold of {name:?} have not been given"))
        }
    }
}

/// Levenshtein's distance, for the nearest name.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (above + 1).min(row[j] + 1).min(diagonal + usize::from(x != y));
            diagonal = above;
        }
    }
    row[b.len()]
}
