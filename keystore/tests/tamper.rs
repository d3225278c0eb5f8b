//! The owner of the storage changes it (T-01 to T-05): every kind of row through the interface, bytes of the file
//! below; cold, and again after a restart. A sample here; `TAMPER_CASES=n` tries
//! every row in every way, and n flips of the file.

mod common;

use common::{Dump, MOUNT, Random, dump, init, options, restored, root, unseal, verify};
use std::collections::BTreeMap;
use std::path::Path;
use strongroom_keystore::format::forge;
use strongroom_keystore::storage::{Op, Storage, Table};
use strongroom_keystore::{Barrier, Change, Device, DeviceId, Error, Init, Layer, MountId, PROGRAM, Store, wait};

const JOURNAL: usize = 60;

type Model = BTreeMap<String, Vec<u8>>;

/// How many flips of the file a long run wants.
fn asked() -> Option<usize> {
    std::env::var("TAMPER_CASES").ok()?.parse().ok()
}

fn long() -> bool {
    asked().is_some()
}

/// Rows over a few directories: some in the tree, some in the journal. What they were, and what they are.
fn fill(storage: &Storage) -> (Dump, Model) {
    let barrier = init(&Store::over(storage.clone(), options(JOURNAL)), Vec::new());
    let view = barrier.view(MOUNT);
    let write = |from: u32, to: u32, version: u8| {
        (from..to).map(|n| (format!("d{}/r{n}", n % 4), vec![version; 20 + n as usize])).collect::<Model>()
    };
    let mut model = write(0, 150, 1);
    for (path, value) in &model {
        wait(view.put(path, value)).unwrap();
    }
    wait(barrier.rotate()).unwrap();
    let older = dump(storage);
    for (path, value) in write(0, 120, 2) {
        wait(view.put(&path, &value)).unwrap();
        model.insert(path, value);
    }
    for n in 140..150 {
        let path = format!("d{}/r{n}", n % 4);
        wait(view.delete(&path)).unwrap();
        model.remove(&path);
    }
    barrier.close();
    (older, model)
}

/// Reads everything: each answer is the right one or an integrity error. The layers that caught something.
fn read(barrier: &Barrier, model: &Model) -> Vec<Layer> {
    let view = barrier.view(MOUNT);
    let mut caught = Vec::new();
    let mut note = |error: Error| match error {
        Error::Integrity { layer, .. } => caught.push(layer),
        Error::Storage(_) => caught.push(Layer::Engine),
        other => panic!("not an integrity error: {other}"),
    };
    for n in 0..150 {
        let path = format!("d{}/r{n}", n % 4);
        match wait(view.get(&path)) {
            Ok(row) => {
                let row = row.map(|row| row.value.expose().to_vec());
                assert_eq!(row.as_ref(), model.get(&path), "a wrong answer for {path}");
            }
            Err(error) => note(error),
        }
    }
    for dir in ["d0", "d1", "d2", "d3", ""] {
        match wait(view.list(dir, None, 999)) {
            Ok(names) if dir.is_empty() => assert_eq!(names, ["d0/", "d1/", "d2/", "d3/"]),
            Ok(names) => {
                let prefix = format!("{dir}/");
                let mut expected: Vec<_> = model.keys().filter_map(|path| path.strip_prefix(&prefix)).collect();
                expected.sort();
                assert_eq!(names, expected, "a wrong list of {dir}");
            }
            Err(error) => note(error),
        }
    }
    caught
}

/// Opens a changed store, reads all of it, walks it; then restarts it and does so again. The layer that caught it first.
fn caught(changed: &Dump, model: &Model) -> Option<Layer> {
    let storage = restored(changed);
    let mut first = None;
    for _ in 0..2 {
        match unseal(&storage, JOURNAL) {
            Ok(barrier) => {
                let read = read(&barrier, model).first().copied();
                let walked = verify(&barrier).problems.first().map(|problem| problem.layer);
                assert!(read.is_none() || walked.is_some(), "a walk finds what a read finds");
                first = first.or(read).or(walked);
                barrier.close();
            }
            Err(Error::Integrity { layer, .. }) => first = first.or(Some(layer)),
            // The keyring's salt or commitment, or the cluster in the head, was changed: no key opens it.
            Err(Error::WrongRoot) => first = first.or(Some(Layer::Keyring)),
            Err(Error::NotInitialised) => first = first.or(Some(Layer::Head)),
            Err(other) => panic!("{other}"),
        }
    }
    first
}

#[test]
fn no_changed_row_is_taken_for_the_right_one() {
    let storage = Storage::inmem();
    let (older, model) = fill(&storage);
    let now = dump(&storage);
    assert_eq!(caught(&now, &model), None, "an honest store raises no alarm");
    let mut random = Random(42);
    let mut counts: BTreeMap<Layer, u32> = BTreeMap::new();
    let keys: Vec<_> = now.keys().cloned().collect();
    let mut cases = 0;
    for (table, key) in &keys {
        let place = (*table, key.clone());
        let honest = &now[&place];
        let same: Vec<_> = keys.iter().filter(|(of, other)| of == table && other != key).collect();
        // Small tables are tried in full; of rows a sample, unless the run is long.
        let tries = if long() || *table != Table::Rows {
            0..8
        } else {
            let n = random.below(8) as usize;
            n..n + 1
        };
        for kind in tries {
            let mut changed = now.clone();
            match kind {
                0 => drop(changed.remove(&place)),
                1 | 2 => {
                    let bit = random.below(honest.len() as u64 * 8) as usize;
                    changed.get_mut(&place).unwrap()[bit / 8] ^= 1 << (bit % 8);
                }
                3 => changed.get_mut(&place).unwrap().truncate(honest.len() / 2),
                4 => changed.get_mut(&place).unwrap().clear(),
                5 => changed.get_mut(&place).unwrap().push(0),
                6 => drop(older.get(&place).and_then(|old| changed.insert(place.clone(), old.clone()))),
                _ if same.is_empty() => continue,
                _ => {
                    let other = same[random.below(same.len() as u64) as usize];
                    let (one, two) = (now[&place].clone(), now[other].clone());
                    changed.insert(place.clone(), two);
                    changed.insert(other.clone(), one);
                }
            }
            if changed == now {
                continue;
            }
            cases += 1;
            let layer = caught(&changed, &model).unwrap_or_else(|| panic!("case {kind} of {place:?} went unseen"));
            *counts.entry(layer).or_default() += 1;
        }
    }
    println!("{cases} cases: {counts:?}");
    for (layer, least) in [
        (Layer::Row, 50),
        (Layer::Node, 30),
        (Layer::Journal, 8),
        (Layer::Head, 5),
        (Layer::Keyring, 5),
        (Layer::ClearRow, 10),
        (Layer::Absence, 8),
    ] {
        let count = counts.get(&layer).copied().unwrap_or_default();
        assert!(count >= least, "only {count} cases were caught by {layer}");
    }
}

#[test]
fn rows_that_were_never_written_are_found_by_the_walk_and_never_read() {
    let storage = Storage::inmem();
    let (older, model) = fill(&storage);
    let now = dump(&storage);
    // Deleted rows put back, and rows under keys of the owner's choice.
    let ghosts = older.iter().filter(|(place, _)| place.0 != Table::Meta && !now.contains_key(*place));
    let mut extra: Vec<_> = ghosts.map(|(place, value)| (place.clone(), value.clone())).collect();
    assert!(extra.len() >= 10);
    extra.push(((Table::Rows, vec![0; 32]), vec![1; 256]));
    extra.push(((Table::Rows, vec![0xff; 32]), vec![1; 256]));
    extra.push(((Table::Nodes, vec![9; 40]), vec![2]));
    extra.push(((Table::Journal, vec![1]), vec![1]));
    for (place, value) in extra {
        let mut changed = now.clone();
        changed.insert(place, value);
        let barrier = unseal(&restored(&changed), JOURNAL).unwrap();
        assert_eq!(read(&barrier, &model), []);
        assert_eq!(verify(&barrier).problems.len(), 1);
    }
}

#[test]
fn rows_of_another_cluster_or_mount_do_not_open_here() {
    let storage = Storage::inmem();
    let (_, model) = fill(&storage);
    let now = dump(&storage);
    // A clone under the same root key, and the same paths in another mount.
    let clone = Store::inmem_with(options(JOURNAL));
    let init = Init { cluster: [8; 16], root: &root(1), generation: 1, clear_rows: vec![], devices: vec![] };
    let barrier = clone.initialise(init).unwrap();
    for (path, value) in &model {
        wait(barrier.view(MOUNT).put(path, value)).unwrap();
        wait(barrier.view(MountId([2; 16])).put(path, value)).unwrap();
    }
    barrier.close();
    let foreign: Vec<_> = dump(clone.storage()).into_iter().filter(|(place, _)| place.0 == Table::Rows).collect();
    let places: Vec<_> = now.keys().filter(|place| place.0 == Table::Rows).cloned().collect();
    for ((_, value), place) in foreign.iter().zip(&places).step_by(if long() { 1 } else { 5 }) {
        let mut changed = now.clone();
        changed.insert(place.clone(), value.clone());
        assert_eq!(caught(&changed, &model), Some(Layer::Row));
    }
}

#[test]
fn no_flipped_bit_of_the_file_gives_a_wrong_answer_or_ends_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let (_, model) = fill(&Storage::embedded(&path).unwrap());
    let honest = std::fs::read(path.join("store.redb")).unwrap();
    // Where there is something: free pages of a fresh file are zero, and flips there say nothing.
    let used: Vec<usize> = (0..honest.len()).filter(|at| honest[*at] != 0).collect();
    std::panic::set_hook(Box::new(|_| {}));
    let mut random = Random(7);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for case in 0..asked().unwrap_or(150) {
        let mut changed = honest.clone();
        // The file's header and the first pages are small and matter most: a third of the cases.
        let range = if case % 3 == 0 { used.len().min(2000) } else { used.len() };
        let at = used[random.below(range as u64) as usize];
        changed[at] ^= 1 << random.below(8);
        let place = dir.path().join("changed");
        *counts.entry(flipped(&place, &changed, &model)).or_default() += 1;
        std::fs::remove_dir_all(&place).unwrap();
    }
    let _ = std::panic::take_hook();
    println!("{counts:?}");
    let silent = counts.get("silent").copied().unwrap_or_default();
    assert!(silent < counts.values().sum::<u32>(), "some flips must be noticed: {counts:?}");
}

fn flipped(place: &Path, bytes: &[u8], model: &Model) -> String {
    std::fs::create_dir(place).unwrap();
    std::fs::write(place.join("store.redb"), bytes).unwrap();
    let storage = match Storage::embedded(place) {
        Ok(storage) => storage,
        Err(error) => return format!("{:?}", error.blame()),
    };
    let mut outcome = "silent".to_owned();
    for _ in 0..2 {
        match unseal(&storage, JOURNAL) {
            Ok(barrier) => {
                if let Some(layer) = read(&barrier, model).first() {
                    outcome = layer.to_string();
                }
                barrier.close();
            }
            Err(error) => outcome = format!("{:?}", error.blame()),
        }
    }
    outcome
}

/// Opens a changed store cold: from rows in memory, and from a file that was closed. The error, which is the same.
fn refused_cold(changed: &Dump) -> Error {
    let from_rows = unseal(&restored(changed), JOURNAL).err().expect("a forged store must not open");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let storage = Storage::embedded(&path).unwrap();
    let ops: Vec<_> = changed.iter().map(|((table, key), value)| Op::put(*table, &key[..], &value[..])).collect();
    storage.commit(storage.lead().unwrap(), &ops).unwrap();
    drop(storage);
    let storage = Storage::embedded(&path).unwrap();
    let from_file = unseal(&storage, JOURNAL).err().expect("a forged file must not open");
    assert_eq!(from_rows, from_file);
    assert_eq!(&dump(&storage), changed, "what is refused is not written to");
    from_rows
}

// T-05: a store of a later program, genuine; and heads that say so, made without the key.
#[test]
fn a_later_format_or_minimum_is_refused_by_name_and_a_forged_one_as_forged() {
    let storage = Storage::inmem();
    fill(&storage);
    let honest = dump(&storage);
    let meta = |name: &str| (Table::Meta, name.as_bytes().to_vec());
    let (head, keyring) = (&honest[&meta("head")], &honest[&meta("keyring")]);
    let with = |rows: &[(&str, Vec<u8>)]| {
        let mut changed = honest.clone();
        changed.extend(rows.iter().map(|(name, row)| (meta(name), row.clone())));
        changed
    };
    let later = |format: u8, minimum: u32| {
        let change = |plaintext: &mut Vec<u8>| {
            plaintext[0] = format;
            plaintext[1..5].copy_from_slice(&minimum.to_be_bytes());
            if format > 1 {
                // Fields that this program knows nothing of.
                plaintext[5..].fill(0xa5);
                plaintext.extend([0x5a; 700]);
            }
        };
        forge::head(&root(1), keyring, head, change).unwrap()
    };
    let too_old = |error: Error, version: u32| {
        assert_eq!(error, Error::ProgramTooOld { needed: version, running: PROGRAM });
    };
    let in_head = |error: Error, reason: &str| {
        let right = matches!(&error, Error::Integrity { layer: Layer::Head, reason: r, .. } if r == reason);
        assert!(right, "{error}");
    };

    // Genuine: the program says which version it takes, whatever else it cannot read.
    too_old(refused_cold(&with(&[("head", later(1, 9))])), 9);
    too_old(refused_cold(&with(&[("head", later(2, 9))])), 9);
    too_old(refused_cold(&with(&[("head", later(200, u32::MAX))])), u32::MAX);
    let ring = forge::keyring(&root(1), &common::CLUSTER, keyring, 3).unwrap();
    too_old(refused_cold(&with(&[("head", later(2, 9)), ("keyring", ring.clone())])), 9);
    // A later format that asks for nothing is not guessed at.
    in_head(refused_cold(&with(&[("head", later(2, 1))])), "its format is not known");
    let unknown = refused_cold(&with(&[("keyring", ring)]));
    assert!(matches!(&unknown, Error::Integrity { layer: Layer::Keyring, .. }), "{unknown}");
    // And a genuine head of the present format opens, so that it is not the forging that was refused.
    unseal(&restored(&with(&[("head", later(1, PROGRAM))])), JOURNAL).unwrap().close();

    // Without the key: the clear part alone, bits of the sealed part, a head sealed under keys of the forger's own.
    for format in [0, 2, 200] {
        let mut forged = head.clone();
        forged[0] = format;
        in_head(refused_cold(&with(&[("head", forged)])), "its format is not known");
    }
    for at in [33, 50, 61, 62, 65, head.len() - 1] {
        for bit in 0..8 {
            let mut forged = later(1, 9);
            forged[at] ^= 1 << bit;
            in_head(refused_cold_rows(&with(&[("head", forged)])), "its sealed part does not open");
        }
    }
    let own = Storage::inmem();
    let init = Init { cluster: common::CLUSTER, root: &root(2), generation: 1, clear_rows: vec![], devices: vec![] };
    Store::over(own.clone(), options(JOURNAL)).initialise(init).unwrap().close();
    let own = dump(&own);
    for (format, minimum) in [(1, 0), (1, 9), (2, 9), (2, 0)] {
        let change = |plaintext: &mut Vec<u8>| {
            plaintext[0] = format;
            plaintext[1..5].copy_from_slice(&u32::to_be_bytes(minimum));
        };
        let forged = forge::head(&root(2), &own[&meta("keyring")], &own[&meta("head")], change).unwrap();
        in_head(refused_cold(&with(&[("head", forged.clone())])), "its sealed part does not open");
        let both = with(&[("head", forged), ("keyring", own[&meta("keyring")].clone())]);
        assert_eq!(refused_cold(&both), Error::WrongRoot);
    }
}

fn refused_cold_rows(changed: &Dump) -> Error {
    unseal(&restored(changed), JOURNAL).err().expect("a forged store must not open")
}

// The minimum cannot be lowered by putting back the head from before it was raised, where a device counts.
#[test]
fn a_minimum_that_was_raised_is_not_lowered_by_the_head_of_before() {
    let device = |counter| Device { id: DeviceId([5; 16]), counter };
    let store = Store::inmem_with(options(JOURNAL));
    let barrier = init(&store, vec![device(0)]);
    let before = dump(store.storage());
    wait(barrier.change(Change { minimum: Some(9), ..Change::default() })).unwrap();
    assert_eq!(wait(barrier.raise(vec![device(0)])).unwrap(), [device(1)]);
    barrier.close();
    assert!(matches!(store.unseal(&root(1)).err(), Some(Error::ProgramTooOld { needed: 9, .. })));
    let mut now = dump(store.storage());
    let head = (Table::Meta, b"head".to_vec());
    now.insert(head.clone(), before[&head].clone());
    let put_back = Store::over(restored(&now), options(JOURNAL));
    let error = put_back.unseal(&root(1)).unwrap().confirm(&[device(1)]).err().unwrap();
    assert!(matches!(error, Error::RollbackDetected { counter: 1, stored: 0, .. }), "{error}");
}
