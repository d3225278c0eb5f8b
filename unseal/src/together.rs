//! Waiting for several leaves at once, in whatever runtime polls: a slow device holds up nobody but itself.

use crate::leaf::Boxed;

use std::task::Poll;

/// Polls all of `futures`, hands every answer to `take` with its index, and ends when all have answered or `take` says
/// `true`: that is enough. What has not answered by then is dropped.
pub(crate) async fn until<T>(futures: Vec<Boxed<'_, T>>, mut take: impl FnMut(usize, T) -> bool) {
    let mut open: Vec<(usize, Boxed<'_, T>)> = futures.into_iter().enumerate().collect();
    std::future::poll_fn(move |context| {
        let mut enough = false;
        open.retain_mut(|(index, future)| {
            if enough {
                return true;
            }
            match future.as_mut().poll(context) {
                Poll::Ready(answer) => {
                    enough = take(*index, answer);
                    false
                }
                Poll::Pending => true,
            }
        });
        if enough || open.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Every answer, in the order of `futures`.
pub(crate) async fn all<T>(futures: Vec<Boxed<'_, T>>) -> Vec<T> {
    let mut answers: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    until(futures, |index, answer| {
        answers[index] = Some(answer);
        false
    })
    .await;
    // `until` ends only when all have answered, since the closure never says that it is enough.
    answers.into_iter().map(|answer| answer.expect("all have answered")).collect()
}
