//! From initialisation to a serving store and back: precise refusals, epochs, rotation, re-encryption, custody, faults.

mod common;

use common::{CLUSTER, MOUNT, dump, init, options, restored, root, unseal, verify};
use std::collections::BTreeSet;
use std::time::Duration;
use strongroom_clock::{Clock, Timestamp};
use strongroom_keystore::storage::{Fault, Faulty, Op, Storage, Table};
use strongroom_keystore::{
    Batch, Cache, Change, Device, DeviceId, Error, Init, Layer, Options, PROGRAM, Reading, Store, TermLimits, wait,
};

fn device(counter: u64) -> Reading {
    Device { id: DeviceId([5; 16]), counter }
}

#[test]
fn nothing_is_opened_before_it_exists_and_nothing_is_overwritten() {
    let store = Store::inmem();
    assert!(!store.is_initialised());
    assert_eq!(store.clear_head(), None);
    assert!(matches!(store.unseal(&root(1)), Err(Error::NotInitialised)));
    let barrier = init(&store, Vec::new());
    let clear = store.clear_head().unwrap();
    assert_eq!((clear.cluster, clear.epoch), (CLUSTER, 1));
    assert_eq!(clear.words, barrier.integrity().unwrap().words);
    let names: Vec<_> = store.clear_rows().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["expression", "keyslot/1"]);
    barrier.close();
    let again = Init { cluster: CLUSTER, root: &root(2), generation: 1, clear_rows: vec![], devices: vec![] };
    assert!(matches!(store.initialise(again), Err(Error::AlreadyInitialised)));
    assert!(matches!(store.unseal(&root(2)), Err(Error::WrongRoot)));
}

#[test]
fn each_change_of_head_keyring_and_clear_rows_is_named_at_unseal() {
    let store = Store::inmem_with(options(10));
    let barrier = init(&store, Vec::new());
    wait(barrier.view(MOUNT).put("a", b"1")).unwrap();
    barrier.close();
    let before = dump(store.storage());
    let refused = |change: &dyn Fn(&mut common::Dump)| {
        let mut changed = before.clone();
        change(&mut changed);
        unseal(&restored(&changed), 10).err().expect("a changed store must not open")
    };
    let meta = |name: &str| (Table::Meta, name.as_bytes().to_vec());
    for (name, layer, called) in [
        ("clear/keyslot/1", Layer::ClearRow, "keyslot/1"),
        ("clear/expression", Layer::ClearRow, "expression"),
        ("register", Layer::ClearRow, "register"),
    ] {
        for error in [
            refused(&|rows| *rows.get_mut(&meta(name)).unwrap().last_mut().unwrap() ^= 1),
            refused(&|rows| drop(rows.remove(&meta(name)))),
        ] {
            assert!(
                matches!(&error, Error::Integrity { layer: l, name, .. } if *l == layer && name == called),
                "{error}"
            );
        }
    }
    let extra = refused(&|rows| drop(rows.insert(meta("clear/keyslot/2"), b"mine".to_vec())));
    assert!(matches!(extra, Error::Integrity { layer: Layer::ClearRow, name, .. } if name == "keyslot/2"));
    for at in [1, 20, 30] {
        let error = refused(&|rows| rows.get_mut(&meta("head")).unwrap()[at] ^= 1);
        let head = matches!(&error, Error::Integrity { layer: Layer::Head, .. });
        assert!(head || matches!(error, Error::WrongRoot) && at == 1, "byte {at}: {error}");
    }
    let sealed = refused(&|rows| *rows.get_mut(&meta("head")).unwrap().last_mut().unwrap() ^= 1);
    assert!(matches!(sealed, Error::Integrity { layer: Layer::Head, .. }));
    assert!(matches!(refused(&|rows| drop(rows.remove(&meta("head")))), Error::NotInitialised));
    let keyring = refused(&|rows| *rows.get_mut(&meta("keyring")).unwrap().last_mut().unwrap() ^= 1);
    assert!(matches!(keyring, Error::Integrity { layer: Layer::Keyring, .. }));
}

#[test]
fn an_older_keyring_or_keyslot_cannot_be_put_back() {
    let store = Store::inmem_with(options(10));
    let barrier = init(&store, Vec::new());
    let before = dump(store.storage());
    wait(barrier.rotate()).unwrap();
    wait(barrier.change(Change { put: vec![("keyslot/1".into(), b"new".to_vec())], ..Change::default() })).unwrap();
    barrier.close();
    for (key, layer) in [("keyring", Layer::Keyring), ("clear/keyslot/1", Layer::ClearRow)] {
        let key = (Table::Meta, key.as_bytes().to_vec());
        let mut now = dump(store.storage());
        now.insert(key.clone(), before[&key].clone());
        assert!(matches!(unseal(&restored(&now), 10), Err(Error::Integrity { layer: l, .. }) if l == layer));
    }
}

#[test]
fn a_store_says_which_program_it_needs() {
    let store = Store::inmem_with(options(10));
    let barrier = init(&store, Vec::new());
    wait(barrier.change(Change { minimum: Some(9), ..Change::default() })).unwrap();
    assert_eq!(barrier.integrity().unwrap().minimum, 9);
    barrier.close();
    let error = store.unseal(&root(1)).err().unwrap();
    assert!(matches!(error, Error::ProgramTooOld { needed: 9, running: PROGRAM }));
    assert!(error.to_string().contains("needs at least"));
    let newer = Store::over(store.storage().clone(), Options { program: 9, ..options(10) });
    newer.unseal(&root(1)).unwrap();
}

#[test]
fn yesterdays_store_stays_sealed() {
    let store = Store::inmem_with(options(10));
    let barrier = init(&store, vec![device(7)]);
    let targets = wait(barrier.raise(vec![device(7)])).unwrap();
    assert_eq!(targets, [device(8)]);
    assert!(!barrier.integrity().unwrap().protected, "asked for is not reached");
    barrier.raised(&[device(8)]).unwrap();
    assert!(barrier.integrity().unwrap().protected);
    let yesterday = dump(store.storage());
    wait(barrier.view(MOUNT).put("a", b"1")).unwrap();
    assert_eq!(wait(barrier.raise(vec![device(8)])).unwrap(), [device(9)]);
    barrier.close();

    // Stopped between the write and the raise: the device still says 8, and is raised on.
    let opened = store.unseal(&root(1)).unwrap();
    assert_eq!(opened.devices(), [device(9)]);
    let epoch = opened.epoch();
    assert!(matches!(opened.at_least(epoch + 1), Err(Error::EpochTooOld { .. })));
    opened.at_least(epoch).unwrap();
    let raise = opened.confirm(&[device(8)]).unwrap();
    assert_eq!(raise.targets(), [device(10)]);
    let barrier = raise.serve(&[device(10)]).unwrap();
    assert!(barrier.integrity().unwrap().protected);
    barrier.close();

    let old = Store::over(restored(&yesterday), options(10));
    let error = old.unseal(&root(1)).unwrap().confirm(&[device(10)]).err().unwrap();
    assert!(matches!(error, Error::RollbackDetected { counter: 10, stored: 8, .. }));
    assert!(error.to_string().starts_with("rollback detected"));
    // A device that is away locks nobody out, and nobody is told that the store is protected.
    let barrier = store.unseal(&root(1)).unwrap().confirm(&[]).unwrap().serve(&[]).unwrap();
    assert!(!barrier.integrity().unwrap().protected);
}

#[test]
fn a_root_key_is_replaced_with_its_keyslots_in_one_commit() {
    let store = Store::inmem_with(options(10));
    let barrier = init(&store, Vec::new());
    wait(barrier.view(MOUNT).put("a", b"1")).unwrap();
    let change = Change {
        root: Some((&root(2), 2)),
        put: vec![("keyslot/2".into(), b"two".to_vec())],
        delete: vec!["keyslot/1".into()],
        ..Change::default()
    };
    wait(barrier.change(change)).unwrap();
    wait(barrier.rotate()).unwrap();
    barrier.close();
    assert!(matches!(store.unseal(&root(1)), Err(Error::WrongRoot)));
    let opened = store.unseal(&root(2)).unwrap();
    assert_eq!(opened.generation(), 2);
    let barrier = opened.confirm(&[]).unwrap().serve(&[]).unwrap();
    assert_eq!(wait(barrier.view(MOUNT).get("a")).unwrap().unwrap().value.expose(), b"1");
    for name in ["", "keyring"] {
        let change = Change { put: vec![(name.into(), vec![])], ..Change::default() };
        assert!(matches!(wait(barrier.change(change)), Err(Error::Format(_))));
    }
}

#[test]
fn terms_rotate_by_hand_by_count_and_by_time() {
    let clock = Clock::manual(Timestamp::from_unix(1_800_000_000));
    let store = Store::inmem_with(Options {
        clock: clock.clone(),
        term_operations: 10,
        term_age: Some(Duration::from_secs(3600)),
        ..options(10)
    });
    let barrier = init(&store, Vec::new());
    let view = barrier.view(MOUNT);
    for n in 0..10 {
        wait(view.put(&format!("r{n}"), b"1")).unwrap();
    }
    let status = barrier.key_status().unwrap();
    assert_eq!((status.term, status.operations, status.limit), (1, 10, 10));
    wait(view.put("r10", b"1")).unwrap();
    let status = barrier.key_status().unwrap();
    assert_eq!((status.term, status.operations), (2, 1), "the limit rotates by itself");
    clock.set(Timestamp::from_unix(1_800_003_600));
    wait(view.put("r11", b"1")).unwrap();
    let status = barrier.key_status().unwrap();
    assert_eq!((status.term, status.installed.unix()), (3, 1_800_003_600), "so does age");
    assert_eq!(wait(barrier.rotate()).unwrap(), 4);
    assert_eq!(verify(&barrier).terms.into_iter().collect::<Vec<_>>(), [(1, 10), (2, 1), (3, 1)]);
    // Limits that are set while it is open count from the next commit on, and no limit is one too.
    barrier.limit_terms(TermLimits { operations: u64::MAX, age: None });
    clock.set(Timestamp::from_unix(1_800_999_999));
    for n in 0..12 {
        wait(view.put(&format!("r{n}"), b"2")).unwrap();
    }
    assert_eq!((barrier.key_status().unwrap().term, barrier.key_status().unwrap().limit), (4, u64::MAX));
    barrier.limit_terms(TermLimits { operations: u64::MAX, age: Some(Duration::from_secs(86_400)) });
    wait(view.put("r12", b"2")).unwrap();
    assert_eq!(barrier.key_status().unwrap().term, 5);
    barrier.limit_terms(TermLimits { operations: 1, age: None });
    wait(view.put("r13", b"2")).unwrap();
    assert_eq!(barrier.key_status().unwrap().term, 6);
    barrier.close();
    // The count is in the head, and so is time: neither goes back with a restart or with the clock.
    let behind = Clock::manual(Timestamp::from_unix(1_700_000_000));
    let store = Store::over(store.storage().clone(), Options { clock: behind.clone(), ..options(10) });
    let barrier = store.unseal(&root(1)).unwrap().confirm(&[]).unwrap().serve(&[]).unwrap();
    assert_eq!(behind.now().unix(), 1_800_999_999);
    assert_eq!(barrier.key_status().unwrap().term, 6);
}

#[test]
fn re_encryption_resumes_and_ends_with_a_proof() {
    let store = Store::inmem_with(options(50));
    let barrier = init(&store, Vec::new());
    for n in 0..300 {
        wait(barrier.view(MOUNT).put(&format!("d{}/r{n}", n % 7), &[n as u8; 40])).unwrap();
    }
    wait(barrier.rotate()).unwrap();
    let mut job = barrier.reencryption().unwrap();
    wait(job.step()).unwrap().unwrap();
    let halfway = wait(job.step()).unwrap().unwrap();
    // The job's own row may be among them; it is sealed under the current term already.
    assert_eq!((halfway.term, halfway.seen, halfway.resealed.max(127)), (2, 128, halfway.resealed));
    assert!(verify(&barrier).terms[&1] > 0);
    assert!(matches!(wait(job.retire(&verify(&barrier))), Err(Error::Format(_))), "not before its end");
    barrier.close();
    drop(job);

    let barrier = unseal(store.storage(), 50).unwrap();
    let mut job = barrier.reencryption().unwrap();
    assert_eq!(job.progress(), halfway, "it goes on where it was");
    // A row written meanwhile is not sealed back to what it was.
    wait(barrier.view(MOUNT).put("d0/r0", b"newer")).unwrap();
    while wait(job.step()).unwrap().is_some() {}
    let proof = job.prove().unwrap();
    assert_eq!(proof.problems, []);
    assert_eq!(proof.terms.keys().copied().collect::<Vec<_>>(), [2], "no row is left under the old term");
    assert_eq!(proof.terms[&2], proof.rows);
    wait(job.retire(&proof)).unwrap();
    assert_eq!(barrier.key_status().unwrap().terms, 1);
    assert_eq!(wait(barrier.view(MOUNT).get("d0/r0")).unwrap().unwrap().value.expose(), b"newer");
    assert_eq!(wait(barrier.view(MOUNT).get("d1/r1")).unwrap().unwrap().value.expose(), [1; 40]);
    barrier.close();
    assert_eq!(verify(&unseal(store.storage(), 50).unwrap()).problems, []);
}

#[test]
fn the_names_key_is_rotated_and_a_walk_proves_that_no_row_has_an_older_name() {
    let store = Store::inmem_with(options(50));
    let barrier = init(&store, Vec::new());
    let view = barrier.view(MOUNT);
    for n in 0..300 {
        wait(view.put(&format!("d{}/r{n}", n % 7), &[n as u8; 40])).unwrap();
    }
    wait(view.put("solo/only", b"1")).unwrap();
    let cache = Cache::new(64);
    let cached = |path: &str| {
        wait(cache.get(&view, path, |bytes| Ok::<_, Error>(bytes.to_vec()))).unwrap().map(|row| row.to_vec())
    };
    assert_eq!((cached("d0/new"), cached("d0/r0")), (None, Some(vec![0; 40])));
    let before = wait(view.get("d1/r1")).unwrap().unwrap().version;
    let older: BTreeSet<_> = dump(store.storage()).into_keys().filter(|(table, _)| *table == Table::Rows).collect();
    assert_eq!(wait(barrier.rotate_names()).unwrap(), 2);
    assert!(matches!(wait(barrier.rotate_names()), Err(Error::Format(_))), "one after the other");
    assert_eq!(barrier.integrity().unwrap().minimum, 2, "a program that knows one names key must not write here");

    // Between the two names everything is where it was: read, changed, compared, listed, deleted.
    assert_eq!(wait(view.get("d1/r1")).unwrap().unwrap().value.expose(), [1; 40]);
    assert_eq!(wait(view.list("d0", None, 999)).unwrap().len(), 43);
    let mut batch = Batch::new();
    batch.expect(&view, "d1/r1", Some(before)).put(&view, "d1/r1", b"changed");
    wait(view.commit(batch)).unwrap();
    wait(view.put("d0/new", b"new")).unwrap();
    wait(view.delete("d0/r0")).unwrap();
    assert_eq!((cached("d0/new"), cached("d0/r0")), (Some(b"new".to_vec()), None));
    assert_eq!(wait(view.list("d0", None, 999)).unwrap().len(), 43);
    wait(view.delete("solo/only")).unwrap();
    assert!(!wait(view.list("", None, 99)).unwrap().contains(&"solo/".to_owned()), "its marker had an older name too");
    let found = verify(&barrier);
    assert_eq!((found.problems, found.names[&2]), (vec![], 2));

    let mut job = barrier.reencryption().unwrap();
    let halfway = wait(job.step()).unwrap().unwrap();
    assert_eq!((halfway.names, halfway.seen), (2, 64));
    assert!(halfway.renamed > 60 && halfway.renamed == halfway.resealed);
    assert!(matches!(wait(job.retire(&verify(&barrier))), Err(Error::Format(_))), "not before its end");
    barrier.close();
    drop(job);

    let barrier = unseal(store.storage(), 50).unwrap();
    let status = barrier.key_status().unwrap();
    assert_eq!((status.names, status.renaming), (2, true));
    let mut job = barrier.reencryption().unwrap();
    assert_eq!(job.progress(), halfway, "it goes on where it was");
    while wait(job.step()).unwrap().is_some() {}
    // A walk from before the end leaves the key where it is.
    let proof = job.prove().unwrap();
    let mut early = proof.clone();
    early.names.insert(1, 1);
    wait(job.retire(&early)).unwrap();
    assert!(barrier.key_status().unwrap().renaming);
    assert_eq!(proof.problems, []);
    assert_eq!(proof.names.into_iter().collect::<Vec<_>>(), [(2, proof.rows)], "no row is left under the older key");
    wait(job.retire(&job.prove().unwrap())).unwrap();
    assert!(!barrier.key_status().unwrap().renaming);
    let now: BTreeSet<_> = dump(store.storage()).into_keys().filter(|(table, _)| *table == Table::Rows).collect();
    let halves = |keys: &BTreeSet<(Table, Vec<u8>)>| -> BTreeSet<Vec<u8>> {
        keys.iter().flat_map(|(_, key)| [key[..16].to_vec(), key[16..].to_vec()]).collect()
    };
    assert!(halves(&older).is_disjoint(&halves(&now)), "neither directory nor row can be followed across");
    barrier.close();

    let barrier = unseal(store.storage(), 50).unwrap();
    let view = barrier.view(MOUNT);
    assert_eq!(wait(view.get("d1/r1")).unwrap().unwrap().value.expose(), b"changed");
    assert_eq!(wait(view.get("d2/r2")).unwrap().unwrap().value.expose(), [2; 40]);
    assert_eq!(verify(&barrier).problems, []);
    assert_eq!(wait(barrier.rotate_names()).unwrap(), 3, "and again");
}

#[test]
fn a_failed_commit_undoes_everything() {
    let faulty = Faulty::over(Storage::inmem());
    let storage = Storage::Faulty(faulty.clone());
    let barrier = init(&Store::over(storage.clone(), options(3)), Vec::new());
    let view = barrier.view(MOUNT);
    for n in 0..200u32 {
        let before = barrier.integrity().unwrap();
        let mut batch = Batch::new();
        // Enough in one batch to turn pages and to sweep.
        for row in 0..n % 90 {
            batch.put(&view, &format!("d/r{row}"), &n.to_be_bytes());
        }
        batch.put(&view, "last", &n.to_be_bytes());
        let fault = [Fault::NoSpace, Fault::Lost, Fault::Made][n as usize % 3];
        faulty.plan(1, fault);
        let made = wait(view.commit(batch));
        let after = barrier.integrity().unwrap();
        let last = wait(view.get("last")).unwrap().map(|row| row.value.expose().to_vec());
        if fault == Fault::Made {
            made.unwrap();
            assert_eq!(last.unwrap(), n.to_be_bytes());
        } else {
            assert!(made.is_err());
            assert_eq!((after.sequence, after.journal_entries), (before.sequence, before.journal_entries));
            assert_eq!(
                (after.words, after.rows, after.journal_pages),
                (before.words, before.rows, before.journal_pages)
            );
            assert_ne!(last, Some(n.to_be_bytes().to_vec()));
        }
    }
    assert_eq!(verify(&barrier).problems, []);
    assert_eq!(barrier.integrity().unwrap().alarms, 0);
    barrier.close();
    assert_eq!(verify(&unseal(faulty.storage(), 3).unwrap()).problems, []);
}

#[test]
fn a_torn_or_short_commit_is_noticed() {
    for fault in [Fault::Torn, Fault::Short] {
        let faulty = Faulty::over(Storage::inmem());
        let storage = Storage::Faulty(faulty.clone());
        let barrier = init(&Store::over(storage.clone(), options(1000)), Vec::new());
        let view = barrier.view(MOUNT);
        wait(view.put("a", b"1")).unwrap();
        faulty.plan(1, fault);
        wait(view.put("a", b"2")).unwrap();
        barrier.close();
        // Torn, the row is new and the head is old; short, the head itself is cut.
        let read = unseal(faulty.storage(), 1000).and_then(|barrier| wait(barrier.view(MOUNT).get("a")));
        let layer = if fault == Fault::Torn { Layer::Row } else { Layer::Head };
        assert!(matches!(read.err(), Some(Error::Integrity { layer: l, .. }) if l == layer), "{fault:?}");
    }
}

#[test]
fn a_failed_read_is_looked_at_twice_before_it_is_believed() {
    let faulty = Faulty::over(Storage::inmem());
    let barrier = init(&Store::over(Storage::Faulty(faulty.clone()), options(1000)), Vec::new());
    let view = barrier.view(MOUNT);
    wait(view.put("a", b"1")).unwrap();
    faulty.plan(1, Fault::Read);
    assert_eq!(wait(view.get("a")).unwrap().unwrap().value.expose(), b"1");
    assert_eq!(barrier.integrity().unwrap().alarms, 0);
}

#[test]
fn another_leader_fences_this_one_off() {
    let store = Store::inmem_with(options(10));
    let barrier = init(&store, Vec::new());
    let fence = store.storage().lead().unwrap();
    assert!(matches!(wait(barrier.view(MOUNT).put("a", b"1")), Err(Error::Fenced)));
    store.storage().commit(fence, &[Op::put(Table::Meta, "x", [1])]).unwrap();
    assert!(wait(barrier.view(MOUNT).get("a")).unwrap().is_none());
}
