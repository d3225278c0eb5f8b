//! What answers in every phase: init, unseal, seal-status, seal-tree. Bodies in, bodies out; what happens to the root key
//! is [`Custody`](crate::custody::Custody)'s, what is served then the [`Server`]'s.

pub mod init;
pub mod seal_status;
pub mod seal_tree;
mod strict;
pub mod unseal;

use crate::custody::Step;
use crate::request::Head;
use crate::{Live, Server, custody, housekeeping};
use bytes::Bytes;
use seal_tree::Sight;
use std::sync::Arc;
use strongroom_mount::{Blame, Error, Operation, Response};
use unseal::Ask;

/// GET `sys/init`.
pub(crate) fn initialised(server: &Arc<Server>) -> Result<Response, Error> {
    Ok(Response::bare(init::state(server.custody.is_initialised())))
}

/// PUT `sys/init`: the only answer that ever holds the shares and the root token.
pub(crate) async fn init(server: &Arc<Server>, body: Bytes) -> Result<Response, Error> {
    let change = server.phase.change().await;
    let request = init::request(body)?;
    let made = server.custody.initialise(&request).await.map_err(refusal)?;
    tracing::info!("initialised");
    for warning in &made.warnings {
        tracing::warn!("init: {warning}");
    }
    let root = server.found(&change, made.barrier.clone(), made.stays_open).await?;
    Ok(Response::bare(init::answer(&made, &root.client_token)))
}

/// PUT `sys/unseal`.
pub(crate) async fn unseal(server: &Arc<Server>, head: &Head, body: Bytes) -> Result<Response, Error> {
    let ask = if server.custody.is_initialised() { unseal::request(body)? } else { return Err(not_initialised()) };
    let change = server.phase.change().await;
    match ask {
        Ask::Reset => server.custody.reset_shares().await.map_err(refusal)?,
        Ask::Share { key, epoch } => {
            let step = server.custody.enter_share(&key, epoch).await.map_err(refusal)?;
            match step {
                Step::Unsealed(barrier) => server.go_live(&change, barrier).await?,
                // Enough shares, and a device that is away: it is waited for, so that nobody has to come again.
                Step::Progress if server.custody.waits_for_devices() => {
                    tokio::spawn(housekeeping::unseal_by_devices(server.clone(), server.stopped.clone()));
                }
                Step::Progress => {}
            }
        }
    }
    drop(change);
    seal_status(server, head)
}

/// GET `sys/seal-status`.
pub(crate) fn seal_status(server: &Arc<Server>, head: &Head) -> Result<Response, Error> {
    let mut status = server.custody.status();
    // While sealing waits for requests that were admitted before, the store is still open and nothing is served.
    status.sealed = server.phase.live().is_none();
    let place = seal_status::Place {
        storage: server.settings.storage,
        cluster_name: server.settings.cluster_name.as_deref(),
        redact: head.redact,
    };
    Ok(Response::bare(seal_status::answer(&status, &place)))
}

/// GET `sys/seal-tree`: needs no token, and shows more to one that may read it.
pub(crate) async fn seal_tree(server: &Arc<Server>, head: &Head) -> Result<Response, Error> {
    let sight = match server.phase.live() {
        None => Sight::Sealed,
        Some(live) if may_read(&live, head).await => Sight::Full,
        Some(_) => Sight::Outline,
    };
    Ok(Response::data(seal_tree::answer(&server.custody.tree(), sight)))
}

/// Whether the caller's token may read the path. One with a limited number of uses shows nothing more here, since this
/// route spends none.
async fn may_read(live: &Live, head: &Head) -> bool {
    let Some(id) = &head.token else { return false };
    let Ok(token) = live.tokens.authenticate(id, Some(head.remote.ip())).await else { return false };
    let Ok(acl) = live.policies.acl(&token.policies).await else { return false };
    token.num_uses() == 0 && acl.decide(Operation::Read, "sys/seal-tree", std::iter::empty(), None).allowed()
}

fn not_initialised() -> Error {
    refusal(custody::Error::NotInitialised)
}

/// An error of custody as clients see it, who may be anybody: it names no record of the store, the log does.
pub(crate) fn refusal(error: custody::Error) -> Error {
    let (text, whole) = (error.public(), error.to_string());
    let blame = match error {
        custody::Error::AlreadyInitialised
        | custody::Error::NotInitialised
        | custody::Error::Unsealed
        | custody::Error::Request(_)
        | custody::Error::Share(_) => Blame::Caller,
        custody::Error::Away(_) => Blame::Peer,
        custody::Error::Rollback(_) | custody::Error::Damaged(_) => Blame::Integrity,
        custody::Error::Store(strongroom_keystore::Error::NoSpace) => Blame::NoSpace,
        custody::Error::Store(_) | custody::Error::Us(_) => Blame::Us,
    };
    let detail = (blame != Blame::Caller).then_some(whole);
    Error { blame, detail, text: text.into(), framed: false }
}
