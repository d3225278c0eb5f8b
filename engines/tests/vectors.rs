//! What OpenBao 2.6.2 made with known keys: every backup restores, every ciphertext opens, every signature and MAC
//! verifies, every export is the same text; and what we back up restores to the same keys.

mod common;

use common::Host;
use serde_json::{Value, json};
use strongroom_clock::Timestamp;

const VECTORS: &str = include_str!("../../conformance/wire/vectors/transit.json");

fn keys() -> Vec<Value> {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    vectors["keys"].as_array().unwrap().clone()
}

fn list<'a>(key: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    key[name].as_array().into_iter().flatten()
}

/// The fields of a vector that are parameters of a request.
fn body(vector: &Value, names: &[&str]) -> Value {
    let fields = names.iter().filter_map(|name| Some(((*name).to_owned(), vector.get(*name)?.clone())));
    Value::Object(fields.collect())
}

/// The module's Rust interface has no RSA signatures over SHA-3.
fn served(key: &Value, signature: &Value) -> bool {
    let rsa = key["create"]["type"].as_str().unwrap().starts_with("rsa-");
    !(rsa && signature["hash_algorithm"].as_str().is_some_and(|hash| hash.starts_with("sha3-")))
}

#[test]
fn other_servers_keys_do_here_what_they_did_there() {
    let host = Host::new();
    let (mut ciphertexts, mut hmacs, mut signatures, mut exports, mut skipped) = (0, 0, 0, 0, 0);
    for key in keys() {
        let name = key["name"].as_str().unwrap();
        host.ok("POST", "restore", json!({"backup": key["backup"]}));
        check(&host, name, &key);
        // And once more through a backup of ours.
        let backup = host.ok("GET", &format!("backup/{name}"), Value::Null)["backup"].clone();
        let copy = format!("{name}-copy");
        host.ok("POST", &format!("restore/{copy}"), json!({"backup": backup}));
        check(&host, &copy, &key);

        let mut read = host.ok("GET", &format!("keys/{name}"), Value::Null);
        for (field, want) in key["read"].as_object().unwrap() {
            let (got, want) = (moments(read[field].take()), moments(want.clone()));
            assert!(field.ends_with("_info") || got == want, "{name}: {field} is {got}, expected {want}");
        }
        ciphertexts += list(&key, "ciphertexts").count();
        hmacs += list(&key, "hmacs").count();
        signatures += list(&key, "signatures").filter(|signature| served(&key, signature)).count();
        skipped += list(&key, "signatures").filter(|signature| !served(&key, signature)).count();
        exports += key["exports"].as_object().unwrap().len();
    }
    println!(
        "{ciphertexts} ciphertexts, {hmacs} MACs, {signatures} signatures ({skipped} not served), {exports} exports"
    );
    assert_eq!((ciphertexts, hmacs, signatures, exports, skipped), (388, 558, 162, 54, 12));
}

/// Times as moments: one server writes nanoseconds with zeros at the end, the other without.
fn moments(mut value: Value) -> Value {
    for version in value.as_object_mut().into_iter().flat_map(|versions| versions.values_mut()) {
        if let Some(time) = version.get_mut("creation_time") {
            let moment: Timestamp = time.as_str().unwrap().parse().unwrap();
            *time = json!(moment.unix_nanos());
        }
    }
    value
}

fn check(host: &Host, name: &str, key: &Value) {
    for vector in list(key, "ciphertexts") {
        let request = body(vector, &["ciphertext", "context", "associated_data"]);
        let below = vector["version"].as_u64() < key["min_decryption_version"].as_u64();
        if below {
            let (status, error) = host.fails("POST", &format!("decrypt/{name}"), request);
            assert_eq!((status, error.as_str()), (400, TOO_OLD), "{name}");
            continue;
        }
        let got = host.ok("POST", &format!("decrypt/{name}"), request);
        assert_eq!(got["plaintext"], vector["plaintext"], "{name}: {vector}");
        if key["create"]["convergent_encryption"] == true {
            let mut request = body(vector, &["plaintext", "context", "associated_data"]);
            request["key_version"] = vector["version"].clone();
            let got = host.ok("POST", &format!("encrypt/{name}"), request);
            assert_eq!(got["ciphertext"], vector["ciphertext"], "{name}: convergent keys give the same ciphertext");
        }
    }
    for vector in list(key, "hmacs") {
        let mut request = body(vector, &["input", "algorithm"]);
        request["key_version"] = vector["version"].clone();
        assert_eq!(host.ok("POST", &format!("hmac/{name}"), request.clone())["hmac"], vector["hmac"], "{name}");
        request["hmac"] = vector["hmac"].clone();
        assert_eq!(host.ok("POST", &format!("verify/{name}"), request)["valid"], true, "{name}: {vector}");
    }
    for vector in list(key, "signatures").filter(|signature| served(key, signature)) {
        let names = ["input", "context", "signature", "hash_algorithm", "signature_algorithm", "marshaling_algorithm"];
        let mut request = body(vector, &names);
        for name in ["salt_length", "prehashed"] {
            if let Some(value) = vector.get(name) {
                request[name] = value.clone();
            }
        }
        let verify = format!("verify/{name}");
        assert_eq!(host.ok("POST", &verify, request.clone())["valid"], true, "{name}: {vector}");
        request["input"] = json!("b3RoZXI=");
        assert_eq!(host.ok("POST", &verify, request)["valid"], false, "{name}: {vector}");
    }
    for (kind, texts) in key["exports"].as_object().unwrap() {
        let got = host.ok("GET", &format!("export/{kind}/{name}"), Value::Null);
        for (version, text) in texts.as_object().unwrap() {
            // PEM ends with or without a newline by kind of key.
            let (got, want) = (got["keys"][version].as_str().unwrap(), text.as_str().unwrap());
            assert_eq!(got, want, "{name}: {kind}");
        }
    }
}

const TOO_OLD: &str = "ciphertext or signature version is disallowed by policy (too old)";
