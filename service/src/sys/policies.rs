//! `sys/policies/acl` and the older `sys/policy`.

use super::{Scope, text};
use strongroom_auth::policies::StoredPolicy;
use strongroom_mount::json::Writer;
use strongroom_mount::{Error, Kind, Method, Object, Operation, Param, Response, Route};

const PAGE: &[Param] = &[
    Param::input("after", Kind::String, "Names after this one."),
    Param::input("limit", Kind::Int, "At most so many."),
];

/// `sys/policies/acl`.
pub(super) const LIST: Route = Route {
    path: "policies/acl",
    about: "Policies.",
    methods: &[Method::new(Operation::List, "Lists their names.")],
    params: PAGE,
    open: false,
};

/// `sys/policies/acl/<name>`.
pub(super) const POLICY: Route = Route {
    path: "policies/acl/{name}",
    about: "One policy.",
    methods: &[
        Method::new(Operation::Read, "Reads it."),
        Method::new(Operation::Update, "Writes it."),
        Method::new(Operation::Patch, "Changes it where it is."),
        Method::new(Operation::Delete, "Deletes it."),
    ],
    params: &[
        Param::path("name", "Its name, in lower case."),
        Param::input("policy", Kind::String, "HCL or JSON, plain or in base64."),
    ],
    open: false,
};

/// `sys/policy`.
pub(super) const OLD_LIST: Route = Route {
    path: "policy",
    about: "Policies, as older clients know them.",
    methods: &[Method::new(Operation::Read, "Lists their names."), Method::new(Operation::List, "Lists their names.")],
    params: PAGE,
    open: false,
};

/// `sys/policy/<name>`.
pub(super) const OLD_POLICY: Route = Route {
    path: "policy/{name}",
    about: "One policy, as older clients know it.",
    methods: &[
        Method::new(Operation::Read, "Reads it."),
        Method::new(Operation::Update, "Writes it."),
        Method::new(Operation::Delete, "Deletes it."),
    ],
    params: &[
        Param::path("name", "Its name, in lower case."),
        Param::input("policy", Kind::String, "HCL or JSON, plain or in base64."),
        Param::input("rules", Kind::String, "The same under its old name."),
    ],
    open: false,
};

async fn names(scope: &Scope<'_>) -> Result<Vec<String>, Error> {
    let after = text(scope, "after")?;
    let limit = scope.request.fields.int("limit")?.unwrap_or(0);
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    Ok(scope.live.policies.list(Some(after.as_str()).filter(|after| !after.is_empty()), limit).await?)
}

/// Names.
pub(super) async fn list(scope: &Scope<'_>) -> Result<Response, Error> {
    Response::keys(&names(scope).await?)
}

/// Names, twice, and also at the top.
pub(super) async fn old_list(scope: &Scope<'_>) -> Result<Response, Error> {
    let names = names(scope).await?;
    let data = Object::build(|out| {
        out.strings("keys", names.iter().map(String::as_str));
        out.strings("policies", names.iter().map(String::as_str));
    });
    Ok(Response { copied_to_top: true, ..Response::data(data) })
}

/// One.
pub(super) async fn policy(scope: &Scope<'_>) -> Result<Response, Error> {
    match scope.request.operation {
        Operation::Read => {
            let policy = read(scope).await?;
            Ok(Response::data(Object::build(|out| write_fields(out, &policy, "policy"))))
        }
        Operation::Patch => {
            let name = text(scope, "name")?;
            if scope.live.policies.read(&name).await?.is_none() {
                return Err(Error::caller("policy not found"));
            }
            if scope.request.fields.has("policy") { write(scope, "policy").await } else { Ok(Response::none()) }
        }
        Operation::Delete => delete(scope).await,
        _ => write(scope, "policy").await,
    }
}

/// One, with `rules` for `policy`.
pub(super) async fn old_policy(scope: &Scope<'_>) -> Result<Response, Error> {
    match scope.request.operation {
        Operation::Read => {
            let policy = read(scope).await?;
            let data = Object::build(|out| write_fields(out, &policy, "rules"));
            Ok(Response { copied_to_top: true, ..Response::data(data) })
        }
        Operation::Delete => delete(scope).await,
        _ if !scope.request.fields.has("policy") && scope.request.fields.has("rules") => {
            Ok(write(scope, "rules").await?.warn("'rules' is deprecated, please use 'policy' instead"))
        }
        _ => write(scope, "policy").await,
    }
}

async fn read(scope: &Scope<'_>) -> Result<StoredPolicy, Error> {
    scope.live.policies.read(&text(scope, "name")?).await?.ok_or_else(Error::missing)
}

async fn write(scope: &Scope<'_>, parameter: &str) -> Result<Response, Error> {
    let written = scope.live.policies.write(&text(scope, "name")?, &text(scope, parameter)?).await?;
    Ok(match written.warning {
        Some(warning) => Response::none().warn(warning),
        None => Response::none(),
    })
}

async fn delete(scope: &Scope<'_>) -> Result<Response, Error> {
    scope.live.policies.delete(&text(scope, "name")?).await?;
    Ok(Response::none())
}

fn write_fields(out: &mut Writer, policy: &StoredPolicy, text_name: &str) {
    out.value("allow_slashes_in_identity_templates", &false);
    out.value("allow_wildcards_in_identity_templates", &false);
    out.value("cas_required", &false);
    if policy.version > 0 {
        out.string("modified", &policy.updated.to_string());
    }
    out.string("name", policy.name.as_str());
    out.string(text_name, &policy.text);
    out.value("version", &policy.version);
}
