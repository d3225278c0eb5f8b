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

/// What a listed step may wait for although its own route is served: something that the scenario mounts, enables or
/// begins first. Anything else on a served route is a defect, and may not stand on the list.
const NEEDS: &[(&str, &str)] = &[
    ("mounts", "needs userpass, pki, ssh or totp, which the scenario mounts or asks for"),
    ("errors", "needs response wrapping"),
    ("leases", "needs a leasing engine, which the scenario mounts"),
    ("cubbyhole", "needs cubbyhole"),
    ("wrapping", "needs response wrapping"),
    ("audit", "needs audit devices through the API, or CORS"),
    ("rekey-root", "needs rekey and generate-root"),
    ("userpass", "needs userpass"),
    ("approle", "needs approle"),
    ("cert-auth", "needs cert"),
    ("identity", "needs identity and userpass"),
    ("pki", "needs pki"),
    ("ssh", "needs ssh"),
    ("totp", "needs totp"),
];

/// What a failing step waits for: written into a new entry of the list, to be reviewed.
fn guess(file: &str, outcome: &Outcome, served: &Served) -> Exception {
    let served_by = match file {
        "cubbyhole" | "leases" | "audit" | "errors" | "policy" => "auto-unseal in earnest",
        "rekey-root" => "seals and custody",
        "pki" | "ssh" | "totp" => "engines",
        _ => "auth methods",
    };
    let first = outcome.wrong.first().map_or("", String::as_str);
    let needs = NEEDS.iter().find(|(name, _)| *name == file).map(|(_, needs)| *needs);
    let reason = match needs {
        Some(needs) if served.holds(&outcome.request) => needs.to_owned(),
        _ if first.contains("no earlier step captured") => "needs what an earlier step of this list makes".to_owned(),
        _ => {
            let path = outcome.request.split_once(' ').map_or("", |(_, path)| path);
            let head: Vec<&str> = path.split(['/', '?']).take(2).collect();
            format!("route not in the table: {}", head.join("/"))
        }
    };
    Exception { reason, served_by: served_by.to_owned() }
}

/// The routes of the program's own table, from its OpenAPI document: method and template.
struct Served(Vec<(String, String)>);

impl Served {
    fn ask() -> Self {
        let (server, init) = TestServer::unsealed(Config::default());
        let document = server.client().with_token(&init.root).call("GET", "sys/internal/specs/openapi", None);
        let document = document.json().expect("OpenAPI is JSON");
        let paths = document["paths"].as_object().expect("the document has paths");
        assert!(paths.len() > 40, "the table has routes");
        let routes = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flat_map(|methods| methods.keys());
            methods.map(move |method| (method.to_uppercase(), path.trim_start_matches('/').to_owned()))
        });
        Served(routes.collect())
    }

    /// Whether a route of the table takes the request, `METHOD path`.
    fn holds(&self, request: &str) -> bool {
        let (method, path) = request.split_once(' ').unwrap_or((request, ""));
        let method = match method {
            "PUT" => "POST",
            "LIST" | "SCAN" => "GET",
            other => other,
        };
        let path = path.trim_start_matches("/v1/").split('?').next().unwrap_or_default().trim_end_matches('/');
        self.0.iter().any(|(held, template)| held == method && fits(template, path))
    }
}

/// A template's last capture takes all the rest.
fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/').peekable(), path.split('/'));
    while let Some(segment) = wanted.next() {
        let Some(part) = given.next() else { return false };
        match segment.starts_with('{') {
            true if wanted.peek().is_none() => return !part.is_empty(),
            true if part.is_empty() => return false,
            false if segment != part => return false,
            _ => {}
        }
    }
    given.next().is_none()
}

#[test]
fn recorded_scenarios_pass_but_for_the_list() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("not-yet.tsv");
    let exceptions = Exceptions::load(&list);
    let served = Served::ask();
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
            let excuse =
                NEEDS.iter().any(|(name, needs)| *name == file && listed.is_some_and(|listed| listed.reason == *needs));
            if listed.is_some() && served.holds(&outcome.request) && !excuse && !update {
                broken.push(format!(
                    "{file} {}: {} is in the table and may not stand on the list",
                    outcome.id, outcome.request
                ));
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
                let exception = listed.cloned().unwrap_or_else(|| guess(file, outcome, &served));
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
