//! Hash functions by their names on the wire, and HMAC over each.

use aws_lc_rs::{digest, hmac};
use hmac_sha3::{KeyInit, Mac};
use sha3::Digest;
use strongroom_secret::SecretBytes;
use subtle::ConstantTimeEq;

/// A hash function (FIPS 180-4, FIPS 202). SHA-1 is there for ECDSA signatures that old verifiers need, and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha3_224,
    Sha3_256,
    Sha3_384,
    Sha3_512,
}

const NAMES: [(&str, Hash, usize); 9] = [
    ("sha1", Hash::Sha1, 20),
    ("sha2-224", Hash::Sha224, 28),
    ("sha2-256", Hash::Sha256, 32),
    ("sha2-384", Hash::Sha384, 48),
    ("sha2-512", Hash::Sha512, 64),
    ("sha3-224", Hash::Sha3_224, 28),
    ("sha3-256", Hash::Sha3_256, 32),
    ("sha3-384", Hash::Sha3_384, 48),
    ("sha3-512", Hash::Sha3_512, 64),
];

impl Hash {
    pub(crate) fn from_name(name: &str) -> Option<Hash> {
        NAMES.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    pub(crate) fn len(self) -> usize {
        // Every hash stands in the table, as a test checks.
        NAMES.iter().find(|row| row.1 == self).expect("every hash has a row").2
    }

    pub(crate) fn digest(self, input: &[u8]) -> Vec<u8> {
        let module = |algorithm| digest::digest(algorithm, input).as_ref().to_vec();
        match self {
            Hash::Sha1 => module(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            Hash::Sha224 => module(&digest::SHA224),
            Hash::Sha256 => module(&digest::SHA256),
            Hash::Sha384 => module(&digest::SHA384),
            Hash::Sha512 => module(&digest::SHA512),
            Hash::Sha3_224 => sha3::Sha3_224::digest(input).to_vec(),
            Hash::Sha3_256 => module(&digest::SHA3_256),
            Hash::Sha3_384 => module(&digest::SHA3_384),
            Hash::Sha3_512 => module(&digest::SHA3_512),
        }
    }

    /// HMAC (FIPS 198-1); `None` for SHA-1, over which no HMAC is made.
    pub(crate) fn hmac(self, key: &SecretBytes, input: &[u8]) -> Option<Vec<u8>> {
        let module = |algorithm| Some(hmac::sign(&hmac::Key::new(algorithm, key.expose()), input).as_ref().to_vec());
        match self {
            Hash::Sha1 => None,
            Hash::Sha224 => module(hmac::HMAC_SHA224),
            Hash::Sha256 => module(hmac::HMAC_SHA256),
            Hash::Sha384 => module(hmac::HMAC_SHA384),
            Hash::Sha512 => module(hmac::HMAC_SHA512),
            Hash::Sha3_224 => Some(mac::<hmac_sha3::SimpleHmac<sha3::Sha3_224>>(key, input)),
            Hash::Sha3_256 => Some(mac::<hmac_sha3::SimpleHmac<sha3::Sha3_256>>(key, input)),
            Hash::Sha3_384 => Some(mac::<hmac_sha3::SimpleHmac<sha3::Sha3_384>>(key, input)),
            Hash::Sha3_512 => Some(mac::<hmac_sha3::SimpleHmac<sha3::Sha3_512>>(key, input)),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &SecretBytes, input: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length.
    let mut mac = <M as KeyInit>::new_from_slice(key.expose()).expect("HMAC takes a key of any length");
    mac.update(input);
    mac.finalize().into_bytes().to_vec()
}

/// Compares in time that depends on the lengths alone.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_has_its_length_and_only_sha1_has_no_hmac() {
        let key = SecretBytes::from_slice(&[7; 32]);
        for (name, hash, len) in NAMES {
            assert_eq!(Hash::from_name(name), Some(hash));
            assert_eq!((hash.digest(b"x").len(), hash.len()), (len, len));
            assert_eq!(hash.hmac(&key, b"x").map(|tag| tag.len()), (hash != Hash::Sha1).then_some(len), "{name}");
        }
        assert!(same(b"ab", b"ab") && !same(b"ab", b"ac") && !same(b"ab", b"abc"));
    }
}
