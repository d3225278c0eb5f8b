//! Storage of one mount, or of a directory inside it.

use crate::barrier::Inner;
use crate::{Batch, Error, path};
use std::sync::Arc;
use strongroom_secret::SecretBytes;

/// Which mount a row belongs to. It lies inside the sealed row and in its key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct MountId(pub [u8; 16]);

/// The mount of the store's own rows; no other may have this id.
pub(crate) const SYSTEM: MountId = MountId([0xff; 16]);

/// Which version of a row this is: two reads with equal versions saw the same row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Version(pub(crate) [u8; 16]);

/// The number of the commit in which something happened; it only grows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sequence(pub u64);

/// A row as it is now.
pub struct Row {
    /// What was put.
    pub value: SecretBytes,
    /// For [`Batch::expect`].
    pub version: Version,
}

/// Storage of one mount, or of a directory inside it; evidence that the store is unsealed. Clones are cheap.
#[derive(Clone)]
pub struct View {
    inner: Arc<Inner>,
    mount: MountId,
    prefix: Arc<str>,
}

impl View {
    pub(crate) fn new(inner: Arc<Inner>, mount: MountId) -> View {
        View { inner, mount, prefix: "".into() }
    }

    /// This view narrowed to a directory. A name that cannot be one is reported by the first use of the view.
    pub fn dir(&self, name: &str) -> View {
        let name = name.strip_suffix('/').unwrap_or(name);
        View { inner: self.inner.clone(), mount: self.mount, prefix: path::join(&self.prefix, name).into() }
    }

    /// The row as it is now, or the proof that there is none.
    pub async fn get(&self, path: &str) -> Result<Option<Row>, Error> {
        self.inner.shared().get(self.mount, &self.row(path)?)
    }

    /// Whether the row exists, proven either way; the row itself is not opened.
    pub async fn exists(&self, path: &str) -> Result<bool, Error> {
        self.inner.shared().exists(self.mount, &self.row(path)?)
    }

    /// Names directly under `dir` ("" is this view), sorted by bytes; a directory's name ends in '/'. `after` is exclusive.
    pub async fn list(&self, dir: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        let full = path::join(&self.prefix, path::directory(dir)?);
        self.inner.shared().list(self.mount, path::directory(&full)?, after, limit)
    }

    /// Writes one row; durable when it returns.
    pub async fn put(&self, path: &str, value: &[u8]) -> Result<(), Error> {
        let mut batch = Batch::new();
        batch.put(self, path, value);
        self.commit(batch).await.map(|_| ())
    }

    /// Deletes one row; deleting what is absent is fine.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        let mut batch = Batch::new();
        batch.delete(self, path);
        self.commit(batch).await.map(|_| ())
    }

    /// All of the batch, atomic and durable when it returns, or nothing of it.
    pub async fn commit(&self, batch: Batch) -> Result<Sequence, Error> {
        if let Some(store) = &batch.store
            && !Arc::ptr_eq(store, &self.inner)
        {
            return Err(Error::Format("the batch belongs to another store".into()));
        }
        self.inner.commit(batch).await
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn mount(&self) -> MountId {
        self.mount
    }

    /// The whole path of a row inside the mount.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn row(&self, path: &str) -> Result<String, Error> {
        path::check(path)?;
        let full = path::join(&self.prefix, path);
        path::check(&full)?;
        Ok(full)
    }
}
