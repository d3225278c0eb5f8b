//! The bare baseline: hyper 1 on tokio's multi-thread runtime, which reads a POST body whole and answers a fixed JSON body
//! of the size given. Nothing else: no routing, no checks, no crypto.
//!
//! `echo PORT BYTES`
#![forbid(unsafe_code)]

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use tokio::net::TcpListener;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let (Some(Ok(port)), Some(Ok(size))) = (arguments.next(), arguments.next()) else {
        return Err(std::io::Error::other("usage: echo PORT BYTES"));
    };
    let filler = "x".repeat(size.saturating_sub(r#"{"data":""}"#.len()));
    let answer = Bytes::from(format!(r#"{{"data":"{filler}"}}"#));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(("127.0.0.1", u16::try_from(port).unwrap_or(0))).await?;
        println!("{}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answer = answer.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = answer.clone();
                    async move {
                        let _ = request.into_body().collect().await;
                        let response = Response::builder()
                            .header("content-type", "application/json")
                            .header("cache-control", "no-store")
                            .body(Full::new(answer))
                            .expect("the response is valid");
                        Ok::<_, Infallible>(response)
                    }
                });
                let mut builder = hyper::server::conn::http1::Builder::new();
                builder.timer(TokioTimer::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}
