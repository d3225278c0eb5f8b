//! Custody of the root key: who opens the store, and with what.
//!
//! [`Custody`] owns the sealed store, the leaves that the configuration can reach and the shares entered so far. It deals
//! the root key at [`Custody::initialise`], opens it by shares ([`Custody::enter_share`]), by devices
//! ([`Custody::try_devices`], [`Custody::wait_for_devices`]) or by both, confirms the store's epoch with the devices
//! that count, and raises it again at [`Custody::close`] and at an interval. What it hands out is a [`Barrier`]: the
//! evidence that the store is open.

mod backoff;
mod epoch;
mod error;
mod init;
mod leaf;
mod rotate;
mod share;
mod status;
mod unseal;

pub use backoff::Backoff;
pub use error::Error;
pub use init::{InitRequest, Initialised};
pub use rotate::RootRotated;
pub use status::{LeafStatus, SealStatus, SealTree};
pub use unseal::Step;

use crate::config::{Config, Pkcs11Seal, Seal, SealKind, Secret, StaticSeal, Storage};
pub(crate) use leaf::ConfiguredLeaf;
use leaf::told;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use strongroom_clock::{Clock, Timestamp};
use strongroom_hsm::config::SoftKey;
use strongroom_hsm::pin::{FileLedger, MemoryLedger, PinLedger};
use strongroom_hsm::{Device, KeyName, Limits, Soft, SoftConfig};
use strongroom_keystore::{Barrier, Options, Store};
use strongroom_secret::Key;
use strongroom_secret::key::RootKey;
use strongroom_unseal::leaf::DeviceLeaf;
use strongroom_unseal::{Custodians, Expression, Kind, Leaf, LeafError, Rows, Standing, Tree, recovery};

/// Who opens the store, and with what.
pub struct Custody {
    store: Store,
    clock: Clock,
    /// The configured leaves that are devices, in the order in which they are named to people.
    devices: Vec<Arc<ConfiguredLeaf>>,
    /// Every configured seal: name, kind, whether it is switched off.
    seals: Vec<(String, Kind, bool)>,
    /// What the configuration says opens the root: the truth at init, and a reason for a warning later.
    expression: Expression,
    /// One act at a time: init, an attempt to open, a raise, a close.
    act: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// What changes. Never held over an await.
#[derive(Default)]
struct State {
    sealed: Option<SealedState>,
    open: Option<OpenState>,
    /// How the leaves stood at the last attempt.
    standing: Option<Standing>,
    /// What each leaf did since the start, by name.
    history: BTreeMap<String, History>,
    /// Why the store stays sealed although its root key opens: a rollback, a damaged row, a program too old.
    refused: Option<String>,
    /// What an operator should know, beside what the leaves say.
    warnings: Vec<String>,
    /// That shares were entered and have waited too long, until the next one is.
    forgotten: Option<String>,
    /// Devices that did not answer when the open store last looked, by leaf.
    away: BTreeSet<String>,
}

/// An initialised store that is not open.
struct SealedState {
    cluster: [u8; 16],
    rows: Rows,
    tree: Tree,
    custodians: Vec<Arc<Custodians>>,
    /// Where devices alone open the tree: recovery shares on their way to asking for an attempt.
    recovery: Option<recovery::Gathering>,
    /// Names the attempt while shares are entered.
    nonce: Option<String>,
    /// The least epoch that somebody asked for with a share.
    epoch: u64,
    /// Since when a leaf has had all its shares, and the store waits for something else.
    complete: Option<Timestamp>,
}

/// How long a complete set of shares waits in memory for what else opens the store: long enough to fetch a token, and to
/// have it noticed by the longest back-off many times over.
pub const SHARES_WAIT: Duration = Duration::from_secs(15 * 60);

/// An open store.
struct OpenState {
    cluster: [u8; 16],
    tree: Tree,
    generation: u32,
    root: Arc<RootKey>,
    rows: Rows,
    /// The recovery keys' shape, where there are recovery keys.
    recovery: Option<strongroom_unseal::QuorumShape>,
}

#[derive(Default, Clone)]
struct History {
    last_success: Option<Timestamp>,
    last_error: Option<String>,
}

impl Custody {
    /// Opens the store of `config`, and custody over it.
    ///
    /// # Errors
    /// [`Error::Store`] where it cannot be used; those of [`Custody::new`].
    pub fn open(config: &Config, clock: Clock) -> Result<Arc<Custody>, Error> {
        let options = Options { clock: clock.clone(), ..Options::default() };
        let store = match &config.storage {
            Storage::Embedded { path } => Store::embedded(path, options)?,
            Storage::InMemory => Store::inmem_with(options),
        };
        Custody::new(store, config, clock)
    }

    /// Custody over `store` by the seals of `config`. Nothing is sent to a device yet. Refused PINs are remembered in the
    /// store's directory.
    ///
    /// # Errors
    /// What the configuration cannot mean: an expression without a leaf that is switched on.
    pub fn new(store: Store, config: &Config, clock: Clock) -> Result<Arc<Custody>, Error> {
        let ledger: Arc<dyn PinLedger> = match config.store_directory() {
            Some(directory) => Arc::new(FileLedger::new(directory.join(REFUSED_PINS))),
            None => Arc::new(MemoryLedger::default()),
        };
        let devices = device_leaves(config, &ledger);
        let mut seals: Vec<_> =
            config.seals.iter().map(|seal| (seal.name.clone(), kind_of(seal), seal.disabled)).collect();
        if seals.is_empty() {
            // Exactly as Vault starts without a seal stanza.
            seals.push((Kind::Shamir.name().to_owned(), Kind::Shamir, false));
        }
        let switched_on = seals.iter().filter(|seal| !seal.2).map(|seal| seal.0.as_str());
        let expression = config.unseal_when.clone().or_else(|| Expression::any_of(switched_on));
        let expression = expression.ok_or_else(|| Error::Request("every seal is disabled".into()))?;
        let custody = Custody {
            store,
            clock,
            devices,
            seals,
            expression,
            act: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        };
        Ok(Arc::new(custody))
    }

    /// Whether there is anything to open.
    pub fn is_initialised(&self) -> bool {
        self.store.is_initialised()
    }

    /// Whether the store is open.
    pub fn is_open(&self) -> bool {
        self.state.lock().open.is_some()
    }

    /// Whether a set of shares is complete, and only devices are missing.
    pub fn waits_for_devices(&self) -> bool {
        let complete = self.state.lock().sealed.as_ref().is_some_and(|sealed| sealed.complete.is_some());
        complete && self.opens_by_devices()
    }

    /// Whether devices, with the custodians who have entered enough shares, could open the store, so that it is worth
    /// waiting for them.
    pub fn opens_by_devices(&self) -> bool {
        match self.read_sealed() {
            Ok(()) => {}
            Err(_) => return false,
        }
        let state = self.state.lock();
        let tree = state.sealed.as_ref().map(|sealed| &sealed.tree).or(state.open.as_ref().map(|open| &open.tree));
        let custodians = state.sealed.as_ref().map_or(&[][..], |sealed| &sealed.custodians);
        let entered = |leaf: &str| custodians.iter().any(|own| own.name() == leaf && own.progress().is_complete());
        tree.is_some_and(|tree| {
            tree.is_satisfied_by_leaves(&|leaf| {
                let leaf = &tree.leaves()[leaf];
                leaf.kind() != Kind::Shamir || entered(leaf.name())
            })
        })
    }

    /// Closes an open store: raises the epoch with the devices at hand, then drops every key. Never fails; what could
    /// not be raised is logged.
    pub async fn close(&self, barrier: Barrier) {
        let _act = self.act.lock().await;
        if let Err(error) = self.raise(&barrier).await {
            tracing::error!("the epoch was not raised before closing: {error}");
        }
        barrier.close();
        let mut state = self.state.lock();
        state.open = None;
        state.sealed = None;
        state.away.clear();
        if let Some(standing) = &mut state.standing {
            standing.satisfied = false;
            standing.leaves.iter_mut().for_each(|leaf| leaf.satisfied = false);
        }
    }

    /// Raises the epoch of an open store with the devices at hand, and brings up to date what was away: at an interval,
    /// and at custody events.
    ///
    /// # Errors
    /// [`Error::Rollback`] when a device has counted past this store, so that another copy of it serves or has served:
    /// seal. Anything else may pass: log it and go on.
    pub async fn raise_epoch(&self, barrier: &Barrier) -> Result<(), Error> {
        let _act = self.act.lock().await;
        // Whatever keeps the one from being done, the other is: a rollback must not hide behind a leaf that is away.
        let brought_up = self.bring_up(barrier).await;
        self.raise(barrier).await?;
        brought_up
    }

    /// Keeps why an open store is about to be sealed, for `sys/seal-status`.
    pub(crate) fn refuse(&self, error: &Error) {
        self.state.lock().refused = Some(error.public());
    }

    /// Lets the PIN of a leaf be tried once more although it was refused, at an operator's order.
    pub fn permit_login(&self, leaf: &str) {
        self.devices.iter().filter(|device| device.name() == leaf).for_each(|device| device.permit_login());
    }

    /// Reads the clear rows of a store that is initialised and not open, unless they are at hand.
    fn read_sealed(&self) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.open.is_some() || state.sealed.is_some() {
            return Ok(());
        }
        let head = self.store.clear_head().ok_or_else(|| match self.store.is_initialised() {
            true => Error::Damaged("the store's head cannot be read".into()),
            false => Error::NotInitialised,
        })?;
        let cluster = head.cluster;
        let rows: Rows = (self.store.clear_rows()?.into_iter())
            .map(|(name, bytes)| strongroom_unseal::Row { name, bytes })
            .collect();
        let latest = *rows
            .generations()
            .first()
            .ok_or_else(|| Error::Damaged("the store has no seal tree: its clear rows were taken away".into()))?;
        let tree = strongroom_unseal::Header::of(&rows, cluster, latest)?.tree().clone();
        let shamir = tree.leaves().iter().filter(|leaf| leaf.kind() == Kind::Shamir);
        let custodians = shamir
            .filter(|leaf| !self.seals.iter().any(|(name, _, disabled)| name == leaf.name() && *disabled))
            .map(|leaf| Custodians::load(&rows, cluster, leaf.name()).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        if !self.expression.agrees_with(&tree) {
            let text = format!(
                "the configuration says {:?}, the store was initialised with {:?}: the stored one counts",
                self.expression.to_string(),
                tree.to_string()
            );
            if !state.warnings.contains(&text) {
                tracing::warn!("{text}");
                state.warnings.push(text);
            }
        }
        state.sealed = Some(SealedState {
            cluster,
            rows,
            tree,
            custodians,
            recovery: None,
            nonce: None,
            epoch: 0,
            complete: None,
        });
        Ok(())
    }

    /// The device behind an enrolment, among the configured ones.
    fn device_of(&self, leaf: &str) -> Option<&Arc<ConfiguredLeaf>> {
        self.devices.iter().find(|device| device.name() == leaf)
    }
}

/// The record of refused PINs, in the store's directory.
pub(crate) const REFUSED_PINS: &str = "refused-pins";

fn kind_of(seal: &Seal) -> Kind {
    match seal.kind {
        SealKind::Pkcs11(_) => Kind::Pkcs11,
        SealKind::Static(_) => Kind::Static,
        SealKind::Shamir => Kind::Shamir,
    }
}

/// The leaves of a configuration that are devices. Nothing is sent to any yet.
pub(crate) fn device_leaves(config: &Config, ledger: &Arc<dyn PinLedger>) -> Vec<Arc<ConfiguredLeaf>> {
    config.seals.iter().filter_map(|seal| device_leaf(seal, ledger)).collect()
}

/// The leaf of a seal that is a device.
fn device_leaf(seal: &Seal, ledger: &Arc<dyn PinLedger>) -> Option<Arc<ConfiguredLeaf>> {
    let kind = kind_of(seal);
    let (key, device) = match &seal.kind {
        SealKind::Shamir => return None,
        SealKind::Pkcs11(token) => (token.key.clone(), pkcs11(&seal.name, token, ledger)),
        SealKind::Static(fixed) => (KeyName::Label(fixed.current_key_id.clone()), soft(&seal.name, fixed)),
    };
    let leaf = match device {
        _ if seal.disabled => Err(LeafError::Refused(format!("it is disabled at {}", seal.place))),
        Ok(device) => Ok(DeviceLeaf::new(&seal.name, kind, device, key)),
        Err(error) => Err(told(error)),
    };
    Some(Arc::new(ConfiguredLeaf::new(&seal.name, kind, leaf)))
}

/// The worker of a PKCS#11 seal; nothing is loaded or sent yet.
pub(crate) fn pkcs11(name: &str, seal: &Pkcs11Seal, ledger: &Arc<dyn PinLedger>) -> strongroom_hsm::Result<Device> {
    let Secret::Known(pin) = &seal.pin else {
        return Err(strongroom_hsm::Error::Config(
            "its pin is asked for at start, and nobody was there to answer".into(),
        ));
    };
    let token = strongroom_hsm::Pkcs11::new(strongroom_hsm::Pkcs11Config {
        library: seal.library.clone(),
        token: seal.token.clone(),
        pin: strongroom_secret::SecretBytes::from_slice(pin.expose()),
        mechanism: seal.mechanism,
        ledger: ledger.clone(),
    })?;
    Device::start(name, seal.limits, Arc::new(token))
}

/// The worker of a static seal.
pub(crate) fn soft(name: &str, seal: &StaticSeal) -> strongroom_hsm::Result<Device> {
    // The configuration checked that each key has 32 bytes.
    let key = |bytes: &strongroom_secret::SecretBytes| Key::<SoftKey, 32>::from_slice(bytes.expose());
    let wrong = || strongroom_hsm::Error::Config("a static key is not 32 bytes long".into());
    let previous = match &seal.previous {
        Some((id, bytes)) => Some((id.clone(), key(bytes).ok_or_else(wrong)?)),
        None => None,
    };
    let config = SoftConfig {
        current_key_id: seal.current_key_id.clone(),
        current_key: key(&seal.current_key).ok_or_else(wrong)?,
        previous,
    };
    Device::start(name, Limits::default(), Arc::new(Soft::new(config)?))
}

#[cfg(test)]
mod tests;
