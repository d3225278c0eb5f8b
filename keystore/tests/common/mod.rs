//! What several tests need.
#![allow(dead_code, unreachable_pub)]

use std::ops::ControlFlow;
use strongroom_clock::{Clock, Timestamp};
use strongroom_keystore::storage::Storage;
use strongroom_keystore::{Barrier, Error, Init, MountId, Options, Reading, Store, Verification};
use strongroom_secret::key::RootKey;

pub const CLUSTER: [u8; 16] = [7; 16];
pub const MOUNT: MountId = MountId([1; 16]);

pub fn root(byte: u8) -> RootKey {
    RootKey::filled(|out| *out = [byte; 32])
}

/// A journal so short that small tests move changes into the tree, and a clock that stands.
pub fn options(journal_entries: usize) -> Options {
    Options { journal_entries, clock: Clock::manual(Timestamp::from_unix(1_800_000_000)), ..Options::default() }
}

pub fn init(store: &Store, devices: Vec<Reading>) -> Barrier {
    let clear_rows = vec![("keyslot/1".into(), b"slot one".to_vec()), ("expression".into(), b"any(a)".to_vec())];
    store.initialise(Init { cluster: CLUSTER, root: &root(1), generation: 1, clear_rows, devices }).unwrap()
}

/// Unseals without devices.
pub fn unseal(storage: &Storage, journal_entries: usize) -> Result<Barrier, Error> {
    Store::over(storage.clone(), options(journal_entries)).unseal(&root(1))?.confirm(&[])?.serve(&[])
}

pub fn verify(barrier: &Barrier) -> Verification {
    barrier.verify(|_| ControlFlow::Continue(())).unwrap()
}

/// Small, fast, seeded: the same run every time.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Everything that a storage holds.
pub type Dump = std::collections::BTreeMap<(strongroom_keystore::storage::Table, Vec<u8>), Vec<u8>>;

pub fn dump(storage: &Storage) -> Dump {
    let snapshot = storage.snapshot().unwrap();
    (strongroom_keystore::storage::Table::ALL.into_iter())
        .flat_map(|table| {
            let rows = snapshot.range(table, &[], 100_000).unwrap();
            rows.into_iter().map(move |(key, value)| ((table, key), value))
        })
        .collect()
}

/// A storage in memory that holds a dump.
pub fn restored(dump: &Dump) -> Storage {
    let storage = Storage::inmem();
    let ops: Vec<_> = (dump.iter())
        .map(|((table, key), value)| strongroom_keystore::storage::Op::put(*table, key.clone(), value.clone()))
        .collect();
    storage.commit(storage.lead().unwrap(), &ops).unwrap();
    storage
}
