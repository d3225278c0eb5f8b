//! Keys in the view: `key/<name>`, one row with all versions, and its changes.

use super::key::TransitKey;
use super::usage::{Counter, Counters, Step};
use super::{errors, row};
use std::sync::Arc;
use strongroom_keystore::{Batch, Cache, Error as StoreError, View};
use strongroom_mount::{Blame, Error};

/// How often a change is tried again after another one came first.
const ATTEMPTS: usize = 64;

/// Decoded keys that are kept, each with its prepared primitives.
const KEPT: usize = 4096;

/// The stored keys of all mounts that one backend serves.
pub(crate) struct Keys {
    cache: Cache<TransitKey>,
    counters: Arc<Counters>,
}

impl Keys {
    pub(crate) fn new() -> Keys {
        Keys { cache: Cache::new(KEPT), counters: Arc::default() }
    }

    /// The counters that a new version is given one from.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The key, decoded once and kept until its row changes.
    pub(crate) async fn get(&self, view: &View, name: &str) -> Result<Option<Arc<TransitKey>>, Error> {
        self.cache.get(view, &path(name), |row| row::decode(row, &self.counters)).await
    }

    /// Names in order, after `after`, at most `limit`.
    pub(crate) async fn list(&self, view: &View, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        Ok(view.list(DIRECTORY, after, limit).await?)
    }

    /// Stores a key that is not there yet; whether it was stored.
    pub(crate) async fn create(&self, view: &View, name: &str, key: &TransitKey) -> Result<bool, Error> {
        let mut batch = Batch::new();
        batch.expect(view, &path(name), None).put(view, &path(name), &row::encode(key)?);
        match view.commit(batch).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(stored(error)),
        }
    }

    /// Stores a key whatever was there.
    pub(crate) async fn replace(&self, view: &View, name: &str, key: &TransitKey) -> Result<(), Error> {
        view.put(&path(name), &row::encode(key)?).await.map_err(stored)
    }

    /// Reads, edits and stores a key; repeats that when another change came first. `None` when there is no key.
    pub(crate) async fn change(
        &self,
        view: &View,
        name: &str,
        mut edit: impl FnMut(&mut TransitKey) -> Result<(), Error>,
    ) -> Result<Option<TransitKey>, Error> {
        let path = path(name);
        for _ in 0..ATTEMPTS {
            let Some(held) = view.get(&path).await? else { return Ok(None) };
            let mut key = row::decode(held.value.expose(), &self.counters)?;
            edit(&mut key)?;
            let mut batch = Batch::new();
            batch.expect(view, &path, Some(held.version)).put(view, &path, &row::encode(&key)?);
            match view.commit(batch).await {
                Ok(_) => return Ok(Some(key)),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(stored(error)),
            }
        }
        Err(contended())
    }

    /// Deletes a key that `allowed` lets go; whether there was one.
    pub(crate) async fn delete(
        &self,
        view: &View,
        name: &str,
        allowed: impl Fn(&TransitKey) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let path = path(name);
        for _ in 0..ATTEMPTS {
            let Some(held) = view.get(&path).await? else { return Ok(false) };
            allowed(&row::decode(held.value.expose(), &self.counters)?)?;
            let mut batch = Batch::new();
            batch.expect(view, &path, Some(held.version)).delete(view, &path);
            match view.commit(batch).await {
                Ok(_) => return Ok(true),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(stored(error)),
            }
        }
        Err(contended())
    }

    /// Counts one message that the version seals; writes the count where it is time to, before the message is sealed.
    pub(crate) async fn count(&self, view: &View, name: &str, counter: &Counter) -> Result<(), Error> {
        match counter.step() {
            Step::Free => Ok(()),
            // The row holds the count of every version.
            Step::Write(_) => {
                self.change(view, name, |_| Ok(())).await?.map(drop).ok_or_else(errors::no_encryption_key)
            }
            Step::Spent => Err(errors::budget_spent()),
        }
    }
}

const DIRECTORY: &str = "key";

fn path(name: &str) -> String {
    let mut path = String::with_capacity(DIRECTORY.len() + 1 + name.len());
    path.push_str(DIRECTORY);
    path.push('/');
    path.push_str(name);
    path
}

fn contended() -> Error {
    Error::caller("the key is being changed by too many requests: try again").blame(Blame::Conflict)
}

/// A key that has become too large says what to do.
fn stored(error: StoreError) -> Error {
    match error {
        StoreError::TooLarge { limit, .. } => Error::caller(format!(
            "the key with all its versions is larger than the {limit} bytes of a row: raise its minimum versions and trim it"
        ))
        .blame(Blame::TooLarge),
        error => error.into(),
    }
}
