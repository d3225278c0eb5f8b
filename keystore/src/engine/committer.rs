//! The one thread that commits: whatever waits when it is ready goes into one commit.

use super::answer::{Answer, Reply, answer};
use super::{Draft, Shared, State, meta};
use crate::storage::{Snapshot, Table};
use crate::{Error, Sequence};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A group takes no more requests than these rows and bytes allow, unless one alone is larger. Network storage limits
/// transactions by both.
const GROUP_ROWS: usize = 4096;
const GROUP_BYTES: usize = 8 << 20;

/// What is to be committed. It changes the draft as a whole or, when it fails, not at all.
struct Request {
    rows: usize,
    bytes: usize,
    run: Box<Run>,
}

/// Called with the draft, or with the reason why there is none.
type Run = dyn FnOnce(Result<&mut Draft<'_>, Error>) -> Finish + Send;

/// Called with the outcome of the commit that holds the request.
type Finish = Box<dyn FnOnce(Result<Sequence, Error>) + Send>;

/// Requests that wait for the committer.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    closed: bool,
}

impl Queue {
    pub(crate) fn new() -> Queue {
        Queue { waiting: Mutex::default(), filled: Condvar::new() }
    }

    /// No more requests are taken; those that wait are answered with [`Error::Sealed`].
    pub(crate) fn close(&self) {
        let dropped = {
            let mut waiting = self.waiting.lock();
            waiting.closed = true;
            std::mem::take(&mut waiting.requests)
        };
        self.filled.notify_all();
        drop(dropped);
    }

    fn push(&self, request: Request) {
        let mut waiting = self.waiting.lock();
        if !waiting.closed {
            waiting.requests.push_back(request);
            drop(waiting);
            self.filled.notify_one();
        }
    }

    /// The next group; `None` once closed.
    fn take(&self) -> Option<Vec<Request>> {
        let mut waiting = self.waiting.lock();
        while waiting.requests.is_empty() {
            if waiting.closed {
                return None;
            }
            self.filled.wait(&mut waiting);
        }
        let (mut rows, mut bytes, mut n) = (0, 0, 0);
        for request in &waiting.requests {
            (rows, bytes) = (rows + request.rows, bytes + request.bytes);
            if n > 0 && (rows > GROUP_ROWS || bytes > GROUP_BYTES) {
                break;
            }
            n += 1;
        }
        Some(waiting.requests.drain(..n).collect())
    }
}

impl Shared {
    /// Has the committer run `change`; the answer comes when its commit is durable. Dropping the answer cancels nothing.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        (rows, bytes): (usize, usize),
        change: impl FnOnce(&mut Draft<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Answer<Result<(T, Sequence), Error>> {
        let (reply, answer): (Reply<Result<(T, Sequence), Error>>, _) = answer(|| Err(Error::Sealed));
        let run = move |draft: Result<&mut Draft<'_>, Error>| -> Finish {
            match draft.and_then(change) {
                Ok(value) => Box::new(move |made| reply.send(made.map(|sequence| (value, sequence)))),
                Err(error) => {
                    reply.send(Err(error));
                    Box::new(|_| {})
                }
            }
        };
        self.queue.push(Request { rows, bytes, run: Box::new(run) });
        answer
    }

    /// The same on this thread, for a store that has no committer yet.
    pub(crate) fn commit_now<T>(&self, change: impl FnOnce(&mut Draft<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let _commit = self.commit.lock();
        let mut draft = Draft::new(self, self.state()?)?;
        let value = change(&mut draft)?;
        self.commit(draft)?;
        Ok(value)
    }

    /// Starts the committer; it ends when the queue is closed.
    pub(crate) fn start(self: &Arc<Self>) -> Result<(), Error> {
        let shared = self.clone();
        let committer = std::thread::Builder::new()
            .name("committer".into())
            .spawn(move || {
                while let Some(group) = shared.queue.take() {
                    shared.group(group)
                }
            })
            .map_err(|error| Error::Storage(format!("no thread for the committer: {error}")))?;
        *self.committer.lock() = Some(committer);
        Ok(())
    }

    fn group(&self, group: Vec<Request>) {
        let _commit = self.commit.lock();
        let mut finishes = Vec::with_capacity(group.len());
        let made = catch_unwind(AssertUnwindSafe(|| {
            let poisoned = self.poisoned.lock().clone();
            match poisoned.map_or_else(|| self.state().and_then(|state| Draft::new(self, state)), Err) {
                Ok(mut draft) => {
                    finishes.extend(group.into_iter().map(|request| (request.run)(Ok(&mut draft))));
                    self.commit(draft)
                }
                Err(error) => {
                    finishes.extend(group.into_iter().map(|request| (request.run)(Err(error.clone()))));
                    Err(error)
                }
            }
        }));
        // A panic here is a defect of ours; what it left behind is not published, and nothing is written after it.
        let made =
            made.unwrap_or_else(|_| Err(self.poison(Error::Poisoned("the committer stopped; see the log".into()))));
        for finish in finishes {
            finish(made.clone());
        }
    }

    /// Makes the commit and publishes what it made.
    fn commit(&self, draft: Draft<'_>) -> Result<Sequence, Error> {
        let base = draft.base.clone();
        if !draft.dirty() {
            return Ok(Sequence(base.head.sequence));
        }
        let (mut next, ops, changed) = draft.finish()?;
        let snapshot = match self.storage.commit(self.fence, &ops) {
            Ok(()) => self.storage.snapshot().map_err(|error| self.poison(Error::Poisoned(error.to_string())))?,
            // Nothing was written, and the backend has not failed.
            Err(error @ (Error::Fenced | Error::TooLarge { .. })) => return Err(error),
            // The backend refuses to go on, and so does this store.
            Err(error @ Error::Poisoned(_)) => return Err(self.poison(error)),
            Err(error) => self.made_after_all(error, &base, &next.stored_head)?,
        };
        next.snapshot = snapshot;
        let sequence = Sequence(next.head.sequence);
        self.publish(next, changed.into_iter());
        Ok(sequence)
    }

    /// After a commit that failed, or whose outcome the backend does not know: the head shows whether it was made.
    fn made_after_all(&self, error: Error, base: &State, wanted: &[u8]) -> Result<Snapshot, Error> {
        let seen = (self.storage.revive())
            .and_then(|()| self.storage.snapshot())
            .and_then(|snapshot| Ok((snapshot.get(Table::Meta, meta::HEAD)?, snapshot)));
        match seen {
            Ok((Some(head), snapshot)) if head == wanted => Ok(snapshot),
            Ok((Some(head), snapshot)) if head == *base.stored_head => {
                // Not made. The old snapshot may have gone with the failure.
                self.publish(State { snapshot, ..base.clone() }, std::iter::empty());
                Err(error)
            }
            // Full, and not even readable until there is space: the next commit tries again.
            Err(_) if matches!(error, Error::NoSpace) => Err(error),
            _ => Err(self.poison(Error::Poisoned(error.to_string()))),
        }
    }

    pub(crate) fn poison(&self, error: Error) -> Error {
        self.poisoned.lock().get_or_insert(error).clone()
    }
}
