//! Malformed and hostile requests on raw sockets: WIRE's codes, one error shape, never a crash, and the server serves on.

use serde_json::json;
use std::net::SocketAddr;
use strongroom_conformance::server::Config;
use strongroom_conformance::{Client, TestServer};

fn status(reply: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(reply);
    text.strip_prefix("HTTP/1.1 ").or(text.strip_prefix("HTTP/1.0 "))?.get(..3)?.parse().ok()
}

fn send(address: SocketAddr, bytes: &[u8]) -> (Option<u16>, String) {
    match Client::raw(address, bytes) {
        Ok(reply) => (status(&reply), String::from_utf8_lossy(&reply).into_owned()),
        // A connection that is closed without a word is an answer too.
        Err(_) => (None, String::new()),
    }
}

/// Every case: what is wrong with it, the bytes, and the statuses that may come back (none: closed without an answer).
fn cases(token: &str) -> Vec<(String, Vec<u8>, Vec<u16>)> {
    let mut cases: Vec<(String, Vec<u8>, Vec<u16>)> = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>, allowed: &[u16]| cases.push((name.to_owned(), bytes, allowed.to_vec()));
    let get = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {token}\r\nConnection: close\r\n\r\n").into_bytes()
    };
    let post = |target: &str, extra: &str, body: &[u8]| {
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {token}\r\nConnection: close\r\n{extra}Content-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    // Paths.
    for path in [
        "/v1/sys/../sys/mounts",
        "/v1/%2e%2e/sys/mounts",
        "/v1/sys/%2e%2e%2fmounts",
        "/v1/a%00b",
        "/v1/a%0ab",
        "/v1/a%01b",
        "/v1/%zz",
        "/v1/%",
        "/v1/%c3%28",
        "/v1/sys/./mounts",
        "/v1/sys/%2E/mounts",
        "/v1/transit/..%2fsys/mounts",
        "/v1/..",
        "/v1/%7f",
    ] {
        add(&format!("path {path}"), get(path), &[400, 404]);
    }
    for path in ["/", "/v2/sys/health", "/nothing", "/v1", "*"] {
        add(&format!("outside {path}"), get(path), &[400, 404, 403]);
    }
    add("path of 64 KiB", get(&format!("/v1/{}", "a".repeat(64 << 10))), &[400, 404, 414, 431]);
    // Framing.
    add("nothing but a line end", b"\r\n\r\n".to_vec(), &[400]);
    add("HTTP/0.9", b"GET /v1/sys/health\r\n".to_vec(), &[400]);
    add("no version", b"GET /v1/sys/health \r\n\r\n".to_vec(), &[400]);
    add("version 3.0", b"GET /v1/sys/health HTTP/3.0\r\nHost: x\r\n\r\n".to_vec(), &[400, 505]);
    add("binary noise", (0..=255).collect(), &[400]);
    add("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), &[400]);
    add("a header without a colon", b"GET /v1/sys/health HTTP/1.1\r\nHost x\r\n\r\n".to_vec(), &[400]);
    add("a header with a NUL", b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n".to_vec(), &[400]);
    add("an obsolete fold", b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n".to_vec(), &[400]);
    add(
        "two lengths",
        b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ".to_vec(),
        &[400],
    );
    add("a negative length", b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\n{}".to_vec(), &[400]);
    add("a length that is a word", b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: two\r\n\r\n{}".to_vec(), &[400]);
    add(
        "length and chunks",
        b"POST /v1/sys/unseal HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        &[400],
    );
    add(
        "chunks of an unknown coding",
        b"POST /v1/sys/unseal HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".to_vec(),
        &[400, 501],
    );
    add("a chunk that is no number", b"POST /v1/sys/unseal HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n".to_vec(), &[400]);
    add("a chunk of 2^64", b"POST /v1/sys/unseal HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}".to_vec(), &[400]);
    let many: String = (0..10_000).map(|n| format!("A{n}: b\r\n")).collect();
    add("10,000 headers", format!("GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n{many}\r\n").into_bytes(), &[400, 431]);
    add(
        "a header of 1 MiB",
        format!("GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "b".repeat(1 << 20)).into_bytes(),
        &[400, 431],
    );
    for method in ["FROB", "TRACE", "CONNECT", "get", "PROPFIND", "A".repeat(4000).as_str()] {
        let bytes = format!(
            "{method} /v1/sys/mounts HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {token}\r\nConnection: close\r\n\r\n"
        );
        add(&format!("method {}", &method[..method.len().min(10)]), bytes.into_bytes(), &[400, 404, 405, 414, 431]);
    }
    // Bodies.
    for (name, body) in [
        ("an open brace", "{"),
        ("an unclosed string", "{\"a"),
        ("single quotes", "{'a':1}"),
        ("a bare word", "x"),
        ("a list", "[]"),
        ("a number", "12"),
        ("a string", "\"x\""),
        ("true", "true"),
        ("a trailing comma", "{\"a\":1,}"),
        ("NaN", "{\"a\":NaN}"),
        ("Infinity", "{\"a\":Infinity}"),
        ("a comment", "{\"a\":1}//x"),
        ("two objects", "{}{}"),
        ("a name twice", "{\"type\":\"a\",\"type\":\"b\"}"),
        ("a lone surrogate", "{\"type\":\"\\ud800\"}"),
        ("a bad escape", "{\"a\":\"\\q\"}"),
        ("a control character", "{\"a\":\"\u{1}\"}"),
        ("a number too large", "{\"ttl\":1e999}"),
    ] {
        add(&format!("body: {name}"), post("/v1/auth/token/create", "", body.as_bytes()), &[400]);
    }
    add("body: invalid UTF-8", post("/v1/auth/token/create", "", b"{\"ttl\":\"\xff\"}"), &[400]);
    let deep = format!("{{\"meta\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    add("body: 100,000 deep", post("/v1/auth/token/create", "", deep.as_bytes()), &[400]);
    let wide: Vec<String> = (0..50_000).map(|n| format!("\"k{n}\":{n}")).collect();
    add(
        "body: 50,000 names",
        post("/v1/transit/keys/wide", "", format!("{{{}}}", wide.join(",")).as_bytes()),
        &[200, 204, 400, 413],
    );
    let huge = format!(
        "POST /v1/transit/encrypt/k HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {token}\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n{{"
    );
    add("body: claims 99 GB", huge.into_bytes(), &[400, 413]);
    // Each write of sys/ with every shape of nonsense (A-019).
    for path in [
        "sys/init",
        "sys/unseal",
        "sys/mounts/x",
        "sys/mounts/transit/tune",
        "sys/policies/acl/p",
        "sys/policy/p",
        "sys/capabilities",
        "sys/capabilities-self",
        "sys/remount",
        "sys/tools/random",
        "sys/tools/hash",
        "auth/token/create",
        "auth/token/lookup",
        "auth/token/renew",
        "auth/token/revoke",
        "auth/token/create-orphan",
        "transit/keys/k",
        "transit/encrypt/k",
        "transit/decrypt/k",
        "transit/sign/k",
        "transit/verify/k",
        "transit/hmac/k",
        "transit/rewrap/k",
        "transit/keys/k/config",
        "transit/keys/k/trim",
        "transit/datakey/plaintext/k",
        "transit/random",
        "transit/restore/r",
    ] {
        for value in ["null", "5", "-1", "\"x\"", "true", "[]", "{}", "[[1]]", "\"\"", "1e300", "18446744073709551616"]
        {
            let names = [
                "type",
                "key",
                "policy",
                "paths",
                "token",
                "ttl",
                "from",
                "to",
                "input",
                "plaintext",
                "ciphertext",
                "batch_input",
                "secret_shares",
                "recovery_shares",
                "min_decryption_version",
                "bits",
                "bytes",
                "backup",
                "signature",
                "hmac",
                "context",
                "config",
                "options",
                "period",
                "num_uses",
                "policies",
                "meta",
                "reset",
            ];
            let fields: Vec<String> = names.iter().map(|name| format!("\"{name}\":{value}")).collect();
            let body = format!("{{{}}}", fields.join(","));
            let allowed: Vec<u16> = (200..500).collect();
            add(
                &format!("{path} with {value} everywhere"),
                post(&format!("/v1/{path}"), "", body.as_bytes()),
                &allowed,
            );
        }
    }
    cases
}

#[test]
fn malformed_requests_get_a_code_of_their_own_and_the_server_serves_on() {
    let (server, init) = TestServer::unsealed(Config { audit: true, ..Config::default() });
    let mut root = server.client().with_token(&init.root);
    root.call("POST", "sys/mounts/transit", Some(&json!({"type": "transit"})));
    root.call("POST", "transit/keys/k", None);
    let pid = server.pid();
    let all = cases(&init.root);
    assert!(all.len() >= 300, "{} cases", all.len());
    for (name, bytes, allowed) in &all {
        let (status, text) = send(server.address(), bytes);
        match status {
            Some(status) => assert!(
                allowed.contains(&status),
                "{name}: {status}, allowed {:?}…\n{text}",
                &allowed[..allowed.len().min(5)]
            ),
            None => assert!(allowed.contains(&400), "{name}: closed without an answer"),
        }
        for leak in ["panicked", "src/", ".rs:", "127.0.0.1", "/tmp/"] {
            assert!(!text.contains(leak), "{name}: the answer shows {leak:?}: {text}");
        }
    }
    assert_eq!(server.client().call("GET", "sys/health", None).status, 200, "the server serves on");
    assert_eq!(server.pid(), pid);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn a_body_over_the_limit_is_413_and_memory_stays_flat() {
    let (server, init) = TestServer::unsealed(Config::default());
    let resident = |pid: u32| -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the status can be read");
        let line = text.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number of KiB")
    };
    let before = resident(server.pid());
    let body = vec![b'x'; 64 << 20];
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (body, server, init) = (&body, &server, &init);
            scope.spawn(move || {
                let mut client = server.client();
                let token = [("X-Vault-Token".to_owned(), init.root.clone())];
                let path = if worker % 2 == 0 { "/v1/transit/encrypt/k" } else { "/v1/sys/unseal" };
                for _ in 0..3 {
                    // A reset while sending is a refusal too; an answer must be a 413.
                    if let Ok(reply) = client.send("POST", path, &token, Some(body)) {
                        assert_eq!(reply.status, 413, "{}", reply.text());
                    }
                }
            });
        }
    });
    let grown = resident(server.pid()) - before;
    assert!(grown < 64 << 10, "the peak grew by {grown} KiB");
    assert_eq!(server.client().call("GET", "sys/health", None).status, 200);
}
