//! `sys/plugins`: what can be mounted. All of it is built in, so nothing is registered and nothing reloads.

use super::{Scope, text};
use crate::mounts::{METHODS, SECRETS};
use strongroom_mount::{Access, Error, Kind, Method, Object, Operation, Param, Response, Route};

/// `sys/plugins/catalog`.
pub(super) const CATALOG: Route = Route {
    path: "plugins/catalog",
    about: "What can be mounted.",
    methods: &[Method::new(Operation::Read, "Names by type, and each with its details.")],
    params: &[],
    open: false,
};

/// `sys/plugins/catalog/<type>`.
pub(super) const LIST: Route = Route {
    path: "plugins/catalog/{type}",
    about: "What can be mounted, of one type.",
    methods: &[Method::new(Operation::List, "Lists names.").access(Access::Sudo)],
    params: &[Param::path("type", "auth, database or secret.")],
    open: false,
};

/// `sys/plugins/catalog/<type>/<name>`.
pub(super) const PLUGIN: Route = Route {
    path: "plugins/catalog/{type}/{name}",
    about: "One thing that can be mounted.",
    methods: &[Method::new(Operation::Read, "Its details.").access(Access::Sudo)],
    params: &[Param::path("type", "auth, database or secret."), Param::path("name", "Its name.")],
    open: false,
};

/// `sys/plugins/reload/backend`.
pub(super) const RELOAD: Route = Route {
    path: "plugins/reload/backend",
    about: "Without effect: what is built in does not reload.",
    methods: &[Method::new(Operation::Update, "Says whether it is there.")],
    params: &[
        Param::input("plugin", Kind::String, "A name."),
        Param::input("mounts", Kind::CommaList, "Paths of mounts."),
        Param::input("scope", Kind::String, "Without effect."),
    ],
    open: false,
};

const TYPES: [(&str, &[&str]); 3] = [("auth", METHODS), ("database", &[]), ("secret", SECRETS)];

fn names(kind: &str) -> &'static [&'static str] {
    TYPES.iter().find(|(held, _)| *held == kind).map_or(&[], |(_, names)| names)
}

/// All of it.
pub(super) fn catalog() -> Response {
    Response::data(Object::build(|out| {
        for (kind, names) in TYPES {
            out.strings(kind, names.iter().copied());
        }
        let all = TYPES.iter().flat_map(|(kind, names)| names.iter().map(move |name| (kind, name)));
        out.objects("detailed", all, |out, (kind, name)| {
            out.value("builtin", &true);
            out.string("deprecation_status", "supported");
            out.string("name", name);
            out.string("type", kind);
            out.string("version", concat!("v", env!("CARGO_PKG_VERSION"), "+builtin"));
        });
    }))
}

/// Names of one type.
pub(super) fn list(scope: &Scope<'_>) -> Result<Response, Error> {
    let names: Vec<String> = names(&text(scope, "type")?).iter().map(ToString::to_string).collect();
    Response::keys(&names)
}

/// One of them.
pub(super) fn plugin(scope: &Scope<'_>) -> Result<Response, Error> {
    let (kind, name) = (text(scope, "type")?, text(scope, "name")?);
    if !names(&kind).contains(&name.as_str()) {
        return Err(Error::missing());
    }
    Ok(Response::data(Object::build(|out| {
        out.strings("args", std::iter::empty());
        out.value("builtin", &true);
        out.string("command", "");
        out.string("deprecation_status", "supported");
        out.string("name", &name);
        out.string("sha256", "");
        out.string("version", concat!("v", env!("CARGO_PKG_VERSION"), "+builtin"));
    })))
}

/// Nothing is done, and what is not there is said.
pub(super) fn reload(scope: &Scope<'_>) -> Result<Response, Error> {
    let plugin = text(scope, "plugin")?;
    let mounts = scope.request.fields.comma_list("mounts")?.unwrap_or_default();
    if plugin.is_empty() && mounts.is_empty() {
        return Err(Error::caller("plugin or mounts must be provided"));
    }
    if !plugin.is_empty() && !TYPES.iter().any(|(_, names)| names.contains(&plugin.as_str())) {
        return Err(Error::caller(format!("plugin not found in the catalog: {plugin}")));
    }
    for mount in mounts {
        let path = format!("{}/", mount.trim_matches('/'));
        if scope.live.mounts.at(&path).is_none() {
            return Err(Error::caller(format!("no mount at {path:?}")));
        }
    }
    Ok(Response::none().warn("Everything here is built in: nothing was reloaded."))
}
