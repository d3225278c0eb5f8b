//! One policy: its rules as they are written.

use std::sync::Arc;

use strongroom_clock::Timestamp;

use super::capability::Capabilities;
use super::limits::Limits;
use super::name::PolicyName;
use super::template::{Selector, Template};

/// A policy, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(super) name: PolicyName,
    pub(super) label: Arc<str>,
    pub(super) rules: Vec<Rule>,
}

/// `path "…" { … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The path, with `*`, `+` and `{{…}}`.
    pub path: Template,
    /// What is granted, the legacy `policy` included.
    pub capabilities: Capabilities,
    /// What is asked beside a capability.
    pub limits: Limits,
    /// When the rule ends.
    pub expiration: Option<Timestamp>,
}

impl Policy {
    /// The policy of this name whose text says `rules`.
    pub(super) fn new(name: PolicyName, rules: Vec<Rule>) -> Policy {
        Policy { label: name.as_str().into(), name, rules }
    }

    /// What it is called.
    pub fn name(&self) -> &PolicyName {
        &self.name
    }

    /// Its rules in the order of the text.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether a path has `{{…}}` in it, so that what is granted depends on who asks.
    pub fn is_templated(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.path, Template::Pieces(_)))
    }
}

impl Rule {
    /// The path for a caller of whom `known` tells; `None` drops the rule.
    pub(super) fn path_for(&self, known: &dyn Fn(&Selector) -> Option<String>) -> Option<String> {
        self.path.fill(known)
    }
}
