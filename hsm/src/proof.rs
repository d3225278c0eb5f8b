//! What the store remembers of a device, and how a device shows that it is the one.
//!
//! A serial number can be copied; a key that never leaves the device cannot. Where the key is asymmetric, the public
//! half is kept and a fresh challenge is answered with the private half. A symmetric key has no such half: kept is a
//! random value that only this key opens, beside its digest; opening it, and then a fresh value, is the proof. What this
//! does not promise: a channel that was recorded while that value was opened can replay the answer, once per pin. The
//! pin is authenticated by the store's head; until the root key is open it only keeps us from asking the wrong device.

use crate::rsa::oaep_encrypt;
use crate::{DeviceId, Error, Hsm, KeyName, Mechanism, Result, Sealed};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
};
use strongroom_secret::SecretBytes;
use strongroom_secret::digest::sha256;

/// An enrolled device: kept beside the keyslot that it opens, authenticated by the store's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePin {
    /// Manufacturer, model and serial, hashed.
    pub device: DeviceId,
    /// What only that device's key can answer.
    pub proof: Proof,
}

/// What is kept of the key.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// For a symmetric key: a sealed random value, and SHA-256 of the value.
    Probe {
        /// The value, sealed for the place `probe aad`.
        sealed: Sealed,
        /// SHA-256("strongroom probe 1" ‖ value).
        answer: [u8; 32],
    },
    /// For a key pair: the public half, and the way to challenge the private one.
    PublicKey {
        /// How to challenge.
        by: Challenge,
        /// RSA: SubjectPublicKeyInfo, DER. P-256: the uncompressed point, 65 bytes.
        key: Vec<u8>,
    },
}

/// How a private key is challenged. The numbers are format.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// Sign a fresh nonce: ECDSA, P-256, SHA-256, r ‖ s.
    Ecdsa = 1,
    /// Sign a fresh nonce: RSA-PSS, SHA-256, salt 32.
    RsaPss = 2,
    /// Sign a fresh nonce: RSA PKCS#1 v1.5, SHA-256.
    RsaPkcs1 = 3,
    /// Decrypt a fresh nonce: RSA-OAEP, SHA-256.
    OaepSha256 = 4,
    /// Decrypt a fresh nonce: RSA-OAEP, SHA-1.
    OaepSha1 = 5,
}

impl Challenge {
    fn from_code(code: u8) -> Option<Self> {
        use Challenge::*;
        [Ecdsa, RsaPss, RsaPkcs1, OaepSha256, OaepSha1].into_iter().find(|challenge| *challenge as u8 == code)
    }
}

const FORMAT: u8 = 1;
const PROBE: u8 = 0;

impl DevicePin {
    /// format u8 = 1 ‖ device id 16 ‖ way u8 (0 probe, else the challenge's number) ‖ length u16 ‖ sealed or public key
    /// ‖ for a probe, its answer 32.
    pub fn encode(&self) -> Vec<u8> {
        let (way, body, answer) = match &self.proof {
            Proof::Probe { sealed, answer } => (PROBE, sealed.encode(), &answer[..]),
            Proof::PublicKey { by, key } => (*by as u8, key.clone(), &[][..]),
        };
        let mut bytes = vec![FORMAT];
        bytes.extend(self.device.0);
        bytes.push(way);
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes.extend(answer);
        bytes
    }

    /// Reads what [`DevicePin::encode`] wrote, to the last byte.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let bad = || Error::Config("a device pin cannot be read: it was changed or cut".into());
        let (&[format], rest) = bytes.split_first_chunk::<1>().ok_or_else(bad)?;
        let (device, rest) = rest.split_first_chunk::<16>().ok_or_else(bad)?;
        let (&[way, high, low], rest) = rest.split_first_chunk::<3>().ok_or_else(bad)?;
        let (body, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low]))).ok_or_else(bad)?;
        if format != FORMAT {
            return Err(bad());
        }
        let proof = match way {
            PROBE => Proof::Probe {
                sealed: Sealed::decode(body).map_err(|_| bad())?,
                answer: rest.try_into().map_err(|_| bad())?,
            },
            code => {
                let by = Challenge::from_code(code).filter(|_| rest.is_empty() && !body.is_empty()).ok_or_else(bad)?;
                Proof::PublicKey { by, key: body.into() }
            }
        };
        Ok(DevicePin { device: DeviceId(*device), proof })
    }

    /// Whether `device` is the enrolled one by maker, model and serial.
    pub(crate) fn check_identity(&self, token: &dyn Hsm) -> Result<()> {
        let identity = token.identity()?;
        if identity.device_id() != self.device {
            return Err(Error::WrongToken(format!(
                "the token with serial {:?} ({} {}) is not the one that was enrolled: insert that one",
                identity.serial, identity.manufacturer, identity.model
            )));
        }
        Ok(())
    }
}

/// Enrols a symmetric key.
pub(crate) fn probe(token: &dyn Hsm, key: &KeyName) -> Result<DevicePin> {
    let device = token.identity()?.device_id();
    let value = fresh()?;
    let sealed = token.seal(key, &probe_aad(device), &value)?;
    Ok(DevicePin { device, proof: Proof::Probe { sealed, answer: answer(&value) } })
}

/// Checks a symmetric key against its probe, then on a fresh value.
pub(crate) fn check_probe(
    token: &dyn Hsm,
    key: &KeyName,
    device: DeviceId,
    sealed: &Sealed,
    expected: &[u8; 32],
) -> Result<()> {
    let opened = match token.open(key, &probe_aad(device), sealed) {
        Err(Error::Rejected | Error::NotFound(_)) => return Err(other_key(key)),
        opened => opened?,
    };
    if answer(&opened) != *expected {
        return Err(other_key(key));
    }
    // Sealing opens again and compares before it answers.
    token.seal(key, &probe_aad(device), &fresh()?)?;
    Ok(())
}

/// A challenge for a private key, and the check of what comes back.
pub(crate) enum Asked {
    /// Sign these bytes.
    Sign(SecretBytes),
    /// Decrypt `sealed` to `value`.
    Decrypt { sealed: Vec<u8>, value: SecretBytes },
}

/// Makes a fresh challenge for the holder of `public`.
pub(crate) fn challenge(by: Challenge, public: &[u8]) -> Result<Asked> {
    let value = fresh()?;
    let mechanism = match by {
        Challenge::OaepSha256 => Mechanism::RsaOaepSha256,
        Challenge::OaepSha1 => Mechanism::RsaOaepSha1,
        Challenge::Ecdsa | Challenge::RsaPss | Challenge::RsaPkcs1 => return Ok(Asked::Sign(value)),
    };
    let sealed = oaep_encrypt(mechanism, public, value.expose())?;
    Ok(Asked::Decrypt { sealed, value })
}

/// Checks a signature over a challenge.
pub(crate) fn check_signature(by: Challenge, public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let checked = match by {
        Challenge::Ecdsa => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(message, signature),
        Challenge::RsaPss => UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public).verify(message, signature),
        Challenge::RsaPkcs1 => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(message, signature),
        Challenge::OaepSha256 | Challenge::OaepSha1 => return false,
    };
    checked.is_ok()
}

/// The error for a device whose identity fits but whose key is another one.
pub(crate) fn other_key(key: &KeyName) -> Error {
    Error::WrongToken(format!("the token's key {key} is not the one that was enrolled: it is another token, or a copy"))
}

fn fresh() -> Result<SecretBytes> {
    SecretBytes::random(32).map_err(|_| Error::Away("the random generator failed".into()))
}

fn answer(value: &SecretBytes) -> [u8; 32] {
    sha256(&[b"strongroom probe 1", value.expose()])
}

fn probe_aad(device: DeviceId) -> Vec<u8> {
    [&b"strongroom probe 1"[..], &device.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    };

    #[test]
    fn a_pin_decodes_to_itself_and_nothing_shorter_longer_or_changed_in_kind_does() {
        let sealed = Sealed { mechanism: Mechanism::AesGcm, key_id: vec![1; 16], blob: vec![2; 92] };
        let probe = DevicePin { device: DeviceId([3; 16]), proof: Proof::Probe { sealed, answer: [4; 32] } };
        let key = Proof::PublicKey { by: Challenge::Ecdsa, key: vec![5; 65] };
        for pin in [probe, DevicePin { device: DeviceId([6; 16]), proof: key }] {
            let bytes = pin.encode();
            assert_eq!(DevicePin::decode(&bytes).unwrap(), pin);
            for length in 0..bytes.len() {
                assert!(DevicePin::decode(&bytes[..length]).is_err(), "{length} bytes");
            }
            assert!(DevicePin::decode(&[&bytes[..], &[0]].concat()).is_err());
            for (at, value) in [(0, 2), (17, 6)] {
                let mut changed = bytes.clone();
                changed[at] = value;
                assert!(DevicePin::decode(&changed).is_err(), "byte {at} = {value}");
            }
        }
    }

    #[test]
    fn the_pins_of_the_document_decode() {
        let document = include_str!("../../docs/formats/device-pin.md");
        let sealed = Sealed { mechanism: Mechanism::AesGcm, key_id: vec![0x11; 16], blob: vec![0x22; 92] };
        let probe = DevicePin { device: DeviceId([0x33; 16]), proof: Proof::Probe { sealed, answer: [0x44; 32] } };
        let point = [&[4][..], &[0x55; 64]].concat();
        let key = Proof::PublicKey { by: Challenge::Ecdsa, key: point };
        for (name, pin) in [("probe", probe), ("key", DevicePin { device: DeviceId([0x66; 16]), proof: key })] {
            let block = crate::block(document, name);
            assert_eq!(DevicePin::decode(&block).unwrap(), pin, "{name}");
            assert_eq!(pin.encode(), block, "{name}");
        }
    }

    #[test]
    fn a_signature_counts_only_for_its_message_key_and_way() {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = pair.public_key().as_ref();
        let signature = pair.sign(&random, b"nonce").unwrap();
        assert!(check_signature(Challenge::Ecdsa, public, b"nonce", signature.as_ref()));
        assert!(!check_signature(Challenge::Ecdsa, public, b"other", signature.as_ref()));
        assert!(!check_signature(Challenge::OaepSha256, public, b"nonce", signature.as_ref()));
        let stranger = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        assert!(!check_signature(Challenge::Ecdsa, stranger.public_key().as_ref(), b"nonce", signature.as_ref()));
        assert!(!check_signature(Challenge::Ecdsa, b"", b"nonce", b""));
    }

    #[test]
    fn rsa_signatures_are_checked_under_a_key_made_from_modulus_and_exponent() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        // RSAPublicKey of 2048 bits, DER: 30 82 010a ‖ 02 82 0101 00 modulus 256 ‖ 02 03 exponent.
        let der = pair.public_key().as_ref();
        let spki = crate::rsa::spki(&der[9..265], &der[267..]).unwrap();
        for (by, padding) in [
            (Challenge::RsaPss, &RSA_PSS_SHA256 as &dyn aws_lc_rs::signature::RsaEncoding),
            (Challenge::RsaPkcs1, &RSA_PKCS1_SHA256),
        ] {
            let mut signature = vec![0; 256];
            pair.sign(padding, &SystemRandom::new(), b"nonce", &mut signature).unwrap();
            assert!(check_signature(by, &spki, b"nonce", &signature), "{by:?}");
            signature[0] ^= 1;
            assert!(!check_signature(by, &spki, b"nonce", &signature), "{by:?}");
        }
    }
}
