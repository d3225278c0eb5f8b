//! Decoded rows kept by the caller, valid exactly as long as the row.

use crate::generations::Generations;
use crate::{Error, MountId, Version, View};
use parking_lot::Mutex;
use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Decoded rows, and proven absences, kept by the caller: invalidated by commit, never by time.
///
/// A hit costs one lookup and one comparison with a counter that every commit of that row moves before the commit is
/// acknowledged. When an unrelated row moved the same counter, the version of the row decides.
pub struct Cache<T> {
    shards: Box<[Shard<T>]>,
}

type Shard<T> = Mutex<Generations<Place, Entry<T>>>;

/// Which row: the mount, the view's directory in it, and the path in that.
struct Place(MountId, Box<str>, Box<str>);

/// A place that is looked for, and costs no copy.
#[derive(Clone, Copy)]
struct Sought<'a>(MountId, &'a str, &'a str);

/// What a [`Place`] and a [`Sought`] have in common, so that one finds the other.
trait Named {
    fn sought(&self) -> Sought<'_>;
}

impl Named for Place {
    fn sought(&self) -> Sought<'_> {
        Sought(self.0, &self.1, &self.2)
    }
}

impl Named for Sought<'_> {
    fn sought(&self) -> Sought<'_> {
        *self
    }
}

impl Hash for dyn Named + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Sought(mount, directory, path) = self.sought();
        (mount, directory, path).hash(state);
    }
}

impl PartialEq for dyn Named + '_ {
    fn eq(&self, other: &Self) -> bool {
        let (Sought(mount, directory, path), other) = (self.sought(), other.sought());
        (path, directory, mount) == (other.2, other.1, other.0)
    }
}

impl Eq for dyn Named + '_ {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn Named).hash(state);
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self as &dyn Named == other as &dyn Named
    }
}

impl Eq for Place {}

impl Clone for Place {
    fn clone(&self) -> Self {
        Place(self.0, self.1.clone(), self.2.clone())
    }
}

impl<'a> Borrow<dyn Named + 'a> for Place {
    fn borrow(&self) -> &(dyn Named + 'a) {
        self
    }
}

struct Entry<T> {
    /// Which store this was read from, so that a cache that outlives a seal answers nothing of before.
    store: u64,
    /// Which names keys `shard` was found with.
    naming: u64,
    shard: usize,
    counter: u64,
    version: Option<Version>,
    value: Option<Arc<T>>,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Entry { value: self.value.clone(), ..*self }
    }
}

const SHARDS: usize = 16;

impl<T> Cache<T> {
    /// Keeps up to `capacity` rows.
    pub fn new(capacity: usize) -> Self {
        Cache { shards: (0..SHARDS).map(|_| Mutex::new(Generations::new(capacity / SHARDS + 2))).collect() }
    }

    /// The decoded row, or `None` when there is none. `decode` runs when the row is new or has changed.
    pub async fn get<E: From<Error>>(
        &self,
        view: &View,
        path: &str,
        decode: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Option<Arc<T>>, E> {
        let store = view.inner().shared();
        let sought = Sought(view.mount(), view.prefix(), path);
        let held = &self.shards[shard_of(path)];
        let entry = held.lock().get(&sought as &dyn Named);
        if let Some(entry) = &entry
            && entry.store == store.id()
            && store.counter(entry.shard) == entry.counter
            && store.naming() == entry.naming
            && store.is_open()
        {
            return Ok(entry.value.clone());
        }
        let row_path = view.row(path)?;
        // Before the shard: a rotation of the names key in between makes the entry stale.
        let naming = store.naming();
        let shard = store.shard(&store.key(view.mount(), &row_path)?);
        // The counter is read before the row: a commit in between makes the entry stale, never wrongly fresh.
        let counter = store.counter(shard);
        let row = store.get(view.mount(), &row_path)?;
        let version = row.as_ref().map(|row| row.version);
        let value = match (entry, row) {
            (Some(entry), _) if entry.store == store.id() && entry.version == version => entry.value,
            (_, Some(row)) => Some(Arc::new(decode(row.value.expose())?)),
            (_, None) => None,
        };
        let entry = Entry { store: store.id(), naming, shard, counter, version, value: value.clone() };
        held.lock().insert(Place(sought.0, sought.1.into(), sought.2.into()), entry, 1);
        Ok(value)
    }
}

/// Spreads rows over the shards by the end of their path; what falls together costs no more than a full shard.
fn shard_of(path: &str) -> usize {
    let sum = path.bytes().rev().take(8).fold(path.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    sum % SHARDS
}
