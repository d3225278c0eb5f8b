//! The whole store against a map in memory: random batches over few directories, restarts in between, every journal length.

mod common;

use common::{MOUNT, Random, init, options, root, unseal, verify};
use std::collections::BTreeMap;
use strongroom_keystore::storage::Storage;
use strongroom_keystore::{Barrier, Batch, Cache, Error, MountId, Reading, Store, wait};

type Model = BTreeMap<(u8, String), Vec<u8>>;

fn mount(n: u8) -> MountId {
    MountId([n; 16])
}

fn path(random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("r{}", random.below(30)),
        1 => format!("d{}/r{}", random.below(4), random.below(20)),
        2 => format!("d{}/e{}/r{}", random.below(3), random.below(3), random.below(10)),
        _ => format!("big/r{}", random.below(300)),
    }
}

/// The names directly under a directory, as the model has them.
fn names(model: &Model, mount: u8, dir: &str) -> Vec<String> {
    let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
    let mut names: Vec<String> = (model.keys())
        .filter(|(at, path)| *at == mount && path.starts_with(&prefix))
        .map(|(_, path)| match path[prefix.len()..].split_once('/') {
            Some((dir, _)) => format!("{dir}/"),
            None => path[prefix.len()..].to_owned(),
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn compare(barrier: &Barrier, model: &Model, random: &mut Random) {
    for n in 1..3 {
        let view = barrier.view(mount(n));
        for dir in ["", "big", "d0", "d1", "d0/e1", "d2/e2", "nowhere"] {
            assert_eq!(wait(view.list(dir, None, 9999)).unwrap(), names(model, n, dir), "{dir:?}");
        }
        for _ in 0..200 {
            let path = path(random);
            let row = wait(view.get(&path)).unwrap();
            assert_eq!(row.as_ref().map(|row| row.value.expose()), model.get(&(n, path)).map(|value| &value[..]));
        }
    }
}

/// Renames on and on, a few steps at a time; gives the generation of the names key.
fn rename(barrier: &Barrier) -> u8 {
    let status = barrier.key_status().unwrap();
    if !status.renaming {
        return wait(barrier.rotate_names()).unwrap();
    }
    let mut job = barrier.reencryption().unwrap();
    // The third says that there was nothing left for it.
    if (0..3).any(|_| wait(job.step()).unwrap().is_none()) {
        wait(job.retire(&job.prove().unwrap())).unwrap();
        assert!(!barrier.key_status().unwrap().renaming);
    }
    status.names
}

fn run(
    storage: Storage,
    reopen: impl Fn(Storage) -> Storage,
    journal_entries: usize,
    (rounds, renames): (usize, bool),
) {
    let mut storage = storage;
    let mut random = Random(journal_entries as u64);
    let mut model = Model::new();
    let mut barrier = init(&Store::over(storage.clone(), options(journal_entries)), Vec::<Reading>::new());
    let mut pages = 0;
    let mut generation = 1;
    // The row of the job that renames.
    let own = u64::from(renames);
    for round in 0..rounds {
        for step in 0..20 {
            if renames && step % 4 == 0 {
                generation = rename(&barrier);
            }
            let mut batch = Batch::new();
            // Mostly small, sometimes more than a page of the journal holds; now and then a directory is emptied.
            let size = if random.below(10) == 0 { 200 } else { 1 + random.below(5) };
            let wipe = random.below(20) == 0;
            for _ in 0..size {
                let (n, path) = (1 + random.below(2) as u8, path(&mut random));
                let view = barrier.view(mount(n));
                if wipe || random.below(4) == 0 {
                    batch.delete(&view, &path);
                    model.remove(&(n, path));
                } else {
                    let value = vec![random.next() as u8; random.below(400) as usize];
                    batch.put(&view, &path, &value);
                    model.insert((n, path), value);
                }
            }
            wait(barrier.view(MOUNT).commit(batch)).unwrap();
        }
        compare(&barrier, &model, &mut random);
        let integrity = barrier.integrity().unwrap();
        assert_eq!((integrity.alarms, integrity.protected), (0, false));
        pages = pages.max(integrity.journal_pages);
        if round % 3 == 2 {
            let found = verify(&barrier);
            assert_eq!(found.problems, []);
            let markers = found.rows - model.len() as u64 - own;
            assert!((1..30).contains(&markers), "{markers} markers");
            assert_eq!(found.pages, integrity.journal_pages);
        }
        if round % 4 == 3 {
            barrier.close();
            drop(barrier);
            storage = reopen(storage);
            barrier = unseal(&storage, journal_entries).unwrap();
            compare(&barrier, &model, &mut random);
        }
    }
    assert!(pages <= (journal_entries as u64 * 8 / 79) + 40, "the journal grew to {pages} pages");
    // At the end, an empty store again.
    for ((n, path), _) in model {
        wait(barrier.view(mount(n)).delete(&path)).unwrap();
    }
    let found = verify(&barrier);
    assert_eq!((found.rows, found.problems), (own, vec![]));
    assert!(!renames || generation > 2, "{generation}");
    assert!(wait(barrier.view(MOUNT).list("", None, 9)).unwrap().is_empty());
}

#[test]
fn in_memory_with_every_length_of_journal() {
    for journal_entries in [0, 40, 100_000] {
        run(Storage::inmem(), |storage| storage, journal_entries, (12, false));
    }
}

#[test]
fn while_every_row_gets_new_names_again_and_again() {
    for journal_entries in [0, 40] {
        run(Storage::inmem(), |storage| storage, journal_entries, (20, true));
    }
}

#[test]
fn embedded_and_reopened() {
    for journal_entries in [0, 100] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let reopen = |old: Storage| {
            drop(old);
            Storage::embedded(&path).unwrap()
        };
        run(Storage::embedded(&path).unwrap(), reopen, journal_entries, (12, false));
    }
}

#[test]
fn many_writers_and_readers_see_no_false_alarm() {
    let store = Store::inmem_with(options(64));
    let barrier = init(&store, Vec::new());
    std::thread::scope(|scope| {
        for n in 0..4u64 {
            let view = barrier.view(MOUNT).dir(&format!("w{n}"));
            scope.spawn(move || {
                let mut random = Random(n);
                let cache = Cache::new(100);
                let cached = |path: &str| {
                    let decoded = wait(cache.get(&view, path, |bytes| Ok::<_, Error>(bytes.to_vec()))).unwrap();
                    decoded.map(|bytes| bytes.to_vec())
                };
                for round in 0..300u64 {
                    let path = format!("r{}", random.below(40));
                    if random.below(5) == 0 {
                        wait(view.delete(&path)).unwrap();
                        assert!(!wait(view.exists(&path)).unwrap());
                        assert_eq!(cached(&path), None);
                    } else {
                        wait(view.put(&path, &round.to_be_bytes())).unwrap();
                        assert_eq!(wait(view.get(&path)).unwrap().unwrap().value.expose(), round.to_be_bytes());
                        assert_eq!(cached(&path), Some(round.to_be_bytes().to_vec()));
                    }
                }
            });
        }
        let renamed = &barrier;
        scope.spawn(move || {
            for _ in 0..40 {
                rename(renamed);
            }
        });
        for n in 0..2u64 {
            let view = barrier.view(MOUNT);
            scope.spawn(move || {
                let mut random = Random(100 + n);
                for _ in 0..2000 {
                    wait(view.get(&format!("w{}/r{}", random.below(4), random.below(40)))).unwrap();
                    if random.below(50) == 0 {
                        wait(view.list(&format!("w{}", random.below(4)), None, 99)).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(barrier.integrity().unwrap().alarms, 0);
    assert_eq!(verify(&barrier).problems, []);
    assert!(barrier.key_status().unwrap().names > 2);
    assert!(matches!(store.unseal(&root(1)).unwrap().confirm(&[]), Err(Error::AlreadyOpen)));
}
