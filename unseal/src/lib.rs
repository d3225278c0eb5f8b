//! How the root key comes back: shares, quorum, seal tree, keyslots, recovery keys.
//!
//! Pure of input and output, but for the devices behind a [`leaf::Leaf`]: what is to be stored is handed out as [`Row`]s,
//! which the store's head authenticates. Start with [`tree`], then [`keyslot`].
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

pub mod quorum;
pub mod share;

#[cfg(feature = "std")]
pub mod catch_up;
#[cfg(feature = "std")]
mod check;
#[cfg(feature = "std")]
pub mod custodians;
#[cfg(feature = "std")]
pub mod deal;
#[cfg(feature = "std")]
pub mod envelope;
#[cfg(feature = "std")]
mod error;
#[cfg(feature = "std")]
pub mod expression;
#[cfg(feature = "std")]
pub mod header;
#[cfg(feature = "std")]
pub mod keyslot;
#[cfg(feature = "std")]
pub mod leaf;
#[cfg(feature = "std")]
pub mod loss;
#[cfg(feature = "std")]
pub mod open;
#[cfg(feature = "std")]
mod record;
#[cfg(feature = "std")]
pub mod recovery;
#[cfg(feature = "std")]
pub mod rotate;
#[cfg(feature = "std")]
pub mod rows;
#[cfg(feature = "std")]
pub mod share_set;
#[cfg(feature = "std")]
mod together;
#[cfg(feature = "std")]
pub mod tree;

#[cfg(feature = "std")]
pub use catch_up::CatchUp;
#[cfg(feature = "std")]
pub use check::check;
#[cfg(feature = "std")]
pub use custodians::Custodians;
#[cfg(feature = "std")]
pub use deal::{Absent, Dealing, Dealt};
#[cfg(feature = "std")]
pub use envelope::Envelope;
#[cfg(feature = "std")]
pub use error::{Blame, Error};
#[cfg(feature = "std")]
pub use expression::Expression;
#[cfg(feature = "std")]
pub use header::Header;
#[cfg(feature = "std")]
pub use keyslot::Keyslot;
#[cfg(feature = "std")]
pub use leaf::{DeviceLeaf, Enrolment, Leaf, LeafError};
#[cfg(feature = "std")]
pub use open::{LeafStanding, Opened, Outcome, Standing, open, standing};
#[cfg(feature = "std")]
pub use recovery::{Authorised, Recovery};
#[cfg(feature = "std")]
pub use rotate::{Change, Rotated, Rotation, bring_up};
#[cfg(feature = "std")]
pub use rows::{Row, Rows};
#[cfg(feature = "std")]
pub use share_set::{Belongs, ShareSet};
#[cfg(feature = "std")]
pub use strongroom_hsm::DeviceId;
#[cfg(feature = "std")]
pub use tree::{Kind, QuorumShape, Seal, Tree};
