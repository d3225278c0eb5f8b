//! The one joint for extension: what an engine or an auth method implements.

use crate::route::{Operation, Route};
use crate::{Caller, Error, Fields, Response};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use strongroom_clock::Clock;
use strongroom_keystore::View;

/// A boxed future, as object-safe async methods need it.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What `handle` gives back.
pub type Answer<'a> = Boxed<'a, Result<Response, Error>>;

/// A secrets engine or an auth method.
///
/// An implementation does not check policies, write the audit log, frame errors or read the time of day: the pipeline
/// does. It keeps nothing outside its view but caches made with [`strongroom_keystore::Cache`].
pub trait Backend: Send + Sync {
    /// The name by which it is mounted: `transit`.
    fn kind(&self) -> &'static str;

    /// Its table.
    fn routes(&self) -> &'static [Route];

    /// Whether what a write names is there already, which makes it an update and not a create. `None`: the backend
    /// makes no difference, and every write is an update.
    fn exists<'a>(&'a self, _cx: &'a Ctx<'a>, _request: &'a Request) -> Boxed<'a, Result<Option<bool>, Error>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Whether a mount that this serves may have these options instead of its own. Once they are stored, another backend
    /// is made for them.
    ///
    /// # Errors
    /// Those that the caller is told: the mount stays as it is.
    fn accepts(&self, _options: &BTreeMap<String, String>) -> Result<(), Error> {
        Ok(())
    }

    /// Does the work. `request.route` is one of [`Backend::routes`] and offers `request.operation`.
    fn handle<'a>(&'a self, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a>;

    /// Called once when the mount begins to be served: at the unseal, when it is made, and when its options have changed.
    /// It runs beside requests and may take long; a seal ends it, and it is called again after the unseal.
    fn start<'a>(&'a self, _cx: &'a Ctx<'a>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Called about once a minute while unsealed and leading: expiry, automatic rotation, tidying.
    fn tick<'a>(&'a self, _cx: &'a Ctx<'a>) -> Boxed<'a, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// What a backend may use while it serves one request.
pub struct Ctx<'a> {
    /// Its mount's storage, and nothing else's.
    pub view: &'a View,
    /// Who calls.
    pub caller: &'a Caller,
    /// The one source of time.
    pub clock: &'a Clock,
    /// Where and how it is mounted.
    pub mount: &'a MountInfo,
}

/// A mount as a backend sees it.
#[derive(Clone, Debug)]
pub struct MountInfo {
    /// Path with its slash at the end, `auth/` included for auth methods: `transit/`.
    pub path: Arc<str>,
    /// `transit_1a2b3c4d`.
    pub accessor: Arc<str>,
    /// Options as given at mount time: `version` of KV.
    pub options: BTreeMap<String, String>,
    /// Effective limits.
    pub ttl: TtlLimits,
}

/// Effective lease limits: the mount's tuning over the server's configuration.
#[derive(Clone, Copy, Debug)]
pub struct TtlLimits {
    /// What a lease gets that names no TTL.
    pub default: Duration,
    /// What no lease outlives.
    pub max: Duration,
}

/// One request, below the mount.
pub struct Request {
    /// What is wanted.
    pub operation: Operation,
    /// Index of the route in the backend's table.
    pub route: usize,
    /// The path below the mount, without slash at its end.
    pub path: String,
    /// Parameters: those of query or body, then the path's captures.
    pub fields: Fields,
}
