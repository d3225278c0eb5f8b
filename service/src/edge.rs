//! The edge between HTTP and the pipeline: what a listener adds, requests that are refused before there is one, panics.

use crate::config::{Config, Redact, ResponseHeaders};
use crate::request::Head;
use crate::respond::{Refusal, Reply};
use crate::{Server, config, listener, pipeline};
use bytes::{Bytes, BytesMut};
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use std::net::{IpAddr, SocketAddr};
use std::ops::DerefMut;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// One listener's way to the pipeline.
pub(crate) struct Edge {
    server: Arc<Server>,
    proxies: Vec<Network>,
    require_header: bool,
    redact: Redact,
    headers: ResponseHeaders,
    limits: Limits,
}

/// How much a body may be, how long it may take, and how long its whole request.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
    pub(crate) request: Duration,
}

impl Edge {
    /// # Errors
    /// A proxy's address that is none; the configuration has checked them.
    pub(crate) fn new(server: Arc<Server>, all: &Config, config: &config::Listener) -> Result<Self, String> {
        let proxies = config.forwarded_for.iter().map(|text| Network::parse(text)).collect::<Option<_>>();
        let proxies = proxies.ok_or("x_forwarded_for_authorized_addrs holds what is no address")?;
        let time = if config.read_timeout.is_zero() { Duration::from_secs(30) } else { config.read_timeout };
        let request = config.max_request_duration.unwrap_or(all.max_request_duration);
        let limits = Limits { bytes: config.max_request_size, time, request };
        let mut headers = config.response_headers.clone();
        if all.enable_response_header_hostname
            && let Some(name) = hostname()
        {
            headers = headers.and(HeaderName::from_static("x-vault-hostname"), name);
        }
        let (require_header, redact) = (config.require_request_header, config.redact);
        Ok(Edge { server, proxies, require_header, redact, headers, limits })
    }

    async fn serve(&self, request: http::Request<Incoming>, peer: SocketAddr) -> Reply {
        let (parts, body) = request.into_parts();
        if self.require_header && parts.headers.get("x-vault-request").is_none_or(|value| value != "true") {
            return refused(&Refusal::text(412, "missing 'X-Vault-Request' header"));
        }
        if parts.version == http::Version::HTTP_11 && parts.headers.get_all(http::header::HOST).iter().count() != 1 {
            return refused(&Refusal::text(400, "one Host header is needed")).closing();
        }
        let remote = match self.remote(peer, &parts.headers) {
            Ok(remote) => remote,
            Err(refusal) => return refused(&refusal),
        };
        let uri = &parts.uri;
        let head = Head::parse(&parts.method, uri.path(), uri.query(), &parts.headers, remote);
        // Headers and small bodies point into the connection's buffer, which is used again once they are gone.
        drop(parts);
        match head {
            Ok(Some(mut head)) => {
                head.redact = self.redact;
                pipeline::conduct(&self.server, head, Upload { begun: Instant::now(), body, limits: self.limits }).await
            }
            Ok(None) => Reply::refusal(&Refusal::bare(404)),
            Err(refusal) => refused(&refusal),
        }
    }

    /// Where the request comes from: what a trusted proxy says, else the peer.
    ///
    /// # Errors
    /// 400 when a trusted proxy names a hop that is no address: what stands before it is hearsay, and is not guessed at.
    fn remote(&self, peer: SocketAddr, headers: &HeaderMap) -> Result<SocketAddr, Refusal> {
        let trusted = |ip: IpAddr| self.proxies.iter().any(|network| network.holds(ip));
        if self.proxies.is_empty() || !trusted(peer.ip()) {
            return Ok(peer);
        }
        last_hop(headers, trusted).map(|hop| hop.map_or(peer, |hop| SocketAddr::new(hop, 0)))
    }
}

/// The last hop of `X-Forwarded-For` that is no proxy of ours; all before it is hearsay.
fn last_hop(headers: &HeaderMap, trusted: impl Fn(IpAddr) -> bool) -> Result<Option<IpAddr>, Refusal> {
    let unreadable = || Refusal::text(400, "X-Forwarded-For holds a hop that is no address");
    let lines: Vec<&http::HeaderValue> = headers.get_all("x-forwarded-for").iter().collect();
    for line in lines.into_iter().rev() {
        for hop in line.to_str().map_err(|_| unreadable())?.split(',').rev() {
            let hop = hop_address(hop.trim()).ok_or_else(unreadable)?;
            if !trusted(hop) {
                return Ok(Some(hop));
            }
        }
    }
    Ok(None)
}

/// `ip`, `ip:port`, `[ipv6]` or `[ipv6]:port`.
fn hop_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

impl listener::Handler for Edge {
    async fn answer(&self, request: http::Request<Incoming>, peer: SocketAddr) -> http::Response<Full<Bytes>> {
        let chunked = request.headers().contains_key(TRANSFER_ENCODING);
        let reply = match Caught(std::pin::pin!(self.serve(request, peer))).await {
            Ok(reply) => reply,
            Err(Panicked) => panicked(),
        };
        // How long a chunked body was is something that a proxy in front may see otherwise: nothing follows it on its
        // connection, whatever the answer. The listener counts on this.
        let reply = if chunked { reply.closing() } else { reply };
        let mut response = reply.into_http();
        if !self.headers.is_empty() {
            self.headers.add(response.status().as_u16(), response.headers_mut());
        }
        response
    }
}

/// This machine's name, where it can stand in a header.
fn hostname() -> Option<HeaderValue> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    HeaderValue::from_str(name.trim()).ok()
}

fn refused(refusal: &Refusal) -> Reply {
    tracing::debug!(status = refusal.status(), "refused before it was a request");
    Reply::refusal(refusal)
}

fn panicked() -> Reply {
    tracing::error!("a request panicked; the server goes on");
    Reply::error(&strongroom_mount::Error::us("panic"))
}

/// A body that is still to be read.
pub(crate) struct Upload {
    begun: Instant,
    body: Incoming,
    limits: Limits,
}

/// A body that is not larger is read, when it comes at once, of whoever sends it: what was tried is in the audit log then.
const LOGGED: u64 = 16 << 10;
/// A body that takes longer did not come at once.
const AT_ONCE: Duration = Duration::from_millis(100);
/// How long a body that is on its way may still take when the server stops.
const PARTING: Duration = Duration::from_secs(2);
/// Begins as clients know it.
const OVERRUN: &str =
    "context deadline exceeded: the request took longer than max_request_duration; it may still be done";

impl Upload {
    /// The one timer of the request, which costs most when it is set: it rings when a body did not come at once, and is
    /// only put off after that.
    pub(crate) fn timer(&self) -> Sleep {
        tokio::time::sleep_until(self.begun + AT_ONCE)
    }

    /// When the whole request has taken too long.
    pub(crate) fn end(&self) -> Instant {
        self.begun + self.limits.request
    }

    /// All of it. `None` when it is large or slow and not `wanted`: its sender will be refused without it.
    ///
    /// # Errors
    /// 413 when it is too large, which is known early where it says its length; 408 when it takes too long; 400 when it
    /// breaks off; 503 when the whole request takes too long, and when the server stops.
    pub(crate) async fn read(
        self,
        server: &Server,
        mut timer: Pin<&mut Sleep>,
        at_most: u64,
        wanted: impl Fn() -> bool,
    ) -> Result<Option<Bytes>, Refusal> {
        let limit = self.limits.bytes.min(at_most);
        if self.body.is_end_stream() {
            return Ok(Some(Bytes::new()));
        }
        let size = self.body.size_hint();
        if size.upper().is_none_or(|size| size > LOGGED) && !wanted() {
            return Ok(None);
        }
        if size.lower() > limit {
            return Err(Refusal::too_large());
        }
        let (whole, time) = (self.limits.request, self.limits.time);
        let late = async {
            timer.as_mut().await;
            if !wanted() {
                return Ok(None);
            }
            timer.as_mut().reset(self.begun + time.min(whole));
            let mut stopped = server.stopped.clone();
            tokio::select! {
                () = timer => Err(match time < whole {
                    true => Refusal::text(408, "the request body took too long"),
                    false => Refusal::text(503, OVERRUN),
                }),
                () = async {
                    // Its sender goes away when the server does.
                    let _ = stopped.wait_for(|stopped| *stopped).await;
                    tokio::time::sleep(PARTING).await;
                } => Err(Refusal::text(503, "the server is stopping")),
            }
        };
        tokio::select! {
            biased;
            read = collect(self.body, limit) => read.map(Some),
            late = late => late,
        }
    }
}

/// What `work` answers, or when `timer` rings, that it takes too long.
pub(crate) async fn limit(timer: Pin<&mut Sleep>, work: impl Future<Output = Reply>) -> Reply {
    tokio::select! {
        biased;
        reply = work => reply,
        () = timer => Reply::refusal(&Refusal::text(503, OVERRUN)),
    }
}

/// What all bodies that are being read may hold together, in KiB.
static ROOM: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(256 << 10);

/// A body of so many bytes is copied out of the connection's buffer.
const SMALL: usize = 1024;

async fn collect(mut body: Incoming, limit: u64) -> Result<Bytes, Refusal> {
    // Given back when the body is whole: slow senders cannot fill the memory together.
    let mut taken: Option<tokio::sync::SemaphorePermit<'static>> = None;
    let mut first: Option<Bytes> = None;
    let mut all: Option<BytesMut> = None;
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::text(400, "the request body broke off or is malformed"))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len() as u64;
        if length > limit {
            return Err(Refusal::too_large());
        }
        let held = taken.as_ref().map_or(0, tokio::sync::SemaphorePermit::num_permits) as u64;
        if let Ok(more @ 1..) = u32::try_from((length >> 10).saturating_sub(held)) {
            let more =
                ROOM.try_acquire_many(more).map_err(|_| Refusal::text(503, "too many large requests at once"))?;
            match &mut taken {
                Some(taken) => taken.merge(more),
                None => taken = Some(more),
            }
        }
        match (&mut all, first.take()) {
            (Some(all), _) => all.extend_from_slice(&data),
            (None, None) => first = Some(data),
            (None, Some(before)) => {
                let expected = body.size_hint().lower().min(limit - length);
                let mut both = BytesMut::with_capacity(before.len() + data.len() + expected as usize);
                both.extend_from_slice(&before);
                both.extend_from_slice(&data);
                all = Some(both);
            }
        }
    }
    let first = first.map(|first| if first.len() <= SMALL { Bytes::copy_from_slice(&first) } else { first });
    Ok(all.map(BytesMut::freeze).or(first).unwrap_or_default())
}

/// Runs `work` to its end even when whoever waits for it goes away: what was begun is finished, and audited. It runs where
/// its answer is awaited; only work that nobody awaits any more gets a task of its own.
pub(crate) fn finish<F: Future<Output = Reply> + Send + 'static>(work: F) -> Finish<F> {
    Finish { work: Some(Box::pin(work)), begun: false }
}

/// See [`finish`].
pub(crate) struct Finish<F: Future<Output = Reply> + Send + 'static> {
    /// `None` when it has ended.
    work: Option<Pin<Box<F>>>,
    begun: bool,
}

impl<F: Future<Output = Reply> + Send + 'static> Future for Finish<F> {
    type Output = Reply;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reply> {
        self.begun = true;
        let work = self.work.as_mut().expect("not polled after its end");
        let reply = match poll_caught(work.as_mut(), cx) {
            Poll::Ready(Ok(reply)) => reply,
            Poll::Ready(Err(Panicked)) => panicked(),
            Poll::Pending => return Poll::Pending,
        };
        self.work = None;
        Poll::Ready(reply)
    }
}

impl<F: Future<Output = Reply> + Send + 'static> Drop for Finish<F> {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and everything that waits with it.
        if self.begun
            && let Some(work) = self.work.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(Caught(work));
        }
    }
}

/// A future whose panics are values.
struct Caught<P>(P);

/// It panicked; the panic's own text may hold anything, and is not kept.
pub(crate) struct Panicked;

impl<P: DerefMut<Target: Future> + Unpin> Future for Caught<Pin<P>> {
    type Output = Result<<P::Target as Future>::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        poll_caught(self.0.as_mut(), cx)
    }
}

/// Polls, and makes a panic a value. What a request leaves half done when it panics is its own: what requests share is
/// behind locks that no panic poisons, or in the store, where a commit is whole or not at all.
pub(crate) fn poll_caught<F: Future + ?Sized>(
    future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Poll<Result<F::Output, Panicked>> {
    match std::panic::catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err(Panicked)),
    }
}

/// An address or a network.
struct Network {
    ip: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip: IpAddr = ip.parse().ok()?;
        let all = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok().filter(|bits| *bits <= all))?;
        Some(Network { ip, bits })
    }

    fn holds(&self, ip: IpAddr) -> bool {
        let differ = match (self.ip, ip.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()) << 96,
            (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
            _ => return false,
        };
        differ.leading_zeros() >= self.bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_lies_in_them() {
        let holds = |network: &str, ip: &str| Network::parse(network).unwrap().holds(ip.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.9.8.7") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.1.1") && holds("0.0.0.0/0", "1.2.3.4"));
        assert!(holds("2001:db8::/32", "2001:db8::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(!holds("::/0", "1.2.3.4"));
        assert!(Network::parse("10.0.0.0/33").is_none() && Network::parse("x").is_none());
    }

    #[test]
    fn the_last_hop_that_is_not_ours_counts_and_nonsense_is_refused() {
        let hop = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", line.parse().unwrap());
            last_hop(&headers, |ip| ip.is_loopback())
        };
        for (line, want) in [
            ("8.8.8.8", "8.8.8.8"),
            ("10.1.2.3, 8.8.8.8", "8.8.8.8"),
            ("10.1.2.3, 8.8.8.8:1234", "8.8.8.8"),
            ("10.1.2.3, [2001:db8::1]:80", "2001:db8::1"),
            ("10.1.2.3, [2001:db8::1]", "2001:db8::1"),
            ("10.1.2.3, 127.0.0.1", "10.1.2.3"),
        ] {
            assert_eq!(hop(line).ok(), Some(Some(want.parse().unwrap())), "{line}");
        }
        for line in
            ["10.1.2.3, unknown", "10.1.2.3, \"8.8.8.8\"", "10.1.2.3, fe80::1%eth0", "10.1.2.3, 008.8.8.8", "10.1.2.3,"]
        {
            assert!(hop(line).is_err(), "{line}");
        }
        assert_eq!(hop("127.0.0.1").ok(), Some(None));
    }

    fn reply(status: u16) -> Reply {
        Reply::empty(status)
    }

    #[tokio::test]
    async fn work_that_is_begun_is_finished_when_nobody_waits_any_more() {
        let (go, waits) = tokio::sync::oneshot::channel::<()>();
        let (done, is_done) = tokio::sync::oneshot::channel();
        let mut work = Box::pin(finish(async move {
            waits.await.unwrap();
            done.send(()).unwrap();
            reply(204)
        }));
        let once = std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx).is_pending()));
        assert!(once.await);
        drop(work);
        go.send(()).unwrap();
        is_done.await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_is_a_500_at_once_and_in_a_task() {
        assert_eq!(finish(async { panic!("at once") }).await.status, 500);
        let later = finish(async {
            tokio::task::yield_now().await;
            panic!("later")
        });
        assert_eq!(later.await.status, 500);
        assert_eq!(finish(async { reply(204) }).await.status, 204);
    }
}
