//! The unsealed store's inside: one published state, read by many; one committer, which makes the next.

pub(crate) mod answer;
mod committer;
mod draft;
mod open;
mod read;
mod reencrypt;
mod sweep;
mod verify;
mod write;

use crate::format::head::Head;
use crate::format::journal::Page;
use crate::format::keyring::{Keyring, KeyringKey};
use crate::format::names::{DirKey, Naming, RowKey};
use crate::format::register::Register;
use crate::format::{Mac, row};
use crate::generations::Generations;
use crate::index::{self, Authority, NodeCache, Overlay, Tree};
use crate::storage::{Fence, Snapshot, Storage, Table};
use crate::{DeviceId, Error, Layer, MountId, Options};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use strongroom_clock::Timestamp;
use strongroom_secret::mac::HmacKey;
use strongroom_secret::{Key, SecretBytes};
use subtle::ConstantTimeEq;

pub(crate) use committer::Queue;
pub(crate) use draft::{Custody, Draft};
pub(crate) use open::{initial, open, spoken, stored_clear_rows};
pub use reencrypt::{Progress, Reencryption};
pub use verify::{Problem, Verification};
pub(crate) use write::Write;

/// The names of rows in [`Table::Meta`].
pub(crate) mod meta {
    pub(crate) const HEAD: &[u8] = b"head";
    pub(crate) const KEYRING: &[u8] = b"keyring";
    pub(crate) const REGISTER: &[u8] = b"register";
    /// Before the name of a clear row.
    pub(crate) const CLEAR: &[u8] = b"clear/";
}

/// The keys outside the terms, prepared. Only a rotation of the names key makes others.
pub(crate) struct Keys {
    pub(crate) authority: Authority,
    pub(crate) names: Naming,
    pub(crate) head: HmacKey,
}

/// One committed state: everything that a verified read needs, and the snapshot that it holds for.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) head: Head,
    /// The head as stored, to find out later whether a commit was made.
    pub(crate) stored_head: Arc<[u8]>,
    pub(crate) overlay: Overlay,
    /// The journal's last page.
    pub(crate) page: Page,
    pub(crate) keys: Arc<Keys>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) sealing: Arc<Key<KeyringKey>>,
    pub(crate) register: Arc<Register>,
    pub(crate) snapshot: Snapshot,
}

/// What handles, readers and the committer share.
pub(crate) struct Shared {
    pub(crate) storage: Storage,
    fence: Fence,
    pub(crate) options: Options,
    /// When a term is replaced: those of `options` until somebody sets others.
    limits: Mutex<TermLimits>,
    /// `None` once sealed, so that the keys go even while a handle is held.
    state: RwLock<Option<Arc<State>>>,
    /// Held while a commit is made and published, and for the second look of a reader that would raise an alarm.
    commit: Mutex<()>,
    poisoned: Mutex<Option<Error>>,
    nodes: NodeCache,
    rows: Box<[RowShard]>,
    lists: Mutex<Generations<DirKey, List>>,
    counters: Box<[AtomicU64]>,
    /// Moves when the names keys change, and with them which counter is a row's.
    naming: AtomicU64,
    pub(crate) queue: Queue,
    committer: Mutex<Option<JoinHandle<()>>>,
    pub(crate) devices: Mutex<BTreeMap<DeviceId, Timestamp>>,
    pub(crate) alarms: Mutex<Alarms>,
    /// Given back when this is dropped, so that the store can be unsealed again.
    writer: Writer,
}

/// The names in a directory, and the counter at which they were read.
type List = (u64, Arc<Vec<String>>);
type RowShard = Mutex<Generations<RowKey, (Mac, Arc<SecretBytes>)>>;

/// Bytes of opened rows kept.
const ROW_CACHE: usize = 8 << 20;
const ROW_SHARDS: usize = 16;
/// Bytes of directory lists kept.
const LIST_CACHE: usize = 4 << 20;
const COUNTERS: usize = 1 << 14;

/// Changes of the storage that were caught since the store was opened.
#[derive(Default)]
pub(crate) struct Alarms {
    pub(crate) count: u64,
    /// The latest.
    pub(crate) latest: VecDeque<(Timestamp, Error)>,
}

/// When the keyring rotates by itself, at the next commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TermLimits {
    /// Rows sealed under one term; [`u64::MAX`] never.
    pub operations: u64,
    /// A term's age; `None` never.
    pub age: Option<std::time::Duration>,
}

/// The right to write to a store: there is one at a time in a process.
pub(crate) struct Writer {
    /// Who holds it; zero: nobody.
    holder: Arc<AtomicU64>,
    id: u64,
}

impl Writer {
    pub(crate) fn take(holder: &Arc<AtomicU64>) -> Option<Writer> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let taken = holder.compare_exchange(0, id, Ordering::AcqRel, Ordering::Acquire).is_ok();
        taken.then(|| Writer { holder: holder.clone(), id })
    }

    fn release(&self) {
        // Only if it is still held by this one.
        let _ = self.holder.compare_exchange(self.id, 0, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.release();
    }
}

impl Shared {
    pub(crate) fn new(storage: Storage, options: Options, state: State, writer: Writer) -> Result<Arc<Shared>, Error> {
        options.clock.advance_to(state.head.clock);
        Ok(Arc::new(Shared {
            fence: storage.lead()?,
            storage,
            limits: Mutex::new(TermLimits { operations: options.term_operations, age: options.term_age }),
            options,
            state: RwLock::new(Some(Arc::new(state))),
            commit: Mutex::new(()),
            poisoned: Mutex::new(None),
            nodes: NodeCache::new(),
            rows: (0..ROW_SHARDS).map(|_| Mutex::new(Generations::new(ROW_CACHE / ROW_SHARDS))).collect(),
            lists: Mutex::new(Generations::new(LIST_CACHE)),
            counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            naming: AtomicU64::new(0),
            queue: Queue::new(),
            committer: Mutex::new(None),
            devices: Mutex::default(),
            alarms: Mutex::default(),
            writer,
        }))
    }

    /// Whether it has not been sealed.
    pub(crate) fn is_open(&self) -> bool {
        self.state.read().is_some()
    }

    /// The last committed state.
    pub(crate) fn state(&self) -> Result<Arc<State>, Error> {
        self.state.read().clone().ok_or(Error::Sealed)
    }

    /// Forgets keys and rows; handles answer [`Error::Sealed`] from now on. Waits for a commit in flight, and for the
    /// committer to let go of the storage.
    pub(crate) fn seal(&self) {
        self.queue.close();
        if let Some(committer) = self.committer.lock().take() {
            // It catches its panics; there is nothing to learn from how it ended.
            let _ = committer.join();
        }
        let _commit = self.commit.lock();
        *self.state.write() = None;
        self.rows.iter().for_each(|shard| *shard.lock() = Generations::new(ROW_CACHE / ROW_SHARDS));
        *self.lists.lock() = Generations::new(LIST_CACHE);
        self.writer.release();
    }

    /// When a term is replaced.
    pub(crate) fn limits(&self) -> TermLimits {
        *self.limits.lock()
    }

    /// Sets when a term is replaced, until the store is closed.
    pub(crate) fn set_limits(&self, limits: TermLimits) {
        *self.limits.lock() = limits;
    }

    /// Which opening of the store this is: no two in a process have the same.
    pub(crate) fn id(&self) -> u64 {
        self.writer.id
    }

    /// The counter that every commit of this row moves.
    pub(crate) fn shard(&self, key: &RowKey) -> usize {
        // The second half of a key is an HMAC of its path, so these bits are spread evenly.
        usize::from(u16::from_be_bytes([key.0[16], key.0[17]])) % COUNTERS
    }

    fn dir_shard(&self, dir: &DirKey) -> usize {
        usize::from(u16::from_be_bytes([dir[0], dir[1]])) % COUNTERS
    }

    pub(crate) fn counter(&self, shard: usize) -> u64 {
        self.counters[shard].load(Ordering::Acquire)
    }

    /// While this is the same, a row has the counter that it had.
    pub(crate) fn naming(&self) -> u64 {
        self.naming.load(Ordering::Acquire)
    }

    /// Makes `next` the state that readers see, then moves the counters of what changed.
    fn publish(&self, next: State, changed: impl Iterator<Item = RowKey>) {
        let mut state = self.state.write();
        let renamed = state.as_ref().is_some_and(|state| !Arc::ptr_eq(&state.keys, &next.keys));
        // Once sealed, sealed.
        if state.is_some() {
            *state = Some(Arc::new(next));
        }
        drop(state);
        // After the state, so that whoever reads this number reads no older one; before any change under the new names.
        self.naming.fetch_add(renamed.into(), Ordering::Release);
        for key in changed {
            self.counters[self.shard(&key)].fetch_add(1, Ordering::Release);
            self.counters[self.dir_shard(&key.dir())].fetch_add(1, Ordering::Release);
        }
    }

    /// Runs a read on the last committed state. Before an error of the storage is believed, the read is repeated under
    /// the commit lock on a fresh snapshot; what fails then is an alarm.
    pub(crate) fn look<T>(&self, read: impl Fn(&State) -> Result<T, Error>) -> Result<T, Error> {
        match read(&*self.state()?) {
            Err(Error::Integrity { .. } | Error::Storage(_)) => {
                let _commit = self.commit.lock();
                let again = self.refreshed().and_then(|state| read(&state));
                if let Err(error @ Error::Integrity { .. }) = &again {
                    self.alarm(error);
                }
                again
            }
            other => other,
        }
    }

    /// The last committed state over a fresh snapshot. Only under the commit lock.
    fn refreshed(&self) -> Result<Arc<State>, Error> {
        self.storage.revive()?;
        let snapshot = self.storage.snapshot()?;
        let mut state = State::clone(&*self.state()?);
        let stored = snapshot.get(Table::Meta, meta::HEAD)?;
        if stored.as_deref() != Some(&*state.stored_head) {
            return Err(wrong(Layer::Head, "head", "it is not the one that this program wrote last"));
        }
        state.snapshot = snapshot;
        let state = Arc::new(state);
        *self.state.write() = Some(state.clone());
        Ok(state)
    }

    pub(crate) fn alarm(&self, error: &Error) {
        let mut alarms = self.alarms.lock();
        alarms.count += 1;
        alarms.latest.push_back((self.options.clock.now(), error.clone()));
        if alarms.latest.len() > 64 {
            alarms.latest.pop_front();
        }
    }

    fn row_shard(&self, key: &RowKey) -> &RowShard {
        &self.rows[usize::from(key.0[31]) % ROW_SHARDS]
    }
}

impl State {
    pub(crate) fn tree<'a>(&'a self, shared: &'a Shared) -> Tree<'a> {
        self.tree_with(&shared.nodes)
    }

    fn tree_with<'a>(&'a self, cache: &'a NodeCache) -> Tree<'a> {
        Tree { authority: &self.keys.authority, cache, snapshot: &self.snapshot, root: self.head.root }
    }

    pub(crate) fn find(&self, shared: &Shared, key: &RowKey) -> Result<Option<Mac>, Error> {
        index::find(&self.overlay, &self.tree(shared), key)
    }

    /// Where a row lies, under whichever names key, and its MAC; `None`: there is no such row.
    pub(crate) fn find_path(
        &self,
        shared: &Shared,
        mount: MountId,
        path: &str,
    ) -> Result<Option<(RowKey, Mac)>, Error> {
        let key = self.keys.names.row(mount, path);
        if let Some(mac) = self.find(shared, &key)? {
            return Ok(Some((key, mac)));
        }
        let Some(key) = self.keys.names.older_row(mount, path) else { return Ok(None) };
        Ok(self.find(shared, &key)?.map(|mac| (key, mac)))
    }

    /// Opens the row that the index vouches for by `mac`; `name` is what errors call it.
    pub(crate) fn row(&self, key: &RowKey, mac: &Mac, name: &dyn Fn() -> String) -> Result<row::Opened, Error> {
        let stored = (self.snapshot.get(Table::Rows, &key.0)?)
            .ok_or_else(|| wrong(Layer::Absence, name(), "the index holds it and the storage does not"))?;
        self.open_row(key, mac, stored, name).map(|(opened, _)| opened)
    }

    /// Opens a stored row if it is the one that the index vouches for; also gives the generation of its name.
    fn open_row(
        &self,
        key: &RowKey,
        mac: &Mac,
        stored: Vec<u8>,
        name: &dyn Fn() -> String,
    ) -> Result<(row::Opened, u8), Error> {
        if !bool::from(self.keys.authority.row(key, &stored).ct_eq(mac)) {
            return Err(wrong(Layer::Row, name(), "it is not the version that the index vouches for"));
        }
        let malformed = |reason: &str| wrong(Layer::Row, name(), reason);
        let term = row::term(&stored).map_err(|error| malformed(error.0))?;
        let term = self.keyring.terms.get(&term).ok_or_else(|| malformed("its term is not in the keyring"))?;
        let opened = row::open_unnamed(&term.prepared, &self.keys.authority.cluster, key, stored)
            .map_err(|error| malformed(error.0))?;
        let generation = self.keys.names.generation(key, opened.mount, &opened.path);
        Ok((opened, generation.ok_or_else(|| malformed(row::MISPLACED.0))?))
    }
}

/// An integrity error.
pub(crate) fn wrong(layer: Layer, name: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::Integrity { layer, name: name.into(), reason: reason.into() }
}
