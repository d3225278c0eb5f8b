//! What can go wrong here, sorted by whose fault it is. The texts are those that Vault's clients know.

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

    // The store's.
    /// A stored policy that is not as `docs/formats/policy.md` says.
    #[error("a stored policy is damaged: {0}")]
    StoredPolicy(&'static str),
}

impl From<PolicyFault> for Error {
    fn from(fault: PolicyFault) -> Error {
        Error::PolicyText(Box::new(fault))
    }
}
