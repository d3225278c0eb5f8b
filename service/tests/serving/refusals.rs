//! What is refused, and how: paths, methods, bodies, framing, rights.

use crate::stand::Stand;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_rights_hears_the_same_of_every_path() {
    let stand = Stand::unsealed("").await;
    let token = stand.token("none", "path \"nothing\" { capabilities = [\"read\"] }").await;
    assert_eq!(stand.root("POST", "sys/mounts/transit", Some(json!({"type": "transit"}))).await.status, 204);
    for (method, path) in [
        ("GET", "nosuch/x"),
        ("GET", "transit/keys/k"),
        ("POST", "transit/keys/k"),
        ("POST", "transit/nosuch"),
        ("LIST", "transit/keys"),
        ("DELETE", "sys/mounts/transit"),
        ("GET", "sys/nosuch"),
        ("GET", "identity/entity"),
        ("GET", "transit/keys/k?help=1"),
        ("GET", "nosuch/x?help=1"),
    ] {
        for held in ["", "hvs.000000000000000000000000", token.as_str()] {
            let answer = stand.call(method, path, held, None).await;
            let want = if held == token { "1 error occurred:\n\t* permission denied\n\n" } else { "permission denied" };
            assert_eq!((answer.status, answer.error().as_str()), (403, want), "{method} {path} {held}");
        }
    }
    let root = stand.root("GET", "nosuch/x", None).await;
    assert_eq!(
        (root.status, root.error().as_str()),
        (404, "no handler for route \"nosuch/x\". route entry not found.")
    );
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_and_paths_that_are_not_there() {
    let stand = Stand::unsealed("").await;
    for (method, path, status, text) in [
        ("GET", "/v2/sys/health", 404, None),
        ("GET", "/", 404, None),
        ("TRACE", "sys/mounts", 405, None),
        ("FROB", "sys/mounts", 405, None),
        ("DELETE", "sys/health", 405, None),
        ("LIST", "sys/health", 405, None),
        ("GET", "sys/unseal", 405, None),
        ("GET", "sys/seal", 405, None),
        ("GET", "sys/health?activecode=2x0", 400, None),
        ("GET", "sys/mounts/", 404, Some("1 error occurred:\n\t* unsupported path\n\n")),
        ("LIST", "sys/mounts", 404, Some("1 error occurred:\n\t* unsupported path\n\n")),
        ("DELETE", "auth/token/create", 405, Some("1 error occurred:\n\t* unsupported operation\n\n")),
        ("POST", "sys/mounts/", 400, Some("cannot write to a path ending in '/'")),
        ("GET", "sys/mounts?list=maybe", 400, None),
        ("GET", "sys/%2e%2e/sys/mounts", 400, Some("relative paths not supported")),
        ("PATCH", "sys/policies/acl/x", 400, Some("mime: no media type")),
        ("POST", "sys/mounts/x", 400, Some("backend type must be specified as a string")),
    ] {
        let answer = stand.root(method, path, None).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        let want = text.map_or(json!([]), |text| json!([text]));
        assert_eq!(answer.json()["errors"], want, "{method} {path}");
        assert!(answer.has_header("cache-control: no-store"), "{method} {path}: {answer:?}");
    }
    for path in ["sys/mounts", "sys/a%00b"] {
        let method = if path == "sys/mounts" { "HEAD" } else { "GET" };
        let answer = stand.root(method, path, None).await;
        assert!(matches!(answer.status, 400 | 405) && answer.text.is_empty(), "{answer:?}");
    }
    assert_eq!(stand.call("HEAD", "sys/health", "", None).await.status, 200);
    assert_eq!(stand.call("GET", "sys/health?activecode=299", "", None).await.status, 299);
    assert_eq!(stand.root("GET", "/v1//sys//mounts", None).await.status, 200);
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_framing_is_refused_and_the_server_serves_on() {
    let stand = Stand::unsealed("").await;
    let post = |extra: &str, body: &str| {
        format!("POST /v1/sys/tools/hash HTTP/1.1\r\nHost: t\r\nX-Vault-Token: {}\r\n{extra}\r\n{body}", stand.root)
    };
    let headers: String = (0..10_000).map(|n| format!("A{n}: b\r\n")).collect();
    for (name, bytes, allowed) in [
        ("no version", "GET /v1/sys/health\r\n\r\n".to_owned(), &[400]),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{} "), &[400]),
        ("a negative length", post("Content-Length: -1\r\n", ""), &[400]),
        ("an unknown coding", post("Transfer-Encoding: gzip\r\n", ""), &[400]),
        ("a chunk that is no number", post("Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"), &[400]),
        ("a body of 99 GB", post("Content-Length: 99999999999\r\nConnection: close\r\n", "{"), &[413]),
        ("many headers", format!("GET /v1/sys/health HTTP/1.1\r\nHost: t\r\n{headers}\r\n"), &[431]),
        ("a long path", format!("GET /v1/{} HTTP/1.1\r\nHost: t\r\n\r\n", "a".repeat(70_000)), &[414]),
    ] {
        let answer = stand.raw(bytes.into_bytes()).await;
        assert!(allowed.contains(&answer.status), "{name}: {answer:?}");
        assert!(!answer.text.contains("127.0.0.1") && !answer.text.contains("src/"), "{name}: {answer:?}");
    }
    // A chunked body is served, and nothing follows it on its connection: nothing can be smuggled behind it.
    let twice = post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n") + &post("Content-Length: 2\r\n", "{}");
    let answer = stand.raw(twice.into_bytes()).await;
    let answers = answer.text.matches("request_id").count();
    assert!(answer.status == 200 && answer.has_header("connection: close") && answers == 1, "{answer:?}");
    for body in ["{", "[]", "x", "{\"a\":1}//", "{\"input\":\"a\",\"input\":\"b\"}", "{\"a\":NaN}", "\u{feff}{}"] {
        let answer = stand
            .raw(post(&format!("Connection: close\r\nContent-Length: {}\r\n", body.len()), body).into_bytes())
            .await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.error().starts_with("failed to decode JSON input"), "{body}: {answer:?}");
    }
    assert_eq!(stand.root("POST", "sys/tools/hash", None).await.status, 200);
    stand.running.stop().await;
}

/// Heads that two readers may read in two ways, each with a request behind it that must not be served.
pub(crate) fn ambiguous(token: &str) -> Vec<(&'static str, String)> {
    let hidden = "GET /v1/sys/health HTTP/1.1\r\nHost: t\r\n\r\n";
    let head =
        |lines: &str| format!("POST /v1/sys/tools/hash HTTP/1.1\r\nHost: t\r\nX-Vault-Token: {token}\r\n{lines}\r\n");
    let before = format!("{}{{}}", head("Content-Length: 2\r\n"));
    vec![
        ("a bare line feed ends the request line", "GET /v1/sys/health HTTP/1.1\nHost: t\r\n\r\n".to_owned() + hidden),
        ("a bare line feed hides a header", head("A: b\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + hidden),
        ("a bare line feed ends the head", head("Content-Length: 0\r\n").trim_end().to_owned() + "\r\n\n" + hidden),
        ("length, then chunks", head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + hidden),
        ("chunks, then length", head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n" + hidden),
        ("chunks, then no length", head("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n") + "0\r\n\r\n" + hidden),
        ("two equal lengths", head("Content-Length: 2\r\nContent-Length: 2\r\n") + "{}" + hidden),
        ("a list of lengths", head("Content-Length: 2, 2\r\n") + "{}" + hidden),
        ("a length with a sign", head("Content-Length: +2\r\n") + "{}" + hidden),
        ("two codings", head("Transfer-Encoding: gzip, chunked\r\n") + "0\r\n\r\n" + hidden),
        (
            "two lines of coding",
            head("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") + "0\r\n\r\n" + hidden,
        ),
        ("a bare line feed in the second head", before.clone() + &head("A: b\nC: d\r\nContent-Length: 0\r\n") + hidden),
        (
            "length and chunks in the second head",
            before + &head("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n") + hidden,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_can_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_served() {
    let stand = Stand::unsealed("").await;
    for (name, bytes) in ambiguous(&stand.root) {
        let answer = stand.raw(bytes.into_bytes()).await;
        let all = format!("{}\r\n\r\n{}", answer.head, answer.text);
        let refusals = all.matches("HTTP/1.1 400 ").count();
        assert!(refusals == 1 && !all.contains("\"initialized\""), "{name}: {all}");
        assert_eq!(all.matches("HTTP/1.1 200 ").count(), usize::from(name.contains("second")), "{name}: {all}");
    }
    // What looks like a head within a body is a body, and the next request is served.
    let body = "{\"input\":\"\",\n\"x\":\"\\nContent-Length: 1\"}\n\n";
    let request = format!(
        "POST /v1/sys/tools/hash HTTP/1.1\r\nHost: t\r\nX-Vault-Token: {}\r\nContent-Length: {}\r\n\r\n{body}",
        stand.root,
        body.len()
    );
    let close = "GET /v1/sys/health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    let answer = stand.raw((request.repeat(3) + close).into_bytes()).await;
    assert_eq!((answer.status, answer.text.matches("HTTP/1.1 200 ").count()), (200, 3), "{answer:?}");
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_are_unknown_or_overruled_are_warned_about() {
    let stand = Stand::unsealed("").await;
    let body = json!({"b": 1, "a": 2, "input": "", "urlalgorithm": "x"});
    let answer = stand.root("POST", "sys/tools/hash/sha2-256", Some(body)).await;
    assert_eq!(
        answer.json()["warnings"],
        json!([
            "Endpoint ignored these unrecognized parameters: [a b]",
            "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [urlalgorithm]"
        ]),
        "{answer:?}"
    );
    let quiet = stand.root("POST", "sys/policies/acl/p", Some(json!({"policy": "# none", "colour": 1}))).await;
    assert_eq!((quiet.status, quiet.text.as_str()), (204, ""));
    let wrapped = format!(
        "GET /v1/sys/mounts HTTP/1.1\r\nHost: t\r\nX-Vault-Token: {}\r\nX-Vault-Wrap-TTL: 60\r\nConnection: close\r\n\r\n",
        stand.root
    );
    assert_eq!(stand.raw(wrapped.into_bytes()).await.status, 400, "never unwrapped where wrapping was asked for");
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_make_help_and_openapi() {
    let stand = Stand::unsealed("").await;
    let document = stand.root("GET", "sys/internal/specs/openapi", None).await.json();
    assert_eq!(document["openapi"], "3.0.2");
    for path in ["/sys/init", "/sys/mounts/{path}", "/sys/tools/random/{source}/{bytes}", "/auth/token/create"] {
        assert!(document["paths"].get(path).is_some(), "{path}");
    }
    let nobody = stand.call("GET", "sys/internal/specs/openapi", "", None).await.json();
    assert!(nobody["paths"].get("/auth/token/create").is_none() && nobody["paths"].get("/sys/init").is_some());
    let help = stand.root("GET", "sys/mounts?help=1", None).await.json();
    assert!(help["help"].as_str().unwrap().contains("sys/mounts") && help["openapi"]["paths"].is_object());
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_are_made_tuned_moved_and_taken_away_with_their_data() {
    let stand = Stand::unsealed("").await;
    let make = |config| json!({"type": "transit", "description": "d", "config": config});
    assert_eq!(stand.root("POST", "sys/mounts/t", Some(make(json!({"default_lease_ttl": "1h"})))).await.status, 204);
    for (path, body, text) in [
        ("sys/mounts/t", make(json!({})), "path is already in use at t/"),
        ("sys/mounts/t/sub", make(json!({})), "path is already in use at t/"),
        ("sys/mounts/sys", make(json!({})), "cannot mount \"sys/\""),
        ("sys/mounts/u", json!({"type": "nosuch"}), "plugin not found in the catalog: nosuch"),
        (
            "sys/mounts/u",
            make(json!({"default_lease_ttl": "2h", "max_lease_ttl": "1h"})),
            "given default lease TTL greater than given max lease TTL",
        ),
        ("sys/mounts/t/tune", json!({"listing_visibility": "loud"}), "invalid listing_visibility loud"),
        (
            "sys/mounts/t/tune",
            json!({"default_lease_ttl": "3h", "max_lease_ttl": "1h"}),
            "backend max lease TTL of 3600 would be less than backend default lease TTL of 10800",
        ),
        ("sys/remount", json!({"from": "sys", "to": "x"}), "cannot remount \"sys/\""),
        ("sys/remount", json!({"from": "nope", "to": "x"}), "no matching mount at \"nope/\""),
        ("sys/remount", json!({"from": "t", "to": "auth/x"}), "cannot remount to destination auth/x/"),
    ] {
        let answer = stand.root("POST", path, Some(body)).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, text), "{path}");
    }
    let tuned = json!({"max_lease_ttl": "2h", "listing_visibility": "unauth", "audit_non_hmac_request_keys": "a,b"});
    assert_eq!(stand.root("POST", "sys/mounts/t/tune", Some(tuned)).await.status, 204);
    let read = stand.root("GET", "sys/mounts/t/tune", None).await.json();
    assert_eq!((&read["data"]["default_lease_ttl"], &read["max_lease_ttl"]), (&json!(3600), &json!(7200)));
    assert_eq!(read["data"]["audit_non_hmac_request_keys"], json!(["a", "b"]));
    let shown = stand.call("GET", "sys/internal/ui/mounts", "", None).await.json();
    assert_eq!(shown["data"]["secret"]["t/"]["type"], "transit");

    assert!(stand.root("POST", "t/keys/k", None).await.status < 300);
    let moved = stand.root("POST", "sys/remount", Some(json!({"from": "t", "to": "deep/er"}))).await;
    let id = moved.json()["migration_id"].as_str().unwrap().to_owned();
    let status = stand.root("GET", &format!("sys/remount/status/{id}"), None).await.json();
    assert_eq!(status["data"]["migration_info"]["status"], "success");
    assert_eq!(stand.root("GET", "deep/er/keys/k", None).await.status, 200);
    assert_eq!(stand.root("GET", "t/keys/k", None).await.status, 404);
    // Mounts outlive sealing.
    assert_eq!(stand.root("PUT", "sys/seal", None).await.status, 204);
    stand.unseal().await;
    assert_eq!(stand.root("GET", "deep/er/keys/k", None).await.status, 200);
    let storage = stand.running.server().phase.live().unwrap().mounts.at("deep/er/").unwrap().view.clone();
    assert!(!storage.list("", None, 10).await.unwrap().is_empty());
    assert_eq!(stand.root("DELETE", "sys/mounts/deep/er", None).await.status, 204);
    assert_eq!(storage.list("", None, 10).await.unwrap(), Vec::<String>::new(), "its data went with it");
    assert_eq!(stand.root("DELETE", "sys/mounts/deep/er", None).await.status, 204);
    assert_eq!(stand.root("DELETE", "sys/mounts/sys", None).await.error(), "cannot unmount \"sys/\"");
    stand.running.stop().await;
}
