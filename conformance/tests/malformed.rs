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

/// A-009: a key or a value of any size is stored whole or refused, and never brings the server down.
#[test]
fn kv_keys_and_values_of_every_size_get_an_answer() {
    let (server, init) = TestServer::unsealed(Config::default());
    let mut root = server.client().with_token(&init.root);
    root.call("POST", "sys/mounts/plain", Some(&json!({"type": "kv"})));
    root.call("POST", "sys/mounts/kv", Some(&json!({"type": "kv-v2"})));
    let pid = server.pid();
    const MIB: usize = 1 << 20;
    for prefix in ["plain/", "kv/data/"] {
        for key in [0, 1, 512, 4_093, 4_094, 4_095, 4_096, 20_000, 65_536] {
            for value in [0, 1, MIB - 8_300, MIB - 1, MIB, MIB + 1] {
                // Large values with the usual keys, and small ones with every key.
                if value > 1 && key != 1 && key != 512 {
                    continue;
                }
                let text = "v".repeat(value);
                let body = if prefix == "plain/" { json!({"v": text}) } else { json!({"data": {"v": text}}) };
                let path = format!("{prefix}{}", "k".repeat(key));
                let mut client = server.client().with_token(&init.root);
                // The server may close before all of a head that it refuses was sent.
                let Ok(reply) = client.try_call("POST", &path, Some(&body)) else { continue };
                let status = reply.status;
                assert!((200..500).contains(&status), "{prefix} key {key} value {value}: {}", reply.text());
                if status < 300 {
                    let read = client.call("GET", &path, None).json().expect("JSON");
                    let data = if prefix == "plain/" { &read["data"] } else { &read["data"]["data"] };
                    assert!(data["v"] == text, "{prefix} key {key} value {value} came back changed");
                    assert!(value < MIB, "{prefix} key {key} value {value} fits no row");
                }
            }
        }
        let largest = json!({"v": "v".repeat(32 << 20)});
        // A reset while sending is a refusal too.
        if let Ok(reply) =
            server.client().with_token(&init.root).try_call("POST", &format!("{prefix}a"), Some(&largest))
        {
            assert_eq!(reply.status, 413, "{}", reply.text());
        }
    }
    assert_eq!((server.client().call("GET", "sys/health", None).status, server.pid()), (200, pid));
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

/// A-011: no way of writing a path gets around a rule that denies it.
#[test]
fn a_denied_kv_path_is_denied_in_every_spelling() {
    let (server, init) = TestServer::unsealed(Config::default());
    let mut root = server.client().with_token(&init.root);
    root.call("POST", "sys/mounts/kv", Some(&json!({"type": "kv-v2"})));
    root.call("POST", "kv/data/a/hush", Some(&json!({"data": {"v": "hush"}})));
    root.call("POST", "kv/data/open", Some(&json!({"data": {"v": "open"}})));
    let all = "capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\", \"patch\"]";
    let mut policy = format!("path \"kv/*\" {{ {all} }}\n");
    for group in ["data", "metadata", "subkeys"] {
        for path in ["a", "a/*"] {
            policy.push_str(&format!("path \"kv/{group}/{path}\" {{ capabilities = [\"deny\"] }}\n"));
        }
    }
    root.call("PUT", "sys/policies/acl/p", Some(&json!({"policy": policy})));
    let made = root.call("POST", "auth/token/create", Some(&json!({"policies": ["p"]}))).json().expect("JSON");
    let token = made["auth"]["client_token"].as_str().expect("a token");
    assert_eq!(server.client().with_token(token).call("GET", "kv/data/open", None).status, 200);
    let spellings = [
        "kv/data/a/hush",
        "kv//data/a/hush",
        "kv/data//a/hush",
        "kv/data/a//hush",
        "//kv/data/a/hush",
        "kv/data/./a/hush",
        "kv/./data/a/hush",
        "kv/data/a/./hush",
        "kv/data/x/../a/hush",
        "kv/x/../data/a/hush",
        "kv/data/a/x/../hush",
        "kv/data/open/../a/hush",
        "x/../kv/data/a/hush",
        "kv/data/%61/hush",
        "kv/d%61ta/a/hush",
        "%6bv/data/a/hush",
        "kv%2fdata/a/hush",
        "kv/data%2fa/hush",
        "kv/data%2Fa%2Fhush",
        "kv/data/a%2fhush",
        "kv%2Fdata%2Fa%2Fhush",
        "kv/data/%2e/a/hush",
        "kv/data/x/%2e%2e/a/hush",
        "kv/data/x/%2E./a/hush",
        "kv/data/x/.%2e/a/hush",
        "kv/data/x%2f..%2fa/hush",
        "kv/data/x/..%2fa/hush",
        "kv/data/x%2f../a/hush",
        "kv/data/%2fa/hush",
        "kv/data/a/%2fhush",
        "kv/data/a%2f%2fhush",
        "kv/data/a/hush/",
        "kv/data/a/hush//",
        "kv/data/a/hush%2f",
        "kv/data/a/hush/.",
        "kv/data/a/hush/..",
        "kv/data/a/hush/x/..",
        "kv/data/a;x/../a/hush",
        "kv/data/a;/hush",
        "kv/data;/a/hush",
        "kv/data/a/hush?x=1",
        "kv/data/a/hush?version=1",
        "kv/data/a/hush#x",
        "kv/data/a/hush%3Fversion=1",
        "kv/data/a%00/hush",
        "kv/data/a/hush%00",
        "kv/data%00/a/hush",
        "kv/data/%c0%af/../a/hush",
        "kv/data%c0%afa/hush",
        "kv/data/%c0%aea/hush",
        "kv/data/%25%36%31/hush",
        "kv/data/%2561/hush",
        "kv/data\\a\\hush",
        "kv/data/a\\hush",
        "kv/data/x\\..\\a/hush",
        "kv/data/a/hush%20",
        "kv/data/a%09/hush",
        "kv/data/a/hush%0a",
        "kv/data/%61%2f%68%75%73%68",
        "kv/data/a/%68ush",
        "kv/metadata/a/hush",
        "kv/subkeys/a/hush",
        "kv/metadata//a/hush",
        "kv/subkeys/x/../a/hush",
        "kv/metadata/a?list=true",
        "kv/metadata/a/?list=true",
        "kv/metadata//a?list=1",
        "kv/metadata/%61?list=true",
    ];
    for spelling in spellings {
        for method in ["GET", "POST", "DELETE"] {
            let body = if method == "POST" { "{\"data\":{\"v\":\"changed\"}}" } else { "" };
            let request = format!(
                "{method} /v1/{spelling} HTTP/1.1\r\nHost: t\r\nX-Vault-Token: {token}\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let (_, text) = send(server.address(), request.as_bytes());
            assert!(!text.contains("hush\""), "{method} {spelling}: {text}");
        }
    }
    let kept = root.call("GET", "kv/metadata/a/hush", None).json().expect("JSON");
    assert_eq!(kept["data"]["current_version"], 1, "nothing was written");
    assert_eq!(kept["data"]["versions"]["1"]["deletion_time"], "", "nothing was deleted");
}
