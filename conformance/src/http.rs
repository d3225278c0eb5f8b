//! A small HTTP/1.1 client that sends exactly what it is told, wrong things included, and hides nothing of the reply.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Headers in order, names as sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text, replacing what is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `None` when it is not.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// One keep-alive connection to one plain listener, reopened when the server closed it.
pub struct Client {
    address: SocketAddr,
    open: Option<BufReader<TcpStream>>,
    /// The token sent when a request names none.
    pub token: Option<String>,
}

impl Client {
    /// A client for `address`; connects on first use.
    pub fn new(address: SocketAddr) -> Self {
        Client { address, open: None, token: None }
    }

    /// The same with a token for [`Client::call`].
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// A JSON request below `/v1/` with the client's token.
    ///
    /// # Panics
    /// When the connection fails: a test's server should be there.
    pub fn call(&mut self, method: &str, path: &str, body: Option<&serde_json::Value>) -> Reply {
        self.try_call(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// As [`Client::call`], with the connection's failure as a value.
    pub fn try_call(&mut self, method: &str, path: &str, body: Option<&serde_json::Value>) -> std::io::Result<Reply> {
        let mut headers = Vec::new();
        if let Some(token) = &self.token {
            headers.push(("X-Vault-Token".to_owned(), token.clone()));
        }
        let text = body.map(|body| body.to_string().into_bytes());
        self.send(method, &format!("/v1/{path}"), &headers, text.as_deref())
    }

    /// Sends one request as it is; a second try on a fresh connection when the kept one was closed.
    pub fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Option<&[u8]>,
    ) -> std::io::Result<Reply> {
        let kept = self.open.is_some();
        match self.exchange(method, target, headers, body) {
            Err(_) if kept => {
                self.open = None;
                self.exchange(method, target, headers, body)
            }
            result => result,
        }
    }

    /// Sends raw bytes on a connection of their own and gives all that comes back until the server closes.
    pub fn raw(address: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = connect(address)?;
        // The server may refuse before it has read all.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut back = Vec::new();
        match stream.read_to_end(&mut back) {
            Err(error) if back.is_empty() => Err(error),
            _ => Ok(back),
        }
    }

    fn exchange(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: Option<&[u8]>,
    ) -> std::io::Result<Reply> {
        let mut reader = match self.open.take() {
            Some(open) => open,
            None => BufReader::with_capacity(64 << 10, connect(self.address)?),
        };
        let mut head = Vec::with_capacity(512);
        head.extend(format!("{method} ").bytes());
        head.extend(target.bytes());
        head.extend(b" HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.extend(format!("Host: {}\r\n", self.address).bytes());
        }
        for (name, value) in headers {
            head.extend(name.bytes());
            head.extend(b": ");
            // Header values go out as Latin-1, as Python's http.client sends them.
            head.extend(value.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')));
            head.extend(b"\r\n");
        }
        if body.is_some() || matches!(method, "POST" | "PUT" | "PATCH") {
            head.extend(format!("Content-Length: {}\r\n", body.map_or(0, <[u8]>::len)).bytes());
        }
        head.extend(b"\r\n");
        reader.get_mut().write_all(&head)?;
        if let Some(body) = body {
            // A server may refuse a large body before it has read it all: the reply tells.
            let _ = reader.get_mut().write_all(body);
        }
        let reply = read_reply(&mut reader, method)?;
        let closed = reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !closed {
            self.open = Some(reader);
        }
        Ok(reply)
    }
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

fn bad(text: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, text.to_owned())
}

fn line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    reader.read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(bytes.into_iter().map(char::from).collect())
}

fn read_reply(reader: &mut impl BufRead, method: &str) -> std::io::Result<Reply> {
    loop {
        let status: u16 = line(reader)?
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| bad("the reply has no status line"))?;
        let mut headers = Vec::new();
        loop {
            let text = line(reader)?;
            if text.is_empty() {
                break;
            }
            let (name, value) = text.split_once(':').ok_or_else(|| bad("a header without a colon"))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        if status == 100 {
            continue;
        }
        let mut reply = Reply { status, headers, body: Vec::new() };
        if method.eq_ignore_ascii_case("HEAD") || status == 204 || status == 304 {
            return Ok(reply);
        }
        if reply.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            loop {
                let size = usize::from_str_radix(line(reader)?.split(';').next().unwrap_or("").trim(), 16)
                    .map_err(|_| bad("a chunk without its size"))?;
                let mut chunk = vec![0; size + 2];
                reader.read_exact(&mut chunk)?;
                if size == 0 {
                    return Ok(reply);
                }
                reply.body.extend(&chunk[..size]);
            }
        }
        match reply.header("content-length").map(str::parse::<usize>) {
            Some(Ok(length)) => {
                reply.body = vec![0; length];
                reader.read_exact(&mut reply.body)?;
            }
            Some(Err(_)) => return Err(bad("a content length that is no number")),
            None => {
                reader.read_to_end(&mut reply.body)?;
            }
        }
        return Ok(reply);
    }
}
