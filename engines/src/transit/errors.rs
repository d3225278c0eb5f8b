//! The errors of transit by the texts that clients know, sorted by whose fault they are.

use super::key::Use;
use super::key_type::KeyType;
use std::fmt::Display;
use strongroom_mount::{Blame, Error};

// The caller: a key that is not there or not for this.

pub(crate) fn no_encryption_key() -> Error {
    Error::caller("encryption key not found")
}

pub(crate) fn no_signing_key() -> Error {
    Error::caller("signing key not found")
}

pub(crate) fn no_verification_key() -> Error {
    Error::caller("signature verification key not found")
}

pub(crate) fn soft_deleted() -> Error {
    Error::caller("refusing to use soft-deleted key")
}

pub(crate) fn no_encryption(kind: KeyType) -> Error {
    Error::caller(format!("message encryption not supported for key type {}", kind.name()))
}

pub(crate) fn no_signing(kind: KeyType) -> Error {
    Error::caller(format!("key type {} does not support signing", kind.name()))
}

pub(crate) fn no_verification(kind: KeyType) -> Error {
    Error::caller(format!("key type {} does not support verification", kind.name()))
}

pub(crate) fn no_private_key() -> Error {
    Error::caller("requested version does not hold a private key: only its public key was imported")
}

pub(crate) fn unknown_type(name: &str) -> Error {
    Error::caller(format!("unknown key type {name}"))
}

pub(crate) fn not_importable(kind: KeyType) -> Error {
    Error::caller(format!("error importing key: the key material is not a key of type {}", kind.name()))
}

// The caller: versions.

pub(crate) fn version_negative(what: Use) -> Error {
    Error::caller(format!("requested version for {} is negative", word(what)))
}

pub(crate) fn version_too_high(what: Use) -> Error {
    Error::caller(format!("requested version for {} is higher than the latest key version", word(what)))
}

pub(crate) fn version_too_low(what: Use) -> Error {
    Error::caller(format!("requested version for {} is less than the minimum encryption key version", word(what)))
}

fn word(what: Use) -> &'static str {
    match what {
        Use::Encryption => "encryption",
        Use::Signing => "signing",
    }
}

pub(crate) fn too_old() -> Error {
    Error::caller("ciphertext or signature version is disallowed by policy (too old)")
}

pub(crate) fn budget_spent() -> Error {
    Error::caller("this key version has encrypted 2^32 messages, which is all that it may: rotate the key")
}

// The caller: contexts, nonces, associated data.

pub(crate) fn no_context() -> Error {
    Error::caller(
        "missing 'context' for key derivation; the key was created using a derived key, which means additional, \
         per-request information must be included in order to perform operations with the key",
    )
}

pub(crate) fn mixed_contexts() -> Error {
    Error::caller("context should be set either in all the request blocks or in none")
}

pub(crate) fn nonce_given() -> Error {
    Error::caller("nonce provided when not allowed")
}

pub(crate) fn no_associated_data(kind: KeyType) -> Error {
    Error::caller(format!("associated_data is not supported for key type {}", kind.name()))
}

// The caller: what cannot be opened. One text for every cryptographic cause.

pub(crate) fn unopened(kind: KeyType) -> Error {
    Error::caller(match kind {
        KeyType::Aes128 | KeyType::Aes256 => "cipher: message authentication failed",
        KeyType::ChaCha20 | KeyType::XChaCha20 => "chacha20poly1305: message authentication failed",
        _ => "failed to RSA decrypt the ciphertext",
    })
}

pub(crate) fn ciphertext_length() -> Error {
    Error::caller("invalid ciphertext length")
}

// The caller: input.

pub(crate) fn no_batch() -> Error {
    Error::caller("missing batch input to process")
}

pub(crate) fn undecodable_input(why: impl Display) -> Error {
    Error::caller(format!("unable to decode input as base64: {why}"))
}

pub(crate) fn rsa_hash() -> Error {
    Error::caller("unsupported hash algorithm for an RSA signature: use sha2-256, sha2-384 or sha2-512")
}

pub(crate) fn prehashed_length() -> Error {
    Error::caller("prehashed input has not the length of the hash algorithm's output")
}

// Clients expect a 500.

pub(crate) fn expected_500(text: String) -> Error {
    Error::caller(text).blame(Blame::ClientsExpect500).framed()
}
