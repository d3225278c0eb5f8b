//! Shares come in one at a time, and are judged one at a time: a wrong one is refused at entry and named, and costs none
//! of the good ones (T-22). One holder counts once, and only shares of one generation are held together (T-20, T-23).
//!
//! Neither std nor an allocator is used: the slots are lent by the caller, and the judge, which knows the commitments,
//! is handed in at each entry.

use crate::share::{self, CombineError};
use core::fmt;
use zeroize::Zeroize;

/// Bytes of the secret that a quorum gives back.
pub const SECRET_BYTES: usize = 32;
/// Bytes of the longest share: y and x.
pub const SHARE_BYTES: usize = SECRET_BYTES + 1;

/// What the commitments say of one share, looked at alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the share with this number (from 0), of this holder and generation.
    Whole {
        /// The number of the share in its set, from 0.
        share: u8,
        /// The number of the person who holds it.
        holder: u8,
        /// The generation of the set.
        generation: u32,
    },
    /// It can only have been the share with this number, and is not what was dealt.
    Damaged {
        /// The number of the share in its set, from 0.
        share: u8,
    },
    /// It belongs to no share of any set that is known.
    Unknown,
}

/// Who can tell a share that was dealt from one that was not.
pub trait Judge {
    /// Looks at one share alone.
    fn judge(&self, share: &[u8]) -> Verdict;
}

impl<F: Fn(&[u8]) -> Verdict> Judge for F {
    fn judge(&self, share: &[u8]) -> Verdict {
        self(share)
    }
}

/// Why a share was not taken. What was taken before it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The share was dealt, but is not as it was dealt.
    Damaged {
        /// The number of the share in its set, from 0.
        share: u8,
    },
    /// The share is none of this set.
    Unknown,
    /// The share is of another generation.
    Generation {
        /// The generation that the share was dealt in.
        of: u32,
        /// The generation that is asked for.
        wanted: u32,
    },
    /// The share has been entered before.
    Again {
        /// The number of the share in its set, from 0.
        share: u8,
    },
    /// Another share of the same holder has been entered before.
    SameHolder {
        /// The number of the refused share, from 0.
        share: u8,
        /// The number of the share that counts, from 0.
        entered: u8,
    },
    /// The threshold has been reached already.
    Complete,
}

/// Why there is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuorumError {
    /// More shares are needed.
    Missing(Progress),
    /// The shares passed the judge and do not combine: the judge is wrong.
    Combine(CombineError),
}

/// How far a quorum has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Shares entered.
    pub entered: u8,
    /// Shares needed.
    pub threshold: u8,
}

impl Progress {
    /// Whether enough shares have been entered.
    pub fn is_complete(self) -> bool {
        self.entered >= self.threshold
    }
}

/// Room for one entered share; wiped when it is emptied and when it is dropped.
pub struct Slot {
    taken: bool,
    share: u8,
    holder: u8,
    length: u8,
    bytes: [u8; SHARE_BYTES],
}

impl Slot {
    /// An empty slot.
    pub const EMPTY: Slot = Slot { taken: false, share: 0, holder: 0, length: 0, bytes: [0; SHARE_BYTES] };
}

impl AsRef<[u8]> for Slot {
    fn as_ref(&self) -> &[u8] {
        // The length was checked when the slot was filled.
        &self.bytes[..usize::from(self.length)]
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// Shares of one set on their way to the secret. `S` is the room: one slot per share of the threshold.
pub struct Quorum<S> {
    generation: u32,
    progress: Progress,
    slots: S,
}

impl<S: AsRef<[Slot]> + AsMut<[Slot]>> Quorum<S> {
    /// An empty quorum of as many shares of `generation` as there are slots, at most 255, all of them empty.
    pub fn new(generation: u32, slots: S) -> Self {
        let threshold = u8::try_from(slots.as_ref().len()).unwrap_or(u8::MAX);
        let mut quorum = Quorum { generation, progress: Progress { entered: 0, threshold }, slots };
        quorum.reset();
        quorum
    }

    /// Takes one share, or says why not.
    pub fn enter(&mut self, share: &[u8], judge: &impl Judge) -> Result<Progress, Refusal> {
        let (number, holder) = match judge.judge(share) {
            Verdict::Whole { generation, .. } if generation != self.generation => {
                return Err(Refusal::Generation { of: generation, wanted: self.generation });
            }
            Verdict::Whole { share, holder, .. } => (share, holder),
            Verdict::Damaged { share } => return Err(Refusal::Damaged { share }),
            Verdict::Unknown => return Err(Refusal::Unknown),
        };
        if share.len() > SHARE_BYTES {
            return Err(Refusal::Unknown);
        }
        for slot in self.slots.as_ref().iter().filter(|slot| slot.taken) {
            if slot.share == number {
                return Err(Refusal::Again { share: number });
            }
            if slot.holder == holder {
                return Err(Refusal::SameHolder { share: number, entered: slot.share });
            }
        }
        let Some(free) = self.slots.as_mut().iter_mut().find(|slot| !slot.taken) else {
            return Err(Refusal::Complete);
        };
        free.taken = true;
        (free.share, free.holder) = (number, holder);
        // At most SHARE_BYTES, checked above.
        free.length = share.len() as u8;
        free.bytes[..share.len()].copy_from_slice(share);
        self.progress.entered += 1;
        Ok(self.progress)
    }

    /// How many shares have come, of how many.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The generation whose shares are taken.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The numbers of the shares entered.
    pub fn entered(&self) -> impl Iterator<Item = u8> {
        self.slots.as_ref().iter().filter(|slot| slot.taken).map(|slot| slot.share)
    }

    /// Combines the secret into `out`. A share of one out of one is the secret itself.
    pub fn combine(&self, out: &mut [u8; SECRET_BYTES]) -> Result<(), QuorumError> {
        let slots = self.slots.as_ref();
        match slots {
            _ if !self.progress.is_complete() || slots.is_empty() => Err(QuorumError::Missing(self.progress)),
            [only] if only.as_ref().len() == SECRET_BYTES => {
                out.copy_from_slice(only.as_ref());
                Ok(())
            }
            _ => share::combine(slots, out).map_err(QuorumError::Combine),
        }
    }

    /// Forgets every share entered, and wipes it.
    pub fn reset(&mut self) {
        for slot in self.slots.as_mut() {
            slot.bytes.zeroize();
            *slot = Slot::EMPTY;
        }
        self.progress.entered = 0;
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Damaged { share } => write!(f, "share {} is not as it was dealt", share + 1),
            Refusal::Unknown => f.write_str("the share is none of this set"),
            Refusal::Generation { of, wanted } => {
                write!(f, "the share is of generation {of}, and generation {wanted} is asked for")
            }
            Refusal::Again { share } => write!(f, "share {} has been entered before", share + 1),
            Refusal::SameHolder { share, entered } => write!(
                f,
                "share {} is held by who holds share {}, which has been entered: one person counts once",
                share + 1,
                entered + 1
            ),
            Refusal::Complete => f.write_str("enough shares have been entered"),
        }
    }
}

impl fmt::Display for QuorumError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuorumError::Missing(progress) => {
                write!(f, "{} of {} shares have been entered", progress.entered, progress.threshold)
            }
            QuorumError::Combine(error) => write!(f, "the shares do not combine: {error}"),
        }
    }
}
