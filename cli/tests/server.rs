//! The binary as a server: tokens that go and come back, shares, signals, and every client command once.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use strongroom_conformance::TestServer;
use strongroom_conformance::server::{Config, Storage};
use support::{Ran, Token, pair, seal, strongroom};

const PATIENCE: Duration = Duration::from_secs(60);

fn cli(server: &TestServer, token: &str, arguments: &str, stdin: &str) -> Ran {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    strongroom(&arguments, &[pair("VAULT_ADDR", server.url()), pair("VAULT_TOKEN", token)], stdin)
}

/// What a command prints; it must succeed.
fn said(server: &TestServer, token: &str, arguments: &str) -> String {
    let ran = cli(server, token, arguments, "");
    assert_eq!(ran.code, 0, "{arguments}: {ran:?}");
    ran.out
}

fn on_token(token: &Token, more: &str) -> Config {
    Config {
        storage: Storage::Embedded,
        stanzas: format!("{}{more}", seal("hsm")),
        environment: token.environment(),
        ..Config::default()
    }
}

fn status(server: &TestServer) -> serde_json::Value {
    server.client().call("GET", "sys/seal-status", None).json().expect("a status")
}

/// Waits until the seal status, as text, holds `part`.
fn wait_for(server: &TestServer, part: &str) {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let tree = server.client().call("GET", "sys/seal-tree", None).text();
        let text = format!("{} {tree}", status(server));
        if text.contains(part) {
            return;
        }
        assert!(std::time::Instant::now() < end, "{part:?} is not in {text}; log:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn swap(a: &Path, b: &Path) {
    let aside = a.with_extension("aside");
    std::fs::rename(a, &aside).unwrap();
    std::fs::rename(b, a).unwrap();
    std::fs::rename(&aside, b).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_token_unseals_after_a_kill_and_when_it_comes_back() {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let token = Token::new(directory.path(), "token");
    token.keygen(directory.path());
    let mut server = TestServer::start_in(directory.clone(), on_token(&token, ""));
    server.must_stay_secret(support::PIN);
    let init = server.initialise(&serde_json::json!({"recovery_shares": 3, "recovery_threshold": 2}));
    server.wait_active(PATIENCE);
    assert_eq!((status(&server)["type"].as_str(), init.recovery.len()), (Some("pkcs11"), 3));
    assert_eq!(status(&server)["rollback"], "protected");
    assert!(server.log().contains("keys lie in "), "the log says how keys are kept:\n{}", server.log());
    let shown = said(&server, &init.root, "status");
    assert!(shown.contains("Recovery Seal Type") && shown.contains("Total Recovery Shares"), "{shown}");

    let tree = |token: &str| -> serde_json::Value {
        serde_json::from_str(&said(&server, token, "read -format=json sys/seal-tree")).unwrap()
    };
    let leaf = &tree(&init.root)["data"]["leaves"][0];
    assert_eq!(
        (leaf["name"].as_str(), leaf["healthy"].as_bool(), leaf["satisfied"].as_bool()),
        (Some("hsm"), Some(true), Some(true))
    );
    assert_eq!(
        (leaf["generation"].as_u64(), leaf["device"]["text"].as_str().map(|text| text.contains("SoftHSM"))),
        (Some(1), Some(true))
    );
    assert!(leaf["last_success"].is_string() && leaf["last_error"].is_null(), "{leaf}");
    // Without a token, or with one that may not read it: names and states, no devices.
    let weak = said(&server, &init.root, "token create -policy=default -field=token");
    for token in ["", &weak] {
        let leaf = &tree(token)["data"]["leaves"][0];
        assert!(leaf["healthy"] == true && leaf.get("device").is_none() && leaf.get("last_error").is_none(), "{leaf}");
    }

    // The root key rotates on the token, and the next start opens the new one.
    assert!(said(&server, &init.root, "operator rotate-root").contains("generation 2"));
    assert_eq!(tree(&init.root)["data"]["leaves"][0]["generation"], 2);

    server.restart();
    server.wait_active(PATIENCE);
    assert!(said(&server, &init.root, "token lookup").contains("root"));

    // The token's directory is gone: it starts, says why it stays sealed, and unseals by itself.
    server.kill();
    let away = directory.path().join("away");
    std::fs::rename(token.objects(), &away).unwrap();
    std::fs::create_dir(token.objects()).unwrap();
    server.restart();
    wait_for(&server, "no token");
    assert_eq!(cli(&server, "", "status", "").code, 2);
    std::fs::remove_dir(token.objects()).unwrap();
    std::fs::rename(&away, token.objects()).unwrap();
    server.wait_active(PATIENCE);

    let check = strongroom(
        &["operator", "seal-check", &format!("-config={}", directory.path().join("strongroom.hcl").display())],
        &token.environment(),
        "",
    );
    assert!(check.code == 2 && check.out.contains("not proven") && !check.out.contains(" ok "), "{check:?}");
    assert_eq!(server.stop(), Some(0));
    let check = strongroom(
        &["operator", "seal-check", &format!("-config={}", directory.path().join("strongroom.hcl").display())],
        &token.environment(),
        "",
    );
    assert!(check.code == 0 && check.out.contains("is the enrolled device and opens its keyslots"), "{check:?}");
}

#[test]
fn another_token_with_the_same_label_pin_and_key_label_opens_nothing() {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let token = Token::new(directory.path(), "token");
    token.keygen(directory.path());
    let other = Token::new(directory.path(), "other");
    other.keygen(directory.path());
    let mut server = TestServer::start_in(directory.clone(), on_token(&token, ""));
    server.initialise(&serde_json::json!({"recovery_shares": 1, "recovery_threshold": 1}));
    server.wait_active(PATIENCE);
    server.kill();
    swap(&token.objects(), &other.objects());
    server.restart();
    wait_for(&server, "is not the one that was enrolled");
    assert_eq!(status(&server)["sealed"], true);
    server.kill();
    swap(&token.objects(), &other.objects());
    server.restart();
    server.wait_active(PATIENCE);
}

#[test]
fn a_store_from_yesterday_stays_sealed_and_the_server_up() {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let token = Token::new(directory.path(), "token");
    token.keygen(directory.path());
    let mut server = TestServer::start_in(directory.clone(), on_token(&token, ""));
    server.initialise(&serde_json::json!({"recovery_shares": 1, "recovery_threshold": 1}));
    server.wait_active(PATIENCE);
    assert_eq!(server.stop(), Some(0));
    let (store, yesterday) = (directory.path().join("store"), directory.path().join("yesterday"));
    copy(&store, &yesterday);

    server.restart();
    server.wait_active(PATIENCE);
    assert_eq!(server.stop(), Some(0));
    let today = directory.path().join("today");
    std::fs::rename(&store, &today).unwrap();
    copy(&yesterday, &store);
    server.restart();
    wait_for(&server, "rollback detected");
    assert_eq!(status(&server)["sealed"], true);
    wait_log(&server, "rollback detected");

    server.kill();
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(&today, &store).unwrap();
    server.restart();
    server.wait_active(PATIENCE);
}

#[test]
fn a_refused_pin_leaves_it_sealed_and_is_spent_once() {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let token = Token::new(directory.path(), "token");
    token.keygen(directory.path());
    let pin = directory.path().join("pin");
    let set = |text: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(&pin, text).unwrap();
        std::fs::set_permissions(&pin, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    set(support::PIN);
    let mut config = on_token(&token, "");
    config.stanzas = config.stanzas.replace("env://HSM_PIN", &format!("file://{}", pin.display()));
    let mut server = TestServer::start_in(directory.clone(), config);
    server.initialise(&serde_json::json!({"recovery_shares": 1, "recovery_threshold": 1}));
    server.wait_active(PATIENCE);
    assert_eq!(server.stop(), Some(0));
    set("00000000");
    server.restart();
    wait_for(&server, "refused");
    server.restart();
    wait_for(&server, "was not tried again");
    set(support::PIN);
    server.restart();
    server.wait_active(PATIENCE);
}

#[test]
fn a_missing_library_is_away_and_a_mixture_needs_both() {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let token = Token::new(directory.path(), "token");
    token.keygen(directory.path());
    let library = directory.path().join("module.so");
    std::os::unix::fs::symlink(support::MODULE, &library).unwrap();
    let mut config = on_token(&token, "seal \"shamir\" \"people\" {}\nunseal_when = \"all(hsm, people)\"\n");
    config.stanzas = config.stanzas.replace(support::MODULE, &library.display().to_string());
    let mut server = TestServer::start_in(directory.clone(), config);
    let refused = server.client().call(
        "PUT",
        "sys/init",
        Some(&serde_json::json!({"recovery_shares": 5, "recovery_threshold": 3})),
    );
    assert!(refused.status == 400 && refused.text().contains("secret_shares and secret_threshold are missing"));
    let init = server.initialise(&serde_json::json!({"secret_shares": 3, "secret_threshold": 2}));
    assert_eq!(
        (status(&server)["sealed"].as_bool(), status(&server)["type"].as_str()),
        (Some(true), Some("multiseal"))
    );
    server.unseal(&init.shares[..2]);
    server.wait_active(PATIENCE);

    server.kill();
    std::fs::remove_file(&library).unwrap();
    server.restart();
    server.unseal(&init.shares[1..]);
    wait_for(&server, "module.so");
    assert_eq!((status(&server)["sealed"].as_bool(), status(&server)["progress"].as_u64()), (Some(true), Some(2)));
    std::os::unix::fs::symlink(support::MODULE, &library).unwrap();
    // The shares are there still, and the device is waited for: nobody has to come again.
    server.wait_active(PATIENCE);
}

#[test]
fn shares_are_entered_without_argv_and_a_wrong_one_is_named() {
    let mut server = TestServer::start(Config::default());
    assert_eq!(cli(&server, "", "operator init -status", "").code, 2);
    let made = cli(&server, "", "operator init -key-shares=3 -key-threshold=2 -format=json", "");
    let json: serde_json::Value = serde_json::from_str(&made.out).unwrap_or_else(|_| panic!("{made:?}"));
    let share = |index: usize| json["unseal_keys_b64"][index].as_str().unwrap().to_owned();
    (0..3).for_each(|index| server.must_stay_secret(&share(index)));
    server.must_stay_secret(json["root_token"].as_str().unwrap());
    assert_eq!((json["unseal_shares"].as_u64(), json["unseal_threshold"].as_u64()), (Some(3), Some(2)));
    assert_eq!(cli(&server, "", "operator init -status", "").code, 0);

    let first = cli(&server, "", "operator unseal -", &format!("{}\n", share(0)));
    assert!(first.code == 0 && first.out.contains("Unseal Progress    1/2"), "{first:?}");
    let wrong = cli(&server, "", "operator unseal", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh/+\n");
    assert!(wrong.code == 2 && wrong.err.contains("invalid key"), "{wrong:?}");
    assert_eq!(cli(&server, "", "operator unseal -reset", "").code, 0);
    assert_eq!(status(&server)["progress"], 0);
    let old = cli(&server, "", "operator unseal -epoch=99 -", &share(1));
    assert!(old.code == 2 && old.err.contains("rollback detected"), "{old:?}");
    for index in [1, 2] {
        assert_eq!(cli(&server, "", "operator unseal -", &share(index)).code, 0);
    }
    assert_eq!(cli(&server, "", "status", "").code, 0);
    let root = json["root_token"].as_str().unwrap();
    assert_eq!(cli(&server, root, "operator seal", "").code, 0);
    let sealed = cli(&server, root, "read sys/mounts", "");
    assert!(sealed.code == 2 && sealed.err.contains("operator unseal"), "{sealed:?}");
    assert_eq!(cli(&server, root, "status", "").code, 2);
}

#[test]
fn every_client_command_does_what_the_stock_one_does() {
    let (server, init) = TestServer::unsealed(Config::default());
    let root = init.root.as_str();
    assert!(said(&server, root, "secrets enable -path=keys transit").contains("at: keys/"));
    assert!(said(&server, root, "secrets list").contains("keys/"));
    assert!(said(&server, root, "secrets tune -description=mine keys").contains("Tuned"));
    assert!(said(&server, root, "secrets list -detailed").contains("mine"));
    said(&server, root, "write -f keys/keys/one");
    assert_eq!(said(&server, root, "list keys/keys"), "Keys\n----\none\n");
    assert_eq!(said(&server, root, "list -format=json keys/keys").split_whitespace().collect::<String>(), "[\"one\"]");
    let ciphertext = said(&server, root, "write -field=ciphertext keys/encrypt/one plaintext=aGVsbG8=");
    assert!(ciphertext.starts_with("vault:v1:") && !ciphertext.ends_with('\n'), "{ciphertext}");
    let plain = said(&server, root, &format!("write -format=json keys/decrypt/one ciphertext={ciphertext}"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&plain).unwrap()["data"]["plaintext"], "aGVsbG8=");
    assert!(said(&server, root, "read -format=yaml keys/keys/one").contains("latest_version: 1"));
    let refused = cli(&server, root, "delete keys/keys/one", "");
    assert!(refused.code == 2 && refused.err.contains("Code: 400"), "{refused:?}");
    assert_eq!(cli(&server, root, "list keys/nothing", "").code, 2);
    let missing = cli(&server, root, "read -field=nothing keys/keys/one", "");
    assert!(missing.code == 1 && missing.err.contains("not present"), "{missing:?}");

    let policy = "path \"keys/encrypt/one\" { capabilities = [\"update\"] }\n";
    let written = cli(&server, root, "policy write enc -", policy);
    assert!(written.out.contains("Uploaded policy: enc"), "{written:?}");
    assert!(said(&server, root, "policy list").lines().any(|name| name == "enc"));
    assert_eq!(said(&server, root, "policy read enc"), policy);
    let token = said(&server, root, "token create -policy=enc -ttl=1h -metadata=a=b -field=token");
    assert!(said(&server, &token, "token lookup").contains("map[a:b]"));
    assert_eq!(said(&server, &token, "token capabilities keys/encrypt/one"), "update\n");
    assert!(said(&server, &token, "token renew").contains("token_duration       1h"));
    let denied = cli(&server, &token, "read keys/keys/one", "");
    assert!(
        denied.code == 2 && denied.err.contains("Code: 403") && denied.err.contains("token capabilities"),
        "{denied:?}"
    );
    assert_eq!(cli(&server, root, "token revoke -", &token).code, 0);
    assert_eq!(cli(&server, &token, "token lookup", "").code, 2);
    assert!(said(&server, root, "policy delete enc").contains("Deleted"));

    assert!(said(&server, root, "operator rotate").contains("Key Term            2"));
    assert_eq!(said(&server, root, "operator key-status -field=term").trim(), "2");
    assert_eq!(said(&server, root, "operator reencrypt -status -field=state"), "none");
    let proven: serde_json::Value =
        serde_json::from_str(&said(&server, root, "operator reencrypt -format=json")).unwrap();
    assert_eq!((proven["state"].as_str(), proven["term"].as_u64()), (Some("complete"), Some(2)), "{proven}");
    let proof = &proven["proof"];
    assert_eq!((proof["rows_under_older_terms"].as_u64(), proof["problems"].as_u64()), (Some(0), Some(0)), "{proven}");
    assert_eq!(proof["rows_by_term"]["2"], proof["rows"], "{proven}");
    assert!(proven["resealed"].as_u64() > Some(0) && proven["keyring_terms"] == 1, "{proven}");
    assert!(said(&server, root, "operator reencrypt -status").contains("Rows Under Older Terms    0"));
    assert!(said(&server, root, "audit list").contains("No audit devices"));
    assert!(said(&server, root, "secrets disable keys").contains("Disabled"));
    let nobody = strongroom(&["token", "lookup"], &[pair("VAULT_ADDR", server.url()), pair("HOME", "/nowhere")], "");
    assert!(nobody.code == 2 && nobody.err.contains("No token was sent"), "{nobody:?}");
}

#[test]
fn kv_commands_serve_both_versions_as_the_stock_ones_do() {
    let (server, init) = TestServer::unsealed(Config::default());
    let root = init.root.as_str();
    said(&server, root, "secrets enable -path=old kv");
    said(&server, root, "secrets enable -path=secret kv-v2");
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();

    assert_eq!(said(&server, root, "kv put old/a k=v n=1"), "Success! Data written to: old/a\n");
    assert_eq!(said(&server, root, "kv get -field=k old/a"), "v");
    assert!(said(&server, root, "kv get old/a").starts_with("=== Data ===\nKey    Value\n"));
    assert_eq!(said(&server, root, "kv list old"), "Keys\n----\na\n");
    assert_eq!(cli(&server, root, "kv patch old/a k=w", "").code, 1);
    assert_eq!(cli(&server, root, "kv get -version=1 old/a", "").code, 1);

    let put = said(&server, root, "kv put -cas=0 secret/dir/a k=v");
    assert!(put.starts_with("= Secret Path ") || put.contains("secret/data/dir/a\n"), "{put}");
    assert!(put.contains("version            1\n") && put.contains("deletion_time      n/a\n"), "{put}");
    assert_eq!(cli(&server, root, "kv put -cas=0 secret/dir/a k=w", "").code, 2);
    assert_eq!(json(&said(&server, root, "kv patch -format=json -mount=secret dir/a x=y"))["data"]["version"], 2);
    assert_eq!(json(&said(&server, root, "kv patch -format=json -method=rw secret/dir/a x=z"))["data"]["version"], 3);
    said(&server, root, "kv patch -remove-data=x secret/dir/a k=last");
    let read = json(&said(&server, root, "kv get -format=json secret/dir/a"));
    assert_eq!(read["data"]["data"], serde_json::json!({"k": "last"}));
    assert_eq!(said(&server, root, "kv get -mount=secret -version=1 -field=k dir/a"), "v");
    let shown = said(&server, root, "kv get secret/dir/a");
    assert!(shown.contains("= Metadata =") && shown.ends_with("k      last\n"), "{shown}");
    assert_eq!(said(&server, root, "kv list secret"), "Keys\n----\ndir/\n");
    assert_eq!(said(&server, root, "kv list -mount=secret dir"), "Keys\n----\na\n");

    assert!(
        said(&server, root, "kv delete secret/dir/a").contains("Data deleted (if it existed) at: secret/data/dir/a")
    );
    let deleted = said(&server, root, "kv get secret/dir/a");
    assert!(deleted.contains("= Metadata =") && !deleted.contains("= Data ="), "{deleted}");
    said(&server, root, "kv undelete -versions=4 secret/dir/a");
    said(&server, root, "kv destroy -versions=2,3 secret/dir/a");
    assert_eq!(cli(&server, root, "kv undelete secret/dir/a", "").code, 1);
    assert_eq!(cli(&server, root, "kv rollback -version=2 secret/dir/a", "").code, 2);
    assert!(said(&server, root, "kv rollback -version=1 secret/dir/a").contains("version            5\n"));
    assert_eq!(said(&server, root, "kv get -field=k secret/dir/a"), "v");

    said(&server, root, "kv metadata put -max-versions=3 -cas-required -custom-metadata=a=b secret/dir/a");
    said(&server, root, "kv metadata patch -custom-metadata=c=d -remove-custom-metadata=a secret/dir/a");
    let metadata = said(&server, root, "kv metadata get secret/dir/a");
    assert!(metadata.contains("map[c:d]") && metadata.contains("= Version 5 ="), "{metadata}");
    assert_eq!(cli(&server, root, "kv put secret/dir/a k=x", "").code, 2);
    said(&server, root, "kv metadata delete secret/dir/a");
    for gone in ["kv get", "kv metadata get", "kv patch -method=patch"] {
        let gone =
            cli(&server, root, &format!("{gone} secret/dir/a {}", if gone.contains("patch") { "a=b" } else { "" }), "");
        assert!(gone.code == 2 && gone.err.contains("No value found"), "{gone:?}");
    }

    // A policy that grants no patch makes it a read and a write.
    let policy = "path \"secret/data/*\" { capabilities = [\"create\", \"read\", \"update\"] }\n";
    assert_eq!(cli(&server, root, "policy write rw -", policy).code, 0);
    let token = said(&server, root, "token create -policy=rw -field=token");
    said(&server, &token, "kv put secret/p a=1");
    said(&server, &token, "kv patch secret/p b=2");
    let read = json(&said(&server, &token, "kv get -format=json secret/p"));
    assert_eq!(read["data"]["data"], serde_json::json!({"a": "1", "b": "2"}));
    let denied = cli(&server, &token, "kv get old/a", "");
    assert!(denied.code == 2 && denied.err.contains("preflight capability check returned 403"), "{denied:?}");

    said(&server, root, "kv enable-versioning old");
    wait_until(|| cli(&server, root, "kv get -field=k old/a", "").out == "v");
    assert!(said(&server, root, "kv get old/a").contains("old/data/a"));
}

/// Asks again until it holds.
fn wait_until(mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it does not come to hold");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn login_keeps_a_token_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (server, init) = TestServer::unsealed(Config::default());
    let home = tempfile::tempdir().unwrap();
    let environment = [pair("BAO_ADDR", server.url()), pair("HOME", home.path().display().to_string())];
    let wrong = strongroom(&["login", "-"], &environment, "hvs.nonsense\n");
    assert!(wrong.code == 2 && !home.path().join(".vault-token").exists(), "{wrong:?}");
    let right = strongroom(&["login"], &environment, &init.root);
    assert_eq!(right.code, 0, "{right:?}");
    let kept = home.path().join(".vault-token");
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let looked = strongroom(&["token", "lookup", "-field=display_name"], &environment, "");
    assert_eq!((looked.code, looked.out.as_str()), (0, "root"));
}

#[test]
fn hangup_reads_the_log_level_again_and_term_ends_with_zero() {
    let (mut server, _) = TestServer::unsealed(Config::default());
    let path = server.directory().join("strongroom.hcl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("log_level = \"trace\"", "log_level = \"warn\"\nlog_levels = 1")).unwrap();
    server.signal("HUP");
    wait_log(&server, "the log level stays");
    std::fs::write(&path, text.replace("log_level = \"trace\"", "log_level = \"info\"")).unwrap();
    server.signal("HUP");
    wait_log(&server, "the log level was read again");
    assert_eq!(server.stop(), Some(0));
}

fn wait_log(server: &TestServer, part: &str) {
    let end = std::time::Instant::now() + PATIENCE;
    while !server.log().contains(part) {
        assert!(std::time::Instant::now() < end, "{part:?} is not in the log:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}
