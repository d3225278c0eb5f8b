//! What can go wrong here, sorted by whose fault it is. The texts are those that Vault's clients know.

use strongroom_keystore::Error as StoreError;
use strongroom_mount::{Blame, Error as MountError};
use strongroom_secret::RandomError;

use crate::policies::PolicyFault;

/// What went wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // The caller's.
    /// A policy without a name.
    #[error("policy name missing")]
    PolicyNameMissing,
    /// A policy's name that is too long or has control characters in it.
    #[error("a policy's name has at most 512 bytes and no control characters")]
    PolicyName,
    /// A policy that is written without a text.
    #[error("'policy' parameter not supplied or empty")]
    PolicyEmpty,
    /// A policy's text that cannot be taken.
    #[error("failed to parse policy: {0}")]
    PolicyText(Box<PolicyFault>),
    /// A change to a policy whose text is fixed.
    #[error("cannot update {0:?} policy")]
    PolicyUpdate(String),
    /// The removal of a policy whose text is fixed.
    #[error("cannot delete {0:?} policy")]
    PolicyDelete(String),
    /// The removal of the default policy.
    #[error("cannot delete default policy")]
    PolicyDeleteDefault,
    /// A token that holds the root policy and others.
    #[error("other policies present along with root")]
    PolicyBesideRoot,

    /// A token that may not be used, for whatever reason.
    #[error("permission denied")]
    Denied,
    /// An id that another token has.
    #[error("cannot create a token with a duplicate ID")]
    DuplicateTokenId,
    /// A batch token with more in it than a header can carry.
    #[error("batch tokens with so many policies and so much metadata are too long: use a service token")]
    BatchTooLong,
    /// A parent that was revoked or expired while its child was made.
    #[error("parent token lookup failed: no parent found")]
    ParentGone,
    /// The renewal of a token that is not there.
    #[error("token not found")]
    TokenNotFound,
    /// The renewal of a token that never expires.
    #[error("invalid lease ID")]
    InvalidLease,
    /// The renewal of a token that was made not to be.
    #[error("lease is not renewable")]
    NotRenewable,
    /// The renewal of a token that has had all its time.
    #[error("past the max TTL, cannot renew")]
    PastMaxTtl,
    /// The renewal of a token whose role was deleted.
    #[error("original token role {0:?} could not be found, not renewing")]
    RoleGone(String),

    // The store's.
    /// The store failed, or was changed.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// A row of the token store that is not as `docs/formats/stored-token.md` says.
    #[error("a row of the token store is damaged: {0}")]
    StoredToken(&'static str),
    /// A stored policy that is not as `docs/formats/policy.md` says.
    #[error("a stored policy is damaged: {0}")]
    StoredPolicy(&'static str),
}

impl Error {
    /// Whether another change came first, so that the same change may succeed when it is worked out anew.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Error::Store(error) if matches!(**error, StoreError::Conflict { .. }))
    }
}

impl From<PolicyFault> for Error {
    fn from(fault: PolicyFault) -> Error {
        Error::PolicyText(Box::new(fault))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Error {
        Error::Store(Box::new(error))
    }
}

impl From<RandomError> for Error {
    fn from(error: RandomError) -> Error {
        StoreError::from(error).into()
    }
}

/// What clients hear. A damaged row is loud, and only the log says which.
impl From<Error> for MountError {
    fn from(error: Error) -> MountError {
        match error {
            Error::Denied => MountError::denied(),
            Error::Store(error) => (*error).into(),
            Error::StoredPolicy(_) | Error::StoredToken(_) => {
                MountError { detail: Some(error.to_string()), ..MountError::us("") }.blame(Blame::Integrity)
            }
            error => MountError::caller(error.to_string()),
        }
    }
}
