//! Policies: which operations a caller may do on which paths.
//!
//! A [`Policy`] is parsed from HCL or JSON. An [`Acl`] is what the policies of one token say together, compiled;
//! [`Acl::decide`] answers one request with a [`Decision`], which is data: what stands for a right is the pipeline's own
//! evidence, which it makes from this.
//!
//! The language is that of Vault and OpenBao. Where it is stricter, `docs/formats/policy.md` says so.

mod acl;
mod builtin;
mod capability;
mod decision;
mod fault;
mod grant;
mod limits;
mod name;
mod parse;
mod pattern;
mod policy;
mod prefixes;
mod segments;
mod stored;
mod template;

pub use acl::Acl;
pub use builtin::{DEFAULT_TEXT, RESPONSE_WRAPPING_TEXT};
pub use capability::{Capabilities, Capability};
pub use decision::{Decision, Denial, Verdict};
pub use fault::{PolicyFault, RuleFault};
pub use grant::Grant;
pub use limits::{Limits, Parameters, Wanted};
pub use name::PolicyName;
pub use parse::text_of;
pub use policy::{Policy, Rule};
pub use stored::StoredPolicy;
pub use template::{Pieces, Selector, Template};
