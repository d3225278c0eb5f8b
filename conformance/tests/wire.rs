//! Plays the recorded scenarios of `wire/` against the real program over HTTP, and holds the result against the
//! checked-in list `not-yet.tsv`: a listed step that passes fails, and so does an unlisted one that does not.
//!
//! `WIRE_UPDATE=1` rewrites the list; `WIRE_ONLY=transit` plays one file and prints each failing step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use strongroom_conformance::TestServer;
use strongroom_conformance::exceptions::{Exception, Exceptions};
use strongroom_conformance::player::{Names, Outcome, Scenario};
use strongroom_conformance::server::{Config, Initialised};

/// In this order, each on a server of its own.
const FILES: &[&str] = &[
    "init-seal",
    "mounts",
    "token",
    "policy",
    "capabilities",
    "transit",
    "errors",
    "audit",
    "leases",
    "kv1",
    "kv2",
    "cubbyhole",
    "wrapping",
    "rekey-root",
    "userpass",
    "approle",
    "cert-auth",
    "identity",
    "pki",
    "ssh",
    "totp",
];

fn wire() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wire")
}

fn play(file: &str) -> (Scenario, Vec<Outcome>) {
    let scenario = Scenario::load(&wire().join(format!("{file}.json")));
    let mut names = Names::new();
    let config = || Config { audit: true, ..Config::default() };
    let server = match scenario.needs.as_str() {
        "uninitialised" => TestServer::start(config()),
        needs => {
            let mut server = TestServer::start(config());
            let (shares, threshold) = if needs == "shares" { (3, 2) } else { (1, 1) };
            let body = serde_json::json!({"secret_shares": shares, "secret_threshold": threshold});
            let init: Initialised = server.initialise(&body);
            server.unseal(&init.shares[..threshold]);
            names.insert("root".into(), init.root.into());
            for (number, share) in init.shares.into_iter().enumerate() {
                names.insert(format!("share{}", number + 1), share.into());
            }
            server
        }
    };
    let outcomes = scenario.play(server.address(), &mut names);
    (scenario, outcomes)
}

/// What a failing step waits for, from its own path: a guess for a new entry, to be reviewed.
fn guess(file: &str, outcome: &Outcome) -> Exception {
    let served_by = match file {
        "kv1" | "kv2" | "cubbyhole" | "leases" | "audit" | "errors" | "mounts" | "capabilities" | "token"
        | "policy" => "auto-unseal in earnest",
        "rekey-root" | "init-seal" => "seals and custody",
        "pki" | "ssh" | "totp" | "transit" => "engines",
        _ => "auth methods",
    };
    let first = outcome.wrong.first().map_or("", String::as_str);
    let reason = if first.contains("no earlier step captured") {
        "needs what an earlier step of this list makes".to_owned()
    } else {
        let path = outcome.request.split_once(' ').map_or("", |(_, path)| path);
        let head: Vec<&str> = path.split(['/', '?']).take(2).collect();
        format!("not served yet: {}", head.join("/"))
    };
    Exception { reason, served_by: served_by.to_owned() }
}

#[test]
fn recorded_scenarios_pass_but_for_the_list() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("not-yet.tsv");
    let exceptions = Exceptions::load(&list);
    let only = std::env::var("WIRE_ONLY").ok();
    let update = std::env::var("WIRE_UPDATE").is_ok();
    let mut kept: BTreeMap<(String, String), Exception> = BTreeMap::new();
    let mut table = String::new();
    let mut broken = Vec::new();
    for &file in FILES.iter().filter(|file| only.as_deref().is_none_or(|only| only == **file)) {
        let (scenario, outcomes) = play(file);
        let ids: BTreeSet<&str> = outcomes.iter().map(|outcome| outcome.id.as_str()).collect();
        assert_eq!(ids.len(), scenario.steps.iter().filter(|step| step.is_request()).count(), "{file}: ids are unique");
        let passed = outcomes.iter().filter(|outcome| outcome.wrong.is_empty()).count();
        table.push_str(&format!("wire: {file}: {passed} of {}\n", outcomes.len()));
        for outcome in &outcomes {
            let listed = exceptions.get(file, &outcome.id);
            if only.is_some() && !outcome.wrong.is_empty() {
                println!("FAIL {file} {}: {}: {}", outcome.id, outcome.request, outcome.wrong.join("; "));
            }
            match (listed, outcome.wrong.is_empty()) {
                (Some(_), true) => {
                    broken.push(format!("{file} {} passes and is listed: take it off the list", outcome.id))
                }
                (None, false) => {
                    broken.push(format!("{file} {}: {}: {}", outcome.id, outcome.request, outcome.wrong.join("; ")));
                }
                _ => {}
            }
            if !outcome.wrong.is_empty() {
                let exception = listed.cloned().unwrap_or_else(|| guess(file, outcome));
                kept.insert((file.to_owned(), outcome.id.clone()), exception);
            }
        }
    }
    print!("{table}");
    if update && only.is_none() {
        std::fs::write(&list, Exceptions::render(&kept)).expect("the list can be written");
        return;
    }
    if only.is_none() {
        for ((file, step), _) in exceptions.iter() {
            let known =
                kept.contains_key(&(file.clone(), step.clone())) || broken.iter().any(|line| line.contains(step));
            assert!(known, "{file} {step} is listed and is no step of any scenario");
        }
    }
    assert!(broken.is_empty(), "{} steps differ from the list:\n{}", broken.len(), broken.join("\n"));
}
