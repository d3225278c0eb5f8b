//! What all rules on one path grant together.

use std::sync::Arc;

use super::capability::{Capabilities, Capability};
use super::limits::Limits;
use super::pattern::Pattern;

/// What the policies of one caller say about one path.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    pub(super) pattern: Pattern,
    pub(super) capabilities: Capabilities,
    pub(super) grantors: Vec<(Arc<str>, Capabilities)>,
    pub(super) limits: Option<Box<Limits>>,
}

impl Grant {
    /// The path as policies write it, with `*` and `+`.
    pub fn path(&self) -> &str {
        self.pattern.text()
    }

    /// Whether the path ends in `*` and has no `+` segments.
    pub fn is_prefix(&self) -> bool {
        matches!(self.pattern, Pattern::Prefix(_))
    }

    /// What is granted, or that it is denied.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// What is asked beside a capability.
    pub fn limits(&self) -> Option<&Limits> {
        self.limits.as_deref()
    }

    /// The policies that grant `capability`.
    pub fn grantors(&self, capability: Capability) -> impl Iterator<Item = &str> {
        let has = move |(_, capabilities): &&(Arc<str>, Capabilities)| capabilities.has(capability);
        self.grantors.iter().filter(has).map(|(name, _)| &**name)
    }

    pub(super) fn new(pattern: Pattern) -> Grant {
        Grant { pattern, capabilities: Capabilities::NONE, grantors: Vec::new(), limits: None }
    }

    /// Adds a rule of the policy `name` on this path.
    pub(super) fn unite(&mut self, name: &Arc<str>, capabilities: Capabilities, limits: &Limits) {
        self.capabilities = self.capabilities.union(capabilities);
        match self.grantors.last_mut() {
            Some((last, held)) if last == name => *held = held.union(capabilities),
            _ => self.grantors.push((name.clone(), capabilities)),
        }
        if self.capabilities == Capabilities::DENY {
            self.limits = None;
        } else if !limits.is_empty() {
            self.limits.get_or_insert_default().unite(limits);
        }
    }
}
