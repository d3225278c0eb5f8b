//! Stores that were written once and must open for ever. A new format adds a file here; none is ever changed.

mod common;

use common::{Dump, MOUNT, dump, init, options, restored, root, verify};
use std::fmt::Write;
use std::path::Path;
use strongroom_keystore::storage::Table;
use strongroom_keystore::{Change, Device, DeviceId, Store, wait};

/// One line per stored row: table, key and value in hex.
fn print(rows: &Dump) -> String {
    rows.iter().fold(String::new(), |mut text, ((table, key), value)| {
        writeln!(text, "{} {} {}", *table as u8, hex::encode(key), hex::encode(value)).unwrap();
        text
    })
}

fn parse(text: &str) -> Dump {
    text.lines()
        .map(|line| {
            let fields: Vec<_> = line.split(' ').collect();
            let table = Table::ALL[fields[0].parse::<usize>().unwrap()];
            ((table, hex::decode(fields[1]).unwrap()), hex::decode(fields[2]).unwrap())
        })
        .collect()
}

fn rows() -> Vec<(String, Vec<u8>)> {
    (0..60u8).map(|n| (format!("dir{}/sub/r{n}", n % 3), vec![n; usize::from(n) * 9])).collect()
}

/// Writes a new artefact when `STRONGROOM_PIN` names the file.
#[test]
fn pin() {
    let Some(file) = std::env::var_os("STRONGROOM_PIN") else { return };
    assert!(!Path::new(&file).exists(), "artefacts are never overwritten");
    let store = Store::inmem_with(options(35));
    let barrier = init(&store, vec![Device { id: DeviceId([5; 16]), counter: 7 }]);
    for (n, (path, value)) in rows().iter().enumerate() {
        wait(barrier.view(MOUNT).put(path, value)).unwrap();
        if n == 30 {
            wait(barrier.rotate()).unwrap();
            wait(barrier.rotate_names()).unwrap();
        }
    }
    wait(barrier.view(MOUNT).put("gone", b"1")).unwrap();
    wait(barrier.view(MOUNT).delete("gone")).unwrap();
    wait(barrier.reencryption().unwrap().step()).unwrap();
    wait(barrier.change(Change { root: Some((&root(2), 2)), ..Change::default() })).unwrap();
    barrier.close();
    std::fs::write(file, print(&dump(store.storage()))).unwrap();
}

#[test]
fn the_first_format_opens() {
    let store = Store::over(restored(&parse(include_str!("artefacts/store-1.txt"))), options(35));
    let opened = store.unseal(&root(2)).unwrap();
    assert_eq!((opened.epoch(), opened.generation()), (1, 2));
    assert_eq!(opened.devices(), [Device { id: DeviceId([5; 16]), counter: 7 }]);
    let words = store.clear_head().unwrap().words;
    assert_eq!(words.join(" "), include_str!("artefacts/store-1.words").trim());
    let barrier = opened.confirm(&[]).unwrap().serve(&[]).unwrap();
    let found = verify(&barrier);
    assert_eq!(found.problems, []);
    assert_eq!(found.terms.into_iter().collect::<Vec<_>>(), [(1, 37), (2, 29)]);
    assert!(found.nodes > 1 && found.pages > 0, "both tree and journal are in it");
    for (path, value) in rows() {
        assert_eq!(wait(barrier.view(MOUNT).get(&path)).unwrap().unwrap().value.expose(), value);
    }
    assert_eq!(wait(barrier.view(MOUNT).list("", None, 9)).unwrap(), ["dir0/", "dir1/", "dir2/"]);
    assert!(!wait(barrier.view(MOUNT).exists("gone")).unwrap());
    let clear: Vec<_> = store.clear_rows().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(clear, ["expression", "keyslot/1"]);
    wait(barrier.view(MOUNT).put("new", b"1")).unwrap();
}

#[test]
fn a_store_in_the_middle_of_a_renaming_opens() {
    let store = Store::over(restored(&parse(include_str!("artefacts/store-2.txt"))), options(35));
    let barrier = store.unseal(&root(2)).unwrap().confirm(&[]).unwrap().serve(&[]).unwrap();
    let status = barrier.key_status().unwrap();
    assert_eq!((status.terms, status.names, status.renaming), (2, 2, true));
    let found = verify(&barrier);
    assert_eq!(found.problems, []);
    assert!(found.names[&1] > 0 && found.names[&2] > 30, "{:?}", found.names);
    let check = || {
        for (path, value) in rows() {
            assert_eq!(wait(barrier.view(MOUNT).get(&path)).unwrap().unwrap().value.expose(), value);
        }
        assert_eq!(wait(barrier.view(MOUNT).list("", None, 9)).unwrap(), ["dir0/", "dir1/", "dir2/"]);
        assert!(!wait(barrier.view(MOUNT).exists("gone")).unwrap());
    };
    check();
    let mut job = barrier.reencryption().unwrap();
    assert_eq!(job.progress().seen, 64, "its progress is in the store");
    while wait(job.step()).unwrap().is_some() {}
    wait(job.retire(&job.prove().unwrap())).unwrap();
    assert!(!barrier.key_status().unwrap().renaming);
    check();
}
