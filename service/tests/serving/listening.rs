//! What a listener adds to requests and answers by its configuration, slow senders, and stopping under them.

use crate::stand::{Stand, audit, lines, listener};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn get(path: &str) -> Vec<u8> {
    format!("GET /v1/{path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").into_bytes()
}

/// A write whose body is said to have `length` bytes, and what of it is sent.
fn post(path: &str, token: &str, length: usize, sent: &str) -> Vec<u8> {
    format!("POST /v1/{path} HTTP/1.1\r\nHost: t\r\nX-Vault-Token: {token}\r\nContent-Length: {length}\r\n\r\n{sent}")
        .into_bytes()
}

/// What comes back until the connection closes, whose other half stays open.
async fn answer_to(stand: &Stand, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(stand.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    rest(&mut stream).await
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut held = Vec::new();
    // A server that closes while something unread is on its way resets the connection.
    let _ = stream.read_to_end(&mut held).await;
    String::from_utf8_lossy(&held).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_leaves_out_what_it_is_told_to() {
    let names = "cluster_name = \"vault-of-hers\"\napi_addr = \"https://inside.example:8200\"\n";
    let redacting = listener("redact_addresses = true\nredact_cluster_name = true\nredact_version = true");
    let stand = Stand::unsealed(&(names.to_owned() + &redacting)).await;
    for (path, shown) in [
        ("sys/health", &["vault-of-hers", "1.17.0"][..]),
        ("sys/seal-status", &["vault-of-hers", "1.17.0"]),
        ("sys/leader", &["https://inside.example:8200"]),
    ] {
        let (open, closed) = (stand.raw_at(0, get(path)).await, stand.raw_at(1, get(path)).await);
        assert_eq!((open.status, closed.status), (200, 200), "{path}");
        for text in shown {
            assert!(open.text.contains(text) && !closed.text.contains(text), "{path}: {}", closed.text);
        }
        let (open, closed) = (open.json(), closed.json());
        for name in open.as_object().unwrap().keys().filter(|name| *name != "cluster_name") {
            assert!(closed.get(name).is_some(), "{path}: {name} is emptied, and not left out");
        }
        for name in ["version", "build_date", "leader_address"] {
            assert!(closed.get(name).is_none_or(|value| value == ""), "{path}: {closed}");
        }
    }
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_the_headers_of_their_status() {
    let custom = listener(
        "custom_response_headers { \"default\" = { \"Strict-Transport-Security\" = [\"max-age=1\", \"x\"], \"X-Who\" = [\"all\"] }\n\
         \"4xx\" = { \"X-Who\" = [\"4xx\"] }\n\"404\" = { \"X-Who\" = [\"404\"] } }",
    );
    let stand = Stand::unsealed(&(custom + "enable_response_header_hostname = true\n")).await;
    for (path, status, who) in
        [("sys/health", 200, "all"), ("sys/mounts", 403, "4xx"), ("../x", 400, "4xx"), ("sys/health/", 404, "404")]
    {
        let bytes =
            if status == 404 { b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".to_vec() } else { get(path) };
        let answer = stand.raw_at(1, bytes).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.has_header(&format!("x-who: {who}")), "{path}: {answer:?}");
        assert!(answer.has_header("strict-transport-security: max-age=1; x"), "{path}: {answer:?}");
        assert!(answer.has_header("cache-control: no-store"), "{path}: {answer:?}");
        assert!(answer.head.contains("x-vault-hostname: "), "{path}: {answer:?}");
    }
    assert!(!stand.raw(get("sys/health")).await.head.contains("x-who"), "the other listener has none");
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_too_long_is_given_up() {
    let stand = Stand::unsealed(&listener("max_request_duration = \"300ms\"")).await;
    let mut stream = TcpStream::connect(stand.running.addresses()[1]).await.unwrap();
    stream.write_all(&post("sys/tools/hash", &stand.root, 100, "{")).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("context deadline exceeded"), "{answer}");
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_will_be_refused_is_refused_before_the_body_has_come() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("audit.log");
    let stand = Stand::unsealed(&audit(&log)).await;
    stand.root("POST", "sys/mounts/transit", Some(json!({"type": "transit"}))).await;
    let policy = "path \"transit/encrypt/mine\" { capabilities = [\"create\"] }
        path \"transit/keys/theirs\" { capabilities = [\"read\", \"list\", \"delete\", \"patch\"] }";
    let token = stand.token("p", policy).await;
    let large = format!("{{\"a\":\"{}\"}}", "a".repeat(64 << 10));
    for (name, path, length, sent) in [
        ("half a body", "transit/keys/nothing", 100, "{"),
        ("half a body where reading is allowed", "transit/keys/theirs", 100, "{"),
        ("a large body that does not come", "transit/keys/nothing", 30 << 20, ""),
        ("a large body", "transit/keys/nothing", large.len(), &large),
    ] {
        let answer = answer_to(&stand, &post(path, &token, length, sent)).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("permission denied"), "{name}: {answer}");
    }
    let chunked = format!(
        "POST /v1/transit/keys/nothing HTTP/1.1\r\nHost: t\r\nX-Vault-Token: {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    assert!(answer_to(&stand, chunked.as_bytes()).await.starts_with("HTTP/1.1 403 "), "chunks");
    // What is short and whole is read, and stands in the log with what was tried.
    let denied = stand.call("POST", "transit/keys/nothing", &token, Some(json!({"type": "ed25519"}))).await;
    assert_eq!(denied.status, 403);
    // Where something is granted the body counts, and its end is waited for.
    assert_eq!(
        stand.call("POST", "transit/encrypt/mine", &token, Some(json!({"plaintext": "AAEC"}))).await.status,
        200
    );
    let lines = lines(&log);
    let logged = |path: &str| {
        let mut all = lines.iter().filter(|line| line["type"] == "request" && line["request"]["path"] == path);
        let refused = |line: &&serde_json::Value| line["error"].as_str().is_some_and(|text| text.contains("denied"));
        (all.clone().filter(refused).count(), all.any(|line| line["request"]["data"]["type"].is_string()))
    };
    assert_eq!(logged("transit/keys/nothing"), (5, true), "each refusal is in the log");
    assert_eq!(logged("transit/keys/theirs"), (1, false));
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_end_is_given_up_where_it_is_wanted() {
    let stand = Stand::unsealed(&listener("http_read_timeout = \"300ms\"")).await;
    for path in ["sys/tools/hash", "sys/unseal"] {
        let mut stream = TcpStream::connect(stand.running.addresses()[1]).await.unwrap();
        stream.write_all(&post(path, &stand.root, 100, "{")).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("took too long"), "{path}: {answer}");
    }
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_does_not_wait_for_what_may_never_come() {
    let stand = Stand::unsealed("").await;
    let mut open = Vec::new();
    for bytes in [
        post("sys/tools/hash", &stand.root, 100, "{"),
        post("sys/unseal", "", 100, "{"),
        b"GET /v1/sys/hea".to_vec(),
        Vec::new(),
    ] {
        let mut stream = TcpStream::connect(stand.address()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        open.push(stream);
    }
    // The server has begun with each of them when it answers a later connection.
    assert_eq!(stand.call("GET", "sys/health", "", None).await.status, 200);
    // A body takes at most 30 s, a head 10: this is well below both, and no measurement.
    tokio::time::timeout(Duration::from_secs(8), stand.running.stop()).await.expect("it stops");
    for (at, stream) in open.iter_mut().enumerate() {
        let answer = rest(stream).await;
        match at {
            0 | 1 => assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("is stopping"), "{at}: {answer}"),
            _ => assert!(answer.is_empty(), "{at}: {answer}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_while_a_body_is_on_its_way_is_gone_when_it_has_come() {
    let stand = Stand::unsealed("").await;
    let policy = "path \"sys/policies/acl/*\" { capabilities = [\"create\", \"update\"] }";
    let body = json!({"policy": policy}).to_string();
    for taken in ["token", "policy"] {
        let token = stand.token("may", policy).await;
        let mut stream = TcpStream::connect(stand.running.addresses()[0]).await.unwrap();
        let head = post(&format!("sys/policies/acl/{taken}"), &token, body.len(), &body[..5]);
        let head = String::from_utf8(head).unwrap().replace("Host: t", "Host: t\r\nConnection: close");
        stream.write_all(head.as_bytes()).await.unwrap();
        // The head has been read, and its caller is known, when this is answered on the same runtime.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        match taken {
            "token" => stand.root("POST", "auth/token/revoke", Some(json!({"token": token}))).await,
            _ => stand.root("DELETE", "sys/policies/acl/may", None).await,
        };
        stream.write_all(&body.as_bytes()[5..]).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{taken}: {answer}");
        assert_eq!(stand.root("GET", &format!("sys/policies/acl/{taken}"), None).await.status, 404, "{taken}");
    }
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_follows_a_chunked_body_whatever_the_answer() {
    let stand = Stand::unsealed(&listener("require_request_header = true")).await;
    let mut stream = TcpStream::connect(stand.running.addresses()[1]).await.unwrap();
    let chunked = b"POST /v1/sys/health HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    stream.write_all(chunked).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 412 ") && answer.contains("connection: close"), "{answer}");
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_after_a_body_was_given_up_does_nothing_without_it() {
    let stand = Stand::unsealed("").await;
    stand.root("POST", "sys/mounts/transit", Some(json!({"type": "transit"}))).await;
    let token = stand.token("later", "path \"nowhere\" { capabilities = [\"read\"] }").await;
    let mut stream = TcpStream::connect(stand.running.addresses()[0]).await.unwrap();
    let head = String::from_utf8(post("transit/keys/k", &token, 100, "{")).unwrap();
    stream.write_all(head.replace("Host: t", "Host: t\r\nConnection: close").as_bytes()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let granted = json!({"policy": "path \"transit/*\" { capabilities = [\"create\", \"update\"] }"});
    stand.root("PUT", "sys/policies/acl/later", Some(granted)).await;
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(stand.root("GET", "transit/keys/k", None).await.status, 404);
    stand.running.stop().await;
}
