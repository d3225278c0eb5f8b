//! Whatever a caller sends: an answer or a 4xx, never a panic, never a 500 but the two that clients expect, and never the
//! secret that was sent.

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::Host;
use serde_json::{Value, json};
use strongroom_mount::Operation;

/// A small generator of numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// Keys of every type, with what each made.
fn host() -> (Host, Vec<String>) {
    let host = Host::new();
    let mut made = Vec::new();
    for kind in ["aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "ecdsa-p256", "ed25519", "rsa-2048", "hmac"]
    {
        let mut body = json!({"type": kind, "exportable": true, "allow_plaintext_backup": true});
        if kind == "hmac" {
            body["key_size"] = json!(32);
        }
        host.ok("POST", &format!("keys/{kind}"), body);
        for (path, body, field) in [
            ("encrypt", json!({"plaintext": "YQ=="}), "ciphertext"),
            ("sign", json!({"input": "YQ=="}), "signature"),
            ("hmac", json!({"input": "YQ=="}), "hmac"),
        ] {
            let (_, reply) = host.http("POST", &format!("{path}/{kind}"), &body.to_string());
            made.extend(reply["data"][field].as_str().map(str::to_owned));
        }
        made.push(host.ok("GET", &format!("backup/{kind}"), Value::Null)["backup"].as_str().unwrap().to_owned());
    }
    host.ok("POST", "keys/derived", json!({"derived": true}));
    host.ok("POST", "keys/convergent", json!({"derived": true, "convergent_encryption": true}));
    (host, made)
}

const SECRET: [&str; 10] = [
    "plaintext",
    "ciphertext",
    "input",
    "signature",
    "hmac",
    "context",
    "associated_data",
    "batch_input",
    "backup",
    "public_key",
];

fn fine(host: &Host, method: &str, path: &str, body: &Value) {
    let (status, reply) = host.http(method, path, &body.to_string());
    let text = reply.to_string();
    let expected = text.contains("already exists") || text.contains("disallowed on the policy");
    assert!(status < 500 || (status == 500 && expected), "{method} {path} {body}: {status} {reply}");
    // The names of algorithms and the references of a batch come back; what may be secret does not.
    let secret = body
        .as_object()
        .into_iter()
        .flatten()
        .all(|(name, value)| SECRET.contains(&name.as_str()) || !value.to_string().contains("hush-hush"));
    let kept = !secret || reply.get("data").is_some() || !text.contains("hush-hush");
    assert!(status < 400 || kept, "{method} {path} {body}: {status} {reply}");
}

#[test]
fn every_route_takes_any_value_in_any_parameter() {
    let (host, made) = host();
    let names = [
        "aes256-gcm96",
        "chacha20-poly1305",
        "xchacha20-poly1305",
        "ecdsa-p256",
        "ed25519",
        "rsa-2048",
        "hmac",
        "derived",
        "convergent",
        "none",
        "bad name",
    ];
    let mut dice = Dice(7);
    let mut played = 0;
    for route in host.backend.routes() {
        for method in route.methods {
            let verb = match method.operation {
                Operation::Read => "GET",
                Operation::Delete => "DELETE",
                Operation::List => "LIST",
                _ => "POST",
            };
            for _ in 0..250 {
                let mut path = String::new();
                for segment in route.path.split('/') {
                    let part = match segment {
                        "{name}" | "{name...}" | "{source}" | "{destination}" => names[dice.roll(names.len())],
                        "{plaintext}" => ["plaintext", "wrapped", "x"][dice.roll(3)],
                        "{type}" => ["encryption-key", "signing-key", "hmac-key", "public-key", "x"][dice.roll(5)],
                        optional if optional.starts_with('{') => {
                            let parts =
                                ["", "sha2-512", "sha3-224", "latest", "1", "-1", "99999999999999999999", "all"];
                            parts[dice.roll(parts.len())]
                        }
                        literal => literal,
                    };
                    if !part.is_empty() {
                        path = if path.is_empty() { part.to_owned() } else { format!("{path}/{part}") };
                    }
                }
                // Making RSA keys is slow, and restoring over a key by force would change what the others meet.
                let mut body = json!({});
                for param in route.params.iter().filter(|param| param.name != "type" && param.name != "force") {
                    if dice.roll(3) > 0 {
                        body[param.name] = value(&mut dice, &made, 0);
                    }
                }
                if path.ends_with("rsa-2048/rotate") || (path.starts_with("keys/") && verb == "DELETE") {
                    continue;
                }
                fine(&host, verb, &path, &body);
                played += 1;
            }
        }
    }
    assert!(played > 5000, "{played}");
}

fn value(dice: &mut Dice, made: &[String], depth: usize) -> Value {
    let text = &made[dice.roll(made.len())];
    match dice.roll(if depth == 0 { 22 } else { 16 }) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(1),
        4 => json!(9_007_199_254_740_993_i64),
        5 => json!(1e300),
        6 => json!(""),
        7 => json!("aHVzaC1odXNo"),
        8 => json!("hush-hush"),
        9 => json!("vault:v1:"),
        10 => json!("vault:v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        11 => json!(text),
        12 => json!(text.replace('A', "B")),
        13 => json!(text[..text.len() / 2]),
        14 => json!("sha3-512"),
        15 => json!("\u{0}ü\n\"\\"),
        16 => json!([]),
        17 => json!(["hush-hush"]),
        18 => json!({"hush-hush": 1}),
        _ => {
            let names =
                ["plaintext", "ciphertext", "input", "signature", "hmac", "context", "associated_data", "reference"];
            let items = (0..dice.roll(4)).map(|_| {
                let fields = (0..3).map(|_| (names[dice.roll(names.len())].to_owned(), value(dice, made, 1)));
                Value::Object(fields.collect())
            });
            Value::Array(items.collect())
        }
    }
}

#[test]
fn a_changed_backup_is_refused_or_is_a_whole_key() {
    let (host, _) = host();
    let mut dice = Dice(11);
    for kind in ["aes256-gcm96", "ecdsa-p256", "ed25519", "rsa-2048", "hmac"] {
        let backup = host.ok("GET", &format!("backup/{kind}"), Value::Null)["backup"].as_str().unwrap().to_owned();
        let json = STANDARD.decode(&backup).unwrap();
        for round in 0..300 {
            let mut changed = json.clone();
            match round % 3 {
                0 => changed.truncate(dice.roll(json.len())),
                1 => {
                    let at = dice.roll(json.len());
                    changed[at] = b"0123456789{}[],\"ntf"[dice.roll(19)];
                }
                _ => {
                    let at = dice.roll(json.len());
                    changed.drain(at..(at + dice.roll(40)).min(json.len()));
                }
            }
            let body = json!({"backup": STANDARD.encode(&changed), "force": true});
            let (status, reply) = host.http("POST", "restore/changed", &body.to_string());
            assert!(status == 204 || status == 400, "{kind}: {status} {reply}");
            if status == 204 {
                // Whatever came in can be used, or says why not.
                fine(&host, "GET", "keys/changed", &json!({}));
                fine(&host, "POST", "encrypt/changed", &json!({"plaintext": "YQ=="}));
                fine(&host, "POST", "sign/changed", &json!({"input": "YQ=="}));
                fine(&host, "POST", "hmac/changed", &json!({"input": "YQ=="}));
            }
        }
    }
}

#[test]
fn restores_that_go_round_the_rules_are_refused() {
    let host = Host::new();
    host.ok("POST", "keys/k", json!({"exportable": true, "allow_plaintext_backup": true}));
    let backup = host.ok("GET", "backup/k", Value::Null)["backup"].as_str().unwrap().to_owned();
    let json: Value = serde_json::from_slice(&STANDARD.decode(backup).unwrap()).unwrap();
    for (field, value) in [
        ("type", json!(200)),
        ("type", json!(2)),
        ("latest_version", json!(0)),
        ("latest_version", json!(4_294_967_295_u32)),
        ("min_decryption_version", json!(9)),
        ("min_encryption_version", json!(9)),
        ("min_available_version", json!(9)),
        ("convergent_encryption", json!(true)),
        ("key_size", json!(32)),
        ("auto_rotate_period", json!(1_000_000_000)),
        ("derived", json!(true)),
        ("name", json!("../x")),
        ("name", json!("")),
    ] {
        let mut changed = json.clone();
        changed["policy"][field] = value.clone();
        let body = json!({"backup": STANDARD.encode(changed.to_string()), "force": true});
        let (status, error) = host.fails("POST", "restore", body);
        assert_eq!(status, 400, "{field} {value}: {error}");
    }
}

#[test]
fn one_error_for_every_ciphertext_that_does_not_open() {
    let (host, _) = host();
    for kind in ["aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "rsa-2048"] {
        let sealed = host.ok("POST", &format!("encrypt/{kind}"), json!({"plaintext": "YWJj"}));
        let payload = sealed["ciphertext"].as_str().unwrap().strip_prefix("vault:v1:").unwrap().to_owned();
        let bytes = STANDARD.decode(payload).unwrap();
        let mut errors = std::collections::BTreeSet::new();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let body = json!({"ciphertext": format!("vault:v1:{}", STANDARD.encode(changed))});
            errors.insert(host.fails("POST", &format!("decrypt/{kind}"), body));
        }
        assert_eq!(errors.len(), 1, "{errors:?}");
    }
}

#[test]
fn imports_that_are_no_keys_are_refused_by_name() {
    let host = Host::new();
    let spki = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAw2Bp/UkIoJfS8SwEApn1oxmzFbm4s+5zeSN4wHS4wgs=\n-----END PUBLIC KEY-----\n";
    host.ok("POST", "keys/public/import", json!({"type": "ed25519", "public_key": spki}));
    assert!(host.fails("POST", "sign/public", json!({"input": "YQ=="})).1.contains("private key"));
    assert!(host.fails("POST", "hmac/public", json!({"input": "YQ=="})).1.contains("private key"));
    assert!(host.fails("POST", "keys/public/csr", json!({})).1.contains("private key"));
    for (body, why) in [
        (json!({"type": "ecdsa-p256", "public_key": spki}), "is not a key of type ecdsa-p256"),
        (json!({"type": "ed25519", "public_key": "hush-hush"}), "is not a key of type ed25519"),
        (json!({"type": "ed25519"}), "either ciphertext or public_key must be provided"),
        (json!({"type": "ed25519", "public_key": spki, "ciphertext": "AAAA"}), "only one of"),
        (json!({"ciphertext": STANDARD.encode([7; 600])}), "could not be unwrapped"),
        (json!({"ciphertext": STANDARD.encode([7; 511])}), "could not be unwrapped"),
        (json!({"ciphertext": "AAAA", "hash_function": "SHA224"}), "SHA224 is not offered"),
        (json!({"ciphertext": "AAAA", "auto_rotate_period": "24h"}), "allow_rotation"),
    ] {
        let (status, error) = host.fails("POST", "keys/k/import", body);
        assert!(status == 400 && error.contains(why) && !error.contains("hush-hush"), "{error}");
    }
    assert!(host.fails("POST", "keys/none/import_version", json!({"ciphertext": "AAAA"})).1.contains("no key found"));
}
