//! What the service and a kv mount owe each other: policies see the body, the audit log shows none of it, an upgrade runs
//! beside requests and survives a seal.

use crate::stand::{Stand, audit, lines};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_data_of_a_secret_is_judged_whole_and_logged_masked() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("audit.log");
    let stand = Stand::unsealed(&audit(&log)).await;
    assert_eq!(stand.root("POST", "sys/mounts/plain", Some(json!({"type": "kv"}))).await.status, 204);
    assert_eq!(stand.root("POST", "sys/mounts/kv", Some(json!({"type": "kv-v2"}))).await.status, 204);
    let policy = "path \"plain/*\" { capabilities = [\"create\", \"update\", \"read\"]\n\
                  denied_parameters = { \"path\" = [] } }";
    let token = stand.token("no-path", policy).await;
    let denied = stand.call("POST", "plain/a", &token, Some(json!({"path": "x", "v": 1}))).await;
    assert_eq!(denied.status, 403, "a member named as the route's capture is a parameter too: {denied:?}");
    assert_eq!(stand.call("POST", "plain/a", &token, Some(json!({"v": 74_921_883}))).await.status, 204);
    let read = stand.call("GET", "plain/a?colour=blue", &token, None).await.json();
    assert_eq!(read["warnings"], json!(["Endpoint ignored these unrecognized parameters: [colour]"]));
    let body = json!({"data": {"pin": 83_517_264, "on": true, "path": "hush", "deep": [{"n": 55_667_788}]}});
    assert_eq!(stand.root("POST", "kv/data/a", Some(body)).await.status, 200);
    let read = stand.root("GET", "kv/data/a", None).await.json();
    assert_eq!(read["data"]["data"]["pin"], 83_517_264);
    assert_eq!(read["mount_type"], "kv");

    let text = std::fs::read_to_string(&log).unwrap();
    for secret in ["74921883", "83517264", "55667788", "hush"] {
        assert!(!text.contains(secret), "{secret} is in the audit log");
    }
    let read = lines(&log).into_iter().rfind(|line| line["request"]["path"] == "kv/data/a").unwrap();
    assert_eq!(read["type"], "response");
    assert!(read["response"]["data"]["data"]["pin"].as_str().is_some_and(|pin| pin.starts_with("hmac-sha256:")));
    stand.running.stop().await;
}

async fn upgraded(stand: &Stand) {
    loop {
        let answer = stand.root("GET", "kv/config", None).await;
        if answer.status == 200 {
            return;
        }
        assert!(answer.error().starts_with("Upgrading from non-versioned to versioned data."), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_is_upgraded_beside_requests_and_not_back() {
    let stand = Stand::unsealed("").await;
    assert_eq!(stand.root("POST", "sys/mounts/kv", Some(json!({"type": "kv"}))).await.status, 204);
    for n in 0..100 {
        let written = stand.root("POST", &format!("kv/d/{n}"), Some(json!({"n": n}))).await;
        assert_eq!(written.status, 204, "{written:?}");
    }
    let tune = |version: &str| json!({"options": {"version": version}});
    assert_eq!(stand.root("POST", "sys/mounts/kv/tune", Some(tune("7"))).await.status, 400);
    assert_eq!(stand.root("GET", "kv/d/7", None).await.json()["data"]["n"], 7, "a refusal changes nothing");
    assert_eq!(stand.root("POST", "sys/mounts/kv/tune", Some(tune("2"))).await.status, 204);
    // It is sealed as soon as the upgrade may have begun, and goes on after the unseal.
    assert_eq!(stand.root("PUT", "sys/seal", None).await.status, 204);
    drop(stand.running.server().phase.change().await);
    stand.unseal().await;
    upgraded(&stand).await;
    let keys: Value = stand.root("LIST", "kv/metadata/d", None).await.json()["data"]["keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 100);
    assert_eq!(stand.root("GET", "kv/data/d/7", None).await.json()["data"]["data"]["n"], 7);
    let back = stand.root("POST", "sys/mounts/kv/tune", Some(tune("1"))).await;
    assert_eq!((back.status, back.error().as_str()), (400, "cannot downgrade mount from version 2"));
    assert_eq!(stand.root("GET", "sys/mounts/kv", None).await.json()["data"]["options"]["version"], "2");
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_of_version_2_is_ready_for_the_first_request() {
    let stand = Stand::unsealed("").await;
    for n in 0..20 {
        let body = json!({"type": "kv", "options": {"version": "2"}});
        assert_eq!(stand.root("POST", &format!("sys/mounts/kv{n}"), Some(body)).await.status, 204);
        let written = stand.root("POST", &format!("kv{n}/data/a"), Some(json!({"data": {"n": n}}))).await;
        assert_eq!(written.status, 200, "{written:?}");
    }
    stand.running.stop().await;
}
