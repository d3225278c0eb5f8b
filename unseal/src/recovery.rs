//! Recovery keys: shares that authorise rekey and generate-root where the root key opens by devices alone, as Vault's
//! clients expect of an auto-unsealed cluster. They decrypt nothing: what is stored is a verifier
//! (`docs/formats/recovery-key.md`), and the key itself is forgotten when it has been dealt.

use crate::Error;
use crate::custodians::holder;
use crate::quorum::{Judge, Progress, Quorum, QuorumError, Refusal, SECRET_BYTES, Slot, Verdict};
use crate::record::{Reader, Tag, Writer};
use crate::rows::{self, Row, Rows};
use crate::share_set::{Belongs, ShareSet};
use strongroom_secret::SecretBytes;

const VERSION: u8 = 1;

/// The verifier of a set of recovery keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    set: ShareSet,
}

/// Proof that a quorum of holders has agreed. It is for one act, and is used up by it.
#[derive(Debug, PartialEq, Eq)]
pub struct Authorised {
    generation: u32,
    holders: Vec<String>,
}

impl Authorised {
    pub(crate) fn new(generation: u32, holders: Vec<String>) -> Self {
        Authorised { generation, holders }
    }

    /// The generation of the shares.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Who agreed, by name, for the audit.
    pub fn holders(&self) -> &[String] {
        &self.holders
    }
}

/// Recovery shares on their way to a quorum, for one act.
pub struct Gathering {
    recovery: Recovery,
    quorum: Quorum<Box<[Slot]>>,
}

impl Recovery {
    /// Makes a recovery key and deals it to `holders`, one share each in their order: 33 bytes, or 32 where one share is
    /// all. `generation` counts the sets of recovery keys of this cluster.
    pub fn deal(
        cluster: [u8; 16],
        generation: u32,
        threshold: u8,
        holders: &[String],
    ) -> Result<(Recovery, Vec<SecretBytes>), Error> {
        let key = SecretBytes::random(SECRET_BYTES)?;
        let belongs = Belongs { cluster, generation, leaf: String::new() };
        let (set, shares) = ShareSet::deal(belongs, threshold, holders, &key)?;
        Ok((Recovery { set }, shares))
    }

    /// The row to store.
    pub fn row(&self) -> Row {
        Row { name: rows::RECOVERY.to_owned(), bytes: self.encode() }
    }

    /// version 1 ‖ `R` ‖ set ‖ checksum 16.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION, Tag::Recovery);
        self.set.write(&mut out);
        out.finish()
    }

    /// Reads what [`Recovery::encode`] wrote. `row` is its name, for errors.
    pub fn decode(row: &str, bytes: &[u8]) -> Result<Self, Error> {
        let mut from = Reader::new(row, bytes, Tag::Recovery, VERSION)?;
        let set = ShareSet::read(&mut from)?;
        if !set.belongs().leaf.is_empty() {
            return Err(from.damaged("it belongs to a leaf"));
        }
        from.finish()?;
        Ok(Recovery { set })
    }

    /// The verifier among `rows`, or `None` for a cluster without recovery keys.
    pub fn load(rows: &Rows, cluster: [u8; 16]) -> Result<Option<Self>, Error> {
        let Some(bytes) = rows.get(rows::RECOVERY) else { return Ok(None) };
        let recovery = Recovery::decode(rows::RECOVERY, bytes)?;
        if recovery.set.belongs().cluster != cluster {
            return Err(Error::Damaged { row: rows::RECOVERY.to_owned(), reason: "it belongs to another cluster" });
        }
        Ok(Some(recovery))
    }

    /// The set of shares.
    pub fn set(&self) -> &ShareSet {
        &self.set
    }

    /// Whether a share is as it was dealt, alone; the answer is its number from 0.
    pub fn check_share(&self, share: &[u8]) -> Result<u8, Error> {
        match self.set.judge(share) {
            Verdict::Whole { share, .. } => Ok(share),
            Verdict::Damaged { share } => Err(self.refused(Refusal::Damaged { share })),
            Verdict::Unknown => Err(self.refused(Refusal::Unknown)),
        }
    }

    /// Takes all shares of an act at once. Each that is refused is an error, and none counts twice.
    pub fn verify(&self, shares: &[SecretBytes]) -> Result<Authorised, Error> {
        let mut gathering = self.gather();
        for share in shares {
            gathering.enter(share.expose())?;
        }
        gathering.finish()
    }

    /// Begins to gather shares for one act.
    pub fn gather(&self) -> Gathering {
        let slots = (0..self.set.shape().threshold()).map(|_| Slot::EMPTY).collect();
        Gathering { recovery: self.clone(), quorum: Quorum::new(self.set.belongs().generation, slots) }
    }

    fn refused(&self, refusal: Refusal) -> Error {
        Error::Share { leaf: "recovery".to_owned(), holder: holder(&self.set, &refusal), refusal }
    }
}

impl Gathering {
    /// Takes one share, or says why not; the shares entered before stay either way.
    pub fn enter(&mut self, share: &[u8]) -> Result<Progress, Error> {
        self.quorum.enter(share, &self.recovery.set).map_err(|refusal| self.recovery.refused(refusal))
    }

    /// Shares entered, of how many.
    pub fn progress(&self) -> Progress {
        self.quorum.progress()
    }

    /// Combines the recovery key, compares it with its verifier and forgets it.
    pub fn finish(self) -> Result<Authorised, Error> {
        let set = &self.recovery.set;
        let mut result = Ok(());
        let key = SecretBytes::filled(SECRET_BYTES, |bytes| {
            // `filled` was asked for SECRET_BYTES.
            result = self.quorum.combine(bytes.try_into().expect("a secret's length"));
        });
        match result {
            Ok(()) if set.is_of(&key) => {
                let holders = self.quorum.entered().filter_map(|share| set.holder(share)).map(str::to_owned).collect();
                Ok(Authorised::new(set.belongs().generation, holders))
            }
            Ok(()) => {
                let reason = "its shares make another key than it verifies";
                Err(Error::Damaged { row: rows::RECOVERY.to_owned(), reason })
            }
            Err(error @ QuorumError::Missing(_)) => Err(Error::Recovery(error.to_string())),
            Err(QuorumError::Combine(_)) => {
                Err(Error::Damaged { row: rows::RECOVERY.to_owned(), reason: "its shares do not combine" })
            }
        }
    }
}
