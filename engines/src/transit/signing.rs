//! How a signature is to be made: what sign and verify read alike.

use super::ecdsa::Marshaling;
use super::errors;
use super::hash::Hash;
use super::key::TransitKey;
use super::key_type::KeyType;
use super::rsa::{Padding, Refusal, Salt};
use super::text;
use super::version::Version;
use super::{CONTEXT, NAME};
use strongroom_mount::{Error, Fields, Kind, Param};
use zeroize::Zeroizing;

/// What sign and verify both take: the key, how the signature is made, and the message.
pub(super) const PARAMS: &[Param] = &[
    NAME,
    Param::path("urlalgorithm", "The hash function; wins over `hash_algorithm`."),
    Param::input(
        "hash_algorithm",
        Kind::String,
        "sha1, sha2-224 to sha2-512, sha3-224 to sha3-512 or none; sha2-256 if left out.",
    ),
    Param::input("algorithm", Kind::String, "An old name of `hash_algorithm`."),
    Param::input("prehashed", Kind::Bool, "Whether the input is a hash already."),
    Param::input("signature_algorithm", Kind::String, "RSA: `pss` or `pkcs1v15`; pss if left out."),
    Param::input("salt_length", Kind::String, "RSA with PSS: `auto`, `hash` or a number of bytes; auto if left out."),
    Param::input("marshaling_algorithm", Kind::String, "`asn1`, or `jws` for r ‖ s in base64url."),
    CONTEXT,
    Param::input("input", Kind::String, "The message, in base64."),
];

/// How a signature is made.
pub(super) struct Scheme {
    /// `None`: nothing is hashed, and no hash is named in the signature (RSA with PKCS#1 v1.5 only).
    pub(super) hash: Option<Hash>,
    pub(super) prehashed: bool,
    pub(super) marshaling: Marshaling,
    padding: Option<Padding>,
    padding_name: String,
}

impl Scheme {
    pub(super) fn read(fields: &Fields) -> Result<Scheme, Error> {
        let given = |name| Ok::<_, Error>(fields.string(name)?.filter(|text| !text.is_empty()));
        let prehashed = fields.bool("prehashed")?.unwrap_or(false);
        let hash = match given("urlalgorithm")? {
            Some(name) => Some(name),
            None => match given("hash_algorithm")? {
                Some(name) => Some(name),
                None => given("algorithm")?,
            },
        };
        let hash = hash.unwrap_or("sha2-256".into());
        let hash = match (hash.as_ref(), Hash::from_name(&hash)) {
            ("none", _) => None,
            (_, Some(hash)) => Some(hash),
            _ => return Err(Error::caller(format!("invalid hash algorithm {hash:?}"))),
        };
        let marshaling = match given("marshaling_algorithm")?.as_deref() {
            None | Some("asn1") => Marshaling::Asn1,
            Some("jws") => Marshaling::Jws,
            Some(other) => return Err(Error::caller(format!("invalid marshaling type {other:?}"))),
        };
        let salt = match given("salt_length")?.as_deref() {
            None | Some("auto") => Salt::Auto,
            Some("hash") => Salt::Hash,
            Some(text) => match text.parse::<i64>() {
                Ok(length) => Salt::Length(u16::try_from(length).map_err(|_| salt_length(length))?),
                Err(_) => {
                    return Err(Error::caller(format!("salt length neither 'auto', 'hash', nor an int: {text}")));
                }
            },
        };
        let padding_name = given("signature_algorithm")?.unwrap_or("pss".into()).into_owned();
        let padding = match padding_name.as_str() {
            "pss" => Some(Padding::Pss(salt)),
            "pkcs1v15" => Some(Padding::Pkcs1),
            _ => None,
        };
        if hash.is_none() && !(prehashed && padding == Some(Padding::Pkcs1)) {
            let text = "hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15";
            return Err(Error::caller(text));
        }
        Ok(Scheme { hash, prehashed, marshaling, padding, padding_name })
    }

    /// The padding of an RSA signature.
    pub(super) fn padding(&self) -> Result<Padding, Error> {
        let unknown = || Error::caller(format!("unsupported rsa signature algorithm {}", self.padding_name));
        self.padding.ok_or_else(unknown)
    }

    /// The hash of an ECDSA signature.
    pub(super) fn hash(&self) -> Result<Hash, Error> {
        self.hash.ok_or_else(|| Error::caller("hash_algorithm=none is for RSA keys only"))
    }

    /// The text of a caller's mistake with RSA.
    pub(super) fn refused(&self, refusal: Refusal) -> Error {
        match (refusal, self.padding) {
            (Refusal::NoPrivateKey, _) => errors::no_private_key(),
            (Refusal::Salt, Some(Padding::Pss(Salt::Length(length)))) => salt_length(length.into()),
            (Refusal::Salt, _) => Error::caller("the key is too small for this hash algorithm with PSS"),
            (Refusal::Hash, _) => errors::rsa_hash(),
            (Refusal::Length, _) => errors::prehashed_length(),
        }
    }

    /// Refuses a prehashed input of a wrong length.
    pub(super) fn fits(&self, input: &[u8]) -> Result<(), Error> {
        match self.hash {
            Some(hash) if self.prehashed && input.len() != hash.len() => Err(errors::prehashed_length()),
            _ => Ok(()),
        }
    }
}

fn salt_length(length: i64) -> Error {
    Error::caller(format!("requested salt length {length} is invalid"))
}

/// The message of a request or of an item of its batch.
pub(super) fn input(fields: &Fields) -> Result<Zeroizing<Vec<u8>>, Error> {
    let input = fields.string("input")?.ok_or_else(|| Error::caller("missing input"))?;
    text::decode(&input).map_err(errors::undecodable_input)
}

/// The Ed25519 key that a request's context derives, and its public key; `None` for keys that derive none.
pub(super) fn derived(
    key: &TransitKey,
    version: &Version,
    fields: &Fields,
) -> Result<Option<(super::ed25519::Ed25519, Vec<u8>)>, Error> {
    if !key.policy.derived || key.policy.kind != KeyType::Ed25519 {
        return Ok(None);
    }
    let context = text::optional(fields, "context")?;
    let context = context.ok_or_else(|| Error::caller(format!("error deriving key: {}", errors::no_context())))?;
    version.derived_ed25519(&context).map(Some)
}
