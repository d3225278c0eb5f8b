//! A leaf that people are: a key of their own, dealt in shares, that seals the leaf's portions of the root.
//!
//! Custodians hold shares of a *quorum key* and not of the root: so the root can be rotated without a visit to their
//! safes (`docs/decisions/0021-custodians-hold-a-key-of-their-own.md`). Beside the commitments their row keeps the quorum key
//! sealed under the root key, for the next rotation; dealing new shares makes a new quorum key.

use crate::Error;
use crate::leaf::{Answer, Enrolment, Leaf, LeafError};
use crate::quorum::{Progress, Quorum, QuorumError, Refusal, SECRET_BYTES, Slot, Verdict};
use crate::record::{Reader, Tag, Writer};
use crate::recovery::Authorised;
use crate::rows::{self, Row};
use crate::share_set::{Belongs, ShareSet};
use crate::tree::{Kind, QuorumShape};
use std::sync::{Mutex, MutexGuard, PoisonError};
use strongroom_secret::aead::AeadKey;
use strongroom_secret::digest::sha256;
use strongroom_secret::key::RootKey;
use strongroom_secret::{Key, SecretBytes};

const VERSION: u8 = 1;
const WRAP: &[u8] = b"strongroom quorum key wrap 1";
const KEPT: &[u8] = b"strongroom kept quorum key 1";

strongroom_secret::purposes! {
    /// The key that a custodians' leaf seals with, dealt in shares.
    QuorumPurpose = "quorum";
}

type QuorumKey = Key<QuorumPurpose, SECRET_BYTES>;

/// A custodians' leaf: what is stored of it, and the shares entered so far.
pub struct Custodians {
    set: ShareSet,
    older: Vec<ShareSet>,
    kept: Kept,
    state: Mutex<State>,
}

/// The quorum key under the root key of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    generation: u32,
    sealed: Vec<u8>,
}

struct State {
    quorum: Quorum<Box<[Slot]>>,
    key: Option<QuorumKey>,
}

impl Custodians {
    /// Makes a quorum key and deals it to `holders`, one share each in their order. The leaf can seal until it is
    /// [`Custodians::reset`]. The shares are as `sys/init` returns them: 33 bytes, 32 where one share is all.
    pub fn deal(belongs: Belongs, threshold: u8, holders: &[String]) -> Result<(Self, Vec<SecretBytes>), Error> {
        let key = QuorumKey::generate()?;
        let (set, shares) = ShareSet::deal(belongs, threshold, holders, &SecretBytes::from_slice(key.expose()))?;
        let leaf = Custodians::of(set, Kept { generation: 0, sealed: Vec::new() });
        leaf.state().key = Some(key);
        Ok((leaf, shares))
    }

    /// Reads the leaf's row ([`rows::shares`]); no shares have been entered.
    pub fn load(rows: &rows::Rows, cluster: [u8; 16], leaf: &str) -> Result<Self, Error> {
        let row = rows::shares(leaf);
        let Some(bytes) = rows.get(&row) else { return Err(Error::Missing { row }) };
        let (set, kept) = decode(&row, bytes)?;
        if set.belongs().cluster != cluster || set.belongs().leaf != leaf {
            return Err(Error::Damaged { row, reason: "it belongs to another place" });
        }
        Ok(Custodians::of(set, kept))
    }

    fn of(set: ShareSet, kept: Kept) -> Self {
        let slots = (0..set.shape().threshold()).map(|_| Slot::EMPTY).collect();
        let quorum = Quorum::new(set.belongs().generation, slots);
        Custodians { set, older: Vec::new(), kept, state: Mutex::new(State { quorum, key: None }) }
    }

    /// Lets shares of an older set be called by their generation when somebody enters them, instead of unknown.
    pub fn remember(&mut self, older: Custodians) {
        self.older.push(older.set);
    }

    /// Takes one share, or says whose it is and why not; the shares entered before stay either way.
    pub fn enter(&self, share: &[u8]) -> Result<Progress, Error> {
        let entered = self.state().quorum.enter(share, &|share: &[u8]| self.verdict(share));
        entered.map_err(|refusal| Error::Share {
            leaf: self.set.belongs().leaf.clone(),
            holder: holder(&self.set, &refusal),
            refusal,
        })
    }

    /// Proof that a quorum has entered its shares, for an act other than unsealing (rekey, generate-root).
    pub fn authorise(&self) -> Result<Authorised, Error> {
        let entered = self.entered();
        let leaf = &self.set.belongs().leaf;
        match self.with_key(|_| Ok(())) {
            Ok(()) if self.progress().is_complete() => Ok(Authorised::new(self.set.belongs().generation, entered)),
            Ok(()) => Err(Error::Leaf { leaf: leaf.clone(), reason: waiting(self.progress()).to_string() }),
            Err(error) => Err(Error::Leaf { leaf: leaf.clone(), reason: error.to_string() }),
        }
    }

    /// Shares entered, of how many.
    pub fn progress(&self) -> Progress {
        self.state().quorum.progress()
    }

    /// The names of those whose shares have been entered.
    pub fn entered(&self) -> Vec<String> {
        let state = self.state();
        state.quorum.entered().filter_map(|share| self.set.holder(share)).map(str::to_owned).collect()
    }

    /// Forgets and wipes the shares and the quorum key.
    pub fn reset(&self) {
        let mut state = self.state();
        state.quorum.reset();
        state.key = None;
    }

    /// The set of shares.
    pub fn set(&self) -> &ShareSet {
        &self.set
    }

    /// Shares and threshold.
    pub fn shape(&self) -> QuorumShape {
        self.set.shape()
    }

    fn verdict(&self, share: &[u8]) -> Verdict {
        use crate::quorum::Judge;
        match self.set.judge(share) {
            Verdict::Whole { share, holder, generation } => Verdict::Whole { share, holder, generation },
            refused => {
                let whole = |set: &ShareSet| matches!(set.judge(share), Verdict::Whole { .. });
                self.older.iter().find(|set| whole(set)).map_or(refused, |set| set.judge(share))
            }
        }
    }

    /// The quorum key, combined and checked if it has not been yet.
    fn with_key<T>(&self, act: impl FnOnce(&AeadKey) -> Result<T, LeafError>) -> Result<T, LeafError> {
        let mut state = self.state();
        if state.key.is_none() {
            let mut result = Ok(());
            let key = QuorumKey::filled(|out| result = state.quorum.combine(out));
            match result {
                Ok(()) => {}
                Err(QuorumError::Missing(progress)) => return Err(waiting(progress)),
                Err(error) => return Err(LeafError::Rejected(error.to_string())),
            }
            if !self.set.is_of(&SecretBytes::from_slice(key.expose())) {
                let row = rows::shares(&self.set.belongs().leaf);
                return Err(LeafError::Row(format!("row {row:?} is damaged: its shares make another key")));
            }
            state.key = Some(key);
        }
        match &state.key {
            // `derived` gives 32 bytes.
            Some(key) => {
                act(&AeadKey::new(rows::derived(key.expose(), WRAP, &[]).expose().try_into().expect("32 bytes")))
            }
            None => Err(waiting(state.quorum.progress())),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock panics half-way; shares entered before are still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept_aad(&self, generation: u32) -> [u8; 32] {
        let mut written = Writer::new(VERSION, Tag::Shares);
        self.set.write(&mut written);
        sha256(&[KEPT, &generation.to_be_bytes(), written.as_bytes()])
    }
}

impl Leaf for Custodians {
    fn name(&self) -> &str {
        &self.set.belongs().leaf
    }

    fn kind(&self) -> Kind {
        Kind::Shamir
    }

    fn waiting(&self) -> Option<LeafError> {
        let state = self.state();
        let progress = state.quorum.progress();
        (state.key.is_none() && !progress.is_complete()).then(|| waiting(progress))
    }

    fn enrol(&self) -> Answer<'_, Enrolment> {
        Box::pin(async { Ok(Enrolment::default()) })
    }

    fn prove<'a>(&'a self, _: &'a [u8]) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn seal<'a>(&'a self, aad: &'a [u8], portion: &'a SecretBytes) -> Answer<'a, Vec<u8>> {
        Box::pin(async move {
            self.with_key(|key| {
                let mut sealed = Vec::new();
                key.seal(aad, portion.expose(), &mut sealed).map_err(|error| LeafError::Refused(error.to_string()))?;
                Ok(sealed)
            })
        })
    }

    fn open<'a>(&'a self, aad: &'a [u8], sealed: &'a [u8]) -> Answer<'a, SecretBytes> {
        Box::pin(async move {
            self.with_key(|key| key.open(aad, sealed).map_err(|error| LeafError::Rejected(error.to_string())))
        })
    }

    /// Takes the quorum key out of the row, so that a rotation needs no custodian; a key at hand is left as it is.
    fn recall(&self, root: &RootKey, generation: u32) -> Result<(), Error> {
        if self.state().key.is_some() {
            return Ok(());
        }
        let damaged = |reason| Error::Damaged { row: rows::shares(&self.set.belongs().leaf), reason };
        if self.kept.generation != generation {
            return Err(damaged("its key is kept under another generation of the root"));
        }
        let opened = kept_key(root).open(&self.kept_aad(generation), &self.kept.sealed).ok();
        match opened.filter(|key| self.set.is_of(key)).and_then(|key| QuorumKey::from_slice(key.expose())) {
            Some(key) => self.state().key = Some(key),
            None => return Err(damaged("its key does not open with the root key")),
        }
        Ok(())
    }

    /// version 1 ‖ `S` ‖ set ‖ kept generation u32 ‖ kept key length u16 ‖ kept key ‖ checksum 16.
    fn own_row(&self, root: &RootKey, generation: u32) -> Result<Option<Row>, Error> {
        let mut sealed = Vec::new();
        let state = self.state();
        let Some(key) = &state.key else { return Err(Error::Module("the quorum key is not at hand")) };
        kept_key(root)
            .seal(&self.kept_aad(generation), key.expose(), &mut sealed)
            .map_err(|_| Error::Module("the quorum key was not sealed"))?;
        let mut out = Writer::new(VERSION, Tag::Shares);
        self.set.write(&mut out);
        out.u32(generation).long(&sealed);
        Ok(Some(Row { name: rows::shares(&self.set.belongs().leaf), bytes: out.finish() }))
    }
}

fn decode(row: &str, bytes: &[u8]) -> Result<(ShareSet, Kept), Error> {
    let mut from = Reader::new(row, bytes, Tag::Shares, VERSION)?;
    let set = ShareSet::read(&mut from)?;
    let kept = Kept { generation: from.u32()?, sealed: from.long()?.to_vec() };
    from.finish()?;
    Ok((set, kept))
}

/// The set of shares in a row.
pub(crate) fn set_of(row: &str, bytes: &[u8]) -> Result<ShareSet, Error> {
    Ok(decode(row, bytes)?.0)
}

fn waiting(progress: Progress) -> LeafError {
    LeafError::Waiting { entered: progress.entered, threshold: progress.threshold }
}

pub(crate) fn holder(set: &ShareSet, refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::Damaged { share } | Refusal::Again { share } | Refusal::SameHolder { share, .. } => {
            set.holder(*share).map(str::to_owned)
        }
        _ => None,
    }
}

fn kept_key(root: &RootKey) -> AeadKey {
    // `derived` gives 32 bytes.
    AeadKey::new(rows::derived(root.expose(), KEPT, &[]).expose().try_into().expect("32 bytes"))
}
