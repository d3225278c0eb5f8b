//! Dealing a root key over a tree: one keyslot per occurrence of a leaf, all of one generation.

use crate::header::Header;
use crate::keyslot::{Keyslot, PORTION_BYTES, Place, State};
use crate::leaf::{Enrolment, Leaf, LeafError};
use crate::rows::Row;
use crate::tree::sharing;
use crate::{Error, Tree, together};
use std::collections::BTreeMap;
use strongroom_secret::key::RootKey;
use strongroom_secret::{SecretBytes, random};

/// What is dealt, and over what.
pub struct Dealing<'a> {
    /// The cluster's id.
    pub cluster: [u8; 16],
    /// The generation of the root key, 1 at init.
    pub generation: u32,
    /// The tree.
    pub tree: &'a Tree,
    /// The leaves at hand, in any order; one for each of the tree's names at most.
    pub leaves: &'a [&'a dyn Leaf],
    /// Who the devices of an earlier generation are: a leaf must prove to be the same before it gets a portion.
    pub enrolled: BTreeMap<String, Enrolment>,
}

/// What to store.
#[derive(Debug)]
pub struct Dealt {
    /// The rows of this generation.
    pub rows: Vec<Row>,
    /// Leaves that were away: their slots are pending until `rotate::bring_up` is called with them.
    pub absent: Vec<Absent>,
}

/// A leaf that was away, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// Its name.
    pub leaf: String,
    /// Why it could not seal its portion.
    pub error: LeafError,
}

impl Dealing<'_> {
    /// Deals `root`. Refuses, before anything is to be stored, when the leaves that could seal do not open the tree.
    pub async fn deal(&self, root: &RootKey) -> Result<Dealt, Error> {
        let header = Header::new(self.cluster, self.generation, self.tree, root);
        let portions = sharing::deal(self.tree, root.expose(), &mut random::fill)?;
        let occurrences = self.tree.occurrences();

        let names: Vec<&str> = self.tree.leaves().iter().map(|leaf| leaf.name()).collect();
        let sealing = names.iter().enumerate().map(|(index, name)| -> crate::leaf::Boxed<'_, _> {
            let own = occurrences.iter().zip(&portions).filter(move |(occurrence, _)| occurrence.leaf() == index);
            let known = self.enrolled.get(*name);
            Box::pin(seal_all(configured(self.tree, self.leaves, index), known, &header, own.collect()))
        });
        let answers = together::all(sealing.collect()).await;

        let mut rows = vec![header.row()];
        let mut absent = Vec::new();
        for (index, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(slots) => {
                    rows.extend(slots.iter().map(Keyslot::row));
                    let leaf = configured(self.tree, self.leaves, index);
                    rows.extend(leaf.ok().map(|leaf| leaf.own_row(root, self.generation)).transpose()?.flatten());
                }
                Err(SealError::Leaf(error)) => {
                    let enrolment = self.enrolled.get(names[index]).cloned().unwrap_or_default();
                    for (occurrence, portion) in occurrences.iter().zip(&portions) {
                        if occurrence.leaf() == index {
                            rows.push(Keyslot::pending(&header, occurrence, &enrolment, portion, root)?.row());
                        }
                    }
                    absent.push(Absent { leaf: names[index].to_owned(), error });
                }
                Err(SealError::Ours(error)) => return Err(error),
            }
        }
        if !self.tree.is_satisfied_by_leaves(&|leaf| !absent.iter().any(|absent| absent.leaf == names[leaf])) {
            let absent: Vec<String> =
                absent.iter().map(|absent| format!("{} ({})", absent.leaf, absent.error)).collect();
            return Err(Error::LockOut { absent: absent.join(", ") });
        }
        Ok(Dealt { rows, absent })
    }
}

/// The leaf at hand for the tree's leaf with this index.
pub(crate) fn configured<'a>(tree: &Tree, leaves: &[&'a dyn Leaf], index: usize) -> Result<&'a dyn Leaf, LeafError> {
    let stored = &tree.leaves()[index];
    match leaves.iter().find(|leaf| leaf.name() == stored.name()) {
        None => Err(LeafError::Unconfigured),
        Some(leaf) if leaf.kind() != stored.kind() => {
            Err(LeafError::Kind { stored: stored.kind(), configured: leaf.kind() })
        }
        Some(leaf) => Ok(*leaf),
    }
}

pub(crate) enum SealError {
    Leaf(LeafError),
    Ours(Error),
}

impl From<LeafError> for SealError {
    fn from(error: LeafError) -> Self {
        SealError::Leaf(error)
    }
}

/// Seals every portion of one leaf, after it has proven to be who it was.
pub(crate) async fn seal_all(
    leaf: Result<&dyn Leaf, LeafError>,
    known: Option<&Enrolment>,
    header: &Header,
    portions: Vec<(&crate::tree::Occurrence, &SecretBytes)>,
) -> Result<Vec<Keyslot>, SealError> {
    let leaf = leaf?;
    if let Some(known) = known.filter(|known| !known.pin.is_empty()) {
        leaf.prove(&known.pin).await?;
    }
    let enrolment = leaf.enrol().await?;
    let mut slots = Vec::new();
    for (occurrence, portion) in portions {
        debug_assert_eq!(portion.len(), PORTION_BYTES);
        let place = Place::new(header, occurrence, State::Held, &enrolment);
        let sealed = leaf.seal(&place.aad(header), portion).await?;
        slots.push(Keyslot::new(header, place, portion, sealed).map_err(SealError::Ours)?);
    }
    Ok(slots)
}
