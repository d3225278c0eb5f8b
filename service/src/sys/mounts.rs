//! `sys/mounts`: secrets engines, and what `sys/auth` does in the same way.

use super::{Scope, text, tune};
use crate::mounts::{Class, Entry, alias};
use strongroom_mount::{Error, Fields, Kind, Method, Object, Operation, Param, Response, Route};

/// `sys/mounts`.
pub(super) const LIST: Route = Route {
    path: "mounts",
    about: "What is mounted.",
    methods: &[Method::new(Operation::Read, "Lists secrets engines with their settings.")],
    params: &[],
    open: false,
};

/// What a mount is made of.
pub(super) const PARAMS: &[Param] = &[
    Param::path("path", "Where it is mounted."),
    Param::input("type", Kind::String, "What is mounted: transit."),
    Param::input("description", Kind::String, "For people."),
    Param::input("config", Kind::Map, "Settings, as in tune."),
    Param::input("options", Kind::KeyValues, "Options of the engine."),
    Param::input("local", Kind::Bool, "Kept and given back."),
    Param::input("seal_wrap", Kind::Bool, "Kept and given back."),
    Param::input("external_entropy_access", Kind::Bool, "Kept and given back."),
    Param::input("plugin_name", Kind::String, "The type, where the type is plugin."),
    Param::input("plugin_version", Kind::String, "Without effect."),
    // Of `<path>/tune`, which is another route by its ending.
    Param::input("default_lease_ttl", Kind::String, "tune: what a lease gets that names no TTL."),
    Param::input("max_lease_ttl", Kind::String, "tune: what no lease outlives."),
    Param::input("force_no_cache", Kind::Bool, "tune: kept and given back."),
    Param::input("audit_non_hmac_request_keys", Kind::CommaList, "tune: request fields that the audit log shows."),
    Param::input("audit_non_hmac_response_keys", Kind::CommaList, "tune: response fields that the audit log shows."),
    Param::input("listing_visibility", Kind::String, "tune: unauth shows the mount to everybody."),
    Param::input("passthrough_request_headers", Kind::CommaList, "tune: headers that the engine may see."),
    Param::input("allowed_response_headers", Kind::CommaList, "tune: headers that the engine may set."),
    Param::input("token_type", Kind::String, "tune: which tokens an auth method makes."),
    Param::input("user_lockout_config", Kind::Map, "tune: when wrong logins lock a user out."),
];

/// `sys/mounts/<path>`, and `sys/mounts/<path>/tune`.
pub(super) const MOUNT: Route = Route {
    path: "mounts/{path...}",
    about: "One secrets engine; with /tune at its end, its settings.",
    methods: &[
        Method::new(Operation::Read, "Reads it."),
        Method::new(Operation::Update, "Mounts it, or tunes it."),
        Method::new(Operation::Delete, "Takes it away with all its data."),
    ],
    params: PARAMS,
    open: false,
};

/// Every mount of `class` that the caller may see at all.
pub(super) fn list(scope: &Scope<'_>) -> Result<Response, Error> {
    Ok(all(scope, Class::Secret))
}

/// An object of mounts, in the envelope and at the top.
pub(super) fn all(scope: &Scope<'_>, class: Class) -> Response {
    let mounts = scope.live.mounts.all();
    let data = Object::with_capacity(4096, |out| {
        for mount in mounts.iter().filter(|mount| mount.entry.class == class) {
            out.object(mount.entry.short_path(), |out| mount.entry.write(out));
        }
    });
    Response { copied_to_top: true, ..Response::data(data) }
}

/// One mount.
pub(super) async fn mount(scope: &Scope<'_>) -> Result<Response, Error> {
    one(scope, Class::Secret).await
}

/// One mount of `class`: read, made, taken away, tuned.
pub(super) async fn one(scope: &Scope<'_>, class: Class) -> Result<Response, Error> {
    let given = text(scope, "path")?;
    let given = given.trim_matches('/');
    if let Some(path) = given.strip_suffix("/tune") {
        return tune::tune(scope, class, path).await;
    }
    let path = full_path(class, given);
    match scope.request.operation {
        Operation::Read => read(scope, class, &path),
        Operation::Delete => disable(scope, class, &path).await,
        _ => enable(scope, class, &path).await,
    }
}

/// `transit` → `transit/`, `userpass` → `auth/userpass/`.
pub(super) fn full_path(class: Class, given: &str) -> String {
    match class {
        Class::Secret => format!("{given}/"),
        Class::Auth => format!("auth/{given}/"),
    }
}

fn short(class: Class, path: &str) -> &str {
    if class == Class::Auth { path.strip_prefix("auth/").unwrap_or(path) } else { path }
}

fn read(scope: &Scope<'_>, class: Class, path: &str) -> Result<Response, Error> {
    let mount = scope.live.mounts.at(path).filter(|mount| mount.entry.class == class);
    let Some(mount) = mount else {
        let kind = if class == Class::Auth { "auth" } else { "secret" };
        return Err(Error::caller(
            format!("No {kind} engine mount at {}", short(class, path)).replace("auth engine mount", "auth engine"),
        ));
    };
    Ok(Response { copied_to_top: true, ..Response::data(mount.entry.object()) })
}

/// Paths that are the server's own.
pub(super) fn is_fixed(path: &str) -> bool {
    matches!(path, "sys/" | "identity/" | "cubbyhole/" | "auth/token/")
}

async fn disable(scope: &Scope<'_>, class: Class, path: &str) -> Result<Response, Error> {
    if is_fixed(path) {
        let verb = if class == Class::Auth { "disable" } else { "unmount" };
        return Err(Error::caller(match class {
            Class::Secret => format!("cannot {verb} {path:?}"),
            Class::Auth => "token credential backend cannot be disabled".to_owned(),
        }));
    }
    if scope.live.mounts.at(path).is_some_and(|mount| mount.entry.class == class) {
        scope.live.mounts.disable(path).await?;
    }
    Ok(Response::none())
}

async fn enable(scope: &Scope<'_>, class: Class, path: &str) -> Result<Response, Error> {
    let fields = &scope.request.fields;
    if is_fixed(path)
        || ["sys/", "auth/", "identity/", "cubbyhole/"]
            .iter()
            .any(|held| class == Class::Secret && path.starts_with(held))
    {
        let root = path.split_inclusive('/').next().unwrap_or(path);
        return Err(Error::caller(format!("cannot mount {:?}", if is_fixed(path) { path } else { root })));
    }
    if let Some(in_use) = scope.live.mounts.in_use(path) {
        return Err(Error::caller(format!("path is already in use at {}", in_use.0)));
    }
    let entry = described(scope, class, path, fields)?;
    match scope.live.mounts.enable(entry).await? {
        Ok(()) => Ok(Response::none()),
        Err(in_use) => Err(Error::caller(format!("path is already in use at {}", in_use.0))),
    }
}

/// The mount that a request describes.
fn described(scope: &Scope<'_>, class: Class, path: &str, fields: &Fields) -> Result<Entry, Error> {
    let given = text(scope, "type")?;
    let kind = match given.as_str() {
        "" => return Err(Error::caller("backend type must be specified as a string")),
        "plugin" => text(scope, "plugin_name")?,
        _ => given,
    };
    let (kind, option) = alias(&kind);
    let mut entry = Entry::new(path, kind)?;
    let mut options = fields.key_values("options")?.unwrap_or_default();
    options.extend(option.map(|(name, value)| (name.to_owned(), value.to_owned())));
    entry.options = Some(options).filter(|options| !options.is_empty());
    entry.description = text(scope, "description")?;
    entry.local = fields.bool("local")?.unwrap_or_default();
    entry.seal_wrap = fields.bool("seal_wrap")?.unwrap_or_default();
    entry.external_entropy_access = fields.bool("external_entropy_access")?.unwrap_or_default();
    if class == Class::Auth {
        entry.tuning.token_type = "default-service".into();
    }
    if let Some(config) = fields.object("config")? {
        tune::apply(&config, &mut entry, scope.live.mounts.ttl(), tune::Moment::Enabling)?;
    }
    if class == Class::Auth && kind == "token" {
        return Err(Error::caller("token credential backend cannot be instantiated"));
    }
    if !scope.live.mounts.can_mount(class, kind) {
        return Err(Error::caller(format!("plugin not found in the catalog: {kind}")));
    }
    Ok(entry)
}
