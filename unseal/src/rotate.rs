//! Rotation: a new root key and new keyslots for the leaves at hand; what was away is brought up to date when it returns.

use crate::catch_up::CatchUp;
use crate::deal::{Absent, Dealing, SealError, configured, seal_all};
use crate::header::Header;
use crate::keyslot::{Keyslot, State};
use crate::leaf::{Enrolment, Leaf};
use crate::rows::{self, Row, Rows};
use crate::{Error, Tree};
use std::collections::BTreeMap;
use std::time::Duration;
use strongroom_secret::key::RootKey;

/// What is rotated, and to what.
pub struct Rotation<'a> {
    /// The cluster's id.
    pub cluster: [u8; 16],
    /// All rows as they are stored.
    pub rows: &'a Rows,
    /// The generation that is open.
    pub generation: u32,
    /// Its root key.
    pub root: &'a RootKey,
    /// The tree to deal over: the stored one, or a changed one.
    pub tree: &'a Tree,
    /// The leaves at hand, those that are new to the tree included.
    pub leaves: &'a [&'a dyn Leaf],
    /// Now, in seconds since 1970.
    pub now: i64,
    /// How long a leaf that is away may come back by itself; zero: not at all.
    pub age: Duration,
    /// Whether somebody is to be shut out, so that nothing of the old generation may lead to the new one. A changed tree
    /// and newly dealt shares always mean it.
    pub revoking: bool,
}

/// What to store, in one commit, with the store's head naming the new generation and [`Rows::digest`].
pub struct Rotated {
    /// The new root key.
    pub root: RootKey,
    /// Its generation.
    pub generation: u32,
    /// Rows to write and names to delete.
    pub change: Change,
    /// Leaves that were away: call [`bring_up`] with them when they return.
    pub absent: Vec<Absent>,
    /// Leaves that were away before already and whose time to come back by themselves has run out: say it loudly.
    pub skipped: Vec<String>,
}

/// Rows to write and names to delete.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// Rows to write.
    pub put: Vec<Row>,
    /// Names of rows to delete.
    pub delete: Vec<String>,
}

impl Change {
    /// Makes the change in `rows`.
    pub fn apply(&self, rows: &mut Rows) {
        self.delete.iter().for_each(|name| rows.delete(name));
        self.put.iter().for_each(|row| rows.put(row.clone()));
    }
}

impl Rotation<'_> {
    /// Makes the next generation. Nothing is changed here; on an error nothing is to be stored.
    pub async fn rotate(&self) -> Result<Rotated, Error> {
        let old = Header::of(self.rows, self.cluster, self.generation)?;
        let generation = self.generation.checked_add(1).ok_or(Error::Module("generations are used up"))?;
        let root = RootKey::generate()?;
        for leaf in self.leaves {
            leaf.recall(self.root, self.generation)?;
        }
        let enrolled = enrolments(self.rows, &old);
        let dealing = Dealing { cluster: self.cluster, generation, tree: self.tree, leaves: self.leaves, enrolled };
        let dealt = dealing.deal(&root).await?;

        let mut change = Change { put: dealt.rows, delete: Vec::new() };
        let revoking = self.revoking || *self.tree != *old.tree() || deals_new_shares(self.rows, &change.put)?;
        let mut skipped = Vec::new();
        for earlier in self.rows.generations() {
            let lasts = earlier == self.generation || leads_on(self.rows, self.cluster, earlier, self.now);
            if dealt.absent.is_empty() || revoking || self.age.is_zero() || !lasts {
                skipped.extend(only_held_in(self.rows, self.cluster, earlier, &dealt.absent));
                change.delete.extend(self.rows.of_generation(earlier));
            }
        }
        if !change.delete.contains(&rows::tree(self.generation)) {
            let record =
                CatchUp::new(self.cluster, (self.generation, self.root), (generation, &root), self.now, self.age)?;
            change.put.push(record.row());
        }
        let stored: Vec<&str> = change.put.iter().map(|row| row.name.as_str()).collect();
        let gone = old.tree().leaves().iter().map(|leaf| rows::shares(leaf.name()));
        change
            .delete
            .extend(gone.filter(|row| self.rows.get(row).is_some() && revoking && !stored.contains(&row.as_str())));
        skipped.dedup();
        Ok(Rotated { root, generation, change, absent: dealt.absent, skipped })
    }
}

/// Seals the pending slots of leaves that are back, with the root key of the open, latest `generation`. When no slot is
/// pending any more, the earlier generations go. Leaves that are still away are in the second part of the answer.
pub async fn bring_up(
    rows: &Rows,
    cluster: [u8; 16],
    generation: u32,
    root: &RootKey,
    leaves: &[&dyn Leaf],
) -> Result<(Change, Vec<Absent>), Error> {
    let header = Header::of(rows, cluster, generation)?;
    let tree = header.tree();
    let mut change = Change::default();
    let mut absent: Vec<Absent> = Vec::new();
    for (index, leaf) in tree.leaves().iter().enumerate() {
        let mut pending = Vec::new();
        for occurrence in tree.occurrences().into_iter().filter(|occurrence| occurrence.leaf() == index) {
            let slot = Keyslot::of(rows, &header, &occurrence)?;
            if slot.state() == State::Pending {
                pending.push((occurrence, slot.open_pending(&header, root)?, slot));
            }
        }
        let Some((_, _, first)) = pending.first() else { continue };
        let known = first.enrolment().clone();
        let at_hand = configured(tree, leaves, index);
        if let Ok(at_hand) = &at_hand {
            at_hand.recall(root, generation)?;
        }
        let portions = pending.iter().map(|(occurrence, portion, _)| (occurrence, portion)).collect();
        match seal_all(at_hand, Some(&known), &header, portions).await {
            Ok(slots) => change.put.extend(slots.iter().map(Keyslot::row)),
            Err(SealError::Leaf(error)) => absent.push(Absent { leaf: leaf.name().to_owned(), error }),
            Err(SealError::Ours(error)) => return Err(error),
        }
    }
    if absent.is_empty() {
        let earlier = rows.generations().into_iter().filter(|earlier| *earlier != generation);
        change.delete.extend(earlier.flat_map(|earlier| rows.of_generation(earlier)));
    }
    Ok((change, absent))
}

/// Who the devices of a generation are, by leaf.
fn enrolments(rows: &Rows, header: &Header) -> BTreeMap<String, Enrolment> {
    let slots = header.tree().occurrences();
    let slots = slots.iter().filter_map(|occurrence| Keyslot::of(rows, header, occurrence).ok());
    slots.map(|slot| (slot.leaf().to_owned(), slot.enrolment().clone())).collect()
}

/// Whether a row to be written holds another set of shares than the stored row of that name.
fn deals_new_shares(rows: &Rows, put: &[Row]) -> Result<bool, Error> {
    for row in put.iter().filter(|row| row.name.starts_with("seal/shares/")) {
        if let Some(stored) = rows.get(&row.name) {
            let set = |bytes| crate::custodians::set_of(&row.name, bytes);
            if set(stored)? != set(&row.bytes)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a generation's catch-up record may still be followed.
fn leads_on(rows: &Rows, cluster: [u8; 16], generation: u32, now: i64) -> bool {
    matches!(CatchUp::of(rows, cluster, generation), Ok(Some(record)) if now <= record.expires())
}

/// The absent leaves that have held slots in a generation: when it goes, they no longer come back by themselves.
fn only_held_in(rows: &Rows, cluster: [u8; 16], generation: u32, absent: &[Absent]) -> Vec<String> {
    let Ok(header) = Header::of(rows, cluster, generation) else { return Vec::new() };
    let occurrences = header.tree().occurrences();
    let slots = occurrences.iter().filter_map(|occurrence| Keyslot::of(rows, &header, occurrence).ok());
    let held: Vec<Keyslot> = slots.filter(|slot| slot.state() == State::Held).collect();
    let names = absent.iter().map(|absent| &absent.leaf);
    names.filter(|name| held.iter().any(|slot| slot.leaf() == *name)).cloned().collect()
}
