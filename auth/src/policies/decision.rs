//! The answer to one request.

use std::time::Duration;

use strongroom_mount::Operation;

use super::capability::{Capabilities, Capability};
use super::grant::Grant;

/// What the policies of a caller say about one request. It is an answer, not a right: whoever acts on it makes its own
/// evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<'a> {
    /// Allowed, or why not.
    pub verdict: Verdict,
    /// Whether the caller may also do what asks for sudo, on this path.
    pub sudo: bool,
    /// What decided; `None` if no rule fits the path, or the caller is root.
    pub grant: Option<&'a Grant>,
    /// The operation that was asked about.
    pub operation: Operation,
    /// A list that is allowed must be served with this page size, whatever it asked for.
    pub page: Option<u64>,
}

/// Allowed, or why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The caller holds the root policy.
    Root,
    /// A rule grants it.
    Allowed,
    /// It is refused. The reason is for logs and for who may read policies: the caller hears `permission denied`.
    Denied(Denial),
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denial {
    /// No rule fits the path.
    NoRule,
    /// A rule on the path says `deny`.
    Deny,
    /// The rule on the path does not grant the operation.
    Capability,
    /// The response is not asked to be wrapped, or for too short or too long.
    WrappingTtl,
    /// This parameter must be given.
    ParameterRequired(String),
    /// This parameter must not be given, or not with this value.
    ParameterDenied(String),
    /// This parameter is not among those that may be given, or not with this value.
    ParameterNotAllowed(String),
    /// A list asked for more in one page than it may.
    PageTooLarge,
}

impl Decision<'_> {
    /// Whether it is allowed.
    pub fn allowed(&self) -> bool {
        matches!(self.verdict, Verdict::Root | Verdict::Allowed)
    }

    /// Whether the caller holds the root policy.
    pub fn root(&self) -> bool {
        self.verdict == Verdict::Root
    }

    /// The names of the policies that grant the operation, for the audit log.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        let root = self.root().then_some("root");
        let capability = Capability::from(self.operation);
        let grant = self.grant.filter(|_| self.allowed());
        root.into_iter().chain(grant.into_iter().flat_map(move |grant| grant.grantors(capability)))
    }
}

impl<'a> Decision<'a> {
    pub(super) fn root_may(operation: Operation) -> Decision<'a> {
        Decision { verdict: Verdict::Root, sudo: true, grant: None, operation, page: None }
    }

    pub(super) fn none(operation: Operation) -> Decision<'a> {
        Decision { verdict: Verdict::Denied(Denial::NoRule), sudo: false, grant: None, operation, page: None }
    }

    /// What `grant` says about an operation; `given` is only read where the grant asks something of parameters.
    pub(super) fn by<'p>(
        grant: &'a Grant,
        operation: Operation,
        given: impl FnOnce() -> Vec<(&'p str, &'p str)>,
        wrap_ttl: Option<Duration>,
    ) -> Decision<'a> {
        let sudo = grant.capabilities.has(Capability::Sudo);
        let decide = |verdict, page| Decision { verdict, sudo, grant: Some(grant), operation, page };
        match check(grant, operation, given, wrap_ttl) {
            Ok(page) => decide(Verdict::Allowed, page),
            Err(denial) => decide(Verdict::Denied(denial), None),
        }
    }
}

fn check<'p>(
    grant: &Grant,
    operation: Operation,
    given: impl FnOnce() -> Vec<(&'p str, &'p str)>,
    wrap_ttl: Option<Duration>,
) -> Result<Option<u64>, Denial> {
    if grant.capabilities == Capabilities::DENY {
        return Err(Denial::Deny);
    }
    if !grant.capabilities.has(Capability::from(operation)) {
        return Err(Denial::Capability);
    }
    let Some(limits) = grant.limits.as_deref() else { return Ok(None) };
    limits.check_wrapping(wrap_ttl)?;
    match operation {
        Operation::Read | Operation::Create | Operation::Update | Operation::Patch => {
            limits.check_parameters(&given()).map(|()| None)
        }
        Operation::List | Operation::Scan => limits.check_page(&given()),
        Operation::Delete => Ok(None),
    }
}
