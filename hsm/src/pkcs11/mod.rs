//! A token behind a PKCS#11 v2.40 library.
//!
//! Read `connection` first: how a token is found, known, logged in to and repaired; sessions live there and nowhere else.

mod attributes;
mod connection;
mod counter;
mod fault;
mod keys;
mod leave;
mod library;
mod proving;
mod raw;
mod sealing;
mod slots;

pub use leave::leave;
pub use slots::{SlotInfo, list_slots};

use crate::config::Pkcs11Config;
use crate::pin::PinRule;
use crate::{
    CounterName, DeviceId, DevicePin, Error, Hsm, Identity, KeyInfo, KeyName, MechanismInfo, NewKey, Result, Sealed,
};
use connection::Connection;
use cryptoki::error::{Error as CkError, RvError};
use fault::Fault;
use keys::Found;
use library::Library;
use parking_lot::Mutex;
use std::sync::Arc;
use strongroom_secret::SecretBytes;

/// One token of a PKCS#11 library. Connects at the first call that needs it, and again after the token was away.
pub struct Pkcs11 {
    /// How messages call it: by its configured slot, label or serial.
    name: String,
    config: Pkcs11Config,
    rule: PinRule,
    /// The serial of the first login: from then on another token is refused, whatever its label.
    serial: Mutex<Option<String>>,
    /// The device that a proof named.
    device: Mutex<Option<DeviceId>>,
    current: Mutex<Option<Arc<Connection>>>,
}

impl Pkcs11 {
    /// A token by its configuration. Nothing is loaded or sent yet.
    pub fn new(config: Pkcs11Config) -> Result<Self> {
        if config.pin.is_empty() {
            return Err(Error::Config("the token's PIN is empty".into()));
        }
        Ok(Pkcs11 {
            name: config.token.to_string(),
            rule: PinRule::new(config.ledger.clone()),
            config,
            serial: Mutex::default(),
            device: Mutex::default(),
            current: Mutex::default(),
        })
    }

    /// Runs what needs a token but no login, and once more where the library had been finalised.
    fn without_login<T>(&self, op: impl Fn(&Library) -> std::result::Result<T, Fault>) -> Result<T> {
        let library = Library::open(&self.config.library)?;
        let told = |fault: Fault| fault.into_error(&self.name);
        match op(&library) {
            Err(Fault::Module(CkError::Pkcs11(RvError::CryptokiNotInitialized, _))) => {
                library.initialise().map_err(Fault::from).map_err(told)?;
                op(&library).map_err(told)
            }
            done => done.map_err(told),
        }
    }
}

impl Hsm for Pkcs11 {
    fn identity(&self) -> Result<Identity> {
        self.without_login(|library| Ok(self.locate(library)?.1))
    }

    fn mechanisms(&self) -> Result<Vec<MechanismInfo>> {
        self.without_login(|library| {
            let (slot, _) = self.locate(library)?;
            let _calling = library.calling();
            let mut mechanisms = Vec::new();
            for mechanism in library.context.get_mechanism_list(slot)? {
                // Some modules list what they then do not describe.
                let Ok(info) = library.context.get_mechanism_info(slot, mechanism) else { continue };
                mechanisms.push(MechanismInfo {
                    code: *mechanism,
                    name: mechanism.to_string(),
                    key_sizes: (info.min_key_size() as u64, info.max_key_size() as u64),
                    hardware: info.hardware(),
                });
            }
            Ok(mechanisms)
        })
    }

    fn keys(&self) -> Result<Vec<KeyInfo>> {
        self.list_keys()
    }

    fn generate_key(&self, new: &NewKey) -> Result<KeyInfo> {
        self.make_key(new)
    }

    fn key(&self, name: &KeyName) -> Result<KeyInfo> {
        // Looked up anew: this is the operator's question, or the check before a seal is put to use.
        self.with(|connection, session| {
            connection.keys.lock().remove(name);
            Ok(self.found(connection, session, name)?.info.clone())
        })
    }

    fn seal(&self, key: &KeyName, aad: &[u8], secret: &SecretBytes) -> Result<Sealed> {
        self.seal_on_token(key, aad, secret)
    }

    fn open(&self, key: &KeyName, aad: &[u8], sealed: &Sealed) -> Result<SecretBytes> {
        self.open_on_token(key, aad, sealed)
    }

    fn enrol(&self, key: &KeyName) -> Result<DevicePin> {
        self.enrol_key(key)
    }

    fn prove(&self, key: &KeyName, pin: &DevicePin) -> Result<()> {
        self.prove_key(key, pin)
    }

    fn counter_read(&self, counter: &CounterName) -> Result<Option<u64>> {
        self.read_counter(counter)
    }

    fn counters(&self) -> Result<Vec<(CounterName, u64)>> {
        self.list_counters()
    }

    fn counter_raise(&self, counter: &CounterName, to: u64) -> Result<()> {
        self.raise_counter(counter, to)
    }

    fn permit_login(&self) {
        self.rule.permit();
    }
}
