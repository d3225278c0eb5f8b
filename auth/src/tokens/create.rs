//! Making tokens.

use std::collections::BTreeMap;

use strongroom_clock::Timestamp;
use strongroom_keystore::{Batch, Version};
use strongroom_mount::{Auth, TtlLimits};
use zeroize::Zeroizing;

use super::batch;
use super::cidr::Cidr;
use super::id::{self, TokenKey};
use super::store::TokenStore;
use super::token::{Bound, State, Token, TokenType, Uses};
use super::ttl::{self, Wishes};
use crate::Error;

/// A token to be made. Who may ask for what has been decided: this is what is asked. Spans are seconds, 0 is "not given".
pub struct NewToken {
    /// Service or batch.
    pub kind: TokenType,
    /// A chosen id, for a service token.
    pub id: Option<Zeroizing<String>>,
    /// With whom it goes; `None` for an orphan.
    pub parent: Option<TokenKey>,
    /// All its policies.
    pub policies: Vec<String>,
    /// What its maker writes on it.
    pub metadata: BTreeMap<String, String>,
    /// How people call it.
    pub display_name: String,
    /// The path of the request that makes it.
    pub path: String,
    /// The role through which it is made; empty for none.
    pub role: String,
    /// The identity entity; empty for none.
    pub entity_id: String,
    /// Where it may be used from; empty for anywhere.
    pub cidrs: Vec<Cidr>,
    /// The TTL asked for.
    pub ttl: u64,
    /// The explicit maximum, by role and request together and by the request alone.
    pub explicit_max_ttl: Bound,
    /// The period, likewise.
    pub period: Bound,
    /// How often it may be used; 0 without limit.
    pub num_uses: u64,
    /// Whether it may be renewed.
    pub renewable: bool,
}

impl NewToken {
    /// An orphan of this kind with these policies and nothing else said.
    pub fn new(kind: TokenType, policies: Vec<String>, path: impl Into<String>) -> NewToken {
        NewToken {
            kind,
            id: None,
            parent: None,
            policies,
            metadata: BTreeMap::new(),
            display_name: "token".into(),
            path: path.into(),
            role: String::new(),
            entity_id: String::new(),
            cidrs: Vec::new(),
            ttl: 0,
            explicit_max_ttl: Bound::default(),
            period: Bound::default(),
            num_uses: 0,
            renewable: true,
        }
    }

    fn is_root(&self) -> bool {
        self.policies.iter().any(|name| name == "root")
    }
}

/// A token that was made, and what its maker should hear.
pub struct Made {
    /// The answer's `auth`, with the id: the only place where it ever stands.
    pub auth: Auth,
    /// What was granted less than asked.
    pub warnings: Vec<String>,
}

impl TokenStore {
    /// A root token that never expires.
    pub async fn create_root(&self) -> Result<Auth, Error> {
        self.create_root_as(None).await
    }

    /// A root token with a chosen id: for development, where people want to know it beforehand.
    pub async fn create_root_as(&self, id: Option<&str>) -> Result<Auth, Error> {
        let root = NewToken {
            id: id.map(|id| Zeroizing::new(id.to_owned())),
            display_name: "root".into(),
            ..NewToken::new(TokenType::Service, vec!["root".into()], "auth/token/root")
        };
        Ok(self.create(root, self.limits).await?.auth)
    }

    /// Makes a token, durably. `mount` is what its mount allows; the server's own limits cap it.
    ///
    /// # Errors
    /// [`Error::DuplicateTokenId`] for a chosen id that is taken, [`Error::ParentGone`] where the parent went meanwhile.
    pub async fn create(&self, new: NewToken, mount: TtlLimits) -> Result<Made, Error> {
        let limits = self.narrowed(mount);
        let now = self.clock.now();
        let mut warnings = Vec::new();
        let mut ttl = 0;
        // A root token lives for ever unless a span is given in some way.
        if new.period.in_force > 0 || new.ttl > 0 || !new.is_root() {
            let wishes = Wishes {
                asked: new.ttl,
                usual: 0,
                period: new.period.in_force,
                explicit_max: new.explicit_max_ttl.in_force,
            };
            let granted = ttl::grant(wishes, limits, now, now)?;
            ttl = granted.ttl;
            warnings.extend(granted.warnings);
        } else if new.explicit_max_ttl.in_force > 0 {
            ttl = new.explicit_max_ttl.in_force.min(limits.max.as_secs());
        }
        let id = match new.kind {
            TokenType::Service => self.store_new(&new, ttl, now).await?,
            TokenType::Batch => {
                (batch::seal(&self.keys, &token(&new, TokenKey([0; 16]), "", ttl, now))?, String::new())
            }
        };
        let renewable = new.renewable && ttl > 0 && new.kind == TokenType::Service;
        Ok(Made {
            auth: Auth {
                client_token: id.0,
                accessor: id.1,
                policies: new.policies.clone(),
                token_policies: new.policies,
                identity_policies: Vec::new(),
                metadata: (!new.metadata.is_empty()).then_some(new.metadata),
                lease_duration: ttl,
                renewable,
                entity_id: new.entity_id,
                token_type: new.kind.name(),
                orphan: new.parent.is_none(),
                num_uses: new.num_uses,
            },
            warnings,
        })
    }

    /// Id and accessor of a service token, stored with all that belongs to it in one commit.
    async fn store_new(&self, new: &NewToken, ttl: u64, now: Timestamp) -> Result<(Zeroizing<String>, String), Error> {
        let id = match &new.id {
            Some(id) => id.clone(),
            None => id::service()?,
        };
        let key = self.keys.key_of(&id);
        let accessor = id::accessor()?;
        let token = token(new, key, &accessor, ttl, now);
        loop {
            if self.ids.exists(&key.name()).await? {
                return Err(Error::DuplicateTokenId);
            }
            let mut batch = Batch::new();
            batch.expect(&self.ids, &key.name(), None).put(&self.ids, &key.name(), &token.encode());
            batch.put(&self.accessors, &accessor, &[&[1], &key.0[..]].concat());
            self.expiry.move_token(&mut batch, key, None, token.due);
            if let Some(parent) = new.parent {
                let (parent, version): (Token, Version) = self.row(parent).await?.ok_or(Error::ParentGone)?;
                if parent.state != State::Live || parent.expires.is_some_and(|end| end <= self.clock.now()) {
                    return Err(Error::ParentGone);
                }
                self.adopt(&mut batch, &parent, version, key);
            }
            match self.commit(batch).await {
                Ok(()) => return Ok((id, accessor)),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What a mount allows, within what the server allows.
    pub(super) fn narrowed(&self, mount: TtlLimits) -> TtlLimits {
        let max = mount.max.min(self.limits.max);
        TtlLimits { default: mount.default.min(max), max }
    }
}

fn token(new: &NewToken, key: TokenKey, accessor: &str, ttl: u64, now: Timestamp) -> Token {
    let expires = (ttl > 0).then(|| now.plus(std::time::Duration::from_secs(ttl)));
    Token {
        key,
        name: key.to_string().into(),
        kind: new.kind,
        state: State::Live,
        accessor: accessor.into(),
        display_name: new.display_name.as_str().into(),
        policies: new.policies.as_slice().into(),
        entity_id: new.entity_id.as_str().into(),
        path: new.path.clone(),
        role: new.role.clone(),
        metadata: new.metadata.clone(),
        cidrs: new.cidrs.clone(),
        parent: new.parent,
        may_have_children: false,
        created: now,
        expires,
        due: expires.filter(|_| new.kind == TokenType::Service),
        renewed: None,
        creation_ttl: ttl,
        granted_ttl: ttl,
        explicit_max_ttl: new.explicit_max_ttl,
        period: new.period,
        uses: if new.num_uses > 0 { Uses::Left(new.num_uses) } else { Uses::Unlimited },
        renewable: new.renewable && ttl > 0 && new.kind == TokenType::Service,
    }
}
