//! Storage in memory: several versions of each row, kept as long as a snapshot may ask for them.

use super::{Op, Pair, Table};
use crate::Error;
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Storage in memory.
#[derive(Default)]
pub struct Inmem(Arc<Shared>);

#[derive(Default)]
struct Shared {
    tables: RwLock<Tables>,
    /// How many snapshots of which commit are alive.
    alive: Mutex<BTreeMap<u64, usize>>,
}

#[derive(Default)]
struct Tables {
    commit: u64,
    lead: u64,
    rows: BTreeMap<(Table, Vec<u8>), Versions>,
}

/// The commit that wrote each version, oldest first.
type Versions = Vec<(u64, Option<Vec<u8>>)>;

/// One state of [`Inmem`].
pub struct Snapshot {
    shared: Arc<Shared>,
    commit: u64,
}

impl Inmem {
    pub(super) fn snapshot(&self) -> Snapshot {
        let tables = self.0.tables.read();
        *self.0.alive.lock().entry(tables.commit).or_default() += 1;
        Snapshot { shared: self.0.clone(), commit: tables.commit }
    }

    pub(super) fn lead(&self) -> u64 {
        let mut tables = self.0.tables.write();
        tables.lead += 1;
        tables.lead
    }

    pub(super) fn commit(&self, fence: u64, ops: &[Op]) -> Result<(), Error> {
        let mut tables = self.0.tables.write();
        if fence < tables.lead {
            return Err(Error::Fenced);
        }
        let oldest = self.0.alive.lock().keys().next().copied().unwrap_or(tables.commit);
        tables.commit += 1;
        let commit = tables.commit;
        for op in ops {
            let place = (op.table, op.key.clone());
            let versions = tables.rows.entry(place.clone()).or_default();
            // Of the versions that the oldest snapshot is past, it sees the last.
            let needed = versions.partition_point(|(at, _)| *at <= oldest).saturating_sub(1);
            versions.drain(..needed);
            versions.retain(|(at, _)| *at != commit);
            versions.push((commit, op.value.clone()));
            if let [(_, None)] = versions[..] {
                tables.rows.remove(&place);
            }
        }
        Ok(())
    }
}

impl Snapshot {
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        let tables = self.shared.tables.read();
        self.seen(tables.rows.get(&(table, key.to_vec()))?).cloned()
    }

    pub(super) fn range(&self, table: Table, from: &[u8], limit: usize) -> Vec<Pair> {
        let tables = self.shared.tables.read();
        (tables.rows.range((table, from.to_vec())..))
            .take_while(|((of, _), _)| *of == table)
            .filter_map(|((_, key), versions)| Some((key.clone(), self.seen(versions)?.clone())))
            .take(limit)
            .collect()
    }

    fn seen<'a>(&self, versions: &'a Versions) -> Option<&'a Vec<u8>> {
        versions.iter().rev().find(|(at, _)| *at <= self.commit).and_then(|(_, value)| value.as_ref())
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let mut alive = self.shared.alive.lock();
        if let Some(count) = alive.get_mut(&self.commit) {
            *count -= 1;
            if *count == 0 {
                alive.remove(&self.commit);
            }
        }
    }
}
