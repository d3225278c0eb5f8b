//! A stand: one module with a fresh directory, and tokens in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use strongroom_hsm::pin::{FileLedger, PinLedger};
use strongroom_hsm::{Hsm, Pkcs11, Pkcs11Config, TokenName};
use strongroom_hw_shim::Rule;
use strongroom_secret::SecretBytes;

/// The label of the first token.
pub const TOKEN: &str = "strongroom test";
/// Its user's PIN.
pub const PIN: &str = "31415926";
/// Its security officer's PIN.
pub const SO_PIN: &str = "27182818";

/// Which token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SoftHSM 2, from the distribution.
    SoftHsm,
    /// kryoptic, built from `hw-tests/kryoptic`.
    Kryoptic,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 2] = [Kind::SoftHsm, Kind::Kryoptic];

    /// The name in `skips.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::SoftHsm => "softhsm2",
            Kind::Kryoptic => "kryoptic",
        }
    }

    /// The module's file.
    ///
    /// # Panics
    /// When it is not there: a suite that did not run must not look like one that passed.
    pub fn module(self) -> PathBuf {
        let (variable, mut places) = match self {
            Kind::SoftHsm => ("SOFTHSM2_MODULE", softhsm_places()),
            Kind::Kryoptic => ("KRYOPTIC_MODULE", vec![target().join("kryoptic/release/libkryoptic.so")]),
        };
        if let Some(named) = std::env::var_os(variable) {
            places = vec![named.into()];
        }
        places.iter().find(|place| place.exists()).cloned().unwrap_or_else(|| {
            panic!("the module of {} is absent (looked for {places:?}): run scripts/tokens.sh", self.name())
        })
    }
}

fn softhsm_places() -> Vec<PathBuf> {
    [
        "/usr/lib/softhsm",
        "/usr/lib/x86_64-linux-gnu/softhsm",
        "/usr/lib/aarch64-linux-gnu/softhsm",
        "/usr/lib64/softhsm",
    ]
    .iter()
    .map(|directory| Path::new(directory).join("libsofthsm2.so"))
    .collect()
}

/// The directory into which cargo builds: tests lie in `target/PROFILE/deps`.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a file");
    test.ancestors().nth(3).expect("a test lies three directories below the target directory").to_path_buf()
}

/// One module with a directory of its own.
pub struct Stand {
    kind: Kind,
    directory: PathBuf,
}

/// The environment variable that tells a test's own process where its stand is.
pub(crate) const DIRECTORY: &str = "STRONGROOM_STAND";

impl Stand {
    /// Prepares `directory`: configuration and the first token, [`TOKEN`].
    pub fn prepare(kind: Kind, directory: &Path) -> Self {
        let stand = Stand { kind, directory: directory.to_path_buf() };
        std::fs::create_dir(stand.tokens()).expect("the directory is fresh");
        match kind {
            Kind::SoftHsm => {
                let text = format!("directories.tokendir = {}\nobjectstore.backend = file\n", stand.tokens().display());
                std::fs::write(stand.directory.join("module.conf"), text).expect("the directory is writable");
            }
            Kind::Kryoptic => {
                let slot = |number: u8| {
                    let database = stand.tokens().join(format!("{number}.sql"));
                    format!("[[slots]]\nslot = {number}\ndbtype = \"sqlite\"\ndbargs = \"{}\"\n", database.display())
                };
                let text: String = (1..=3).map(slot).collect();
                std::fs::write(stand.directory.join("module.conf"), text).expect("the directory is writable");
            }
        }
        stand.init_token(TOKEN, PIN);
        stand
    }

    /// The stand of this process, which another one prepared.
    pub(crate) fn inherited(kind: Kind) -> Self {
        let directory = std::env::var_os(DIRECTORY).expect("the parent set the stand's directory");
        Self::inherit(kind, directory.as_ref())
    }

    /// A stand that another process prepared in `directory`.
    pub fn inherit(kind: Kind, directory: &Path) -> Self {
        Stand { kind, directory: directory.to_path_buf() }
    }

    /// Which token.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A directory for whatever a case writes.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the module keeps its tokens.
    pub fn tokens(&self) -> PathBuf {
        self.directory.join("tokens")
    }

    /// What a process needs to find this stand's tokens, and the shim its rules.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let conf = self.directory.join("module.conf").into_os_string();
        let shim = Shim { directory: self.directory.clone() };
        let variable = match self.kind {
            Kind::SoftHsm => "SOFTHSM2_CONF",
            Kind::Kryoptic => "KRYOPTIC_CONF",
        };
        vec![
            (variable, conf),
            (strongroom_hw_shim::MODULE, self.kind.module().into_os_string()),
            (strongroom_hw_shim::CONTROL, shim.control().into_os_string()),
            (strongroom_hw_shim::LOG, shim.log_file().into_os_string()),
        ]
    }

    /// Initialises one more token. On kryoptic, the next of three slots.
    pub fn init_token(&self, label: &str, pin: &str) {
        match self.kind {
            Kind::SoftHsm => {
                self.run(
                    "softhsm2-util",
                    &["--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", SO_PIN],
                );
            }
            Kind::Kryoptic => {
                let used = std::fs::read_dir(self.tokens()).expect("the tokens' directory is there");
                let used = used.filter(|entry| {
                    entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(".initialised"))
                });
                let slot = (used.count() + 1).to_string();
                self.tool(&["--slot", &slot, "--init-token", "--label", label, "--so-pin", SO_PIN]);
                self.tool(&[
                    "--slot",
                    &slot,
                    "--login",
                    "--login-type",
                    "so",
                    "--so-pin",
                    SO_PIN,
                    "--init-pin",
                    "--pin",
                    pin,
                ]);
                std::fs::write(self.tokens().join(format!("{slot}.initialised")), "")
                    .expect("the directory is writable");
            }
        }
    }

    /// Runs OpenSC's `pkcs11-tool` on the module: another implementation, for what ours must refuse.
    pub fn tool(&self, arguments: &[&str]) -> String {
        let module = self.kind.module();
        let module = module.to_str().expect("module paths are text");
        self.run("pkcs11-tool", &[&["--module", module], arguments].concat())
    }

    /// As [`Stand::tool`], logged in to the token called `label`.
    pub fn tool_in(&self, label: &str, arguments: &[&str]) -> String {
        self.tool(&[&["--token-label", label, "--login", "--pin", PIN], arguments].concat())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program)
            .args(arguments)
            .envs(self.environment())
            .output()
            .unwrap_or_else(|error| panic!("{program} cannot be run ({error}): run scripts/tokens.sh"));
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{program} {arguments:?} failed:\n{text}");
        text
    }

    /// A configuration for the first token.
    pub fn config(&self) -> Pkcs11Config {
        Pkcs11Config {
            library: self.kind.module(),
            token: TokenName::Label(TOKEN.into()),
            pin: SecretBytes::from_slice(PIN.as_bytes()),
            mechanism: None,
            ledger: self.ledger(),
        }
    }

    /// The record of refused PINs, in the stand's directory: a restart finds it again.
    pub fn ledger(&self) -> Arc<dyn PinLedger> {
        Arc::new(FileLedger::new(self.directory.join("refused-pins")))
    }

    /// The first token.
    pub fn token(&self) -> Arc<dyn Hsm> {
        self.token_by(self.config())
    }

    /// A token by a configuration of the case's own.
    pub fn token_by(&self, config: Pkcs11Config) -> Arc<dyn Hsm> {
        Arc::new(Pkcs11::new(config).expect("the configuration is complete"))
    }

    /// The shim before this stand's module.
    pub fn shim(&self) -> Shim {
        Shim { directory: self.directory.clone() }
    }
}

/// The shim before a stand's module: what it is told, and what it saw.
pub struct Shim {
    directory: PathBuf,
}

impl Shim {
    /// The shim's own module, to be configured in place of the real one.
    ///
    /// # Panics
    /// When cargo has not built it, which it does with the tests.
    pub fn module(&self) -> PathBuf {
        let test = std::env::current_exe().expect("a running program has a file");
        let place = test.parent().expect("a file lies in a directory").join("libstrongroom_hw_shim.so");
        assert!(place.exists(), "the shim {} is absent: cargo builds it with these tests", place.display());
        place
    }

    fn control(&self) -> PathBuf {
        self.directory.join("shim.rules")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("shim.log")
    }

    /// Replaces the rules, in one step.
    pub fn obey(&self, rules: &[Rule]) {
        let text: String = rules.iter().map(|rule| format!("{rule}\n")).collect();
        let next = self.directory.join("shim.next");
        std::fs::write(&next, text).expect("the directory is writable");
        std::fs::rename(next, self.control()).expect("the directory is writable");
    }

    /// How often `function` has been called since the stand began.
    pub fn calls(&self, function: &str) -> usize {
        self.log().lines().filter(|line| *line == function).count()
    }

    /// What the program did that some token punishes.
    pub fn violations(&self) -> Vec<String> {
        self.log().lines().filter(|line| line.starts_with("VIOLATION")).map(String::from).collect()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}
