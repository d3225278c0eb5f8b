//! Work that takes long, on a thread of its own: an RSA key takes up to seconds, and no worker may wait for it.

use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use strongroom_mount::{Blame, Error};

/// How many may wait or run at a time; they run one after the other, so that requests keep their processors.
const MOST: usize = 16;

/// Where work waits for its turn.
struct Desk {
    pending: AtomicUsize,
    turn: Mutex<()>,
}

impl Desk {
    const fn new() -> Desk {
        Desk { pending: AtomicUsize::new(0), turn: Mutex::new(()) }
    }
}

static DESK: Desk = Desk::new();

/// Runs `work` on a thread of its own; resolves with what it gives.
///
/// # Errors
/// 503 when too much waits already, or when no thread can be started, or the work panicked.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    run_at(&DESK, work).await
}

async fn run_at<T: Send + 'static>(desk: &'static Desk, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    if desk.pending.fetch_add(1, Ordering::AcqRel) >= MOST {
        desk.pending.fetch_sub(1, Ordering::AcqRel);
        return Err(Error::caller("too many keys are being made: try again later").blame(Blame::Peer));
    }
    let seat = Seat(desk);
    let slot = Arc::new(Mutex::new(Slot { answer: None, gone: false, waker: None }));
    let sender = Sender(slot.clone());
    let started = std::thread::Builder::new().name("transit keygen".into()).spawn(move || {
        let _seat = seat;
        let answer = {
            let _turn = desk.turn.lock();
            work()
        };
        sender.0.lock().answer = Some(answer);
    });
    started.map_err(|error| Error::us(error).blame(Blame::Peer))?;
    Answer(slot).await.ok_or_else(|| Error::us("the work on a thread of its own panicked"))
}

/// One of [`MOST`] seats, given back when dropped.
struct Seat(&'static Desk);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Slot<T> {
    answer: Option<T>,
    gone: bool,
    waker: Option<Waker>,
}

/// Wakes the waiting side when dropped, with an answer or, after a panic, without.
struct Sender<T>(Arc<Mutex<Slot<T>>>);

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut slot = self.0.lock();
        slot.gone = true;
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }
}

struct Answer<T>(Arc<Mutex<Slot<T>>>);

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = self.0.lock();
        if slot.gone {
            return Poll::Ready(slot.answer.take());
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Wake;

    static TEST: Desk = Desk::new();

    struct Unpark(std::thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let waker = Arc::new(Unpark(std::thread::current())).into();
        let mut future = Box::pin(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => return value,
                Poll::Pending => std::thread::park(),
            }
        }
    }

    #[test]
    fn an_answer_comes_back_a_panic_is_an_error_and_too_many_are_refused() {
        assert_eq!(block_on(run_at(&TEST, || 7)).unwrap(), 7);
        assert_eq!(block_on(run_at(&TEST, || -> u8 { panic!("on purpose") })).unwrap_err().blame, Blame::Us);
        let turn = TEST.turn.lock();
        let mut waiting: Vec<_> = (0..MOST).map(|n| Box::pin(run_at(&TEST, move || n))).collect();
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.iter_mut().all(|future| future.as_mut().poll(&mut context).is_pending()), "no turn, no answer");
        assert_eq!(block_on(run_at(&TEST, || 0)).unwrap_err().blame, Blame::Peer);
        drop(turn);
        let answers: Vec<usize> = waiting.into_iter().map(|future| block_on(future).unwrap()).collect();
        assert_eq!(answers, (0..MOST).collect::<Vec<_>>());
    }
}
