//! `wrapping_key`, `keys/<name>/import`, `keys/<name>/import_version`: keys that clients bring.
//!
//! A secret key arrives under a key of its own (AES-KWP, RFC 5649), and that one under the mount's RSA-4096 key (OAEP).

use super::create::{self, Wish};
use super::rsa::{self, Rsa};
use super::version::Material;
use super::{NAME, Transit, der, name, text};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use strongroom_keystore::{Batch, Error as StoreError, View};
use strongroom_mount::{Answer, Ctx, Error, Fields, Kind, Method, Object, Operation, Param, Request, Response, Route};
use strongroom_secret::SecretBytes;

pub(super) const WRAPPING_KEY: Route = Route {
    path: "wrapping_key",
    about: "The public key under which clients wrap what they import.",
    methods: &[Method::new(Operation::Read, "Reads; makes it at the first time.")],
    params: &[],
    open: false,
};

pub(super) const IMPORT: Route = Route {
    path: "keys/{name}/import",
    about: "Imports a key.",
    methods: &[Method::new(Operation::Update, "Imports.")],
    params: &[
        NAME,
        CIPHERTEXT,
        PUBLIC_KEY,
        HASH_FUNCTION,
        Param::input("type", Kind::String, "aes256-gcm96 if left out."),
        Param::input("allow_rotation", Kind::Bool, "Whether the server may add versions that it draws itself."),
        Param::input("derived", Kind::Bool, "Whether each request brings a context from which its key is derived."),
        Param::input("exportable", Kind::Bool, "Whether the key may be exported; cannot be taken back."),
        Param::input("allow_plaintext_backup", Kind::Bool, "Whether backups are allowed; cannot be taken back."),
        Param::input("auto_rotate_period", Kind::Duration, "How often it rotates by itself; needs `allow_rotation`."),
        Param::input("context", Kind::String, "Not used."),
    ],
    open: false,
};

pub(super) const IMPORT_VERSION: Route = Route {
    path: "keys/{name}/import_version",
    about: "Imports a further version of an imported key.",
    methods: &[Method::new(Operation::Update, "Imports.")],
    params: &[NAME, CIPHERTEXT, PUBLIC_KEY, HASH_FUNCTION],
    open: false,
};

const CIPHERTEXT: Param = Param::input("ciphertext", Kind::String, "The wrapped key, in base64.");
const PUBLIC_KEY: Param = Param::input("public_key", Kind::String, "A public key alone, in PEM.");
const HASH_FUNCTION: Param =
    Param::input("hash_function", Kind::String, "Of OAEP: SHA1, SHA256, SHA384 or SHA512; SHA256 if left out.");

pub(super) fn wrapping_key<'a>(_engine: &'a Transit, cx: &'a Ctx<'a>, _request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let (_, public) = wrapping(cx.view).await?;
        let pem = der::pem("PUBLIC KEY", &der::spki_of_rsa(&public), true);
        Ok(Response::data(Object::build(|object| object.string("public_key", &pem))))
    })
}

pub(super) fn import<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let (name, fields) = (name(request)?, &request.fields);
        let flag = |name| Ok::<_, Error>(fields.bool(name)?.unwrap_or(false));
        let kind = match fields.string("type")? {
            Some(kind) if !kind.is_empty() => {
                super::KeyType::from_name(&kind).ok_or_else(|| Error::caller(format!("unknown key type: {kind}")))?
            }
            _ => super::KeyType::Aes256,
        };
        let mut wish = Wish {
            derived: flag("derived")?,
            exportable: flag("exportable")?,
            plaintext_backup: flag("allow_plaintext_backup")?,
            auto_rotate: fields.seconds("auto_rotate_period")?.unwrap_or(0),
            ..Wish::of(kind)
        };
        let allow_rotation = flag("allow_rotation")?;
        if wish.auto_rotate != 0 && !allow_rotation {
            return Err(Error::caller("allow_rotation must be set to true if auto-rotation is enabled"));
        }
        if engine.keys.get(cx.view, &name).await?.is_some() {
            return Err(exists());
        }
        let material = brought(cx.view, kind, fields).await?;
        if kind == super::KeyType::Hmac {
            wish.key_size = material.secret.as_ref().map_or(0, SecretBytes::len);
        }
        let mut policy = create::policy(&wish)?;
        (policy.imported, policy.imported_rotation) = (true, allow_rotation);
        let key = create::first(engine, cx, policy, material)?;
        if engine.keys.create(cx.view, &name, &key).await? { Ok(Response::none()) } else { Err(exists()) }
    })
}

fn exists() -> Error {
    Error::caller(
        "the import path cannot be used with an existing key; use import-version to rotate an existing imported key",
    )
}

pub(super) fn import_version<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let name = name(request)?;
        let missing =
            || Error::caller(format!("no key found with name {name}; to import a new key, use the import/ endpoint"));
        let held = engine.keys.get(cx.view, &name).await?.ok_or_else(missing)?;
        let kind = held.policy.kind;
        if !held.policy.imported {
            return Err(Error::caller("the import_version endpoint can only be used with an imported key"));
        }
        let material = brought(cx.view, kind, &request.fields).await?;
        let change = engine.keys.change(cx.view, &name, |key| {
            if !key.policy.imported || key.policy.kind != kind {
                return Err(Error::caller("the import_version endpoint can only be used with an imported key"));
            }
            let version = create::version(engine, cx, key, material.copy())?;
            key.push(version)
        });
        change.await?.ok_or_else(missing)?;
        Ok(Response::none())
    })
}

/// What the client brings, unwrapped.
async fn brought(view: &View, kind: super::KeyType, fields: &Fields) -> Result<Material, Error> {
    let ciphertext = fields.string("ciphertext")?.filter(|text| !text.is_empty());
    let public = fields.string("public_key")?.filter(|text| !text.is_empty());
    let hash = fields.string("hash_function")?.unwrap_or("SHA256".into());
    let oaep = match hash.as_ref() {
        "SHA224" => Err(Error::caller("hash function SHA224 is not offered: use SHA256")),
        hash => rsa::oaep(hash).ok_or_else(|| Error::caller(format!("unknown hash function: {hash}"))),
    }?;
    let ciphertext = match (ciphertext, public) {
        (Some(_), Some(_)) => {
            return Err(Error::caller("only one of the following fields, ciphertext and public_key, can be set"));
        }
        (None, Some(pem)) if kind.asymmetric() => return Material::import_public(kind, &pem),
        (None, _) if kind.asymmetric() => {
            return Err(Error::caller("either ciphertext or public_key must be provided"));
        }
        (None, _) => return Err(Error::caller("provided type does not support public_key import")),
        (Some(ciphertext), None) => text::decode(&ciphertext).map_err(|why| Error::caller(why.to_string()))?,
    };
    // One error for whatever does not unwrap.
    let unopened = || Error::caller("the wrapped key could not be unwrapped with this mount's wrapping key");
    let (wrapped, target) = ciphertext.split_at_checked(WRAPPING_BYTES).ok_or_else(unopened)?;
    let (pkcs8, public) = wrapping(view).await?;
    let kek = Rsa::new(Some(&pkcs8), &public)?.decrypt(oaep, wrapped).ok_or_else(unopened)?;
    if kek.len() != 32 || target.len() > 1 << 14 {
        return Err(unopened());
    }
    let kek = AesKek::new(&AES_256, kek.expose()).map_err(|_| unopened())?;
    let mut out = zeroize::Zeroizing::new(vec![0; target.len()]);
    let unwrapped = kek.unwrap_with_padding(target, &mut out).map_err(|_| unopened())?;
    Material::import(kind, &SecretBytes::from_slice(unwrapped))
}

/// Bytes of an RSA-4096 ciphertext.
const WRAPPING_BYTES: usize = 512;

const ROW: &str = "wrapping-key";

/// The mount's wrapping key in PKCS#8 and its RSAPublicKey; made when it is first needed.
async fn wrapping(view: &View) -> Result<(SecretBytes, Vec<u8>), Error> {
    if let Some(row) = view.get(ROW).await? {
        let halves = rsa::import(super::KeyType::Rsa4096, row.value.expose())?;
        return halves.ok_or_else(|| Error::us("the wrapping key's row is not an RSA-4096 key in PKCS#8"));
    }
    let made = Material::generate(super::KeyType::Rsa4096, 0).await?;
    let pkcs8 = made.secret.ok_or_else(|| Error::us("a generated key has no secret"))?;
    let mut batch = Batch::new();
    batch.expect(view, ROW, None).put(view, ROW, pkcs8.expose());
    match view.commit(batch).await {
        Ok(_) => Ok((pkcs8, made.public)),
        // Another request made it first; that one counts.
        Err(StoreError::Conflict { .. }) => Box::pin(wrapping(view)).await,
        Err(error) => Err(error.into()),
    }
}
