//! A store in memory, a clock that stands still, and tokens in them.
#![allow(dead_code, unreachable_pub)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use strongroom_auth::tokens::{NewToken, TokenType};
use strongroom_auth::{PolicyStore, TokenStore};
use strongroom_clock::{Clock, Timestamp};
use strongroom_keystore::{Barrier, Init, MountId, Store, View};
use strongroom_mount::TtlLimits;
use strongroom_secret::key::RootKey;

pub const LIMITS: TtlLimits =
    TtlLimits { default: Duration::from_secs(768 * 3600), max: Duration::from_secs(768 * 3600) };
pub const START: Timestamp = Timestamp::from_unix(1_800_000_000);

pub struct House {
    pub clock: Clock,
    pub barrier: Barrier,
    pub tokens: Arc<TokenStore>,
    pub policies: Arc<PolicyStore>,
}

impl House {
    pub fn new() -> House {
        House::on(&Store::inmem())
    }

    pub fn on(store: &Store) -> House {
        let root = RootKey::generate().unwrap();
        let init = Init { cluster: [7; 16], root: &root, generation: 1, clear_rows: vec![], devices: vec![] };
        House::over(store.initialise(init).unwrap(), Clock::manual(START))
    }

    /// Stores opened anew on the same rows, as after a restart.
    pub fn over(barrier: Barrier, clock: Clock) -> House {
        let tokens = run(TokenStore::open(barrier.view(MountId([1; 16])), clock.clone(), LIMITS)).unwrap();
        let policies = run(PolicyStore::open(barrier.view(MountId([2; 16])), clock.clone())).unwrap();
        House { clock, barrier, tokens, policies }
    }

    pub fn rows(&self) -> View {
        self.barrier.view(MountId([1; 16]))
    }

    /// Time passes.
    pub fn wait(&self, seconds: u64) {
        self.clock.set(self.clock.now().plus(Duration::from_secs(seconds)));
    }

    /// Makes a token and gives its id.
    pub fn make(&self, new: NewToken) -> String {
        run(self.tokens.create(new, LIMITS)).map(|made| made.auth.client_token.to_string()).unwrap()
    }

    pub fn child(&self, parent: &str) -> String {
        self.make(NewToken { parent: Some(self.tokens.key_of(parent)), ..service() })
    }

    pub fn lives(&self, id: &str) -> bool {
        run(self.tokens.authenticate(id, None)).is_ok()
    }
}

pub fn service() -> NewToken {
    NewToken::new(TokenType::Service, vec!["default".into()], "auth/token/create")
}

/// Runs a future to its end on this thread.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    struct Waiter(Thread);
    impl Wake for Waiter {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Waiter(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
