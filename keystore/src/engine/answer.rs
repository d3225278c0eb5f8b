//! The answer of another thread as a future that needs no runtime.

use parking_lot::Mutex;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// The side that answers, once. Dropped without an answer, it gives `lost`.
pub(crate) struct Reply<T> {
    slot: Arc<Mutex<Slot<T>>>,
    lost: Option<fn() -> T>,
}

/// The side that waits.
pub(crate) struct Answer<T>(Arc<Mutex<Slot<T>>>);

struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// Both sides of one answer.
pub(crate) fn answer<T>(lost: fn() -> T) -> (Reply<T>, Answer<T>) {
    let slot = Arc::new(Mutex::new(Slot { value: None, waker: None }));
    (Reply { slot: slot.clone(), lost: Some(lost) }, Answer(slot))
}

impl<T> Reply<T> {
    pub(crate) fn send(mut self, value: T) {
        self.lost = None;
        self.fill(value);
    }

    fn fill(&self, value: T) {
        let waker = {
            let mut slot = self.slot.lock();
            slot.value = Some(value);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(lost) = self.lost.take() {
            self.fill(lost());
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.0.lock();
        match slot.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Runs a future to its end on this thread, which sleeps meanwhile. For threads that may block, and for tests.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Thread(std::thread::Thread);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_arrives_before_or_after_it_is_awaited() {
        let (reply, early) = answer(|| 0);
        reply.send(1);
        assert_eq!(wait(early), 1);
        let (reply, late) = answer(|| 0);
        let thread = std::thread::spawn(move || wait(late));
        reply.send(2);
        assert_eq!(thread.join().unwrap(), 2);
        let (reply, lost) = answer(|| 9);
        drop(reply);
        assert_eq!(wait(lost), 9);
    }
}
