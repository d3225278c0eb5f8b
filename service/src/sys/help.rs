//! `?help=1` on any path: from the route's table.

use super::openapi;
use crate::mounts::Mount;
use std::fmt::Write as _;
use strongroom_mount::{Object, Response, Route};

/// Help on one route, or on the mount where the path leads to none.
pub(crate) fn of(mount: &Mount, route: Option<&Route>) -> Response {
    let entry = &mount.entry;
    let mut text = String::new();
    // Writing to a string does not fail.
    match route {
        Some(route) => {
            let _ = writeln!(text, "Request:  {}{}\n\n{}\n", entry.path, route.path, route.about);
            for method in route.methods {
                let _ = writeln!(text, "    {}: {}", method.operation.name(), method.about);
            }
            let _ = writeln!(text, "\n## PARAMETERS\n");
            for param in route.params {
                let _ = writeln!(text, "    {} ({:?})\n        {}\n", param.name, param.kind, param.about);
            }
        }
        None => {
            let _ = writeln!(text, "{} is a mount of type {}. Its paths:\n", entry.path, entry.kind);
            for route in mount.router.routes() {
                let _ = writeln!(text, "    {}\n        {}\n", route.path, route.about);
            }
        }
    }
    let prefix = format!("/{}", entry.path);
    Response::bare(Object::build(|out| {
        out.string("help", &text);
        out.null("see_also");
        let document = match route {
            Some(route) => openapi::of_route(&prefix, entry.class.name(), route),
            None => openapi::of_route(
                &prefix,
                entry.class.name(),
                &Route { path: "", about: "", methods: &[], params: &[], open: false },
            ),
        };
        out.json("openapi", document.as_bytes());
    }))
}
