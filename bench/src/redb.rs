//! The bare storage engine: redb with one committer and group commit, nothing else. What the store does to each row, its
//! index and its journal, is what a comparison with this shows.

use ::redb::{Database, TableDefinition};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

const ROWS: TableDefinition<'static, &[u8; 32], &[u8]> = TableDefinition::new("rows");

type Put = ([u8; 32], Vec<u8>, SyncSender<()>);

/// The engine with its committer.
pub(crate) struct Bare {
    queue: Sender<Put>,
    rows: u64,
    size: usize,
}

impl Bare {
    /// An engine with `rows` rows of `size` bytes.
    ///
    /// # Panics
    /// When the disk fails.
    pub(crate) fn open(directory: &Path, rows: u64, size: usize) -> Bare {
        let path = directory.join("bare.redb");
        let database = Database::builder().set_cache_size(128 << 20).create(path).expect("the engine opens");
        let value = vec![7; size];
        for start in (0..rows).step_by(10_000) {
            let group: Vec<_> = (start..(start + 10_000).min(rows)).map(|row| (key(row), value.clone())).collect();
            commit(&database, &group).expect("rows are loaded");
        }
        let (queue, waiting) = channel();
        std::thread::spawn(move || serve(&database, &waiting).expect("a commit"));
        Bare { queue, rows, size }
    }

    /// Durable writes a second by `writers` threads, each waiting for its own.
    ///
    /// # Panics
    /// When the committer has failed.
    pub(crate) fn writes(&self, writers: u64, seconds: u64) -> f64 {
        let (begun, span) = (Instant::now(), Duration::from_secs(seconds));
        let counts: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..writers).map(|writer| scope.spawn(move || self.write(writer, begun, span))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a writer ends")).collect()
        });
        counts.iter().sum::<u64>() as f64 / begun.elapsed().as_secs_f64()
    }

    fn write(&self, writer: u64, begun: Instant, span: Duration) -> u64 {
        let mut state = writer + 1;
        let mut count = 0;
        while begun.elapsed() < span {
            // Any order that spreads will do (Steele, Lea, Flood: SplitMix).
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let (reply, answer) = sync_channel(1);
            let row = key((mixed ^ (mixed >> 27)) % self.rows);
            self.queue.send((row, vec![8; self.size], reply)).expect("the committer lives");
            answer.recv().expect("the committer lives");
            count += 1;
        }
        count
    }
}

/// Keys spread as those of hidden names do.
fn key(row: u64) -> [u8; 32] {
    let mut key = [0; 32];
    let mixed = (row + 1).wrapping_mul(0x94d0_49bb_1331_11eb);
    key[..8].copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    key[8..16].copy_from_slice(&row.to_be_bytes());
    key
}

fn serve(database: &Database, waiting: &Receiver<Put>) -> Result<(), ::redb::Error> {
    while let Ok(first) = waiting.recv() {
        let group: Vec<Put> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let (rows, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|(key, value, reply)| ((key, value), reply)).unzip();
        commit(database, &rows)?;
        for reply in replies {
            let _ = reply.send(());
        }
    }
    Ok(())
}

fn commit(database: &Database, rows: &[([u8; 32], Vec<u8>)]) -> Result<(), ::redb::Error> {
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    {
        let mut table = write.open_table(ROWS)?;
        for (key, value) in rows {
            table.insert(key, &value[..])?;
        }
    }
    write.commit()?;
    Ok(())
}
