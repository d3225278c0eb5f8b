//! Other code than made them opens what encrypt sealed and verifies what sign signed.

mod common;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use common::Host;
use serde_json::{Value, json};

const TEXT: &[u8] = b"hello world";

fn payload(text: &Value) -> &str {
    text.as_str().unwrap().rsplit(':').next().unwrap()
}

#[test]
fn p256_signatures_verify_elsewhere() {
    use p256::ecdsa::signature::Verifier;
    use p256::ecdsa::{Signature, VerifyingKey};
    use p256::pkcs8::DecodePublicKey;
    let host = Host::new();
    let key = host.ok("POST", "keys/k", json!({"type": "ecdsa-p256"}));
    let public = VerifyingKey::from_public_key_pem(key["keys"]["1"]["public_key"].as_str().unwrap()).unwrap();
    for _ in 0..20 {
        let signed = host.ok("POST", "sign/k", json!({"input": STANDARD.encode(TEXT)}));
        let signature = Signature::from_der(&STANDARD.decode(payload(&signed["signature"])).unwrap()).unwrap();
        public.verify(TEXT, &signature).unwrap();
        assert!(public.verify(b"other", &signature).is_err());
        let request = json!({"input": STANDARD.encode(TEXT), "marshaling_algorithm": "jws"});
        let signed = host.ok("POST", "sign/k", request);
        let signature = URL_SAFE_NO_PAD.decode(payload(&signed["signature"])).unwrap();
        public.verify(TEXT, &Signature::from_slice(&signature).unwrap()).unwrap();
    }
}

#[test]
fn ed25519_signatures_verify_elsewhere_also_of_derived_keys() {
    use ed25519_dalek::{Signature, VerifyingKey};
    let host = Host::new();
    for derived in [false, true] {
        let name = format!("k{derived}");
        host.ok("POST", &format!("keys/{name}"), json!({"type": "ed25519", "derived": derived}));
        let key = host.ok("GET", &format!("keys/{name}?context=Y3R4"), Value::Null);
        let public = STANDARD.decode(key["keys"]["1"]["public_key"].as_str().unwrap()).unwrap();
        let public = VerifyingKey::from_bytes(&public.try_into().unwrap()).unwrap();
        let request = json!({"input": STANDARD.encode(TEXT), "context": "Y3R4"});
        let signed = host.ok("POST", &format!("sign/{name}"), request);
        let signature = STANDARD.decode(payload(&signed["signature"])).unwrap();
        public.verify_strict(TEXT, &Signature::from_slice(&signature).unwrap()).unwrap();
        assert_eq!(derived, signed["public_key"] == key["keys"]["1"]["public_key"]);
    }
}

#[test]
fn ciphertexts_open_elsewhere_with_the_exported_key() {
    use aes_gcm::aead::{Aead, KeyInit, Payload};
    let host = Host::new();
    for kind in ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305"] {
        host.ok("POST", &format!("keys/{kind}"), json!({"type": kind, "exportable": true}));
        let exported = host.ok("GET", &format!("export/encryption-key/{kind}"), Value::Null);
        let key = STANDARD.decode(exported["keys"]["1"].as_str().unwrap()).unwrap();
        let request = json!({"plaintext": STANDARD.encode(TEXT), "associated_data": STANDARD.encode(b"aad")});
        let sealed = host.ok("POST", &format!("encrypt/{kind}"), request);
        let sealed = STANDARD.decode(payload(&sealed["ciphertext"])).unwrap();
        let (nonce, body) = sealed.split_at(12);
        let body = Payload { msg: body, aad: b"aad" };
        let nonce = nonce.try_into().unwrap();
        let opened = match kind {
            "aes128-gcm96" => aes_gcm::Aes128Gcm::new_from_slice(&key).unwrap().decrypt(nonce, body),
            "aes256-gcm96" => aes_gcm::Aes256Gcm::new_from_slice(&key).unwrap().decrypt(nonce, body),
            _ => chacha20poly1305::ChaCha20Poly1305::new_from_slice(&key).unwrap().decrypt(nonce, body),
        };
        assert_eq!(opened.unwrap(), TEXT, "{kind}");
    }
}

#[test]
fn nonces_do_not_repeat() {
    let host = Host::new();
    for kind in ["aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"] {
        host.ok("POST", &format!("keys/{kind}"), json!({"type": kind}));
        let nonces: std::collections::HashSet<Vec<u8>> = (0..2000)
            .map(|_| {
                let sealed = host.ok("POST", &format!("encrypt/{kind}"), json!({"plaintext": ""}));
                STANDARD.decode(payload(&sealed["ciphertext"])).unwrap()[..12].to_vec()
            })
            .collect();
        assert_eq!(nonces.len(), 2000, "{kind}");
    }
}

#[test]
fn a_certificate_request_is_signed_by_the_key_it_names() {
    use p256::ecdsa::signature::Verifier;
    use p256::ecdsa::{Signature, VerifyingKey};
    use p256::pkcs8::DecodePublicKey;
    let host = Host::new();
    let key = host.ok("POST", "keys/k", json!({"type": "ecdsa-p256"}));
    let pem = host.ok("POST", "keys/k/csr", json!({}))["csr"].as_str().unwrap().to_owned();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).unwrap();
    // SEQUENCE { info SEQUENCE, algorithm, BIT STRING }: info is what is signed; all lengths here are one byte, or two.
    let header = |der: &[u8]| if der[1] < 0x80 { 2 } else { 2 + usize::from(der[1] & 0x7f) };
    let length = |der: &[u8]| der[2..header(der)].iter().fold(usize::from(der[1] & 0x7f), |_, byte| usize::from(*byte));
    let info = &der[header(&der)..];
    let info = &info[..header(info) + length(info)];
    let rest = &der[header(&der) + info.len()..];
    let bits = &rest[header(rest) + length(rest)..];
    let signature = Signature::from_der(&bits[header(bits) + 1..]).unwrap();
    let public = VerifyingKey::from_public_key_pem(key["keys"]["1"]["public_key"].as_str().unwrap()).unwrap();
    public.verify(info, &signature).unwrap();
    // And a request with another request's subject keeps it.
    let again = host.ok("POST", "keys/k/csr", json!({"csr": pem}));
    assert!(again["csr"].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"));
}
