//! `sys/capabilities`, `-self` and `-accessor`: what a token may do on given paths.

use super::{Scope, text};
use std::sync::Arc;
use strongroom_mount::{Error, Kind, Method, Object, Operation, Param, Response, Route};

const PATHS: Param = Param::input("paths", Kind::CommaList, "The paths.");
const PATH: Param = Param::input("path", Kind::CommaList, "The paths, under an older name.");

/// `sys/capabilities`.
pub(super) const OF_TOKEN: Route = Route {
    path: "capabilities",
    about: "What a token may do.",
    methods: &[Method::new(Operation::Update, "The capabilities of a token on paths.")],
    params: &[Param::input("token", Kind::String, "The token."), PATHS, PATH],
    open: false,
};

/// `sys/capabilities-self`.
pub(super) const OF_SELF: Route = Route {
    path: "capabilities-self",
    about: "What the caller may do.",
    methods: &[Method::new(Operation::Update, "The capabilities of the caller on paths.")],
    params: &[Param::input("token", Kind::String, "Without effect."), PATHS, PATH],
    open: false,
};

/// `sys/capabilities-accessor`.
pub(super) const OF_ACCESSOR: Route = Route {
    path: "capabilities-accessor",
    about: "What the token of an accessor may do.",
    methods: &[Method::new(Operation::Update, "The capabilities of a token on paths.")],
    params: &[Param::input("accessor", Kind::String, "The token's accessor."), PATHS, PATH],
    open: false,
};

/// Of a token in the body.
pub(super) async fn of_token(scope: &Scope<'_>) -> Result<Response, Error> {
    let (paths, id) = (paths(scope)?, text(scope, "token")?);
    if id.is_empty() {
        return Err(Error::caller("no token found"));
    }
    let token = scope.live.tokens.token(&id).await?;
    let token = token.ok_or_else(|| Error::caller("invalid token").framed())?;
    answer(scope, &token.policies, &paths).await
}

/// Of the caller.
pub(super) async fn of_self(scope: &Scope<'_>) -> Result<Response, Error> {
    answer(scope, &scope.cx.caller.policies, &paths(scope)?).await
}

/// Of an accessor in the body.
pub(super) async fn of_accessor(scope: &Scope<'_>) -> Result<Response, Error> {
    let accessor = text(scope, "accessor")?;
    if accessor.is_empty() {
        return Err(Error::caller("missing accessor"));
    }
    let paths = paths(scope)?;
    let token = scope.live.tokens.by_accessor(&accessor).await?;
    let token = token.ok_or_else(|| Error::caller("invalid accessor").framed())?;
    answer(scope, &token.policies, &paths).await
}

fn paths(scope: &Scope<'_>) -> Result<Vec<String>, Error> {
    let fields = &scope.request.fields;
    let mut paths = fields.comma_list("paths")?.unwrap_or_default();
    if paths.is_empty() {
        paths = fields.comma_list("path")?.unwrap_or_default();
    }
    if paths.is_empty() { Err(Error::caller("paths must be supplied")) } else { Ok(paths) }
}

async fn answer(scope: &Scope<'_>, policies: &Arc<[String]>, paths: &[String]) -> Result<Response, Error> {
    let acl = scope.live.policies.acl(policies).await?;
    let mut seen: Vec<&str> = Vec::new();
    let data = Object::build(|out| {
        for path in paths {
            if seen.contains(&path.as_str()) {
                continue;
            }
            seen.push(path);
            out.strings(path, acl.capabilities(path.trim_start_matches('/')).into_iter());
        }
        if let [path] = paths
            && path != "capabilities"
        {
            out.strings("capabilities", acl.capabilities(path.trim_start_matches('/')).into_iter());
        }
    });
    // A path may be named as a field of the envelope; the envelope's own comes first, and `data` holds the path's.
    let clash = |path: &&str| ENVELOPE.contains(path);
    let copied_to_top = !seen.iter().any(clash);
    Ok(Response { copied_to_top, ..Response::data(data) })
}

const ENVELOPE: [&str; 9] =
    ["request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth", "mount_type"];
