//! The configuration: HCL or JSON in, one typed [`Config`] out, with every mistake named by file and line.
//!
//! Vault's and OpenBao's keys keep their names and meaning. A known key that has no effect here is a warning, an unknown
//! one a mistake with the nearest known name. Nothing here touches a device, the store or the network; files are looked at.

mod audit;
mod environment;
mod listener;
mod modes;
mod reader;
mod response_headers;
mod seal;
mod secret;
mod server;
mod source;
mod storage;

pub use audit::Audit;
pub use environment::Environment;
pub use listener::{Listener, Redact, Tls, TlsVersion};
pub use response_headers::ResponseHeaders;
pub use seal::{Pkcs11Seal, Seal, SealKind, StaticSeal};
pub use secret::Secret;
pub use server::{LogFormat, LogLevel};
pub use storage::Storage;

use std::path::{Path, PathBuf};
use std::time::Duration;
use strongroom_hcl::Body;

/// A whole configuration, checked.
pub struct Config {
    /// Where the store lies.
    pub storage: Storage,
    /// Where the server listens; at least one.
    pub listeners: Vec<Listener>,
    /// The leaves of the seal tree that the configuration knows how to reach, in the order of their priority.
    pub seals: Vec<Seal>,
    /// `unseal_when`, parsed; its names are all in `seals`.
    pub unseal_when: Option<strongroom_unseal::Expression>,
    /// Audit devices.
    pub audits: Vec<Audit>,
    /// The address under which clients reach this server.
    pub api_addr: Option<String>,
    /// The address under which other nodes reach this server.
    pub cluster_addr: Option<String>,
    /// The cluster's name for people.
    pub cluster_name: Option<String>,
    /// How much is logged.
    pub log_level: LogLevel,
    /// In which form.
    pub log_format: LogFormat,
    /// What a lease gets that names no TTL.
    pub default_lease_ttl: Duration,
    /// What no lease outlives.
    pub max_lease_ttl: Duration,
    /// How long one request may take.
    pub max_request_duration: Duration,
    /// A file that holds the process id while the server runs.
    pub pid_file: Option<PathBuf>,
    /// How often the devices' counters are raised while unsealed; `None`: only at unseal, custody events and a clean stop.
    pub epoch_interval: Option<Duration>,
    /// Whether answers carry `X-Vault-Hostname`.
    pub enable_response_header_hostname: bool,
}

/// A configuration and what its author should know about it.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// One line each, with file and line where there is one.
    pub warnings: Vec<String>,
}

/// Everything that is wrong with a configuration; never nothing. One line each, with file and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl std::fmt::Display for Mistakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Mistakes {}

impl Config {
    /// Reads files and directories (their `*.hcl` and `*.json`, by name) as one configuration. What a later file says
    /// once wins over an earlier one; listeners, seals and audit devices of all files count.
    pub fn load(paths: &[PathBuf], environment: &Environment) -> Result<Loaded, Mistakes> {
        let mut mistakes = Vec::new();
        let mut bodies = Vec::new();
        let files = source::files(paths, &mut mistakes);
        for file in &files {
            match source::read(file) {
                Ok(body) => bodies.push(body),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        server::assemble(bodies, &files, environment, mistakes)
    }

    /// Reads one text, as if it stood in `file`.
    pub fn parse(file: &str, text: &str, environment: &Environment) -> Result<Loaded, Mistakes> {
        match Body::parse(file, text) {
            Ok(body) => server::assemble(vec![body], &[], environment, Vec::new()),
            Err(mistake) => Err(Mistakes(vec![mistake.to_string()])),
        }
    }

    /// Development: in memory, plain on `address`, custodians' shares. `address` is `host:port` on loopback.
    pub fn dev(address: &str) -> Result<Config, Mistakes> {
        let text = format!(
            "storage \"inmem\" {{}}\nlistener \"tcp\" {{ address = {address:?}\n tls_disable = true\n \
             i_accept_plaintext = true }}"
        );
        Config::parse("-dev", &text, &Environment::default()).map(|loaded| loaded.config)
    }

    /// Asks for what `prompt://` left open, with the name of the leaf. The answer is kept as the configuration's.
    pub fn ask<E>(&mut self, mut ask: impl FnMut(&str) -> Result<strongroom_secret::SecretBytes, E>) -> Result<(), E> {
        for seal in &mut self.seals {
            if let SealKind::Pkcs11(device) = &mut seal.kind
                && matches!(device.pin, Secret::Prompt)
            {
                device.pin = Secret::Known(ask(&seal.name)?.into());
            }
        }
        Ok(())
    }

    /// The directory that the store lies in, where it lies in one.
    pub fn store_directory(&self) -> Option<&Path> {
        match &self.storage {
            Storage::Embedded { path } => Some(path),
            Storage::InMemory => None,
        }
    }
}

#[cfg(test)]
mod tests;
