//! What exists only while unsealed: the open store, the mounts, tokens, policies, the audit log. Built at unseal, dropped
//! at seal, and with it every key.

use crate::audit::Audit;
use crate::mounts::{Builtins, Class, Entry, Mounts};
use crate::reencryption::Reencryptions;
use crate::sys::System;
use crate::sys::rotate_config::RotateConfig;
use crate::{Server, Settings};
use std::sync::{Arc, Weak};
use strongroom_auth::{PolicyStore, TokenStore};
use strongroom_clock::Clock;
use strongroom_keystore::{Barrier, Batch, MountId, View};
use strongroom_mount::{Auth, Error};
use tokio::sync::watch;

/// The storage of the server's own: the mount table, policies, the salts of the audit log.
pub(crate) const SYSTEM: MountId = MountId(*b"__system________");

/// An unsealed server.
pub struct Live {
    /// The open store.
    pub barrier: Barrier,
    /// What is mounted where.
    pub mounts: Mounts,
    /// Tokens.
    pub tokens: Arc<TokenStore>,
    /// Policies.
    pub policies: Arc<PolicyStore>,
    /// The audit log.
    pub audit: Audit,
    /// The one source of time.
    pub clock: Clock,
    /// What the configuration says.
    pub settings: Arc<Settings>,
    /// The server, for the few requests that change its phase.
    pub(crate) server: Weak<Server>,
    /// The job that seals anew what older terms have sealed.
    pub(crate) reencryption: Reencryptions,
    /// Moves of mounts since the unseal.
    pub(crate) moves: crate::sys::remount::Moves,
    /// Dropped with all the rest: who seals waits for it.
    alive: watch::Sender<()>,
}

impl Live {
    /// Begins a new store: the mounts that every server has, and the root token, which has `root_id` where one is given.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn found(
        barrier: Barrier,
        server: &Arc<Server>,
        root_id: Option<&str>,
    ) -> Result<(Arc<Live>, Auth), Error> {
        let rows = barrier.view(SYSTEM);
        let mut batch = Batch::new();
        Mounts::first(&mut batch, &rows)?;
        rows.commit(batch).await?;
        let live = Live::open(barrier, server).await?;
        let root = live.tokens.create_root_as(root_id).await?;
        Ok((live, root))
    }

    /// Everything that an open store holds, ready to serve.
    ///
    /// # Errors
    /// Those of the store; a store without a mount table.
    pub(crate) async fn open(barrier: Barrier, server: &Arc<Server>) -> Result<Arc<Live>, Error> {
        let (clock, settings) = (server.clock.clone(), server.settings.clone());
        let rows = barrier.view(SYSTEM);
        let entries = Mounts::read(&rows).await?;
        let tokens = TokenStore::open(token_storage(&barrier, &entries)?, clock.clone(), settings.ttl).await?;
        let policies = PolicyStore::open(rows.dir("policies"), clock.clone()).await?;
        RotateConfig::read(&rows).await?.apply(&barrier);
        let reencryption = Reencryptions::open(&barrier, rows.clone(), clock.clone()).await?;
        let audit = Audit::open(&server.devices, &rows.dir("audit")).await?;
        let system = System::default();
        let builtins = Builtins { system: system.clone(), tokens: tokens.clone(), policies: policies.clone() };
        let mounts = Mounts::open(&barrier, rows, entries, builtins, settings.ttl, clock.clone()).await?;
        let (server, alive, moves) = (Arc::downgrade(server), watch::Sender::new(()), Default::default());
        let live = Arc::new(Live {
            barrier,
            mounts,
            tokens,
            policies,
            audit,
            clock,
            settings,
            server,
            reencryption,
            moves,
            alive,
        });
        system.serve(&live);
        Ok(live)
    }

    /// Resolves when the last holder has dropped this.
    pub(crate) fn gone(&self) -> impl Future<Output = ()> + use<> {
        let mut watched = self.alive.subscribe();
        async move { while watched.changed().await.is_ok() {} }
    }
}

fn token_storage(barrier: &Barrier, entries: &[Entry]) -> Result<View, Error> {
    let token = entries.iter().find(|entry| entry.class == Class::Auth && entry.kind == "token");
    let storage = token.and_then(Entry::storage);
    let storage = storage.ok_or_else(|| Error::us("the mount table holds no auth/token/"))?;
    Ok(barrier.view(storage))
}
