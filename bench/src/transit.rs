//! Encrypt 32 B with a policy-bound token, two policies and file audit, against the bare echo with the same body sizes.

use crate::echo::echo;
use crate::openbao::OpenBao;
use crate::{median, wrk};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use strongroom_conformance::TestServer;
use strongroom_conformance::server::{Config, Initialised, Storage};

/// The benchmark's own server: embedded storage, file audit, no debug log.
fn server() -> (TestServer, Initialised) {
    let config = Config { storage: Storage::Embedded, audit: true, quiet: true, ..Config::default() };
    TestServer::unsealed(config)
}

/// Runs `rounds` rounds of `seconds` each, echo and program in turn.
pub(crate) fn run(seconds: u64, rounds: u64) -> Value {
    let (server, init) = server();
    let mut root = server.client().with_token(&init.root);
    root.call("POST", "sys/mounts/transit", Some(&json!({"type": "transit"})));
    root.call("POST", "transit/keys/bench", None);
    let encrypt = r#"path "transit/encrypt/bench" { capabilities = ["update"] }"#;
    let decrypt =
        r#"path "transit/decrypt/*" { capabilities = ["update"] } path "secret/+/x/*" { capabilities = ["read"] }"#;
    for (name, policy) in [("bench-encrypt", encrypt), ("bench-decrypt", decrypt)] {
        root.call("PUT", &format!("sys/policies/acl/{name}"), Some(&json!({ "policy": policy })));
    }
    let reply = root.call(
        "POST",
        "auth/token/create",
        Some(&json!({"policies": ["bench-encrypt", "bench-decrypt"], "no_default_policy": true, "ttl": "24h"})),
    );
    let token = reply.json().expect("JSON")["auth"]["client_token"].as_str().expect("a token").to_owned();
    let body = r#"{"plaintext":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}"#;
    let mut one = server.client().with_token(&token);
    let sample = one.call("POST", "transit/encrypt/bench", Some(&serde_json::from_str(body).expect("JSON")));
    assert_eq!(sample.status, 200, "{}", sample.text());

    let (mut echo, address) = echo(sample.body.len());
    let directory = tempfile::tempdir().expect("a temporary directory");
    let url = format!("{}/v1/transit/encrypt/bench", server.url());
    let other = OpenBao::given().map(|server| {
        let mut root = server.client().with_token(&server.root);
        root.call("POST", "sys/mounts/transit", Some(&json!({"type": "transit"})));
        root.call("POST", "transit/keys/bench", None);
        for (name, policy) in [("bench-encrypt", encrypt), ("bench-decrypt", decrypt)] {
            root.call("PUT", &format!("sys/policies/acl/{name}"), Some(&json!({ "policy": policy })));
        }
        let token = server.token(&json!(["bench-encrypt", "bench-decrypt"]));
        (server, token)
    });
    let mut others = vec![];
    let (mut bare, mut ours, mut bare_cpu, mut ours_cpu, mut latency) = (vec![], vec![], vec![], vec![], vec![]);
    println!("encrypt 32 B: token, two policies, file audit; wrk -t2 -c64, {seconds} s a round");
    for round in 1..=rounds {
        let before = wrk::cpu_seconds(echo.id());
        let load = wrk::post(directory.path(), &format!("http://{address}/"), None, body, seconds);
        assert_eq!(load.failed, 0, "the echo fails");
        bare.push(load.rate);
        bare_cpu.push((wrk::cpu_seconds(echo.id()) - before) / load.answered as f64 * 1e6);

        let lines = audit_lines(&server);
        let before = wrk::cpu_seconds(server.pid());
        let load = wrk::post(directory.path(), &url, Some(&token), body, seconds);
        assert_eq!(load.failed, 0, "the program fails; log:\n{}", server.log());
        ours.push(load.rate);
        ours_cpu.push((wrk::cpu_seconds(server.pid()) - before) / load.answered as f64 * 1e6);
        latency.push(load.latency);
        let written = audit_lines(&server) - lines;
        assert!(written >= 2 * load.answered, "{written} audit lines for {} answers", load.answered);
        println!(
            "round {round}: echo {:.0}/s ({:.1} µs CPU), encrypt {:.0}/s ({:.1} µs CPU, p50 {}, p99 {}), ratio {:.3}, {written} audit lines for {} answers",
            bare[bare.len() - 1],
            bare_cpu[bare_cpu.len() - 1],
            ours[ours.len() - 1],
            ours_cpu[ours_cpu.len() - 1],
            latency[latency.len() - 1].0,
            latency[latency.len() - 1].1,
            ours[ours.len() - 1] / bare[bare.len() - 1],
            load.answered
        );
        if let Some((server, token)) = &other {
            let url = format!("{}/v1/transit/encrypt/bench", server.url());
            let load = wrk::post(directory.path(), &url, Some(token), body, seconds);
            assert_eq!(load.failed, 0, "OpenBao fails");
            println!("round {round}: OpenBao {:.0}/s, ratio {:.3}", load.rate, load.rate / bare[bare.len() - 1]);
            others.push(load.rate);
        }
    }
    let _ = echo.kill();
    let ratio = median(&ours) / median(&bare);
    println!(
        "medians: echo {:.0}/s, encrypt {:.0}/s, ratio {ratio:.3} (target 0.65; OpenBao 2.6.2: 0.024)",
        median(&bare),
        median(&ours)
    );
    json!({"echo_per_second": bare, "encrypt_per_second": ours, "echo_cpu_us": bare_cpu, "encrypt_cpu_us": ours_cpu,
        "ratio_of_medians": ratio, "target": 0.65, "openbao_per_second": others, "seconds": seconds, "clients": 64})
}

fn audit_lines(server: &TestServer) -> u64 {
    let file = std::fs::File::open(server.directory().join("audit.log")).expect("the audit file");
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut lines = 0;
    loop {
        let chunk = reader.fill_buf().expect("the audit file can be read");
        if chunk.is_empty() {
            return lines;
        }
        lines += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        let length = chunk.len();
        reader.consume(length);
    }
}
