//! `rewrap/<name>`: a ciphertext under a newer version, without showing what is in it.

use super::crypt::{self, Options, Sealed};
use super::encrypt;
use super::key::TransitKey;
use super::{Transit, batch, errors, name};
use strongroom_mount::{Answer, Ctx, Error, Fields, Kind, Method, Object, Operation, Param, Request, Response, Route};

pub(super) const ROUTE: Route = Route {
    path: "rewrap/{name}",
    about: "Encrypts what a ciphertext holds again, with a newer version of its key.",
    methods: &[Method::new(Operation::Update, "Rewraps.")],
    params: &[
        Param::path("name", "The key."),
        Param::input("ciphertext", Kind::String, "What encrypt gave."),
        Param::input("context", Kind::String, "The context of a derived key, in base64."),
        Param::input("associated_data", Kind::String, "The data that was authenticated with it, in base64."),
        Param::input("nonce", Kind::String, "Not accepted with convergent keys; ignored with others."),
        Param::input("key_version", Kind::Int, "The version to use; 0 is the newest."),
        Param::input("batch_input", Kind::Items, "Several items, each with these parameters and a reference."),
    ],
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let name = name(request)?;
        let items = batch::items(request)?;
        match &items {
            Some(items) => batch::require(items, "ciphertext", "missing ciphertext to decrypt")?,
            None => drop(crypt::ciphertext(&request.fields)?),
        }
        let key = engine.keys.get(cx.view, &name).await?.ok_or_else(errors::no_encryption_key)?;
        crypt::encrypting(&key)?;
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
