//! The unsealed store.

use crate::{Batch, Error, MountId, Row, Sequence, Version, View, path};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use strongroom_secret::SecretBytes;

/// The unsealed store; clones share it.
#[derive(Clone)]
pub struct Barrier(Arc<Inner>);

impl Barrier {
    pub(crate) fn fresh() -> Barrier {
        Barrier(Arc::new(Inner::new(Arc::default())))
    }

    pub(crate) fn reopened(&self) -> Barrier {
        Barrier(Arc::new(Inner::new(self.0.rows.clone())))
    }

    /// Storage of one mount.
    pub fn view(&self, mount: MountId) -> View {
        View::new(self.0.clone(), mount)
    }

    /// Seals: every view answers [`Error::Sealed`] from now on.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
    }
}

type Rows = BTreeMap<(MountId, String), (Vec<u8>, u64)>;

pub(crate) struct Inner {
    rows: Arc<Mutex<(u64, Rows)>>,
    counters: Box<[AtomicU64]>,
    closed: AtomicBool,
}

impl Inner {
    fn new(rows: Arc<Mutex<(u64, Rows)>>) -> Inner {
        Inner { rows, counters: (0..1024).map(|_| AtomicU64::new(0)).collect(), closed: AtomicBool::new(false) }
    }

    fn open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Sealed) } else { Ok(()) }
    }

    pub(crate) fn id(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    pub(crate) fn get(&self, mount: MountId, path: &str) -> Result<Option<Row>, Error> {
        self.open()?;
        let rows = self.rows.lock();
        Ok(rows
            .1
            .get(&(mount, path.to_owned()))
            .map(|(value, at)| Row { value: SecretBytes::from_slice(value), version: version(*at) }))
    }

    pub(crate) fn exists(&self, mount: MountId, path: &str) -> Result<bool, Error> {
        Ok(self.get(mount, path)?.is_some())
    }

    pub(crate) fn list(&self, mount: MountId, dir: &str, after: Option<&str>, n: usize) -> Result<Vec<String>, Error> {
        self.open()?;
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let rows = self.rows.lock();
        let mut names: Vec<String> = (rows.1.range((mount, prefix.clone())..))
            .take_while(|((at, path), _)| *at == mount && path.starts_with(&prefix))
            .map(|((_, path), _)| match path[prefix.len()..].split_once('/') {
                Some((dir, _)) => format!("{dir}/"),
                None => path[prefix.len()..].to_owned(),
            })
            .filter(|name| after.is_none_or(|after| name.as_str() > after))
            .collect();
        names.sort();
        names.dedup();
        names.truncate(n);
        Ok(names)
    }

    pub(crate) async fn commit(&self, batch: Batch) -> Result<Sequence, Error> {
        self.open()?;
        if let Some(error) = batch.error {
            return Err(error);
        }
        let mut rows = self.rows.lock();
        for expected in batch.expected {
            let now = rows.1.get(&(expected.mount, expected.path.clone())).map(|row| version(row.1));
            if now != expected.version {
                return Err(Error::Conflict { path: expected.path });
            }
        }
        rows.0 += 1;
        let at = rows.0;
        for change in batch.changes {
            let shard = self.shard(change.mount, &change.path)?;
            match change.value {
                Some(value) => rows.1.insert((change.mount, change.path), (value.expose().to_vec(), at)),
                None => rows.1.remove(&(change.mount, change.path)),
            };
            self.counters[shard].fetch_add(1, Ordering::Release);
        }
        Ok(Sequence(at))
    }

    pub(crate) fn shard(&self, mount: MountId, path: &str) -> Result<usize, Error> {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((mount, path::split(path)));
        Ok(hash as usize % self.counters.len())
    }

    pub(crate) fn counter(&self, shard: usize) -> Result<u64, Error> {
        self.open()?;
        Ok(self.counters[shard].load(Ordering::Acquire))
    }
}

fn version(at: u64) -> Version {
    Version(u128::from(at).to_be_bytes())
}
