//! `verify/<name>`: whether a signature or MAC is one.

use super::ecdsa::Marshaling;
use super::hash::Hash;
use super::key::TransitKey;
use super::key_type::KeyType;
use super::signing::{self, Scheme};
use super::text::{self, Made};
use super::{Transit, batch, errors, mac, name};
use strongroom_mount::route::joined;
use strongroom_mount::{Answer, Ctx, Error, Fields, Kind, Method, Object, Operation, Param, Request, Response, Route};

pub(super) const ROUTE: Route = Route {
    path: "verify/{name}/{urlalgorithm?}",
    about: "Verifies a signature or an HMAC, or a batch of them, with a named key.",
    methods: &[Method::new(Operation::Update, "Verifies.")],
    params: &joined::<13>(&[
        signing::PARAMS,
        &[
            Param::input("signature", Kind::String, "What sign gave."),
            Param::input("hmac", Kind::String, "What hmac gave."),
            Param::input("batch_input", Kind::Items, "Several items, all with `signature` or all with `hmac`."),
        ],
    ]),
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let name = name(request)?;
        let items = batch::items(request)?;
        let made = made(items.as_deref().unwrap_or(std::slice::from_ref(&request.fields)))?;
        let key = engine.keys.get(cx.view, &name).await?.ok_or_else(errors::no_verification_key)?;
        key.usable()?;
        let how = match made {
            Made::Hmac => How::Mac(mac::algorithm(&request.fields)?),
            _ if !key.policy.kind.signs() => return Err(errors::no_verification(key.policy.kind)),
            _ => How::Signature(Scheme::read(&request.fields)?),
        };
        let Some(items) = items else {
            let valid = one(&key, &how, &request.fields)?;
            return Ok(Response::data(Object::with_capacity(32, |object| object.value("valid", &valid))));
        };
        let mut results = batch::Results::with_capacity(items.len());
        for item in &items {
            results.push(item, one(&key, &how, item))?;
        }
        Ok(results.write(|item, valid| item.value("valid", valid), |item| item.value("valid", &false)))
    })
}

enum How {
    Mac(Hash),
    Signature(Scheme),
}

/// What is to be verified: the same in all items. A signature wins over an HMAC beside it.
fn made(items: &[Fields]) -> Result<Made, Error> {
    let has = |item: &Fields, name| Ok::<_, Error>(item.string(name)?.is_some_and(|text| !text.is_empty()));
    let mut all = (true, true);
    let mut any = (false, false);
    for item in items {
        let (signature, hmac) = (has(item, "signature")?, has(item, "hmac")?);
        all = (all.0 && signature, all.1 && hmac);
        any = (any.0 || signature, any.1 || hmac);
    }
    match (all, any) {
        ((true, _), _) => Ok(Made::Signature),
        ((_, true), _) => Ok(Made::Hmac),
        (_, (true, _)) => Err(Error::caller("some elements of batch_input are missing 'signature'")),
        (_, (_, true)) => Err(Error::caller("some elements of batch_input are missing 'hmac'")),
        _ => Err(Error::caller("neither a 'signature' nor an 'hmac' were given to verify")),
    }
}

fn one(key: &TransitKey, how: &How, fields: &Fields) -> Result<bool, Error> {
    match how {
        How::Mac(hash) => mac::verify(key, *hash, fields, &fields.string("hmac")?.unwrap_or_default()),
        How::Signature(scheme) => signature(key, scheme, fields),
    }
}

fn signature(key: &TransitKey, scheme: &Scheme, fields: &Fields) -> Result<bool, Error> {
    let given = fields.string("signature")?.unwrap_or_default();
    let (made_by, payload) = text::split(&given, Made::Signature)?;
    let (_, version) = key.for_reading(made_by)?.ok_or_else(|| Made::Signature.too_new())?;
    let given = match scheme.marshaling {
        Marshaling::Asn1 => text::decode(payload).ok().map(|bytes| bytes.to_vec()),
        Marshaling::Jws => text::decode_url(payload),
    };
    let given = given.ok_or_else(|| Error::caller("invalid base64 signature value"))?;
    let input = signing::input(fields)?;
    match key.policy.kind {
        KeyType::Ed25519 => match signing::derived(key, version, fields)? {
            Some((derived, _)) => Ok(derived.verify(&input, &given)),
            None => Ok(version.ed25519()?.verify(&input, &given)),
        },
        kind if kind.rsa().is_some() => {
            let padding = scheme.padding()?;
            let Some(hash) = scheme.hash else { return Ok(version.rsa()?.verify_unhashed(&input, &given)) };
            let verified = version.rsa()?.verify(padding, hash, scheme.prehashed, &input, &given);
            verified.map_err(|refusal| scheme.refused(refusal))
        }
        _ => {
            scheme.fits(&input)?;
            version.ecdsa()?.verify(scheme.hash()?, scheme.prehashed, &input, &given, scheme.marshaling)
        }
    }
}
