//! `rewrap/<name>`: a ciphertext under a newer version, without showing what is in it.

use super::crypt::{self, Options, Sealed};
use super::encrypt;
use super::key::TransitKey;
use super::{KEY_VERSION, Transit, batch};
use strongroom_mount::route::joined;
use strongroom_mount::{Answer, Ctx, Error, Fields, Method, Object, Operation, Request, Response, Route};

pub(super) const ROUTE: Route = Route {
    path: "rewrap/{name}",
    about: "Encrypts what a ciphertext holds again, with a newer version of its key.",
    methods: &[Method::new(Operation::Update, "Rewraps.")],
    params: &joined::<7>(&[crypt::OPENING, &[crypt::NONCE, KEY_VERSION, batch::ITEMS]]),
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let (name, items, key) = crypt::to_open(engine, cx, request).await?;
        let Some(items) = items else {
            let sealed = one(engine, cx, &name, &key, &request.fields).await?;
            return Ok(Response::data(Object::build(|object| encrypt::write(object, &sealed))));
        };
        let mut results = batch::Results::with_capacity(items.len());
        for item in &items {
            let sealed = one(engine, cx, &name, &key, item).await;
            results.push(item, sealed)?;
        }
        Ok(results.write(encrypt::write, |_| {}))
    })
}

async fn one(engine: &Transit, cx: &Ctx<'_>, name: &str, key: &TransitKey, fields: &Fields) -> Result<Sealed, Error> {
    let options = Options::read(fields)?;
    let opened = crypt::open(key, &options, &crypt::ciphertext(fields)?)?;
    let buffer = crypt::copy_plaintext(key.policy.kind, opened.plaintext());
    crypt::seal(engine, cx.view, name, key, &options, buffer).await
}
