//! What a policy can grant on a path.

use std::fmt;

use strongroom_mount::Operation;

/// One capability, in alphabetical order, which is the order that clients see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Write what is not there yet.
    Create,
    /// Delete.
    Delete,
    /// Nothing at all, whatever else is granted on the same path.
    Deny,
    /// List one directory.
    List,
    /// Change a part.
    Patch,
    /// Read.
    Read,
    /// List a whole tree.
    Scan,
    /// Do what only root may, on paths that ask for it.
    Sudo,
    /// Write what is there, or what makes no difference between the two.
    Update,
}

impl Capability {
    /// All of them, in order.
    pub const ALL: [Capability; 9] = [
        Capability::Create,
        Capability::Delete,
        Capability::Deny,
        Capability::List,
        Capability::Patch,
        Capability::Read,
        Capability::Scan,
        Capability::Sudo,
        Capability::Update,
    ];

    /// Its word in policies and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Capability::Create => "create",
            Capability::Delete => "delete",
            Capability::Deny => "deny",
            Capability::List => "list",
            Capability::Patch => "patch",
            Capability::Read => "read",
            Capability::Scan => "scan",
            Capability::Sudo => "sudo",
            Capability::Update => "update",
        }
    }

    /// The capability with this word.
    pub fn from_name(name: &str) -> Option<Capability> {
        Capability::ALL.into_iter().find(|capability| capability.name() == name)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The capability that an operation needs.
impl From<Operation> for Capability {
    fn from(operation: Operation) -> Capability {
        match operation {
            Operation::Create => Capability::Create,
            Operation::Read => Capability::Read,
            Operation::Update => Capability::Update,
            Operation::Patch => Capability::Patch,
            Operation::Delete => Capability::Delete,
            Operation::List => Capability::List,
            Operation::Scan => Capability::Scan,
        }
    }
}

/// A set of capabilities. With `deny` in it there is nothing else in it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u16);

impl Capabilities {
    /// Nothing granted, nothing denied.
    pub const NONE: Capabilities = Capabilities(0);
    /// Denied.
    pub const DENY: Capabilities = Capabilities(Capability::Deny.bit());

    /// This set and one more; `deny` takes everything else away, for good.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Capabilities {
        self.union(Capabilities(capability.bit()))
    }

    /// What two rules on one path grant together; `deny` in either takes everything away.
    #[must_use]
    pub const fn union(self, other: Capabilities) -> Capabilities {
        let both = self.0 | other.0;
        if both & Capability::Deny.bit() != 0 { Capabilities::DENY } else { Capabilities(both) }
    }

    /// Whether `capability` is in it.
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// Whether something is granted.
    pub fn grants(self) -> bool {
        self != Capabilities::NONE && self != Capabilities::DENY
    }

    /// What is in it, in order.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |capability| self.has(*capability))
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Capabilities {
        capabilities.into_iter().fold(Capabilities::NONE, Capabilities::with)
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_order() {
        let names: Vec<_> = Capability::ALL.into_iter().map(Capability::name).collect();
        assert!(names.is_sorted());
        for capability in Capability::ALL {
            assert_eq!(Capability::from_name(capability.name()), Some(capability));
        }
        assert_eq!(Capability::from_name("fly"), None);
        assert_eq!(Capability::from_name("Read"), None);
    }

    #[test]
    fn deny_takes_everything_away() {
        let read = Capabilities::NONE.with(Capability::Read);
        let denied = read.with(Capability::Deny);
        assert_eq!(denied, Capabilities::DENY);
        assert_eq!(denied.with(Capability::Read), Capabilities::DENY);
        assert_eq!(read.union(Capabilities::DENY), Capabilities::DENY);
        assert!(read.grants() && !denied.grants() && !Capabilities::NONE.grants());
        assert_eq!(format!("{denied:?}"), "{Deny}");
    }

    #[test]
    fn an_operation_needs_the_capability_of_its_name() {
        use Operation::{Create, Delete, List, Patch, Read, Scan, Update};
        for operation in [Create, Delete, List, Patch, Read, Scan, Update] {
            assert_eq!(Capability::from(operation).name(), operation.name());
        }
    }
}
