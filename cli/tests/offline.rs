//! The binary without a server: configuration, devices, mistakes.

mod support;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::{MODULE, Token, pair, seal, strongroom};

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn configuration(directory: &Path, seals: &str) -> String {
    let store = directory.join("store");
    let text = format!(
        "storage \"embedded\" {{ path = \"{}\" }}\nlistener \"tcp\" {{ tls_disable = true }}\n{seals}",
        store.display()
    );
    write(directory, "server.hcl", &text)
}

#[test]
fn a_configuration_is_ok_or_every_mistake_has_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let good = configuration(directory.path(), "seal \"shamir\" {}\nui = true\n");
    let ran = strongroom(&["server", "-config", &good, "-test-config"], &[], "");
    assert_eq!((ran.code, ran.out.as_str()), (0, "ok\n"));
    assert!(ran.err.contains("server.hcl:4:6: ui = true has no effect"), "{}", ran.err);

    // What others could change is said at the check and at the start.
    let mode = |path: &str, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(&good, 0o602);
    let ran = strongroom(&["server", "-config", &good, "-test-config"], &[], "");
    assert_eq!((ran.code, ran.out.as_str()), (0, "ok\n"));
    assert!(ran.err.contains("the configuration that anybody may change"), "{}", ran.err);
    mode(&good, 0o600);
    let library = write(directory.path(), "lib.so", "");
    mode(&library, 0o602);
    let seal =
        format!("seal \"pkcs11\" {{ lib = {library:?}\n token_label = \"t\"\n pin = \"1\"\n key_label = \"k\" }}\n");
    let open = configuration(directory.path(), &seal);
    for check in [&["-test-config"][..], &[]] {
        let ran = strongroom(&[&["server", "-config", &open], check].concat(), &[], "");
        assert_eq!(ran.code, 1);
        assert!(ran.err.contains("a PKCS#11 library that anybody may change"), "{}", ran.err);
    }

    let bad = write(directory.path(), "bad.hcl", "storage \"consul\" {}\nlistener \"tcp\" {\n  adress = \"x\"\n}\n");
    let ran = strongroom(&["server", &format!("--config={bad}"), "--test-config"], &[], "");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("bad.hcl:1:1: storage \"consul\"") && ran.err.contains("embedded"), "{}", ran.err);
    assert!(ran.err.contains("bad.hcl:3:3: invalid key \"adress\", did you mean \"address\"?"), "{}", ran.err);
    let started = strongroom(&["server", &format!("-config={bad}")], &[], "");
    assert_eq!((started.code, started.err), (1, ran.err));
}

#[test]
fn a_key_is_made_once_listed_and_checked() {
    let directory = tempfile::tempdir().unwrap();
    let token = Token::new(directory.path(), "token");
    let config = format!("-config={}", configuration(directory.path(), &seal("hsm")));
    let check = strongroom(&["operator", "seal-check", &config], &token.environment(), "");
    assert_eq!(check.code, 1);
    assert!(check.out.contains("FAILED") && check.out.contains("strongroom"), "{}", check.out);

    let made = strongroom(&["operator", "hsm", "keygen", &config, "-seal=hsm"], &token.environment(), "");
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.out.contains("aes-256 key \"strongroom\""), "{}", made.out);
    let again = strongroom(&["operator", "hsm", "keygen", &config], &token.environment(), "");
    assert_eq!(again.code, 1);
    assert!(again.err.contains("already"), "{}", again.err);

    let listed = strongroom(&["operator", "hsm", "list", &config], &token.environment(), "");
    assert!(
        listed.out.contains("token \"root\"") && listed.out.contains("key \"strongroom\", aes-256"),
        "{}",
        listed.out
    );
    assert!(listed.out.contains("CKM_AES_GCM"), "{}", listed.out);
    let by_library = strongroom(&["operator", "hsm", "list", &format!("-lib={MODULE}")], &token.environment(), "");
    assert!(by_library.code == 0 && !by_library.out.contains("key \"strongroom\""), "{by_library:?}");
    let missing = strongroom(&["operator", "hsm", "list", "-lib=/nowhere.so"], &[], "");
    assert!(missing.code == 1 && missing.err.contains("/nowhere.so"), "{missing:?}");

    let check = strongroom(&["operator", "seal-check", &config], &token.environment(), "");
    assert_eq!(check.code, 0, "{check:?}");
    assert!(check.out.contains("seals and opens (there is no store yet)"), "{}", check.out);
    let other = strongroom(&["operator", "seal-check", &config, "-seal=other"], &token.environment(), "");
    assert!(other.code == 1 && other.err.contains("there are: hsm"), "{other:?}");
}

#[test]
fn a_refused_pin_is_not_tried_again_before_an_operator_asks() {
    let directory = tempfile::tempdir().unwrap();
    let token = Token::new(directory.path(), "token");
    let config = format!("-config={}", configuration(directory.path(), &seal("hsm")));
    std::fs::create_dir(directory.path().join("store")).unwrap();
    let with = |pin: &str, more: &[&str]| {
        let environment = [pair("SOFTHSM2_CONF", token.configuration()), pair("HSM_PIN", pin)];
        strongroom(&[&["operator", "seal-check", &config], more].concat(), &environment, "")
    };
    token.keygen(directory.path());
    let first = with("11111111", &[]);
    assert!(first.code == 1 && first.out.contains("CKR_PIN_INCORRECT"), "{first:?}");
    let second = with("11111111", &[]);
    assert!(second.out.contains("was not tried again"), "{second:?}");
    assert!(with("22222222", &[]).out.contains("CKR_PIN_INCORRECT"));
    // SoftHSM2 counts nothing: after two different ones even the right one waits for an operator.
    let stopped = with(support::PIN, &[]);
    assert!(stopped.code == 1 && stopped.out.contains("logins stopped"), "{stopped:?}");
    assert_eq!(with(support::PIN, &["-permit-login"]).code, 0);
    assert_eq!(with(support::PIN, &[]).code, 0);
    let record = std::fs::read(directory.path().join("store/refused-pins")).unwrap();
    assert!(!record.windows(8).any(|window| window == b"11111111"));
}

#[test]
fn mistakes_say_what_to_do() {
    for (arguments, code, part) in [
        (&["status", "-address=http://127.0.0.1:1"][..], 1, "is the server running"),
        (&["read", "x", "-address=http://127.0.0.1:1"], 1, "flags come before"),
        (&["operator", "unseal", "aabbcc"], 1, "operator unseal -"),
        (&["operator", "unseel"], 1, "unknown command: strongroom operator unseel"),
        (&["server"], 1, "-config=PATH, or -dev"),
        (&["server", "x.hcl"], 1, "-config=x.hcl"),
        (&["write", "transit/keys/k"], 1, "-force"),
        (&["status", "-format=xml", "-address=http://127.0.0.1:1"], 1, "127.0.0.1:1"),
        (&["operator", "seal-check"], 1, "-config"),
    ] {
        let ran = strongroom(arguments, &[], "");
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(part), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn a_pin_is_asked_for_and_read_from_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let token = Token::new(directory.path(), "token");
    token.keygen(directory.path());
    let asking = seal("hsm").replace("env://HSM_PIN", "prompt://");
    let config = format!("-config={}", configuration(directory.path(), &asking));
    let checked =
        strongroom(&["operator", "seal-check", &config], &token.environment(), &format!("{}\n", support::PIN));
    assert_eq!(checked.code, 0, "{checked:?}");
    let nobody = strongroom(&["operator", "seal-check", &config], &token.environment(), "");
    assert!(nobody.code == 1 && nobody.err.contains("nothing was entered"), "{nobody:?}");
}

#[test]
fn arguments_that_a_command_does_not_take_are_refused_before_it_does_anything() {
    for words in ["operator init", "operator rotate", "operator rotate-root", "operator seal", "secrets list"] {
        let arguments: Vec<&str> = words.split(' ').chain(["-address=http://127.0.0.1:1", "extra"]).collect();
        let ran = strongroom(&arguments, &[], "");
        assert_eq!(ran.code, 1, "{words}: {}", ran.err);
        assert!(ran.err.starts_with("Too many arguments (expected 0, got 1)"), "{words}: {}", ran.err);
    }
}

#[test]
fn a_command_whose_output_nobody_reads_ends_without_a_panic() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_strongroom"))
        .args(["operator", "init", "-h"])
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(1), ""));
}
