//! What can go wrong while the root key is taken apart or put together, sorted by whose doing it is.

use crate::quorum::Refusal;
use strongroom_secret::RandomError;

/// Whose doing an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Who entered the share or asked for the change.
    Caller,
    /// Who wrote the configuration.
    Configuration,
    /// The device of a leaf, or who holds it.
    Device,
    /// The store, which does not hold what was put into it.
    Store,
    /// This program or the machine it runs on.
    Us,
}

/// Why a root key was not dealt, opened or rotated. No text holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The caller.
    /// A share was refused; those entered before stay.
    #[error("invalid key: leaf {leaf:?}: {}", refused(.refusal, .holder))]
    Share {
        /// The name of the leaf.
        leaf: String,
        /// The name of who holds the share, where the share is known.
        holder: Option<String>,
        /// Why it was refused.
        refusal: Refusal,
    },
    /// The share count and the threshold do not fit.
    #[error("{0}")]
    Shape(&'static str),
    /// The recovery shares do not make the recovery key.
    #[error("the recovery shares do not combine to the recovery key: {0}")]
    Recovery(String),
    /// What was asked for would leave no leaf, or too few, to open the root with.
    #[error("refused: with {absent} away, no set of the leaves at hand opens the root key; bring them back first")]
    LockOut {
        /// The names of the leaves that are away.
        absent: String,
    },

    // The configuration.
    /// The expression does not parse, or names what is not there.
    #[error("unseal_when, column {column}: {reason}")]
    Expression {
        /// Characters from the start of the text, from 1.
        column: usize,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A leaf is configured otherwise than the stored tree says.
    #[error("leaf {leaf:?}: {reason}")]
    Leaf {
        /// The name of the leaf.
        leaf: String,
        /// What differs.
        reason: String,
    },

    // The store.
    /// A row is not as it was written.
    #[error("row {row:?} is damaged: {reason}")]
    Damaged {
        /// The name of the row.
        row: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A row was written by a later version of this program.
    #[error("row {row:?} has format {found}, and this version reads up to {known}: use the version that wrote it")]
    Newer {
        /// The name of the row.
        row: String,
        /// The format version found.
        found: u8,
        /// The latest format version known.
        known: u8,
    },
    /// A row that must be there is not.
    #[error("row {row:?} is missing")]
    Missing {
        /// The name of the row.
        row: String,
    },
    /// A catch-up record is too old to be followed, or from a time to come.
    #[error("catch-up from generation {from}: {reason}")]
    CatchUp {
        /// The generation that the record leads on from.
        from: u32,
        /// Why it was not followed.
        reason: String,
    },

    // Us.
    /// The random generator failed; nothing was made.
    #[error("the random generator failed; nothing was made")]
    Random,
    /// A primitive of the cryptographic module refused what it must not refuse.
    #[error("the cryptographic module failed: {0}")]
    Module(&'static str),
}

impl Error {
    /// Whose doing this is.
    pub fn blame(&self) -> Blame {
        match self {
            Error::Share { .. } | Error::Shape(_) | Error::Recovery(_) | Error::LockOut { .. } => Blame::Caller,
            Error::Expression { .. } | Error::Leaf { .. } => Blame::Configuration,
            Error::Damaged { .. } | Error::Newer { .. } | Error::Missing { .. } | Error::CatchUp { .. } => Blame::Store,
            Error::Random | Error::Module(_) => Blame::Us,
        }
    }
}

impl From<RandomError> for Error {
    fn from(_: RandomError) -> Self {
        Error::Random
    }
}

fn refused(refusal: &Refusal, holder: &Option<String>) -> String {
    match holder {
        Some(holder) => format!("{refusal} (held by {holder:?})"),
        None => refusal.to_string(),
    }
}
