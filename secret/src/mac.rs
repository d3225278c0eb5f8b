//! HMAC-SHA256 (FIPS 198-1) with a key prepared once.

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

/// A prepared HMAC-SHA256 key. The module keeps its own copy of the key schedule and wipes it.
pub struct HmacKey(hmac::Key);

impl HmacKey {
    /// Prepares `key`; the caller keeps and wipes its own copy.
    pub fn new(key: &[u8]) -> Self {
        HmacKey(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The 32-byte tag over the parts, one after the other. Parts are not framed: the caller makes them unambiguous.
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        // HMAC-SHA256 has 32 bytes of output.
        context.sign().as_ref().try_into().expect("HMAC-SHA256 gives 32 bytes")
    }

    /// The first 16 bytes of [`HmacKey::sign`].
    pub fn sign16(&self, parts: &[&[u8]]) -> [u8; 16] {
        // 16 of 32 bytes.
        self.sign(parts)[..16].try_into().expect("16 of 32 bytes")
    }

    /// Whether `tag` (16 to 32 bytes, a truncation counts) is the tag over the parts; in constant time.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        (16..=32).contains(&tag.len()) && bool::from(self.sign(parts)[..tag.len()].ct_eq(tag))
    }
}
