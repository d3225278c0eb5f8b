//! What only the embedded engine can do wrong: permissions, a second opener, a full disk, a disk that fails.

mod common;

use common::{MOUNT, dump, init, options, root, verify};
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use strongroom_keystore::storage::{Embedded, Fault, Faulty, Storage};
use strongroom_keystore::{Batch, Blame, Error, Layer, Store, wait};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_file_is_its_owners_alone_and_open_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/store");
    let storage = Storage::embedded(&path).unwrap();
    assert_eq!((mode(&path), mode(&path.join("store.redb"))), (0o700, 0o600));
    let error = Storage::embedded(&path).err().unwrap();
    assert!(error.to_string().contains("another process has the store open"), "{error}");
    drop(storage);
    std::fs::set_permissions(path.join("store.redb"), PermissionsExt::from_mode(0o644)).unwrap();
    let _storage = Storage::embedded(&path).unwrap();
    assert_eq!(mode(&path.join("store.redb")), 0o600, "made narrower when opened");
}

#[test]
fn what_is_no_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("store.redb"), [7; 9000]).unwrap();
    let error = Storage::embedded(dir.path()).err().unwrap();
    assert_eq!(error.blame(), Blame::Storage, "{error}");
    assert!(Storage::embedded(Path::new("/proc/nowhere")).is_err());
}

/// A backend whose flush starts to fail.
#[derive(Debug, Clone)]
struct Failing(Arc<InMemoryBackend>, Arc<AtomicBool>);

impl StorageBackend for Failing {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        if self.1.load(Ordering::Relaxed) { Err(io::Error::from_raw_os_error(5)) } else { self.0.sync_data() }
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write(offset, data)
    }
}

#[test]
fn after_a_failed_flush_nothing_is_acknowledged_any_more() {
    let failing = Failing(Arc::new(InMemoryBackend::new()), Arc::default());
    let again = failing.clone();
    let storage = Storage::Embedded(Arc::new(Embedded::over_backend(move || again.clone()).unwrap()));
    let barrier = init(&Store::over(storage, options(10)), Vec::new());
    let view = barrier.view(MOUNT);
    wait(view.put("a", b"1")).unwrap();
    failing.1.store(true, Ordering::Relaxed);
    assert!(matches!(wait(view.put("a", b"2")), Err(Error::Poisoned(_))));
    failing.1.store(false, Ordering::Relaxed);
    // The flush works again, but what the first one lost is not known.
    for _ in 0..3 {
        assert!(matches!(wait(view.put("a", b"3")), Err(Error::Poisoned(_))));
    }
}

/// A store with one row, on which `harm` is done while it is open.
fn harmed(harm: impl Fn(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::embedded(&path, options(10)).unwrap();
    let barrier = init(&store, vec![]);
    let view = barrier.view(MOUNT);
    wait(view.put("a", b"1")).unwrap();
    barrier.check().unwrap();
    harm(&path);
    let left = std::fs::read(path.join("store.redb")).ok();
    // Noticed with the next write, or without one.
    let error = wait(view.put("a", b"2")).err().unwrap();
    assert!(matches!(&error, Error::Poisoned(reason) if reason.contains("while it was open")), "{error}");
    assert_eq!(barrier.check(), Err(error.clone()));
    assert_eq!(wait(view.delete("a")), Err(error), "not even what makes room");
    let integrity = barrier.integrity().unwrap();
    assert_eq!((integrity.alarms, integrity.latest[0].layer), (1, Layer::Engine));
    assert!(integrity.failed.unwrap().contains("while it was open"));
    assert!(wait(view.get("a")).unwrap().is_some(), "reading goes on");
    assert_eq!(verify(&barrier).problems, []);
    barrier.close();
    let again = store.unseal(&root(1)).unwrap().confirm(&[]).err();
    assert!(matches!(again, Some(Error::Poisoned(_))), "{again:?}");
    assert_eq!(std::fs::read(path.join("store.redb")).ok(), left, "nothing is made or changed in its place");
}

#[test]
fn a_store_taken_away_or_replaced_while_it_is_open_is_noticed() {
    harmed(|path| std::fs::remove_file(path.join("store.redb")).unwrap());
    harmed(|path| std::fs::remove_dir_all(path).unwrap());
    harmed(|path| std::fs::rename(path, path.with_file_name("elsewhere")).unwrap());
    harmed(|path| {
        let (now, copy) = (path.join("store.redb"), path.join("copy"));
        std::fs::copy(&now, &copy).unwrap();
        std::fs::rename(copy, now).unwrap();
    });
}

#[test]
fn a_store_that_is_moved_away_and_back_is_still_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let barrier = init(&Store::embedded(&path, options(10)).unwrap(), vec![]);
    let (file, aside) = (path.join("store.redb"), path.join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    wait(barrier.view(MOUNT).put("a", b"1")).unwrap();
}

/// A small file system of its own, where this may be done.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(megabytes: u32) -> Option<Small> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output();
        mounted.is_ok_and(|done| done.status.success()).then_some(Small(dir))
    }

    /// Takes all that is free.
    fn fill(&self) {
        let mut rest = std::fs::OpenOptions::new().create(true).append(true).open(self.0.path().join("rest")).unwrap();
        while std::io::Write::write_all(&mut rest, &[1; 4096]).is_ok() {}
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_refuses_writes_goes_on_reading_and_recovers() {
    let Some(small) = Small::mount(16) else {
        println!("skipped: a small file system needs root");
        return;
    };
    let path = small.0.path().join("store");
    let ballast = small.0.path().join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let store = Store::embedded(&path, options(20)).unwrap();
    let barrier = init(&store, Vec::new());
    let view = barrier.view(MOUNT);
    let value = |n: usize| vec![n as u8; 60_000];
    let full = (0..400).find(|n| match wait(view.put(&format!("r{n}"), &value(*n))) {
        Ok(()) => false,
        Err(Error::NoSpace) => true,
        Err(other) => panic!("{other}"),
    });
    let full = full.expect("16 MiB do not hold 24");
    for round in 0..5 {
        assert!(matches!(wait(view.put("more", &value(0))), Err(Error::NoSpace)), "round {round}");
        for n in 0..full {
            assert_eq!(wait(view.get(&format!("r{n}"))).unwrap().unwrap().value.expose(), value(n));
        }
    }
    assert!(!wait(view.exists("more")).unwrap());
    std::fs::remove_file(&ballast).unwrap();
    wait(view.put("more", &value(0))).unwrap();
    assert_eq!(wait(view.get("more")).unwrap().unwrap().value.expose(), value(0));
    assert_eq!(verify(&barrier).problems, []);
    assert_eq!(barrier.integrity().unwrap().alarms, 0);
    barrier.close();
    let barrier = store.unseal(&root(1)).unwrap().confirm(&[]).unwrap().serve(&[]).unwrap();
    assert_eq!(verify(&barrier).rows as usize, full + 1);
}

/// What may be refused on a full disk.
fn refused<T>(made: Result<T, Error>) -> bool {
    match made {
        Ok(_) => false,
        Err(Error::NoSpace) => true,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn on_a_full_disk_deletes_revocations_and_unseals_go_through() {
    let Some(small) = Small::mount(44) else {
        println!("skipped: a small file system needs root");
        return;
    };
    let path = small.0.path().join("store");
    let ballast = [4, 12].map(|size| small.0.path().join(format!("ballast-{size}")));
    std::fs::write(&ballast[0], vec![1; 4 << 20]).unwrap();
    std::fs::write(&ballast[1], vec![1; 12 << 20]).unwrap();
    {
        let store = Store::embedded(&path, options(20)).unwrap();
        let barrier = init(&store, vec![]);
        let view = barrier.view(MOUNT);
        for n in 0..200 {
            wait(view.put(&format!("token/{n}"), b"1")).unwrap();
        }
        (0..400).find(|n| refused(wait(view.put(&format!("r{n}"), &vec![7; 60_000])))).expect("20 MiB do not hold 24");
        // And the last free blocks, which others would take.
        small.fill();

        for n in 0..50 {
            assert!(refused(wait(view.put("more", b"1"))), "not a word is written, however short");
            wait(view.delete(&format!("token/{n}"))).unwrap();
            assert!(!wait(view.exists(&format!("token/{n}"))).unwrap());
        }
        let mut batch = Batch::new();
        batch.put(&view, "token/60", b"revoked").delete(&view, "token/61");
        assert!(refused(wait(view.commit(batch))), "what puts must say that it is pressing");
        let mut batch = Batch::new();
        batch.put(&view, "token/60", b"revoked").delete(&view, "token/61").press();
        wait(view.commit(batch)).unwrap();
        wait(barrier.raise(vec![])).unwrap();
        barrier.close();

        // Unsealed again by this process, and by the next.
        let barrier = store.unseal(&root(1)).unwrap().confirm(&[]).unwrap().serve(&[]).unwrap();
        wait(barrier.view(MOUNT).delete("token/62")).unwrap();
        barrier.close();
    }
    let store = Store::embedded(&path, options(20)).unwrap();
    let barrier = store.unseal(&root(1)).unwrap().confirm(&[]).unwrap().serve(&[]).unwrap();
    let view = barrier.view(MOUNT);
    assert_eq!(wait(view.get("token/60")).unwrap().unwrap().value.expose(), b"revoked");
    assert_eq!(wait(view.list("token", None, 999)).unwrap().len(), 200 - 52);
    wait(view.delete("token/63")).unwrap();
    // The engine may have made its file smaller when it was closed.
    small.fill();
    (0..400).find(|n| refused(wait(view.put(&format!("s{n}"), &vec![7; 60_000])))).expect("it is full again");
    assert!(refused(wait(view.put("more", b"1"))));

    // The reserve ends, and with it what may use it; reading goes on.
    let used_up = (0..400).find(|n| {
        let mut batch = Batch::new();
        batch.put(&view, &format!("pressing/{n}"), &vec![7; 60_000]).press();
        refused(wait(view.commit(batch)))
    });
    let used_up = used_up.expect("8 MiB do not hold 24");
    assert!(used_up > 20, "{used_up}");
    assert_eq!(wait(view.get("token/70")).unwrap().unwrap().value.expose(), b"1");

    std::fs::remove_file(&ballast[0]).unwrap();
    assert!(refused(wait(view.put("more", b"1"))), "4 MiB are less than the reserve, which comes first");
    std::fs::write(&ballast[0], vec![1; 3 << 20]).expect("what is too little for the reserve is left for others");
    std::fs::remove_file(&ballast[1]).unwrap();
    wait(view.put("more", b"1")).unwrap();
    assert_eq!(std::fs::metadata(path.join("store.reserve")).unwrap().len(), 8 << 20, "whole again");
    assert_eq!(verify(&barrier).problems, []);
    assert_eq!(barrier.integrity().unwrap().alarms, 0);
}

#[test]
fn in_a_group_the_full_disk_refuses_only_what_is_not_pressing() {
    let faulty = Faulty::over(Storage::inmem());
    let barrier = init(&Store::over(Storage::Faulty(faulty.clone()), options(10)), Vec::new());
    let view = barrier.view(MOUNT);
    for n in 0..64 {
        wait(view.put(&format!("old/{n}"), b"1")).unwrap();
    }
    (1..500).for_each(|n| faulty.plan(n, Fault::Tight));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let view = &view;
            scope.spawn(move || {
                for n in (thread..64).step_by(8) {
                    if thread % 2 == 0 {
                        wait(view.delete(&format!("old/{n}"))).unwrap();
                    } else {
                        assert!(refused(wait(view.put(&format!("new/{n}"), b"1"))));
                        // Answered once: a conflict is not tried again with the rest of its group.
                        let mut batch = Batch::new();
                        batch.expect(view, "old/1", None).delete(view, "old/1");
                        assert!(matches!(wait(view.commit(batch)), Err(Error::Conflict { .. })));
                    }
                }
            });
        }
    });
    assert_eq!(wait(view.list("", None, 9)).unwrap(), ["old/"]);
    assert_eq!(wait(view.list("old", None, 99)).unwrap().len(), 32);
    assert_eq!(verify(&barrier).problems, []);
}

#[test]
fn the_store_shows_no_name_no_value_and_no_nonce_twice() {
    let store = Store::inmem_with(options(30));
    let barrier = init(&store, Vec::new());
    let view = barrier.view(MOUNT);
    for n in 0..200 {
        wait(view.put(&format!("secretdir/subname/leaf{n}"), b"plainvalue")).unwrap();
    }
    let rows = dump(store.storage());
    let holds = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    for ((_, key), value) in &rows {
        for part in [&b"secretdir"[..], b"subname", b"leaf", b"plainvalue", &MOUNT.0] {
            assert!(!holds(key, part) && !holds(value, part), "{key:02x?}");
        }
    }
    let sealed: Vec<_> =
        rows.iter().filter(|((table, _), _)| *table == strongroom_keystore::storage::Table::Rows).collect();
    let mut salts: Vec<_> = sealed.iter().map(|(_, value)| value[5..33].to_vec()).collect();
    salts.sort();
    salts.dedup();
    assert_eq!(salts.len(), sealed.len(), "salt and nonce are never used twice");
    let mut sizes: Vec<_> = sealed.iter().map(|(_, value)| value.len()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    assert_eq!(sizes, [256]);
}
