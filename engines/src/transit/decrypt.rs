//! `decrypt/<name>`: opens ciphertexts.

use super::crypt::{self, Opened, Options};
use super::key::TransitKey;
use super::{Transit, batch};
use strongroom_mount::route::joined;
use strongroom_mount::{Answer, Ctx, Error, Fields, Kind, Method, Object, Operation, Param, Request, Response, Route};

pub(super) const ROUTE: Route = Route {
    path: "decrypt/{name}",
    about: "Decrypts a ciphertext, or a batch of them, with a named key.",
    methods: &[Method::new(Operation::Update, "Decrypts.")],
    params: &joined::<7>(&[
        crypt::OPENING,
        &[
            Param::input("nonce", Kind::String, "Ignored: the ciphertext holds its nonce."),
            batch::ITEMS,
            batch::FAILURE_STATUS,
        ],
    ]),
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let (_, items, key) = crypt::to_open(engine, cx, request).await?;
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
