//! `datakey/plaintext|wrapped/<name>`: a fresh key for the caller's own use, encrypted, and in clear if asked for.

use super::crypt::{self, Options};
use super::encrypt;
use super::{CONTEXT, KEY_VERSION, NAME, Transit, errors, name};
use strongroom_mount::{Answer, Ctx, Error, Kind, Method, Object, Operation, Param, Request, Response, Route};
use strongroom_secret::SecretBytes;

pub(super) const ROUTE: Route = Route {
    path: "datakey/{plaintext}/{name}",
    about: "Draws a key and encrypts it with a named key.",
    methods: &[Method::new(Operation::Update, "Draws a data key.")],
    params: &[
        Param::path("plaintext", "`plaintext` to get it in clear too, `wrapped` to get it encrypted only."),
        NAME,
        Param::input("bits", Kind::Int, "128, 256 or 512 bits; 256 if left out."),
        CONTEXT,
        Param::input("associated_data", Kind::String, "Data to authenticate with it, in base64."),
        crypt::NONCE,
        KEY_VERSION,
    ],
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let name = name(request)?;
        let in_clear = match request.fields.string("plaintext")?.as_deref() {
            Some("plaintext") => true,
            Some("wrapped") => false,
            _ => return Err(Error::caller("Invalid path, must be 'plaintext' or 'wrapped'")),
        };
        let key = engine.keys.get(cx.view, &name).await?.ok_or_else(errors::no_encryption_key)?;
        crypt::encrypting(&key)?;
        let bytes = match request.fields.int("bits")?.unwrap_or(256) {
            128 => 16,
            256 => 32,
            512 => 64,
            _ => return Err(Error::caller("invalid bit length")),
        };
        let options = Options::read(&request.fields)?;
        let drawn = SecretBytes::random(bytes).map_err(Error::us)?;
        let buffer = crypt::copy_plaintext(key.policy.kind, drawn.expose());
        let sealed = crypt::seal(engine, cx.view, &name, &key, &options, buffer).await?;
        Ok(Response::data(Object::build(|object| {
            if in_clear {
                object.base64("plaintext", "", drawn.expose());
            }
            encrypt::write(object, &sealed);
        })))
    })
}
