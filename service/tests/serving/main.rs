//! The service as a whole, through real sockets: in memory, with custodians' shares.

mod kv;
mod listening;
mod refusals;
mod stand;
mod tls;

use serde_json::json;
use stand::{Stand, audit, lines};
use strongroom_keystore::{Options, Store};

#[tokio::test(flavor = "multi_thread")]
async fn from_init_to_a_ciphertext_with_every_step_in_the_audit_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("audit.log");
    let stand = Stand::unsealed(&audit(&log)).await;
    let health = stand.call("GET", "sys/health", "", None).await;
    assert_eq!((health.status, &health.json()["sealed"]), (200, &json!(false)));
    assert_eq!(stand.root("POST", "sys/mounts/transit", Some(json!({"type": "transit"}))).await.status, 204);
    assert!(stand.root("POST", "transit/keys/k", None).await.status < 300);
    let token = stand.token("enc", "path \"transit/encrypt/k\" { capabilities = [\"update\"] }").await;
    let body = json!({"plaintext": "c2VjcmV0IHBsYWludGV4dA=="});
    let answer = stand.call("POST", "transit/encrypt/k", &token, Some(body)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert!(json["data"]["ciphertext"].as_str().unwrap().starts_with("vault:v1:"));
    assert_eq!(json["mount_type"], "transit");
    assert!(answer.has_header("cache-control: no-store") && answer.has_header("content-type: application/json"));
    let denied = stand.call("POST", "transit/decrypt/k", &token, Some(json!({"ciphertext": "x"}))).await;
    assert_eq!((denied.status, denied.error().as_str()), (403, "1 error occurred:\n\t* permission denied\n\n"));

    let lines = lines(&log);
    let text = std::fs::read_to_string(&log).unwrap();
    for secret in ["c2VjcmV0IHBsYWludGV4dA", "hvs.", "vault:v1:", &stand.share] {
        assert!(!text.contains(secret), "{secret}");
    }
    let pairs = |path: &str| {
        let kinds = lines.iter().filter(|line| line["request"]["path"] == path).map(|line| line["type"].clone());
        kinds.collect::<Vec<_>>()
    };
    for path in ["sys/mounts/transit", "transit/keys/k", "auth/token/create", "transit/encrypt/k", "transit/decrypt/k"]
    {
        assert_eq!(pairs(path), [json!("request"), json!("response")], "{path}");
    }
    let denied = lines.iter().find(|line| line["request"]["path"] == "transit/decrypt/k").unwrap();
    assert_eq!(denied["auth"]["policy_results"]["allowed"], false);
    assert!(denied["error"].as_str().unwrap().contains("permission denied"));
    for line in &lines {
        for field in
            [&line["time"], &line["request"]["id"], &line["request"]["operation"], &line["request"]["remote_address"]]
        {
            assert!(field.as_str().is_some_and(|text| !text.is_empty()), "{line}");
        }
    }
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealing_stops_admission_drops_the_keys_and_shares_open_it_again() {
    let stand = Stand::unsealed("").await;
    let live = std::sync::Arc::downgrade(&stand.running.server().phase.live().unwrap());
    let barrier = live.upgrade().unwrap().barrier.clone();
    assert_eq!(stand.call("PUT", "sys/seal", "", None).await.status, 403);
    assert_eq!(stand.root("PUT", "sys/seal", None).await.status, 204);
    let status = stand.call("GET", "sys/seal-status", "", None).await;
    assert_eq!(status.json()["sealed"], json!(true));
    let sealed = stand.root("GET", "sys/mounts", None).await;
    assert_eq!((sealed.status, sealed.error().as_str()), (503, "Vault is sealed"));
    // Whoever holds the right to change the phase now comes after the sealing.
    drop(stand.running.server().phase.change().await);
    assert!(live.upgrade().is_none(), "something still holds the unsealed server");
    assert!(barrier.key_status().is_err(), "the keyring is still there");
    assert_eq!(stand.root("PUT", "sys/seal", None).await.status, 204);
    stand.unseal().await;
    assert_eq!(stand.root("GET", "auth/token/lookup-self", None).await.status, 200);
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_happens_when_no_device_can_hold_the_entry() {
    let stand = Stand::unsealed(&audit(std::path::Path::new("/dev/full"))).await;
    let answer = stand.root("POST", "sys/mounts/transit", Some(json!({"type": "transit"}))).await;
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(stand.running.server().phase.live().unwrap().mounts.at("transit/").is_none());
    assert_eq!(stand.call("GET", "sys/health", "", None).await.status, 200);
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn re_encryption_and_automatic_rotation_need_sudo_and_answer_as_documented() {
    let stand = Stand::unsealed("").await;
    let weak = stand.token("weak", "path \"sys/re*\" { capabilities = [\"read\", \"update\"] }").await;
    for (method, path) in [("GET", "sys/reencrypt"), ("POST", "sys/reencrypt"), ("GET", "sys/rotate/config")] {
        assert_eq!(stand.call(method, path, &weak, None).await.status, 403, "{method} {path}");
    }
    assert_eq!(stand.root("GET", "sys/reencrypt", None).await.json()["data"]["state"], "none");
    assert_eq!(stand.root("POST", "sys/rotate", None).await.status, 204);
    let begun = stand.root("POST", "sys/reencrypt", None).await.json();
    assert_eq!(begun["data"]["term"], 2, "{begun}");
    let ended = loop {
        let data = stand.root("GET", "sys/reencrypt", None).await.json()["data"].clone();
        if !matches!(data["state"].as_str(), Some("sealing" | "proving")) {
            break data;
        }
    };
    assert_eq!(
        (&ended["state"], &ended["proof"]["rows_under_older_terms"]),
        (&json!("complete"), &json!(0)),
        "{ended}"
    );
    assert_eq!(ended["keyring_terms"], 1);

    // The names key too, and one after the other.
    assert_eq!(stand.call("POST", "sys/rotate/names", &weak, None).await.status, 403);
    assert_eq!(stand.root("POST", "sys/rotate/names", None).await.status, 204);
    let renamed = loop {
        let data = stand.root("GET", "sys/reencrypt", None).await.json()["data"].clone();
        if !matches!(data["state"].as_str(), Some("sealing" | "proving")) {
            break data;
        }
    };
    assert_eq!(
        (&renamed["state"], &renamed["names_generation"], &renamed["older_names_left"]),
        (&json!("complete"), &json!(2), &json!(false)),
        "{renamed}"
    );

    // What was set counts at once, and after a restart.
    for body in [json!({"interval": "23h"}), json!({"max_operations": 999_999}), json!({"max_operations": -1})] {
        assert_eq!(stand.root("POST", "sys/rotate/config", Some(body)).await.status, 400);
    }
    let set = json!({"max_operations": 1_000_000, "interval": "48h"});
    assert_eq!(stand.root("POST", "sys/rotate/keyring/config", Some(set)).await.status, 204);
    assert_eq!(stand.root("POST", "sys/rotate/config", Some(json!({"enabled": true}))).await.status, 204);
    let limit = || stand.running.server().phase.live().unwrap().barrier.key_status().unwrap().limit;
    assert_eq!(limit(), 1_000_000);
    assert_eq!(stand.root("PUT", "sys/seal", None).await.status, 204);
    drop(stand.running.server().phase.change().await);
    stand.unseal().await;
    assert_eq!(limit(), 1_000_000);
    let read = stand.root("GET", "sys/rotate/config", None).await.json()["data"].clone();
    assert_eq!(read, json!({"enabled": true, "interval": "48h0m0s", "max_operations": 1_000_000}));
    assert_eq!(stand.root("POST", "sys/rotate/config", Some(json!({"enabled": false}))).await.status, 204);
    assert_eq!(limit(), u64::MAX);
    assert_eq!(stand.root("GET", "sys/reencrypt", None).await.json()["data"]["state"], "complete");
    stand.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_taken_away_is_said_in_health_and_ends_writing_only() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::embedded(directory.path(), Options::default()).unwrap();
    let stand = Stand::start_on(store, "").await.initialised().await;
    let policy = Some(json!({"policy": "path \"x\" { capabilities = [\"read\"] }"}));
    assert_eq!(stand.root("PUT", "sys/policies/acl/one", policy.clone()).await.status, 204);
    assert_eq!(stand.call("GET", "sys/health", "", None).await.json().get("storage_failed"), None);
    assert_eq!(stand.root("GET", "sys/integrity", None).await.json()["data"]["storage_failed"], json!(null));
    std::fs::remove_file(directory.path().join("store.redb")).unwrap();
    let refused = stand.root("PUT", "sys/policies/acl/two", policy).await;
    assert!(refused.status >= 500, "{refused:?}");
    assert_eq!(stand.root("GET", "sys/policies/acl/one", None).await.status, 200);
    let health = stand.call("GET", "sys/health", "", None).await;
    assert_eq!((health.status, &health.json()["storage_failed"]), (200, &json!(true)));
    let integrity = stand.root("GET", "sys/integrity", None).await.json()["data"].clone();
    assert!(integrity["storage_failed"].as_str().unwrap().contains("taken away while it was open"), "{integrity}");
    assert_eq!(integrity["alarms"], 1);
    stand.running.stop().await;
}
