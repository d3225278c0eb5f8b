//! From version 1 to version 2.

use crate::common::{Host, block_on};
use serde_json::json;
use std::collections::BTreeMap;

fn filled(secrets: usize) -> Host {
    let host = Host::kv(Host::new().view, "1");
    for secret in 0..secrets {
        host.ok("POST", &format!("dir{}/s{secret}", secret % 5), json!({"n": secret, "big": u64::MAX}));
    }
    host.ok("POST", "top", json!({"ttl": "1h"}));
    host.ok("POST", "dir1", json!({"key": "and directory"}));
    host
}

fn check(host: &Host, secrets: usize) {
    for secret in 0..secrets {
        let read = host.ok("GET", &format!("data/dir{}/s{secret}", secret % 5), json!(null));
        assert_eq!((&read["data"]["n"], &read["metadata"]["version"]), (&json!(secret), &json!(1)));
        assert_eq!(read["data"]["big"], json!(u64::MAX));
    }
    assert_eq!(host.ok("GET", "data/dir1", json!(null))["data"], json!({"key": "and directory"}));
    let names = host.ok("LIST", "metadata", json!(null))["keys"].as_array().unwrap().clone();
    assert!(names.contains(&json!("dir0/")) && names.contains(&json!("top")), "{names:?}");
    assert!(block_on(host.view.list("s", None, 1)).unwrap().is_empty(), "nothing of version 1 is left");
}

#[test]
fn every_secret_becomes_the_first_version_of_its_path() {
    let plain = filled(150);
    let host = Host::kv(plain.view.clone(), "2");
    let (status, reply) = host.http("GET", "data/top", "");
    assert_eq!(status, 400);
    assert!(reply["errors"][0].as_str().unwrap().starts_with("Upgrading from non-versioned to versioned data."));
    for (method, path, body) in [
        ("POST", "data/top", r#"{"data":{}}"#),
        ("LIST", "metadata", ""),
        ("GET", "config", ""),
        ("DELETE", "data/x", ""),
    ] {
        assert_eq!(host.http(method, path, body).0, 400, "{method} {path}");
    }
    block_on(host.backend.start(&host.cx())).unwrap();
    check(&host, 150);
}

#[test]
fn an_upgrade_that_was_interrupted_goes_on() {
    let plain = filled(2_500);
    let first = Host::kv(plain.view.clone(), "2");
    // Each tick moves a bounded number: a tick is an upgrade that ends early.
    block_on(first.backend.tick(&first.cx())).unwrap();
    assert_eq!(first.http("GET", "data/top", "").0, 400, "not done yet");
    let moved = 2_502 - count(&first, "s");
    assert_eq!(moved, 1_024);
    let second = Host::kv(plain.view.clone(), "2");
    block_on(second.backend.tick(&second.cx())).unwrap();
    block_on(second.backend.start(&second.cx())).unwrap();
    check(&second, 2_500);
    block_on(second.backend.start(&second.cx())).unwrap();
    check(&first, 2_500);
}

fn count(host: &Host, dir: &str) -> usize {
    let names = block_on(host.view.list(dir, None, usize::MAX)).unwrap();
    names.iter().map(|name| name.strip_suffix('/').map_or(1, |name| count(host, &format!("{dir}/{name}")))).sum()
}

#[test]
fn two_upgrades_at_once_do_each_others_work_once() {
    let plain = filled(300);
    let hosts = [Host::kv(plain.view.clone(), "2"), Host::kv(plain.view.clone(), "2")];
    std::thread::scope(|scope| {
        for host in &hosts {
            scope.spawn(|| block_on(host.backend.start(&host.cx())).unwrap());
        }
    });
    check(&hosts[0], 300);
}

#[test]
fn nothing_of_version_1_is_written_once_the_upgrade_has_begun() {
    let plain = filled(1);
    let host = Host::kv(plain.view.clone(), "2");
    assert_eq!(host.http("GET", "config", "").0, 400);
    for (method, body) in [("POST", "{\"late\":1}"), ("DELETE", "")] {
        let (status, reply) = plain.http(method, "late", body);
        assert_eq!(status, 400, "{method}");
        assert!(reply["errors"][0].as_str().unwrap().starts_with("Upgrading"), "{reply}");
    }
    block_on(host.backend.start(&host.cx())).unwrap();
    assert_eq!(plain.http("POST", "late", "{\"late\":1}").0, 400);
    check(&host, 1);
}

#[test]
fn a_version_2_mount_stays_one() {
    let host = crate::versions::host();
    let options = |version: &str| BTreeMap::from([("version".to_owned(), version.to_owned())]);
    host.backend.accepts(&options("2")).unwrap();
    for refused in [options("1"), options("3"), BTreeMap::new()] {
        assert_eq!(host.backend.accepts(&refused).unwrap_err().to_string(), "cannot downgrade mount from version 2");
    }
    let plain = Host::kv(Host::new().view, "1");
    plain.backend.accepts(&options("2")).unwrap();
    for refused in ["0", "3", "two", "1 "] {
        assert!(strongroom_engines::kv::backend(&options(refused)).is_err(), "{refused}");
    }
}
