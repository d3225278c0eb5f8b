//! kill -9 at random under 64 clients of the benchmark's own configuration: every answer that was received has its stored
//! row and its audit line, whatever the moment. 20 kills here; `KILLS=1000` for the long run (`make soak`), whose result
//! stands in `docs/results/soak.md`.
//!
//! After each kill only what is new is checked, so that a run costs the same for every kill; all of it once at the end.

use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use strongroom_conformance::server::{Config, Initialised, Storage, keygen};
use strongroom_conformance::{Client, SoftToken, TestServer};

const CLIENTS: usize = 64;
/// Kills after which each client begins a key of its own anew: a key that is rotated for ever grows for ever.
const KILLS_PER_KEY: u64 = 8;
const PLAINTEXT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What one client was told.
#[derive(Default)]
struct Told {
    keys: BTreeMap<String, Key>,
    /// Request ids of all answers.
    answers: HashSet<u128>,
    /// Answers to rotations and first uses, each of which is a durable write.
    writes: u64,
    /// The first answer that was no 200.
    refused: Option<String>,
}

/// What a client knows of one of its keys.
#[derive(Default)]
struct Key {
    /// The latest version that an answer named.
    version: u64,
    /// The last answered encryption.
    ciphertext: String,
}

impl Told {
    fn merge(&mut self, other: Told) {
        for (name, key) in other.keys {
            self.keys.insert(name, key);
        }
        self.answers.extend(other.answers);
        self.writes += other.writes;
    }
}

#[test]
fn nothing_that_was_answered_is_lost_to_a_kill() {
    let kills: u64 = std::env::var("KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let (mut server, init, _token) = server();
    let user = policy_bound_token(&server, &init.root);
    let log = server.directory().join("audit.log");
    let (mut all, mut audit) = (Told::default(), AuditReader::new(&log));
    let mut slowest = Duration::ZERO;
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    for kill in 0..kills {
        // An xorshift is enough to spread kills over the flushes.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let told = load_until_killed(&mut server, &user, kill, Duration::from_millis(30 + seed % 400));
        assert_eq!(told.refused, None, "kill {kill}: an answer is no 200");
        let begun = Instant::now();
        server.restart();
        server.wait_active(Duration::from_secs(30));
        slowest = slowest.max(begun.elapsed());
        check_keys(&server, &user, &told.keys, kill);
        let mut missing = told.answers.clone();
        audit.read_on(|id| {
            missing.remove(&id);
        });
        assert!(missing.is_empty(), "kill {kill}: {} answers have no audit line", missing.len());
        all.merge(told);
        if kill % 50 == 49 {
            println!("{} kills, {} answers, {} durable writes", kill + 1, all.answers.len(), all.writes);
        }
    }
    let answers = all.answers.len();
    assert!(answers as u64 > kills * 100, "{answers} answers are too few to say anything");
    assert!(all.writes > kills * 20, "{} durable writes are too few to say anything", all.writes);
    // Whole, once: what a later start might have undone.
    check_keys(&server, &user, &all.keys, kills);
    let mut whole = AuditReader::new(&log);
    whole.read_on(|id| {
        all.answers.remove(&id);
    });
    assert!(all.answers.is_empty(), "{} answers have no audit line at the end", all.answers.len());
    // A kill may cut one line of each write that was going on.
    assert!(whole.torn <= kills * CLIENTS as u64, "{} audit lines are no JSON", whole.torn);
    let mut root = server.client().with_token(&init.root);
    let verified = root.call("POST", "sys/integrity/verify", None);
    assert_eq!(verified.status, 200, "{}", verified.text());
    println!(
        "{kills} kills, {answers} answers, {} durable writes, {} keys, {} audit lines cut: none lost; slowest start to active {slowest:?}; {}",
        all.writes,
        all.keys.len(),
        whole.torn,
        verified.text().trim()
    );
}

/// The benchmark's configuration (embedded storage, file audit, no debug log), and a token that unseals it after a kill.
fn server() -> (TestServer, Initialised, SoftToken) {
    let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let token = SoftToken::new(directory.path(), "root");
    let config = Config {
        storage: Storage::Embedded,
        audit: true,
        quiet: true,
        stanzas: token.stanza("hsm"),
        environment: token.environment(),
    };
    keygen(directory.path(), &config, "hsm");
    let mut server = TestServer::start_in(directory, config);
    let init = server.initialise(&json!({"recovery_shares": 1, "recovery_threshold": 1}));
    server.wait_active(Duration::from_secs(10));
    (server, init, token)
}

/// A token with the benchmark's number of policies.
fn policy_bound_token(server: &TestServer, root: &str) -> String {
    let mut root = server.client().with_token(root);
    assert_eq!(root.call("POST", "sys/mounts/transit", Some(&json!({"type": "transit"}))).status, 204);
    let write = r#"path "transit/encrypt/*" { capabilities = ["create", "update"] }
        path "transit/keys/+/rotate" { capabilities = ["update"] }"#;
    let read =
        r#"path "transit/decrypt/*" { capabilities = ["update"] } path "transit/keys/*" { capabilities = ["read"] }"#;
    for (name, policy) in [("kill-write", write), ("kill-read", read)] {
        assert_eq!(
            root.call("PUT", &format!("sys/policies/acl/{name}"), Some(&json!({ "policy": policy }))).status,
            204
        );
    }
    let body = json!({"policies": ["kill-write", "kill-read"], "no_default_policy": true, "ttl": "24h"});
    let reply = root.call("POST", "auth/token/create", Some(&body));
    reply.json().expect("JSON")["auth"]["client_token"].as_str().expect("a token").to_owned()
}

/// Lets the clients work for `span`, then kills the server under them; gives what they were told.
fn load_until_killed(server: &mut TestServer, user: &str, kill: u64, span: Duration) -> Told {
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..CLIENTS)
        .map(|worker| {
            let client = server.client().with_token(user);
            let key = format!("k{worker}-{}", kill / KILLS_PER_KEY);
            let (stop, answered) = (stop.clone(), answered.clone());
            std::thread::spawn(move || work(client, key, &stop, &answered))
        })
        .collect();
    // Not before somebody was answered: on a busy machine 64 threads take their time.
    while answered.load(Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    std::thread::sleep(span);
    server.kill();
    stop.store(true, Ordering::Relaxed);
    let mut all = Told::default();
    for worker in workers {
        let told = worker.join().expect("a client does not panic");
        all.refused = all.refused.or(told.refused.clone());
        all.merge(told);
    }
    all
}

/// Rotates a key of its own and encrypts with it until the server is gone.
fn work(mut client: Client, name: String, stop: &AtomicBool, answered: &AtomicU64) -> Told {
    let mut told = Told::default();
    let mut key = Key::default();
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let rotate = number.is_multiple_of(4);
        let reply = match rotate {
            true => client.try_call("POST", &format!("transit/keys/{name}/rotate"), None),
            false => {
                client.try_call("POST", &format!("transit/encrypt/{name}"), Some(&json!({"plaintext": PLAINTEXT})))
            }
        };
        let Ok(reply) = reply else { break };
        if reply.status != 200 {
            told.refused = Some(format!("{}: {}", reply.status, reply.text()));
            break;
        }
        answered.fetch_add(1, Ordering::Relaxed);
        let json = reply.json().expect("a 200 holds JSON");
        let version = json["data"][if rotate { "latest_version" } else { "key_version" }].as_u64();
        key.version = key.version.max(version.expect("an answer names the key's version"));
        told.writes += u64::from(rotate || number == 1);
        if let Some(ciphertext) = json["data"]["ciphertext"].as_str() {
            key.ciphertext = ciphertext.to_owned();
        }
        told.answers.insert(request_id(&json["request_id"]).expect("an answer has a request id"));
    }
    if key.version > 0 {
        told.keys.insert(name, key);
    }
    told
}

/// Each key is as new as an answer said, and what was encrypted decrypts.
fn check_keys(server: &TestServer, user: &str, keys: &BTreeMap<String, Key>, kill: u64) {
    let mut client = server.client().with_token(user);
    for (name, key) in keys {
        let reply = client.call("GET", &format!("transit/keys/{name}"), None);
        let latest = reply.json().and_then(|json| json["data"]["latest_version"].as_u64());
        assert!(
            latest >= Some(key.version),
            "kill {kill}: {name} was acknowledged at {}, and is at {latest:?}: {}",
            key.version,
            reply.text()
        );
        if !key.ciphertext.is_empty() {
            let body = json!({"ciphertext": key.ciphertext});
            let reply = client.call("POST", &format!("transit/decrypt/{name}"), Some(&body));
            let plaintext = reply.json().map(|json| json["data"]["plaintext"].clone());
            assert_eq!(plaintext, Some(json!(PLAINTEXT)), "kill {kill}: {name}: {}", reply.text());
        }
    }
}

/// The audit file, read from where the last reading ended.
struct AuditReader {
    file: BufReader<File>,
    /// Where the first line that is not whole begins.
    offset: u64,
    /// Lines that are no JSON: what a kill cut short.
    torn: u64,
}

impl AuditReader {
    fn new(path: &Path) -> Self {
        let file = BufReader::with_capacity(1 << 20, File::open(path).expect("the audit file"));
        AuditReader { file, offset: 0, torn: 0 }
    }

    /// Calls `answered` with the request id of each response.
    fn read_on(&mut self, mut answered: impl FnMut(u128)) {
        self.file.seek(SeekFrom::Start(self.offset)).expect("the audit file can be read");
        let mut line = Vec::with_capacity(4096);
        loop {
            line.clear();
            let length = self.file.read_until(b'\n', &mut line).expect("the audit file can be read");
            if line.last() != Some(&b'\n') {
                return;
            }
            self.offset += length as u64;
            match serde_json::from_slice::<Line>(&line) {
                Ok(line) if line.kind == "response" => {
                    line.request.id.and_then(|id| parse_id(&id)).into_iter().for_each(&mut answered)
                }
                Ok(_) => {}
                Err(_) => self.torn += 1,
            }
        }
    }
}

/// What the check needs of a line.
#[derive(serde::Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    request: Asked,
}

#[derive(serde::Deserialize)]
struct Asked {
    id: Option<String>,
}

fn request_id(value: &Value) -> Option<u128> {
    parse_id(value.as_str()?)
}

/// A UUID's bits: a sixth of its text, of which there are millions.
fn parse_id(text: &str) -> Option<u128> {
    u128::from_str_radix(&text.replace('-', ""), 16).ok()
}
