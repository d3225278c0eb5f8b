//! `sys/seal`, and what clients ask of a cluster that has one node.

use super::Scope;
use strongroom_mount::{Access, Error, Method, Object, Operation, Response, Route};

/// `sys/seal`.
pub(super) const SEAL: Route = Route {
    path: "seal",
    about: "Seals the server.",
    methods: &[
        Method::new(Operation::Update, "Drops every key; nothing is served until it is unsealed.").access(Access::Sudo)
    ],
    params: &[],
    open: false,
};

/// `sys/step-down`.
pub(super) const STEP_DOWN: Route = Route {
    path: "step-down",
    about: "Gives up leading, where there is another node.",
    methods: &[Method::new(Operation::Update, "Without effect on a single node.").access(Access::Sudo)],
    params: &[],
    open: false,
};

/// `sys/ha-status`.
pub(super) const HA_STATUS: Route = Route {
    path: "ha-status",
    about: "The nodes.",
    methods: &[Method::new(Operation::Read, "The one node.")],
    params: &[],
    open: false,
};

/// `sys/seal-backend-status`.
pub(super) const BACKEND_STATUS: Route = Route {
    path: "seal-backend-status",
    about: "Whether the seals' devices answer.",
    methods: &[Method::new(Operation::Read, "Each leaf's health.")],
    params: &[],
    open: false,
};

/// `sys/version-history`.
pub(super) const VERSION_HISTORY: Route = Route {
    path: "version-history",
    about: "Versions that have served this store.",
    methods: &[Method::new(Operation::List, "The running one.")],
    params: &[],
    open: false,
};

/// Nothing is admitted any more when this answers; keys are dropped when what was admitted before has ended.
pub(super) async fn seal(scope: &Scope<'_>) -> Result<Response, Error> {
    let server = scope.live.server.upgrade().ok_or_else(|| Error::us("the server has gone"))?;
    // It waits for this very request to end, and so is not waited for.
    drop(server.seal().await);
    Ok(Response::none())
}

/// One node.
pub(super) fn ha_status(scope: &Scope<'_>) -> Response {
    let address = scope.live.settings.api_addr.as_deref().unwrap_or_default();
    Response::data(Object::build(|out| {
        out.objects("nodes", std::iter::once(()), |out, ()| {
            out.string("hostname", "");
            out.string("api_address", address);
            out.string("cluster_address", "");
            out.value("active_node", &true);
            out.null("last_echo");
            out.string("version", super::VERSION);
            out.string("upgrade_version", "");
        });
    }))
}

/// Each device leaf's health, as far as it was asked.
pub(super) fn backend_status(scope: &Scope<'_>) -> Result<Response, Error> {
    let server = scope.live.server.upgrade().ok_or_else(|| Error::us("the server has gone"))?;
    let tree = server.custody.tree();
    let healthy = tree.leaves.iter().all(|leaf| leaf.healthy != Some(false));
    Ok(Response::bare(Object::build(|out| {
        out.value("healthy", &healthy);
        out.objects("backends", tree.leaves.iter(), |out, leaf| {
            out.string("name", &leaf.name);
            out.value("healthy", &(leaf.healthy != Some(false)));
        });
    })))
}

/// The running version.
pub(super) fn version_history() -> Response {
    Response::data(Object::build(|out| {
        out.strings("keys", [super::VERSION].into_iter());
        out.object("key_info", |out| {
            out.object(super::VERSION, |out| {
                out.null("previous_version");
                out.string("build_date", "");
                out.null("timestamp_installed");
            });
        });
    }))
}
