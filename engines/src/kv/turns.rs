//! One writer of a secret at a time, in the order in which they came; all others go on beside.
//!
//! What a change of a secret may assume is guarded by the store: each commit expects the rows that were read. Turns only
//! keep many writers of one secret from undoing each other's attempts.

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Poll, Waker};

/// Who waits for which secret.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, VecDeque<Arc<Place>>>>);

/// A place in a queue.
#[derive(Default)]
struct Place(Mutex<Standing>);

#[derive(Default)]
enum Standing {
    #[default]
    Waits,
    Sleeps(Waker),
    First,
}

/// The turn of one writer, until it is dropped.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    name: &'a str,
    place: Arc<Place>,
}

impl Turns {
    /// Waits for those who came before.
    pub(super) async fn take<'a>(&'a self, name: &'a str) -> Turn<'a> {
        let place = Arc::new(Place::default());
        {
            let mut queues = self.0.lock();
            let queue = queues.entry(name.to_owned()).or_default();
            if queue.is_empty() {
                *place.0.lock() = Standing::First;
            }
            queue.push_back(place.clone());
        }
        // From here on who gives up waiting leaves the queue.
        let turn = Turn { turns: self, name, place };
        std::future::poll_fn(|cx| match &mut *turn.place.0.lock() {
            Standing::First => Poll::Ready(()),
            waiting => {
                *waiting = Standing::Sleeps(cx.waker().clone());
                Poll::Pending
            }
        })
        .await;
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let next = {
            let mut queues = self.turns.0.lock();
            let Some(queue) = queues.get_mut(self.name) else { return };
            queue.retain(|place| !Arc::ptr_eq(place, &self.place));
            match queue.front() {
                Some(next) => next.clone(),
                None => {
                    queues.remove(self.name);
                    return;
                }
            }
        };
        let stood = std::mem::replace(&mut *next.0.lock(), Standing::First);
        if let Standing::Sleeps(waker) = stood {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::Context;

    #[test]
    fn writers_of_one_secret_take_turns_and_others_do_not_wait() {
        let turns = Turns::default();
        let cx = &mut Context::from_waker(Waker::noop());
        let (mut one, mut two, mut three) = (pin!(turns.take("a")), pin!(turns.take("a")), pin!(turns.take("a")));
        let Poll::Ready(first) = one.as_mut().poll(cx) else { panic!("nobody is before the first") };
        assert!(two.as_mut().poll(cx).is_pending() && three.as_mut().poll(cx).is_pending());
        assert!(pin!(turns.take("b")).poll(cx).is_ready(), "another secret");
        drop(first);
        assert!(three.as_mut().poll(cx).is_pending(), "the order is kept");
        let Poll::Ready(second) = two.as_mut().poll(cx) else { panic!("the second's turn") };
        drop(second);
        let Poll::Ready(third) = three.as_mut().poll(cx) else { panic!("the third's turn") };
        assert_eq!(turns.0.lock().len(), 1, "the third is not done");
        drop(third);
        assert!(turns.0.lock().is_empty(), "nothing is kept");
    }

    #[test]
    fn who_gives_up_waiting_lets_the_next_one_through() {
        let turns = Turns::default();
        let cx = &mut Context::from_waker(Waker::noop());
        let mut one = pin!(turns.take("a"));
        let Poll::Ready(first) = one.as_mut().poll(cx) else { panic!("nobody is before the first") };
        let mut two = Box::pin(turns.take("a"));
        let mut three = pin!(turns.take("a"));
        assert!(two.as_mut().poll(cx).is_pending() && three.as_mut().poll(cx).is_pending());
        drop(two);
        assert!(three.as_mut().poll(cx).is_pending(), "the first is not done");
        drop(first);
        let Poll::Ready(third) = three.as_mut().poll(cx) else { panic!("the third's turn") };
        drop(third);
        assert!(turns.0.lock().is_empty(), "nothing is kept");
    }
}
