//! Untrusted storage: ordered tables of bytes, one atomic and fenced write call, one consistent read handle.
//!
//! A backend promises atomicity and durability and is believed in neither: what it returns is authenticated above. Every
//! backend passes `tests/conformance.rs`.

mod embedded;
#[cfg(feature = "faults")]
mod faulty;
mod inmem;
mod reserve;

use crate::Error;
pub use embedded::Embedded;
#[cfg(feature = "faults")]
pub use faulty::{Fault, Faulty};
pub use inmem::Inmem;
use std::path::Path;
use std::sync::Arc;

/// The tables of a store. The number is their order in backends that have one keyspace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Table {
    /// The head, the keyring, the register, the clear rows.
    Meta = 0,
    /// Sealed rows, by their 32-byte keys.
    Rows = 1,
    /// Nodes of the index, by slot.
    Nodes = 2,
    /// Pages of the journal, by number.
    Journal = 3,
}

impl Table {
    /// Every table.
    pub const ALL: [Table; 4] = [Table::Meta, Table::Rows, Table::Nodes, Table::Journal];
}

/// One change of a commit. Of several changes of one key the last one counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Op {
    /// Where.
    pub table: Table,
    /// Which row; in [`Table::Rows`] exactly 32 bytes.
    pub key: Vec<u8>,
    /// `None` deletes; deleting what is absent is fine.
    pub value: Option<Vec<u8>>,
}

impl Op {
    /// Writes a row.
    pub fn put(table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Op {
        Op { table, key: key.into(), value: Some(value.into()) }
    }

    /// Deletes a row.
    pub fn delete(table: Table, key: impl Into<Vec<u8>>) -> Op {
        Op { table, key: key.into(), value: None }
    }
}

/// Evidence of leadership: a commit with a fence older than the last one taken is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fence(u64);

/// A row as a range gives it: key and value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// A storage backend. Clones share it.
#[derive(Clone)]
#[non_exhaustive]
pub enum Storage {
    /// One file on this machine.
    Embedded(Arc<Embedded>),
    /// Nothing outlives the process.
    Inmem(Arc<Inmem>),
    /// Another backend, made to fail.
    #[cfg(feature = "faults")]
    Faulty(Arc<Faulty>),
}

/// One consistent state of a storage.
#[derive(Clone)]
#[non_exhaustive]
pub enum Snapshot {
    /// Of [`Embedded`].
    Embedded(Arc<embedded::Snapshot>),
    /// Of [`Inmem`].
    Inmem(Arc<inmem::Snapshot>),
    /// Of [`Faulty`].
    #[cfg(feature = "faults")]
    Faulty(Arc<faulty::Snapshot>),
}

impl Storage {
    /// Opens, or makes, the store in the directory `path`.
    pub fn embedded(path: &Path) -> Result<Storage, Error> {
        Ok(Storage::Embedded(Arc::new(Embedded::open(path)?)))
    }

    /// An empty storage in memory.
    pub fn inmem() -> Storage {
        Storage::Inmem(Arc::default())
    }

    /// The state of the last commit.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        match self {
            Storage::Embedded(engine) => engine.snapshot().map(|snapshot| Snapshot::Embedded(Arc::new(snapshot))),
            Storage::Inmem(engine) => Ok(Snapshot::Inmem(Arc::new(engine.snapshot()))),
            #[cfg(feature = "faults")]
            Storage::Faulty(engine) => engine.snapshot().map(|snapshot| Snapshot::Faulty(Arc::new(snapshot))),
        }
    }

    /// Takes the lead: fences handed out before are refused from now on.
    pub fn lead(&self) -> Result<Fence, Error> {
        match self {
            Storage::Embedded(engine) => Ok(Fence(engine.lead())),
            Storage::Inmem(engine) => Ok(Fence(engine.lead())),
            #[cfg(feature = "faults")]
            Storage::Faulty(engine) => engine.storage().lead(),
        }
    }

    /// All of `ops`, atomic and durable when it returns; none of them on [`Error::NoSpace`] and [`Error::Fenced`]. On
    /// any other error it may have been made or not, which a new snapshot shows.
    ///
    /// Blocks for as long as the disk takes. Not to be called from two threads of one leader.
    pub fn commit(&self, fence: Fence, ops: &[Op]) -> Result<(), Error> {
        self.commit_as(fence, ops, false)
    }

    /// The same; `pressing` commits may use space that the backend keeps back for the time when there is no other.
    pub fn commit_as(&self, fence: Fence, ops: &[Op], pressing: bool) -> Result<(), Error> {
        match self {
            Storage::Embedded(engine) => engine.commit(fence.0, ops, pressing),
            Storage::Inmem(engine) => engine.commit(fence.0, ops),
            #[cfg(feature = "faults")]
            Storage::Faulty(engine) => engine.commit(fence, ops, pressing),
        }
    }

    /// Whether what is committed will be found by the next process: an error once the file is not where it was.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Storage::Embedded(engine) => engine.check(),
            Storage::Inmem(_) => Ok(()),
            #[cfg(feature = "faults")]
            Storage::Faulty(engine) => engine.storage().check(),
        }
    }

    /// Whether ordinary commits are refused for want of space, as far as is known.
    pub fn is_full(&self) -> bool {
        match self {
            Storage::Embedded(engine) => engine.is_full(),
            Storage::Inmem(_) => false,
            #[cfg(feature = "faults")]
            Storage::Faulty(engine) => engine.storage().is_full(),
        }
    }

    /// Tries to make the backend usable again after an error, where it has such a state. Snapshots taken before may
    /// answer with errors afterwards.
    pub fn revive(&self) -> Result<(), Error> {
        match self {
            Storage::Embedded(engine) => engine.revive(),
            Storage::Inmem(_) => Ok(()),
            #[cfg(feature = "faults")]
            Storage::Faulty(engine) => engine.storage().revive(),
        }
    }
}

impl Snapshot {
    /// One row.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Snapshot::Embedded(snapshot) => snapshot.get(table, key),
            Snapshot::Inmem(snapshot) => Ok(snapshot.get(table, key)),
            #[cfg(feature = "faults")]
            Snapshot::Faulty(snapshot) => snapshot.get(table, key),
        }
    }

    /// At most `limit` rows in the order of their keys, from `from` on, inclusive.
    pub fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Pair>, Error> {
        match self {
            Snapshot::Embedded(snapshot) => snapshot.range(table, from, limit),
            Snapshot::Inmem(snapshot) => Ok(snapshot.range(table, from, limit)),
            #[cfg(feature = "faults")]
            Snapshot::Faulty(snapshot) => snapshot.range(table, from, limit),
        }
    }
}
