//! Authenticated ciphers with their keys prepared once: nonce ‖ ciphertext ‖ tag in one buffer.

use super::key_type::KeyType;
use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, RandomizedNonceKey, UnboundKey,
};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use strongroom_mount::Error;
use strongroom_secret::random;
use zeroize::Zeroize;

/// Bytes of an authentication tag.
pub(crate) const TAG_LEN: usize = 16;

/// A prepared key of a symmetric cipher.
pub(crate) enum Cipher {
    /// AES-GCM whose nonces the module draws itself.
    Drawn(RandomizedNonceKey),
    /// AES-GCM under a nonce made of the plaintext (convergent keys, not approved), and ChaCha20-Poly1305.
    Given(LessSafeKey),
    /// XChaCha20-Poly1305.
    Extended(Box<XChaCha20Poly1305>),
}

impl Cipher {
    /// Prepares `key`, whose length is `kind`'s; `convergent` where the nonce is made of the plaintext.
    pub(crate) fn new(kind: KeyType, key: &[u8], convergent: bool) -> Result<Cipher, Error> {
        let algorithm = match kind {
            KeyType::Aes128 => &AES_128_GCM,
            KeyType::Aes256 => &AES_256_GCM,
            KeyType::ChaCha20 => &CHACHA20_POLY1305,
            KeyType::XChaCha20 => {
                let cipher = XChaCha20Poly1305::new_from_slice(key).map_err(|_| unfit(kind))?;
                return Ok(Cipher::Extended(Box::new(cipher)));
            }
            _ => return Err(unfit(kind)),
        };
        if kind == KeyType::ChaCha20 || convergent {
            return Ok(Cipher::Given(LessSafeKey::new(UnboundKey::new(algorithm, key).map_err(|_| unfit(kind))?)));
        }
        Ok(Cipher::Drawn(RandomizedNonceKey::new(algorithm, key).map_err(|_| unfit(kind))?))
    }

    /// Seals `buffer`, which holds room for a nonce and then the plaintext, into nonce ‖ ciphertext ‖ tag.
    ///
    /// A buffer with spare capacity for the tag is never moved, so no plaintext is left behind.
    pub(crate) fn seal(&self, nonce: Option<&[u8]>, aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), Error> {
        let nonce_len = if matches!(self, Cipher::Extended(_)) { 24 } else { 12 };
        let (head, body) = buffer.split_at_mut(nonce_len);
        let tag: Result<[u8; TAG_LEN], Error> = match self {
            Cipher::Drawn(key) => {
                let sealed = key.seal_in_place_separate_tag(Aad::from(aad), body).map_err(failed);
                sealed.and_then(|(nonce, tag)| {
                    head.copy_from_slice(nonce.as_ref());
                    tag.as_ref().try_into().map_err(failed)
                })
            }
            Cipher::Given(key) => draw(nonce, head)
                .and_then(|()| Nonce::try_assume_unique_for_key(head).map_err(failed))
                .and_then(|nonce| key.seal_in_place_separate_tag(nonce, Aad::from(aad), body).map_err(failed))
                .and_then(|tag| tag.as_ref().try_into().map_err(failed)),
            Cipher::Extended(key) => draw(nonce, head)
                .and_then(|()| XNonce::try_from(&*head).map_err(failed))
                .and_then(|nonce| key.encrypt_inout_detached(&nonce, aad, body.into()).map_err(failed))
                .map(|tag| tag.into()),
        };
        let result = tag.map(|tag| buffer.extend_from_slice(&tag));
        if result.is_err() {
            buffer.zeroize();
        }
        result
    }

    /// Opens nonce ‖ ciphertext ‖ tag in place. One error for whatever is wrong.
    pub(crate) fn open<'a>(&self, aad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let nonce_len = if matches!(self, Cipher::Extended(_)) { 24 } else { 12 };
        if sealed.len() < nonce_len + TAG_LEN {
            return None;
        }
        let (nonce, body) = sealed.split_at_mut(nonce_len);
        match self {
            Cipher::Drawn(key) => {
                key.open_in_place(Nonce::try_assume_unique_for_key(nonce).ok()?, Aad::from(aad), body).ok()
            }
            Cipher::Given(key) => {
                key.open_in_place(Nonce::try_assume_unique_for_key(nonce).ok()?, Aad::from(aad), body).ok()
            }
            Cipher::Extended(key) => {
                let (text, tag) = body.split_at_mut(body.len() - TAG_LEN);
                let tag = (&*tag).try_into().ok()?;
                key.decrypt_inout_detached(&XNonce::try_from(&*nonce).ok()?, aad, (&mut *text).into(), tag).ok()?;
                Some(text)
            }
        }
    }
}

fn draw(given: Option<&[u8]>, head: &mut [u8]) -> Result<(), Error> {
    match given {
        Some(nonce) => {
            head.copy_from_slice(nonce);
            Ok(())
        }
        None => random::fill(head).map_err(Error::us),
    }
}

fn unfit(kind: KeyType) -> Error {
    Error::us(format_args!("key material does not fit {}", kind.name()))
}

fn failed<E>(_: E) -> Error {
    Error::us("encryption failed in the module")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(kind: KeyType, plaintext: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; kind.nonce_len()];
        buffer.extend_from_slice(plaintext);
        buffer
    }

    #[test]
    fn what_is_sealed_opens_and_any_changed_bit_does_not() {
        for kind in KeyType::all() {
            let Some(len) = kind.cipher_key_len() else { continue };
            for convergent in [false, true] {
                let cipher = Cipher::new(kind, &vec![9; len], convergent).unwrap();
                let nonce = vec![3; kind.nonce_len()];
                let mut sealed = buffer(kind, b"attack at dawn");
                cipher.seal(convergent.then_some(&nonce[..]), b"aad", &mut sealed).unwrap();
                assert_eq!(sealed.len(), kind.nonce_len() + 14 + TAG_LEN);
                assert_eq!(cipher.open(b"aad", &mut sealed.clone()).unwrap(), b"attack at dawn");
                assert!(cipher.open(b"oad", &mut sealed.clone()).is_none());
                for bit in 0..sealed.len() * 8 {
                    let mut changed = sealed.clone();
                    changed[bit / 8] ^= 1 << (bit % 8);
                    assert!(cipher.open(b"aad", &mut changed).is_none(), "{kind:?} bit {bit}");
                }
                for len in 0..kind.nonce_len() + TAG_LEN {
                    assert!(cipher.open(b"aad", &mut sealed[..len].to_vec()).is_none());
                }
            }
        }
        assert!(Cipher::new(KeyType::Aes256, &[0; 16], false).is_err());
        assert!(Cipher::new(KeyType::P256, &[0; 32], false).is_err());
    }
}
