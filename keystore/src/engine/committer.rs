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
    /// Whether it may use the reserve of a full disk; such a request may be run twice.
    pressing: bool,
    run: Box<Run>,
}

/// Called with the draft, or with the reason why there is none.
type Run = dyn FnMut(Result<&mut Draft<'_>, Error>) -> Finish + Send;

/// Called with the outcome of the commit that holds the request; not called when the request is to be run again.
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
        weight: (usize, usize),
        change: impl FnOnce(&mut Draft<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Answer<Result<(T, Sequence), Error>> {
        let mut change = Some(change);
        // It is not pressing, so it is run once.
        self.request(weight, false, move |draft| change.take().map_or(Err(Error::Sealed), |change| change(draft)))
    }

    /// The same for a change that must go through on a full disk; `change` may be called again for another draft.
    pub(crate) fn submit_pressing<T: Send + 'static>(
        &self,
        weight: (usize, usize),
        change: impl FnMut(&mut Draft<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Answer<Result<(T, Sequence), Error>> {
        self.request(weight, true, change)
    }

    fn request<T: Send + 'static>(
        &self,
        (rows, bytes): (usize, usize),
        pressing: bool,
        mut change: impl FnMut(&mut Draft<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Answer<Result<(T, Sequence), Error>> {
        let (reply, answer): (Reply<Result<(T, Sequence), Error>>, _) = answer(|| Err(Error::Sealed));
        let reply = Arc::new(Mutex::new(Some(reply)));
        let run = move |draft: Result<&mut Draft<'_>, Error>| -> Finish {
            let send = |reply: &Mutex<Option<Reply<_>>>, answer| {
                if let Some(reply) = reply.lock().take() {
                    reply.send(answer);
                }
            };
            // What has been answered changes nothing any more.
            if reply.lock().is_some() {
                match draft.and_then(&mut change) {
                    Ok(value) => {
                        let reply = reply.clone();
                        return Box::new(move |made| send(&reply, made.map(|sequence| (value, sequence))));
                    }
                    Err(error) => send(&reply, Err(error)),
                }
            }
            Box::new(|_| {})
        };
        self.queue.push(Request { rows, bytes, pressing, run: Box::new(run) });
        answer
    }

    /// The same on this thread, for a store that has no committer yet.
    pub(crate) fn commit_now<T>(
        &self,
        pressing: bool,
        change: impl FnOnce(&mut Draft<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _commit = self.commit.lock();
        let mut draft = Draft::new(self, self.state()?)?;
        let value = change(&mut draft)?;
        self.commit(draft, pressing)?;
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

    fn group(&self, mut group: Vec<Request>) {
        let _commit = self.commit.lock();
        let (made, finishes) = self.attempt(&mut group);
        let full = matches!(made, Err(Error::NoSpace));
        let mut pressing = Vec::new();
        for (request, finish) in group.into_iter().zip(finishes) {
            if full && request.pressing {
                pressing.push(request);
            } else {
                finish(made.clone());
            }
        }
        // Each alone: the reserve serves those that may use it, in commits as small as can be.
        for request in pressing {
            let (made, finishes) = self.attempt(&mut [request]);
            finishes.into_iter().for_each(|finish| finish(made.clone()));
        }
    }

    /// One commit of all of these, from the reserve if all are pressing. What comes back is shorter than the group only
    /// after a panic.
    fn attempt(&self, group: &mut [Request]) -> (Result<Sequence, Error>, Vec<Finish>) {
        let mut finishes = Vec::with_capacity(group.len());
        let pressing = group.iter().all(|request| request.pressing);
        let made = catch_unwind(AssertUnwindSafe(|| {
            let poisoned = self.poisoned.lock().clone();
            match poisoned.map_or_else(|| self.state().and_then(|state| Draft::new(self, state)), Err) {
                Ok(mut draft) => {
                    finishes.extend(group.iter_mut().map(|request| (request.run)(Ok(&mut draft))));
                    self.commit(draft, pressing)
                }
                Err(error) => {
                    finishes.extend(group.iter_mut().map(|request| (request.run)(Err(error.clone()))));
                    Err(error)
                }
            }
        }));
        // A panic here is a defect of ours; what it left behind is not published, and nothing is written after it.
        let made =
            made.unwrap_or_else(|_| Err(self.poison(Error::Poisoned("the committer stopped; see the log".into()))));
        (made, finishes)
    }

    /// Makes the commit and publishes what it made.
    fn commit(&self, draft: Draft<'_>, pressing: bool) -> Result<Sequence, Error> {
        let base = draft.base.clone();
        if !draft.dirty() {
            return Ok(Sequence(base.head.sequence));
        }
        let (mut next, ops, changed) = draft.finish(pressing && self.storage.is_full())?;
        let snapshot = match self.storage.commit_as(self.fence, &ops, pressing) {
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
        // Before it is acknowledged: a commit to a file that the next start does not find is lost.
        self.check()?;
        Ok(sequence)
    }

    /// Ends writing when the storage is not where it was.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.storage.check().map_err(|error| {
            let poisoned = Error::Poisoned(error.to_string());
            let mut held = self.poisoned.lock();
            if held.is_none() {
                self.alarm(&error);
            }
            held.get_or_insert(poisoned).clone()
        })
    }

    /// Why nothing is written any more.
    pub(crate) fn why_poisoned(&self) -> Option<Error> {
        self.poisoned.lock().clone()
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
