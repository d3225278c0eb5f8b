//! A SoftHSM2 token in a directory of its own: the stand-in for a hardware token, real as far as PKCS#11 goes.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A freshly initialised SoftHSM2 token.
pub struct SoftToken {
    directory: PathBuf,
    /// The user PIN.
    pub pin: String,
    /// The token's label.
    pub label: String,
}

impl SoftToken {
    /// Makes a token labelled `label` below `directory`.
    ///
    /// # Panics
    /// When SoftHSM2 is not installed: `scripts/setup.sh test` installs it.
    pub fn new(directory: &Path, label: &str) -> Self {
        let token = SoftToken { directory: directory.join("softhsm"), pin: "4711-0815".into(), label: label.into() };
        std::fs::create_dir_all(token.tokens()).expect("the token's directory can be made");
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            token.tokens().display()
        );
        std::fs::write(token.conf(), text).expect("softhsm2.conf can be written");
        let output = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label, "--so-pin", "so-4711-0815", "--pin", &token.pin])
            .env("SOFTHSM2_CONF", token.conf())
            .output()
            .expect("softhsm2-util runs: scripts/setup.sh test installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        token
    }

    /// Where the objects lie.
    pub fn tokens(&self) -> PathBuf {
        self.directory.join("tokens")
    }

    /// `softhsm2.conf`.
    pub fn conf(&self) -> PathBuf {
        self.directory.join("softhsm2.conf")
    }

    /// The environment for a program that uses the token, its PIN included.
    pub fn environment(&self) -> Vec<(String, String)> {
        vec![
            ("SOFTHSM2_CONF".into(), self.conf().display().to_string()),
            ("STRONGROOM_TEST_PIN".into(), self.pin.clone()),
        ]
    }

    /// A `seal "pkcs11"` stanza for this token under the leaf name `name`.
    pub fn stanza(&self, name: &str) -> String {
        format!(
            "seal \"pkcs11\" \"{name}\" {{ lib = \"{}\"  token_label = \"{}\"  pin = \"env://STRONGROOM_TEST_PIN\"  key_label = \"strongroom\" }}\n",
            module().display(),
            self.label
        )
    }
}

/// SoftHSM2's library.
///
/// # Panics
/// When it is not installed.
pub fn module() -> PathBuf {
    [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/softhsm/libsofthsm2.so",
    ]
    .iter()
    .map(PathBuf::from)
    .find(|path| path.exists())
    .expect("libsofthsm2.so is installed: scripts/setup.sh test installs it")
}
