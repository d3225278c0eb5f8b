//! A value sealed by a token: the bytes that a keyslot holds, and the frame inside them.

use crate::{Error, Result};
use strongroom_secret::SecretBytes;
use strongroom_secret::digest::sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// How a sealed value was made. The numbers are format.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// AES-256-GCM on a token: nonce 12 ‖ ciphertext ‖ tag 16. The AAD is authenticated by the mechanism too.
    AesGcm = 1,
    /// RSA-OAEP with SHA-256 and MGF1-SHA-256, no label.
    RsaOaepSha256 = 2,
    /// RSA-OAEP with SHA-1 and MGF1-SHA-1, no label: only where the token has nothing better.
    RsaOaepSha1 = 3,
    /// AES-256-GCM in software, under a key from the configuration: nonce 12 ‖ ciphertext ‖ tag 16.
    SoftAesGcm = 4,
}

impl Mechanism {
    fn from_code(code: u8) -> Option<Self> {
        [Mechanism::AesGcm, Mechanism::RsaOaepSha256, Mechanism::RsaOaepSha1, Mechanism::SoftAesGcm]
            .into_iter()
            .find(|mechanism| *mechanism as u8 == code)
    }

    /// The name in listings and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Mechanism::AesGcm => "aes-gcm",
            Mechanism::RsaOaepSha256 => "rsa-oaep-sha256",
            Mechanism::RsaOaepSha1 => "rsa-oaep-sha1",
            Mechanism::SoftAesGcm => "static-aes-gcm",
        }
    }
}

/// A secret that only one key of one token opens. Not secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// How it was sealed.
    pub mechanism: Mechanism,
    /// The id of the key that sealed it, 1 to 255 bytes.
    pub key_id: Vec<u8>,
    /// What the mechanism made.
    pub blob: Vec<u8>,
}

/// The longest secret that can be sealed, bytes. RSA-2048 with OAEP-SHA-256 takes 190 bytes, 32 of which are the frame's.
pub const SECRET_MAX: usize = 128;
/// The longest blob that is decoded: RSA-8192, or AES-GCM of the longest secret.
const BLOB_MAX: usize = 1024;
const FORMAT: u8 = 1;

impl Sealed {
    /// format u8 = 1 ‖ mechanism u8 ‖ key id length u8 ‖ key id ‖ blob length u16 ‖ blob.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT, self.mechanism as u8, self.key_id.len() as u8];
        bytes.extend(&self.key_id);
        bytes.extend((self.blob.len() as u16).to_be_bytes());
        bytes.extend(&self.blob);
        bytes
    }

    /// Reads what [`Sealed::encode`] wrote, to the last byte; `Rejected` for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (&[format, mechanism, id_length], rest) = bytes.split_first_chunk::<3>().ok_or(Error::Rejected)?;
        let mechanism = Mechanism::from_code(mechanism).filter(|_| format == FORMAT).ok_or(Error::Rejected)?;
        let (key_id, rest) = rest.split_at_checked(id_length.into()).ok_or(Error::Rejected)?;
        let (length, blob) = rest.split_first_chunk::<2>().ok_or(Error::Rejected)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if key_id.is_empty() || length > BLOB_MAX || blob.len() != length {
            return Err(Error::Rejected);
        }
        Ok(Sealed { mechanism, key_id: key_id.into(), blob: blob.into() })
    }
}

/// What a token encrypts: check 32 ‖ secret, where check = SHA-256("strongroom seal 1" ‖ aad length u32 ‖ aad ‖ secret).
///
/// The check binds the AAD where the mechanism cannot (OAEP), and shows a plaintext that a token gave back truncated,
/// zeroed or from another key, whatever its mechanism promises.
pub(crate) fn frame(aad: &[u8], secret: &SecretBytes) -> Result<SecretBytes> {
    if secret.is_empty() || secret.len() > SECRET_MAX {
        return Err(Error::Config(format!("a token seals 1 to {SECRET_MAX} bytes, not {}", secret.len())));
    }
    let mut check = check(aad, secret.expose());
    let framed = SecretBytes::filled(32 + secret.len(), |bytes| {
        bytes[..32].copy_from_slice(&check);
        bytes[32..].copy_from_slice(secret.expose());
    });
    check.zeroize();
    Ok(framed)
}

/// Checks and removes the frame.
pub(crate) fn unframe(aad: &[u8], framed: &SecretBytes) -> Result<SecretBytes> {
    let (held, secret) = framed.expose().split_at_checked(32).ok_or(Error::Rejected)?;
    let mut expected = check(aad, secret);
    let same = bool::from(held.ct_eq(&expected));
    expected.zeroize();
    if !same || secret.is_empty() {
        return Err(Error::Rejected);
    }
    Ok(SecretBytes::from_slice(secret))
}

fn check(aad: &[u8], secret: &[u8]) -> [u8; 32] {
    sha256(&[b"strongroom seal 1", &(aad.len() as u32).to_be_bytes(), aad, secret])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_decodes_to_itself_and_nothing_shorter_or_longer_does() {
        let sealed = Sealed { mechanism: Mechanism::AesGcm, key_id: vec![7; 16], blob: vec![9; 76] };
        let bytes = sealed.encode();
        assert_eq!(bytes.len(), 3 + 16 + 2 + 76);
        assert_eq!(Sealed::decode(&bytes).unwrap(), sealed);
        for length in 0..bytes.len() {
            assert_eq!(Sealed::decode(&bytes[..length]), Err(Error::Rejected), "{length} bytes");
        }
        assert_eq!(Sealed::decode(&[&bytes[..], &[0]].concat()), Err(Error::Rejected));
        for (at, value) in [(0, 2), (1, 0), (1, 5), (2, 0)] {
            let mut changed = bytes.clone();
            changed[at] = value;
            assert_eq!(Sealed::decode(&changed), Err(Error::Rejected), "byte {at} = {value}");
        }
    }

    #[test]
    fn a_frame_opens_for_its_own_place_only() {
        let secret = SecretBytes::from_slice(&[5; 32]);
        let framed = frame(b"here", &secret).unwrap();
        assert!(unframe(b"here", &framed).unwrap().same_as(&[5; 32]));
        assert_eq!(unframe(b"there", &framed).err(), Some(Error::Rejected));
        for bad in [vec![0; 64], framed.expose()[..63].to_vec(), framed.expose()[..32].to_vec(), vec![], vec![1; 31]] {
            assert_eq!(unframe(b"here", &SecretBytes::from_vec(bad)).err(), Some(Error::Rejected));
        }
    }

    #[test]
    fn nothing_and_too_much_are_not_sealed() {
        for length in [0, SECRET_MAX + 1] {
            assert!(matches!(frame(b"", &SecretBytes::from_vec(vec![1; length])), Err(Error::Config(_))));
        }
        // What may be sealed fits the smallest RSA key that is allowed: 2048 bits, OAEP with SHA-256 takes 66 bytes.
        const { assert!(32 + SECRET_MAX <= 256 - 66) };
    }
}
