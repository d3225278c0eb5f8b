//! `keys/<name>/soft-delete` and `…/soft-delete-restore`: puts a key out of use, and back.

use super::{NAME, Transit, describe, name};
use strongroom_mount::{Answer, Ctx, Error, Method, Operation, Request, Response, Route};

pub(super) const DELETE: Route = Route {
    path: "keys/{name}/soft-delete",
    about: "Puts a key out of use without losing it.",
    methods: &[Method::new(Operation::Delete, "Puts it out of use.")],
    params: &[NAME],
    open: false,
};

pub(super) const RESTORE: Route = Route {
    path: "keys/{name}/soft-delete-restore",
    about: "Puts a key back into use.",
    methods: &[Method::new(Operation::Update, "Puts it back into use.")],
    params: &[NAME],
    open: false,
};

pub(super) fn delete<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(set(engine, cx, request, true))
}

pub(super) fn restore<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(set(engine, cx, request, false))
}

async fn set(engine: &Transit, cx: &Ctx<'_>, request: &Request, deleted: bool) -> Result<Response, Error> {
    let name = name(request)?;
    let change = engine.keys.change(cx.view, &name, |key| {
        key.policy.soft_deleted = deleted;
        Ok(())
    });
    describe::answer(&name, &change.await?.ok_or_else(|| Error::caller("key not found"))?, None)
}
