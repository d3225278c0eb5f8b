//! What is refused, and with what words.

use crate::common::Host;
use crate::versions::host;
use serde_json::{Value, json};

#[test]
fn every_mistake_of_a_caller_has_its_text() {
    let host = host();
    host.ok("POST", "data/a", json!({"data": {"v": 1}}));
    let invalid = |field: &str, why: &str| {
        format!("Field validation failed: error converting input for field \"{field}\": {why}")
    };
    let cases: Vec<(&str, &str, Value, String)> = vec![
        ("POST", "data/a", json!({}), "no data provided".into()),
        ("POST", "data/a", json!({"data": null}), "no data provided".into()),
        ("POST", "data/a", json!({"data": "text"}), invalid("data", "expected an object")),
        ("POST", "data/a", json!({"data": {}, "options": 5}), invalid("options", "expected an object")),
        (
            "POST",
            "data/a",
            json!({"data": {}, "options": {"cas": "x"}}),
            "error parsing check-and-set parameter \"cas\": expected a version's number".into(),
        ),
        (
            "POST",
            "data/a",
            json!({"data": {}, "options": {"cas": -1}}),
            "error parsing check-and-set parameter \"cas\": expected a version's number".into(),
        ),
        (
            "POST",
            "data/a",
            json!({"data": {}, "options": {"cas": 0}}),
            "check-and-set parameter did not match the current version".into(),
        ),
        ("PATCH", "data/a", json!({"options": {}}), "no data provided".into()),
        ("GET", "data/a?version=x", json!(null), invalid("version", "expected a number")),
        ("GET", "subkeys/a?depth=x", json!(null), invalid("depth", "expected a number")),
        ("POST", "delete/a", json!({}), "No version number provided".into()),
        ("POST", "undelete/a", json!({"versions": []}), "No version number provided".into()),
        ("POST", "destroy/a", json!({"versions": ""}), "no version number provided".into()),
        ("POST", "destroy/a", json!({"versions": [-1]}), invalid("versions", "expected numbers")),
        ("POST", "delete/a", json!({"versions": {"a": 1}}), invalid("versions", "expected a list of strings")),
        (
            "POST",
            "config",
            json!({"max_versions": -1}),
            invalid("max_versions", "expected a number from 0 to 4294967295"),
        ),
        (
            "POST",
            "config",
            json!({"max_versions": 4_294_967_296_u64}),
            invalid("max_versions", "expected a number from 0 to 4294967295"),
        ),
        (
            "POST",
            "config",
            json!({"delete_version_after": "soon"}),
            invalid("delete_version_after", "expected a duration such as 30s or 1h"),
        ),
        (
            "POST",
            "metadata/a",
            json!({"delete_version_after": "-1s"}),
            invalid("delete_version_after", "cannot provide negative value"),
        ),
        (
            "POST",
            "metadata/a",
            json!({"custom_metadata": {"a": {"b": 1}}}),
            invalid("custom_metadata", "expected an object of strings"),
        ),
        (
            "PATCH",
            "metadata/a",
            json!({"custom_metadata": {"a": [1]}}),
            invalid("custom_metadata", "expected an object of strings"),
        ),
        ("PATCH", "metadata/a", json!({"custom_metadata": "a=b"}), invalid("custom_metadata", "expected an object")),
        ("LIST", "metadata?limit=many", json!(null), invalid("limit", "expected a number")),
    ];
    for (method, path, body, want) in cases {
        assert_eq!(host.fails(method, path, body.clone()), (400, want), "{method} {path} {body}");
    }
    assert_eq!(host.fails("LIST", "data", json!(null)).0, 405);
}

#[test]
fn custom_metadata_has_limits_also_when_it_grows_by_patches() {
    let host = host();
    let text = |len: usize| "x".repeat(len);
    let entries = |from: usize, to: usize| -> Value {
        (from..to).map(|n| (format!("k{n:03}"), json!("v"))).collect::<serde_json::Map<_, _>>().into()
    };
    host.ok("POST", "metadata/a", json!({"custom_metadata": {text(128): text(512)}}));
    host.ok("PATCH", "metadata/a", json!({"custom_metadata": entries(0, 63)}));
    for refused in [
        entries(63, 64),
        json!({text(129): "v"}),
        json!({text(128): text(513)}),
        json!({"": "v"}),
        json!({"k000": ""}),
        json!({"k000": "line\nbreak"}),
        json!({"k\u{7}": "v"}),
    ] {
        let (status, error) = host.fails("PATCH", "metadata/a", json!({"custom_metadata": refused}));
        assert_eq!(status, 400);
        assert!(error.starts_with("custom_metadata validation failed"), "{error}");
    }
    let read = host.ok("GET", "metadata/a", json!(null));
    assert_eq!(read["custom_metadata"].as_object().unwrap().len(), 64, "nothing was taken over in part");
}

#[test]
fn what_is_too_large_is_told_with_the_limit_and_changes_nothing() {
    let plain = Host::kv(Host::new().view, "1");
    let versioned = host();
    let text = "x".repeat(1 << 20);
    let calls =
        [(&plain, "a".to_owned(), json!({"v": text})), (&versioned, "data/a".to_owned(), json!({"data": {"v": text}}))];
    for (host, path, body) in calls {
        let (status, error) = host.fails("POST", &path, body);
        assert_eq!(status, 413);
        assert!(error.contains("1040384"), "{error}");
        assert_eq!(host.http("GET", &path, "").0, 404);
    }
    let long = format!("data/{}", "x/".repeat(2_050) + "y");
    assert_eq!(versioned.fails("POST", &long, json!({"data": {}})).0, 400, "a path longer than a row's");
    versioned.ok("POST", "data/p", json!({"data": {"a": "x".repeat(600_000)}}));
    assert_eq!(versioned.fails("PATCH", "data/p", json!({"data": {"b": "x".repeat(600_000)}})).0, 413);
    assert_eq!(versioned.ok("GET", "data/p", json!(null))["metadata"]["version"], json!(1));
}

#[test]
fn a_path_of_version_1_is_pointed_at_the_right_one() {
    let host = host();
    for (method, path) in [("GET", "a"), ("POST", "a/b"), ("DELETE", "a"), ("LIST", ""), ("LIST", "a"), ("PATCH", "x")]
    {
        let (status, reply) = host.http(method, path, "");
        assert_eq!((status, &reply["data"]), (404, &json!(null)), "{method} {path}");
        let warning = reply["warnings"][0].as_str().unwrap();
        assert!(warning.starts_with("Invalid path for a versioned K/V secrets engine."), "{method} {path}: {warning}");
    }
    for (method, path) in [("POST", "data"), ("GET", "metadata"), ("DELETE", "data"), ("PATCH", "metadata")] {
        let (status, reply) = host.http(method, path, "");
        let want = "Non-listing operations on the root of a K/V v2 mount are not supported.";
        assert_eq!((status, &reply["warnings"][0]), (404, &json!(want)), "{method} {path}");
    }
}

#[test]
fn version_1_keeps_the_whole_body_whatever_its_names() {
    let host = Host::kv(Host::new().view, "1");
    let text = r#" { "path": "mine", "limit": 3, "big": 12345678901234567890123, "after": null } "#;
    assert_eq!(host.http("POST", "a", text).0, 204);
    let request = host.request(strongroom_mount::Operation::Read, "a", Default::default()).unwrap();
    let response = crate::common::block_on(host.answer(request)).unwrap();
    assert_eq!(response.data.unwrap().as_bytes(), text.trim().as_bytes());
    assert_eq!(response.lease_duration, 86_400, "the mount's default");
    let mut form = strongroom_mount::Fields::default();
    form.add("a", "1\n");
    let request = host.request(strongroom_mount::Operation::Update, "form", form).unwrap();
    crate::common::block_on(host.answer(request)).unwrap();
    assert_eq!(host.ok("GET", "form", json!(null)), json!({"a": "1\n"}));
    assert_eq!(host.fails("POST", "a", json!({})), (400, "missing data fields".into()));
}
