//! Why custody did not do what was asked.

use strongroom_keystore as keystore;
use strongroom_unseal as unseal;

/// An error of custody. No text holds a secret; the texts of [`Error::Request`] and [`Error::Share`] are the ones that
/// Vault's clients know.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The caller.
    /// The store holds something already.
    #[error("Vault is already initialized")]
    AlreadyInitialised,
    /// There is nothing to unseal.
    #[error("Vault is not initialized")]
    NotInitialised,
    /// It is open already.
    #[error("vault is unsealed")]
    Unsealed,
    /// What was asked for does not fit the seal tree, or nothing.
    #[error("{0}")]
    Request(String),
    /// A share was refused; those entered before stay.
    #[error("{0}")]
    Share(String),

    // A device, or who holds it.
    /// Too few leaves are at hand.
    #[error("{0}")]
    Away(String),

    // The store.
    /// This copy of the store is older than one that was confirmed.
    #[error("{0}")]
    Rollback(String),
    /// The store does not hold what was put into it.
    #[error("{0}")]
    Damaged(String),
    /// The store cannot be used.
    #[error("{0}")]
    Store(keystore::Error),

    // Us.
    /// The random generator or a primitive failed.
    #[error("{0}")]
    Us(String),
}

impl Error {
    /// What anybody may hear, who has proven nothing: no record is named, and no path. The log has the rest.
    pub fn public(&self) -> String {
        match self {
            Error::Damaged(_) => "the store does not hold what was put into it: the server's log says what".into(),
            Error::Store(keystore::Error::NoSpace) => self.to_string(),
            Error::Store(_) => "the store cannot be used: the server's log says why".into(),
            Error::Us(_) => "internal error".into(),
            _ => self.to_string(),
        }
    }
}

impl From<keystore::Error> for Error {
    fn from(error: keystore::Error) -> Self {
        match error {
            keystore::Error::AlreadyInitialised => Error::AlreadyInitialised,
            keystore::Error::NotInitialised => Error::NotInitialised,
            keystore::Error::RollbackDetected { .. } | keystore::Error::EpochTooOld { .. } => {
                Error::Rollback(error.to_string())
            }
            keystore::Error::Integrity { .. } | keystore::Error::WrongRoot => Error::Damaged(error.to_string()),
            keystore::Error::Random => Error::Us(error.to_string()),
            other => Error::Store(other),
        }
    }
}

impl From<unseal::Error> for Error {
    fn from(error: unseal::Error) -> Self {
        let text = error.to_string();
        match error {
            unseal::Error::Share { .. } => Error::Share(text),
            // A device that could come back by itself no longer can; the text names a generation and no record.
            unseal::Error::LockOut { .. } | unseal::Error::CatchUp { .. } => Error::Away(text),
            _ => match error.blame() {
                unseal::Blame::Store => Error::Damaged(text),
                unseal::Blame::Device => Error::Away(text),
                unseal::Blame::Us => Error::Us(text),
                unseal::Blame::Caller | unseal::Blame::Configuration => Error::Request(text),
            },
        }
    }
}

impl From<strongroom_secret::RandomError> for Error {
    fn from(error: strongroom_secret::RandomError) -> Self {
        Error::Us(error.to_string())
    }
}
