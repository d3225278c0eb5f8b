//! What the policies of one caller say together, compiled for fast answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use strongroom_clock::Timestamp;
use strongroom_mount::Operation;

use super::capability::Capabilities;
use super::decision::Decision;
use super::grant::Grant;
use super::name::PolicyName;
use super::pattern::Pattern;
use super::policy::Policy;
use super::prefixes::Prefixes;
use super::segments::Segments;
use super::template::Selector;
use crate::Error;

/// The policies of one caller, compiled.
///
/// The most specific rule decides: the path itself, or else the pattern with the longest literal start. Rules of several
/// policies on equal paths are united, and `deny` on a path beats everything on that path. What no rule fits is refused.
///
/// An answer takes one look-up in a map, then one walk down a tree of prefixes and one down a tree of `+` patterns, each
/// as long as the path of the request, whatever the number of rules.
#[derive(Clone, Debug, Default)]
pub struct Acl {
    root: bool,
    grants: Vec<Grant>,
    exact: HashMap<Box<str>, u32>,
    prefixes: Prefixes,
    segments: Segments,
    good_until: Option<Timestamp>,
}

impl Acl {
    /// Compiles `policies` for a caller of whom nothing is known: rules with `{{…}}` in their path grant nothing.
    ///
    /// Rules that have ended at `now` are left out; [`Acl::good_until`] says when the next ends.
    pub fn new(policies: &[Arc<Policy>], now: Timestamp) -> Result<Acl, Error> {
        Acl::for_identity(policies, now, &|_| None)
    }

    /// Compiles `policies` for a caller of whom `known` tells.
    pub fn for_identity(
        policies: &[Arc<Policy>],
        now: Timestamp,
        known: &dyn Fn(&Selector) -> Option<String>,
    ) -> Result<Acl, Error> {
        if policies.iter().any(|policy| policy.name().is_root()) {
            return if policies.len() == 1 { Ok(Acl::root()) } else { Err(Error::PolicyBesideRoot) };
        }
        let mut acl = Acl::default();
        let mut places: HashMap<Pattern, usize> = HashMap::new();
        for policy in policies {
            for rule in policy.rules() {
                if rule.expiration.is_some_and(|end| end <= now) {
                    continue;
                }
                acl.good_until = [acl.good_until, rule.expiration].into_iter().flatten().min();
                let Some(path) = rule.path_for(known) else { continue };
                let pattern = Pattern::new(&path);
                let place = *places.entry(pattern.clone()).or_insert(acl.grants.len());
                if place == acl.grants.len() {
                    acl.grants.push(Grant::new(pattern));
                }
                acl.grants[place].unite(&policy.label, rule.capabilities, &rule.limits);
            }
        }
        acl.index();
        Ok(acl)
    }

    /// What the root policy says: everything.
    pub fn root() -> Acl {
        Acl { root: true, ..Acl::default() }
    }

    /// Whether this is the root policy.
    pub fn is_root(&self) -> bool {
        self.root
    }

    /// When the next rule ends, at which this must be compiled anew.
    pub fn good_until(&self) -> Option<Timestamp> {
        self.good_until
    }

    /// Decides one request.
    ///
    /// `path` is the canonical path without the API's version; that of a list ends in `/`, as Vault's listener makes it.
    /// `parameters` are names with their values as JSON text, and are only read where a rule asks something of them.
    /// `wrap_ttl` is for how long the response is to be wrapped.
    pub fn decide<'a, 'p>(
        &'a self,
        operation: Operation,
        path: &str,
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
        wrap_ttl: Option<Duration>,
    ) -> Decision<'a> {
        if self.root {
            return Decision::root_may(operation);
        }
        let listing = matches!(operation, Operation::List | Operation::Scan);
        match self.find(path, listing) {
            Some(grant) => Decision::by(grant, operation, || parameters.into_iter().collect(), wrap_ttl),
            None => Decision::none(operation),
        }
    }

    /// Whether the policies grant `operation` on `path` at all, to some parameters at least.
    pub fn may(&self, operation: Operation, path: &str) -> bool {
        let listing = matches!(operation, Operation::List | Operation::Scan);
        let granted = |grant: &Grant| grant.capabilities.has(operation.into());
        self.root || self.find(path, listing).is_some_and(granted)
    }

    /// The capabilities on `path` as `sys/capabilities` answers: in alphabetical order, `root` alone or `deny` alone.
    pub fn capabilities(&self, path: &str) -> Vec<&'static str> {
        if self.root {
            return vec![PolicyName::ROOT];
        }
        let granted = self.find(path, true).map_or(Capabilities::NONE, Grant::capabilities);
        let shown = if granted.grants() { granted } else { Capabilities::DENY };
        shown.iter().map(|capability| capability.name()).collect()
    }

    /// Everything that is granted or denied, in the order of the policies.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Whether something is granted on `mount` or on any path below it; `mount` ends in `/`.
    pub fn reaches(&self, mount: &str) -> bool {
        let granted = |grant: &Grant| grant.capabilities.grants();
        let below = || self.grants.iter().any(|grant| granted(grant) && could_match_below(&grant.pattern, mount));
        self.root || self.wildcard(mount).is_some_and(granted) || below()
    }

    /// The rule that counts for `path`. A list of `foo/` is also a list of `foo`.
    fn find(&self, path: &str, listing: bool) -> Option<&Grant> {
        let path = path.trim_start_matches('/');
        let shorter = if listing { path.strip_suffix('/') } else { None };
        let exact = |path: &str| self.exact.get(path).map(|at| &self.grants[*at as usize]);
        exact(path)
            .or_else(|| shorter.and_then(exact))
            .or_else(|| self.wildcard(path))
            .or_else(|| shorter.and_then(|path| self.wildcard(path)))
    }

    /// The pattern of the highest rank that matches `path`.
    fn wildcard(&self, path: &str) -> Option<&Grant> {
        let mut found = self.prefixes.longest(path).map(|at| &self.grants[at as usize]);
        if !self.segments.is_empty() {
            self.segments.matches(path, |at| {
                let grant = &self.grants[at as usize];
                if found.is_none_or(|best| best.pattern.rank() < grant.pattern.rank()) {
                    found = Some(grant);
                }
            });
        }
        found
    }

    fn index(&mut self) {
        for (at, grant) in self.grants.iter().enumerate() {
            // A rule takes at least ten bytes of text, and a text has at most a mebibyte: far below 2³².
            let at = u32::try_from(at).expect("fewer than 2^32 rules");
            let (stem, open) = grant.pattern.stem();
            match &grant.pattern {
                Pattern::Exact(path) => {
                    self.exact.insert(path.clone(), at);
                }
                Pattern::Prefix(_) => self.prefixes.insert(stem, at),
                Pattern::Segments(_) => self.segments.insert(stem, open, at),
            }
        }
    }
}

/// Whether a pattern could match a path that starts with `mount`.
fn could_match_below(pattern: &Pattern, mount: &str) -> bool {
    let (stem, open) = pattern.stem();
    if !matches!(pattern, Pattern::Segments(_)) {
        return stem.starts_with(mount) || (open && mount.starts_with(stem));
    }
    // The last part of `mount` is empty: what follows it is any text.
    let mut parts = mount.split('/').collect::<Vec<_>>();
    parts.pop();
    let mut segments = stem.split('/').peekable();
    for part in parts {
        let Some(segment) = segments.next() else { return false };
        if open && segments.peek().is_none() {
            return part.starts_with(segment);
        }
        if segment != "+" && segment != part {
            return false;
        }
    }
    segments.next().is_some()
}
