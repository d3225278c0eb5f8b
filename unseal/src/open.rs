//! Opening: the leaves at hand give back their portions, the portions the root key, or it is said what is still needed.

use crate::catch_up::CatchUp;
use crate::deal::configured;
use crate::header::Header;
use crate::keyslot::{Keyslot, State};
use crate::leaf::{Boxed, Enrolment, Leaf, LeafError};
use crate::rows::{self, Rows};
use crate::tree::{Kind, sharing};
use crate::{Error, QuorumShape, Tree, together};
use std::collections::BTreeMap;
use strongroom_hsm::DeviceId;
use strongroom_secret::SecretBytes;
use strongroom_secret::key::RootKey;

/// What came of an attempt to open.
pub enum Outcome {
    /// The root key of the latest generation.
    Open(Opened),
    /// Not enough leaves.
    Sealed(Standing),
}

/// An opened root key, which has met its commitment.
pub struct Opened {
    /// The root key.
    pub root: RootKey,
    /// Its generation, the latest.
    pub generation: u32,
    /// The tree of that generation.
    pub tree: Tree,
    /// The earlier generation whose keyslots opened, where a catch-up record led on: say it loudly, and bring the leaf
    /// up to date.
    pub caught_up_from: Option<u32>,
    /// How the leaves stood.
    pub standing: Standing,
}

/// How the leaves of the latest generation stood at an attempt: what `sys/seal-tree` and `sys/seal-status` show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The latest generation.
    pub generation: u32,
    /// The expression, with the numbers of its quorums.
    pub expression: String,
    /// Whether the leaves opened the root.
    pub satisfied: bool,
    /// What is still needed, in the words of the expression; `None` when nothing is.
    pub needed: Option<String>,
    /// Every leaf, in the order of the expression.
    pub leaves: Vec<LeafStanding>,
    /// Why an older generation that opened could not be followed to the latest.
    pub not_followed: Option<Error>,
}

impl Standing {
    /// The `type` of `sys/seal-status`: the kind of the only leaf, or `multiseal`.
    pub fn seal_type(&self) -> &'static str {
        match &self.leaves[..] {
            [only] => only.kind.name(),
            _ => "multiseal",
        }
    }

    /// The quorum whose shares and threshold are the `n` and `t` of `sys/seal-status`: that of the first shamir leaf.
    pub fn quorum(&self) -> Option<(&str, QuorumShape)> {
        self.leaves.iter().find_map(|leaf| Some((leaf.name.as_str(), leaf.quorum?)))
    }
}

/// How one leaf stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafStanding {
    /// Its name in the expression.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its quorum, for a shamir leaf.
    pub quorum: Option<QuorumShape>,
    /// Whether it answered as the device that was enrolled; `None`: it had not answered when the root was open.
    pub healthy: Option<bool>,
    /// Whether all its keyslots opened.
    pub satisfied: bool,
    /// The latest generation that it has keyslots of.
    pub generation: Option<u32>,
    /// The device that was enrolled; zero for no device.
    pub device: DeviceId,
    /// The device in words.
    pub device_text: String,
    /// What went wrong.
    pub error: Option<LeafError>,
}

/// Opens the root of the latest generation with `leaves`. `now` is seconds since 1970, for the age of catch-up records.
///
/// All leaves are asked at once, and as soon as enough have answered the rest is let go. Where the leaves could not
/// satisfy the tree even if all of them answered, no device is asked for a secret, only whether it is there. Afterwards
/// compare [`Rows::digest`] with the store's head before anything is served.
///
/// # Errors
/// Only what makes an answer impossible: the latest tree is missing or damaged. A damaged keyslot is the error of its
/// leaf in the [`Standing`], and does not keep the others from opening.
pub async fn open(rows: &Rows, cluster: [u8; 16], leaves: &[&dyn Leaf], now: i64) -> Result<Outcome, Error> {
    let generations = rows.generations();
    let latest = *generations.first().ok_or_else(|| Error::Missing { row: rows::tree(1) })?;
    let mut standing: Option<Standing> = None;
    for generation in generations {
        let header = match Header::of(rows, cluster, generation) {
            Ok(header) => header,
            Err(error) => match &mut standing {
                None => return Err(error),
                Some(standing) => {
                    standing.not_followed = Some(error);
                    continue;
                }
            },
        };
        let (found, root) = match (attempt(rows, &header, leaves).await, &mut standing) {
            (Ok(answer), _) => answer,
            (Err(error), None) => return Err(error),
            (Err(error), Some(standing)) => {
                standing.not_followed = Some(error);
                continue;
            }
        };
        let standing = standing.get_or_insert(found);
        let Some(root) = root else { continue };
        let followed = if generation == latest { Ok(root) } else { follow(rows, header, root, latest, now) };
        match followed {
            Err(error) => standing.not_followed = Some(error),
            Ok(root) => {
                let tree = Header::of(rows, cluster, latest)?.tree().clone();
                let mut standing = standing.clone();
                (standing.satisfied, standing.needed) = (true, None);
                let caught_up_from = (generation != latest).then_some(generation);
                return Ok(Outcome::Open(Opened { root, generation: latest, tree, caught_up_from, standing }));
            }
        }
    }
    // There was a latest generation, so there was an attempt.
    standing.map(Outcome::Sealed).ok_or_else(|| Error::Missing { row: rows::tree(latest) })
}

/// The standing without any leaf being asked: before the first attempt, and for who must not touch a device.
pub fn standing(rows: &Rows, cluster: [u8; 16], leaves: &[&dyn Leaf]) -> Result<Standing, Error> {
    let latest = *rows.generations().first().ok_or_else(|| Error::Missing { row: rows::tree(1) })?;
    let header = Header::of(rows, cluster, latest)?;
    Ok(Attempt::new(rows, &header, leaves).standing(rows))
}

/// One generation's keyslots against the leaves.
struct Attempt<'a> {
    header: &'a Header,
    occurrences: Vec<crate::tree::Occurrence>,
    slots: Vec<Result<Keyslot, Error>>,
    leaves: Vec<Result<&'a dyn Leaf, LeafError>>,
    portions: Vec<Option<SecretBytes>>,
    health: BTreeMap<usize, bool>,
    errors: BTreeMap<usize, LeafError>,
}

/// What one leaf answered: its portions by occurrence, and what went wrong.
struct Answered {
    healthy: bool,
    portions: Vec<(usize, SecretBytes)>,
    error: Option<LeafError>,
}

async fn attempt(rows: &Rows, header: &Header, leaves: &[&dyn Leaf]) -> Result<(Standing, Option<RootKey>), Error> {
    let mut attempt = Attempt::new(rows, header, leaves);
    let tree = header.tree();
    let indexes: Vec<usize> = (0..tree.leaves().len()).collect();
    let possible = tree.is_satisfied(&|occurrence: usize| attempt.could_open(occurrence));

    let asked: Vec<Boxed<'_, Answered>> = indexes.iter().map(|leaf| attempt.ask(*leaf, possible)).collect();
    let (mut health, mut errors) = (BTreeMap::new(), BTreeMap::new());
    let mut portions: Vec<Option<SecretBytes>> = attempt.occurrences.iter().map(|_| None).collect();
    together::until(asked, |leaf, answer| {
        health.insert(leaf, answer.healthy);
        errors.extend(answer.error.map(|error| (leaf, error)));
        for (occurrence, portion) in answer.portions {
            portions[occurrence] = Some(portion);
        }
        tree.is_satisfied(&|occurrence: usize| portions[occurrence].is_some())
    })
    .await;
    (attempt.health, attempt.errors, attempt.portions) = (health, errors, portions);

    let root = match sharing::rebuild(tree, &attempt.portions)? {
        None => None,
        Some(secret) => match header.check(&secret) {
            Some(root) => Some(root),
            None => {
                let row = rows::tree(header.generation());
                return Err(Error::Damaged { row, reason: "its commitment is not that of the root key" });
            }
        },
    };
    Ok((attempt.standing(rows), root))
}

impl<'a> Attempt<'a> {
    fn new(rows: &Rows, header: &'a Header, leaves: &[&'a dyn Leaf]) -> Self {
        let tree = header.tree();
        let occurrences = tree.occurrences();
        let slots = occurrences.iter().map(|occurrence| Keyslot::of(rows, header, occurrence)).collect();
        let leaves = (0..tree.leaves().len()).map(|index| configured(tree, leaves, index)).collect();
        let portions = occurrences.iter().map(|_| None).collect();
        let (health, errors) = (BTreeMap::new(), BTreeMap::new());
        Attempt { header, occurrences, slots, leaves, portions, health, errors }
    }

    /// Whether the occurrence would open if its device answered.
    fn could_open(&self, occurrence: usize) -> bool {
        let leaf = &self.leaves[self.occurrences[occurrence].leaf()];
        let held = self.slots[occurrence].as_ref().is_ok_and(|slot| slot.state() == State::Held);
        held && leaf.as_ref().is_ok_and(|leaf| leaf.waiting().is_none())
    }

    /// Asks one leaf who it is and, where that helps, for its portions.
    fn ask(&self, index: usize, possible: bool) -> Boxed<'_, Answered> {
        Box::pin(async move {
            let mut answered = Answered { healthy: false, portions: Vec::new(), error: None };
            let leaf = match &self.leaves[index] {
                Ok(leaf) => *leaf,
                Err(error) => return Answered { error: Some(error.clone()), ..answered },
            };
            let mut proven: Option<&Enrolment> = None;
            for (occurrence, slot) in self.slots.iter().enumerate() {
                if self.occurrences[occurrence].leaf() != index {
                    continue;
                }
                match self.ask_slot(leaf, slot, &mut proven, possible).await {
                    Ok(Some(portion)) => answered.portions.push((occurrence, portion)),
                    Ok(None) => {}
                    Err(error) => answered.error = Some(error),
                }
            }
            answered.healthy = proven.is_some();
            answered
        })
    }

    /// The portion of one slot, after its leaf has proven to be the device that was enrolled in it: a device that is
    /// another one is refused before it is asked for any secret.
    async fn ask_slot<'s>(
        &'s self,
        leaf: &dyn Leaf,
        slot: &'s Result<Keyslot, Error>,
        proven: &mut Option<&'s Enrolment>,
        possible: bool,
    ) -> Result<Option<SecretBytes>, LeafError> {
        let slot = slot.as_ref().map_err(|error| LeafError::Row(error.to_string()))?;
        if *proven != Some(slot.enrolment()) {
            if !slot.enrolment().pin.is_empty() {
                leaf.prove(&slot.enrolment().pin).await?;
            }
            *proven = Some(slot.enrolment());
        }
        if slot.state() == State::Pending {
            return Err(LeafError::Behind(self.header.generation()));
        }
        if let Some(waiting) = leaf.waiting() {
            return Err(waiting);
        }
        if !possible {
            return Ok(None);
        }
        let portion = leaf.open(&slot.place().aad(self.header), slot.sealed()).await?;
        if !slot.is_of(self.header, &portion) {
            return Err(LeafError::Rejected("it opened to something else than was sealed".to_owned()));
        }
        Ok(Some(portion))
    }

    fn standing(&self, rows: &Rows) -> Standing {
        let tree = self.header.tree();
        let holds = |occurrence: usize| self.portions[occurrence].is_some();
        let leaves = tree.leaves().iter().enumerate().map(|(index, leaf)| {
            let own = || (0..self.occurrences.len()).filter(|occurrence| self.occurrences[*occurrence].leaf() == index);
            let slot = own().find_map(|occurrence| self.slots[occurrence].as_ref().ok());
            let enrolment = slot.map(|slot| slot.enrolment().clone()).unwrap_or_default();
            let error = self.errors.get(&index).cloned().or_else(|| self.leaves[index].as_ref().err().cloned());
            LeafStanding {
                name: leaf.name().to_owned(),
                kind: leaf.kind(),
                quorum: leaf.quorum(),
                healthy: self.health.get(&index).copied(),
                satisfied: own().all(holds),
                generation: wrapped(rows, self.header, leaf.name()),
                device: enrolment.device,
                device_text: enrolment.text,
                error,
            }
        });
        let needed = tree.needed(&holds);
        let leaves: Vec<LeafStanding> = leaves.collect();
        Standing {
            generation: self.header.generation(),
            expression: tree.to_string(),
            satisfied: needed.is_none(),
            needed,
            leaves,
            not_followed: None,
        }
    }
}

/// The latest generation in which every slot of `leaf` is held by it.
fn wrapped(rows: &Rows, latest: &Header, leaf: &str) -> Option<u32> {
    rows.generations().into_iter().find(|generation| {
        let Ok(header) = Header::of(rows, latest.cluster(), *generation) else { return false };
        let occurrences = header.tree().occurrences();
        let own = occurrences.iter().filter(|occurrence| header.tree().leaves()[occurrence.leaf()].name() == leaf);
        let held =
            own.map(|occurrence| Keyslot::of(rows, &header, occurrence).is_ok_and(|slot| slot.state() == State::Held));
        let held: Vec<bool> = held.collect();
        !held.is_empty() && held.into_iter().all(|held| held)
    })
}

/// Follows the catch-up records from an older generation's root to the latest.
fn follow(rows: &Rows, header: Header, root: RootKey, latest: u32, now: i64) -> Result<RootKey, Error> {
    let (mut header, mut root) = (header, root);
    while header.generation() != latest {
        let from = header.generation();
        let Some(record) = CatchUp::of(rows, header.cluster(), from)? else {
            let reason = format!("no record leads on to generation {latest}; unseal with another leaf");
            return Err(Error::CatchUp { from, reason });
        };
        let next = Header::of(rows, header.cluster(), record.to())?;
        root = record.follow(&root, &next, now)?;
        header = next;
    }
    Ok(root)
}
