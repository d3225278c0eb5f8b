//! `byok-export/<destination>/<source>[/<version>]`: a key wrapped for another server, whose wrapping key is here.

use super::export;
use super::rsa;
use super::version::Version;
use super::{Transit, errors, named, text};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use strongroom_mount::{Answer, Ctx, Error, Method, Object, Operation, Param, Request, Response, Route};
use strongroom_secret::SecretBytes;

pub(super) const ROUTE: Route = Route {
    path: "byok-export/{destination}/{source}/{version?}",
    about: "Exports a key wrapped under an RSA key, as `import` of another server takes it.",
    methods: &[Method::new(Operation::Read, "Exports.")],
    params: &[
        Param::path("destination", "The RSA key under which to wrap."),
        Param::path("source", "The key to export."),
        Param::path("version", "A version, or `latest`; all if left out."),
    ],
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let (destination, source) = (named(request, "destination")?, named(request, "source")?);
        let under = engine.keys.get(cx.view, &destination).await?;
        let under = under.ok_or_else(|| Error::caller("no such destination key to export to"))?;
        let key = engine.keys.get(cx.view, &source).await?;
        let key = key.ok_or_else(|| Error::caller("no such source key for export"))?;
        under.usable()?;
        key.usable()?;
        if !key.policy.exportable {
            return Err(Error::caller("private key material is not exportable"));
        }
        if under.policy.kind.rsa().is_none() {
            // The words of other servers.
            let name = under.policy.kind.name();
            return Err(Error::caller(format!("message signing not supported for key type {name}")));
        }
        let (_, under) = under.latest()?;
        let mut wrapped = Vec::new();
        for (number, version) in export::chosen(&key, request.fields.string("version")?.as_deref())? {
            wrapped.push((number.to_string(), wrap(under, version)?));
        }
        Ok(Response::data(Object::build(|object| {
            object.string("name", &source);
            object.plain("type", &[key.policy.kind.name()]);
            object.object("keys", |keys| wrapped.iter().for_each(|(number, text)| keys.plain(number, &[text])));
        })))
    })
}

fn wrap(under: &Version, version: &Version) -> Result<String, Error> {
    let oaep = rsa::oaep("SHA256").ok_or_else(|| Error::us("OAEP with SHA-256 is missing"))?;
    let kek = SecretBytes::random(32).map_err(Error::us)?;
    let head = under.rsa()?.encrypt(oaep, kek.expose())?;
    let head = head.ok_or_else(|| Error::us("32 bytes are too long for an RSA key"))?;
    let target = version.importable()?.ok_or_else(errors::no_private_key)?;
    let mut out = vec![0; target.len() + 16];
    let kek = AesKek::new(&AES_256, kek.expose()).map_err(Error::us)?;
    let tail = kek.wrap_with_padding(target.expose(), &mut out).map_err(Error::us)?;
    Ok(text::encode(&[&head, &*tail].concat()))
}
