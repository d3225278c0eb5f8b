//! A token as the store knows it. Its id is not here: only the key that is made from it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use strongroom_clock::Timestamp;
use strongroom_mount::{Caller, Presented};

use super::cidr::Cidr;
use super::id::TokenKey;

/// A token, decoded. Spans are seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The key under which it is stored.
    pub key: TokenKey,
    /// The key in hex, as [`Caller`] has it.
    pub name: Arc<str>,
    /// Service or batch.
    pub kind: TokenType,
    /// Alive, or on its way out.
    pub state: State,
    /// Names it without giving it away; empty for a batch token.
    pub accessor: Arc<str>,
    /// `token`, `token-alice`, `root`, or what the auth method named it.
    pub display_name: Arc<str>,
    /// Its policies, sorted.
    pub policies: Arc<[String]>,
    /// The identity entity; empty where there is none.
    pub entity_id: Arc<str>,
    /// The path of the request that made it.
    pub path: String,
    /// The role that it was made through; empty for none.
    pub role: String,
    /// What its maker wrote on it.
    pub metadata: BTreeMap<String, String>,
    /// Where it may be used from; empty for anywhere.
    pub cidrs: Vec<Cidr>,
    /// With whom it goes; `None` for an orphan.
    pub parent: Option<TokenKey>,
    /// Whether it may have children: false only where it never had any.
    pub may_have_children: bool,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is refused; `None` never.
    pub expires: Option<Timestamp>,
    /// When its rows are to be taken away; `None` never.
    pub due: Option<Timestamp>,
    /// When it was last renewed.
    pub renewed: Option<Timestamp>,
    /// The TTL that it was made with.
    pub creation_ttl: u64,
    /// The TTL that it was last given.
    pub granted_ttl: u64,
    /// What caps all renewals, counted from its creation; 0 for none.
    pub explicit_max_ttl: Bound,
    /// What each renewal gives it; 0 for none.
    pub period: Bound,
    /// How often it may still be used.
    pub uses: Uses,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// Service or batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenType {
    /// Stored: it can be renewed, revoked, counted, and have children.
    Service,
    /// Sealed into itself and stored nowhere.
    Batch,
}

impl TokenType {
    /// Its word in answers.
    pub const fn name(self) -> &'static str {
        match self {
            TokenType::Service => "service",
            TokenType::Batch => "batch",
        }
    }
}

/// Alive, or on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// In use, as far as its other fields allow.
    Live,
    /// Being revoked with all its descendants.
    Leaving,
    /// Being revoked alone: its children become orphans.
    LeavingAlone,
}

/// A span that both the request and the role may set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bound {
    /// What holds, as last worked out; 0 for none.
    pub in_force: u64,
    /// What the request that made the token asked for; 0 for none.
    pub asked: u64,
}

/// How often a token may still be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Uses {
    /// Without limit.
    Unlimited,
    /// So often; after the last use, 0.
    Left(u64),
}

impl Token {
    /// Whether it may be used at `now`.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.state == State::Live && self.uses != Uses::Left(0) && self.expires.is_none_or(|end| now < end)
    }

    /// Whether it may be used from `remote`.
    pub fn may_come_from(&self, remote: Option<IpAddr>) -> bool {
        self.cidrs.is_empty() || remote.is_some_and(|remote| self.cidrs.iter().any(|block| block.contains(remote)))
    }

    /// Whether the root policy is its policy.
    pub fn is_root(&self) -> bool {
        self.policies.iter().any(|name| name == "root")
    }

    /// Seconds that it still has at `now`, rounded down; 0 where it never expires.
    pub fn ttl(&self, now: Timestamp) -> u64 {
        self.expires.map_or(0, |end| end.since(now).as_secs())
    }

    /// Uses left as clients see them: 0 without limit, -1 where none is left.
    pub fn num_uses(&self) -> i64 {
        match self.uses {
            Uses::Unlimited => 0,
            Uses::Left(0) => -1,
            Uses::Left(left) => i64::try_from(left).unwrap_or(i64::MAX),
        }
    }

    /// The caller of a request with this token: what a backend gets to know.
    ///
    /// `sudo` is what the policies say of the request's path. `presented` is for the token backend alone.
    pub fn caller(&self, remote: Option<IpAddr>, sudo: bool, presented: Option<Arc<Presented>>) -> Caller {
        Caller {
            key: self.name.clone(),
            accessor: self.accessor.clone(),
            display_name: self.display_name.clone(),
            policies: self.policies.clone(),
            entity_id: self.entity_id.clone(),
            remote,
            sudo,
            presented,
        }
    }
}
