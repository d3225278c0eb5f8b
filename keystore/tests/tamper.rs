//! The owner of the storage changes it (THREATS T-01 to T-05): every kind of row through the interface, bytes of the file
//! below; cold, and again after a restart. A sample here; `TAMPER_CASES=n` tries
//! every row in every way, and n flips of the file.

mod common;

use common::{Dump, MOUNT, Random, dump, init, options, restored, root, unseal, verify};
use std::collections::BTreeMap;
use std::path::Path;
use strongroom_keystore::storage::{Storage, Table};
use strongroom_keystore::{Barrier, Error, Init, Layer, MountId, Store, wait};

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
