//! `encrypt/<name>`: seals plaintexts, and makes the key if it is not there and the caller may create it.

use super::crypt::{self, Options, Sealed};
use super::key::TransitKey;
use super::key_type::KeyType;
use super::{CONTEXT, KEY_VERSION, NAME, Transit, batch, create, errors, name, settings};
use std::borrow::Cow;
use std::sync::Arc;
use strongroom_mount::json::Writer;
use strongroom_mount::{Answer, Ctx, Error, Fields, Kind, Method, Object, Operation, Param, Request, Response, Route};

pub(super) const ROUTE: Route = Route {
    path: "encrypt/{name}",
    about: "Encrypts a plaintext, or a batch of them, with a named key.",
    methods: &[Method::new(Operation::Update, "Encrypts; makes the key if it is not there.")],
    params: &[
        NAME,
        Param::input("plaintext", Kind::String, "What to encrypt, in base64."),
        CONTEXT,
        Param::input("associated_data", Kind::String, "Data to authenticate and not to encrypt, in base64."),
        crypt::NONCE,
        KEY_VERSION,
        Param::input("type", Kind::String, "The type of a key that is made here."),
        Param::input("convergent_encryption", Kind::Bool, "Whether a key that is made here is convergent."),
        batch::ITEMS,
        batch::FAILURE_STATUS,
    ],
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let name = name(request)?;
        let fields = &request.fields;
        if let Some(items) = batch::items(request)? {
            return many(engine, cx, request, &name, items).await;
        }
        let plaintext = plaintext(fields)?;
        let key = match engine.keys.get(cx.view, &name).await? {
            Some(key) => key,
            None => upsert(engine, cx, request, &name, crypt::has_context(fields)?).await?,
        };
        crypt::encrypting(&key)?;
        let sealed = one(engine, cx, &name, &key, fields, &plaintext).await?;
        let capacity = sealed.bytes.len() / 3 * 4 + 80;
        Ok(Response::data(Object::with_capacity(capacity, |object| write(object, &sealed))))
    })
}

async fn many(
    engine: &Transit,
    cx: &Ctx<'_>,
    request: &Request,
    name: &str,
    items: Vec<Fields>,
) -> Result<Response, Error> {
    batch::require(&items, "plaintext", "missing plaintext to encrypt")?;
    let mut contexts = 0;
    for item in &items {
        contexts += usize::from(crypt::has_context(item)?);
    }
    if contexts != 0 && contexts != items.len() {
        return Err(errors::mixed_contexts());
    }
    let key = match engine.keys.get(cx.view, name).await? {
        Some(key) => key,
        None => upsert(engine, cx, request, name, contexts != 0).await?,
    };
    crypt::encrypting(&key)?;
    let mut results = batch::Results::with_capacity(items.len());
    for item in &items {
        let sealed = match plaintext(item) {
            Ok(plaintext) => one(engine, cx, name, &key, item, &plaintext).await,
            Err(error) => Err(error),
        };
        results.push(item, sealed)?;
    }
    let mut response = results.write(write, |_| {});
    response.status = results.status(request)?;
    Ok(response)
}

async fn one(
    engine: &Transit,
    cx: &Ctx<'_>,
    name: &str,
    key: &TransitKey,
    fields: &Fields,
    plaintext: &str,
) -> Result<Sealed, Error> {
    let options = Options::read(fields)?;
    let buffer = crypt::decode_plaintext(key.policy.kind, plaintext)?;
    crypt::seal(engine, cx.view, name, key, &options, buffer).await
}

fn plaintext(fields: &Fields) -> Result<Cow<'_, str>, Error> {
    fields.string("plaintext")?.ok_or_else(|| Error::caller("missing plaintext to encrypt"))
}

/// What encrypt, rewrap and datakey answer.
pub(super) fn write(object: &mut Writer, sealed: &Sealed) {
    object.base64("ciphertext", &sealed.version.prefix, &sealed.bytes);
    object.value("key_version", &sealed.number);
}

/// Makes a key that is not there, as the caller's right to create allowed.
async fn upsert(
    engine: &Transit,
    cx: &Ctx<'_>,
    request: &Request,
    name: &str,
    derived: bool,
) -> Result<Arc<TransitKey>, Error> {
    if request.operation != Operation::Create || settings::upsert_disabled(cx.view).await? {
        return Err(errors::no_encryption_key());
    }
    let kind = match request.fields.string("type")? {
        Some(kind) if !kind.is_empty() => KeyType::from_name(&kind).ok_or_else(|| errors::unknown_type(&kind))?,
        _ => KeyType::Aes256,
    };
    if !kind.encrypts() {
        return Err(errors::no_encryption(kind));
    }
    let convergent = request.fields.bool("convergent_encryption")?.unwrap_or(false);
    create::create(engine, cx, name, create::Wish { derived, convergent, ..create::Wish::of(kind) }).await?;
    engine.keys.get(cx.view, name).await?.ok_or_else(errors::no_encryption_key)
}
