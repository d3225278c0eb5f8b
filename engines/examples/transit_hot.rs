//! Nanoseconds per request through `Backend::handle`, and of the module's own primitive beside it.
//!
//! `cargo run --release -p strongroom-engines --example transit_hot`

#[path = "../tests/common/mod.rs"]
mod common;

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use bytes::Bytes;
use common::{Host, block_on};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;
use strongroom_mount::{Fields, Operation, Request};

const ROUNDS: u32 = 50_000;

fn main() {
    let host = Host::new();
    for kind in ["aes256-gcm96", "chacha20-poly1305", "ecdsa-p256", "ed25519", "hmac"] {
        let size = if kind == "hmac" { json!({"type": kind, "key_size": 32}) } else { json!({"type": kind}) };
        host.ok("POST", &format!("keys/{kind}"), size);
    }
    host.ok("POST", "keys/derived", json!({"derived": true}));

    let module = RandomizedNonceKey::new(&AES_256_GCM, &[7; 32]).expect("a 32-byte key");
    for size in [32, 1024, 65_536] {
        let rounds = if size > 10_000 { ROUNDS / 50 } else { ROUNDS };
        let mut buffer = vec![0; size];
        let seal = measure(rounds, || {
            let _ = black_box(module.seal_in_place_separate_tag(Aad::empty(), &mut buffer).expect("sealed"));
        });
        println!("{size:>6} B  module's seal            {seal:>9.0} ns");
        let plaintext = base64_simd::STANDARD.encode_to_string(vec![7; size]);
        for (kind, extra) in
            [("aes256-gcm96", Value::Null), ("chacha20-poly1305", Value::Null), ("derived", json!("Y3R4"))]
        {
            let body = |name: &str, value: &str| match &extra {
                Value::Null => json!({ name: value }),
                context => json!({ name: value, "context": context }),
            };
            let request = request(&host, &format!("encrypt/{kind}"), &body("plaintext", &plaintext));
            let encrypt = handle(&host, rounds, &request);
            let sealed = host.ok("POST", &format!("encrypt/{kind}"), body("plaintext", &plaintext));
            let ciphertext = sealed["ciphertext"].as_str().expect("a ciphertext");
            let request = self::request(&host, &format!("decrypt/{kind}"), &body("ciphertext", ciphertext));
            let decrypt = handle(&host, rounds, &request);
            let over = if kind == "aes256-gcm96" {
                format!("  encrypt over seal {:>6.0} ns", encrypt - seal)
            } else {
                String::new()
            };
            println!("{size:>6} B  {kind:<18} encrypt {encrypt:>8.0} ns  decrypt {decrypt:>8.0} ns{over}");
        }
    }

    let body = Bytes::from(json!({"plaintext": base64_simd::STANDARD.encode_to_string([7; 32])}).to_string());
    let parse = measure(ROUNDS, || drop(black_box(Fields::from_json(body.clone()))));
    println!("    32 B  reading the body's fields  {parse:>8.0} ns");
    let request = request(&host, "encrypt/aes256-gcm96", &json!({"plaintext": "YQ=="}));
    let exists = measure(ROUNDS, || drop(black_box(block_on(host.backend.exists(&host.cx(), &request)))));
    println!("          existence check            {exists:>8.0} ns");

    for kind in ["ecdsa-p256", "ed25519"] {
        let request = self::request(&host, &format!("sign/{kind}"), &json!({"input": "aGVsbG8gd29ybGQ="}));
        let sign = handle(&host, ROUNDS / 10, &request);
        let signature = host.ok("POST", &format!("sign/{kind}"), json!({"input": "aGVsbG8gd29ybGQ="}));
        let body = json!({"input": "aGVsbG8gd29ybGQ=", "signature": signature["signature"]});
        let verify = handle(&host, ROUNDS / 10, &self::request(&host, &format!("verify/{kind}"), &body));
        println!("          {kind:<18} sign    {sign:>8.0} ns  verify  {verify:>8.0} ns");
    }
    let mac = handle(&host, ROUNDS, &self::request(&host, "hmac/hmac", &json!({"input": "aGVsbG8gd29ybGQ="})));
    println!("          hmac                       {mac:>8.0} ns");
}

fn request(host: &Host, path: &str, body: &Value) -> Request {
    let fields = Fields::from_json(Bytes::from(body.to_string())).expect("a body");
    host.request(Operation::Update, path, fields).expect("a route")
}

fn handle(host: &Host, rounds: u32, request: &Request) -> f64 {
    measure(rounds, || drop(black_box(block_on(host.backend.handle(&host.cx(), request)).expect("an answer"))))
}

/// The fastest of five runs, per round.
fn measure(rounds: u32, mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..rounds {
            work();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds));
    }
    best
}
