//! One file on this machine, through redb: two-phase commits that need no repair scan after a crash ("quick repair").
//!
//! redb panics on some files that somebody has damaged. A panic while reading is an integrity error of that read; a
//! panic, or an input/output error other than a full disk, while committing leaves the outcome in doubt and ends writing.

use super::reserve::Reserve;
use super::{Op, Pair, Table};
use crate::{Error, Layer};
use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadOnlyTable, ReadableDatabase, TableDefinition};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// The file inside the store's directory.
pub(crate) const FILE: &str = "store.redb";
/// What redb may keep in memory of the file.
const CACHE: usize = 128 << 20;
/// Once the disk was full, this much must be free before another commit is tried.
const SPARE: usize = 1 << 20;

const META: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("meta");
const ROWS: TableDefinition<'static, &[u8; 32], &[u8]> = TableDefinition::new("rows");
const NODES: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("nodes");
const JOURNAL: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("journal");

type Open = dyn Fn() -> Result<Database, redb::Error> + Send + Sync;

/// One file on this machine.
pub struct Embedded {
    open: Box<Open>,
    directory: Option<PathBuf>,
    /// Which file was opened.
    identity: Option<Arc<OnceLock<Identity>>>,
    /// Of a store that has a directory.
    reserve: Option<Reserve>,
    /// `None` while it could not be opened again.
    database: RwLock<Option<Database>>,
    lead: AtomicU64,
    poisoned: Mutex<Option<String>>,
    /// Set by a commit that found no space, and while the reserve is not whole; ordinary commits clear it.
    full: AtomicBool,
}

/// Which file it is, whatever its name: device and inode.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Identity {
    fn of(metadata: &fs::Metadata) -> Identity {
        Identity(metadata.dev(), metadata.ino())
    }
}

/// One state of [`Embedded`].
pub struct Snapshot {
    meta: ReadOnlyTable<&'static [u8], &'static [u8]>,
    rows: ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    nodes: ReadOnlyTable<&'static [u8], &'static [u8]>,
    journal: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Embedded {
    /// Opens or makes the file in `directory`, which is made if it is missing: directory 0700, file 0600.
    pub fn open(directory: &Path) -> Result<Embedded, Error> {
        let failed = |what: &str, error: io::Error| Error::Storage(format!("{what} {}: {error}", directory.display()));
        if !directory.is_dir() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|error| failed("cannot make the directory", error))?;
        }
        let (path, identity) = (directory.join(FILE), Arc::new(OnceLock::new()));
        let known = identity.clone();
        let open = move || {
            // Only the first time: a file that is missing later was taken away.
            let make = known.get().is_none();
            let file =
                OpenOptions::new().read(true).write(true).create(make).truncate(false).mode(0o600).open(&path)?;
            let found = Identity::of(&file.metadata()?);
            if *known.get_or_init(|| found) != found {
                return Err(redb::Error::Corrupted("another file is in its place".into()));
            }
            if file.metadata()?.permissions().mode() & 0o077 != 0 {
                file.set_permissions(fs::Permissions::from_mode(0o600))?;
            }
            let backend = redb::backends::FileBackend::new(file)?;
            Ok(Database::builder().set_cache_size(CACHE).create_with_backend(backend)?)
        };
        let embedded = Embedded::over(Box::new(open), Some((directory.to_owned(), identity)))?;
        // The file's name must be as durable as the file.
        File::open(directory).and_then(|dir| dir.sync_all()).map_err(|error| failed("cannot sync", error))?;
        Ok(embedded)
    }

    /// Over a redb backend that a test provides; `open` is called again after a failure.
    #[cfg(feature = "faults")]
    pub fn over_backend<B: redb::StorageBackend>(
        open: impl Fn() -> B + Send + Sync + 'static,
    ) -> Result<Embedded, Error> {
        Embedded::over(Box::new(move || Ok(Database::builder().create_with_backend(open())?)), None)
    }

    fn over(open: Box<Open>, place: Option<(PathBuf, Arc<OnceLock<Identity>>)>) -> Result<Embedded, Error> {
        let (directory, identity) = place.unzip();
        let embedded = Embedded {
            open,
            identity,
            reserve: directory.as_deref().map(Reserve::of),
            directory,
            database: RwLock::new(None),
            lead: AtomicU64::new(0),
            poisoned: Mutex::new(None),
            full: AtomicBool::new(false),
        };
        while let Err(error) = embedded.reopen() {
            // A store opens on a full disk too.
            if error != Error::NoSpace || !embedded.give(0) {
                return Err(error);
            }
        }
        let short = embedded.reserve.as_ref().is_some_and(|reserve| reserve.fill().is_err());
        embedded.full.store(short, Ordering::Relaxed);
        Ok(embedded)
    }

    pub(super) fn lead(&self) -> u64 {
        self.lead.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, Error> {
        let database = self.database.read();
        let database = database.as_ref().ok_or_else(closed)?;
        guarded(|| {
            let read = database.begin_read()?;
            Ok(Snapshot {
                meta: read.open_table(META)?,
                rows: read.open_table(ROWS)?,
                nodes: read.open_table(NODES)?,
                journal: read.open_table(JOURNAL)?,
            })
        })
    }

    /// `pressing` may use the reserve.
    pub(super) fn commit(&self, fence: u64, ops: &[Op], pressing: bool) -> Result<(), Error> {
        if let Some(reason) = &*self.poisoned.lock() {
            return Err(Error::Poisoned(reason.clone()));
        }
        if fence < self.lead.load(Ordering::SeqCst) {
            return Err(Error::Fenced);
        }
        let size = ops.iter().map(|op| op.key.len() + op.value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        if self.full.load(Ordering::Relaxed) && !pressing {
            self.probe(size)?;
        }
        loop {
            let made = self.attempt(ops);
            match made {
                Ok(()) => {
                    // What went through with the help of the reserve says nothing about the space for others.
                    if !pressing {
                        self.full.store(false, Ordering::Relaxed);
                    }
                    return Ok(());
                }
                Err(Error::NoSpace) => {
                    self.full.store(true, Ordering::Relaxed);
                    let again = pressing && self.give(4 * size as u64);
                    // redb refuses everything after an error of its file; what it had committed before is untouched.
                    // If even that fails for want of space, the next call tries again.
                    let _ = self.reopen();
                    if !again {
                        return Err(Error::NoSpace);
                    }
                }
                Err(Error::TooLarge { size, limit }) => return Err(Error::TooLarge { size, limit }),
                Err(error) => {
                    let reason = error.to_string();
                    *self.poisoned.lock() = Some(reason.clone());
                    return Err(Error::Poisoned(reason));
                }
            }
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    fn attempt(&self, ops: &[Op]) -> Result<(), Error> {
        if self.database.read().is_none() {
            self.reopen()?;
        }
        let database = self.database.read();
        let database = database.as_ref().ok_or_else(closed)?;
        guarded(|| write(database, ops))
    }

    fn give(&self, needed: u64) -> bool {
        self.reserve.as_ref().is_some_and(|reserve| reserve.give(needed))
    }

    /// Whether the file that is open is the one that the next start will find.
    pub(super) fn check(&self) -> Result<(), Error> {
        let (Some(directory), Some(identity)) = (&self.directory, &self.identity) else { return Ok(()) };
        match fs::metadata(directory.join(FILE)) {
            Ok(found) if identity.get() == Some(&Identity::of(&found)) => Ok(()),
            Ok(_) => Err(damaged("another file was put in its place while it was open")),
            Err(error) => Err(damaged(&format!("it was taken away while it was open: {error}"))),
        }
    }

    /// Opens the file again if redb has given it up after a failed read.
    pub(super) fn revive(&self) -> Result<(), Error> {
        match self.snapshot() {
            // The cheapest read that touches the file's state; a missing row is fine.
            Ok(snapshot) if snapshot.get(Table::Meta, b"head").is_ok() => Ok(()),
            _ => self.reopen(),
        }
    }

    fn reopen(&self) -> Result<(), Error> {
        let mut database = self.database.write();
        // The old one must let go of the file's lock first. Dropping it may panic on a damaged file.
        let old = database.take();
        guarded(|| {
            drop(old);
            Ok(())
        })
        .ok();
        let fresh = guarded(|| {
            let fresh = (self.open)()?;
            // All tables exist from the first open on, so that a snapshot can open them.
            let missing = {
                let read = fresh.begin_read()?;
                read.list_tables()?.count() < Table::ALL.len()
            };
            if missing {
                write_tables(&fresh)?;
            }
            Ok(fresh)
        })?;
        *database = Some(fresh);
        Ok(())
    }

    /// Whether there is space again, for a commit of `size` bytes and for the whole reserve, by taking it.
    fn probe(&self, size: usize) -> Result<(), Error> {
        let (Some(directory), Some(reserve)) = (&self.directory, &self.reserve) else { return Ok(()) };
        reserve.fill().map_err(|_| Error::NoSpace)?;
        let path = directory.join("space.probe");
        let taken =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).and_then(|mut file| {
                file.write_all(&vec![0; SPARE + 4 * size])?;
                file.sync_data()
            });
        let removed = fs::remove_file(&path);
        taken.and(removed).map_err(|_| Error::NoSpace)
    }
}

impl Snapshot {
    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        guarded(|| {
            let found = match table {
                Table::Meta => self.meta.get(key)?,
                Table::Rows => match <&[u8; 32]>::try_from(key) {
                    Ok(key) => self.rows.get(key)?,
                    Err(_) => None,
                },
                Table::Nodes => self.nodes.get(key)?,
                Table::Journal => self.journal.get(key)?,
            };
            Ok(found.map(|value| value.value().to_vec()))
        })
    }

    pub(super) fn range(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Pair>, Error> {
        guarded(|| {
            let mut pairs = Vec::new();
            match table {
                Table::Rows => {
                    let mut first = [0; 32];
                    let len = from.len().min(32);
                    first[..len].copy_from_slice(&from[..len]);
                    for pair in self.rows.range::<&[u8; 32]>(&first..)?.take(limit) {
                        let (key, value) = pair?;
                        pairs.push((key.value().to_vec(), value.value().to_vec()));
                    }
                }
                _ => {
                    let table = match table {
                        Table::Meta => &self.meta,
                        Table::Nodes => &self.nodes,
                        _ => &self.journal,
                    };
                    for pair in table.range::<&[u8]>(from..)?.take(limit) {
                        let (key, value) = pair?;
                        pairs.push((key.value().to_vec(), value.value().to_vec()));
                    }
                }
            }
            Ok(pairs)
        })
    }
}

fn write_tables(database: &Database) -> Result<(), redb::Error> {
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    write.open_table(META)?;
    write.open_table(ROWS)?;
    write.open_table(NODES)?;
    write.open_table(JOURNAL)?;
    Ok(write.commit()?)
}

fn write(database: &Database, ops: &[Op]) -> Result<(), redb::Error> {
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    for table in Table::ALL {
        let mut ops = ops.iter().filter(|op| op.table == table).peekable();
        if ops.peek().is_none() {
            continue;
        }
        if table == Table::Rows {
            let mut rows = write.open_table(ROWS)?;
            for op in ops {
                let Ok(key) = <&[u8; 32]>::try_from(&op.key[..]) else {
                    return Err(redb::Error::Corrupted("a key of the rows has 32 bytes".into()));
                };
                match &op.value {
                    Some(value) => rows.insert(key, &value[..])?,
                    None => rows.remove(key)?,
                };
            }
        } else {
            let mut table = write.open_table(match table {
                Table::Meta => META,
                Table::Nodes => NODES,
                _ => JOURNAL,
            })?;
            for op in ops {
                match &op.value {
                    Some(value) => table.insert(&op.key[..], &value[..])?,
                    None => table.remove(&op.key[..])?,
                };
            }
        }
    }
    Ok(write.commit()?)
}

/// Runs a call of redb; a panic in it is an integrity error of the engine's file.
fn guarded<T>(call: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Error> {
    // What redb leaves behind after a panic is not used again: a commit's panic poisons, a read's panic ends that read.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(named(error)),
        Err(panic) => {
            let text = (panic.downcast_ref::<String>().map(String::as_str))
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(damaged(&format!("the engine stopped on it: {text}")))
        }
    }
}

fn named(error: redb::Error) -> Error {
    match error {
        redb::Error::Io(error) if full(&error) => Error::NoSpace,
        redb::Error::ValueTooLarge(size) => Error::TooLarge { size, limit: crate::MAX_VALUE },
        redb::Error::DatabaseAlreadyOpen => Error::Storage("another process has the store open".into()),
        redb::Error::Corrupted(text) => damaged(&text),
        other => Error::Storage(other.to_string()),
    }
}

fn damaged(reason: &str) -> Error {
    Error::Integrity { layer: Layer::Engine, name: FILE.into(), reason: reason.chars().take(300).collect() }
}

fn closed() -> Error {
    Error::Storage("the file could not be opened again after a failure".into())
}

/// No space on the device, or none left of the quota.
fn full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}
