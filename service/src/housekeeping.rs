//! What happens without a request: devices unseal the store, tokens expire, backends tidy, epochs rise.

use crate::{Live, Server};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use strongroom_mount::{Caller, Ctx};
use tokio::sync::watch;

/// How often expired tokens are taken away.
const EXPIRY: Duration = Duration::from_secs(5);
/// After how many of those every backend gets its tick.
const TICKS: u32 = 12;

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
        match server.custody.raise_epoch(&live.barrier).await {
            Ok(()) => {}
            Err(error @ crate::custody::Error::Rollback(_)) => {
                // Another copy of this store serves or has served: what this one says may be long revoked.
                tracing::error!("sealing: {error}");
                drop(live);
                drop(server.seal().await);
            }
            Err(error) => tracing::warn!("the epoch was not raised: {error}"),
        }
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
