//! What the tests of this crate share: devices in memory, an executor of one line, seals by name.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use strongroom_secret::SecretBytes;
use strongroom_secret::aead::AeadKey;
use strongroom_secret::key::RootKey;
use strongroom_unseal::leaf::Answer;
use strongroom_unseal::*;

pub(crate) const CLUSTER: [u8; 16] = *b"a test's cluster";
pub(crate) const NOW: i64 = 1_800_000_000;

/// Runs a future that is always ready to go on.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..10_000 {
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return answer;
        }
    }
    panic!("the future never ended");
}

/// Runs a future whose answer comes from another thread: parks until it is woken.
pub(crate) fn park<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = Box::pin(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// A device that works, is away, or is another one; it counts what it is asked.
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) serial: Mutex<u8>,
    pub(crate) away: Mutex<bool>,
    pub(crate) hangs: Mutex<bool>,
    pub(crate) opened: Mutex<usize>,
    pub(crate) proven: Mutex<usize>,
}

impl Device {
    pub(crate) fn new(name: &str, serial: u8) -> Self {
        Device {
            name: name.to_owned(),
            kind: Kind::Pkcs11,
            serial: Mutex::new(serial),
            away: Mutex::new(false),
            hangs: Mutex::new(false),
            opened: Mutex::new(0),
            proven: Mutex::new(0),
        }
    }

    pub(crate) fn set_away(&self, away: bool) {
        *self.away.lock().unwrap() = away;
    }

    fn key(&self) -> AeadKey {
        AeadKey::new(&[*self.serial.lock().unwrap(); 32])
    }

    async fn reach(&self) -> Result<(), LeafError> {
        if *self.hangs.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        match *self.away.lock().unwrap() {
            true => Err(LeafError::Away(format!("{} is unplugged", self.name))),
            false => Ok(()),
        }
    }
}

impl Leaf for Device {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn enrol(&self) -> Answer<'_, Enrolment> {
        Box::pin(async move {
            self.reach().await?;
            let serial = *self.serial.lock().unwrap();
            Ok(Enrolment { device: DeviceId([serial; 16]), text: format!("Test Token {serial}"), pin: vec![serial; 3] })
        })
    }

    fn prove<'a>(&'a self, pin: &'a [u8]) -> Answer<'a, ()> {
        Box::pin(async move {
            self.reach().await?;
            *self.proven.lock().unwrap() += 1;
            let serial = *self.serial.lock().unwrap();
            match pin == [serial; 3] {
                true => Ok(()),
                false => Err(LeafError::Other(format!("{} is token {serial}, not the enrolled one", self.name))),
            }
        })
    }

    fn seal<'a>(&'a self, aad: &'a [u8], portion: &'a SecretBytes) -> Answer<'a, Vec<u8>> {
        Box::pin(async move {
            self.reach().await?;
            let mut sealed = Vec::new();
            self.key().seal(aad, portion.expose(), &mut sealed).unwrap();
            Ok(sealed)
        })
    }

    fn open<'a>(&'a self, aad: &'a [u8], sealed: &'a [u8]) -> Answer<'a, SecretBytes> {
        Box::pin(async move {
            self.reach().await?;
            *self.opened.lock().unwrap() += 1;
            self.key().open(aad, sealed).map_err(|error| LeafError::Rejected(error.to_string()))
        })
    }
}

/// The tree of `text`, where names that begin with `c` are custodians, by default 2 of 3, and the others tokens.
pub(crate) fn tree(text: &str) -> Tree {
    let expression: Expression = text.parse().unwrap();
    let mut seals: BTreeMap<&str, Seal> = BTreeMap::new();
    for name in expression.names() {
        let shamir = name.starts_with('c');
        let kind = if shamir { Kind::Shamir } else { Kind::Pkcs11 };
        let quorum = (shamir && !text.contains(" of 5 c")).then(|| QuorumShape::new(2, 3).unwrap());
        seals.insert(name, Seal { name: name.to_owned(), kind, quorum });
    }
    expression.resolve(&seals.into_values().collect::<Vec<_>>()).unwrap().tree
}

pub(crate) fn holders(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("holder-{number}")).collect()
}

/// A custodians' leaf as init makes it.
pub(crate) fn custodians(name: &str, generation: u32, threshold: u8, count: usize) -> (Custodians, Vec<SecretBytes>) {
    let belongs = Belongs { cluster: CLUSTER, generation, leaf: name.to_owned() };
    Custodians::deal(belongs, threshold, &holders(count)).unwrap()
}

pub(crate) fn opened(outcome: Outcome) -> Opened {
    match outcome {
        Outcome::Open(opened) => opened,
        Outcome::Sealed(standing) => panic!("still sealed: {standing:#?}"),
    }
}

pub(crate) fn sealed(outcome: Outcome) -> Standing {
    match outcome {
        Outcome::Sealed(standing) => standing,
        Outcome::Open(_) => panic!("the root opened"),
    }
}

/// Deals a fresh root of generation 1 with every leaf there.
pub(crate) fn deal(tree: &Tree, leaves: &[&dyn Leaf]) -> (RootKey, Rows) {
    let root = RootKey::generate().unwrap();
    let dealing = Dealing { cluster: CLUSTER, generation: 1, tree, leaves, enrolled: Default::default() };
    let dealt = run(dealing.deal(&root)).unwrap();
    assert_eq!(dealt.absent, []);
    (root, dealt.rows.into_iter().collect())
}
