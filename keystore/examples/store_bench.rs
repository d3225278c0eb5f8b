//! The store against the bare engine: the same values, the same group commit, the same repair setting, alternating in one
//! run. Prints medians of the rounds.
//!
//! `cargo run --release -p strongroom-keystore --example store_bench -- [--rows N] [--rounds N] [--seconds S] [--dir DIR]
//! [--journal N]`

use redb::{Database, ReadableDatabase, TableDefinition};
use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::time::{Duration, Instant};
use strongroom_keystore::{Barrier, Batch, Init, MountId, Options, Store, View, wait};
use strongroom_secret::key::RootKey;

const ROWS: TableDefinition<'static, &[u8; 32], &[u8]> = TableDefinition::new("rows");
const VALUE: usize = 500;
const MOUNT: MountId = MountId([1; 16]);
/// Rows to a directory.
const DIR: u64 = 1000;

struct Args {
    rows: u64,
    rounds: usize,
    seconds: f64,
    journal: usize,
    dir: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = args()?;
    std::fs::create_dir_all(&args.dir)?;
    println!("{} rows of {VALUE} B, {} rounds of {} s, journal {}", args.rows, args.rounds, args.seconds, args.journal);
    let bare = Bare::open(&args)?;
    let (store, root, barrier) = open(&args)?;
    println!("loaded: bare {} MiB, store {} MiB", size(&args, "bare.redb")?, size(&args, "store/store.redb")?);

    let next = AtomicU64::new(args.rows);
    for writers in [64, 16, 1] {
        compare(&args, &format!("update, {writers} writers"), writers, &bare, &barrier, |random| {
            random.next() % args.rows
        });
    }
    for writers in [64, 1] {
        compare(&args, &format!("create, {writers} writers"), writers, &bare, &barrier, |_| {
            next.fetch_add(1, Ordering::Relaxed)
        });
    }
    reads(&args, "read, 1,000 hot rows", &bare, &barrier, 1000)?;
    reads(&args, "read, all rows", &bare, &barrier, args.rows)?;

    let integrity = barrier.integrity()?;
    println!("journal: {} changes in {} pages", integrity.journal_entries, integrity.journal_pages);
    let start = Instant::now();
    let found = barrier.verify(|_| std::ops::ControlFlow::Continue(()))?;
    println!(
        "full walk: {} rows in {:.2} s, {} problems",
        found.rows,
        start.elapsed().as_secs_f64(),
        found.problems.len()
    );
    barrier.close();
    let times: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            let opened = store.unseal(&root).map(|opened| opened.epoch());
            opened.map(|_| start.elapsed().as_secs_f64() * 1e3)
        })
        .collect::<Result<_, _>>()?;
    println!("unseal with that journal: {:.1} ms", median(times));
    println!("files: bare {} MiB, store {} MiB", size(&args, "bare.redb")?, size(&args, "store/store.redb")?);
    Ok(())
}

/// Bare engine and store in turn, with `row` choosing which row each write goes to.
fn compare(
    args: &Args,
    what: &str,
    writers: u64,
    bare: &Bare,
    barrier: &Barrier,
    row: impl Fn(&mut Random) -> u64 + Sync,
) {
    let view = barrier.view(MOUNT);
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let them = drive(writers, args.seconds, |random| bare.put(key(row(random)), &value(random)));
        let us = drive(writers, args.seconds, |random| {
            wait(view.put(&path(row(random)), &value(random))).expect("a write");
        });
        ours.push(us);
        theirs.push(them);
        ratios.push(us / them);
    }
    let range = format!("{:.2}-{:.2}", min(&ratios), ratios.iter().copied().fold(0.0, f64::max));
    println!(
        "{what:24} bare {:8.0}/s  store {:8.0}/s  ratio {:.2} ({range})",
        median(theirs),
        median(ours),
        median(ratios)
    );
}

fn reads(args: &Args, what: &str, bare: &Bare, barrier: &Barrier, rows: u64) -> Result<(), Box<dyn Error>> {
    let view = barrier.view(MOUNT);
    let table = bare.database.begin_read()?.open_table(ROWS)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        theirs.push(drive(1, args.seconds / 2.0, |random| {
            let row = table.get(&key(random.next() % rows)).expect("a read").expect("a row").value().to_vec();
            assert_eq!(row.len(), VALUE);
        }));
        ours.push(drive(1, args.seconds / 2.0, |random| {
            let row = wait(view.get(&path(random.next() % rows))).expect("a read").expect("a row");
            assert_eq!(row.value.len(), VALUE);
        }));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("{what:24} bare {:6.2} us   store {:6.2} us   ratio {:.2}", 1e6 / theirs, 1e6 / ours, ours / theirs);
    Ok(())
}

/// Operations per second of `writers` threads.
fn drive(writers: u64, seconds: f64, op: impl Fn(&mut Random) + Sync) -> f64 {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..writers {
            scope.spawn(|| {
                let mut random = Random(SEED.fetch_add(1, Ordering::Relaxed) << 32);
                while !stop.load(Ordering::Relaxed) {
                    op(&mut random);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(Duration::from_secs_f64(seconds));
        stop.store(true, Ordering::Relaxed);
    });
    done.into_inner() as f64 / start.elapsed().as_secs_f64()
}

/// redb with one committer and group commit, nothing else.
struct Bare {
    database: std::sync::Arc<Database>,
    queue: Sender<Put>,
}

type Put = ([u8; 32], Vec<u8>, std::sync::mpsc::SyncSender<()>);

impl Bare {
    fn open(args: &Args) -> Result<Bare, Box<dyn Error>> {
        let path = args.dir.join("bare.redb");
        let fresh = !path.exists();
        let database = std::sync::Arc::new(Database::builder().set_cache_size(128 << 20).create(path)?);
        if fresh {
            let mut random = Random(7);
            for start in (0..args.rows).step_by(10_000) {
                let mut write = database.begin_write()?;
                write.set_quick_repair(true);
                {
                    let mut table = write.open_table(ROWS)?;
                    for row in start..(start + 10_000).min(args.rows) {
                        table.insert(&key(row), &value(&mut random)[..])?;
                    }
                }
                write.commit()?;
            }
        }
        let (queue, waiting) = channel();
        let committed = database.clone();
        std::thread::spawn(move || commit(&committed, &waiting).expect("a commit"));
        Ok(Bare { database, queue })
    }

    fn put(&self, key: [u8; 32], value: &[u8]) {
        let (reply, answer) = sync_channel(1);
        self.queue.send((key, value.to_vec(), reply)).expect("the committer lives");
        answer.recv().expect("the committer lives");
    }
}

fn commit(database: &Database, waiting: &Receiver<Put>) -> Result<(), redb::Error> {
    while let Ok(first) = waiting.recv() {
        let group: Vec<Put> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let mut write = database.begin_write()?;
        write.set_quick_repair(true);
        {
            let mut table = write.open_table(ROWS)?;
            for (key, value, _) in &group {
                table.insert(key, &value[..])?;
            }
        }
        write.commit()?;
        for (.., reply) in group {
            let _ = reply.send(());
        }
    }
    Ok(())
}

fn open(args: &Args) -> Result<(Store, RootKey, Barrier), Box<dyn Error>> {
    let root = RootKey::filled(|out| *out = [1; 32]);
    let options = Options { journal_entries: args.journal, ..Options::default() };
    let store = Store::embedded(&args.dir.join("store"), options)?;
    let barrier = if store.is_initialised() {
        store.unseal(&root)?.confirm(&[])?.serve(&[])?
    } else {
        let init = Init { cluster: [7; 16], root: &root, generation: 1, clear_rows: Vec::new(), devices: Vec::new() };
        let barrier = store.initialise(init)?;
        load(args, &barrier.view(MOUNT))?;
        barrier
    };
    Ok((store, root, barrier))
}

fn load(args: &Args, view: &View) -> Result<(), Box<dyn Error>> {
    let mut random = Random(7);
    for start in (0..args.rows).step_by(4000) {
        let mut batch = Batch::new();
        for row in start..(start + 4000).min(args.rows) {
            batch.put(view, &path(row), &value(&mut random));
        }
        wait(view.commit(batch))?;
    }
    Ok(())
}

fn key(row: u64) -> [u8; 32] {
    strongroom_secret::digest::sha256(&[&row.to_be_bytes()])
}

fn path(row: u64) -> String {
    format!("d{}/row{}", row / DIR, row % DIR)
}

fn value(random: &mut Random) -> Vec<u8> {
    let mut value = vec![0; VALUE];
    value.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&random.next().to_be_bytes()[..chunk.len()]));
    value
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn min(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn size(args: &Args, file: &str) -> Result<u64, Box<dyn Error>> {
    Ok(std::fs::metadata(args.dir.join(file))?.len() >> 20)
}

fn args() -> Result<Args, Box<dyn Error>> {
    let mut args = Args {
        rows: 1_000_000,
        rounds: 7,
        seconds: 3.0,
        journal: Options::default().journal_entries,
        dir: "bench-store".into(),
    };
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        let text = given.next().ok_or("each flag takes a value")?;
        match flag.as_str() {
            "--rows" => args.rows = text.parse()?,
            "--rounds" => args.rounds = text.parse()?,
            "--seconds" => args.seconds = text.parse()?,
            "--journal" => args.journal = text.parse()?,
            "--dir" => args.dir = text.into(),
            other => return Err(format!("unknown flag {other}").into()),
        }
    }
    Ok(args)
}
