//! `server` and `version`.

use super::connect::{keep_token, variable};
use super::{Command, Failure, Outcome};
use crate::flags::{Parsed, flag, switch};
use crate::terminal;
use std::path::PathBuf;
use std::sync::Arc;
use strongroom_clock::Clock;
use strongroom_secret::SecretBytes;
use strongroom_secret::page::{self, Protection};
use strongroom_service::Server;
use strongroom_service::config::{Config, Environment, LogFormat, LogLevel};
use strongroom_service::custody::{Custody, InitRequest};
use strongroom_service::operator;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};
use zeroize::Zeroizing;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        words: "server",
        usage: "-config=PATH | -dev [flags]",
        about: "Runs the server. TERM and INT stop it cleanly, HUP reads certificates and the log level again and reopens audit files.",
        flags: &[
            flag("config", "PATH", "A configuration file or directory; may be repeated."),
            switch("test-config", "Only check the configuration: ok, or every mistake with file and line."),
            flag("log-level", "LEVEL", "trace, debug, info, warn or error; wins over the configuration."),
            switch("dev", "In memory, initialised and unsealed: to try things out, never for work."),
            flag("dev-root-token-id", "TOKEN", "The root token's id in development; else VAULT_DEV_ROOT_TOKEN_ID."),
            flag(
                "dev-listen-address",
                "HOST:PORT",
                "Where to listen in development (127.0.0.1:8200); else VAULT_DEV_LISTEN_ADDRESS.",
            ),
            switch("dev-no-store-token", "Do not keep the root token in ~/.vault-token."),
        ],
        client: false,
        run: server,
    },
    Command {
        words: "version",
        usage: "",
        about: "Prints the version of this program.",
        flags: &[],
        client: false,
        run: version,
    },
];

fn version(_: &Parsed) -> Outcome {
    println!("Strongroom v{}", env!("CARGO_PKG_VERSION"));
    Ok(())
}

fn server(parsed: &Parsed) -> Outcome {
    if let Some(stray) = parsed.arguments.first() {
        return Err(Failure::Local(format!("{stray:?}: the server takes flags only, such as -config={stray}")));
    }
    if parsed.on("test-config") {
        return test_config(parsed);
    }
    // The generator's first bytes take as long as loading a library or opening a store: it begins while they do.
    let seed = std::thread::spawn(|| strongroom_secret::random::array::<32>().is_ok());
    let dev = parsed.on("dev");
    let (mut config, warnings) = match dev {
        true => (dev_config(parsed)?, Vec::new()),
        false => load(parsed)?,
    };
    if let Some(name) = parsed.get("log-level") {
        config.log_level =
            LogLevel::from_name(name).ok_or_else(|| format!("-log-level={name}: trace, debug, info, warn or error"))?;
    }
    operator::preload(&config);
    config.ask(ask_pin)?;
    let level = start_log(&config);
    say_how_keys_lie();
    warnings.iter().for_each(|warning| tracing::warn!("configuration: {warning}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let run = serve(parsed, config, level, dev);
    let outcome = runtime.block_on(run);
    if seed.join().is_ok_and(|seeded| seeded) {
        outcome
    } else {
        Err(Failure::Local("the random generator failed".into()))
    }
}

async fn serve(parsed: &Parsed, config: Config, level: Level, dev: bool) -> Outcome {
    let clock = Clock::system();
    let custody = Custody::open(&config, clock.clone()).map_err(|error| Failure::Local(error.to_string()))?;
    let root_id = match dev {
        true => parsed.get("dev-root-token-id").map(str::to_owned).or_else(|| variable("DEV_ROOT_TOKEN_ID")),
        false => None,
    };
    // Before the server says that it is ready, so that no signal after that ends it the hard way.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // A file that may not grow is an error of the write then, and not the end of the process.
    let _too_large = signal(SignalKind::from_raw(libc::SIGXFSZ))?;
    let running = Server::start_with(&config, custody.clone(), clock, root_id.map(Zeroizing::new)).await?;
    let pid_file = PidFile::write(config.pid_file.clone())?;
    for (listener, address) in config.listeners.iter().zip(running.addresses()) {
        let scheme = if listener.tls.is_some() { "https" } else { "http" };
        tracing::info!("listening on {scheme}://{address}");
    }
    if dev {
        begin_dev(parsed, &running, &custody).await?;
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {
                running.reload();
                level.reload(parsed);
            }
        }
    }
    tracing::info!("stopping");
    running.stop().await;
    tracing::info!("stopped");
    drop(pid_file);
    Ok(())
}

/// Initialises a development server, and prints what a developer needs.
async fn begin_dev(parsed: &Parsed, running: &strongroom_service::Running, custody: &Arc<Custody>) -> Outcome {
    let server = running.server();
    let change = server.phase.change().await;
    let request = InitRequest { secret_shares: 1, secret_threshold: 1, ..InitRequest::default() };
    let made = custody.initialise(&request).await.map_err(|error| error.to_string())?;
    let root = server.found(&change, made.barrier.clone(), true).await.map_err(|error| error.to_string())?;
    drop(change);
    server.mount_secret().await.map_err(|error| error.to_string())?;
    let key = made.keys.first().map(|key| Zeroizing::new(base64_simd::STANDARD.encode_to_string(key.expose())));
    let address = running.addresses().first().map(ToString::to_string).unwrap_or_default();
    println!(
        "WARNING! dev mode is enabled! In this mode the server runs in memory and starts unsealed with a single\n\
         unseal key. The root token is known already, so you can begin at once.\n\n\
         You may need to set the following environment variables:\n\n    $ export VAULT_ADDR='http://{address}'\n\n\
         The unseal key and root token are displayed below in case you want to seal or unseal, or log in again.\n\n\
         Unseal Key: {}\nRoot Token: {}\n\n\
         Development mode should NOT be used in production installations!\n",
        key.as_ref().map_or("", |key| key.as_str()),
        root.client_token.as_str()
    );
    if !parsed.on("dev-no-store-token")
        && let Err(error) = keep_token(&root.client_token)
    {
        tracing::warn!("the root token was not kept in ~/.vault-token: {error}");
    }
    Ok(())
}

fn test_config(parsed: &Parsed) -> Outcome {
    let (_, warnings) = load(parsed)?;
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    println!("ok");
    Ok(())
}

fn load(parsed: &Parsed) -> Result<(Config, Vec<String>), Failure> {
    let paths: Vec<PathBuf> = parsed.all("config").map(PathBuf::from).collect();
    match Config::load(&paths, &Environment::of_process()) {
        Ok(loaded) => Ok((loaded.config, loaded.warnings)),
        Err(mistakes) => Err(Failure::Local(mistakes.to_string())),
    }
}

/// The configuration of a command that works on devices, its prompts answered.
pub(super) fn configuration(parsed: &Parsed) -> Result<Config, Failure> {
    let (mut config, warnings) = load(parsed)?;
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    config.ask(ask_pin)?;
    Ok(config)
}

fn ask_pin(leaf: &str) -> Result<SecretBytes, Failure> {
    let pin = terminal::secret(&format!("PIN of seal {leaf} (will be hidden): "))?;
    Ok(SecretBytes::from_slice(pin.as_bytes()))
}

fn dev_config(parsed: &Parsed) -> Result<Config, Failure> {
    if parsed.get("config").is_some() {
        return Err(Failure::Local("-dev takes no -config: it is for trying things out".into()));
    }
    let address = parsed.get("dev-listen-address").map(str::to_owned).or_else(|| variable("DEV_LISTEN_ADDRESS"));
    Config::dev(address.as_deref().unwrap_or("127.0.0.1:8200")).map_err(|mistakes| Failure::Local(mistakes.to_string()))
}

/// Runs a future to its end, for commands without a server.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}

/// The log level while the server runs.
struct Level(reload::Handle<Targets, Registry>);

impl Level {
    /// Reads the level again; a configuration that has become wrong leaves it as it is.
    fn reload(&self, parsed: &Parsed) {
        if parsed.on("dev") || parsed.get("log-level").is_some() {
            return;
        }
        match load(parsed) {
            Ok((config, _)) => {
                let _ = self.0.reload(targets(config.log_level));
                tracing::info!("the log level was read again");
            }
            Err(Failure::Local(text)) => tracing::error!("the configuration is wrong now, the log level stays: {text}"),
            Err(_) => {}
        }
    }
}

/// A fallback is weaker, and nothing else would show it.
fn say_how_keys_lie() {
    match page::kind() {
        Protection::Secret => tracing::info!("keys lie in secret pages"),
        Protection::Locked => tracing::warn!(
            "keys lie in locked pages, which root can read: this kernel gives no secret pages (secretmem.enable=1)"
        ),
        Protection::Plain => tracing::warn!(
            "keys lie in pages that may be swapped out: raise the limit of locked memory (ulimit -l, LimitMEMLOCK)"
        ),
    }
}

/// Only our own crates log: what HTTP and TLS libraries would say at the lowest levels holds tokens.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    Targets::new().with_target("strongroom", level)
}

fn start_log(config: &Config) -> Level {
    let (filter, handle) = reload::Layer::new(targets(config.log_level));
    let plain = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let layer = match config.log_format {
        LogFormat::Standard => plain.with_filter(filter).boxed(),
        LogFormat::Json => plain.json().with_filter(filter).boxed(),
    };
    // A second subscriber is a mistake of this program alone; the first one goes on.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Level(handle)
}

/// A file that holds the process id while the server runs.
struct PidFile(Option<PathBuf>);

impl PidFile {
    fn write(path: Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(path) = &path {
            use std::io::Write;
            use std::os::unix::fs::OpenOptionsExt;
            let mut options = std::fs::OpenOptions::new();
            // A link in the file's place is an error.
            options.write(true).create(true).truncate(true).mode(0o644).custom_flags(libc::O_NOFOLLOW);
            let file = options.open(path);
            file.and_then(|mut file| file.write_all(std::process::id().to_string().as_bytes()))
                .map_err(|error| format!("pid_file {}: {error}", path.display()))?;
        }
        Ok(PidFile(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}
