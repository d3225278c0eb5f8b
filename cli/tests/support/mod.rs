//! What the tests of the binary share: a SoftHSM2 token of their own, and a way to run the program.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
pub(crate) const PIN: &str = "73519428";

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the program to its end. Its environment is `envs` and nothing else of Vault's.
pub(crate) fn strongroom(arguments: &[&str], envs: &[(String, String)], stdin: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VAULT_") || name.starts_with("BAO_")) {
        command.env_remove(name);
    }
    let mut child = command
        .args(arguments)
        .envs(envs.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that reads nothing may have closed its end.
    let _ = child.stdin.take().expect("stdin is piped").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub(crate) fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// A directory with a SoftHSM2 configuration and one token labelled `root` in it.
pub(crate) struct Token {
    directory: PathBuf,
}

impl Token {
    /// Makes the token in `directory`/`name`.
    pub(crate) fn new(directory: &Path, name: &str) -> Token {
        let directory = directory.join(name);
        std::fs::create_dir_all(directory.join("tokens")).expect("a directory");
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            directory.join("tokens").display()
        );
        std::fs::write(directory.join("softhsm2.conf"), text).expect("a file");
        let token = Token { directory };
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", "root", "--so-pin", "so-pin-1", "--pin", PIN])
            .env("SOFTHSM2_CONF", token.configuration())
            .output()
            .expect("softhsm2-util runs: install softhsm2");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        token
    }

    /// `SOFTHSM2_CONF`.
    pub(crate) fn configuration(&self) -> String {
        self.directory.join("softhsm2.conf").display().to_string()
    }

    /// The environment of a program that uses it.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        vec![pair("SOFTHSM2_CONF", self.configuration()), pair("HSM_PIN", PIN)]
    }

    /// Where its objects lie.
    pub(crate) fn objects(&self) -> PathBuf {
        self.directory.join("tokens")
    }

    /// Makes the key that [`seal`] names.
    pub(crate) fn keygen(&self, directory: &Path) {
        let path = directory.join("keygen.hcl");
        let text = format!("storage \"inmem\" {{}}\nlistener \"tcp\" {{ tls_disable = true }}\n{}", seal("hsm"));
        std::fs::write(&path, text).expect("a file");
        let made =
            strongroom(&["operator", "hsm", "keygen", &format!("-config={}", path.display())], &self.environment(), "");
        assert_eq!(made.code, 0, "{made:?}");
    }
}

/// The stanza of the token.
pub(crate) fn seal(name: &str) -> String {
    format!(
        "seal \"pkcs11\" {name:?} {{ lib = \"{MODULE}\" token_label = \"root\" pin = \"env://HSM_PIN\" key_label = \"strongroom\" }}\n"
    )
}
