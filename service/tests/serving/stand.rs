//! A server of one's own in this process, and a client on a real socket.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use strongroom_clock::Clock;
use strongroom_keystore::Store;
use strongroom_service::config::{Config, Environment};
use strongroom_service::custody::Custody;
use strongroom_service::{Running, Server};

/// A running server, with its root token and share once it is initialised.
pub(crate) struct Stand {
    pub running: Running,
    pub root: String,
    pub share: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub head: String,
    pub text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    pub(crate) fn has_header(&self, line: &str) -> bool {
        self.head.to_ascii_lowercase().lines().any(|held| held == line.to_ascii_lowercase())
    }

    pub(crate) fn error(&self) -> String {
        self.json()["errors"][0].as_str().unwrap_or_default().to_owned()
    }
}

impl Stand {
    /// Starts a server with a plain listener; `stanzas` are more of its configuration.
    pub(crate) async fn start(stanzas: &str) -> Stand {
        Stand::start_on(Store::inmem(), stanzas).await
    }

    /// The same on a store of one's own.
    pub(crate) async fn start_on(store: Store, stanzas: &str) -> Stand {
        let text = format!("storage \"inmem\" {{}}\n{}{stanzas}", listener(""));
        let config =
            Config::parse("test.hcl", &text, &Environment::default()).expect("the configuration is good").config;
        let custody = Custody::new(store, &config, Clock::system()).expect("custody");
        let running = Server::start(&config, custody, Clock::system()).await.expect("the server starts");
        Stand { running, root: String::new(), share: String::new() }
    }

    /// The same, initialised and unsealed.
    pub(crate) async fn unsealed(stanzas: &str) -> Stand {
        Stand::start(stanzas).await.initialised().await
    }

    /// This one, initialised and unsealed.
    pub(crate) async fn initialised(mut self) -> Stand {
        let answer = self.call("PUT", "sys/init", "", Some(json!({"secret_shares": 1, "secret_threshold": 1}))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        self.root = answer.json()["root_token"].as_str().unwrap().to_owned();
        self.share = answer.json()["keys"][0].as_str().unwrap().to_owned();
        self.unseal().await;
        self
    }

    pub(crate) async fn unseal(&self) {
        let answer = self.call("PUT", "sys/unseal", "", Some(json!({"key": self.share}))).await;
        assert_eq!((answer.status, &answer.json()["sealed"]), (200, &json!(false)), "{answer:?}");
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.addresses()[0]
    }

    /// One request with a token (or none) on a connection of its own.
    pub(crate) async fn call(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let token = if token.is_empty() { String::new() } else { format!("X-Vault-Token: {token}\r\n") };
        let target = if path.starts_with('/') { path.to_owned() } else { format!("/v1/{path}") };
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: t\r\n{token}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.raw(request.into_bytes()).await
    }

    /// As root.
    pub(crate) async fn root(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call(method, path, &self.root, body).await
    }

    /// Bytes as they are, and what comes back until the connection closes.
    pub(crate) async fn raw(&self, bytes: Vec<u8>) -> Answer {
        self.raw_at(0, bytes).await
    }

    /// The same on one of several listeners.
    pub(crate) async fn raw_at(&self, listener: usize, bytes: Vec<u8>) -> Answer {
        let address = self.running.addresses()[listener];
        tokio::task::spawn_blocking(move || raw(address, &bytes)).await.unwrap()
    }

    /// A token with `policy` as its one policy beside default.
    pub(crate) async fn token(&self, name: &str, policy: &str) -> String {
        let answer = self.root("PUT", &format!("sys/policies/acl/{name}"), Some(json!({"policy": policy}))).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        let answer = self.root("POST", "auth/token/create", Some(json!({"policies": [name]}))).await;
        answer.json()["auth"]["client_token"].as_str().unwrap().to_owned()
    }
}

fn raw(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    // A server that refuses early may close before all is written.
    let _ = stream.write_all(bytes);
    let mut held = Vec::new();
    let _ = stream.read_to_end(&mut held);
    let text = String::from_utf8_lossy(&held).into_owned();
    let (head, text) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_owned(), text: text.to_owned() }
}

/// The lines of an audit file.
pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("an audit file");
    text.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
}

/// A stanza for a plain listener, and what more it holds.
pub(crate) fn listener(more: &str) -> String {
    format!("listener \"tcp\" {{ address = \"127.0.0.1:0\"\n tls_disable = true\n{more} }}\n")
}

/// A stanza for an audit file.
pub(crate) fn audit(path: &Path) -> String {
    format!("audit \"file\" \"a\" {{ options {{ file_path = {:?} }} }}", path.to_str().expect("a path"))
}
