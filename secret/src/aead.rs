//! AES-256-GCM (SP 800-38D) with a 96-bit nonce that the module draws itself.

use crate::SecretBytes;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

/// Bytes that sealing adds: nonce and tag.
pub const OVERHEAD: usize = NONCE_LEN + 16;

/// Sealing or opening failed: one error for every cause, so that it tells an attacker nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message authentication failed")]
pub struct AeadError;

/// A prepared AES-256-GCM key. At most 2^32 messages may be sealed under one (SP 800-38D 8.3); the owner counts.
pub struct AeadKey(RandomizedNonceKey);

impl AeadKey {
    /// Prepares `key`; the caller keeps and wipes its own copy.
    pub fn new(key: &[u8; 32]) -> Self {
        // The length is right by type.
        AeadKey(RandomizedNonceKey::new(&AES_256_GCM, key).expect("a 32-byte key fits AES-256-GCM"))
    }

    /// Appends nonce (12) ‖ ciphertext ‖ tag (16) of `plaintext` to `out`.
    pub fn seal(&self, aad: &[u8], plaintext: &[u8], out: &mut Vec<u8>) -> Result<(), AeadError> {
        let start = out.len();
        out.reserve(OVERHEAD + plaintext.len());
        out.extend([0; NONCE_LEN]);
        out.extend(plaintext);
        let (head, body) = out.split_at_mut(start + NONCE_LEN);
        match self.0.seal_in_place_separate_tag(Aad::from(aad), body) {
            Ok((nonce, tag)) => {
                head[start..].copy_from_slice(nonce.as_ref());
                out.extend(tag.as_ref());
                Ok(())
            }
            Err(_) => {
                zeroize::Zeroize::zeroize(&mut out[start..]);
                out.truncate(start);
                Err(AeadError)
            }
        }
    }

    /// Opens nonce ‖ ciphertext ‖ tag in place, and gives the plaintext's part of `sealed`.
    pub fn open_in_place<'a>(&self, aad: &[u8], sealed: &'a mut [u8]) -> Result<&'a mut [u8], AeadError> {
        if sealed.len() < OVERHEAD {
            return Err(AeadError);
        }
        let (nonce, body) = sealed.split_at_mut(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| AeadError)?;
        self.0.open_in_place(nonce, Aad::from(aad), body).map_err(|_| AeadError)
    }

    /// Opens nonce ‖ ciphertext ‖ tag into a secret of its own.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<SecretBytes, AeadError> {
        let mut copy = sealed.to_vec();
        let opened = self.open_in_place(aad, &mut copy).map(|plaintext| SecretBytes::from_slice(plaintext));
        zeroize::Zeroize::zeroize(&mut copy);
        opened
    }
}
