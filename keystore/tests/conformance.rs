//! What every storage backend must do. A later backend adds one line at the end.

use std::sync::Arc;
use strongroom_keystore::Error;
use strongroom_keystore::storage::{Fault, Faulty, Op, Storage, Table};

/// Runs every check of the suite on fresh storages that `make` gives. `reopen` closes and opens one again.
fn conforms(make: impl Fn() -> (Storage, Option<Box<dyn Fn() -> Storage>>)) {
    let fresh = || make().0;
    what_is_committed_is_read(&fresh());
    tables_do_not_meet(&fresh());
    the_last_change_of_a_key_counts(&fresh());
    ranges_are_sorted_and_bounded(&fresh());
    values_of_every_size_come_back(&fresh());
    a_snapshot_does_not_move(&fresh());
    an_old_fence_is_refused(&fresh());
    a_failed_commit_leaves_nothing(fresh());
    snapshots_and_commits_run_side_by_side(&fresh());
    let (storage, reopen) = make();
    if let Some(reopen) = reopen {
        what_was_committed_outlives_the_process(storage, &*reopen);
    }
}

fn key(n: u8) -> Vec<u8> {
    vec![n; 32]
}

fn commit(storage: &Storage, ops: &[Op]) {
    storage.commit(storage.lead().unwrap(), ops).unwrap();
}

fn get(storage: &Storage, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    storage.snapshot().unwrap().get(table, key).unwrap()
}

fn what_is_committed_is_read(storage: &Storage) {
    assert_eq!(get(storage, Table::Rows, &key(1)), None);
    commit(storage, &[Op::put(Table::Rows, key(1), [1]), Op::put(Table::Meta, "head", [2])]);
    assert_eq!(get(storage, Table::Rows, &key(1)), Some(vec![1]));
    assert_eq!(get(storage, Table::Meta, b"head"), Some(vec![2]));
    commit(
        storage,
        &[Op::put(Table::Rows, key(1), [3]), Op::delete(Table::Meta, "head"), Op::delete(Table::Meta, "none")],
    );
    assert_eq!(get(storage, Table::Rows, &key(1)), Some(vec![3]));
    assert_eq!(get(storage, Table::Meta, b"head"), None);
    commit(storage, &[]);
    assert_eq!(get(storage, Table::Rows, &[]), None, "a key that no row can have");
}

fn tables_do_not_meet(storage: &Storage) {
    let ops: Vec<_> = Table::ALL.iter().map(|table| Op::put(*table, key(5), [*table as u8])).collect();
    commit(storage, &ops);
    for table in Table::ALL {
        assert_eq!(get(storage, table, &key(5)), Some(vec![table as u8]));
        assert_eq!(storage.snapshot().unwrap().range(table, &[], 9).unwrap(), [(key(5), vec![table as u8])]);
    }
}

fn the_last_change_of_a_key_counts(storage: &Storage) {
    commit(storage, &[Op::put(Table::Nodes, "a", [1]), Op::delete(Table::Nodes, "a"), Op::put(Table::Nodes, "a", [2])]);
    assert_eq!(get(storage, Table::Nodes, b"a"), Some(vec![2]));
    commit(storage, &[Op::put(Table::Nodes, "a", [3]), Op::delete(Table::Nodes, "a")]);
    assert_eq!(get(storage, Table::Nodes, b"a"), None);
}

fn ranges_are_sorted_and_bounded(storage: &Storage) {
    let mut ops: Vec<_> = (0..100).rev().map(|n| Op::put(Table::Rows, key(n), [n])).collect();
    ops.extend([&b""[..], b"a", b"a\0", b"a\xff", b"b", b"\xff\xff"].map(|key| Op::put(Table::Nodes, key, [7])));
    commit(storage, &ops);
    let snapshot = storage.snapshot().unwrap();
    let keys = |from: &[u8], limit| -> Vec<u8> {
        snapshot.range(Table::Rows, from, limit).unwrap().iter().map(|(key, _)| key[0]).collect()
    };
    assert_eq!(keys(&[], 1000), (0..100).collect::<Vec<_>>());
    assert_eq!(keys(&key(40), 3), [40, 41, 42]);
    assert_eq!(keys(&[40, 41], 2), [41, 42]);
    assert_eq!(keys(&key(99), 5), [99]);
    assert_eq!(keys(&key(100), 5), []);
    assert_eq!(keys(&[], 0), []);
    let nodes: Vec<_> = snapshot.range(Table::Nodes, b"a", 4).unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(nodes, [&b"a"[..], b"a\0", b"a\xff", b"b"]);
}

fn values_of_every_size_come_back(storage: &Storage) {
    let sizes = [0, 1, 255, 4096, 70_000, 1 << 20];
    let ops: Vec<_> = sizes.iter().zip(0..).map(|(size, n)| Op::put(Table::Rows, key(n), vec![n; *size])).collect();
    commit(storage, &ops);
    for (size, n) in sizes.into_iter().zip(0..) {
        assert_eq!(get(storage, Table::Rows, &key(n)), Some(vec![n; size]));
    }
}

fn a_snapshot_does_not_move(storage: &Storage) {
    commit(storage, &[Op::put(Table::Rows, key(1), [1]), Op::put(Table::Rows, key(2), [1])]);
    let before = storage.snapshot().unwrap();
    for n in 2..20 {
        let between = storage.snapshot().unwrap();
        commit(storage, &[Op::put(Table::Rows, key(1), [n]), Op::delete(Table::Rows, key(2))]);
        assert_eq!(between.get(Table::Rows, &key(1)).unwrap(), Some(vec![n - 1]));
    }
    assert_eq!(before.range(Table::Rows, &[], 9).unwrap(), [(key(1), vec![1]), (key(2), vec![1])]);
    assert_eq!(get(storage, Table::Rows, &key(2)), None);
}

fn an_old_fence_is_refused(storage: &Storage) {
    let old = storage.lead().unwrap();
    storage.commit(old, &[Op::put(Table::Meta, "a", [1])]).unwrap();
    let new = storage.lead().unwrap();
    assert!(matches!(storage.commit(old, &[Op::put(Table::Meta, "a", [2])]), Err(Error::Fenced)));
    assert_eq!(get(storage, Table::Meta, b"a"), Some(vec![1]));
    storage.commit(new, &[Op::put(Table::Meta, "a", [3])]).unwrap();
    assert_eq!(get(storage, Table::Meta, b"a"), Some(vec![3]));
}

fn a_failed_commit_leaves_nothing(storage: Storage) {
    let faulty = Faulty::over(storage);
    let storage = Storage::Faulty(faulty.clone());
    commit(&storage, &[Op::put(Table::Rows, key(1), [1])]);
    for fault in [Fault::NoSpace, Fault::Lost] {
        faulty.plan(1, fault);
        let fence = storage.lead().unwrap();
        assert!(
            storage.commit(fence, &[Op::put(Table::Rows, key(1), [2]), Op::put(Table::Rows, key(2), [2])]).is_err()
        );
        storage.revive().unwrap();
        assert_eq!(get(&storage, Table::Rows, &key(1)), Some(vec![1]));
        assert_eq!(get(&storage, Table::Rows, &key(2)), None);
    }
    faulty.plan(1, Fault::Read);
    assert!(storage.snapshot().unwrap().get(Table::Rows, &key(1)).is_err());
    commit(&storage, &[Op::put(Table::Rows, key(1), [3])]);
    assert_eq!(get(&storage, Table::Rows, &key(1)), Some(vec![3]));
}

fn snapshots_and_commits_run_side_by_side(storage: &Storage) {
    let fence = storage.lead().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let rows = storage.snapshot().unwrap().range(Table::Rows, &[], 99).unwrap();
                    assert!(rows.windows(2).all(|pair| pair[0].1 == pair[1].1), "half of a commit was seen");
                }
            });
        }
        for n in 0..50 {
            let ops: Vec<_> = (0..10).map(|row| Op::put(Table::Rows, key(row), [n])).collect();
            storage.commit(fence, &ops).unwrap();
        }
    });
}

fn what_was_committed_outlives_the_process(storage: Storage, reopen: &dyn Fn() -> Storage) {
    commit(&storage, &[Op::put(Table::Rows, key(1), [1])]);
    drop(storage);
    assert_eq!(get(&reopen(), Table::Rows, &key(1)), Some(vec![1]));
}

#[test]
fn inmem_conforms() {
    conforms(|| (Storage::inmem(), None));
}

#[test]
fn embedded_conforms() {
    conforms(|| {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let open = move || Storage::embedded(&dir.path().join("store")).unwrap();
        (open(), Some(Box::new(open)))
    });
}

#[test]
fn faulty_conforms_while_nothing_is_planned() {
    conforms(|| (Storage::Faulty(Faulty::over(Storage::inmem())), None));
}
