//! Another backend, made to fail on purpose. Behind a feature that no release turns on.

use super::{Fence, Op, Pair, Storage, Table};
use crate::Error;
use parking_lot::Mutex;
use std::sync::Arc;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The disk is full; nothing is written, pressing or not.
    NoSpace,
    /// The disk is full, but for what is kept back for pressing commits.
    Tight,
    /// The commit fails, nothing is written.
    Lost,
    /// The commit fails after it was made.
    Made,
    /// The commit succeeds with only its first half.
    Torn,
    /// The commit succeeds, but the last value loses its second half.
    Short,
    /// A read fails.
    Read,
}

/// Another backend, made to fail.
pub struct Faulty {
    storage: Storage,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    commits: u64,
    reads: u64,
    faults: Vec<(u64, Fault)>,
}

/// One state of [`Faulty`].
pub struct Snapshot {
    snapshot: super::Snapshot,
    plan: Arc<Mutex<Plan>>,
}

impl Faulty {
    /// Over another backend; no fault yet.
    pub fn over(storage: Storage) -> Arc<Faulty> {
        Arc::new(Faulty { storage, plan: Arc::default() })
    }

    /// The `n`-th commit (or read) from now, from 1, goes wrong.
    pub fn plan(&self, n: u64, fault: Fault) {
        let mut plan = self.plan.lock();
        let now = if fault == Fault::Read { plan.reads } else { plan.commits };
        plan.faults.push((now + n, fault));
    }

    /// The backend below.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, Error> {
        Ok(Snapshot { snapshot: self.storage.snapshot()?, plan: self.plan.clone() })
    }

    pub(super) fn commit(&self, fence: Fence, ops: &[Op], pressing: bool) -> Result<(), Error> {
        let fault = {
            let mut plan = self.plan.lock();
            plan.commits += 1;
            let now = plan.commits;
            plan.faults.iter().find(|(at, fault)| *at == now && *fault != Fault::Read).map(|(_, fault)| *fault)
        };
        match fault {
            None | Some(Fault::Read) => self.storage.commit_as(fence, ops, pressing),
            Some(Fault::NoSpace) => Err(Error::NoSpace),
            Some(Fault::Tight) if pressing => self.storage.commit_as(fence, ops, pressing),
            Some(Fault::Tight) => Err(Error::NoSpace),
            Some(Fault::Lost) => Err(Error::Storage("injected".into())),
            Some(Fault::Made) => {
                self.storage.commit_as(fence, ops, pressing)?;
                Err(Error::Storage("injected".into()))
            }
            Some(Fault::Torn) => self.storage.commit(fence, &ops[..ops.len() / 2]),
            Some(Fault::Short) => {
                let mut ops = ops.to_vec();
                if let Some(value) = ops.iter_mut().rev().find_map(|op| op.value.as_mut()) {
                    value.truncate(value.len() / 2);
                }
                self.storage.commit(fence, &ops)
            }
        }
    }
}

impl Snapshot {
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.read()?;
        self.snapshot.get(table, key)
    }

    pub(super) fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Pair>, Error> {
        self.read()?;
        self.snapshot.range(table, from, limit)
    }

    fn read(&self) -> Result<(), Error> {
        let mut plan = self.plan.lock();
        plan.reads += 1;
        let now = plan.reads;
        if plan.faults.contains(&(now, Fault::Read)) {
            return Err(Error::Storage("injected".into()));
        }
        Ok(())
    }
}
