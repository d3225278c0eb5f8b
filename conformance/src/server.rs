//! Starts the real program as a child process: port 0, a directory of its own, readiness from the notify socket, its log
//! captured and searched for secrets when it goes, killed by its process id.

use crate::http::Client;
use crate::token::SoftToken;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Where a test server keeps its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Storage {
    /// Lost with the process.
    InMemory,
    /// A file in the server's directory, which outlives a kill.
    Embedded,
}

/// How to start a server. The default: in memory, a plain listener on a free loopback port, custodians' shares, no audit.
pub struct Config {
    /// The storage stanza.
    pub storage: Storage,
    /// More stanzas, as they stand in a configuration file. `{dir}` is replaced by the server's directory.
    pub stanzas: String,
    /// Whether the configuration has an audit file, `audit.log` in the server's directory.
    pub audit: bool,
    /// Log warnings and errors alone, as a benchmark wants it, and not everything down to trace.
    pub quiet: bool,
    /// Environment for the child: `SOFTHSM2_CONF`, a PIN.
    pub environment: Vec<(String, String)>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            storage: Storage::InMemory,
            stanzas: String::new(),
            audit: false,
            quiet: false,
            environment: Vec::new(),
        }
    }
}

/// A running server. Killed when dropped.
pub struct TestServer {
    directory: Arc<tempfile::TempDir>,
    config: Config,
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<u8>>>,
    secrets: Vec<String>,
}

/// What `sys/init` gave.
#[derive(Clone, Debug, Default)]
pub struct Initialised {
    /// The root token.
    pub root: String,
    /// Unseal shares, hex.
    pub shares: Vec<String>,
    /// Recovery shares, hex.
    pub recovery: Vec<String>,
}

impl TestServer {
    /// Starts a server in a directory of its own and waits until it says that it is ready.
    ///
    /// # Panics
    /// When the program is not built, ends, or is not ready within 30 s: with its log.
    pub fn start(config: Config) -> Self {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        TestServer::start_in(directory, config)
    }

    /// As [`TestServer::start`], in a directory that a test has prepared (a token's, an older store's).
    pub fn start_in(directory: Arc<tempfile::TempDir>, config: Config) -> Self {
        let (child, address, log) = spawn(directory.path(), &config, 0);
        TestServer { directory, config, child, address, log, secrets: Vec::new() }
    }

    /// A server that is initialised and unsealed with one share, and its root token.
    pub fn unsealed(config: Config) -> (Self, Initialised) {
        let mut server = TestServer::start(config);
        let init = server.initialise(&serde_json::json!({"secret_shares": 1, "secret_threshold": 1}));
        server.unseal(&init.shares);
        (server, init)
    }

    /// A server in `storage` whose root key a fresh SoftHSM2 token holds: initialised, and unsealed by the token.
    pub fn on_a_token(storage: Storage, audit: bool) -> (Self, Initialised, SoftToken) {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let token = SoftToken::new(directory.path(), "root");
        let stanzas = token.stanza("hsm");
        let config = Config { storage, audit, stanzas, environment: token.environment(), ..Config::default() };
        keygen(directory.path(), &config, "hsm");
        let mut server = TestServer::start_in(directory, config);
        let init = server.initialise(&serde_json::json!({"recovery_shares": 1, "recovery_threshold": 1}));
        server.must_stay_secret(&token.pin);
        server.wait_active(Duration::from_secs(10));
        (server, init, token)
    }

    /// Initialises with `body`, and remembers what must never be found in the log.
    pub fn initialise(&mut self, body: &serde_json::Value) -> Initialised {
        let reply = self.client().call("PUT", "sys/init", Some(body));
        assert_eq!(reply.status, 200, "init: {}", reply.text());
        let json = reply.json().expect("init answers JSON");
        let list = |name: &str| -> Vec<String> {
            json[name].as_array().into_iter().flatten().filter_map(|key| key.as_str().map(str::to_owned)).collect()
        };
        let init = Initialised {
            root: json["root_token"].as_str().expect("init gives a root token").to_owned(),
            shares: list("keys"),
            recovery: list("recovery_keys"),
        };
        self.secrets.extend(init.shares.iter().chain(&init.recovery).chain([&init.root]).cloned());
        self.secrets.extend(list("keys_base64").into_iter().chain(list("recovery_keys_base64")));
        init
    }

    /// Enters shares.
    pub fn unseal(&self, shares: &[String]) {
        for share in shares {
            let reply = self.client().call("PUT", "sys/unseal", Some(&serde_json::json!({"key": share})));
            assert_eq!(reply.status, 200, "unseal: {}", reply.text());
        }
    }

    /// Waits until `sys/health` says active.
    ///
    /// # Panics
    /// When it does not within `limit`: with the log.
    pub fn wait_active(&self, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            match self.client().try_call("GET", "sys/health", None) {
                Ok(reply) if reply.status == 200 => return,
                _ if Instant::now() > end => panic!("not active after {limit:?}; log:\n{}", self.log()),
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// A client without a token.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// Where the plain listener is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://…` of the plain listener.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The server's own directory: store, audit log, configuration.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that it logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().expect("no holder panics")).into_owned()
    }

    /// Remembers one more text that must never be found in the log or the audit file.
    pub fn must_stay_secret(&mut self, secret: &str) {
        self.secrets.push(secret.to_owned());
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// TERM, and waits for the end; gives the exit code.
    ///
    /// # Panics
    /// When it does not end within 20 s.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match self.child.try_wait().expect("the child can be waited for") {
                Some(status) => return status.code(),
                None if Instant::now() > end => panic!("did not stop; log:\n{}", self.log()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Sends a signal by name: `HUP`, `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Starts the program again in the same directory, on the same port, with the same configuration.
    pub fn restart(&mut self) {
        self.kill();
        let (child, address, log) = spawn(self.directory.path(), &self.config, self.address.port());
        (self.child, self.address) = (child, address);
        let before = std::mem::replace(&mut self.log, log);
        self.check_secrets(&String::from_utf8_lossy(&before.lock().expect("no holder panics")), "log");
    }

    /// Fails the test when a known secret stands in the log or in the audit file.
    pub fn assert_no_secret_leaked(&self) {
        self.check_secrets(&self.log(), "log");
        if let Ok(audit) = std::fs::read(self.directory.path().join("audit.log")) {
            self.check_secrets(&String::from_utf8_lossy(&audit), "audit log");
        }
    }

    fn check_secrets(&self, text: &str, place: &str) {
        for (index, secret) in self.secrets.iter().enumerate() {
            assert!(!text.contains(secret.as_str()), "secret number {index} stands in the {place}");
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
        if !std::thread::panicking() {
            self.assert_no_secret_leaked();
        }
    }
}

/// The program under test: built beside the tests or the benchmark, in the same profile.
pub fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("a test knows its own path");
    let beside = tests.parent().expect("a program lies in a directory");
    let profile = if beside.ends_with("deps") { beside.parent().expect("deps lies in a profile") } else { beside };
    let program = profile.join("strongroom");
    assert!(program.exists(), "{} is not built: cargo build -p strongroom-cli in the same profile", program.display());
    program
}

/// Makes the key of the leaf `seal` on its device, with the program's own command.
///
/// # Panics
/// When the command fails: with what it said.
pub fn keygen(directory: &Path, config: &Config, seal: &str) {
    let path = write_config(directory, config, 0);
    let output = Command::new(program())
        .args(["operator", "hsm", "keygen", &format!("-config={}", path.display()), &format!("-seal={seal}")])
        .envs(config.environment.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "hsm keygen: {}", String::from_utf8_lossy(&output.stderr));
}

/// Writes `strongroom.hcl` into the server's directory.
fn write_config(directory: &Path, config: &Config, port: u16) -> PathBuf {
    let storage = match config.storage {
        Storage::InMemory => "storage \"inmem\" {}".to_owned(),
        Storage::Embedded => format!("storage \"embedded\" {{ path = \"{}/store\" }}", directory.display()),
    };
    let audit = match config.audit {
        true => {
            format!("audit \"file\" \"file\" {{ options {{ file_path = \"{}/audit.log\" }} }}", directory.display())
        }
        false => String::new(),
    };
    let stanzas = config.stanzas.replace("{dir}", &directory.display().to_string());
    let listener = format!("listener \"tcp\" {{ address = \"127.0.0.1:{port}\" tls_disable = true }}");
    let level = if config.quiet { "warn" } else { "trace" };
    let text = format!("{storage}\n{listener}\n{audit}\nlog_level = \"{level}\"\n{stanzas}\n");
    let path = directory.join("strongroom.hcl");
    std::fs::write(&path, text).expect("the configuration can be written");
    path
}

fn spawn(directory: &Path, config: &Config, port: u16) -> (Child, SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let path = write_config(directory, config, port);
    let socket = directory.join("notify");
    let _ = std::fs::remove_file(&socket);
    let notify = UnixDatagram::bind(&socket).expect("a notify socket");
    let mut child = Command::new(program())
        .arg("server")
        .arg(format!("-config={}", path.display()))
        .env("NOTIFY_SOCKET", &socket)
        .envs(config.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let log = Arc::new(Mutex::new(Vec::new()));
    collect(child.stdout.take().expect("stdout is piped"), log.clone());
    collect(child.stderr.take().expect("stderr is piped"), log.clone());

    notify.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout can be set");
    let end = Instant::now() + Duration::from_secs(30);
    let mut datagram = [0; 4096];
    loop {
        if let Ok(length) = notify.recv(&mut datagram)
            && let Some(address) = ready(&String::from_utf8_lossy(&datagram[..length]))
        {
            return (child, address, log);
        }
        let ended = child.try_wait().expect("the child can be waited for");
        if ended.is_some() || Instant::now() > end {
            // What it printed last may still be in the pipe.
            std::thread::sleep(Duration::from_millis(50));
            let text = String::from_utf8_lossy(&log.lock().expect("no holder panics")).into_owned();
            let _ = child.kill();
            panic!("the server is not ready ({ended:?}); log:\n{text}");
        }
    }
}

/// The address of the first plain listener out of a readiness message.
fn ready(message: &str) -> Option<SocketAddr> {
    if !message.lines().any(|line| line == "READY=1") {
        return None;
    }
    let listeners = message.lines().find_map(|line| line.strip_prefix("X_LISTENERS="))?;
    listeners.split(' ').find_map(|url| url.strip_prefix("http://")?.parse().ok())
}

fn collect(mut pipe: impl std::io::Read + Send + 'static, log: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut chunk = [0; 8192];
        while let Ok(length @ 1..) = pipe.read(&mut chunk) {
            log.lock().expect("no holder panics").extend(&chunk[..length]);
        }
    });
}
