//! Everything encrypted on untrusted storage: barrier, keyring, views.
//!
//! The owner of the storage is an adversary who may read, change, swap, delete and roll back rows; all but reading
//! ciphertext and sizes is detected (`docs/formats/`).

#![forbid(unsafe_code)]

mod barrier;
mod batch;
mod cache;
mod engine;
mod epoch;
mod error;
pub mod format;
mod generations;
mod index;
mod path;
pub mod storage;
mod store;
mod view;

pub use barrier::{Alarm, Barrier, Change, DeviceStatus, Integrity, KeyStatus};
pub use batch::{Batch, MAX_VALUE};
pub use cache::Cache;
pub use engine::answer::wait;
pub use engine::{Problem, Progress, Reencryption, TermLimits, Verification};
pub use epoch::{Device, DeviceId, Reading};
pub use error::{Blame, Error, Layer};
pub use path::MAX_PATH;
pub use store::{ClearHead, Init, Opened, Options, PROGRAM, Raise, Store};
pub use view::{MountId, Row, Sequence, Version, View};
