//! `sys/auth`: auth methods, as `sys/mounts` in the same way, and with `sudo`.

use super::{Scope, mounts};
use crate::mounts::Class;
use strongroom_mount::{Access, Error, Method, Operation, Response, Route};

/// `sys/auth`.
pub(super) const LIST: Route = Route {
    path: "auth",
    about: "Which auth methods are mounted.",
    methods: &[Method::new(Operation::Read, "Lists auth methods with their settings.").access(Access::Sudo)],
    params: &[],
    open: false,
};

/// `sys/auth/<path>`, and `sys/auth/<path>/tune`.
pub(super) const MOUNT: Route = Route {
    path: "auth/{path...}",
    about: "One auth method; with /tune at its end, its settings.",
    methods: &[
        Method::new(Operation::Read, "Reads it.").access(Access::Sudo),
        Method::new(Operation::Update, "Mounts it, or tunes it.").access(Access::Sudo),
        Method::new(Operation::Delete, "Takes it away with all its data.").access(Access::Sudo),
    ],
    params: mounts::PARAMS,
    open: false,
};

/// All of them.
pub(super) fn list(scope: &Scope<'_>) -> Result<Response, Error> {
    Ok(mounts::all(scope, Class::Auth))
}

/// One.
pub(super) async fn mount(scope: &Scope<'_>) -> Result<Response, Error> {
    mounts::one(scope, Class::Auth).await
}
