//! What versions do that the recorded scenario does not show.

use crate::common::{Host, block_on};
use serde_json::json;
use std::time::Duration;

pub(crate) fn host() -> Host {
    Host::kv(Host::new().view, "2")
}

#[test]
fn numbers_of_any_size_and_the_text_of_a_secret_are_kept() {
    let host = host();
    let text = r#"{"i": 9007199254740993, "big": 123456789012345678901234567890, "f": 1.10, "e":1E+2, "u": "\u00fc"}"#;
    host.http("POST", "data/n", &format!("{{\"data\":{text}}}"));
    let request = host.request(strongroom_mount::Operation::Read, "data/n", Default::default()).unwrap();
    let data = block_on(host.answer(request)).unwrap().data.unwrap();
    let body = String::from_utf8(data.as_bytes().to_vec()).unwrap();
    assert!(body.contains(text), "{body}");
    host.http("PATCH", "data/n", r#"{"data":{"more":-0.0,"f":null}}"#);
    let request = host.request(strongroom_mount::Operation::Read, "data/n", Default::default()).unwrap();
    let data = block_on(host.answer(request)).unwrap().data.unwrap();
    let body = String::from_utf8(data.as_bytes().to_vec()).unwrap();
    for kept in ["9007199254740993", "123456789012345678901234567890", "1E+2", "\"more\":-0.0"] {
        assert!(body.contains(kept), "{kept}: {body}");
    }
    assert!(!body.contains("1.10"), "{body}");
}

#[test]
fn a_version_is_deleted_by_time_and_undeleted_for_good() {
    let host = host();
    host.ok("POST", "config", json!({"delete_version_after": "1h"}));
    host.ok("POST", "metadata/a", json!({"delete_version_after": "30m"}));
    let written = host.ok("POST", "data/a", json!({"data": {"v": 1}}));
    let start = host.clock.now();
    assert_eq!(written["deletion_time"], json!(start.plus(Duration::from_secs(1_800)).to_string()));
    host.clock.set(start.plus(Duration::from_secs(1_799)));
    assert_eq!(host.ok("GET", "data/a", json!(null))["data"], json!({"v": 1}));
    host.clock.set(start.plus(Duration::from_secs(1_800)));
    assert_eq!(host.http("GET", "data/a", "").0, 404);
    // A clock set back brings nothing back.
    host.clock.set(start);
    assert_eq!(host.http("GET", "data/a", "").0, 404);
    host.ok("POST", "undelete/a", json!({"versions": [1]}));
    host.clock.set(start.plus(Duration::from_secs(90_000)));
    assert_eq!(host.ok("GET", "data/a", json!(null))["metadata"]["deletion_time"], json!(""));
    host.ok("POST", "data/a", json!({"data": {"v": 2}}));
    host.ok("POST", "undelete/a", json!({"versions": [2]}));
    let read = host.ok("GET", "data/a", json!(null));
    assert_eq!(read["metadata"]["deletion_time"], json!(""), "one that lies ahead is taken back too");
    host.ok("POST", "config", json!({"delete_version_after": "-1s"}));
    assert_eq!(
        host.ok("POST", "data/a", json!({"data": {"v": 2}}))["deletion_time"],
        json!(""),
        "the mount says never"
    );
}

#[test]
fn a_secrets_own_number_of_versions_counts_before_the_mounts() {
    let host = host();
    host.ok("POST", "config", json!({"max_versions": 4}));
    host.ok("POST", "metadata/own", json!({"max_versions": 2}));
    for secret in ["own", "other"] {
        for version in 1..=6 {
            host.ok("POST", &format!("data/{secret}"), json!({"data": {"v": version}}));
        }
    }
    let kept = |secret: &str| -> Vec<String> {
        let read = host.ok("GET", &format!("metadata/{secret}"), json!(null));
        read["versions"].as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(
        (kept("own"), kept("other")),
        (vec!["5".into(), "6".into()], vec!["3".into(), "4".into(), "5".into(), "6".into()])
    );
    assert_eq!(rows(&host), 6, "rows of given up versions are gone");
}

/// How many versions have a row.
fn rows(host: &Host) -> usize {
    let list = |directory: &str| block_on(host.view.list(directory, None, usize::MAX)).unwrap();
    list("v").iter().map(|directory| list(&format!("v/{directory}")).len()).sum()
}

#[test]
fn many_versions_go_in_bounded_steps_and_are_out_of_reach_at_once() {
    let host = host();
    host.ok("POST", "metadata/a", json!({"max_versions": 1000}));
    for version in 1..=600 {
        host.ok("POST", "data/a", json!({"data": {"v": version}}));
    }
    assert_eq!(rows(&host), 600);
    host.ok("POST", "metadata/a", json!({"max_versions": 1}));
    host.ok("POST", "data/a", json!({"data": {"v": 601}}));
    assert_eq!(rows(&host), 601 - 256, "one write deletes no more");
    assert_eq!(host.http("GET", "data/a?version=599", "").0, 404, "out of reach, its row is there");
    assert_eq!(host.http("POST", "undelete/a", r#"{"versions":[599]}"#).0, 204);
    assert_eq!(host.http("GET", "data/a?version=599", "").0, 404);
    host.ok("POST", "data/a", json!({"data": {"v": 602}}));
    host.ok("POST", "data/a", json!({"data": {"v": 603}}));
    assert_eq!(rows(&host), 1);
}

#[test]
fn a_deleted_secret_is_gone_at_once_and_its_rows_later() {
    let host = host();
    host.ok("POST", "metadata/a", json!({"max_versions": 1000}));
    for version in 1..=600 {
        host.ok("POST", "data/a", json!({"data": {"v": version}}));
    }
    host.ok("DELETE", "metadata/a", json!(null));
    assert_eq!(rows(&host), 600 - 256, "one request deletes no more");
    host.ok("POST", "data/a", json!({"data": {"v": "new"}, "options": {"cas": 0}}));
    assert_eq!(host.http("GET", "data/a?version=300", "").0, 404, "a version of the secret before");
    block_on(host.backend.tick(&host.cx())).unwrap();
    assert_eq!(rows(&host), 1);
    assert_eq!(host.ok("GET", "data/a", json!(null))["data"], json!({"v": "new"}));
    assert!(block_on(host.view.list("gone", None, 1)).unwrap().is_empty());
}

#[test]
fn a_scan_pages_through_the_whole_tree() {
    let host = host();
    for path in ["b", "a", "d/x", "d/e/y", "c"] {
        host.ok("POST", &format!("data/{path}"), json!({"data": {}}));
    }
    let keys = |path: &str| host.ok("SCAN", path, json!(null))["keys"].clone();
    assert_eq!(keys("metadata"), json!(["a", "b", "c", "d/x", "d/e/y"]));
    assert_eq!(keys("metadata/d"), json!(["x", "e/y"]));
    assert_eq!(keys("metadata?limit=2"), json!(["a", "b"]));
    assert_eq!(keys("metadata?after=c&limit=1"), json!(["d/x"]));
    assert_eq!(host.http("SCAN", "metadata?after=nothing", "").0, 404);
    assert_eq!(host.ok("LIST", "metadata?after=a&limit=2", json!(null))["keys"], json!(["b", "c"]));
}

#[test]
fn metadata_has_a_check_and_set_of_its_own() {
    let host = host();
    host.ok("POST", "metadata/a", json!({"metadata_cas_required": true, "metadata_cas": 0}));
    let refused = "metadata check-and-set parameter did not match the current version";
    assert_eq!(host.fails("POST", "metadata/a", json!({"metadata_cas": 0})), (400, refused.into()));
    let missing = "metadata check-and-set parameter required for this call";
    assert_eq!(host.fails("PATCH", "metadata/a", json!({"max_versions": 3})), (400, missing.into()));
    host.ok("PATCH", "metadata/a", json!({"max_versions": 3, "custom_metadata": {"a": "b"}, "metadata_cas": 1}));
    host.ok("PATCH", "metadata/a", json!({"max_versions": null, "custom_metadata": null, "metadata_cas": 2}));
    let read = host.ok("GET", "metadata/a", json!(null));
    assert_eq!((&read["max_versions"], &read["custom_metadata"]), (&json!(0), &json!(null)));
    assert_eq!(read["current_metadata_version"], json!(3));
}

#[test]
fn a_cached_secret_is_not_served_after_a_change() {
    let host = host();
    host.ok("POST", "data/a", json!({"data": {"v": 1}}));
    assert_eq!(host.ok("GET", "data/a", json!(null))["data"], json!({"v": 1}));
    // Another instance over the same rows: what another node does.
    let other = Host::kv(host.view.clone(), "2");
    other.ok("POST", "data/a", json!({"data": {"v": 2}}));
    assert_eq!(host.ok("GET", "data/a", json!(null))["data"], json!({"v": 2}));
    other.ok("DELETE", "metadata/a", json!(null));
    assert_eq!(host.http("GET", "data/a", "").0, 404);
}
