//! Renewal: a token gets its time anew, as far as its maker, its role, its mount and the server allow.

use std::time::Duration;

use strongroom_mount::{Auth, TtlLimits};
use zeroize::Zeroizing;

use super::create::Made;
use super::id::TokenKey;
use super::store::TokenStore;
use super::token::{Bound, Token};
use super::ttl::{self, Wishes};
use crate::Error;

impl TokenStore {
    /// Renews a token, durably. `increment` is seconds from now, 0 for what it had last. The answer's `client_token` is
    /// left empty: the store does not know it.
    ///
    /// # Errors
    /// [`Error::TokenNotFound`], and what says why it cannot be renewed.
    pub async fn renew(&self, key: TokenKey, increment: u64, mount: TtlLimits) -> Result<Made, Error> {
        let limits = self.narrowed(mount);
        let token = self.by_key(key).await?.ok_or(Error::TokenNotFound)?;
        let role = match token.role.as_str() {
            "" => None,
            name => Some(self.role(name).await?.ok_or_else(|| Error::RoleGone(name.to_owned()))?),
        };
        let renewed = self.change(key, |token, now| {
            if token.expires.is_none() {
                return Err(Error::InvalidLease);
            }
            if !token.renewable {
                return Err(Error::NotRenewable);
            }
            // The role is asked anew each time, so that who tightens it tightens the tokens made through it.
            if let Some(role) = &role {
                token.period = within(token.period, role.period);
                token.explicit_max_ttl = within(token.explicit_max_ttl, role.explicit_max_ttl);
            }
            let wishes = Wishes {
                asked: increment,
                usual: token.granted_ttl,
                period: token.period.in_force,
                explicit_max: token.explicit_max_ttl.in_force,
            };
            let granted = ttl::grant(wishes, limits, token.created, now)?;
            token.granted_ttl = granted.ttl;
            token.expires = Some(now.plus(Duration::from_secs(granted.ttl)));
            token.due = token.expires;
            token.renewed = Some(now);
            Ok(granted.warnings)
        });
        let (token, warnings) = renewed.await?.ok_or(Error::TokenNotFound)?;
        Ok(Made { auth: auth(&token), warnings })
    }
}

fn within(bound: Bound, role: u64) -> Bound {
    Bound { in_force: ttl::lesser(bound.asked, role), ..bound }
}

fn auth(token: &Token) -> Auth {
    Auth {
        client_token: Zeroizing::new(String::new()),
        accessor: token.accessor.to_string(),
        policies: token.policies.to_vec(),
        token_policies: token.policies.to_vec(),
        identity_policies: Vec::new(),
        metadata: (!token.metadata.is_empty()).then(|| token.metadata.clone()),
        lease_duration: token.granted_ttl,
        renewable: token.renewable,
        entity_id: token.entity_id.to_string(),
        token_type: token.kind.name(),
        orphan: token.parent.is_none(),
        num_uses: u64::try_from(token.num_uses()).unwrap_or(0),
    }
}
