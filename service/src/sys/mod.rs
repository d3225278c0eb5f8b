//! The mount `sys/`: one file per group of paths. Routes that exist while sealed are in [`standing`].

mod audit;
mod auth;
mod capabilities;
mod health;
pub(crate) mod help;
mod integrity;
mod mounts;
mod openapi;
mod plugins;
mod policies;
mod reencrypt;
pub(crate) mod remount;
mod rotate;
pub(crate) mod rotate_config;
mod seal;
pub mod sealed;
pub mod standing;
mod tools;
mod tune;
mod ui;

use crate::Live;
use std::sync::{Arc, OnceLock, Weak};
use strongroom_mount::backend::Boxed;
use strongroom_mount::{Answer, Backend, Ctx, Error, Request, Route};

/// The version as clients see it: the API's generation that is served, and ours.
pub(crate) const VERSION: &str = concat!("1.17.0+strongroom.", env!("CARGO_PKG_VERSION"));

/// Serves `sys/`. It changes what the whole server holds, and so holds on to it: weakly, since it is a part of it.
#[derive(Clone, Default)]
pub struct System(Arc<OnceLock<Weak<Live>>>);

/// What a handler of `sys/` works with.
pub(crate) struct Scope<'a> {
    /// The unsealed server.
    pub(crate) live: &'a Arc<Live>,
    /// The mount's own context.
    pub(crate) cx: &'a Ctx<'a>,
    /// The request.
    pub(crate) request: &'a Request,
}

static ROUTES: [Route; 40] = [
    mounts::LIST,
    mounts::MOUNT,
    auth::LIST,
    auth::MOUNT,
    remount::REMOUNT,
    remount::STATUS,
    plugins::CATALOG,
    plugins::LIST,
    plugins::PLUGIN,
    plugins::RELOAD,
    policies::LIST,
    policies::POLICY,
    policies::OLD_LIST,
    policies::OLD_POLICY,
    capabilities::OF_TOKEN,
    capabilities::OF_SELF,
    capabilities::OF_ACCESSOR,
    seal::SEAL,
    seal::STEP_DOWN,
    rotate::ROTATE,
    rotate::KEYRING,
    rotate::NAMES,
    rotate::ROOT,
    rotate::KEY_STATUS,
    rotate_config::CONFIG,
    rotate_config::KEYRING_CONFIG,
    reencrypt::REENCRYPT,
    integrity::STATUS,
    integrity::VERIFY,
    openapi::OPENAPI,
    ui::MOUNTS,
    ui::MOUNT,
    ui::RESULTANT_ACL,
    tools::RANDOM,
    tools::HASH,
    audit::LIST,
    audit::HASH,
    seal::HA_STATUS,
    seal::BACKEND_STATUS,
    seal::VERSION_HISTORY,
];

impl System {
    /// Begins to serve `live`.
    pub(crate) fn serve(&self, live: &Arc<Live>) {
        // Set once, when it is built.
        let _ = self.0.set(Arc::downgrade(live));
    }

    async fn answer(&self, cx: &Ctx<'_>, request: &Request) -> Result<strongroom_mount::Response, Error> {
        let live = self.0.get().and_then(Weak::upgrade).ok_or_else(|| Error::us("sys/ outlived the open store"))?;
        let scope = Scope { live: &live, cx, request };
        match ROUTES[request.route].path {
            "mounts" => mounts::list(&scope),
            "mounts/{path...}" => mounts::mount(&scope).await,
            "auth" => auth::list(&scope),
            "auth/{path...}" => auth::mount(&scope).await,
            "remount" => remount::remount(&scope).await,
            "remount/status/{migration_id}" => remount::status(&scope),
            "plugins/catalog" => Ok(plugins::catalog()),
            "plugins/catalog/{type}" => plugins::list(&scope),
            "plugins/catalog/{type}/{name}" => plugins::plugin(&scope),
            "plugins/reload/backend" => plugins::reload(&scope),
            "policies/acl" => policies::list(&scope).await,
            "policies/acl/{name}" => policies::policy(&scope).await,
            "policy" => policies::old_list(&scope).await,
            "policy/{name}" => policies::old_policy(&scope).await,
            "capabilities" => capabilities::of_token(&scope).await,
            "capabilities-self" => capabilities::of_self(&scope).await,
            "capabilities-accessor" => capabilities::of_accessor(&scope).await,
            "seal" => seal::seal(&scope).await,
            "step-down" => Ok(strongroom_mount::Response::none()),
            "ha-status" => Ok(seal::ha_status(&scope)),
            "seal-backend-status" => seal::backend_status(&scope),
            "version-history" => Ok(seal::version_history()),
            "rotate" | "rotate/keyring" => rotate::rotate(&scope).await,
            "rotate/names" => rotate::names(&scope).await,
            "rotate/root" => rotate::rotate_root(&scope).await,
            "key-status" => rotate::key_status(&scope),
            "rotate/config" | "rotate/keyring/config" => rotate_config::config(&scope).await,
            "reencrypt" => reencrypt::reencrypt(&scope).await,
            "integrity" => integrity::status(&scope),
            "integrity/verify" => integrity::verify(&scope).await,
            "internal/specs/openapi" => openapi::openapi(&scope).await,
            "internal/ui/mounts" => ui::mounts(&scope).await,
            "internal/ui/mounts/{path...}" => ui::mount(&scope).await,
            "internal/ui/resultant-acl" => ui::resultant_acl(&scope).await,
            "tools/random/{source?}/{bytes?}" => tools::random(&scope),
            "tools/hash/{urlalgorithm?}" => tools::hash(&scope),
            "audit" => Ok(audit::list(&scope)),
            "audit-hash/{path...}" => audit::hash(&scope),
            path => Err(Error::us(format!("sys/ lists {path} and does not serve it"))),
        }
    }
}

impl Backend for System {
    fn kind(&self) -> &'static str {
        "system"
    }

    fn routes(&self) -> &'static [Route] {
        &ROUTES
    }

    fn exists<'a>(&'a self, _cx: &'a Ctx<'a>, _request: &'a Request) -> Boxed<'a, Result<Option<bool>, Error>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn handle<'a>(&'a self, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
        Box::pin(self.answer(cx, request))
    }
}

/// Sixteen bytes as a UUID's text.
pub(crate) fn uuid(bytes: &[u8; 16]) -> String {
    let id = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
}

/// A text parameter; absent is empty.
pub(crate) fn text(scope: &Scope<'_>, name: &str) -> Result<String, Error> {
    Ok(scope.request.fields.string(name)?.unwrap_or_default().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_mount::Router;

    #[test]
    fn the_table_has_one_route_per_shape_and_each_path_is_served() {
        Router::new(&ROUTES);
        Router::new(&standing::ROUTES);
        let source = include_str!("mod.rs");
        for route in &ROUTES {
            assert!(source.contains(&format!("\"{}\"", route.path)), "{} is not dispatched", route.path);
        }
    }
}
