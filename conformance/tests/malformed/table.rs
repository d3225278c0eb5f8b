//! How a case is written, sent and judged.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// What must come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// This status.
    Status(u16),
    /// Nothing: the connection is closed.
    Closed,
}

/// One malformed or hostile request.
pub(crate) struct Case {
    pub(crate) class: &'static str,
    /// What is wrong with it.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// Whether the sender closes its side after the last byte.
    pub(crate) cut: bool,
    pub(crate) wanted: Wanted,
}

/// All cases, and how they are added.
pub(crate) struct Table {
    pub(crate) token: String,
    pub(crate) cases: Vec<Case>,
    class: &'static str,
}

impl Table {
    /// An empty table for a server whose root token is `token`.
    pub(crate) fn new(token: &str) -> Self {
        Table { token: token.to_owned(), cases: Vec::new(), class: "" }
    }

    /// What follows is of this class.
    pub(crate) fn class(&mut self, class: &'static str) {
        self.class = class;
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, name: &str, bytes: impl Into<Vec<u8>>, status: u16) {
        self.add(name, bytes.into(), false, Wanted::Status(status));
    }

    /// Bytes that break off.
    pub(crate) fn cut(&mut self, name: &str, bytes: impl Into<Vec<u8>>, wanted: Wanted) {
        self.add(name, bytes.into(), true, wanted);
    }

    /// A request line, headers that each end their line, and a body, with a token and one Host.
    pub(crate) fn request(&mut self, name: &str, line: &str, headers: &str, body: &[u8], status: u16) {
        let head = format!("{line}\r\nHost: t\r\nX-Vault-Token: {}\r\nConnection: close\r\n{headers}\r\n", self.token);
        self.raw(name, [head.as_bytes(), body].concat(), status);
    }

    /// A GET of a target.
    pub(crate) fn get(&mut self, target: &str, status: u16) {
        let short: String = target.chars().take(60).collect();
        self.request(&format!("GET {short}"), &format!("GET {target} HTTP/1.1"), "", b"", status);
    }

    /// A GET of a path that exists, with more headers.
    pub(crate) fn header(&mut self, name: &str, headers: &str, status: u16) {
        self.request(name, "GET /v1/sys/mounts HTTP/1.1", headers, b"", status);
    }

    /// A POST with a whole body.
    pub(crate) fn post(&mut self, name: &str, path: &str, headers: &str, body: &[u8], status: u16) {
        let headers = format!("{headers}Content-Length: {}\r\n", body.len());
        self.request(name, &format!("POST /v1/{path} HTTP/1.1"), &headers, body, status);
    }

    fn add(&mut self, name: &str, bytes: Vec<u8>, cut: bool, wanted: Wanted) {
        self.cases.push(Case { class: self.class, name: name.to_owned(), bytes, cut, wanted });
    }
}

/// Sends a case, and gives the first answer's status and all of its text.
pub(crate) fn send(address: SocketAddr, case: &Case) -> (Wanted, String) {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    // A server that refuses early closes before all is sent.
    let _ = stream.write_all(&case.bytes);
    if case.cut {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let answer = read_answer(&mut stream);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status =
        text.strip_prefix("HTTP/1.1 ").or(text.strip_prefix("HTTP/1.0 ")).and_then(|text| text.get(..3)?.parse().ok());
    (status.map_or(Wanted::Closed, Wanted::Status), text)
}

/// One answer, or what came of it until the connection closed.
pub(crate) fn read_answer(stream: &mut TcpStream) -> Vec<u8> {
    let (mut held, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = held.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&held[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if held.len() >= end + 4 + length.unwrap_or(0) {
                return held;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) => return held,
            Ok(length) => held.extend_from_slice(&chunk[..length]),
            // Closed while something was left unread. A server that is silent for so long fails the case as well.
            Err(_) => return held,
        }
    }
}
