//! `sys/audit`: the devices of the configuration, and the mask that one would write.

use super::{Scope, text};
use strongroom_mount::{Access, Error, Kind, Method, Object, Operation, Param, Response, Route};

/// `sys/audit`.
pub(super) const LIST: Route = Route {
    path: "audit",
    about: "Audit devices. They are made in the configuration.",
    methods: &[Method::new(Operation::Read, "Lists them.").access(Access::Sudo)],
    params: &[],
    open: false,
};

/// `sys/audit-hash/<path>`.
pub(super) const HASH: Route = Route {
    path: "audit-hash/{path...}",
    about: "What a device writes in place of a value.",
    methods: &[Method::new(Operation::Update, "Masks a value as the device would.")],
    params: &[Param::path("path", "The device."), Param::input("input", Kind::String, "The value.")],
    open: false,
};

/// The devices.
pub(super) fn list(scope: &Scope<'_>) -> Response {
    let devices = scope.live.audit.devices();
    let data = Object::build(|out| {
        for (path, device) in &devices {
            out.object(path, |out| {
                out.string("type", &device.kind);
                out.string("description", &device.description);
                out.string("path", path);
                out.value("local", &device.local);
                out.value("options", &device.options);
            });
        }
    });
    Response { copied_to_top: true, ..Response::data(data) }
}

/// The mask of a value.
pub(super) fn hash(scope: &Scope<'_>) -> Result<Response, Error> {
    let (path, input) = (text(scope, "path")?, text(scope, "input")?);
    if input.is_empty() {
        return Err(Error::caller("the \"input\" parameter is empty"));
    }
    let path = format!("{}/", path.trim_matches('/'));
    let hash = scope.live.audit.hash(&path, &input);
    let hash = hash.ok_or_else(|| Error::caller(format!("unknown audit backend {path:?}")))?;
    let data = Object::build(|out| out.string("hash", &hash));
    Ok(Response { copied_to_top: true, ..Response::data(data) })
}
