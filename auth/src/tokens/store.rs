//! The token store: who a token is, and how often it may still be used.

use std::net::IpAddr;
use std::sync::Arc;

use strongroom_clock::{Clock, Timestamp};
use strongroom_keystore::{Batch, Cache, Version, View};
use strongroom_mount::TtlLimits;

use super::batch;
use super::expiry::Expiry;
use super::id::{self, BATCH_PREFIX, ID_LIMIT, SERVICE_PREFIX, TokenKey};
use super::keys::Keys;
use super::role::Role;
use super::token::{Token, TokenType, Uses};
use crate::Error;

/// How many tokens are kept decoded. One takes about 1 KiB.
const HOT_TOKENS: usize = 32_768;

/// What a row holds that only its name says anything about.
pub(super) const MARK: &[u8] = &[1];

/// All tokens of one server, in the view of the mount `auth/token/`.
///
/// What belongs to one token changes in one commit, which is durable before anything is answered. A decoded token is kept
/// until a commit changes its row, so that revocation and the last use hold from the next request on.
pub struct TokenStore {
    pub(super) clock: Clock,
    pub(super) keys: Keys,
    pub(super) limits: TtlLimits,
    pub(super) ids: View,
    pub(super) accessors: View,
    pub(super) parents: View,
    pub(super) roles: View,
    pub(super) expiry: Expiry,
    hot: Cache<Token>,
    pub(super) hot_roles: Cache<Role>,
}

/// What is left after a use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// The token's uses are not counted.
    Unlimited,
    /// So many more.
    Left(u64),
    /// This was the last one: the token is refused from now on, and the request that holds it revokes it when it is done.
    Last,
}

impl TokenStore {
    /// The store in `view`, which is the whole storage of `auth/token/`. Makes the store's own keys where there are none.
    ///
    /// `limits` are the server's, which cap what a mount allows.
    pub async fn open(view: View, clock: Clock, limits: TtlLimits) -> Result<Arc<TokenStore>, Error> {
        Ok(Arc::new(TokenStore {
            keys: Keys::open(&view).await?,
            clock,
            limits,
            ids: view.dir("id"),
            accessors: view.dir("accessor"),
            parents: view.dir("parent"),
            roles: view.dir("role"),
            expiry: Expiry::new(view.dir("expiry")),
            hot: Cache::new(HOT_TOKENS),
            hot_roles: Cache::new(1024),
        }))
    }

    /// The token that `id` is, if it may be used from `remote` now.
    ///
    /// # Errors
    /// [`Error::Denied`], one and the same for a token that is malformed, unknown, expired, spent, revoked or bound to
    /// another address.
    pub async fn authenticate(&self, id: &str, remote: Option<IpAddr>) -> Result<Arc<Token>, Error> {
        match self.token(id).await? {
            Some(token) if token.may_come_from(remote) => Ok(token),
            _ => Err(Error::Denied),
        }
    }

    /// The token that `id` is, if it is alive: for those who ask about a token that they do not use.
    pub async fn token(&self, id: &str) -> Result<Option<Arc<Token>>, Error> {
        if id.is_empty() || id.len() > ID_LIMIT {
            return Ok(None);
        }
        if id.starts_with(BATCH_PREFIX) {
            return self.batch_token(id).await;
        }
        let key = self.keys.key_of(id);
        if id.starts_with(SERVICE_PREFIX) && !id::is_service_token(id) {
            return Ok(None);
        }
        self.by_key(key).await
    }

    /// The token stored under `key`, if it is alive.
    pub async fn by_key(&self, key: TokenKey) -> Result<Option<Arc<Token>>, Error> {
        Ok(self.stored(key).await?.filter(|token| token.is_alive(self.clock.now())))
    }

    /// The token with this accessor, if it is alive.
    pub async fn by_accessor(&self, accessor: &str) -> Result<Option<Arc<Token>>, Error> {
        if !id::is_accessor(accessor) {
            return Ok(None);
        }
        let Some(row) = self.accessors.get(accessor).await? else { return Ok(None) };
        let key = match row.value.expose() {
            [1, key @ ..] => key.try_into().ok(),
            _ => None,
        };
        self.by_key(TokenKey(key.ok_or(Error::StoredToken("an accessor's row is damaged"))?)).await
    }

    /// Accessors of all tokens, sorted: at most `limit` after `after`.
    pub async fn accessors(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        Ok(self.accessors.list("", after, limit).await?)
    }

    /// The key under which `id` is, or would be, stored.
    pub fn key_of(&self, id: &str) -> TokenKey {
        self.keys.key_of(id)
    }

    /// Takes one use from the token, durably, before its request is answered.
    ///
    /// # Errors
    /// [`Error::Denied`] where other requests took the last one, or the token has gone.
    pub async fn spend_use(&self, token: &Token) -> Result<Use, Error> {
        if token.uses == Uses::Unlimited {
            return Ok(Use::Unlimited);
        }
        let spent = self.change(token.key, |token, now| {
            let Uses::Left(left @ 1..) = token.uses else { return Err(Error::Denied) };
            token.uses = Uses::Left(left - 1);
            if left == 1 {
                token.due = Some(now);
            }
            Ok(if left == 1 { Use::Last } else { Use::Left(left - 1) })
        });
        match spent.await? {
            Some((_, left)) => Ok(left),
            None => Err(Error::Denied),
        }
    }

    /// The token's row whether it is alive or not; `None` where there is none.
    pub(super) async fn stored(&self, key: TokenKey) -> Result<Option<Arc<Token>>, Error> {
        self.hot.get(&self.ids, &key.name(), |row| Token::decode(key, TokenType::Service, row)).await
    }

    /// The token's row and its version, for a change.
    pub(super) async fn row(&self, key: TokenKey) -> Result<Option<(Token, Version)>, Error> {
        match self.ids.get(&key.name()).await? {
            Some(row) => Ok(Some((Token::decode(key, TokenType::Service, row.value.expose())?, row.version))),
            None => Ok(None),
        }
    }

    /// Changes a living token by `edit`, which runs again when somebody else changed it in between. `None` where there is
    /// no such token alive; an error of `edit` changes nothing.
    pub(super) async fn change<R>(
        &self,
        key: TokenKey,
        edit: impl Fn(&mut Token, Timestamp) -> Result<R, Error>,
    ) -> Result<Option<(Token, R)>, Error> {
        loop {
            let now = self.clock.now();
            let Some((before, version)) = self.row(key).await? else { return Ok(None) };
            if !before.is_alive(now) {
                return Ok(None);
            }
            let mut token = before.clone();
            let result = edit(&mut token, now)?;
            let mut batch = Batch::new();
            self.rewrite(&mut batch, &before, version, &token);
            match self.commit(batch).await {
                Ok(()) => return Ok(Some((token, result))),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes all of `batch` durable, or nothing of it.
    pub(super) async fn commit(&self, batch: Batch) -> Result<(), Error> {
        if !batch.is_empty() {
            self.ids.commit(batch).await?;
        }
        Ok(())
    }

    /// Puts a changed token in place of what was read.
    pub(super) fn rewrite(&self, batch: &mut Batch, before: &Token, version: Version, token: &Token) {
        let name = token.key.name();
        batch.expect(&self.ids, &name, Some(version)).put(&self.ids, &name, &token.encode());
        self.expiry.move_token(batch, token.key, before.due, token.due);
    }

    /// Takes away all rows of a token that was read at `version`.
    pub(super) fn remove(&self, batch: &mut Batch, token: &Token, version: Version) {
        let name = token.key.name();
        batch.expect(&self.ids, &name, Some(version)).delete(&self.ids, &name);
        batch.delete(&self.accessors, &token.accessor);
        self.expiry.move_token(batch, token.key, token.due, None);
        if let Some(parent) = token.parent {
            batch.delete(&self.parents.dir(&parent.name()), &name);
        }
    }

    async fn batch_token(&self, id: &str) -> Result<Option<Arc<Token>>, Error> {
        let Some(token) = batch::open(&self.keys, id)? else { return Ok(None) };
        if !token.is_alive(self.clock.now()) {
            return Ok(None);
        }
        if let Some(parent) = token.parent
            && self.by_key(parent).await?.is_none()
        {
            return Ok(None);
        }
        Ok(Some(Arc::new(token)))
    }
}
