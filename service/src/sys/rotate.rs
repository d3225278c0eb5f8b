//! `sys/rotate` and `sys/key-status`: the keyring's terms; `sys/rotate/root`: the root key.

use super::Scope;
use strongroom_mount::{Access, Error, Method, Object, Operation, Response, Route};

const ROTATES: &[Method] =
    &[Method::new(Operation::Update, "A fresh term, under which everything is sealed from now on.")
        .access(Access::Sudo)];

/// `sys/rotate`.
pub(super) const ROTATE: Route =
    Route { path: "rotate", about: "Rotates the keyring.", methods: ROTATES, params: &[], open: false };

/// `sys/rotate/keyring`.
pub(super) const KEYRING: Route =
    Route { path: "rotate/keyring", about: "Rotates the keyring.", methods: ROTATES, params: &[], open: false };

/// `sys/rotate/names`: ours, since the reference hides no names.
pub(super) const NAMES: Route = Route {
    path: "rotate/names",
    about: "Rotates the key that hides the names of rows.",
    methods: &[Method::new(
        Operation::Update,
        "A fresh names key, and the re-encryption that renames every row; sys/reencrypt says how far it is.",
    )
    .access(Access::Sudo)],
    params: &[],
    open: false,
};

/// `sys/rotate/root`.
pub(super) const ROOT: Route = Route {
    path: "rotate/root",
    about: "Rotates the root key.",
    methods: &[Method::new(
        Operation::Update,
        "A fresh root key and fresh keyslots; shares stay good, and a device that is away is brought up to date later.",
    )
    .access(Access::Sudo)],
    params: &[],
    open: false,
};

/// `sys/key-status`.
pub(super) const KEY_STATUS: Route = Route {
    path: "key-status",
    about: "The current term.",
    methods: &[Method::new(Operation::Read, "Its number, age and use.")],
    params: &[],
    open: false,
};

/// A fresh term.
pub(super) async fn rotate(scope: &Scope<'_>) -> Result<Response, Error> {
    scope.live.barrier.rotate().await?;
    Ok(Response::none())
}

/// A fresh names key; every row gets its name anew, in the background.
pub(super) async fn names(scope: &Scope<'_>) -> Result<Response, Error> {
    if scope.live.barrier.key_status()?.renaming || scope.live.reencryption.runs() {
        return Err(Error::caller("a re-encryption is under way: see sys/reencrypt, and rotate after its end"));
    }
    scope.live.barrier.rotate_names().await?;
    scope.live.reencryption.start().await?;
    Ok(Response::none())
}

/// A fresh root key.
pub(super) async fn rotate_root(scope: &Scope<'_>) -> Result<Response, Error> {
    let server = scope.live.server.upgrade().ok_or_else(|| Error::us("the server has gone"))?;
    let rotated = server.custody.rotate_root(&scope.live.barrier).await.map_err(super::sealed::refusal)?;
    let mut warnings = rotated.warnings;
    for (leaf, why) in &rotated.absent {
        warnings.push(format!("{leaf} was away ({why}) and is brought up to date when it returns"));
    }
    for leaf in &rotated.skipped {
        warnings.push(format!("{leaf} was away too long, and no longer opens the store by itself when it returns"));
    }
    Ok(Response { warnings, ..Response::none() })
}

/// The current term.
pub(super) fn key_status(scope: &Scope<'_>) -> Result<Response, Error> {
    let status = scope.live.barrier.key_status()?;
    let data = Object::build(|out| {
        out.value("term", &status.term);
        out.string("install_time", &status.installed.to_string());
        out.value("encryptions", &status.operations);
    });
    Ok(Response { copied_to_top: true, ..Response::data(data) })
}
