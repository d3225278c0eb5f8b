//! Lines of requests that are served at the same time, in one `write(2)`: a write costs several times what its bytes do, and
//! workers that write to one file wait for each other.
//!
//! Whoever comes first opens a batch and steps back once, so that all who are ready to run add their lines; then it writes
//! them all, and each learns what became of its own. Nobody is told "held" before the device holds the line.

use parking_lot::Mutex;
use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

/// One open batch per worker: requests of one worker are woken where they ran.
const SHARDS: usize = 16;
/// A batch of so many bytes takes no more lines.
const FULL: usize = 256 << 10;
/// Room that is set aside for a batch at most.
const USUAL: usize = 64 << 10;

/// What became of bytes that a device was offered.
#[derive(Debug)]
pub enum Offer {
    /// The device has them.
    Held,
    /// The device takes nothing just now.
    Busy,
    /// The device failed.
    Failed(io::Error),
}

/// The open batches of one device.
#[derive(Default)]
pub(super) struct Gather {
    open: [Shard; SHARDS],
}

/// Lines that are written together.
struct Batch(Mutex<State>);

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// Those who wait, but for the one who writes.
    waiting: Vec<Waker>,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy)]
enum Outcome {
    Held,
    /// So many bytes of the batch are written, and the device takes no more just now.
    Busy(usize),
    /// So many bytes of the batch are written, and the device failed.
    Failed(usize, io::ErrorKind),
}

impl Outcome {
    /// What it means for the line that ends at `end`. One that is cut short is not held.
    fn of(self, end: usize) -> Offer {
        match self {
            Outcome::Held => Offer::Held,
            Outcome::Busy(done) | Outcome::Failed(done, _) if done >= end => Offer::Held,
            Outcome::Busy(_) => Offer::Busy,
            Outcome::Failed(_, kind) => Offer::Failed(kind.into()),
        }
    }
}

impl Gather {
    /// Adds `line` to the batch that is open here, which `write` writes once: it is given all lines, and returns how many
    /// bytes the device took and why not more.
    pub(super) async fn offer(&self, line: &[u8], write: impl FnOnce(&[u8]) -> (usize, io::Result<()>)) -> Offer {
        let shard = &self.open[shard()];
        let batch = match join(shard, line) {
            Place::Joined(batch, start) => return batch.outcome().await.of(start + line.len()),
            Place::Opened(batch) => batch,
        };
        // Should this request be dropped before it wrote, nothing is held, and those who wait hear so.
        let mut owed = Owed { batch: &batch, outcome: Outcome::Failed(0, io::ErrorKind::Interrupted) };
        tokio::task::yield_now().await;
        leave(shard, &batch);
        let lines = batch.close();
        shard.last.store(lines.len(), Ordering::Relaxed);
        let (done, result) = write(&lines);
        owed.outcome = match result {
            Ok(()) => Outcome::Held,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Outcome::Busy(done),
            Err(error) => Outcome::Failed(done, error.kind()),
        };
        owed.outcome.of(line.len())
    }
}

impl Batch {
    /// Adds a line, and says where it begins; `None` when the batch takes no more.
    fn join(&self, line: &[u8]) -> Option<usize> {
        let mut state = self.0.lock();
        // Empty: its lines were taken to be written.
        if state.lines.is_empty() || state.lines.len() > FULL {
            return None;
        }
        let start = state.lines.len();
        state.lines.extend_from_slice(line);
        Some(start)
    }

    fn close(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().lines)
    }

    fn outcome(&self) -> impl Future<Output = Outcome> {
        std::future::poll_fn(|cx| {
            let mut state = self.0.lock();
            if let Some(outcome) = state.outcome {
                return Poll::Ready(outcome);
            }
            state.waiting.push(cx.waker().clone());
            Poll::Pending
        })
    }
}

/// Where a line came to lie.
enum Place {
    /// In a batch that somebody else writes, from so many bytes on.
    Joined(Arc<Batch>, usize),
    /// First in a batch, which its request writes.
    Opened(Arc<Batch>),
}

#[derive(Default)]
struct Shard {
    open: Mutex<Option<Arc<Batch>>>,
    /// Bytes of the last batch: the next one is likely to be as large.
    last: AtomicUsize,
}

fn join(shard: &Shard, line: &[u8]) -> Place {
    let mut open = shard.open.lock();
    if let Some(batch) = &*open
        && let Some(start) = batch.join(line)
    {
        return Place::Joined(batch.clone(), start);
    }
    let mut lines = Vec::with_capacity(line.len().max(shard.last.load(Ordering::Relaxed).min(USUAL)));
    lines.extend_from_slice(line);
    let batch = Arc::new(Batch(Mutex::new(State { lines, ..State::default() })));
    *open = Some(batch.clone());
    Place::Opened(batch)
}

/// Nobody joins it any more.
fn leave(shard: &Shard, batch: &Arc<Batch>) {
    let mut open = shard.open.lock();
    if open.as_ref().is_some_and(|now| Arc::ptr_eq(now, batch)) {
        *open = None;
    }
}

/// Tells those who wait, whatever happens.
struct Owed<'a> {
    batch: &'a Batch,
    outcome: Outcome,
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        let mut state = self.batch.0.lock();
        state.lines = Vec::new();
        state.outcome = Some(self.outcome);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// The shard of the thread that asks.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
    }
    MINE.with(Cell::get)
}
