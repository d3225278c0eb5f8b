//! `keys`, `keys/<name>`: listing, making, reading and deleting keys.

use super::create::{self, Wish};
use super::{NAME, Transit, describe, name, text};
use strongroom_mount::{Answer, Ctx, Error, Kind, Method, Operation, Param, Request, Response, Route};

pub(super) const LIST: Route = Route {
    path: "keys",
    about: "The names of all keys.",
    methods: &[Method::new(Operation::List, "Lists.")],
    params: &[
        Param::input("after", Kind::String, "The name after which the list begins."),
        Param::input("limit", Kind::Int, "How many names at most; all of them if left out."),
    ],
    open: false,
};

pub(super) const ROUTE: Route = Route {
    path: "keys/{name}",
    about: "A named key.",
    methods: &[
        Method::new(Operation::Update, "Makes a key; one that is there is left as it is."),
        Method::new(Operation::Read, "Reads a key's policy and public keys."),
        Method::new(Operation::Delete, "Deletes a key for which deletion is allowed."),
    ],
    params: &[
        NAME,
        Param::input("type", Kind::String, "aes256-gcm96 if left out."),
        Param::input("derived", Kind::Bool, "Whether each request brings a context from which its key is derived."),
        Param::input("convergent_encryption", Kind::Bool, "Whether equal plaintexts give equal ciphertexts."),
        Param::input("exportable", Kind::Bool, "Whether the key may be exported; cannot be taken back."),
        Param::input("allow_plaintext_backup", Kind::Bool, "Whether backups are allowed; cannot be taken back."),
        Param::input("auto_rotate_period", Kind::Duration, "How often it rotates by itself; 0 is never."),
        Param::input("key_size", Kind::Int, "Bytes of an HMAC key, 32 to 512."),
        Param::input("context", Kind::String, "The context for which to show derived public keys, in base64."),
    ],
    open: false,
};

pub(super) fn list<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let after = request.fields.string("after")?.filter(|after| !after.is_empty());
        let limit = match request.fields.int("limit")?.unwrap_or(0) {
            limit @ 1.. => usize::try_from(limit).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        Response::keys(&engine.keys.list(cx.view, after.as_deref(), limit).await?)
    })
}

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        match request.operation {
            Operation::Read => read(engine, cx, request).await,
            Operation::Delete => delete(engine, cx, request).await,
            _ => make(engine, cx, request).await,
        }
    })
}

async fn make(engine: &Transit, cx: &Ctx<'_>, request: &Request) -> Result<Response, Error> {
    let (name, fields) = (name(request)?, &request.fields);
    let flag = |name| Ok::<_, Error>(fields.bool(name)?.unwrap_or(false));
    let key_size = fields.int("key_size")?.unwrap_or(0);
    let wish = Wish {
        kind: create::kind(fields.string("type")?.as_deref())?,
        derived: flag("derived")?,
        convergent: flag("convergent_encryption")?,
        exportable: flag("exportable")?,
        plaintext_backup: flag("allow_plaintext_backup")?,
        auto_rotate: fields.seconds("auto_rotate_period")?.unwrap_or(0),
        key_size: usize::try_from(key_size).map_err(|_| Error::caller(format!("invalid key_size {key_size}")))?,
    };
    create::policy(&wish)?;
    if engine.keys.get(cx.view, &name).await?.is_none() {
        create::create(engine, cx, &name, wish).await?;
    }
    read(engine, cx, request).await
}

async fn read(engine: &Transit, cx: &Ctx<'_>, request: &Request) -> Result<Response, Error> {
    let name = name(request)?;
    let key = engine.keys.get(cx.view, &name).await?.ok_or_else(Error::missing)?;
    let context = text::optional(&request.fields, "context")?;
    describe::answer(&name, &key, context.as_deref().map(Vec::as_slice))
}

async fn delete(engine: &Transit, cx: &Ctx<'_>, request: &Request) -> Result<Response, Error> {
    let name = name(request)?;
    let refused = |why| Error::caller(format!("error deleting policy {name}: {why}"));
    let deleted = engine.keys.delete(cx.view, &name, |key| match key.policy.deletion_allowed {
        true => Ok(()),
        false => Err(refused("deletion is not allowed for this key")),
    });
    if deleted.await? { Ok(Response::none()) } else { Err(refused("could not delete key; not found")) }
}
