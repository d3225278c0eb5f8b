//! `decrypt/<name>`: opens ciphertexts.

use super::crypt::{self, Opened, Options};
use super::key::TransitKey;
use super::{Transit, batch, errors, name};
use strongroom_mount::{Answer, Ctx, Error, Fields, Kind, Method, Object, Operation, Param, Request, Response, Route};

pub(super) const ROUTE: Route = Route {
    path: "decrypt/{name}",
    about: "Decrypts a ciphertext, or a batch of them, with a named key.",
    methods: &[Method::new(Operation::Update, "Decrypts.")],
    params: &[
        Param::path("name", "The key."),
        Param::input("ciphertext", Kind::String, "What encrypt gave."),
        Param::input("context", Kind::String, "The context of a derived key, in base64."),
        Param::input("associated_data", Kind::String, "The data that was authenticated with it, in base64."),
        Param::input("nonce", Kind::String, "Ignored: the ciphertext holds its nonce."),
        Param::input("batch_input", Kind::Items, "Several items, each with these parameters and a reference."),
        Param::input("partial_failure_response_code", Kind::Int, "The status when some item of a batch fails."),
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
            let opened = one(&key, &request.fields)?;
            let capacity = opened.plaintext().len() / 3 * 4 + 32;
            return Ok(Response::data(Object::with_capacity(capacity, |object| {
                object.base64("plaintext", "", opened.plaintext());
            })));
        };
        let mut results = batch::Results::with_capacity(items.len());
        for item in &items {
            results.push(item, one(&key, item))?;
        }
        let mut response = results.write(
            |item, opened| item.base64("plaintext", "", opened.plaintext()),
            |item| item.plain("plaintext", &[]),
        );
        response.status = results.status(request)?;
        Ok(response)
    })
}

fn one(key: &TransitKey, fields: &Fields) -> Result<Opened, Error> {
    crypt::open(key, &Options::read(fields)?, &crypt::ciphertext(fields)?)
}
