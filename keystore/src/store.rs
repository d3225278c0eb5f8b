//! An opened, still sealed store, and the way from it to a serving one.

use crate::barrier::Barrier;
use crate::{Device, Error, Reading};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
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
}

impl Default for Options {
    fn default() -> Self {
        Options { clock: Clock::system(), program: 1, term_operations: 1 << 32, term_age: None }
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
    /// Four words for people to compare.
    pub words: [&'static str; 4],
}

/// An opened, still sealed store. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Mutex<Memory>>);

#[derive(Default)]
struct Memory {
    head: Option<([u8; 16], u64, RootKeyCopy, Vec<Device>)>,
    clear: BTreeMap<String, Vec<u8>>,
    barrier: Option<Barrier>,
}

type RootKeyCopy = Arc<RootKey>;

impl Store {
    /// A store in memory, for tests and development.
    pub fn inmem() -> Store {
        Store::inmem_with(Options::default())
    }

    /// A store in memory with options.
    pub fn inmem_with(_options: Options) -> Store {
        Store(Arc::default())
    }

    /// Whether the store has a head.
    pub fn is_initialised(&self) -> bool {
        self.0.lock().head.is_some()
    }

    /// Cluster, epoch and words as the store shows them; `None` when it is not initialised.
    pub fn clear_head(&self) -> Option<ClearHead> {
        self.0.lock().head.as_ref().map(|head| ClearHead { cluster: head.0, epoch: head.1, words: ["abandon"; 4] })
    }

    /// Unseal's rows, by name; untrusted until unsealed.
    pub fn clear_rows(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        Ok(self.0.lock().clear.iter().map(|(name, row)| (name.clone(), row.clone())).collect())
    }

    /// Writes keyring, clear rows and the first head in one commit.
    pub fn initialise(&self, init: Init<'_>) -> Result<Barrier, Error> {
        let mut memory = self.0.lock();
        if memory.head.is_some() {
            return Err(Error::AlreadyInitialised);
        }
        let root = RootKey::from_slice(init.root.expose()).ok_or(Error::WrongRoot)?;
        memory.head = Some((init.cluster, 1, Arc::new(root), init.devices));
        memory.clear = init.clear_rows.into_iter().collect();
        let barrier = Barrier::fresh();
        memory.barrier = Some(barrier.clone());
        Ok(barrier)
    }

    /// Checks the head, the clear rows and the minimum program version. What comes back does not serve yet.
    pub fn unseal(&self, root: &RootKey) -> Result<Opened, Error> {
        let memory = self.0.lock();
        let head = memory.head.as_ref().ok_or(Error::NotInitialised)?;
        if !head.2.same_as(root) {
            return Err(Error::WrongRoot);
        }
        Ok(Opened { store: self.clone(), epoch: head.1, devices: head.3.clone() })
    }
}

/// A store whose head has been authenticated; the epoch is still to be confirmed.
pub struct Opened {
    store: Store,
    epoch: u64,
    devices: Vec<Device>,
}

impl Opened {
    /// The store's epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The devices that the head knows, with the counter each was last asked to reach.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Compares this copy with what the devices at hand say, and writes the next epoch durably.
    ///
    /// A device that is away does not lock out. The caller raises each of [`Raise::targets`], then serves.
    pub fn confirm(self, readings: &[Reading]) -> Result<Raise, Error> {
        let mut memory = self.store.0.lock();
        let barrier = memory.barrier.clone().ok_or(Error::NotInitialised)?.reopened();
        memory.barrier = Some(barrier.clone());
        let head = memory.head.as_mut().ok_or(Error::NotInitialised)?;
        let mut targets = Vec::new();
        for reading in readings {
            let Some(device) = head.3.iter_mut().find(|device| device.id == reading.id) else { continue };
            if device.counter < reading.counter {
                return Err(Error::RollbackDetected {
                    device: device.id.to_string(),
                    counter: reading.counter,
                    stored: device.counter,
                });
            }
            device.counter = reading.counter + 1;
            targets.push(*device);
        }
        head.1 += 1;
        Ok(Raise { barrier, targets })
    }
}

/// The next epoch is durable in the store; the devices are to be raised now, before it serves.
pub struct Raise {
    barrier: Barrier,
    targets: Vec<Device>,
}

impl Raise {
    /// Which device is to be raised to which counter.
    pub fn targets(&self) -> &[Device] {
        &self.targets
    }

    /// The serving store. `done` says which devices have reached their target; the others do not vouch.
    pub fn serve(self, done: &[Reading]) -> Barrier {
        let _ = done;
        self.barrier
    }
}
