//! Project Wycheproof's cases, each through the same functions that serve requests.

use super::cipher::Cipher;
use super::ecdsa::{self, Ecdsa, Marshaling};
use super::ed25519::{self, Ed25519};
use super::hash::{self, Hash};
use super::key_type::KeyType;
use strongroom_secret::SecretBytes;
use wycheproof::TestResult;

#[test]
fn authenticated_ciphers() {
    use wycheproof::aead::{TestName, TestSet};
    let (mut played, mut refused) = (0, 0);
    for (name, kinds) in [
        (TestName::AesGcm, &[KeyType::Aes128, KeyType::Aes256][..]),
        (TestName::ChaCha20Poly1305, &[KeyType::ChaCha20]),
        (TestName::XChaCha20Poly1305, &[KeyType::XChaCha20]),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let kind = kinds.iter().find(|kind| kind.cipher_key_len() == Some(group.key_size / 8));
            // Keys of 192 bits and nonces of other lengths have no key type.
            let Some(&kind) = kind.filter(|kind| kind.nonce_len() == group.nonce_size / 8) else { continue };
            for case in &group.tests {
                let sealed = [&case.nonce[..], &case.ct, &case.tag].concat();
                for convergent in [false, true] {
                    let cipher = Cipher::new(kind, &case.key, convergent).unwrap();
                    let mut buffer = sealed.clone();
                    let opened = cipher.open(&case.aad, &mut buffer).map(|plaintext| plaintext.to_vec());
                    let want = (case.result == TestResult::Valid).then(|| case.pt.to_vec());
                    assert_eq!(opened, want, "{kind:?} case {}: {}", case.tc_id, case.comment);
                }
                if case.result == TestResult::Valid {
                    let mut buffer = [&case.nonce[..], &case.pt].concat();
                    let cipher = Cipher::new(kind, &case.key, true).unwrap();
                    cipher.seal(Some(&case.nonce), &case.aad, &mut buffer).unwrap();
                    assert_eq!(buffer, sealed, "{kind:?} case {}", case.tc_id);
                }
                played += 1;
                refused += u32::from(case.result == TestResult::Invalid);
            }
        }
    }
    println!("{played} cases, {refused} of them invalid");
    assert!(played > 600 && refused > 150, "{played} cases, {refused} of them invalid");
}

#[test]
fn ecdsa_signatures() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let (mut played, mut refused) = (0, 0);
    for (name, kind, hash, marshaling) in [
        (TestName::EcdsaSecp256r1Sha256, KeyType::P256, Hash::Sha256, Marshaling::Asn1),
        (TestName::EcdsaSecp256r1Sha256P1363, KeyType::P256, Hash::Sha256, Marshaling::Jws),
        (TestName::EcdsaSecp256r1Sha512, KeyType::P256, Hash::Sha512, Marshaling::Asn1),
        (TestName::EcdsaSecp256r1Sha512P1363, KeyType::P256, Hash::Sha512, Marshaling::Jws),
        (TestName::EcdsaSecp256r1Sha3_256, KeyType::P256, Hash::Sha3_256, Marshaling::Asn1),
        (TestName::EcdsaSecp384r1Sha384, KeyType::P384, Hash::Sha384, Marshaling::Asn1),
        (TestName::EcdsaSecp384r1Sha256, KeyType::P384, Hash::Sha256, Marshaling::Asn1),
        (TestName::EcdsaSecp521r1Sha512, KeyType::P521, Hash::Sha512, Marshaling::Asn1),
        (TestName::EcdsaSecp521r1Sha3_512, KeyType::P521, Hash::Sha3_512, Marshaling::Asn1),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let point = ecdsa::import_public(kind, &group.der).unwrap().expect("a point on the curve");
            let key = Ecdsa::new(kind, None, &point).unwrap();
            for case in &group.tests {
                let valid = key.verify(hash, false, &case.msg, &case.sig, marshaling).unwrap();
                let want = match case.result {
                    TestResult::Valid => true,
                    TestResult::Invalid => false,
                    TestResult::Acceptable => valid,
                };
                assert_eq!(valid, want, "{kind:?} {hash:?} case {}: {}", case.tc_id, case.comment);
                played += 1;
                refused += u32::from(!valid);
            }
        }
    }
    println!("{played} cases, {refused} refused");
    assert!(played > 2000 && refused > 800, "{played} cases, {refused} refused");
}

#[test]
fn ed25519_signatures() {
    use wycheproof::eddsa::{TestName, TestSet};
    let (mut played, mut refused) = (0, 0);
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let public = ed25519::import_public(&group.der).expect("a public key");
        let key = Ed25519::new(None, &public).unwrap();
        for case in &group.tests {
            let valid = key.verify(&case.msg, &case.sig);
            assert_eq!(valid, case.result == TestResult::Valid, "case {}: {}", case.tc_id, case.comment);
            played += 1;
            refused += u32::from(!valid);
        }
    }
    assert!(played > 100 && refused > 50, "{played} cases, {refused} refused");
}

#[test]
fn hmacs() {
    use wycheproof::mac::{TestName, TestSet};
    let (mut played, mut refused) = (0, 0);
    for (name, hash) in [
        (TestName::HmacSha224, Hash::Sha224),
        (TestName::HmacSha256, Hash::Sha256),
        (TestName::HmacSha384, Hash::Sha384),
        (TestName::HmacSha512, Hash::Sha512),
        (TestName::HmacSha3_224, Hash::Sha3_224),
        (TestName::HmacSha3_256, Hash::Sha3_256),
        (TestName::HmacSha3_384, Hash::Sha3_384),
        (TestName::HmacSha3_512, Hash::Sha3_512),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            for case in &group.tests {
                let tag = hash.hmac(&SecretBytes::from_slice(&case.key), &case.msg).unwrap();
                let valid = hash::same(&tag[..case.tag.len()], &case.tag);
                assert_eq!(valid, case.result == TestResult::Valid, "{hash:?} case {}: {}", case.tc_id, case.comment);
                played += 1;
                refused += u32::from(!valid);
            }
        }
    }
    assert!(played > 1000 && refused > 500, "{played} cases, {refused} refused");
}
