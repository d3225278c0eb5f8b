//! What must never be found: secrets in the log at trace level, in the audit file, in the memory of a sealed server, and,
//! while it is unsealed, the root key anywhere that the kernel lets root look.

use serde_json::json;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;
use strongroom_conformance::TestServer;
use strongroom_conformance::server::{Config, Storage};

/// Where in the process's memory one of `needles` stands: index of the needle and the name of its mapping.
fn found(pid: u32, needles: &[(&'static str, Vec<u8>)]) -> Vec<(&'static str, String)> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("the maps can be read: run as root");
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("the memory can be opened: run as root");
    let mut hits = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        let name = fields.nth(3).unwrap_or("anonymous").to_owned();
        // Kernel pages that cannot be read as memory.
        if !rights.starts_with('r') || name.starts_with("[vvar") || name.starts_with("[vsyscall") {
            continue;
        }
        let Some((low, high)) = range.split_once('-') else { continue };
        let (Ok(low), Ok(high)) = (u64::from_str_radix(low, 16), u64::from_str_radix(high, 16)) else { continue };
        let mut bytes = vec![0; usize::try_from(high - low).expect("a mapping fits")];
        // Secret pages give EIO: that is the point. Page by page, since one bad page fails a whole read.
        for (number, page) in bytes.chunks_mut(4096).enumerate() {
            let read = memory.seek(SeekFrom::Start(low + number as u64 * 4096)).and_then(|_| memory.read_exact(page));
            if read.is_err() {
                page.fill(0);
            }
        }
        for (label, needle) in needles {
            if bytes.windows(needle.len()).any(|window| window == needle.as_slice()) {
                hits.push((*label, name.clone()));
            }
        }
    }
    hits
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|text| text.lines().any(|line| line.starts_with("Uid:\t0\t")))
}

#[test]
fn the_root_key_is_out_of_roots_reach_while_unsealed_and_nothing_is_left_once_sealed() {
    if !is_root() {
        println!("skipped, 1 test: searching another process's memory needs root");
        return;
    }
    let (server, init) = TestServer::unsealed(Config { audit: true, ..Config::default() });
    let mut root = server.client().with_token(&init.root);
    root.call("POST", "sys/mounts/transit", Some(&json!({"type": "transit"})));
    root.call("POST", "transit/keys/k", Some(&json!({"exportable": true})));
    let exported = root.call("GET", "transit/export/encryption-key/k", None).json().expect("JSON");
    let key = exported["data"]["keys"]["1"].as_str().expect("an exported key").to_owned();
    use base64::Engine;
    let standard = base64::engine::general_purpose::STANDARD;
    // Longer than a hash's block: such a block on the stack may hold the end of what was hashed, which is not promised
    // (docs/decisions/0003-key-pages.md).
    let plaintext: String = (0..12).map(|number| format!("meet me at vault {number} ")).collect();
    let encoded = standard.encode(&plaintext);
    for _ in 0..50 {
        let reply = root.call("POST", "transit/encrypt/k", Some(&json!({"plaintext": encoded})));
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    // One share of one is the root key itself.
    let share = &init.shares[0];
    let raw = hex::decode(share).expect("a share is hex");
    let root_key = [("root key", raw), ("root key in hex", share.clone().into_bytes())];
    let hits = found(server.pid(), &root_key);
    assert!(hits.is_empty(), "unsealed: {hits:?}");

    assert_eq!(root.call("PUT", "sys/seal", None).status, 204);
    let raw = standard.decode(&key).expect("an exported key is base64");
    let mut needles = root_key.to_vec();
    needles.extend([
        ("data key", raw),
        ("data key in base64", key.into_bytes()),
        ("plaintext", plaintext.into_bytes()),
        ("plaintext in base64", encoded.into_bytes()),
        ("root token", init.root.clone().into_bytes()),
    ]);
    // Connections that were open at the seal end on their own; what they held goes with them.
    let end = std::time::Instant::now() + Duration::from_secs(10);
    let mut hits = found(server.pid(), &needles);
    while !hits.is_empty() && std::time::Instant::now() < end {
        hits = found(server.pid(), &needles);
    }
    assert!(hits.is_empty(), "sealed: {hits:?}");
}

#[test]
fn a_server_s_key_pages_are_locked() {
    if !is_root() {
        println!("skipped, 1 test: what a server has locked is for root to see");
        return;
    }
    let (server, _) = TestServer::unsealed(Config::default());
    // T-32: as the kernel accounts it, at least one region of key pages is locked, and none of it swapped.
    let maps = std::fs::read_to_string(format!("/proc/{}/smaps", server.pid())).expect("root reads the maps");
    let mut locked = 0;
    let mut size = 0;
    let mut swapped = String::new();
    for line in maps.lines() {
        let number = |text: &str| text.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0);
        if let Some(text) = line.strip_prefix("Size:") {
            size = number(text);
        } else if let Some(text) = line.strip_prefix("Swap:") {
            swapped = text.trim().to_owned();
        } else if let Some(flags) = line.strip_prefix("VmFlags:")
            && flags.split(' ').any(|flag| flag == "lo")
        {
            locked += size;
            assert_eq!(swapped, "0 kB");
        }
    }
    assert!(locked >= 64, "{locked} KiB are locked");
}

/// Soft and hard limit of the size of a process's core file. Where the file would lie is the machine's own affair, and
/// often no place that a test can look at.
fn core_limits(process: &str) -> (String, String) {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).expect("the limits can be read");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("a line for cores");
    let mut fields = line.split_whitespace().map(str::to_owned);
    (fields.next().expect("a soft limit"), fields.next().expect("a hard limit"))
}

#[test]
fn a_server_can_leave_no_core() {
    let (server, _) = TestServer::unsealed(Config::default());
    assert_eq!(core_limits(&server.pid().to_string()), ("0".to_owned(), "0".to_owned()));
    if core_limits("self").1 == "0" {
        println!("skipped in effect: this machine allows cores to no process");
    }
}

#[test]
fn no_secret_stands_in_the_log_at_trace_level_in_the_audit_file_or_in_the_store() {
    let (mut server, init, _token) = TestServer::on_a_token(Storage::Embedded, true);
    let mut root = server.client().with_token(&init.root);
    root.call("POST", "sys/mounts/canary-mount", Some(&json!({"type": "transit"})));
    root.call("POST", "canary-mount/keys/canary-key", Some(&json!({"exportable": true})));
    let exported = root.call("GET", "canary-mount/export/encryption-key/canary-key", None).json().expect("JSON");
    let key = exported["data"]["keys"]["1"].as_str().expect("an exported key").to_owned();
    let plaintext = "Y2FuYXJ5IHBsYWludGV4dA==";
    let encrypted = root.call("POST", "canary-mount/encrypt/canary-key", Some(&json!({"plaintext": plaintext})));
    let ciphertext = encrypted.json().expect("JSON")["data"]["ciphertext"].as_str().expect("a ciphertext").to_owned();
    root.call("POST", "canary-mount/decrypt/canary-key", Some(&json!({"ciphertext": ciphertext})));
    let made =
        root.call("POST", "auth/token/create", Some(&json!({"policies": ["default"], "meta": {"a": "canary-meta"}})));
    let token = made.json().expect("JSON")["auth"]["client_token"].as_str().expect("a token").to_owned();
    let mut other = server.client().with_token(&token);
    other.call("GET", "auth/token/lookup-self", None);
    assert_eq!(other.call("GET", "canary-mount/keys/canary-key", None).status, 403);
    // Malformed and misplaced ones too.
    other.call("POST", "canary-mount/encrypt/canary-key", Some(&json!({"plaintext": ["canary plaintext"]})));
    root.call("POST", "auth/token/create", Some(&json!({"ttl": {"canary": "canary plaintext"}})));
    for secret in [key.as_str(), plaintext, "canary plaintext", &token] {
        server.must_stay_secret(secret);
    }
    server.assert_no_secret_leaked();
    server.stop();

    let store = server.directory().join("store");
    let mut bytes = Vec::new();
    for entry in walk(&store) {
        bytes.extend(std::fs::read(entry).expect("the store can be read"));
    }
    assert!(bytes.len() > 4096, "the store lies where it was looked for");
    let visible = [
        "canary-mount",
        "canary-key",
        "canary-meta",
        "canary plaintext",
        plaintext,
        &token,
        &init.root,
        "hvs.",
        "transit",
        "policies",
        "default",
        "lookup-self",
    ];
    for word in visible {
        assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "the store shows {word:?}");
    }
}

fn walk(path: &std::path::Path) -> Vec<std::path::PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).expect("the store's directory");
    entries.flat_map(|entry| walk(&entry.expect("an entry").path())).collect()
}
