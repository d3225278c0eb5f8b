//! `sys/internal/ui`: what clients ask before they know what a path is.

use super::{Scope, text};
use crate::mounts::{Class, Mount};
use std::sync::Arc;
use strongroom_auth::policies::Acl;
use strongroom_mount::json::Writer;
use strongroom_mount::{Access, Blame, Error, Method, Object, Operation, Param, Response, Route};

/// `sys/internal/ui/mounts`.
pub(super) const MOUNTS: Route = Route {
    path: "internal/ui/mounts",
    about: "The mounts that the caller can see.",
    methods: &[Method::new(
        Operation::Read,
        "Those that are shown to everybody, and with a token those that it reaches.",
    )
    .access(Access::Unauthenticated)],
    params: &[],
    open: false,
};

/// `sys/internal/ui/mounts/<path>`.
pub(super) const MOUNT: Route = Route {
    path: "internal/ui/mounts/{path...}",
    about: "The mount that a path lies in.",
    methods: &[
        Method::new(Operation::Read, "The mount, for who may do something below it.").access(Access::Unauthenticated)
    ],
    params: &[Param::path("path", "A path, in a mount or below it.")],
    open: false,
};

/// `sys/internal/ui/resultant-acl`.
pub(super) const RESULTANT_ACL: Route = Route {
    path: "internal/ui/resultant-acl",
    about: "What the caller's policies say together.",
    methods: &[Method::new(Operation::Read, "Exact paths and prefixes with their capabilities.")],
    params: &[],
    open: false,
};

/// What the caller's policies say; `None` without a token that is valid.
pub(super) async fn acl(scope: &Scope<'_>) -> Result<Option<Arc<Acl>>, Error> {
    let caller = scope.cx.caller;
    if caller.policies.is_empty() {
        return Ok(None);
    }
    Ok(Some(scope.live.policies.acl(&caller.policies).await?))
}

fn reaches(acl: &Acl, mount: &Mount) -> bool {
    acl.is_root() || acl.reaches(&mount.entry.path)
}

/// Mounts by class.
pub(super) async fn mounts(scope: &Scope<'_>) -> Result<Response, Error> {
    let acl = acl(scope).await?;
    let all = scope.live.mounts.all();
    let shown = |mount: &Mount| {
        mount.entry.tuning.listing_visibility == "unauth" || acl.as_ref().is_some_and(|acl| reaches(acl, mount))
    };
    let list = |out: &mut Writer, name: &str, class: Class| {
        out.object(name, |out| {
            for mount in all.iter().filter(|mount| mount.entry.class == class && shown(mount)) {
                let entry = &mount.entry;
                out.object(entry.short_path(), |out| match acl {
                    Some(_) => entry.write(out),
                    None => {
                        out.string("type", &entry.kind);
                        out.string("description", &entry.description);
                        out.value("options", &entry.options);
                    }
                });
            }
        });
    };
    Ok(Response::data(Object::build(|out| {
        list(out, "auth", Class::Auth);
        list(out, "secret", Class::Secret);
    })))
}

/// One mount. A path without a mount and a mount without rights answer alike.
pub(super) async fn mount(scope: &Scope<'_>) -> Result<Response, Error> {
    let Some(acl) = acl(scope).await? else {
        return Err(Error { framed: false, ..Error::denied() });
    };
    let path = text(scope, "path")?;
    let path = format!("{}/", path.trim_matches('/'));
    let found = scope.live.mounts.find(&path).map(|(mount, _)| mount).filter(|mount| reaches(&acl, mount));
    let Some(mount) = found else {
        let text = format!(
            "preflight capability check returned 403, please ensure client's policies grant access to path {path:?}"
        );
        return Err(Error::caller(text).blame(Blame::Denied));
    };
    Ok(Response::data(Object::build(|out| {
        mount.entry.write(out);
        out.string("path", mount.entry.short_path());
    })))
}

/// Everything that is granted.
pub(super) async fn resultant_acl(scope: &Scope<'_>) -> Result<Response, Error> {
    let acl = acl(scope).await?.ok_or_else(Error::denied)?;
    let list = |out: &mut Writer, name: &str, prefixes: bool| {
        out.object(name, |out| {
            for grant in acl.grants().iter().filter(|grant| grant.is_prefix() == prefixes) {
                out.object(grant.path(), |out| {
                    out.strings("capabilities", grant.capabilities().iter().map(|capability| capability.name()));
                });
            }
        });
    };
    Ok(Response::data(Object::build(|out| {
        out.value("root", &acl.is_root());
        list(out, "exact_paths", false);
        list(out, "glob_paths", true);
    })))
}
