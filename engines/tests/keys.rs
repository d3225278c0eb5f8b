//! What a key promises over its life: versions, minima, deletion, concurrent changes, restarts, rotation by time.

mod common;

use common::{Host, block_on};
use serde_json::{Value, json};
use std::time::Duration;

const TEXT: &str = "aGVsbG8gd29ybGQ=";

fn encrypt(host: &Host, name: &str) -> String {
    host.ok("POST", &format!("encrypt/{name}"), json!({"plaintext": TEXT}))["ciphertext"].as_str().unwrap().to_owned()
}

fn decrypts(host: &Host, name: &str, ciphertext: &str) -> bool {
    let (status, reply) = host.http("POST", &format!("decrypt/{name}"), &json!({"ciphertext": ciphertext}).to_string());
    status == 200 && reply["data"]["plaintext"] == TEXT
}

#[test]
fn concurrent_rotations_and_settings_lose_nothing() {
    let host = Host::new();
    host.ok("POST", "keys/k", json!({}));
    const EACH: usize = 25;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let host = &host;
            scope.spawn(move || {
                for _ in 0..EACH {
                    host.ok("POST", "keys/k/rotate", json!({}));
                    if thread == 0 {
                        host.ok("POST", "keys/k/config", json!({"deletion_allowed": true}));
                    }
                }
            });
            scope.spawn(move || {
                for _ in 0..EACH {
                    let sealed = encrypt(host, "k");
                    assert!(decrypts(host, "k", &sealed), "{sealed}");
                }
            });
        }
    });
    let key = host.ok("GET", "keys/k", Value::Null);
    assert_eq!(key["latest_version"], 1 + 4 * EACH);
    assert_eq!(key["deletion_allowed"], true);
    assert_eq!(key["keys"].as_object().unwrap().len(), 1 + 4 * EACH);
}

#[test]
fn a_restart_finds_every_version_and_two_backends_see_each_others_changes() {
    let host = Host::new();
    let first = encrypt_with_new_key(&host, "k");
    host.ok("POST", "keys/k/rotate", json!({}));
    let second = encrypt(&host, "k");
    assert!(first.starts_with("vault:v1:") && second.starts_with("vault:v2:"));
    let other = Host::over(host.view.clone());
    assert!(decrypts(&other, "k", &first) && decrypts(&other, "k", &second));
    other.ok("POST", "keys/k/config", json!({"min_decryption_version": 2}));
    assert!(!decrypts(&host, "k", &first) && decrypts(&host, "k", &second), "a cached key is as new as its row");
    host.ok("POST", "keys/k/config", json!({"deletion_allowed": true}));
    host.ok("DELETE", "keys/k", Value::Null);
    assert_eq!(other.fails("POST", "decrypt/k", json!({"ciphertext": second})).1, "encryption key not found");
    host.ok("POST", "keys/k", json!({}));
    assert!(!decrypts(&other, "k", &second), "a new key of the same name is another key");
}

fn encrypt_with_new_key(host: &Host, name: &str) -> String {
    host.ok("POST", &format!("keys/{name}"), json!({}));
    encrypt(host, name)
}

#[test]
fn trimmed_versions_are_gone_from_the_store() {
    let host = Host::new();
    host.ok("POST", "keys/k", json!({"exportable": true, "allow_plaintext_backup": true}));
    let secret = host.ok("GET", "export/encryption-key/k/1", Value::Null)["keys"]["1"].as_str().unwrap().to_owned();
    host.ok("POST", "keys/k/rotate", json!({}));
    let stored = |host: &Host| block_on(host.view.get("key/k")).unwrap().unwrap().value.expose().to_vec();
    let secret = base64_simd::STANDARD.decode_to_vec(secret).unwrap();
    let holds = |row: &[u8]| row.windows(secret.len()).any(|window| window == secret);
    assert!(holds(&stored(&host)));
    host.ok("POST", "keys/k/config", json!({"min_decryption_version": 2, "min_encryption_version": 2}));
    for (asked, why) in [
        (json!(-1), "minimum available version cannot be decremented"),
        (json!(3), "minimum available version cannot be greater than minimum encryption version"),
    ] {
        assert_eq!(host.fails("POST", "keys/k/trim", json!({"min_available_version": asked})).1, why);
    }
    host.ok("POST", "keys/k/trim", json!({"min_available_version": 2}));
    assert!(!holds(&stored(&host)));
    let text = "min decryption version should not be less then min available version";
    assert_eq!(host.fails("POST", "keys/k/config", json!({"min_decryption_version": 1})).1, text);
    let backup = host.ok("GET", "backup/k", Value::Null)["backup"].clone();
    host.ok("POST", "restore/copy", json!({"backup": backup}));
    let sealed = encrypt(&host, "k");
    assert!(decrypts(&host, "copy", &sealed));
}

#[test]
fn what_is_given_away_cannot_be_taken_back_and_nothing_is_given_by_itself() {
    let host = Host::new();
    host.ok("POST", "keys/k", json!({}));
    for path in ["export/encryption-key/k", "export/hmac-key/k", "byok-export/k/k"] {
        assert_eq!(host.fails("GET", path, Value::Null).1, "private key material is not exportable", "{path}");
    }
    host.ok("POST", "keys/k/config", json!({"exportable": true}));
    assert_eq!(
        host.fails("GET", "backup/k", Value::Null),
        (500, "1 error occurred:\n\t* plaintext backup is disallowed on the policy\n\n".to_owned())
    );
    host.ok("POST", "keys/k/config", json!({"allow_plaintext_backup": true}));
    let after = host.ok("POST", "keys/k/config", json!({"exportable": false, "allow_plaintext_backup": false}));
    assert_eq!((&after["exportable"], &after["allow_plaintext_backup"]), (&json!(true), &json!(true)));
}

#[test]
fn keys_rotate_when_their_period_has_passed_and_not_before() {
    let host = Host::new();
    host.ok("POST", "keys/daily", json!({"auto_rotate_period": "24h"}));
    host.ok("POST", "keys/never", json!({}));
    host.ok("POST", "keys/out", json!({"auto_rotate_period": "24h"}));
    host.ok("DELETE", "keys/out/soft-delete", Value::Null);
    let versions = |name: &str| host.ok("GET", &format!("keys/{name}"), Value::Null)["latest_version"].clone();
    let start = host.clock.now();
    for (hours, want) in [(0, 1), (23, 1), (24, 2), (25, 2), (47, 2), (48, 3)] {
        host.clock.set(start.plus(Duration::from_secs(hours * 3600)));
        block_on(host.backend.tick(&host.cx())).unwrap();
        assert_eq!(versions("daily"), want, "after {hours} hours");
    }
    assert_eq!((versions("never"), versions("out")), (json!(1), json!(1)));
}

#[test]
fn a_spent_budget_refuses_to_encrypt_and_rotation_brings_a_new_one() {
    let host = Host::new();
    let sealed = encrypt_with_new_key(&host, "k");
    // The count of version 1 lies behind its number and its time.
    let mut row = block_on(host.view.get("key/k")).unwrap().unwrap().value.expose().to_vec();
    row[85..93].copy_from_slice(&((1u64 << 32) - 1).to_be_bytes());
    block_on(host.view.put("key/k", &row)).unwrap();
    let host = Host::over(host.view.clone());
    let last = encrypt(&host, "k");
    let (status, error) = host.fails("POST", "encrypt/k", json!({"plaintext": TEXT}));
    assert_eq!((status, error.contains("rotate the key")), (400, true), "{error}");
    assert!(decrypts(&host, "k", &sealed) && decrypts(&host, "k", &last), "what was sealed still opens");
    let row = block_on(host.view.get("key/k")).unwrap().unwrap().value.expose().to_vec();
    assert_eq!(row[85..93], (1u64 << 32).to_be_bytes(), "the count was written before the last message");
    let restarted = Host::over(host.view.clone());
    restarted.fails("POST", "encrypt/k", json!({"plaintext": TEXT}));
    restarted.ok("POST", "keys/k/rotate", json!({}));
    assert!(encrypt(&restarted, "k").starts_with("vault:v2:"));
}

#[test]
fn a_softly_deleted_key_does_nothing_until_it_is_restored() {
    let host = Host::new();
    let sealed = encrypt_with_new_key(&host, "k");
    host.ok("DELETE", "keys/k/soft-delete", Value::Null);
    for (method, path, body) in [
        ("POST", "encrypt/k", json!({"plaintext": TEXT})),
        ("POST", "decrypt/k", json!({"ciphertext": sealed})),
        ("POST", "rewrap/k", json!({"ciphertext": sealed})),
        ("POST", "datakey/wrapped/k", json!({})),
        ("POST", "hmac/k", json!({"input": TEXT})),
        ("POST", "verify/k", json!({"input": TEXT, "hmac": "vault:v1:AAAA"})),
        ("POST", "sign/k", json!({"input": TEXT})),
        ("POST", "keys/k/rotate", json!({})),
        ("POST", "keys/k/csr", json!({})),
        ("GET", "export/encryption-key/k", Value::Null),
        ("GET", "byok-export/k/k", Value::Null),
    ] {
        assert_eq!(host.fails(method, path, body), (400, "refusing to use soft-deleted key".to_owned()), "{path}");
    }
    host.ok("POST", "keys/k/soft-delete-restore", json!({}));
    assert!(decrypts(&host, "k", &sealed));
}

#[test]
fn creation_is_asked_for_by_the_existence_of_the_key_alone() {
    let host = Host::new();
    let request = |path: &str| {
        let fields =
            strongroom_mount::Fields::from_json(bytes::Bytes::from_static(b"{\"plaintext\":\"YQ==\"}")).unwrap();
        host.request(strongroom_mount::Operation::Update, path, fields).unwrap()
    };
    let exists = |path: &str| block_on(host.backend.exists(&host.cx(), &request(path))).unwrap();
    assert_eq!(exists("encrypt/k"), Some(false));
    // Whoever may only update makes no key.
    let refused = block_on(host.backend.handle(&host.cx(), &request("encrypt/k")));
    assert_eq!(refused.err().unwrap().to_string(), "encryption key not found");
    assert_eq!(exists("encrypt/k"), Some(false));
    host.ok("POST", "keys/k", json!({}));
    assert_eq!(exists("encrypt/k"), Some(true));
    assert_eq!(exists("decrypt/k"), None);
    assert_eq!(exists("encrypt/bad name"), Some(false));
    assert_eq!(host.fails("POST", "encrypt/bad name", json!({"plaintext": TEXT})).0, 404);
}

#[test]
fn a_key_that_outgrows_its_row_says_what_to_do() {
    let host = Host::new();
    host.ok("POST", "keys/k", json!({"type": "hmac", "key_size": 512}));
    // One version of 512 bytes takes 538; fill the row from within.
    let row = block_on(host.view.get("key/k")).unwrap().unwrap().value.expose().to_vec();
    let (head, version) = row.split_at(73);
    let count = (strongroom_keystore::MAX_VALUE - 73) / version.len();
    let mut full = head.to_vec();
    full[19..23].copy_from_slice(&u32::try_from(count).unwrap().to_be_bytes());
    full[69..73].copy_from_slice(&u32::try_from(count).unwrap().to_be_bytes());
    for number in 1..=u32::try_from(count).unwrap() {
        full.extend_from_slice(&number.to_be_bytes());
        full.extend_from_slice(&version[4..]);
    }
    block_on(host.view.put("key/k", &full)).unwrap();
    let (status, error) = host.fails("POST", "keys/k/rotate", json!({}));
    assert_eq!((status, error.contains("trim")), (413, true), "{error}");
}
