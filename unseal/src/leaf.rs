//! What a leaf of the tree can do. One trait, for devices, custodians and other servers alike.

mod device;

use crate::Error;
use crate::rows::Row;
use crate::tree::Kind;
use std::future::Future;
use std::pin::Pin;
use strongroom_hsm::DeviceId;
use strongroom_secret::SecretBytes;
use strongroom_secret::key::RootKey;

pub use device::DeviceLeaf;

/// An answer that may take as long as a device does. It names no runtime.
pub type Answer<'a, T> = Boxed<'a, Result<T, LeafError>>;

/// A future on the heap.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a portion of the root key is kept: what seals it, and what alone opens it again.
///
/// An implementer must not keep a portion after it has answered, must not answer `open` with bytes that were not sealed
/// with the same `aad` (a device that cannot bind `aad` lets its driver bind it), and must not block the thread that
/// polls it.
pub trait Leaf: Send + Sync {
    /// The leaf's name in the expression.
    fn name(&self) -> &str;

    /// What it is.
    fn kind(&self) -> Kind;

    /// Why it cannot open anything yet, where it knows that without asking a device: shares are missing.
    fn waiting(&self) -> Option<LeafError> {
        None
    }

    /// Who the device is, and what it is to be known by later.
    fn enrol(&self) -> Answer<'_, Enrolment>;

    /// Whether the device is the one that `pin`, the opaque part of an [`Enrolment`], was made by.
    fn prove<'a>(&'a self, pin: &'a [u8]) -> Answer<'a, ()>;

    /// Seals a portion, so that only this leaf opens it.
    fn seal<'a>(&'a self, aad: &'a [u8], portion: &'a SecretBytes) -> Answer<'a, Vec<u8>>;

    /// Opens what [`Leaf::seal`] made with the same `aad`.
    fn open<'a>(&'a self, aad: &'a [u8], sealed: &'a [u8]) -> Answer<'a, SecretBytes>;

    /// Takes back what [`Leaf::own_row`] kept under the root key of `generation`, so that the leaf can seal.
    fn recall(&self, _root: &RootKey, _generation: u32) -> Result<(), Error> {
        Ok(())
    }

    /// A row of the leaf's own that goes with a generation of the root key, beside its keyslots.
    fn own_row(&self, _root: &RootKey, _generation: u32) -> Result<Option<Row>, Error> {
        Ok(None)
    }
}

/// Who a leaf's device is: stored in each of its keyslots, authenticated by the store's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The device, by maker, model and serial; zero for a leaf that is no device.
    pub device: DeviceId,
    /// One line for people: maker, model, serial. At most 255 bytes; longer ones are cut.
    pub text: String,
    /// What the leaf proves itself by; opaque here, at most 8 KiB. Empty: nothing to prove.
    pub pin: Vec<u8>,
}

impl Default for Enrolment {
    /// Of a leaf that is no device, or has not been seen yet.
    fn default() -> Self {
        Enrolment { device: DeviceId([0; 16]), text: String::new(), pin: Vec::new() }
    }
}

/// Why a leaf did not answer. The text names the device and what to do, never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// It is not there now and may come back by itself: library, network, queue, time-out.
    #[error("{0}")]
    Away(String),
    /// It is another device than the one enrolled.
    #[error("{0}")]
    Other(String),
    /// It refuses, and will until somebody acts: PIN refused, key missing or too weak.
    #[error("{0}")]
    Refused(String),
    /// It did not open what it was given: another key, another place, changed bytes.
    #[error("the keyslot does not open with this leaf: {0}")]
    Rejected(String),
    /// Shares are missing.
    #[error("{entered} of {threshold} shares have been entered")]
    Waiting {
        /// Shares entered.
        entered: u8,
        /// Shares needed.
        threshold: u8,
    },
    /// No leaf of this name is configured.
    #[error("no seal block with this name is configured")]
    Unconfigured,
    /// The configured leaf is of another kind than the stored tree says.
    #[error("the tree says {stored}, the configuration says {configured}")]
    Kind {
        /// The kind that was stored.
        stored: Kind,
        /// The kind that is configured.
        configured: Kind,
    },
    /// It was away when this generation was dealt, and has no keyslot of it yet.
    #[error("it was away when generation {0} was dealt and has not been brought up to date")]
    Behind(u32),
    /// Its keyslot is damaged or missing; the text names the row.
    #[error("{0}")]
    Row(String),
}

impl LeafError {
    /// Whether the same call may succeed later although nobody changed the configuration: a device comes back, the right
    /// one is put in again, an operator repairs a key or a PIN, the other leaves return. The caller backs off; asking
    /// again never spends a try of a refused PIN.
    pub fn may_pass_later(&self) -> bool {
        use LeafError::*;
        matches!(self, Away(_) | Other(_) | Refused(_) | Waiting { .. })
    }
}
