//! The rows of version 2: what is kept decoded, and commits that others may have come before.

use super::row::{Config, Metadata, State, Version};
use super::turns::Turns;
use super::{upgrade, upgrading};
use std::sync::Arc;
use strongroom_keystore::{Batch, Cache, Error as StoreError, Row, Version as Seen, View};
use strongroom_mount::{Blame, Error};

/// How often a change is tried again after another one came first.
pub(super) const ATTEMPTS: usize = 64;

/// Secrets whose metadata is kept decoded. Their data is not kept.
const KEPT: usize = 4096;

/// Rows that one commit deletes beside what it is for.
pub(super) const SWEPT: u64 = 256;

/// The row of a mount's configuration.
pub(super) const CONFIG: &str = "config";

/// The rows of all mounts that one backend serves.
pub(super) struct Shelf {
    config: Cache<Config>,
    metadata: Cache<Metadata>,
    pub(super) turns: Turns,
}

impl Shelf {
    pub(super) fn new() -> Shelf {
        Shelf { config: Cache::new(16), metadata: Cache::new(KEPT), turns: Turns::default() }
    }

    /// The configuration of a mount that is ready. One that was never used becomes ready here.
    pub(super) async fn config(&self, view: &View) -> Result<Arc<Config>, Error> {
        if let Some(config) = self.ready(view).await? {
            return Ok(config);
        }
        self.begin(view).await?;
        self.ready(view).await?.ok_or_else(upgrading)
    }

    async fn ready(&self, view: &View) -> Result<Option<Arc<Config>>, Error> {
        let config = self.config.get(view, CONFIG, decode(Config::decode)).await?;
        Ok(config.filter(|config| config.state == State::Ready))
    }

    /// Sees to it that a mount has a configuration. Requests that come while the first one does wait for it, since a
    /// mount that holds nothing is ready then.
    pub(super) async fn begin(&self, view: &View) -> Result<(), Error> {
        let _turn = self.turns.take(CONFIG).await;
        match view.exists(CONFIG).await? {
            true => Ok(()),
            false => upgrade::begin(view).await,
        }
    }

    /// A secret's metadata, decoded once and kept until its row changes.
    pub(super) async fn metadata(&self, view: &View, path: &str) -> Result<Option<Arc<Metadata>>, Error> {
        self.metadata.get(view, &place(path), decode(Metadata::decode)).await
    }

    /// A secret and one of its versions; 0 is the newest. `None` where there is no such version.
    pub(super) async fn version(
        &self,
        view: &View,
        path: &str,
        number: u64,
    ) -> Result<Option<(Arc<Metadata>, u64, Row)>, Error> {
        for _ in 0..ATTEMPTS {
            let Some(metadata) = self.metadata(view, path).await? else { return Ok(None) };
            let number = if number == 0 { metadata.current } else { number };
            if !metadata.kept().contains(&number) {
                return Ok(None);
            }
            if let Some(row) = view.get(&metadata.version_row(number)).await? {
                return Ok(Some((metadata, number, row)));
            }
            // Given up since the metadata was read.
        }
        Err(busy())
    }
}

/// The row of a secret's metadata.
pub(super) fn place(path: &str) -> String {
    format!("m/{path}")
}

/// A secret's metadata as it is now, for a change: what it holds, and what the commit is to expect.
pub(super) async fn held(view: &View, path: &str) -> Result<(Option<Metadata>, Option<Seen>), Error> {
    match view.get(&place(path)).await? {
        Some(row) => Ok((Some(Metadata::decode(row.value.expose())?), Some(row.version))),
        None => Ok((None, None)),
    }
}

/// Whether the batch was committed: another change may have come first.
pub(super) async fn commit(view: &View, batch: Batch) -> Result<bool, Error> {
    match view.commit(batch).await {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Too many changes at once.
pub(super) fn busy() -> Error {
    Error::caller("the secret is being changed by too many requests: try again").blame(Blame::Conflict)
}

/// A decoder for a cache.
pub(super) fn decode<T>(
    decode: impl FnOnce(&[u8]) -> Result<T, super::row::Malformed>,
) -> impl FnOnce(&[u8]) -> Result<T, Error> {
    move |row| Ok(decode(row)?)
}

/// A version from its row.
pub(super) fn opened(row: &Row) -> Result<Version<'_>, Error> {
    Ok(Version::decode(row.value.expose())?)
}
