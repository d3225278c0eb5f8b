//! An opened, still sealed store, and the way from it to a serving one.

use crate::barrier::Barrier;
use crate::engine::{Shared, State, Writer, initial, open, spoken, stored_clear_rows};
use crate::format::head;
use crate::storage::{Storage, Table};
use crate::{Device, Error, Reading};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use strongroom_clock::Clock;
use strongroom_secret::key::RootKey;

/// How a store behaves; none of it is part of the format.
#[derive(Clone)]
pub struct Options {
    /// Where time comes from; moved forward at unseal to the latest time that the store has seen.
    pub clock: Clock,
    /// This program's version, compared with the least version that the store asks for.
    pub program: u32,
    /// Rows sealed under one term before the keyring rotates by itself.
    pub term_operations: u64,
    /// Age of a term before the keyring rotates by itself; `None` never.
    pub term_age: Option<Duration>,
    /// Changes that the journal gathers before they are moved into the index.
    pub journal_entries: usize,
}

/// The program's version, as a store's minimum version means it: raised by one with every change of the format that an
/// older program must not touch.
pub const PROGRAM: u32 = 2;

impl Default for Options {
    fn default() -> Self {
        Options {
            clock: Clock::system(),
            program: PROGRAM,
            // The keys of rows are derived, so no nonce can repeat; the bound is the habit of SP 800-38D.
            term_operations: 1 << 32,
            term_age: None,
            journal_entries: 16_384,
        }
    }
}

/// What a store is initialised with.
pub struct Init<'a> {
    /// The cluster's id: random, and part of every row's authentication.
    pub cluster: [u8; 16],
    /// The root key that opens the keyring.
    pub root: &'a RootKey,
    /// The root key's generation.
    pub generation: u32,
    /// Unseal's rows, kept in clear and authenticated: keyslots, expression, pins, share commitments; by name.
    pub clear_rows: Vec<(String, Vec<u8>)>,
    /// Devices that confirm the epoch, with the counter that each has now.
    pub devices: Vec<Device>,
}

/// What the store says of itself without any key: untrusted until unsealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClearHead {
    /// The cluster's id.
    pub cluster: [u8; 16],
    /// The rollback counter.
    pub epoch: u64,
    /// Four words for people to compare; another commit has others.
    pub words: [&'static str; 4],
}

/// An opened, still sealed store. Clones share it.
#[derive(Clone)]
pub struct Store {
    storage: Storage,
    options: Options,
    /// Whose barrier is open, so that there is one at a time.
    writer: Arc<AtomicU64>,
}

impl Store {
    /// Opens, or makes, the store in a directory; nobody else may have it open.
    pub fn embedded(path: &Path, options: Options) -> Result<Store, Error> {
        Ok(Store::over(Storage::embedded(path)?, options))
    }

    /// A store in memory, for tests and development.
    pub fn inmem() -> Store {
        Store::over(Storage::inmem(), Options::default())
    }

    /// A store in memory with options.
    pub fn inmem_with(options: Options) -> Store {
        Store::over(Storage::inmem(), options)
    }

    /// A store over any storage.
    pub fn over(storage: Storage, options: Options) -> Store {
        Store { storage, options, writer: Arc::default() }
    }

    /// The untrusted storage below.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Whether the store has a head. One whose storage cannot be read counts as initialised, so that nothing is
    /// overwritten.
    pub fn is_initialised(&self) -> bool {
        let head = self.storage.snapshot().and_then(|snapshot| snapshot.get(Table::Meta, b"head"));
        !matches!(head, Ok(None))
    }

    /// Cluster, epoch and words as the store shows them; `None` when it has no head that can be read.
    pub fn clear_head(&self) -> Option<ClearHead> {
        let stored = self.storage.snapshot().ok()?.get(Table::Meta, b"head").ok()??;
        let clear = head::clear(&stored).ok()?;
        Some(ClearHead { cluster: clear.cluster, epoch: clear.epoch, words: spoken(&clear) })
    }

    /// Unseal's rows, by name; untrusted until unsealed.
    pub fn clear_rows(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        Ok(stored_clear_rows(&self.storage.snapshot()?)?.into_iter().collect())
    }

    /// Writes keyring, clear rows and the first head in one commit.
    pub fn initialise(&self, init: Init<'_>) -> Result<Barrier, Error> {
        let writer = Writer::take(&self.writer).ok_or(Error::AlreadyInitialised)?;
        if self.is_initialised() {
            return Err(Error::AlreadyInitialised);
        }
        let (state, mut custody) = initial(&self.storage, &self.options, (init.root, init.generation), init.cluster)?;
        custody.rows = init.clear_rows.into_iter().map(|(name, row)| (name, Some(row))).collect();
        custody.devices = Some(init.devices);
        let shared = Shared::new(self.storage.clone(), self.options.clone(), state, writer)?;
        shared.commit_now(false, |draft| draft.custody(&custody))?;
        Barrier::serve(shared, &[])
    }

    /// Checks, in this order: keyring under this root key, head, minimum program version, clear part, clear rows (by
    /// name), journal. What comes back does not serve yet: the epoch is to be confirmed.
    pub fn unseal(&self, root: &RootKey) -> Result<Opened, Error> {
        let state = open(self.storage.snapshot()?, &self.options, root)?;
        Ok(Opened { store: self.clone(), state })
    }
}

/// A store whose head has been authenticated; the epoch is still to be confirmed.
pub struct Opened {
    store: Store,
    state: State,
}

impl Opened {
    /// The store's epoch.
    pub fn epoch(&self) -> u64 {
        self.state.head.epoch
    }

    /// The root key's generation.
    pub fn generation(&self) -> u32 {
        self.state.head.generation
    }

    /// The devices that the head knows, with the counter each was last asked to reach.
    pub fn devices(&self) -> &[Device] {
        &self.state.head.devices
    }

    /// Refuses a copy of the store that is older than the epoch a custodian remembers.
    pub fn at_least(&self, epoch: u64) -> Result<(), Error> {
        if self.epoch() < epoch {
            return Err(Error::EpochTooOld { asked: epoch, stored: self.epoch() });
        }
        Ok(())
    }

    /// Compares this copy with what the devices at hand say, and writes the next epoch durably.
    ///
    /// A device that is away does not lock out. The caller raises each of [`Raise::targets`], then serves.
    pub fn confirm(self, readings: &[Reading]) -> Result<Raise, Error> {
        let writer = Writer::take(&self.store.writer).ok_or(Error::AlreadyOpen)?;
        // Between the unseal and here nobody else may have written.
        let stored = self.store.storage.snapshot()?.get(Table::Meta, b"head")?;
        if stored.as_deref() != Some(&*self.state.stored_head) {
            return Err(Error::Conflict { path: "head".into() });
        }
        let shared = Shared::new(self.store.storage, self.store.options, self.state, writer)?;
        // What is to be deleted or revoked on a full disk can only be so in a store that opens on one.
        let targets = shared.commit_now(true, |draft| draft.raise(readings))?;
        Ok(Raise { shared, targets })
    }
}

/// The next epoch is durable in the store; the devices are to be raised now, before it serves.
pub struct Raise {
    shared: Arc<Shared>,
    targets: Vec<Device>,
}

impl Raise {
    /// Which device is to be raised to which counter.
    pub fn targets(&self) -> &[Device] {
        &self.targets
    }

    /// The serving store. `done` are the counters that devices have reached; the others do not vouch.
    pub fn serve(self, done: &[Reading]) -> Result<Barrier, Error> {
        Barrier::serve(self.shared, done)
    }
}
