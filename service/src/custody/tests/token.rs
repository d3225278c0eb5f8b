//! A token in memory that counts, goes away, and is swapped for another; and custody over such tokens.

use super::*;
use strongroom_hsm::config::SoftKey;
use strongroom_hsm::{
    CounterName, DeviceId, DevicePin, Error, Hsm, Identity, KeyInfo, KeyName, MechanismInfo, NewKey, Result, Sealed,
    Soft, SoftConfig,
};
use strongroom_secret::{Key, SecretBytes};

/// The token. What it holds survives whoever talks to it, as a token's memory does.
pub(crate) struct Token {
    soft: Soft,
    state: Mutex<Memory>,
}

struct Memory {
    serial: String,
    away: bool,
    raises: bool,
    counters: BTreeMap<[u8; 16], u64>,
}

impl Token {
    pub(crate) fn new(serial: &str, key: u8) -> Arc<Token> {
        let current_key = Key::<SoftKey, 32>::from_slice(&[key; 32]).unwrap();
        let soft = Soft::new(SoftConfig { current_key_id: "k".into(), current_key, previous: None }).unwrap();
        let state = Memory { serial: serial.into(), away: false, raises: true, counters: BTreeMap::new() };
        Arc::new(Token { soft, state: Mutex::new(state) })
    }

    pub(crate) fn key() -> KeyName {
        KeyName::Label("k".into())
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.state.lock().away = away;
    }

    /// Whether it lets its counters be raised.
    pub(crate) fn set_raises(&self, raises: bool) {
        self.state.lock().raises = raises;
    }

    /// Makes another token of it, with the same key.
    pub(crate) fn set_serial(&self, serial: &str) {
        self.state.lock().serial = serial.into();
    }

    /// What it counts for a cluster.
    pub(crate) fn counter(&self, cluster: [u8; 16]) -> u64 {
        self.state.lock().counters.get(&cluster).copied().unwrap_or(0)
    }

    /// Counts on behind everybody's back: another copy of the store was served with it.
    pub(crate) fn count_on(&self, cluster: [u8; 16]) {
        *self.state.lock().counters.entry(cluster).or_default() += 1;
    }

    fn there(&self) -> Result<()> {
        match self.state.lock().away {
            true => Err(Error::Away("the token is unplugged".into())),
            false => Ok(()),
        }
    }

    fn id(&self) -> Result<DeviceId> {
        Ok(self.identity()?.device_id())
    }
}

impl Hsm for Token {
    fn identity(&self) -> Result<Identity> {
        self.there()?;
        Ok(Identity { serial: self.state.lock().serial.clone(), ..self.soft.identity()? })
    }

    fn mechanisms(&self) -> Result<Vec<MechanismInfo>> {
        self.there()?;
        self.soft.mechanisms()
    }

    fn keys(&self) -> Result<Vec<KeyInfo>> {
        self.there()?;
        self.soft.keys()
    }

    fn generate_key(&self, new: &NewKey) -> Result<KeyInfo> {
        self.soft.generate_key(new)
    }

    fn key(&self, name: &KeyName) -> Result<KeyInfo> {
        self.there()?;
        self.soft.key(name)
    }

    fn seal(&self, key: &KeyName, aad: &[u8], secret: &SecretBytes) -> Result<Sealed> {
        self.there()?;
        self.soft.seal(key, aad, secret)
    }

    fn open(&self, key: &KeyName, aad: &[u8], sealed: &Sealed) -> Result<SecretBytes> {
        self.there()?;
        self.soft.open(key, aad, sealed)
    }

    fn enrol(&self, key: &KeyName) -> Result<DevicePin> {
        let device = self.id()?;
        Ok(DevicePin { device, ..self.soft.enrol(key)? })
    }

    fn prove(&self, _key: &KeyName, pin: &DevicePin) -> Result<()> {
        match self.id()? == pin.device {
            true => Ok(()),
            false => Err(Error::WrongToken("it is not the one that was enrolled".into())),
        }
    }

    fn counter_read(&self, counter: &CounterName) -> Result<Option<u64>> {
        self.there()?;
        Ok(self.state.lock().counters.get(&counter.0).copied())
    }

    fn counters(&self) -> Result<Vec<(CounterName, u64)>> {
        self.there()?;
        Ok(self.state.lock().counters.iter().map(|(name, value)| (CounterName(*name), *value)).collect())
    }

    fn counter_raise(&self, counter: &CounterName, to: u64) -> Result<()> {
        self.there()?;
        let mut state = self.state.lock();
        if !state.raises {
            return Err(Error::Away("pulled while it was being raised".into()));
        }
        let held = state.counters.entry(counter.0).or_default();
        assert!(*held <= to, "nobody asks a counter to go back");
        *held = to;
        Ok(())
    }

    fn permit_login(&self) {}
}

/// When the tests begin, in seconds since 1970.
pub(crate) const START: i64 = 1_800_000_000;

/// Custody over `store` whose leaves are `tokens`, and custodians where the expression names `people`.
pub(crate) fn with_tokens(
    store: &Store,
    expression: &str,
    tokens: &[(&str, &Arc<Token>)],
    clock: &Clock,
) -> Arc<Custody> {
    let mut custody = Custody::new(store.clone(), &configured(expression, tokens), clock.clone()).unwrap();
    let inner = Arc::get_mut(&mut custody).unwrap();
    inner.devices = (tokens.iter())
        .map(|(name, token)| {
            let device = Device::start(name, Limits::default(), (*token).clone()).unwrap();
            let leaf = DeviceLeaf::new(name, Kind::Pkcs11, device, Token::key());
            Arc::new(ConfiguredLeaf::new(name, Kind::Pkcs11, Ok(leaf)))
        })
        .collect();
    inner.seals.iter_mut().filter(|seal| seal.0 != "people").for_each(|seal| seal.1 = Kind::Pkcs11);
    custody
}

pub(crate) fn configured(expression: &str, tokens: &[(&str, &Arc<Token>)]) -> Config {
    let mut text: String = tokens.iter().map(|(name, _)| fixed(name, KEY)).collect();
    if expression.contains("people") {
        text.push_str("seal \"shamir\" \"people\" {}\n");
    }
    let listen = LISTEN.replace("{ tls_disable", "{ address = \"127.0.0.1:0\"\n tls_disable");
    let text = format!("{listen}{text}unseal_when = {expression:?}\n");
    Config::parse("x", &text, &Environment::default()).unwrap_or_else(|mistakes| panic!("{mistakes}")).config
}

pub(crate) fn clock() -> Clock {
    Clock::manual(Timestamp::from_unix(START))
}

pub(crate) async fn opened(custody: &Custody) -> Barrier {
    match custody.try_devices().await {
        Ok(Step::Unsealed(barrier)) => barrier,
        Ok(Step::Progress) => panic!("stays sealed: {}", custody.missing()),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) async fn begun(custody: &Custody, request: &InitRequest) -> (Barrier, Vec<String>) {
    let made = custody.initialise(request).await.unwrap_or_else(|error| panic!("{error}"));
    made.barrier.view(MountId([1; 16])).put("row", b"value").await.unwrap();
    (made.barrier, made.keys.iter().map(|key| hex::encode(key.expose())).collect())
}
