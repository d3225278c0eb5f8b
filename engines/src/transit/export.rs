//! `export/<type>/<name>[/<version>]`: keys in clear, where the key allows it; public keys always.

use super::key::TransitKey;
use super::key_type::KeyType;
use super::version::Version;
use super::{NAME, Transit, der, describe, errors, name, text};
use std::sync::Arc;
use strongroom_mount::{Answer, Ctx, Error, Method, Object, Operation, Param, Request, Response, Route};
use zeroize::Zeroizing;

pub(super) const ROUTE: Route = Route {
    path: "export/{type}/{name}/{version?}",
    about: "Exports the versions of a key.",
    methods: &[Method::new(Operation::Read, "Exports.")],
    params: &[
        Param::path("type", "encryption-key, signing-key, hmac-key or public-key."),
        NAME,
        Param::path("version", "A version, or `latest`; all if left out."),
    ],
    open: false,
};

/// What of a version is exported.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Encryption,
    Signing,
    Hmac,
    Public,
}

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let name = name(request)?;
        let what = request.fields.string("type")?.unwrap_or_default();
        let kinds = [
            ("encryption-key", What::Encryption),
            ("signing-key", What::Signing),
            ("hmac-key", What::Hmac),
            ("public-key", What::Public),
        ];
        let what = kinds.iter().find(|kind| kind.0 == what).map(|kind| kind.1);
        let what = what.ok_or_else(|| {
            let given = request.fields.string("type").ok().flatten().unwrap_or_default();
            Error::caller(format!("invalid export type: {given}"))
        })?;
        let key = engine.keys.get(cx.view, &name).await?.ok_or_else(Error::missing)?;
        key.usable()?;
        let kind = key.policy.kind;
        if what != What::Public && !key.policy.exportable {
            return Err(Error::caller("private key material is not exportable"));
        }
        match what {
            What::Encryption if !kind.encrypts() => return Err(Error::caller("encryption not supported for the key")),
            What::Signing if !kind.signs() => return Err(Error::caller("signing not supported for the key")),
            What::Public if !kind.asymmetric() => {
                let name = kind.name();
                return Err(Error::caller(format!("unknown key type {name} for export type public-key")));
            }
            _ => {}
        }
        let versions = chosen(&key, request.fields.string("version")?.as_deref())?;
        let mut exported = Vec::with_capacity(versions.len());
        for (number, version) in versions {
            exported.push((number.to_string(), text(version, what)?));
        }
        Ok(Response::data(Object::build(|object| {
            object.string("name", &name);
            object.plain("type", &[kind.name()]);
            object.object("keys", |keys| exported.iter().for_each(|(number, text)| keys.string(number, text)));
        })))
    })
}

/// The versions that the last segment of the path names.
pub(super) fn chosen<'a>(key: &'a TransitKey, asked: Option<&str>) -> Result<Vec<(u32, &'a Arc<Version>)>, Error> {
    match asked {
        None | Some("") => Ok(key.visible().collect()),
        Some("latest") => Ok(vec![key.latest()?]),
        Some(asked) => {
            let number: i64 = asked.parse().map_err(|_| Error::caller("invalid key version"))?;
            if number < i64::from(key.policy.min_decryption) {
                return Err(Error::caller("version for export is below minimum decryption version"));
            }
            let held = u32::try_from(number).ok().and_then(|number| Some((number, key.versions.get(&number)?)));
            Ok(vec![held.ok_or_else(|| Error::caller("version does not exist or cannot be found"))?])
        }
    }
}

fn text(version: &Version, what: What) -> Result<Zeroizing<String>, Error> {
    let base64 = |bytes: &[u8]| Zeroizing::new(text::encode(bytes));
    let secret = || version.material.secret.as_ref().ok_or_else(errors::no_private_key);
    match what {
        What::Hmac => Ok(base64(version.hmac_key()?.expose())),
        // As other servers write it: RSA with a line break at the end, ECDSA without.
        What::Public if version.kind.rsa().is_some() => Ok(Zeroizing::new(describe::public_key(version)?)),
        What::Public => Ok(Zeroizing::new(describe::public_key(version)?.trim_end().to_owned())),
        What::Encryption | What::Signing => match version.kind {
            // As other servers write it: seed, then public key.
            KeyType::Ed25519 => Ok(base64(&Zeroizing::new([secret()?.expose(), &version.material.public].concat()))),
            KeyType::P256 | KeyType::P384 | KeyType::P521 => {
                let der = version.ecdsa()?.private_der()?.ok_or_else(errors::no_private_key)?;
                Ok(der::pem("EC PRIVATE KEY", der.expose(), false))
            }
            kind if kind.rsa().is_some() => {
                let pkcs1 = der::pkcs1_of_pkcs8(secret()?.expose());
                let pkcs1 = pkcs1.ok_or_else(|| Error::us("an RSA key is not in PKCS#8"))?;
                Ok(der::pem("RSA PRIVATE KEY", pkcs1, true))
            }
            _ => Ok(base64(secret()?.expose())),
        },
    }
}
