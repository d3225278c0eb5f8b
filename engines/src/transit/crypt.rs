//! Sealing and opening with one version of a key: what encrypt, decrypt, rewrap and datakey share.

use super::cipher::TAG_LEN;
use super::key::TransitKey;
use super::key_type::KeyType;
use super::text::{self, Made};
use super::version::Version;
use super::{CONTEXT, NAME, Transit, batch, errors, name};
use std::borrow::Cow;
use std::sync::Arc;
use strongroom_keystore::View;
use strongroom_mount::{Ctx, Error, Fields, Kind, Param, Request};
use strongroom_secret::SecretBytes;
use strongroom_secret::bytes::Wiped;
use zeroize::Zeroizing;

/// What decrypt and rewrap both take.
pub(super) const OPENING: &[Param] = &[
    NAME,
    Param::input("ciphertext", Kind::String, "What encrypt gave."),
    CONTEXT,
    Param::input("associated_data", Kind::String, "The data that was authenticated with it, in base64."),
];
/// Of routes that seal.
pub(super) const NONCE: Param =
    Param::input("nonce", Kind::String, "Not accepted with convergent keys; ignored with others.");

/// What goes with a message besides itself.
pub(crate) struct Options {
    pub(crate) context: Option<Zeroizing<Vec<u8>>>,
    pub(crate) associated: Option<Zeroizing<Vec<u8>>>,
    pub(crate) nonce: bool,
    pub(crate) key_version: i64,
}

impl Options {
    /// From a request, or from an item of its batch.
    pub(crate) fn read(fields: &Fields) -> Result<Options, Error> {
        let associated = match fields.string("associated_data")? {
            Some(text) if !text.is_empty() => Some(text::decode(&text).map_err(|why| {
                Error::caller(format!("unable to get associated_data/additional_data from factory[0]: {why}")).framed()
            })?),
            _ => None,
        };
        Ok(Options {
            context: text::optional(fields, "context")?,
            associated,
            nonce: fields.string("nonce")?.is_some_and(|nonce| !nonce.is_empty()),
            key_version: fields.int("key_version")?.unwrap_or(0),
        })
    }

    fn associated(&self) -> &[u8] {
        self.associated.as_ref().map_or(&[], |bytes| bytes)
    }
}

/// What sealing gives: the version's number, its prefix, and what follows the prefix before base64.
pub(crate) struct Sealed {
    pub(crate) number: u32,
    pub(crate) version: Arc<Version>,
    pub(crate) bytes: Vec<u8>,
}

/// What opening gives, wiped when dropped.
pub(crate) enum Opened {
    /// The plaintext lies in the middle of what was the ciphertext.
    InPlace(Wiped, std::ops::Range<usize>),
    Apart(SecretBytes),
}

impl Opened {
    pub(crate) fn plaintext(&self) -> &[u8] {
        match self {
            Opened::InPlace(buffer, range) => &buffer.0[range.clone()],
            Opened::Apart(plaintext) => plaintext.expose(),
        }
    }
}

/// Bytes that a buffer must have in front of a plaintext that is to be sealed.
pub(crate) fn room(kind: KeyType) -> usize {
    if kind.cipher_key_len().is_some() { kind.nonce_len() } else { 0 }
}

/// A buffer with `room` and with a plaintext that is no longer base64.
pub(crate) fn decode_plaintext(kind: KeyType, plaintext: &str) -> Result<Vec<u8>, Error> {
    let room = room(kind);
    let mut buffer = Vec::with_capacity(room + plaintext.len() / 4 * 3 + 3 + TAG_LEN);
    buffer.resize(room, 0);
    text::decode_into(plaintext, TAG_LEN, &mut buffer).map_err(|why| Error::caller(why.to_string()))?;
    Ok(buffer)
}

/// The same with a plaintext at hand.
pub(crate) fn copy_plaintext(kind: KeyType, plaintext: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(room(kind) + plaintext.len() + TAG_LEN);
    buffer.resize(room(kind), 0);
    buffer.extend_from_slice(plaintext);
    buffer
}

/// Refuses keys that do not encrypt.
pub(crate) fn encrypting(key: &TransitKey) -> Result<(), Error> {
    key.usable()?;
    if key.policy.kind.encrypts() { Ok(()) } else { Err(errors::no_encryption(key.policy.kind)) }
}

/// Seals a buffer of [`decode_plaintext`] or [`copy_plaintext`].
pub(crate) async fn seal(
    engine: &Transit,
    view: &View,
    name: &str,
    key: &TransitKey,
    options: &Options,
    mut buffer: Vec<u8>,
) -> Result<Sealed, Error> {
    let policy = &key.policy;
    let (number, version) = key.for_making(options.key_version, super::key::Use::Encryption)?;
    let sealed = |bytes| Ok(Sealed { number, version: version.clone(), bytes });
    if policy.kind.rsa().is_some() {
        if options.associated.is_some() {
            return Err(errors::no_associated_data(policy.kind));
        }
        let plaintext = Zeroizing::new(buffer);
        let bytes = version.rsa()?.encrypt(rsa_oaep(), &plaintext)?;
        return sealed(bytes.ok_or_else(|| Error::caller("the plaintext is too long for this RSA key"))?);
    }
    if policy.derived {
        let context = options.context.as_ref().ok_or_else(errors::no_context)?;
        if policy.convergent && options.nonce {
            return Err(errors::nonce_given());
        }
        let plaintext = &buffer[room(policy.kind)..];
        let (cipher, nonce) = version.derived_cipher(context, Some(plaintext), policy.convergent)?;
        cipher.seal(nonce.as_deref(), options.associated(), &mut buffer)?;
        return sealed(buffer);
    }
    if policy.kind != KeyType::XChaCha20 {
        engine.keys.count(view, name, &version.counter).await?;
    }
    version.cipher()?.seal(None, options.associated(), &mut buffer)?;
    sealed(buffer)
}

/// Opens `vault:v<N>:<base64>`.
pub(crate) fn open(key: &TransitKey, options: &Options, ciphertext: &str) -> Result<Opened, Error> {
    let policy = &key.policy;
    let (made_by, payload) = text::split(ciphertext, Made::Ciphertext)?;
    let (_, version) = key.for_reading(made_by)?.ok_or_else(|| Made::Ciphertext.too_new())?;
    let mut buffer = Wiped::default();
    text::decode_into(payload, 0, &mut buffer.0)
        .map_err(|_| Error::caller("invalid ciphertext: could not decode base64"))?;
    if policy.kind.rsa().is_some() {
        if options.associated.is_some() {
            return Err(errors::no_associated_data(policy.kind));
        }
        let key = version.rsa()?;
        if !key.is_private() {
            return Err(errors::no_private_key());
        }
        return key.decrypt(rsa_oaep(), &buffer.0).map(Opened::Apart).ok_or_else(|| errors::unopened(policy.kind));
    }
    let derived = match (policy.derived, &options.context) {
        (true, None) => return Err(errors::no_context()),
        (true, Some(context)) => Some(version.derived_cipher(context, None, policy.convergent)?.0),
        (false, _) => None,
    };
    let cipher = match &derived {
        Some(cipher) => cipher,
        None => version.cipher()?,
    };
    if buffer.0.len() < policy.kind.nonce_len() {
        return Err(errors::ciphertext_length());
    }
    let opened = cipher.open(options.associated(), &mut buffer.0).ok_or_else(|| errors::unopened(policy.kind))?;
    let start = policy.kind.nonce_len();
    let end = start + opened.len();
    Ok(Opened::InPlace(buffer, start..end))
}

/// RSA keys encrypt by OAEP with SHA-256.
fn rsa_oaep() -> &'static aws_lc_rs::rsa::OaepAlgorithm {
    &aws_lc_rs::rsa::OAEP_SHA256_MGF1SHA256
}

/// What decrypt and rewrap begin with: the key's name, the batch if there is one, and the key. A ciphertext that is
/// missing is said before a key that is.
pub(super) async fn to_open<'r>(
    engine: &Transit,
    cx: &Ctx<'_>,
    request: &'r Request,
) -> Result<(Cow<'r, str>, Option<Vec<Fields>>, Arc<TransitKey>), Error> {
    let name = name(request)?;
    let items = batch::items(request)?;
    match &items {
        Some(items) => batch::require(items, "ciphertext", "missing ciphertext to decrypt")?,
        None => drop(ciphertext(&request.fields)?),
    }
    let key = engine.keys.get(cx.view, &name).await?.ok_or_else(errors::no_encryption_key)?;
    encrypting(&key)?;
    Ok((name, items, key))
}

/// Whether a request or an item of its batch brings a context.
pub(crate) fn has_context(fields: &Fields) -> Result<bool, Error> {
    Ok(fields.string("context")?.is_some_and(|context| !context.is_empty()))
}

/// A ciphertext that must be there.
pub(crate) fn ciphertext(fields: &Fields) -> Result<Cow<'_, str>, Error> {
    fields
        .string("ciphertext")?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Error::caller("missing ciphertext to decrypt"))
}
