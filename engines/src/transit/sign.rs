//! `sign/<name>`: signatures.

use super::ecdsa::Marshaling;
use super::key::{TransitKey, Use};
use super::key_type::KeyType;
use super::signing::{self, Scheme};
use super::{KEY_VERSION, Transit, batch, errors, name, text};
use strongroom_mount::json::Writer;
use strongroom_mount::route::joined;
use strongroom_mount::{Answer, Ctx, Error, Fields, Kind, Method, Object, Operation, Param, Request, Response, Route};

pub(super) const ROUTE: Route = Route {
    path: "sign/{name}/{urlalgorithm?}",
    about: "Signs an input, or a batch of them, with a named key.",
    methods: &[Method::new(Operation::Update, "Signs.")],
    params: &joined::<12>(&[
        signing::PARAMS,
        &[
            KEY_VERSION,
            Param::input("batch_input", Kind::Items, "Several items, each with `input`, `context` and a reference."),
        ],
    ]),
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let name = name(request)?;
        let fields = &request.fields;
        let key = engine.keys.get(cx.view, &name).await?.ok_or_else(errors::no_signing_key)?;
        key.usable()?;
        if !key.policy.kind.signs() {
            return Err(errors::no_signing(key.policy.kind));
        }
        let scheme = Scheme::read(fields)?;
        let key_version = fields.int("key_version")?.unwrap_or(0);
        let Some(items) = batch::items(request)? else {
            let signed = one(&key, key_version, &scheme, fields)?;
            return Ok(Response::data(Object::with_capacity(160, |object| write(object, &signed))));
        };
        let mut results = batch::Results::with_capacity(items.len());
        for item in &items {
            results.push(item, one(&key, key_version, &scheme, item))?;
        }
        Ok(results.write(write, |item| item.value("key_version", &0)))
    })
}

struct Signed {
    number: u32,
    prefix: String,
    signature: Vec<u8>,
    marshaling: Marshaling,
    /// Of the derived key.
    public: Option<Vec<u8>>,
}

fn one(key: &TransitKey, key_version: i64, scheme: &Scheme, fields: &Fields) -> Result<Signed, Error> {
    let (number, version) = key.for_making(key_version, Use::Signing)?;
    let input = signing::input(fields)?;
    let mut public = None;
    let signature = match key.policy.kind {
        KeyType::Ed25519 => match signing::derived(key, version, fields)? {
            Some((derived, of)) => {
                public = Some(of);
                derived.sign(&input)?
            }
            None => version.ed25519()?.sign(&input)?,
        },
        kind if kind.rsa().is_some() => {
            let padding = scheme.padding()?;
            match (scheme.hash, &version.material.secret) {
                (Some(hash), _) => {
                    let signed = version.rsa()?.sign(padding, hash, scheme.prehashed, &input)?;
                    Some(signed.map_err(|refusal| scheme.refused(refusal))?)
                }
                (None, Some(secret)) => {
                    let signed = version.rsa()?.sign_unhashed(secret, &input)?;
                    Some(signed.ok_or_else(|| Error::caller("the input is too long to be signed without a hash"))?)
                }
                (None, None) => None,
            }
        }
        _ => {
            scheme.fits(&input)?;
            version.ecdsa()?.sign(scheme.hash()?, scheme.prehashed, &input, scheme.marshaling)?
        }
    };
    Ok(Signed {
        number,
        prefix: version.prefix.to_string(),
        signature: signature.ok_or_else(errors::no_private_key)?,
        marshaling: scheme.marshaling,
        public,
    })
}

fn write(object: &mut Writer, signed: &Signed) {
    match signed.marshaling {
        Marshaling::Asn1 => object.base64("signature", &signed.prefix, &signed.signature),
        Marshaling::Jws => object.plain("signature", &[&signed.prefix, &text::encode_url(&signed.signature)]),
    }
    object.value("key_version", &signed.number);
    if let Some(public) = &signed.public {
        object.base64("public_key", "", public);
    }
}
