//! `keys/<name>/csr`: a certificate request (PKCS#10, RFC 2986) signed with a key.

use super::hash::Hash;
use super::key::Use;
use super::key_type::KeyType;
use super::rsa::Padding;
use super::version::Version;
use super::{NAME, Transit, der, errors, name};
use strongroom_mount::{Answer, Ctx, Error, Kind, Method, Object, Operation, Param, Request, Response, Route};

pub(super) const ROUTE: Route = Route {
    path: "keys/{name}/csr",
    about: "A certificate request signed with the key.",
    methods: &[Method::new(Operation::Update, "Signs.")],
    params: &[
        NAME,
        Param::input("version", Kind::Int, "The version to use; 0 is the newest."),
        Param::input("csr", Kind::String, "A request in PEM whose subject and attributes are taken over."),
    ],
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let (name, fields) = (name(request)?, &request.fields);
        let missing = || Error::caller(format!("key with provided name '{name}' not found"));
        let key = engine.keys.get(cx.view, &name).await?.ok_or_else(missing)?;
        key.usable()?;
        let kind = key.policy.kind;
        if !kind.signs() {
            return Err(Error::caller(format!("key type '{}' does not support signing", kind.name())));
        }
        if key.policy.derived {
            return Err(Error::caller("operation not supported on keys with derivation enabled"));
        }
        let template = fields.string("csr")?.filter(|text| !text.is_empty());
        let template = match &template {
            Some(text) => {
                let der = der::from_pem("CERTIFICATE REQUEST", text);
                Some(der.ok_or_else(|| Error::caller("could not decode the PEM of csr"))?)
            }
            None => None,
        };
        let (subject, attributes) = match &template {
            Some(der) => template_parts(der).ok_or_else(|| Error::caller("csr is not a certificate request"))?,
            None => (EMPTY_NAME, NO_ATTRIBUTES),
        };
        let (_, version) = key.for_making(fields.int("version")?.unwrap_or(0), Use::Signing)?;
        let signed = sign(version, subject, attributes)?;
        let pem = der::pem("CERTIFICATE REQUEST", &signed, true);
        Ok(Response::data(Object::build(|object| {
            object.string("name", &name);
            object.plain("type", &[kind.name()]);
            object.string("csr", &pem);
        })))
    })
}

const EMPTY_NAME: &[u8] = &[der::SEQUENCE, 0];
const NO_ATTRIBUTES: &[u8] = &[ATTRIBUTES, 0];
const ATTRIBUTES: u8 = 0xa0;

/// The subject and the attributes of a request, each as a whole element.
fn template_parts(request: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, after) = der::read(request, der::SEQUENCE)?;
    let (info, _) = der::read(content, der::SEQUENCE)?;
    let (_, from_subject) = der::read(info, der::INTEGER)?;
    let (_, from_key) = der::read(from_subject, der::SEQUENCE)?;
    let (_, attributes) = der::read(from_key, der::SEQUENCE)?;
    let (_, rest) = der::read(attributes, ATTRIBUTES)?;
    let subject = &from_subject[..from_subject.len() - from_key.len()];
    (after.is_empty() && rest.is_empty()).then_some((subject, attributes))
}

fn sign(version: &Version, subject: &[u8], attributes: &[u8]) -> Result<Vec<u8>, Error> {
    let info = der::element(der::SEQUENCE, &[&[der::INTEGER, 1, 0], subject, &version.spki()?, attributes]);
    // Object identifiers of RFC 5758, 8410 and 8017; RSA names NULL parameters.
    let ecdsa = |hash| {
        let signed = version.ecdsa()?.sign(hash, false, &info, super::ecdsa::Marshaling::Asn1)?;
        signed.ok_or_else(errors::no_private_key)
    };
    let (algorithm, signature): (&[u8], _) = match version.kind {
        KeyType::P256 => (&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2], ecdsa(Hash::Sha256)?),
        KeyType::P384 => (&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3], ecdsa(Hash::Sha384)?),
        KeyType::P521 => (&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4], ecdsa(Hash::Sha512)?),
        KeyType::Ed25519 => {
            (&[6, 3, 0x2b, 0x65, 0x70], version.ed25519()?.sign(&info)?.ok_or_else(errors::no_private_key)?)
        }
        _ => {
            let signed = version.rsa()?.sign(Padding::Pkcs1, Hash::Sha256, false, &info)?;
            let oid = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b, 5, 0];
            (oid, signed.map_err(|_| errors::no_private_key())?)
        }
    };
    let algorithm = der::element(der::SEQUENCE, &[algorithm]);
    let signature = der::element(der::BIT_STRING, &[&[0], &signature]);
    Ok(der::element(der::SEQUENCE, &[&info, &algorithm, &signature]).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_and_attributes_are_taken_from_a_template() {
        let key = der::element(der::SEQUENCE, &[&[5, 0]]);
        let subject = der::element(der::SEQUENCE, &[&[0x31, 0]]);
        let attributes = der::element(ATTRIBUTES, &[&[0x30, 0]]);
        let info = der::element(der::SEQUENCE, &[&[2, 1, 0], &subject, &key, &attributes]);
        let request = der::element(der::SEQUENCE, &[&info, &[0x30, 0], &[3, 1, 0]]);
        assert_eq!(template_parts(&request), Some((&subject[..], &attributes[..])));
        for len in 0..request.len() {
            assert_eq!(template_parts(&request[..len]), None);
        }
    }
}
