//! TCP, TLS and HTTP: connections in, requests to the handler, replies out. HTTP/1.1, and HTTP/2 over TLS.
//!
//! A connection that is slow, idle or does not read is closed ([`guard`]), and so is one whose heads can be read in two ways
//! ([`heads`]); the number of connections is bounded; stopping
//! lets those that are being served finish.

mod guard;
mod heads;
mod tls;

pub use guard::Patience;
pub use tls::Certificate;

use crate::config;
use bytes::Bytes;
use guard::{Guarded, Serving, State};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// Connections that are served at once; more wait in the system's queue.
pub const CONNECTIONS: usize = 8192;
/// Bytes of a request's head.
const HEAD: usize = 128 << 10;
/// How long stopping waits for requests that are being served.
const FAREWELL: Duration = Duration::from_secs(30);
/// How patient stopping is with connections that no request is being served on: a head or handshake that is on its way,
/// an answer that is being read.
const PARTING: Patience =
    Patience { head: Duration::from_secs(2), idle: Duration::from_secs(1), write: Duration::from_secs(4) };
/// How long accepting pauses when the system has no room for one more connection.
const BREATH: Duration = Duration::from_millis(20);

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request from `peer`.
    fn answer(
        &self,
        request: http::Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = http::Response<Full<Bytes>>> + Send;
}

/// A bound socket.
pub struct Listener {
    socket: TcpListener,
    tls: Option<(Arc<Certificate>, TlsAcceptor)>,
    patience: Patience,
}

impl Listener {
    /// Binds the address, and reads certificate and key.
    ///
    /// # Errors
    /// In words, with the address or the file.
    pub async fn bind(config: &config::Listener) -> Result<Self, String> {
        let tls = match &config.tls {
            None => None,
            Some(tls) => {
                let certificate = Certificate::load(tls)?;
                let acceptor = TlsAcceptor::from(certificate.server_config()?);
                Some((certificate, acceptor))
            }
        };
        let socket = TcpListener::bind(&config.address)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", config.address))?;
        let unlimited = |span: Duration| if span.is_zero() { Duration::MAX } else { span };
        let patience = Patience {
            head: unlimited(config.read_header_timeout),
            idle: unlimited(config.idle_timeout),
            write: if config.write_timeout.is_zero() { Duration::from_secs(60) } else { config.write_timeout },
        };
        Ok(Listener { socket, tls, patience })
    }

    /// Where it listens; the port that the system chose where the configuration says 0.
    ///
    /// # Errors
    /// Those of the system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The certificate, for reloading; `None` on a plain listener.
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        self.tls.as_ref().map(|(certificate, _)| certificate.clone())
    }

    /// Serves until `stop` becomes true, then lets requests that are being served finish. When `seals` changes, every
    /// connection ends after its request: what its buffers held goes with it.
    pub async fn serve<H: Handler>(
        self,
        handler: Arc<H>,
        mut stop: watch::Receiver<bool>,
        seals: watch::Receiver<u64>,
    ) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // Never closed.
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is open");
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            let (handler, patience) = (handler.clone(), self.patience);
            let mut ends = Ends { stop: stop.clone(), seals: seals.clone() };
            ends.seals.mark_unchanged();
            let acceptor = self.tls.as_ref().map(|(_, acceptor)| acceptor.clone());
            tokio::spawn(async move {
                connection(stream, peer, acceptor, handler, patience, ends).await;
                drop(slot);
            });
        }
        let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        if tokio::time::timeout(FAREWELL, slots.acquire_many(all)).await.is_err() {
            tracing::warn!("stopped while requests were still being served");
        }
    }
}

/// Why a connection takes no further request.
struct Ends {
    stop: watch::Receiver<bool>,
    seals: watch::Receiver<u64>,
}

impl Ends {
    /// Returns when the server stops or is sealed.
    async fn come(&mut self) {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => {}
            _ = self.seals.changed() => {}
        }
    }
}

async fn connection<H: Handler>(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    handler: Arc<H>,
    patience: Patience,
    mut ends: Ends,
) {
    // A reply leaves at once; a failure here only costs time.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        return http(stream, false, peer, handler, patience, ends).await;
    };
    let too_long = async {
        tokio::select! {
            () = tokio::time::sleep(patience.head) => {}
            () = async {
                let _ = ends.stop.wait_for(|stop| *stop).await;
                tokio::time::sleep(PARTING.head).await;
            } => {}
        }
    };
    let greeted = tokio::select! {
        biased;
        greeted = acceptor.accept(stream) => greeted,
        () = too_long => return tracing::debug!("TLS handshake took too long"),
    };
    match greeted {
        Ok(stream) => {
            let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            http(stream, two, peer, handler, patience, ends).await;
        }
        Err(error) => tracing::debug!(%error, "TLS handshake failed"),
    }
}

async fn http<H: Handler>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    two: bool,
    peer: SocketAddr,
    handler: Arc<H>,
    patience: Patience,
    mut ends: Ends,
) {
    let state = Arc::new(State::default());
    let io =
        TokioIo::new(if two { Guarded::new(stream, state.clone()) } else { Guarded::watching(stream, state.clone()) });
    let watched = state.clone();
    let service = service_fn(move |request| {
        let (handler, serving) = (handler.clone(), Serving::new(&watched));
        async move {
            let response = handler.answer(request, peer).await;
            drop(serving);
            Ok::<_, Infallible>(response)
        }
    });
    let overrun = state.watch(patience);
    tokio::pin!(overrun);
    // Each protocol has its own type of connection, with the same two calls.
    macro_rules! drive {
        ($connection:expr) => {{
            let connection = $connection;
            tokio::pin!(connection);
            let mut stopping = false;
            loop {
                tokio::select! {
                    biased;
                    ended = connection.as_mut() => {
                        if let Err(error) = ended {
                            tracing::debug!(%error, "a connection ended early");
                        }
                        return;
                    }
                    () = ends.come(), if !stopping => {
                        stopping = true;
                        connection.as_mut().graceful_shutdown();
                        overrun.set(state.watch(PARTING));
                    }
                    () = &mut overrun => {
                        tracing::debug!("a connection was too slow");
                        return;
                    }
                }
            }
        }};
    }
    if two {
        drive!(
            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(100)
                .max_header_list_size(64 << 10)
                .max_pending_accept_reset_streams(20)
                .serve_connection(io, service)
        )
    }
    drive!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_buf_size(HEAD)
            .half_close(false)
            .serve_connection(io, service)
    )
}
