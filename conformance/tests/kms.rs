//! The module with which OpenBao unseals itself (Go, `go-kms-wrapping/wrappers/transit/v2` v2.8.0, unchanged) against the
//! program: 10,000 round trips from 16 goroutines, rotations in between, one kill -9 and restart in the middle.

use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use strongroom_conformance::TestServer;
use strongroom_conformance::server::Storage;

fn build() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = std::env::current_exe().expect("a test knows its own path");
    let out = tests.parent().expect("tests lie in a directory").join("kms");
    let status = Command::new(here.join("../scripts/go.sh"))
        .args(["build", "-o"])
        .arg(&out)
        .arg(".")
        .current_dir(here.join("go/kms"))
        .env("GOFLAGS", "-mod=readonly")
        .env("GONOSUMDB", "*")
        .env("GOSUMDB", "off")
        .status()
        .expect("scripts/go.sh runs");
    assert!(status.success(), "the Go client builds");
    out
}

#[test]
fn a_cluster_that_unseals_itself_here_outlives_rotation_and_a_kill() {
    let program = build();
    let (mut server, init, _token) = TestServer::on_a_token(Storage::Embedded, true);
    let mut root = server.client().with_token(&init.root);
    assert_eq!(root.call("POST", "sys/mounts/transit", Some(&json!({"type": "transit"}))).status, 204);
    assert_eq!(root.call("POST", "transit/keys/unseal", None).status, 200);
    let policy = r#"path "transit/encrypt/unseal" { capabilities = ["update"] }
                    path "transit/decrypt/unseal" { capabilities = ["update"] }"#;
    assert_eq!(root.call("PUT", "sys/policies/acl/unseal", Some(&json!({ "policy": policy }))).status, 204);
    let body = json!({"policies": ["unseal"], "period": "24h", "no_parent": true});
    let reply = root.call("POST", "auth/token/create", Some(&body));
    let token = reply.json().expect("JSON")["auth"]["client_token"].as_str().expect("a token").to_owned();
    server.must_stay_secret(&token);

    let mut client = Command::new(program)
        .env("KMS_ADDR", server.url())
        .env("KMS_TOKEN", &token)
        .env("KMS_OPERATOR_TOKEN", &init.root)
        .env("KMS_MOUNT", "transit/")
        .env("KMS_KEY", "unseal")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let mut said = Vec::new();
    for line in BufReader::new(client.stdout.take().expect("stdout is piped")).lines() {
        let line = line.expect("the client prints text");
        if line == "half" {
            server.restart();
            server.wait_active(Duration::from_secs(10));
        }
        said.push(line);
    }
    let output = client.wait_with_output().expect("the client ends");
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), server.log());
    let done = said.last().expect("the client says what it did");
    assert!(done.starts_with("done 10000 ") && said.contains(&"half".to_owned()), "{said:?}");
    // Five rotations: the last version is the sixth, and it was used.
    assert!(done.contains("v1=") && done.contains("v6="), "{done}");
}
