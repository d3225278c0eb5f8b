//! `sys/internal/specs/openapi`: the API as an OpenAPI 3.0.2 document, from the same tables that serve it.

use super::{Scope, standing, ui};
use crate::mounts::{Class, Mount};
use std::fmt::Write as _;
use strongroom_mount::json::Writer;
use strongroom_mount::route::Place;
use strongroom_mount::{Access, Error, Kind, Method, Object, Operation, Param, Response, Route};

/// The route.
pub(super) const OPENAPI: Route = Route {
    path: "internal/specs/openapi",
    about: "This API in OpenAPI's words.",
    methods: &[
        Method::new(Operation::Read, "The document, of the mounts that the caller reaches.")
            .access(Access::Unauthenticated),
        Method::new(Operation::Update, "The same.").access(Access::Unauthenticated),
    ],
    params: &[
        Param::input("context", Kind::String, "Without effect."),
        Param::input("generic_mount_paths", Kind::Bool, "Whether mounts stand as a parameter of the path."),
    ],
    open: false,
};

/// The document.
pub(super) async fn openapi(scope: &Scope<'_>) -> Result<Response, Error> {
    let generic = scope.request.fields.bool("generic_mount_paths")?.unwrap_or_default();
    let acl = ui::acl(scope).await?;
    let all = scope.live.mounts.all();
    let reached = |mount: &&std::sync::Arc<Mount>| {
        acl.as_ref().is_some_and(|acl| acl.is_root() || acl.reaches(&mount.entry.path))
    };
    Ok(Response::bare(document(|paths| {
        for route in &standing::ROUTES {
            path(paths, "/sys/", "system", route);
        }
        for mount in all.iter().filter(reached) {
            let entry = &mount.entry;
            let fixed = matches!(entry.kind.as_str(), "system" | "identity" | "cubbyhole");
            let prefix = match (generic && !fixed, entry.class) {
                (false, _) => format!("/{}", entry.path),
                (true, Class::Secret) => format!("/{{{}_mount_path}}/", entry.kind),
                (true, Class::Auth) => format!("/auth/{{{}_mount_path}}/", entry.kind),
            };
            for route in mount.router.routes() {
                path(paths, &prefix, entry.class.name(), route);
            }
        }
    })))
}

/// The document of one route, for `?help=1`.
pub(super) fn of_route(prefix: &str, tag: &str, route: &Route) -> Object {
    document(|paths| path(paths, prefix, tag, route))
}

fn document(paths: impl FnOnce(&mut Writer)) -> Object {
    Object::with_capacity(64 << 10, |out| {
        out.string("openapi", "3.0.2");
        out.object("info", |out| {
            out.string("title", "Strongroom API");
            out.string(
                "description",
                "HTTP API that gives you full access to Strongroom. All API routes are prefixed with `/v1/`.",
            );
            out.string("version", env!("CARGO_PKG_VERSION"));
            out.object("license", |out| out.string("name", "Apache-2.0"));
        });
        out.object("paths", paths);
        out.object("components", |out| out.object("schemas", |_| {}));
    })
}

/// One path template. What may be left out makes a path of its own, as OpenAPI has no other words for it.
fn path(paths: &mut Writer, prefix: &str, tag: &str, route: &Route) {
    for template in templates(route.path) {
        paths.object(&format!("{prefix}{template}"), |out| {
            out.string("description", route.about);
            let in_path =
                |param: &&Param| param.place == Place::Path && template.contains(&format!("{{{}}}", param.name));
            if route.params.iter().any(|param| in_path(&param)) {
                out.objects("parameters", route.params.iter().filter(in_path), |out, param| {
                    parameter(out, param, "path");
                });
            }
            for (verb, operations) in [
                ("get", &[Operation::Read, Operation::List][..]),
                ("post", &[Operation::Update]),
                ("patch", &[Operation::Patch]),
                ("delete", &[Operation::Delete]),
            ] {
                let offered = route.methods.iter().find(|method| operations.contains(&method.operation));
                if let Some(method) = offered {
                    out.object(verb, |out| operation(out, tag, route, method));
                }
            }
        });
    }
}

fn operation(out: &mut Writer, tag: &str, route: &Route, method: &Method) {
    out.string("summary", method.about);
    out.string("operationId", &operation_id(route.path, method.operation));
    out.strings("tags", [tag].into_iter());
    if method.access == Access::Unauthenticated {
        out.value("x-vault-unauthenticated", &true);
    }
    if method.access == Access::Sudo {
        out.value("x-vault-sudo", &true);
    }
    let input = || route.params.iter().filter(|param| param.place == Place::Input);
    if method.operation.by_query() {
        out.objects("parameters", input(), |out, param| parameter(out, param, "query"));
    } else if input().next().is_some() {
        out.object("requestBody", |out| {
            out.object("content", |out| {
                out.object("application/json", |out| {
                    out.object("schema", |out| {
                        out.string("type", "object");
                        out.object("properties", |out| {
                            for param in input() {
                                out.object(param.name, |out| {
                                    schema(out, param.kind);
                                    out.string("description", param.about);
                                });
                            }
                        });
                    });
                });
            });
        });
    }
    out.object("responses", |out| {
        out.object("200", |out| out.string("description", "OK"));
    });
}

fn parameter(out: &mut Writer, param: &Param, place: &str) {
    out.string("name", param.name);
    out.string("in", place);
    out.string("description", param.about);
    if place == "path" {
        out.value("required", &true);
    }
    out.object("schema", |out| schema(out, param.kind));
}

fn schema(out: &mut Writer, kind: Kind) {
    match kind {
        Kind::String => out.string("type", "string"),
        Kind::Int => out.string("type", "integer"),
        Kind::Bool => out.string("type", "boolean"),
        Kind::Duration => {
            out.string("type", "string");
            out.string("format", "duration");
        }
        Kind::CommaList | Kind::List => {
            out.string("type", "array");
            out.object("items", |out| out.string("type", "string"));
        }
        Kind::Items => {
            out.string("type", "array");
            out.object("items", |out| out.string("type", "object"));
        }
        Kind::KeyValues | Kind::Map | Kind::Own => out.string("type", "object"),
        Kind::Any => {}
    }
}

/// `keys/{name}`, and for `random/{source?}/{bytes?}` its three forms.
fn templates(template: &str) -> Vec<String> {
    let mut forms = vec![String::new()];
    for part in template.split('/') {
        let plain = part.replace("...}", "}").replace("?}", "}");
        let longer = |form: &String| if form.is_empty() { plain.clone() } else { format!("{form}/{plain}") };
        match (part.ends_with("?}"), forms.last().map(longer)) {
            (true, Some(longest)) => forms.push(longest),
            _ => forms = forms.iter().map(longer).collect(),
        }
    }
    forms
}

fn operation_id(template: &str, operation: Operation) -> String {
    let mut id = operation.name().to_owned();
    for word in template.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let _ = write!(id, "-{word}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_left_out_makes_paths_of_its_own() {
        assert_eq!(templates("keys/{name}/config"), ["keys/{name}/config"]);
        assert_eq!(templates("random/{source?}/{bytes?}"), ["random", "random/{source}", "random/{source}/{bytes}"]);
        assert_eq!(templates("data/{path...}"), ["data/{path}"]);
    }

    #[test]
    fn a_route_s_document_names_its_parameters() {
        let route = &standing::ROUTES[1];
        let document: serde_json::Value =
            serde_json::from_slice(of_route("/sys/", "system", route).as_bytes()).unwrap();
        let body = &document["paths"]["/sys/unseal"]["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["properties"]["key"]["type"], "string");
        assert_eq!(document["paths"]["/sys/unseal"]["post"]["x-vault-unauthenticated"], true);
    }
}
