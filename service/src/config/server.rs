//! The top level of a configuration: which stanzas there are, and the server's own values.

use super::reader::Reader;
use super::{Audit, Config, Environment, Listener, Loaded, Mistakes, Storage, audit, listener, modes, seal, storage};
use std::time::Duration;
use strongroom_hcl::{Block, Body, Placed};

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything; still no request data and no secret.
    Trace,
    /// For developers.
    Debug,
    /// What an operator wants to know.
    Info,
    /// What an operator should look at.
    Warn,
    /// What does not work.
    Error,
}

impl LogLevel {
    /// Vault's words.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "trace" => Some(LogLevel::Trace),
            "debug" => Some(LogLevel::Debug),
            "info" | "notice" => Some(LogLevel::Info),
            "warn" | "warning" => Some(LogLevel::Warn),
            "error" | "err" => Some(LogLevel::Error),
            _ => None,
        }
    }
}

/// In which form it is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Standard,
    /// One JSON object a line.
    Json,
}

/// What the files say once, later ones over earlier ones.
#[derive(Default)]
struct Once {
    storage: Option<Storage>,
    unseal_when: Option<(Placed<String>, String)>,
    api_addr: Option<String>,
    cluster_addr: Option<String>,
    cluster_name: Option<String>,
    log_level: Option<LogLevel>,
    log_format: Option<LogFormat>,
    default_lease_ttl: Option<Duration>,
    max_lease_ttl: Option<Duration>,
    max_request_duration: Option<Duration>,
    pid_file: Option<std::path::PathBuf>,
    epoch_interval: Option<Duration>,
    enable_response_header_hostname: Option<bool>,
}

/// Makes one configuration of all bodies; `files` are those that they stood in.
pub(super) fn assemble(
    bodies: Vec<Body>,
    files: &[std::path::PathBuf],
    environment: &Environment,
    mistakes: Vec<String>,
) -> Result<Loaded, Mistakes> {
    let mut reader = Reader::new(environment, mistakes);
    let mut once = Once::default();
    let mut listeners: Vec<Listener> = Vec::new();
    let mut audits: Vec<Audit> = Vec::new();
    let mut seal_blocks: Vec<Block> = Vec::new();
    let first = bodies.first().map(|body| body.refuse(body.position(), "").to_string());
    for mut body in bodies {
        once.read(&mut reader, &mut body);
        for block in reader.take(body.blocks("listener", 0..=1)) {
            listeners.extend(listener::read(&mut reader, block));
        }
        for block in reader.take(body.blocks("audit", 1..=2)) {
            let position = block.position;
            let Some(device) = audit::read(&mut reader, block) else { continue };
            if audits.iter().any(|other| other.path == device.path) {
                let text = format!("two audit devices are named {:?}", device.path.trim_end_matches('/'));
                reader.refuse(&body, position, text);
            }
            audits.push(device);
        }
        seal_blocks.extend(reader.take(body.blocks("seal", 1..=2)));
        reader.without_effect(&mut body, WITHOUT_EFFECT);
        reader.no_effect(&mut body, "disable_mlock", "only key material is kept out of swap, which needs no switch");
        reader.finish(body);
    }
    if seal_blocks.is_empty() {
        seal_blocks.extend(from_environment(&mut reader));
    }
    let seals = seal::read_all(&mut reader, seal_blocks);
    let place = first.as_deref().and_then(|text| text.split(':').next()).unwrap_or_default();
    if once.storage.is_none() && reader.mistakes.is_empty() {
        reader.mistakes.push(format!("{place}: no storage: storage \"embedded\" {{ path = \"/var/lib/strongroom\" }}"));
    }
    if listeners.is_empty() && reader.mistakes.is_empty() {
        reader.mistakes.push(format!("{place}: no listener: listener \"tcp\" {{ address = \"127.0.0.1:8200\" … }}"));
    }
    let unseal_when = once.expression(&mut reader, &seals);
    let default_lease_ttl = once.default_lease_ttl.unwrap_or(MONTH);
    let max_lease_ttl = once.max_lease_ttl.unwrap_or(MONTH);
    if default_lease_ttl > max_lease_ttl {
        reader.mistakes.push(format!("{place}: default_lease_ttl is longer than max_lease_ttl"));
    }
    if !reader.mistakes.is_empty() {
        return Err(Mistakes(reader.mistakes));
    }
    let Some(storage) = once.storage else { return Err(Mistakes(vec![format!("{place}: no storage")])) };
    let config = Config {
        storage,
        listeners,
        seals,
        unseal_when,
        audits,
        api_addr: environment
            .first(["VAULT_API_ADDR", "BAO_API_ADDR"])
            .map(|(_, value)| value.into())
            .or(once.api_addr),
        cluster_addr: (environment.first(["VAULT_CLUSTER_ADDR", "BAO_CLUSTER_ADDR"]))
            .map(|(_, value)| value.into())
            .or(once.cluster_addr),
        cluster_name: once.cluster_name,
        log_level: (environment.first(["VAULT_LOG_LEVEL", "BAO_LOG_LEVEL"]))
            .and_then(|(_, name)| LogLevel::from_name(name))
            .or(once.log_level)
            .unwrap_or(LogLevel::Info),
        log_format: once.log_format.unwrap_or(LogFormat::Standard),
        default_lease_ttl,
        max_lease_ttl,
        max_request_duration: (once.max_request_duration)
            .filter(|span| !span.is_zero())
            .unwrap_or(Duration::from_secs(90)),
        pid_file: once.pid_file,
        epoch_interval: Some(once.epoch_interval.unwrap_or(Duration::from_secs(3600))).filter(|span| !span.is_zero()),
        enable_response_header_hostname: once.enable_response_header_hostname.unwrap_or(false),
    };
    let found = modes::check(&config, files, &reader.secret_files);
    if !found.mistakes.is_empty() {
        return Err(Mistakes(found.mistakes));
    }
    reader.warnings.extend(found.warnings);
    Ok(Loaded { config, warnings: reader.warnings })
}

impl Once {
    fn read(&mut self, reader: &mut Reader<'_>, body: &mut Body) {
        let mut blocks = reader.take(body.blocks("storage", 1..=1));
        blocks.extend(reader.take(body.blocks("backend", 1..=1)));
        for (index, block) in blocks.into_iter().enumerate() {
            if index == 1 {
                reader.refuse(body, block.position, "only one storage stanza is permitted");
                continue;
            }
            self.storage = storage::read(reader, block).or(self.storage.take());
        }
        if let Some(given) = reader.take(body.text("unseal_when")) {
            let place = body.refuse(given.position, "").to_string();
            self.unseal_when = Some((given, place));
        }
        text(reader, body, "api_addr", &mut self.api_addr);
        text(reader, body, "cluster_addr", &mut self.cluster_addr);
        text(reader, body, "cluster_name", &mut self.cluster_name);
        if let Some(given) = reader.take(body.text("log_level")) {
            match LogLevel::from_name(&given.value) {
                Some(level) => self.log_level = Some(level),
                None => reader.refuse(body, given.position, "log_level must be trace, debug, info, warn or error"),
            }
        }
        if let Some(given) = reader.take(body.text("log_format")) {
            match given.value.to_ascii_lowercase().as_str() {
                "standard" | "text" | "" => self.log_format = Some(LogFormat::Standard),
                "json" => self.log_format = Some(LogFormat::Json),
                _ => reader.refuse(body, given.position, "log_format must be \"standard\" or \"json\""),
            }
        }
        span(reader, body, "default_lease_ttl", &mut self.default_lease_ttl);
        span(reader, body, "max_lease_ttl", &mut self.max_lease_ttl);
        span(reader, body, "default_max_request_duration", &mut self.max_request_duration);
        span(reader, body, "epoch_interval", &mut self.epoch_interval);
        let mut pid_file = None;
        text(reader, body, "pid_file", &mut pid_file);
        self.pid_file = pid_file.map(Into::into).or(self.pid_file.take());
        flag(reader, body, "enable_response_header_hostname", &mut self.enable_response_header_hostname);
        for (name, why) in [
            ("ui", "there is no web interface in this version"),
            ("unsafe_allow_api_audit_creation", "audit devices come from the configuration alone"),
            ("allow_audit_log_prefixing", "audit devices have no prefix in this version"),
        ] {
            if let Some(Placed { value: true, position }) = reader.take(body.bool(name)) {
                reader.warn(body, position, format!("{name} = true has no effect here: {why}"));
            }
        }
    }

    /// Parses `unseal_when` and checks that each of its names is a seal.
    fn expression(&mut self, reader: &mut Reader<'_>, seals: &[super::Seal]) -> Option<strongroom_unseal::Expression> {
        let (given, place) = self.unseal_when.take()?;
        let mut refuse = |reason: String| reader.mistakes.push(format!("{place}{reason}"));
        let expression: strongroom_unseal::Expression = match given.value.parse() {
            Ok(expression) => expression,
            Err(error) => {
                refuse(error.to_string());
                return None;
            }
        };
        for name in expression.names() {
            if !seals.iter().any(|seal| seal.name == name) {
                let names: Vec<&str> = seals.iter().map(|seal| seal.name.as_str()).collect();
                refuse(format!("unseal_when names {name:?}, and the seals are: {}", names.join(", ")));
            }
        }
        Some(expression)
    }
}

/// `VAULT_SEAL_TYPE` without a seal stanza is that seal, read from its own variables.
fn from_environment(reader: &mut Reader<'_>) -> Option<Block> {
    let (variable, word) = reader.environment.first(["VAULT_SEAL_TYPE", "BAO_SEAL_TYPE"])?;
    let mut body = match Body::parse(variable, format!("seal {word:?} {{}}")) {
        Ok(body) => body,
        Err(mistake) => {
            reader.mistakes.push(mistake.to_string());
            return None;
        }
    };
    reader.take(body.blocks("seal", 1..=1)).pop()
}

fn text(reader: &mut Reader<'_>, body: &mut Body, name: &'static str, into: &mut Option<String>) {
    if let Some(given) = reader.take(body.text(name)).filter(|given| !given.value.is_empty()) {
        *into = Some(given.value);
    }
}

fn span(reader: &mut Reader<'_>, body: &mut Body, name: &'static str, into: &mut Option<Duration>) {
    if let Some(given) = reader.take(body.duration(name)) {
        *into = Some(given.value);
    }
}

fn flag(reader: &mut Reader<'_>, body: &mut Body, name: &'static str, into: &mut Option<bool>) {
    if let Some(given) = reader.take(body.bool(name)) {
        *into = Some(given.value);
    }
}

/// 32 days, as in Vault.
const MONTH: Duration = Duration::from_secs(768 * 3600);

const WITHOUT_EFFECT: &[&str] = &[
    "ha_storage",
    "ha_backend",
    "user_lockout",
    "cache_size",
    "disable_cache",
    "plugin_directory",
    "plugin_tmpdir",
    "plugin_file_uid",
    "plugin_file_permissions",
    "plugin",
    "plugin_auto_download",
    "plugin_auto_register",
    "plugin_download_behavior",
    "telemetry",
    "detect_deadlocks",
    "raw_storage_endpoint",
    "introspection_endpoint",
    "enable_response_header_raft_node_id",
    "log_file",
    "log_rotate_duration",
    "log_rotate_bytes",
    "log_rotate_max_files",
    "log_requests_level",
    "experiments",
    "disable_clustering",
    "disable_sealwrap",
    "disable_performance_standby",
    "disable_printable_check",
    "disable_indexing",
    "disable_sentinel_trace",
    "disable_standby_reads",
    "disable_ssct",
    "disable_unauthed_rekey_endpoints",
    "license_path",
    "administrative_namespace_path",
    "reporting",
    "service_registration",
    "sentinel",
    "entropy",
    "kms_library",
    "enable_multiseal",
    "imprecise_lease_role_tracking",
    "cloud",
    "hcp_link",
    "enable_post_unseal_trace",
    "post_unseal_trace_directory",
    "remove_irrevocable_lease_after",
    "request_limiter",
    "adaptive_overload_protection",
    "allow_unauthenticated_rekey",
    "initialize",
    "secure_plugin_api",
    "cluster_cipher_suites",
];
