//! The tree as bytes (`docs/formats/expression.md`): leaf table, then places from the outside in.

use super::{Branch, Kind, LeafDecl, QuorumShape, Tree};
use crate::Error;
use crate::expression::{MAX_DEPTH, MAX_OCCURRENCES, is_name};
use crate::record::{Reader, Writer};

const LEAF: u8 = 0;
const LIST: u8 = 1;

impl Tree {
    /// Leaf count u8 ‖ leaves ‖ places. There is one way to write a tree.
    pub(crate) fn write(&self, out: &mut Writer) {
        // At most MAX_OCCURRENCES leaves.
        out.u8(self.leaves.len() as u8);
        for leaf in &self.leaves {
            out.u8(leaf.kind as u8).short(leaf.name.as_bytes());
            if let Some(quorum) = leaf.quorum {
                out.u8(quorum.threshold).u8(quorum.shares);
            }
        }
        write_branch(&self.root, out);
    }

    /// Reads what [`Tree::write`] wrote, and nothing else.
    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Error> {
        let count = from.u8()?;
        let mut leaves: Vec<LeafDecl> = Vec::new();
        for _ in 0..count {
            let kind = Kind::from_number(from.u8()?).ok_or_else(|| from.damaged("a leaf's kind is unknown"))?;
            let name = from.text()?;
            if !is_name(&name) || leaves.iter().any(|leaf| leaf.name == name) {
                return Err(from.damaged("a leaf's name is not allowed or occurs twice"));
            }
            let quorum = match kind {
                Kind::Shamir => {
                    let (threshold, shares) = (from.u8()?, from.u8()?);
                    Some(QuorumShape::new(threshold, shares).map_err(|_| from.damaged("a quorum cannot be met"))?)
                }
                _ => None,
            };
            leaves.push(LeafDecl { name, kind, quorum });
        }
        let mut state = State { occurrences: 0, mentioned: 0, leaves: leaves.len() };
        let root = read_branch(from, 0, &mut state)?;
        if state.mentioned != leaves.len() {
            return Err(from.damaged("a leaf of the table does not occur"));
        }
        Ok(Tree { leaves, root })
    }
}

/// What keeps the reading bounded and the writing unique: leaves are numbered as they are first mentioned.
struct State {
    occurrences: usize,
    mentioned: usize,
    leaves: usize,
}

fn write_branch(branch: &Branch, out: &mut Writer) {
    match branch {
        Branch::Leaf(leaf) => {
            out.u8(LEAF).u8(*leaf as u8);
        }
        Branch::Threshold { needed, members } => {
            out.u8(LIST).u8(*needed).u8(members.len() as u8);
            members.iter().for_each(|member| write_branch(member, out));
        }
    }
}

fn read_branch(from: &mut Reader<'_>, depth: usize, state: &mut State) -> Result<Branch, Error> {
    if depth > MAX_DEPTH {
        return Err(from.damaged("lists are nested too deep"));
    }
    match from.u8()? {
        LEAF => {
            let leaf = usize::from(from.u8()?);
            state.occurrences += 1;
            if state.occurrences > MAX_OCCURRENCES {
                return Err(from.damaged("there are too many leaves"));
            }
            if leaf >= state.leaves || leaf > state.mentioned {
                return Err(from.damaged("leaves are not numbered as they occur"));
            }
            state.mentioned = state.mentioned.max(leaf + 1);
            Ok(Branch::Leaf(leaf))
        }
        LIST => {
            let (needed, count) = (from.u8()?, from.u8()?);
            if needed == 0 || needed > count {
                return Err(from.damaged("a list cannot be met"));
            }
            let mut members = Vec::new();
            for _ in 0..count {
                members.push(read_branch(from, depth + 1, state)?);
            }
            Ok(Branch::Threshold { needed, members })
        }
        _ => Err(from.damaged("a place is neither leaf nor list")),
    }
}
