//! What can be wrong with a policy's text: all of it is for its author to mend.

use std::fmt;

use strongroom_hcl::{Error as HclError, Mistakes};

/// Why a policy's text is refused. Vault puts `failed to parse policy: ` before it.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyFault {
    /// The text is not HCL or JSON, or something outside the rules is wrong.
    Text(Mistakes),
    /// A rule is wrong.
    Rule {
        /// The rule's path, as it is written.
        path: String,
        /// Why.
        fault: RuleFault,
    },
    /// A rule's longest time of wrapping is shorter than its shortest.
    WrappingTtl,
}

/// Why a rule is refused.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleFault {
    /// An attribute is unknown or of a wrong type.
    Text(Mistakes),
    /// A capability that does not exist.
    Capability(String),
    /// A legacy `policy` that does not exist.
    Legacy(String),
    /// `+*` in the path.
    Wildcards,
    /// `{{` and `}}` in the path do not pair.
    Template,
    /// `expiration` is neither RFC 3339 nor seconds since 1970.
    Expiration,
    /// An attribute that restricts what is granted, and that this server could not enforce.
    Unenforced(&'static str),
}

impl From<HclError> for PolicyFault {
    fn from(error: HclError) -> PolicyFault {
        PolicyFault::Text(error.into())
    }
}

impl From<HclError> for RuleFault {
    fn from(error: HclError) -> RuleFault {
        RuleFault::Text(error.into())
    }
}

impl From<Mistakes> for RuleFault {
    fn from(mistakes: Mistakes) -> RuleFault {
        RuleFault::Text(mistakes)
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PolicyFault::Text(mistakes) => write!(f, "{mistakes}"),
            PolicyFault::Rule { path, fault } => write!(f, "path {path:?}: {fault}"),
            PolicyFault::WrappingTtl => f.write_str("max_wrapping_ttl cannot be less than min_wrapping_ttl"),
        }
    }
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleFault::Text(mistakes) => write!(f, "{mistakes}"),
            RuleFault::Capability(name) => write!(f, "invalid capability {name:?}"),
            RuleFault::Legacy(name) => write!(f, "invalid policy {name:?}"),
            RuleFault::Wildcards => f.write_str("invalid use of wildcards ('+*' is forbidden)"),
            RuleFault::Template => {
                f.write_str("failed to validate policy templating: unbalanced templating characters")
            }
            RuleFault::Expiration => f.write_str(
                "invalid expiration time: write RFC 3339, as \"2030-01-31T12:00:00Z\", or seconds since 1970",
            ),
            RuleFault::Unenforced(key) => {
                write!(
                    f,
                    "{key} is not supported by this server, which would grant the path without it; remove the rule or the key"
                )
            }
        }
    }
}

impl std::error::Error for PolicyFault {}
