//! Advisories of other servers, as tests under their ids (`docs/threat-model.md`): the class is mended, the tests are a sample.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use strongroom_conformance::server::{Config, Initialised};
use strongroom_conformance::{Client, TestServer};

/// A server with a transit and a KV mount, and its root client.
fn serving(config: Config) -> (TestServer, Initialised, Client) {
    let (server, init) = TestServer::unsealed(config);
    let mut root = server.client().with_token(&init.root);
    let kv = json!({"type": "kv", "options": {"version": "2"}});
    assert_eq!(root.call("POST", "sys/mounts/kv", Some(&kv)).status, 204);
    assert_eq!(root.call("POST", "sys/mounts/transit", Some(&json!({"type": "transit"}))).status, 204);
    assert!(root.call("POST", "transit/keys/k", None).status < 300);
    (server, init, root)
}

fn token(root: &mut Client, name: &str, policy: &str) -> String {
    let made = root.call("PUT", &format!("sys/policies/acl/{name}"), Some(&json!({ "policy": policy })));
    assert_eq!(made.status, 204, "{}", made.text());
    let reply = root.call("POST", "auth/token/create", Some(&json!({"policies": [name], "no_default_policy": true})));
    reply.json().expect("JSON")["auth"]["client_token"].as_str().expect("a token").to_owned()
}

/// A line of `/proc/PID/status`, in KiB.
fn memory(server: &TestServer, line: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the status can be read");
    let line = text.lines().find(|held| held.starts_with(line)).expect("the line is there");
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number of KiB")
}

#[test]
fn a_001_large_bodies_are_413_and_memory_stays_flat() {
    let (server, init) = TestServer::unsealed(Config::default());
    let before = memory(&server, "VmHWM:");
    let body = vec![b'x'; 64 << 20];
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for worker in 0..200 {
            let (body, server, init, answered) = (&body, &server, &init, &answered);
            scope.spawn(move || {
                let token = [("X-Vault-Token".to_owned(), init.root.clone())];
                let (path, headers) =
                    if worker % 2 == 0 { ("sys/tools/hash", &token[..]) } else { ("sys/unseal", &[][..]) };
                // A reset while sending is a refusal too; an answer must be a 413.
                if let Ok(reply) = server.client().send("POST", &format!("/v1/{path}"), headers, Some(body)) {
                    assert_eq!(reply.status, 413, "{}", reply.text());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(answered.into_inner() > 0, "somebody was told");
    // The system counts pages a little late.
    let grown = memory(&server, "VmHWM:").saturating_sub(before);
    assert!(grown < 64 << 10, "the peak grew by {grown} KiB");
    assert_eq!(server.client().call("GET", "sys/health", None).status, 200);
}

#[test]
fn a_005_policy_checks_hold_no_memory() {
    let (server, _, mut root) = serving(Config { quiet: true, ..Config::default() });
    let user = token(&mut root, "p", "path \"transit/encrypt/k\" { capabilities = [\"update\"] }");
    let round = || {
        std::thread::scope(|scope| {
            for worker in 0..8 {
                let mut client = server.client().with_token(&user);
                scope.spawn(move || {
                    for n in 0..1000 {
                        let body = json!({"plaintext": "AAAA"});
                        let path =
                            if n % 2 == 0 { "transit/encrypt/k".to_owned() } else { format!("nothing/{worker}/{n}") };
                        let status = client.call("POST", &path, Some(&body)).status;
                        assert_eq!(status, if n % 2 == 0 { 200 } else { 403 });
                    }
                });
            }
        });
    };
    round();
    round();
    let before = memory(&server, "VmRSS:");
    round();
    round();
    let grown = memory(&server, "VmRSS:").saturating_sub(before);
    assert!(grown < 1024, "16,000 requests left {grown} KiB");
}

/// a key or a value of any size is stored whole or refused, and never brings the server down.
#[test]
fn a_009_keys_and_values_of_every_size_get_an_answer() {
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

/// no way of writing a path gets around a rule that denies it.
#[test]
fn a_011_a_denied_path_is_denied_in_every_spelling() {
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
            let answer = Client::raw(server.address(), request.as_bytes()).unwrap_or_default();
            let text = String::from_utf8_lossy(&answer);
            assert!(!text.contains("hush\""), "{method} {spelling}: {text}");
        }
    }
    let kept = root.call("GET", "kv/metadata/a/hush", None).json().expect("JSON");
    assert_eq!(kept["data"]["current_version"], 1, "nothing was written");
    assert_eq!(kept["data"]["versions"]["1"]["deletion_time"], "", "nothing was deleted");
}

#[test]
fn a_015_no_answer_is_kept_on_its_way() {
    let (server, init, mut root) = serving(Config::default());
    root.call("POST", "kv/data/s", Some(&json!({"data": {"a": "b"}})));
    let mut nobody = server.client();
    for (known, method, path, body) in [
        (true, "POST", "auth/token/create", Some(json!({"ttl": "1m"}))),
        (true, "GET", "auth/token/lookup-self", None),
        (true, "GET", "kv/data/s", None),
        (true, "POST", "transit/datakey/plaintext/k", None),
        (true, "POST", "transit/encrypt/k", Some(json!({"plaintext": "AAAA"}))),
        (true, "POST", "sys/tools/random", None),
        (true, "GET", "nosuch/path", None),
        (false, "GET", "kv/data/s", None),
        (false, "GET", "sys/seal-status", None),
        (false, "PUT", "sys/unseal", Some(json!({"key": init.shares[0]}))),
        (false, "GET", "sys/health", None),
    ] {
        let client = if known { &mut root } else { &mut nobody };
        let reply = client.call(method, path, body.as_ref());
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{method} {path}: {}", reply.status);
    }
}

#[test]
fn a_017_many_requests_at_once_break_nothing() {
    let (server, init, mut root) = serving(Config { audit: true, ..Config::default() });
    let user = token(&mut root, "p", "path \"transit/*\" { capabilities = [\"create\", \"update\", \"read\"] }");
    std::thread::scope(|scope| {
        for worker in 0..300_usize {
            let (server, user, root) = (&server, &user, &init.root);
            scope.spawn(move || {
                let mut client = server.client().with_token(if worker.is_multiple_of(3) { root } else { user });
                for n in 0..20 {
                    let (method, path, body) = match (worker + n) % 6 {
                        0 => ("POST", "transit/encrypt/k".to_owned(), Some(json!({"plaintext": "AAAA"}))),
                        1 => ("POST", format!("transit/encrypt/w{worker}"), Some(json!({"plaintext": "AAAA"}))),
                        2 => ("GET", "auth/token/lookup-self".to_owned(), None),
                        3 => ("POST", format!("kv/data/{worker}"), Some(json!({"data": {"n": n}}))),
                        4 => ("GET", "sys/health".to_owned(), None),
                        _ => ("POST", "transit/decrypt/k".to_owned(), Some(json!({"ciphertext": "x"}))),
                    };
                    let reply = client.call(method, &path, body.as_ref());
                    assert!(reply.status < 500, "{method} {path}: {} {}", reply.status, reply.text());
                }
            });
        }
    });
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

/// Every write of `sys/` and of what is mounted, with every field of the wrong kind.
#[test]
fn a_019_no_field_of_any_kind_is_an_error_of_ours() {
    let (server, _, mut root) = serving(Config { audit: true, ..Config::default() });
    let document = root.call("GET", "sys/internal/specs/openapi", None).json().expect("JSON");
    let mut tried = 0;
    for (template, item) in document["paths"].as_object().expect("paths") {
        if item.get("post").is_none() || matches!(template.as_str(), "/sys/seal" | "/sys/init" | "/sys/unseal") {
            continue;
        }
        let path = filled(template);
        let mut names: BTreeSet<String> = BTreeSet::new();
        fields(&document, &item["post"], &mut names);
        for value in [
            "null",
            "5",
            "-1",
            "\"x\"",
            "true",
            "[]",
            "{}",
            "[[1]]",
            "\"\"",
            "1e300",
            "18446744073709551616",
            "\"\\u0000\"",
        ] {
            let members: Vec<String> = names.iter().map(|name| format!("\"{name}\":{value}")).collect();
            let body = format!("{{{}}}", members.join(","));
            let headers = [("X-Vault-Token".to_owned(), root.token.clone().expect("a token"))];
            let reply = root.send("POST", &format!("/v1{path}"), &headers, Some(body.as_bytes())).expect("an answer");
            assert!(reply.status < 500, "{path} with {value} everywhere: {} {}", reply.status, reply.text());
            tried += 1;
        }
    }
    let mut nobody = server.client();
    for path in ["sys/init", "sys/unseal"] {
        for value in [json!(null), json!(5), json!(true), json!([]), json!({}), json!([[1]]), json!(-1), json!(1e300)] {
            let body =
                json!({"key": value, "reset": value, "secret_shares": value, "recovery_shares": value, "epoch": value});
            let reply = nobody.call("PUT", path, Some(&body));
            assert!(reply.status < 500, "{path} with {value}: {} {}", reply.status, reply.text());
        }
    }
    assert!(tried >= 300, "{tried} requests");
    assert_eq!(nobody.call("GET", "sys/health", None).status, 200);
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

/// A template with something in each of its places.
fn filled(template: &str) -> String {
    let parts = template.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// The names of a request's fields, wherever the document keeps them.
fn fields(document: &Value, post: &Value, into: &mut BTreeSet<String>) {
    let schema = &post["requestBody"]["content"]["application/json"]["schema"];
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(schema),
        None => schema,
    };
    into.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
}

#[test]
fn a_021_and_a_023_nothing_is_done_without_a_token() {
    let (server, _, mut root) = serving(Config::default());
    let mut nobody = server.client();
    for path in [
        "sys/generate-root/attempt",
        "sys/generate-root/update",
        "sys/rekey/init",
        "sys/rekey/update",
        "sys/rekey-recovery-key/init",
        "sys/rekey/backup",
        "sys/generate-recovery-token/attempt",
        "sys/step-down",
        "sys/storage/raft/remove-peer",
        "sys/storage/raft/snapshot",
        "sys/replication/dr/secondary/promote",
        "sys/license/status",
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "LIST", "PATCH"] {
            let reply = nobody.call(method, path, None);
            assert!(
                matches!(reply.status, 400 | 403 | 404 | 405),
                "{method} {path}: {} {}",
                reply.status,
                reply.text()
            );
            assert!(reply.json().is_none_or(|json| json.get("nonce").is_none()), "{method} {path}: {}", reply.text());
        }
    }
    let document = root.call("GET", "sys/internal/specs/openapi", None).json().expect("JSON");
    // What anybody may ask; the rest answers as if it were not there.
    let open = ["/sys/health", "/sys/seal-status", "/sys/init", "/sys/unseal", "/sys/leader", "/sys/seal-tree"];
    let also = ["/sys/internal/specs/openapi", "/sys/internal/ui/mounts"];
    let (mut open_seen, mut closed) = (0, 0);
    for (template, item) in document["paths"].as_object().expect("paths") {
        for verb in item
            .as_object()
            .expect("operations")
            .keys()
            .filter(|verb| ["get", "post", "delete", "patch"].contains(&verb.as_str()))
        {
            let token = [("X-Vault-Token".to_owned(), "hvs.000000000000000000000000".to_owned())];
            for headers in [&[][..], &token[..]] {
                let patch = ("Content-Type".to_owned(), "application/merge-patch+json".to_owned());
                let headers: Vec<_> = headers.iter().cloned().chain((verb == "patch").then_some(patch)).collect();
                let reply = nobody.send(&verb.to_uppercase(), &format!("/v1{}", filled(template)), &headers, None);
                let status = reply.expect("an answer").status;
                if open.contains(&template.as_str()) || also.contains(&template.as_str()) {
                    open_seen += 1;
                    assert!(status < 500, "{verb} {template}: {status}");
                } else {
                    closed += 1;
                    assert_eq!(status, 403, "{verb} {template}");
                }
            }
        }
    }
    assert!(open_seen >= 12 && closed >= 100, "{open_seen} open, {closed} closed");
}

#[test]
fn a_025_what_anybody_may_read_holds_documented_fields_alone() {
    let (server, ..) = serving(Config::default());
    let mut nobody = server.client();
    for (path, fields) in [
        (
            "sys/leader",
            "active_time ha_enabled is_self leader_address leader_cluster_address performance_standby \
            performance_standby_last_remote_wal",
        ),
        ("sys/init", "initialized"),
        (
            "sys/health",
            "clock_skew_ms cluster_id cluster_name echo_duration_ms enterprise initialized performance_standby \
            replication_dr_mode replication_performance_mode replication_primary_canary_age_ms sealed server_time_utc standby version",
        ),
        (
            "sys/seal-status",
            "build_date cluster_id cluster_name commit_date epoch epoch_words initialized migration n nonce progress \
            recovery_seal rollback sealed storage_type t type version warnings",
        ),
    ] {
        let json = nobody.call("GET", path, None).json().expect("JSON");
        let allowed: BTreeSet<&str> = fields.split_whitespace().collect();
        for name in json.as_object().expect("an object").keys() {
            assert!(allowed.contains(name.as_str()), "{path} shows {name}");
        }
    }
}

#[test]
fn a_073_a_child_has_no_policy_that_its_parent_lacks() {
    let (server, _, mut root) = serving(Config::default());
    root.call("PUT", "sys/policies/acl/other", Some(&json!({"policy": "path \"kv/*\" { capabilities = [\"read\"] }"})));
    let user = token(&mut root, "p", "path \"auth/token/create*\" { capabilities = [\"update\"] }");
    let mut parent = server.client().with_token(&user);
    for policies in [
        json!(["root"]),
        json!(["other"]),
        json!(["default"]),
        json!(["p", "other"]),
        json!(["ROOT"]),
        json!([" root"]),
        json!(["p,root"]),
    ] {
        let reply = parent.call("POST", "auth/token/create", Some(&json!({ "policies": policies })));
        assert_eq!(reply.status, 400, "{policies}: {}", reply.text());
    }
    for body in [json!({}), json!({"policies": ["p"]}), json!({"policies": []})] {
        let reply = parent.call("POST", "auth/token/create", Some(&body));
        let held = reply.json().expect("JSON")["auth"]["policies"].clone();
        assert_eq!((reply.status, held), (200, json!(["p"])), "{body}");
    }
}

#[test]
fn a_091_what_was_taken_away_is_gone_at_the_next_request() {
    let (server, _, mut root) = serving(Config::default());
    let user = token(&mut root, "p", "path \"transit/*\" { capabilities = [\"update\"] }");
    let mut client = server.client().with_token(&user);
    let sealed = client.call("POST", "transit/encrypt/k", Some(&json!({"plaintext": "AAAA"}))).json().expect("JSON");
    let sealed = json!({"ciphertext": sealed["data"]["ciphertext"]});
    assert_eq!(client.call("POST", "transit/decrypt/k", Some(&sealed)).status, 200);
    // A version below the least, a policy, a mount, a token.
    root.call("POST", "transit/keys/k/rotate", None);
    root.call("POST", "transit/keys/k/config", Some(&json!({"min_decryption_version": 2})));
    assert_eq!(client.call("POST", "transit/decrypt/k", Some(&sealed)).status, 400, "the version");
    root.call("POST", "transit/keys/k/config", Some(&json!({"min_decryption_version": 1})));
    assert_eq!(client.call("POST", "transit/decrypt/k", Some(&sealed)).status, 200);
    let none = json!({"policy": "path \"transit/*\" { capabilities = [\"deny\"] }"});
    root.call("PUT", "sys/policies/acl/p", Some(&none));
    assert_eq!(client.call("POST", "transit/decrypt/k", Some(&sealed)).status, 403, "the policy");
    assert_eq!(root.call("DELETE", "sys/mounts/transit", None).status, 204);
    assert_eq!(root.call("POST", "transit/decrypt/k", Some(&sealed)).status, 404, "the mount");
    assert_eq!(root.call("POST", "auth/token/revoke", Some(&json!({ "token": user }))).status, 204);
    assert_eq!(client.call("GET", "auth/token/lookup-self", None).status, 403, "the token");
}
