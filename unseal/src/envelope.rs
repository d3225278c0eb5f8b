//! The envelope of a share: what a custodian puts into a safe, so that years later it can be told what it is
//! (`docs/formats/share.md`). It holds the share, and is as secret.
//!
//! Vault's clients know bare shares only, and those are accepted everywhere; the envelope is for files and paper.

use crate::Error;
use crate::quorum::SHARE_BYTES;
use crate::record::{Reader, Tag, Writer};
use crate::share_set::{Belongs, ShareSet};
use crate::tree::QuorumShape;
use strongroom_secret::SecretBytes;

const VERSION: u8 = 1;
/// No envelope is longer: frame 18, cluster 16, generation 4, three lengths, leaf 64, quorum 2, number 1, holder 255.
const MAX_BYTES: usize = 512;

/// A share with its custodian, generation and cluster.
pub struct Envelope {
    belongs: Belongs,
    shape: QuorumShape,
    number: u8,
    holder: String,
    share: SecretBytes,
}

impl Envelope {
    /// Puts the share with this number (from 0) of `set` into an envelope, or gives `None` when the set has none such.
    pub fn new(set: &ShareSet, number: u8, share: &SecretBytes) -> Option<Self> {
        let holder = set.holder(number)?.to_owned();
        let share = SecretBytes::from_slice(share.expose());
        Some(Envelope { belongs: set.belongs().clone(), shape: set.shape(), number, holder, share })
    }

    /// version 1 ‖ `E` ‖ cluster 16 ‖ generation u32 ‖ leaf ‖ threshold u8 ‖ shares u8 ‖ number u8 ‖ holder ‖ share ‖
    /// checksum 16.
    pub fn encode(&self) -> SecretBytes {
        let mut out = Writer::with_room(VERSION, Tag::Envelope, MAX_BYTES);
        out.raw(&self.belongs.cluster).u32(self.belongs.generation).short(self.belongs.leaf.as_bytes());
        out.u8(self.shape.threshold()).u8(self.shape.shares()).u8(self.number).short(self.holder.as_bytes());
        out.short(self.share.expose());
        SecretBytes::from_vec(out.finish())
    }

    /// Reads what [`Envelope::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut from = Reader::new("share envelope", bytes, Tag::Envelope, VERSION)?;
        let belongs = Belongs { cluster: from.array()?, generation: from.u32()?, leaf: from.text()? };
        let (threshold, shares) = (from.u8()?, from.u8()?);
        let shape = QuorumShape::new(threshold, shares).map_err(|_| from.damaged("its quorum cannot be met"))?;
        let (number, holder) = (from.u8()?, from.text()?);
        let share = from.short()?;
        if number >= shares || share.len() != SHARE_BYTES - usize::from(shares == 1) {
            return Err(from.damaged("its share does not fit its quorum"));
        }
        from.finish()?;
        Ok(Envelope { belongs, shape, number, holder, share: SecretBytes::from_slice(share) })
    }

    /// Cluster, generation and leaf.
    pub fn belongs(&self) -> &Belongs {
        &self.belongs
    }

    /// Shares and threshold.
    pub fn shape(&self) -> QuorumShape {
        self.shape
    }

    /// The number of the share, from 0.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Who holds it.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// The share, as Vault's clients enter it.
    pub fn share(&self) -> &SecretBytes {
        &self.share
    }
}
