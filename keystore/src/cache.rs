//! Decoded rows kept by the caller, valid exactly as long as the row.

use crate::generations::Generations;
use crate::{Error, MountId, Version, View};
use parking_lot::Mutex;
use std::sync::Arc;

/// Decoded rows, and proven absences, kept by the caller: invalidated by commit, never by time.
///
/// A hit costs one lookup and one comparison with a counter that every commit of that row moves before the commit is
/// acknowledged. When an unrelated row moved the same counter, the version of the row decides.
pub struct Cache<T> {
    shards: Box<[Shard<T>]>,
}

type Shard<T> = Mutex<Generations<Place, Entry<T>>>;

type Place = (MountId, String);

struct Entry<T> {
    /// Which store this was read from, so that a cache that outlives a seal answers nothing of before.
    store: u64,
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
        let place = (view.mount(), view.row(path)?);
        let held = &self.shards[shard_of(&place)];
        let entry = held.lock().get(&place);
        if let Some(entry) = &entry
            && entry.store == store.id()
            && store.counter(entry.shard) == entry.counter
            && store.is_open()
        {
            return Ok(entry.value.clone());
        }
        let shard = store.shard(&store.key(place.0, &place.1)?);
        // The counter is read before the row: a commit in between makes the entry stale, never wrongly fresh.
        let counter = store.counter(shard);
        let row = store.get(place.0, &place.1)?;
        let version = row.as_ref().map(|row| row.version);
        let value = match (entry, row) {
            (Some(entry), _) if entry.store == store.id() && entry.version == version => entry.value,
            (_, Some(row)) => Some(Arc::new(decode(row.value.expose())?)),
            (_, None) => None,
        };
        let entry = Entry { store: store.id(), shard, counter, version, value: value.clone() };
        held.lock().insert(place, entry, 1);
        Ok(value)
    }
}

fn shard_of(place: &Place) -> usize {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(place) as usize % SHARDS
}
