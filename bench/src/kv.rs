//! KV version 2 as a client has it, with a policy-bound token, two policies and file audit: reads against the bare echo with
//! the same sizes, durable writes against bare redb with as many rows and writers.

use crate::echo::echo;
use crate::redb::Bare;
use crate::{median, wrk};
use serde_json::{Value, json};
use std::path::Path;
use strongroom_conformance::TestServer;
use strongroom_conformance::server::{Config, Storage};

/// The data of one secret.
const DATA: &str = r#"{"username":"application","password":"c0rrect-horse-battery-staple","port":5432}"#;
/// Bytes of one row of the bare engine: about what a version's row holds.
const ROW: usize = 128;

/// Runs `rounds` rounds of `seconds` each, baseline and program in turn, over `secrets` secrets.
pub(crate) fn run(seconds: u64, rounds: u64, secrets: u64) -> Value {
    let config = Config { storage: Storage::Embedded, audit: true, quiet: true, ..Config::default() };
    let (server, init) = TestServer::unsealed(config);
    let mut root = server.client().with_token(&init.root);
    root.call("POST", "sys/mounts/kv", Some(&json!({"type": "kv-v2"})));
    let bench = r#"path "kv/data/*" { capabilities = ["create", "read", "update"] }"#;
    let other = r#"path "kv/metadata/*" { capabilities = ["list"] } path "secret/+/x/*" { capabilities = ["read"] }"#;
    for (name, policy) in [("bench-kv", bench), ("bench-other", other)] {
        root.call("PUT", &format!("sys/policies/acl/{name}"), Some(&json!({ "policy": policy })));
    }
    let wish = json!({"policies": ["bench-kv", "bench-other"], "no_default_policy": true, "ttl": "24h"});
    let reply = root.call("POST", "auth/token/create", Some(&wish));
    let token = reply.json().expect("JSON")["auth"]["client_token"].as_str().expect("a token").to_owned();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let loaded = load(&server, directory.path(), &token, secrets);
    println!("{loaded} secrets were written");
    let reads = reads(&server, directory.path(), &token, seconds, rounds);
    let bare = Bare::open(directory.path(), loaded, ROW);
    let writes: Vec<Value> = [(64, 0.5), (1, 0.6)]
        .into_iter()
        .map(|(clients, target)| {
            writes(&server, &bare, directory.path(), &token, Load { clients, seconds, rounds, secrets: loaded, target })
        })
        .collect();
    json!({"read": reads, "write": writes, "secrets": loaded, "seconds": seconds})
}

/// A script that writes secrets one after the other, or any of `secrets`.
fn writing(choose: &str) -> String {
    format!(
        "local n = 0\nlocal id = 0\nlocal threads = 0\n\
         function setup(thread) thread:set(\"id\", threads) threads = threads + 1 end\n\
         function init(args) math.randomseed(id + 1) end\n\
         function request()\n  n = n + 1\n  local s = {choose}\n\
         \x20 return wrk.format(\"POST\", string.format(\"/v1/kv/data/d%d/s%d\", s % 1000, s), nil, '{{\"data\":{DATA}}}')\nend\n"
    )
}

/// Writes secrets until there are `secrets`, or a part more; how many there are then.
fn load(server: &TestServer, directory: &Path, token: &str, secrets: u64) -> u64 {
    let (mut loaded, mut round) = (0, 0);
    while loaded < secrets {
        // Each thread of the generator counts by itself: the two have the even and the odd numbers of this round.
        let choose = format!("{} + 2 * n + id", round * 10_000_000);
        let load = wrk::script(directory, &server.url(), Some(token), &writing(&choose), 64, 10);
        assert_eq!(load.failed, 0, "the program fails; log:\n{}", server.log());
        loaded += load.answered;
        round += 1;
        if round == 1 {
            println!("creating secrets: {:.0}/s", load.rate);
        }
    }
    loaded
}

fn reads(server: &TestServer, directory: &Path, token: &str, seconds: u64, rounds: u64) -> Value {
    let mut one = server.client().with_token(token);
    one.call("POST", "kv/data/bench/one", Some(&serde_json::from_str(&format!("{{\"data\":{DATA}}}")).expect("JSON")));
    let sample = one.call("GET", "kv/data/bench/one", None);
    assert_eq!(sample.status, 200, "{}", sample.text());
    let (mut echo, address) = echo(sample.body.len());
    let url = format!("{}/v1/kv/data/bench/one", server.url());
    let (mut bare, mut ours, mut ratios) = (vec![], vec![], vec![]);
    println!("read: token, two policies, file audit; wrk -t2 -c64, {seconds} s a round");
    for round in 1..=rounds {
        let load = wrk::get(directory, &format!("http://{address}/"), None, seconds);
        assert_eq!(load.failed, 0, "the echo fails");
        bare.push(load.rate);
        let before = wrk::cpu_seconds(server.pid());
        let load = wrk::get(directory, &url, Some(token), seconds);
        assert_eq!(load.failed, 0, "the program fails; log:\n{}", server.log());
        let cpu = (wrk::cpu_seconds(server.pid()) - before) / load.answered as f64 * 1e6;
        ours.push(load.rate);
        ratios.push(load.rate / bare[bare.len() - 1]);
        println!(
            "round {round}: echo {:.0}/s, read {:.0}/s ({cpu:.1} µs CPU, p50 {}, p99 {}), ratio {:.3}",
            bare[bare.len() - 1],
            load.rate,
            load.latency.0,
            load.latency.1,
            ratios[ratios.len() - 1]
        );
    }
    let _ = echo.kill();
    println!(
        "medians: echo {:.0}/s, read {:.0}/s, ratio {:.3} (target 0.70)",
        median(&bare),
        median(&ours),
        median(&ratios)
    );
    json!({"echo_per_second": bare, "read_per_second": ours, "median_ratio": median(&ratios), "target": 0.7})
}

struct Load {
    clients: u64,
    seconds: u64,
    rounds: u64,
    secrets: u64,
    target: f64,
}

fn writes(server: &TestServer, bare: &Bare, directory: &Path, token: &str, load: Load) -> Value {
    let Load { clients, seconds, rounds, secrets, target } = load;
    let (mut base, mut ours, mut ratios) = (vec![], vec![], vec![]);
    println!("write, {clients} clients: a new version of any secret, durable; {seconds} s a round");
    // The first half of what was loaded in the first round is there for sure.
    let script = writing(&format!("math.random(2, {})", (secrets / 2).clamp(3, 20_000)));
    for round in 1..=rounds {
        base.push(bare.writes(clients, seconds));
        let load = wrk::script(directory, &server.url(), Some(token), &script, clients, seconds);
        assert_eq!(load.failed, 0, "the program fails; log:\n{}", server.log());
        ours.push(load.rate);
        ratios.push(load.rate / base[base.len() - 1]);
        println!(
            "round {round}: redb {:.0}/s, write {:.0}/s (p50 {}, p99 {}), ratio {:.3}",
            base[base.len() - 1],
            load.rate,
            load.latency.0,
            load.latency.1,
            ratios[ratios.len() - 1]
        );
    }
    println!(
        "medians: redb {:.0}/s, write {:.0}/s, ratio {:.3} (target {target})",
        median(&base),
        median(&ours),
        median(&ratios)
    );
    json!({"clients": clients, "redb_per_second": base, "write_per_second": ours, "median_ratio": median(&ratios), "target": target})
}
