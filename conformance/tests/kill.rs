//! kill -9 at random under 64 clients: every answer that was received has its stored row and its audit line, whatever the
//! moment. 20 kills here; `KILLS=1000` for the long run (`make soak`), whose result stands under `docs/results/`.

use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use strongroom_conformance::server::Storage;
use strongroom_conformance::{Client, TestServer};

const CLIENTS: usize = 64;

/// What clients were told: durable writes by key name, and encryptions by their ciphertext's version.
#[derive(Default)]
struct Acknowledged {
    /// Key → latest version that an answer named.
    versions: HashMap<String, u64>,
    /// Request ids of all 200 and 204 answers that carry one.
    requests: HashSet<String>,
}

#[test]
fn nothing_that_was_answered_is_lost_to_a_kill() {
    let kills: u64 = std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let (mut server, init, _token) = TestServer::on_a_token(Storage::Embedded, true);
    let mut root = server.client().with_token(&init.root);
    assert_eq!(root.call("POST", "sys/mounts/transit", Some(&json!({"type": "transit"}))).status, 204);
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let answers = Arc::new(AtomicU64::new(0));
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    for kill in 0..kills {
        let stop = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = (0..CLIENTS)
            .map(|worker| {
                let client = server.client().with_token(&init.root);
                let (stop, acknowledged, answers) = (stop.clone(), acknowledged.clone(), answers.clone());
                std::thread::spawn(move || work(client, worker, &stop, &acknowledged, &answers))
            })
            .collect();
        // An xorshift is enough to spread kills over the flushes.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(Duration::from_millis(30 + seed % 400));
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().expect("a client does not panic");
        }
        server.restart();
        server.wait_active(Duration::from_secs(20));
        check(&server, &init.root, &acknowledged.lock().expect("no holder panics"), kill);
    }
    let held = acknowledged.lock().expect("no holder panics");
    println!(
        "{kills} kills, {} answers, {} keys, {} audited request ids: none lost",
        answers.load(Ordering::Relaxed),
        held.versions.len(),
        held.requests.len()
    );
    assert!(answers.load(Ordering::Relaxed) > kills * 100, "the clients were answered");
    let mut root = server.client().with_token(&init.root);
    let verified = root.call("POST", "sys/integrity/verify", None);
    assert_eq!(verified.status, 200, "{}", verified.text());
}

/// Rotates keys of its own and encrypts with them until the server is gone.
fn work(mut client: Client, worker: usize, stop: &AtomicBool, acknowledged: &Mutex<Acknowledged>, answers: &AtomicU64) {
    let key = format!("k{worker}");
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let (path, body) = match number % 4 {
            0 => (format!("transit/keys/{key}/rotate"), None),
            _ => (format!("transit/encrypt/{key}"), Some(json!({"plaintext": "AAECAwQFBgcICQoLDA0ODw=="}))),
        };
        let Ok(reply) = client.try_call("POST", &path, body.as_ref()) else { return };
        if reply.status != 200 {
            continue;
        }
        answers.fetch_add(1, Ordering::Relaxed);
        let json = reply.json().expect("a 200 holds JSON");
        let version = json["data"]["latest_version"].as_u64().or(json["data"]["key_version"].as_u64());
        let mut held = acknowledged.lock().expect("no holder panics");
        if let Some(version) = version {
            let latest = held.versions.entry(key.clone()).or_default();
            *latest = version.max(*latest);
        }
        held.requests.insert(json["request_id"].as_str().expect("an answer has a request id").to_owned());
    }
}

fn check(server: &TestServer, root: &str, acknowledged: &Acknowledged, kill: u64) {
    let mut client = server.client().with_token(root);
    for (key, version) in &acknowledged.versions {
        let reply = client.call("GET", &format!("transit/keys/{key}"), None);
        let latest = reply.json().and_then(|json| json["data"]["latest_version"].as_u64());
        assert!(
            latest >= Some(*version),
            "kill {kill}: {key} was acknowledged at {version}, and is at {latest:?}: {}",
            reply.text()
        );
    }
    let file = std::fs::File::open(server.directory().join("audit.log")).expect("the audit file");
    let mut missing: HashSet<&str> = acknowledged.requests.iter().map(String::as_str).collect();
    for line in BufReader::new(file).split(b'\n') {
        // The line that the kill cut short is no JSON.
        let Ok(entry) = serde_json::from_slice::<serde_json::Value>(&line.expect("the audit file can be read")) else {
            continue;
        };
        if entry["type"] == "response"
            && let Some(id) = entry["request"]["id"].as_str()
        {
            missing.remove(id);
        }
    }
    assert!(missing.is_empty(), "kill {kill}: {} answers have no audit line", missing.len());
}
