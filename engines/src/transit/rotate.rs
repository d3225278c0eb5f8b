//! `keys/<name>/rotate`, and rotation when a key's period has passed.

use super::key::TransitKey;
use super::version::Material;
use super::{NAME, Transit, create, describe, name};
use std::time::Duration;
use strongroom_mount::{Answer, Blame, Ctx, Error, Method, Operation, Request, Route};

pub(super) const ROUTE: Route = Route {
    path: "keys/{name}/rotate",
    about: "Gives a key a new version.",
    methods: &[Method::new(Operation::Update, "Rotates.")],
    params: &[NAME],
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let name = name(request)?;
        let key = rotate(engine, cx, &name, |_| true).await?.ok_or_else(|| Error::caller("key not found"))?;
        describe::answer(&name, &key, None)
    })
}

/// Adds a version if the key still `wants` one when it is stored. `None` when there is no key.
async fn rotate(
    engine: &Transit,
    cx: &Ctx<'_>,
    name: &str,
    wants: impl Fn(&TransitKey) -> bool,
) -> Result<Option<TransitKey>, Error> {
    let Some(held) = engine.keys.get(cx.view, name).await? else { return Ok(None) };
    allowed(name, &held)?;
    // Made before the change, which may run more than once.
    let kind = held.policy.kind;
    let fresh = Material::generate(kind, usize::from(held.policy.key_size)).await?;
    let change = engine.keys.change(cx.view, name, |key| {
        key.usable()?;
        allowed(name, key)?;
        if key.policy.kind != kind {
            return Err(Error::caller("the key was replaced by one of another type: try again").blame(Blame::Conflict));
        }
        if !wants(key) {
            return Ok(());
        }
        let version = create::version(engine, cx, key, fresh.copy())?;
        // With a version that was drawn here the key is no longer only what a client brought.
        key.policy.imported = false;
        key.push(version)
    });
    change.await
}

fn allowed(name: &str, key: &TransitKey) -> Result<(), Error> {
    if key.policy.imported && !key.policy.imported_rotation {
        return Err(Error::caller(format!("imported key {name} does not allow rotation within Vault")));
    }
    Ok(())
}

/// Rotates every key of the mount whose period has passed since its newest version was made.
pub(super) async fn due(engine: &Transit, cx: &Ctx<'_>) -> Result<(), Error> {
    const PAGE: usize = 256;
    let now = cx.clock.now();
    let due = |key: &TransitKey| {
        let newest = key.versions.get(&key.policy.latest);
        let period = Duration::from_secs(key.policy.auto_rotate);
        let rotates = !key.policy.soft_deleted && (!key.policy.imported || key.policy.imported_rotation);
        rotates && !period.is_zero() && newest.is_some_and(|newest| now.since(newest.created) >= period)
    };
    let mut after: Option<String> = None;
    loop {
        let names = engine.keys.list(cx.view, after.as_deref(), PAGE).await?;
        for name in &names {
            if engine.keys.get(cx.view, name).await?.is_some_and(|key| due(&key)) {
                rotate(engine, cx, name, due).await?;
            }
        }
        if names.len() < PAGE {
            return Ok(());
        }
        after = names.last().cloned();
    }
}
