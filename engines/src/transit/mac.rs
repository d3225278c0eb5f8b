//! `hmac/<name>`: message authentication codes. Every key has one for HMAC, whatever its type.

use super::hash::{self, Hash};
use super::key::TransitKey;
use super::text::{self, Made};
use super::version::Version;
use super::{KEY_VERSION, NAME, Transit, batch, errors, name};
use std::sync::Arc;
use strongroom_mount::json::Writer;
use strongroom_mount::{Answer, Ctx, Error, Fields, Kind, Method, Object, Operation, Param, Request, Response, Route};

pub(super) const ROUTE: Route = Route {
    path: "hmac/{name}/{urlalgorithm?}",
    about: "HMAC of an input, or of a batch of them, with a named key.",
    methods: &[Method::new(Operation::Update, "Authenticates.")],
    params: &[
        NAME,
        Param::path("urlalgorithm", "The hash function; wins over `algorithm`."),
        Param::input("algorithm", Kind::String, "sha2-224 to sha2-512, sha3-224 to sha3-512; sha2-256 if left out."),
        Param::input("input", Kind::String, "The message, in base64."),
        KEY_VERSION,
        Param::input("batch_input", Kind::Items, "Several items, each with `input` and a reference."),
    ],
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let name = name(request)?;
        let fields = &request.fields;
        let key = engine.keys.get(cx.view, &name).await?.ok_or_else(errors::no_encryption_key)?;
        key.usable()?;
        let version = version(&key, fields.int("key_version")?.unwrap_or(0))?;
        let hash = algorithm(fields)?;
        let Some(items) = batch::items(request)? else {
            let mac = one(version, hash, fields)?;
            return Ok(Response::data(Object::build(|object| write(object, &mac))));
        };
        let mut results = batch::Results::with_capacity(items.len());
        for item in &items {
            results.push(item, one(version, hash, item))?;
        }
        Ok(results.write(write, |_| {}))
    })
}

fn version(key: &TransitKey, asked: i64) -> Result<&Arc<Version>, Error> {
    if asked == 0 {
        return Ok(key.latest()?.1);
    }
    let (policy, number) = (&key.policy, u32::try_from(asked).ok());
    match number.filter(|number| *number <= policy.latest) {
        None if asked < 0 => Err(Error::caller("key version cannot be negative")),
        None => Err(Error::caller(format!("key version does not exist; latest key version is {}", policy.latest))),
        Some(number) if number < policy.min_encryption.max(policy.min_decryption) => {
            Err(Error::caller("cannot generate HMAC: version is too old (disallowed by policy)"))
        }
        Some(number) => Ok(key.version(number)?.1),
    }
}

/// The hash function of a request for a MAC.
pub(super) fn algorithm(fields: &Fields) -> Result<Hash, Error> {
    let name = match fields.string("urlalgorithm")? {
        Some(name) => Some(name),
        None => fields.string("algorithm")?.filter(|name| !name.is_empty()),
    };
    let name = name.unwrap_or("sha2-256".into());
    // Over SHA-1 no HMAC is made.
    let hash = Hash::from_name(&name).filter(|hash| *hash != Hash::Sha1);
    hash.ok_or_else(|| Error::caller(format!("unsupported algorithm {name:?}")))
}

struct Mac<'a> {
    prefix: &'a str,
    tag: Vec<u8>,
}

fn one<'a>(version: &'a Version, hash: Hash, fields: &Fields) -> Result<Mac<'a>, Error> {
    let tag = tag(version, hash, &input(fields)?)?;
    Ok(Mac { prefix: &version.prefix, tag })
}

fn input(fields: &Fields) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
    let input = fields.string("input")?.ok_or_else(|| Error::caller("missing input for HMAC"))?;
    text::decode(&input).map_err(errors::undecodable_input)
}

fn tag(version: &Version, hash: Hash, input: &[u8]) -> Result<Vec<u8>, Error> {
    version.hmac(hash, input)?.ok_or_else(|| Error::caller("unsupported algorithm"))
}

fn write(object: &mut Writer, mac: &Mac<'_>) {
    object.base64("hmac", mac.prefix, &mac.tag);
}

/// Whether `hmac` is a MAC of `input` in the same fields.
pub(super) fn verify(key: &TransitKey, hash: Hash, fields: &Fields, given: &str) -> Result<bool, Error> {
    let input = input(fields)?;
    let (made_by, payload) = text::split(given, Made::Hmac)?;
    let (_, version) = key.for_reading(made_by)?.ok_or_else(|| Made::Hmac.too_new())?;
    let given = text::decode(payload).map_err(|why| Error::caller(format!("invalid HMAC: {why}")))?;
    Ok(hash::same(&tag(version, hash, &input)?, &given))
}
