//! A connection's stream, watched: how long its headers take, how long it idles, how long it does not read.
//!
//! Kept beside the HTTP library's own timer, which is set anew for every request and counts an idle connection as a slow
//! one. Here a request costs a few stores, and a watch looks in every few seconds.

use super::heads::Heads;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How often the watch looks at a connection: a limit is overrun by at most this.
const ROUND: Duration = Duration::from_secs(1);

/// What a connection is doing.
#[derive(Default)]
pub(super) struct State {
    /// Requests that are being served.
    serving: AtomicU32,
    /// Whether bytes came since the last request was answered: a head is on its way.
    arriving: AtomicBool,
    /// Whether the peer does not take what is written.
    stalled: AtomicBool,
    /// Whether a request was ever served.
    used: AtomicBool,
}

/// A request is being served, until this is dropped.
pub(super) struct Serving(Arc<State>);

impl Serving {
    pub(super) fn new(state: &Arc<State>) -> Self {
        state.serving.fetch_add(1, Ordering::Relaxed);
        state.used.store(true, Ordering::Relaxed);
        Serving(state.clone())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.arriving.store(false, Ordering::Relaxed);
        self.0.serving.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a connection may take for what.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request, from its first byte; for the first one, from the connection.
    pub head: Duration,
    /// Between requests.
    pub idle: Duration,
    /// For the peer to take anything of what is written.
    pub write: Duration,
}

impl State {
    /// Returns when the connection has used up its patience.
    pub(super) async fn watch(&self, patience: Patience) {
        let (mut head, mut idle, mut stalled) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        loop {
            tokio::time::sleep(ROUND).await;
            let serving = self.serving.load(Ordering::Relaxed) > 0;
            let stuck = self.stalled.load(Ordering::Relaxed);
            stalled = if stuck { stalled + ROUND } else { Duration::ZERO };
            let arriving = self.arriving.load(Ordering::Relaxed) || !self.used.load(Ordering::Relaxed);
            head = if arriving && !serving { head + ROUND } else { Duration::ZERO };
            idle = if !arriving && !serving && !stuck { idle + ROUND } else { Duration::ZERO };
            if stalled > patience.write || head >= patience.head || idle >= patience.idle {
                return;
            }
        }
    }
}

/// The stream.
pub(super) struct Guarded<S> {
    inner: S,
    state: Arc<State>,
    /// `None` where heads are not lines of text.
    heads: Option<Heads>,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S, state: Arc<State>) -> Self {
        Guarded { inner, state, heads: None }
    }

    /// The same, with an eye on the heads of HTTP/1.1.
    pub(super) fn watching(inner: S, state: Arc<State>) -> Self {
        Guarded { inner, state, heads: Some(Heads::default()) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        if read.is_ready() && buf.filled().len() > before {
            if self.state.serving.load(Ordering::Relaxed) == 0 {
                self.state.arriving.store(true, Ordering::Relaxed);
            }
            if let Some(heads) = &mut self.heads {
                heads.watch(&mut buf.filled_mut()[before..]);
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    fn note<T>(&self, result: Poll<T>) -> Poll<T> {
        self.state.stalled.store(result.is_pending(), Ordering::Relaxed);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.note(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const PATIENCE: Patience =
        Patience { head: Duration::from_secs(10), idle: Duration::from_secs(300), write: Duration::from_secs(30) };

    async fn seconds(state: &State) -> u64 {
        let start = tokio::time::Instant::now();
        state.watch(PATIENCE).await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_is_closed_as_a_slow_head() {
        assert_eq!(seconds(&State::default()).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_lives_longer_than_a_slow_head() {
        let state = Arc::new(State::default());
        drop(Serving::new(&state));
        assert_eq!(seconds(&state).await, 300);
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Guarded::new(near, state.clone());
        far.write_all(b"GET").await.unwrap();
        near.read_exact(&mut [0; 3]).await.unwrap();
        assert_eq!(seconds(&state).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_served_is_not_hurried() {
        let state = Arc::new(State::default());
        let serving = Serving::new(&state);
        let waited = tokio::time::timeout(Duration::from_secs(3600), state.watch(PATIENCE)).await;
        assert!(waited.is_err());
        drop(serving);
        assert_eq!(seconds(&state).await, 300);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_given_up() {
        let state = Arc::new(State::default());
        let (near, far) = tokio::io::duplex(16);
        let mut near = Guarded::new(near, state.clone());
        let _serving = Serving::new(&state);
        tokio::select! {
            _ = near.write_all(&[0; 64]) => panic!("nobody reads"),
            () = state.watch(PATIENCE) => {}
        }
        drop(far);
    }
}
