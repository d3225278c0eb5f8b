//! What every user of the store relies on, whatever lies below.

use std::sync::atomic::{AtomicUsize, Ordering};
use strongroom_keystore::{Barrier, Batch, Cache, Error, Init, MAX_VALUE, MountId, Store, wait};
use strongroom_secret::key::RootKey;

fn open() -> (Store, RootKey, Barrier) {
    let (store, root) = (Store::inmem(), RootKey::generate().unwrap());
    let init = Init { cluster: [7; 16], root: &root, generation: 1, clear_rows: Vec::new(), devices: Vec::new() };
    let barrier = store.initialise(init).unwrap();
    (store, root, barrier)
}

const MOUNT: MountId = MountId([1; 16]);

#[test]
fn what_was_put_is_read_and_what_was_deleted_is_absent() {
    let (_, _, barrier) = open();
    let view = barrier.view(MOUNT);
    wait(async {
        assert!(view.get("a/b").await.unwrap().is_none());
        view.put("a/b", b"one").await.unwrap();
        let first = view.get("a/b").await.unwrap().unwrap();
        assert_eq!(first.value.expose(), b"one");
        view.put("a/b", b"one").await.unwrap();
        assert_ne!(view.get("a/b").await.unwrap().unwrap().version, first.version, "a rewrite is a new version");
        assert!(view.exists("a/b").await.unwrap());
        assert!(!view.exists("a").await.unwrap());
        view.delete("a/b").await.unwrap();
        view.delete("a/b").await.unwrap();
        assert!(view.get("a/b").await.unwrap().is_none());
        view.put("empty", b"").await.unwrap();
        assert!(view.get("empty").await.unwrap().unwrap().value.is_empty());
    });
}

#[test]
fn mounts_and_directories_do_not_meet() {
    let (_, _, barrier) = open();
    let (one, other) = (barrier.view(MOUNT), barrier.view(MountId([2; 16])));
    wait(async {
        one.put("k", b"1").await.unwrap();
        assert!(other.get("k").await.unwrap().is_none());
        let dir = one.dir("d");
        dir.put("k", b"2").await.unwrap();
        assert_eq!(one.get("d/k").await.unwrap().unwrap().value.expose(), b"2");
        assert_eq!(one.get("k").await.unwrap().unwrap().value.expose(), b"1");
        assert_eq!(dir.dir("e/").list("", None, 9).await.unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_list_is_sorted_paged_and_shows_directories_once() {
    let (_, _, barrier) = open();
    let view = barrier.view(MOUNT);
    wait(async {
        for path in ["b", "a/1", "a/2", "a/x/y", "c", "b/z", "ab"] {
            view.put(path, b"v").await.unwrap();
        }
        assert_eq!(view.list("", None, 99).await.unwrap(), ["a/", "ab", "b", "b/", "c"]);
        assert_eq!(view.list("a", None, 99).await.unwrap(), ["1", "2", "x/"]);
        assert_eq!(view.list("a/", Some("1"), 1).await.unwrap(), ["2"]);
        assert_eq!(view.list("", Some("b"), 2).await.unwrap(), ["b/", "c"]);
        view.delete("a/x/y").await.unwrap();
        assert_eq!(view.list("a", None, 99).await.unwrap(), ["1", "2"], "an empty directory is gone");
        view.delete("a/1").await.unwrap();
        view.delete("a/2").await.unwrap();
        assert_eq!(view.list("", None, 99).await.unwrap(), ["ab", "b", "b/", "c"]);
    });
}

#[test]
fn a_batch_is_all_or_nothing_and_its_expectations_hold() {
    let (_, _, barrier) = open();
    let (view, other) = (barrier.view(MOUNT), barrier.view(MountId([2; 16])));
    wait(async {
        let mut batch = Batch::new();
        batch.put(&view, "x", b"1").put(&other, "y", b"2").expect(&view, "x", None);
        let first = view.commit(batch).await.unwrap();
        let version = view.get("x").await.unwrap().unwrap().version;
        let mut stale = Batch::new();
        stale.expect(&view, "x", None).put(&view, "x", b"3").delete(&other, "y");
        assert!(matches!(view.commit(stale).await, Err(Error::Conflict { path }) if path == "x"));
        assert_eq!(view.get("x").await.unwrap().unwrap().value.expose(), b"1");
        assert!(other.exists("y").await.unwrap());
        let mut fresh = Batch::new();
        fresh.expect(&view, "x", Some(version)).put(&view, "x", b"3").put(&view, "x", b"4");
        assert!(view.commit(fresh).await.unwrap() > first);
        assert_eq!(view.get("x").await.unwrap().unwrap().value.expose(), b"4", "the later change wins");
    });
}

#[test]
fn what_cannot_be_stored_is_refused_and_changes_nothing() {
    let (_, _, barrier) = open();
    let view = barrier.view(MOUNT);
    wait(async {
        view.put("big", &vec![7; MAX_VALUE]).await.unwrap();
        assert_eq!(view.get("big").await.unwrap().unwrap().value.len(), MAX_VALUE);
        let mut batch = Batch::new();
        batch.put(&view, "ok", b"1").put(&view, "bigger", &vec![7; MAX_VALUE + 1]);
        assert!(matches!(view.commit(batch).await, Err(Error::TooLarge { .. })));
        assert!(!view.exists("ok").await.unwrap());
        for bad in ["", "/x", "x/", "x//y"] {
            assert!(matches!(view.put(bad, b"").await, Err(Error::BadPath { .. })), "{bad:?}");
            assert!(matches!(view.get(bad).await, Err(Error::BadPath { .. })), "{bad:?}");
        }
        assert!(matches!(view.dir("a//b").put("c", b"").await, Err(Error::BadPath { .. })));
        assert!(matches!(view.dir("a//b").get("c").await, Err(Error::BadPath { .. })));
    });
}

#[test]
fn a_cached_row_is_decoded_once_and_follows_every_commit() {
    let (_, _, barrier) = open();
    let view = barrier.view(MOUNT);
    let (cache, decoded) = (Cache::new(100), AtomicUsize::new(0));
    let get = |path: &'static str| {
        cache.get(&view, path, |bytes: &[u8]| {
            decoded.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Error>(bytes.to_vec())
        })
    };
    wait(async {
        assert!(get("k").await.unwrap().is_none());
        view.put("k", b"1").await.unwrap();
        for _ in 0..3 {
            assert_eq!(*get("k").await.unwrap().unwrap(), b"1");
        }
        assert_eq!(decoded.load(Ordering::Relaxed), 1);
        view.put("k", b"2").await.unwrap();
        assert_eq!(*get("k").await.unwrap().unwrap(), b"2");
        view.delete("k").await.unwrap();
        assert!(get("k").await.unwrap().is_none());
        barrier.close();
        assert!(matches!(get("k").await, Err(Error::Sealed)));
    });
}

#[test]
fn a_store_reopens_with_its_root_key_only() {
    let (store, root, barrier) = open();
    wait(barrier.view(MOUNT).put("k", b"kept")).unwrap();
    barrier.close();
    assert!(matches!(wait(barrier.view(MOUNT).get("k")), Err(Error::Sealed)));
    assert!(matches!(wait(barrier.view(MOUNT).put("k", b"")), Err(Error::Sealed)));
    assert!(matches!(store.unseal(&RootKey::generate().unwrap()), Err(Error::WrongRoot)));
    let opened = store.unseal(&root).unwrap();
    let epoch = opened.epoch();
    let raise = opened.confirm(&[]).unwrap();
    assert!(raise.targets().is_empty());
    let barrier = raise.serve(&[]).unwrap();
    assert_eq!(wait(barrier.view(MOUNT).get("k")).unwrap().unwrap().value.expose(), b"kept");
    assert_eq!(store.clear_head().unwrap().epoch, epoch + 1);
}
