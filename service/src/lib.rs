//! The running service. [`pipeline`] is the one conductor: listener → phase → resolve → authenticate → authorise → audit
//! the request → dispatch → audit the response → respond.
#![forbid(unsafe_code)]

pub mod audit;
pub mod config;
pub mod custody;
mod edge;
mod housekeeping;
pub mod listener;
mod live;
pub mod mounts;
mod notify;
pub mod operator;
mod phase;
mod pipeline;
mod reencryption;
pub mod request;
pub mod respond;
pub mod sys;

pub use live::Live;
pub use phase::{Change, Phase};

use config::Config;
use custody::Custody;
use listener::{Certificate, Listener};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use strongroom_clock::Clock;
use strongroom_keystore::Barrier;
use strongroom_mount::{Auth, Error, TtlLimits};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long sealing waits for requests that were admitted before it.
const SEAL_PATIENCE: Duration = Duration::from_secs(5);

/// What requests need to know of the configuration.
pub struct Settings {
    /// The cluster's name for people.
    pub cluster_name: Option<String>,
    /// Where clients reach this server.
    pub api_addr: Option<String>,
    /// `inmem` or `embedded`.
    pub storage: &'static str,
    /// The server's lease limits.
    pub ttl: TtlLimits,
    /// The root token's id in development mode.
    pub dev_root_token: Option<zeroize::Zeroizing<String>>,
}

/// What all requests share.
pub struct Server {
    /// Who opens the store.
    pub custody: Arc<Custody>,
    /// Which routes exist.
    pub phase: Phase,
    /// The one source of time.
    pub clock: Clock,
    /// What the configuration says.
    pub settings: Arc<Settings>,
    devices: Vec<Arc<audit::Configured>>,
    /// Counts seals: connections end with the phase in which they were used.
    seals: watch::Sender<u64>,
    /// Whether somebody waits for devices to open the store.
    waiting: AtomicBool,
    /// Becomes true when the server is to end.
    stopped: watch::Receiver<bool>,
}

/// A server that is running.
pub struct Running {
    server: Arc<Server>,
    addresses: Vec<SocketAddr>,
    certificates: Vec<Arc<Certificate>>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Opens audit devices, binds listeners, begins to serve, and lets devices unseal the store where they can.
    ///
    /// # Errors
    /// What cannot be used: an address, a certificate, an audit file, in words.
    pub async fn start(config: &Config, custody: Arc<Custody>, clock: Clock) -> Result<Running, String> {
        Server::start_with(config, custody, clock, None).await
    }

    /// As [`Server::start`], with a root token's id for development.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(
        config: &Config,
        custody: Arc<Custody>,
        clock: Clock,
        dev_root_token: Option<zeroize::Zeroizing<String>>,
    ) -> Result<Running, String> {
        let devices = config.audits.iter().map(audit::Configured::open).collect::<Result<_, _>>()?;
        let settings = Arc::new(Settings {
            cluster_name: config.cluster_name.clone(),
            api_addr: config.api_addr.clone(),
            storage: match config.storage {
                config::Storage::InMemory => "inmem",
                config::Storage::Embedded { .. } => "embedded",
            },
            ttl: TtlLimits { default: config.default_lease_ttl, max: config.max_lease_ttl },
            dev_root_token,
        });
        let (stop, stopped) = watch::channel(false);
        let seals = watch::Sender::new(0);
        let server = Arc::new(Server {
            custody,
            phase: Phase::default(),
            clock,
            settings,
            devices,
            seals,
            waiting: AtomicBool::new(false),
            stopped: stopped.clone(),
        });
        let (mut addresses, mut urls, mut certificates, mut tasks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for one in &config.listeners {
            let listener = Listener::bind(one).await?;
            let address = listener.address().map_err(|error| format!("{}: {error}", one.address))?;
            urls.push(format!("{}://{address}", if listener.certificate().is_some() { "https" } else { "http" }));
            addresses.push(address);
            certificates.extend(listener.certificate());
            let handler = Arc::new(edge::Edge::new(server.clone(), config, one)?);
            tasks.push(tokio::spawn(listener.serve(handler, stopped.clone(), server.seals.subscribe())));
        }
        tasks.push(tokio::spawn(housekeeping::unseal_by_devices(server.clone(), stopped.clone())));
        tasks.push(tokio::spawn(housekeeping::watch_devices(Arc::downgrade(&server), stopped.clone())));
        tasks.push(tokio::spawn(housekeeping::raise_epochs(Arc::downgrade(&server), config.epoch_interval, stopped)));
        notify::ready(&urls);
        Ok(Running { server, addresses, certificates, stop, tasks })
    }

    /// Serves what an open store holds.
    ///
    /// # Errors
    /// Those of the store, which is closed again then.
    pub async fn go_live(self: &Arc<Self>, change: &Change, barrier: Barrier) -> Result<(), Error> {
        match Live::open(barrier.clone(), self).await {
            Ok(live) => {
                self.serve(change, live);
                Ok(())
            }
            Err(error) => {
                self.custody.close(barrier).await;
                Err(error)
            }
        }
    }

    /// Begins a new store and gives its root token. It is served when `stays_open`, and else closed again.
    ///
    /// # Errors
    /// Those of the store, which is closed again then.
    pub async fn found(self: &Arc<Self>, change: &Change, barrier: Barrier, stays_open: bool) -> Result<Auth, Error> {
        let root_id = self.settings.dev_root_token.as_ref().map(|id| id.as_str());
        let founded = Live::found(barrier.clone(), self, root_id).await;
        match founded {
            Ok((live, root)) if stays_open => {
                self.serve(change, live);
                Ok(root)
            }
            founded => {
                let root = founded.map(|(_, root)| root);
                self.custody.close(barrier).await;
                root
            }
        }
    }

    /// Mounts kv version 2 at `secret/`, as every development server of this kind has it.
    ///
    /// # Errors
    /// Those of the store; 503 while sealed.
    pub async fn mount_secret(&self) -> Result<(), Error> {
        let sealed = || Error::caller("Vault is sealed").blame(strongroom_mount::Blame::Peer);
        let live = self.phase.live().ok_or_else(sealed)?;
        let mut entry = mounts::Entry::new("secret/", "kv")?;
        entry.description = "key/value secret storage".into();
        entry.options = Some([("version".to_owned(), "2".to_owned())].into());
        let taken = live.mounts.enable(entry).await?;
        taken.map_err(|in_use| Error::us(format!("{in_use:?} is in the way of secret/")))
    }

    fn serve(&self, change: &Change, live: Arc<Live>) {
        housekeeping::keep(&live);
        self.phase.open(change, live);
        tracing::info!("unsealed and active");
    }

    /// Seals: admits nothing from the moment this returns, waits for requests that were admitted before, but not for
    /// ever, and drops every key. What is returned ends when that is done.
    pub async fn seal(&self) -> JoinHandle<()> {
        let change = self.phase.change().await;
        let live = self.phase.close(&change);
        let (custody, seals) = (self.custody.clone(), self.seals.clone());
        tokio::spawn(async move {
            let Some(live) = live else { return };
            let (barrier, gone) = (live.barrier.clone(), live.gone());
            drop(live);
            if tokio::time::timeout(SEAL_PATIENCE, gone).await.is_err() {
                tracing::warn!("sealing without waiting any longer for requests that were admitted before");
            }
            custody.close(barrier).await;
            // Before anybody may open it again: a connection made for that is not one of those that end.
            seals.send_modify(|count| *count += 1);
            drop(change);
            tracing::info!("sealed");
        })
    }
}

impl Running {
    /// Where it listens, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The server.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Reads certificates again and reopens audit files. What fails is logged, and the old ones go on being used.
    pub fn reload(&self) {
        for certificate in &self.certificates {
            match certificate.reload() {
                Ok(()) => tracing::info!("the certificate was read again"),
                Err(error) => tracing::error!("the old certificate stays in use: {error}"),
            }
        }
        for device in &self.server.devices {
            match device.reopen() {
                Ok(()) => tracing::info!("the audit file was opened again"),
                Err(error) => tracing::error!("the old audit file stays in use: {error}"),
            }
        }
    }

    /// Lets requests that are being served finish, then seals and closes the store.
    pub async fn stop(self) {
        notify::stopping();
        self.stop.send_replace(true);
        for task in self.tasks {
            // A task that panicked has said so.
            let _ = task.await;
        }
        let _ = self.server.seal().await.await;
    }
}
