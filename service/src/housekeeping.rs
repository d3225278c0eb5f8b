//! What happens without a request: devices unseal the store, tokens expire, backends tidy, epochs rise.

use crate::{Live, Server, custody};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use strongroom_mount::{Caller, Ctx};
use tokio::sync::watch;

/// How often expired tokens are taken away.
const EXPIRY: Duration = Duration::from_secs(5);
/// After how many of those every backend gets its tick.
const TICKS: u32 = 12;
/// How often the devices of an open store are looked at: a call each to say who it is, and one to read its counter.
const LOOK: Duration = Duration::from_secs(10);

/// Tries devices until one opens the store, somebody else has, or the server stops.
pub(crate) async fn unseal_by_devices(server: Arc<Server>, mut stop: watch::Receiver<bool>) {
    // One at a time: a share that completes its leaf asks again while the start's own may still be waiting.
    if server.waiting.swap(true, Ordering::AcqRel) {
        return;
    }
    let _waiting = Waiting(server.clone());
    let opened = tokio::select! {
        opened = server.custody.wait_for_devices(tokio::time::sleep) => opened,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    let Some(barrier) = opened else { return };
    let change = server.phase.change().await;
    if let Err(error) = server.go_live(&change, barrier).await {
        tracing::error!(detail = error.detail, "the store opened, and cannot be served: {error}");
    }
}

/// Somebody waits for devices, until this is dropped.
struct Waiting(Arc<Server>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.store(false, Ordering::Release);
    }
}

/// Raises the devices' counters while unsealed.
pub(crate) async fn raise_epochs(server: Weak<Server>, interval: Option<Duration>, mut stop: watch::Receiver<bool>) {
    let Some(interval) = interval.filter(|interval| !interval.is_zero()) else { return };
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let Some(server) = server.upgrade() else { return };
        let Some(live) = server.phase.live() else { continue };
        let raised = server.custody.raise_epoch(&live.barrier).await;
        settle(&server, live, raised).await;
    }
}

/// Looks at the devices while unsealed: one that comes back is compared with the store, and brought up to date.
pub(crate) async fn watch_devices(server: Weak<Server>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let Some(server) = server.upgrade() else { return };
        look(&server).await;
    }
}

/// One look.
pub(crate) async fn look(server: &Arc<Server>) {
    let Some(live) = server.phase.live() else { return };
    let looked = server.custody.look(&live.barrier).await;
    settle(server, live, looked).await;
}

/// Seals where a device has counted past the store.
async fn settle(server: &Arc<Server>, live: Arc<Live>, outcome: Result<(), custody::Error>) {
    match outcome {
        Ok(()) => {}
        Err(error @ custody::Error::Rollback(_)) => {
            // Another copy of this store serves or has served: what this one says may be long revoked.
            tracing::error!("sealing: {error}");
            server.custody.refuse(&error);
            drop(live);
            drop(server.seal().await);
        }
        Err(error) => tracing::warn!("the devices were not all brought up to date, or not raised: {error}"),
    }
}

/// Keeps an unsealed server's house until it is sealed.
pub(crate) fn keep(live: &Arc<Live>) {
    let (live, gone) = (Arc::downgrade(live), live.gone());
    tokio::spawn(async move {
        if let Some(live) = live.upgrade() {
            live.reencryption.resume().await;
        }
        tokio::pin!(gone);
        let mut round = 0;
        loop {
            tokio::select! {
                () = tokio::time::sleep(EXPIRY) => {}
                () = &mut gone => return,
            }
            let Some(live) = live.upgrade() else { return };
            // It is said until somebody restarts the server: what is written from here on would be lost.
            if let Err(error) = live.barrier.check() {
                tracing::error!("{error}: see docs/runbooks/store-gone.md");
            }
            round = (round + 1) % TICKS;
            tick(&live, round == 0).await;
        }
    });
}

/// Expiry, and with `all` every backend's tick.
async fn tick(live: &Live, all: bool) {
    let nobody = Caller::nobody(None);
    for mount in live.mounts.all().iter() {
        if !all && mount.entry.kind != "token" {
            continue;
        }
        let ctx = Ctx { view: &mount.view, caller: &nobody, clock: &live.clock, mount: &mount.info };
        if let Err(error) = mount.backend.tick(&ctx).await {
            tracing::error!(mount = mount.entry.path, detail = error.detail, "tidying failed: {error}");
        }
    }
}
