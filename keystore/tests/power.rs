//! Power loss: a disk that forgets any part of what was not flushed. Everything that was acknowledged is there afterwards, what was
//! in flight is there whole or not at all, and nothing else is ever read. A sample of the subsets here, all of them where they are
//! few; `POWER_CASES=n` tries n of each larger set. `kill.rs` cuts a real file system off.

mod common;

use common::{MOUNT, Random, init, options, root, verify};
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use strongroom_keystore::storage::{Embedded, Storage};
use strongroom_keystore::{Batch, Error, Store, wait};

/// So short that many commits move changes into the tree.
const JOURNAL: usize = 10;
/// What a disk writes whole.
const SECTOR: usize = 512;
/// Sets of this many unflushed writes are tried in every subset.
const EXHAUSTIVE: usize = 6;

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(at, data) => {
                // A write whose growth was forgotten grows the file itself.
                let end = at + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*at..end].copy_from_slice(data);
            }
            Change::Length(length) => bytes.resize(*length, 0),
        }
    }

    /// Its sectors, of which a cut may have written some.
    fn torn(&self) -> Vec<Change> {
        match self {
            Change::Write(at, data) => {
                let part = |(n, data): (usize, &[u8])| Change::Write(at + n * SECTOR, data.to_vec());
                data.chunks(SECTOR).enumerate().map(part).collect()
            }
            Change::Length(_) => vec![self.clone()],
        }
    }
}

/// Everything between two flushes: the disk as the first left it, and what came after.
struct Span {
    flushed: Vec<u8>,
    changes: Vec<Change>,
    /// Commits acknowledged before the second flush.
    acknowledged: usize,
}

#[derive(Default)]
struct Disk {
    bytes: Vec<u8>,
    flushed: Vec<u8>,
    changes: Vec<Change>,
    acknowledged: usize,
    spans: Vec<Span>,
}

/// A disk that keeps what was not flushed apart.
#[derive(Clone, Default)]
struct Forgetful(Arc<Mutex<Disk>>);

impl std::fmt::Debug for Forgetful {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Forgetful")
    }
}

impl Forgetful {
    fn change(&self, change: Change) -> Result<(), io::Error> {
        let disk = &mut *self.0.lock().unwrap();
        change.apply(&mut disk.bytes);
        disk.changes.push(change);
        Ok(())
    }
}

impl StorageBackend for Forgetful {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let disk = self.0.lock().unwrap();
        let found = disk.bytes.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.change(Change::Length(len as usize))
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        let disk = &mut *self.0.lock().unwrap();
        let (flushed, changes) = (disk.flushed.clone(), std::mem::take(&mut disk.changes));
        disk.spans.push(Span { flushed, changes, acknowledged: disk.acknowledged });
        disk.flushed = disk.bytes.clone();
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.change(Change::Write(offset as usize, data.to_vec()))
    }
}

fn storage(disk: &Forgetful) -> Result<Storage, Error> {
    let disk = disk.clone();
    Ok(Storage::Embedded(Arc::new(Embedded::over_backend(move || disk.clone())?)))
}

type Model = BTreeMap<String, Vec<u8>>;

/// Commits to a disk, one after the other; the disk, and what the store held after each.
fn record(commits: usize) -> (Disk, Vec<Model>) {
    let disk = Forgetful::default();
    let barrier = init(&Store::over(storage(&disk).unwrap(), options(JOURNAL)), Vec::new());
    let mut random = Random(3);
    let mut models = vec![Model::new()];
    disk.0.lock().unwrap().acknowledged = 1;
    for _ in 0..commits {
        let mut model = models.last().unwrap().clone();
        let (view, mut batch) = (barrier.view(MOUNT), Batch::new());
        for _ in 0..1 + random.below(6) {
            let path = format!("d{}/r{}", random.below(3), random.below(12));
            if random.below(4) == 0 {
                batch.delete(&view, &path);
                model.remove(&path);
            } else {
                let value = vec![random.next() as u8; random.below(2000) as usize];
                batch.put(&view, &path, &value);
                model.insert(path, value);
            }
        }
        wait(view.commit(batch)).unwrap();
        models.push(model);
        disk.0.lock().unwrap().acknowledged += 1;
    }
    drop(barrier);
    (std::mem::take(&mut *disk.0.lock().unwrap()), models)
}

/// Opens what a cut has left, and compares it with what was acknowledged: `models[n - 1]` after `n` acknowledgements.
fn check(left: Vec<u8>, acknowledged: usize, models: &[Model]) {
    let disk = Forgetful(Arc::new(Mutex::new(Disk { flushed: left.clone(), bytes: left, ..Disk::default() })));
    let opened = storage(&disk);
    if acknowledged == 0 {
        // Nothing was promised: it may be no store yet, and says so.
        let unsealed = opened.and_then(|storage| Store::over(storage, options(JOURNAL)).unseal(&root(1)));
        match unsealed.err() {
            None | Some(Error::NotInitialised | Error::Integrity { .. } | Error::Storage(_)) => {}
            Some(other) => panic!("{other}"),
        }
        return;
    }
    let store = Store::over(opened.unwrap(), options(JOURNAL));
    let barrier = store.unseal(&root(1)).unwrap().confirm(&[]).unwrap().serve(&[]).unwrap();
    assert_eq!(verify(&barrier).problems, []);
    let view = barrier.view(MOUNT);
    let mut held = Model::new();
    for dir in wait(view.list("", None, 99)).unwrap() {
        for name in wait(view.list(&dir, None, 99)).unwrap() {
            let path = format!("{dir}{name}");
            let value = wait(view.get(&path)).unwrap().unwrap().value.expose().to_vec();
            held.insert(path, value);
        }
    }
    // The next commit may have been made, though nobody was told.
    let next = models.get(acknowledged).is_some_and(|next| held == *next);
    assert!(held == models[acknowledged - 1] || next, "after {acknowledged} acknowledgements");
    wait(view.put("after", b"1")).unwrap();
    assert!(wait(view.exists("after")).unwrap());
}

#[test]
fn what_was_acknowledged_outlives_any_loss_of_what_was_not_flushed() {
    let cases = std::env::var("POWER_CASES").ok().and_then(|n| n.parse().ok());
    let (disk, models) = record(if cases.is_some() { 60 } else { 15 });
    let mut random = Random(11);
    let (mut images, mut exhaustive, mut largest) = (0, 0, 0);
    for span in &disk.spans {
        let n = span.changes.len();
        largest = largest.max(n);
        let image = |kept: &[Change]| {
            let mut bytes = span.flushed.clone();
            kept.iter().for_each(|change| change.apply(&mut bytes));
            bytes
        };
        let mut try_out = |kept: Vec<Change>| {
            images += 1;
            check(image(&kept), span.acknowledged, &models);
        };
        let subset = |chosen: &dyn Fn(usize) -> bool| -> Vec<Change> {
            span.changes.iter().enumerate().filter(|(at, _)| chosen(*at)).map(|(_, change)| change.clone()).collect()
        };
        if n <= EXHAUSTIVE {
            exhaustive += 1;
            (0..1u32 << n).for_each(|bits| try_out(subset(&|at| bits >> at & 1 == 1)));
        } else {
            let picks = cases.unwrap_or(6);
            try_out(vec![]);
            try_out(span.changes.clone());
            for _ in 0..picks {
                let (one, bits) = (random.below(n as u64) as usize, random.next());
                try_out(subset(&|at| at == one));
                try_out(subset(&|at| at != one));
                try_out(subset(&|at| at < one));
                try_out(subset(&|at| at >= one));
                try_out(subset(&|at| bits >> (at % 64) & 1 == 1));
            }
        }
        // Writes that were cut in the middle.
        for _ in 0..cases.unwrap_or(2) {
            let sectors = span.changes.iter().flat_map(Change::torn);
            try_out(sectors.filter(|_| random.below(2) == 0).collect());
        }
    }
    println!(
        "{images} images of {} spans, {exhaustive} in every subset; up to {largest} unflushed writes",
        disk.spans.len()
    );
    assert!(images > 300 && exhaustive > 10);
}
