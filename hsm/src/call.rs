//! The answer to a device call, as a future that needs no runtime.

use crate::Result;
use parking_lot::{Condvar, Mutex};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A call on its way: await it in any runtime, or [`Call::wait`] for it on a thread of one's own.
///
/// Dropping it gives the answer up; a call that no thread has begun is then not made, one that has begun runs on.
#[must_use = "a dropped call may never be made"]
pub struct Call<T>(Arc<Slot<T>>);

/// Where the answer goes. It is filled once: the worker and the watchdog race, and the first one counts.
pub(crate) struct Slot<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

struct State<T> {
    answer: Option<Result<T>>,
    answered: bool,
    given_up: bool,
    waker: Option<Waker>,
}

impl<T> Slot<T> {
    pub(crate) fn new() -> (Arc<Slot<T>>, Call<T>) {
        let state = State { answer: None, answered: false, given_up: false, waker: None };
        let slot = Arc::new(Slot { state: Mutex::new(state), filled: Condvar::new() });
        (slot.clone(), Call(slot))
    }

    /// Puts the answer in; `false` when there was one already or nobody waits, and the answer is dropped.
    pub(crate) fn fill(&self, answer: Result<T>) -> bool {
        let waker = {
            let mut state = self.state.lock();
            if state.answered || state.given_up {
                return false;
            }
            state.answered = true;
            state.answer = Some(answer);
            state.waker.take()
        };
        self.filled.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Whether nobody needs this answer any more.
    pub(crate) fn is_settled(&self) -> bool {
        let state = self.state.lock();
        state.answered || state.given_up
    }
}

impl<T> Call<T> {
    /// Blocks this thread until the answer is there. The device's timeout bounds how long that takes.
    pub fn wait(self) -> Result<T> {
        let mut state = self.0.state.lock();
        loop {
            if let Some(answer) = state.answer.take() {
                return answer;
            }
            self.0.filled.wait(&mut state);
        }
    }
}

impl<T> Future for Call<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let mut state = self.0.state.lock();
        match state.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Call<T> {
    fn drop(&mut self) {
        self.0.state.lock().given_up = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_first_answer_counts_and_wakes_the_waiter() {
        struct Count(AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let mut context = Context::from_waker(&waker);
        let (slot, mut call) = Slot::<u8>::new();
        assert!(Pin::new(&mut call).poll(&mut context).is_pending());
        assert!(slot.fill(Ok(1)));
        assert!(!slot.fill(Err(Error::Rejected)));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(Pin::new(&mut call).poll(&mut context), Poll::Ready(Ok(1)));
    }

    #[test]
    fn a_dropped_call_is_settled() {
        let (slot, call) = Slot::<u8>::new();
        assert!(!slot.is_settled());
        drop(call);
        assert!(slot.is_settled());
        assert!(!slot.fill(Ok(1)));
    }

    #[test]
    fn waiting_on_a_thread_gives_the_answer() {
        let (slot, call) = Slot::<u8>::new();
        let waiter = std::thread::spawn(move || call.wait());
        slot.fill(Ok(7));
        assert_eq!(waiter.join().unwrap(), Ok(7));
    }
}
