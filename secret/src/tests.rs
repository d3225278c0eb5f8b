//! Known answers and the second implementation's opinion.

use crate::aead::AeadKey;
use crate::mac::HmacKey;
use crate::{Key, SecretBytes, digest, kdf};

crate::purposes! {
    /// For tests.
    Testing = "testing";
}

#[test]
fn sha_256_and_hmac_give_the_published_answers() {
    assert_eq!(
        digest::sha256(&[b"a", b"bc"])[..8],
        [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea],
        "FIPS 180-4, \"abc\""
    );
    // RFC 4231, test case 2.
    let tag = HmacKey::new(b"Jefe").sign(&[b"what do ya want ", b"for nothing?"]);
    assert_eq!(tag[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
}

#[test]
fn a_tag_is_accepted_whole_or_truncated_to_16_and_never_shorter_or_changed() {
    let key = HmacKey::new(b"key");
    let tag = key.sign(&[b"text"]);
    assert!(key.verify(&[b"text"], &tag) && key.verify(&[b"te", b"xt"], &tag[..16]));
    assert!(!key.verify(&[b"text"], &tag[..15]) && !key.verify(&[b"Text"], &tag));
    for at in 0..32 {
        let mut changed = tag;
        changed[at] ^= 1;
        assert!(!key.verify(&[b"text"], &changed), "byte {at}");
    }
}

#[test]
fn the_counter_kdf_is_what_sp_800_108_writes() {
    let key = HmacKey::new(&[7; 32]);
    let out = kdf::derive_bytes(&key, b"label", &[b"con", b"text"], 40);
    let block = |counter: u8| key.sign(&[&[0, 0, 0, counter], b"label", &[0], b"context", &[0, 0, 1, 64]]);
    assert_eq!(out.expose()[..32], block(1));
    assert_eq!(out.expose()[32..], block(2)[..8]);
    let key: Key<Testing> = kdf::derive(&key, &[b"context"]);
    assert_ne!(key.expose(), &block(1));
}

#[test]
fn sealed_bytes_open_under_the_same_key_and_aad_alone_and_rustcrypto_agrees() {
    use aes_gcm::aead::{Aead, KeyInit, Payload};
    let key = AeadKey::new(&[3; 32]);
    let mut sealed = b"head".to_vec();
    key.seal(b"aad", b"plaintext", &mut sealed).unwrap();
    let sealed = &sealed[4..];
    assert_eq!(key.open(b"aad", sealed).unwrap().expose(), b"plaintext");
    assert!(key.open(b"AAD", sealed).is_err() && AeadKey::new(&[4; 32]).open(b"aad", sealed).is_err());
    for at in 0..sealed.len() {
        let mut changed = sealed.to_vec();
        changed[at] ^= 0x80;
        assert!(key.open(b"aad", &changed).is_err(), "byte {at}");
        assert!(key.open(b"aad", &sealed[..at]).is_err(), "cut at {at}");
    }
    let other = aes_gcm::Aes256Gcm::new_from_slice(&[3; 32]).unwrap();
    let nonce = aes_gcm::Nonce::try_from(&sealed[..12]).unwrap();
    let opened = other.decrypt(&nonce, Payload { msg: &sealed[12..], aad: b"aad" }).unwrap();
    assert_eq!(opened, b"plaintext");
}

#[test]
fn nonces_do_not_repeat() {
    let key = AeadKey::new(&[5; 32]);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..20_000 {
        let mut sealed = Vec::new();
        key.seal(b"", b"x", &mut sealed).unwrap();
        assert!(seen.insert(sealed[..12].to_vec()));
    }
}

#[test]
fn keys_compare_and_refuse_other_lengths() {
    let one = Key::<Testing>::generate().unwrap();
    let same = Key::<Testing>::from_slice(one.expose()).unwrap();
    assert!(one.same_as(&same) && !one.same_as(&Key::generate().unwrap()));
    assert!(Key::<Testing>::from_slice(&[0; 31]).is_none() && Key::<Testing>::from_slice(&[0; 33]).is_none());
    assert!(SecretBytes::from_slice(b"pin").same_as(b"pin") && !SecretBytes::from_slice(b"pin").same_as(b"pi"));
}
