//! Which routes exist now: before init and while sealed those of [`standing`](crate::sys::standing) alone, after that
//! those of [`Live`] too.

use crate::live::Live;
use parking_lot::RwLock;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The server's phase. Uninitialised and sealed are told apart by the store; here both are the absence of [`Live`].
#[derive(Default)]
pub struct Phase {
    live: RwLock<Option<Arc<Live>>>,
    change: Arc<Mutex<()>>,
}

/// The right to change the phase: one holder at a time, from the first key that is touched to the last that is dropped.
pub struct Change(#[allow(dead_code)] OwnedMutexGuard<()>);

impl Phase {
    /// What serves requests; `None` while sealed.
    pub fn live(&self) -> Option<Arc<Live>> {
        self.live.read().clone()
    }

    /// Waits until nobody else changes the phase.
    pub async fn change(&self) -> Change {
        Change(self.change.clone().lock_owned().await)
    }

    /// Requests are served from now on.
    pub fn open(&self, _change: &Change, live: Arc<Live>) {
        *self.live.write() = Some(live);
    }

    /// No request is admitted from now on. Those that were hold what is returned for a while.
    pub fn close(&self, _change: &Change) -> Option<Arc<Live>> {
        self.live.write().take()
    }
}
