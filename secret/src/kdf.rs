//! The key derivation of SP 800-108 r1, counter mode over HMAC-SHA256: 32-bit counter first, 32-bit length last.

use crate::mac::HmacKey;
use crate::{Key, Purpose, SecretBytes};

/// Derives `out.len()` bytes: blocks of HMAC(key, [i]32 ‖ label ‖ 00 ‖ context parts ‖ [L]32), i from 1, L in bits.
///
/// # Panics
/// When more than 2^29 - 1 bytes are asked for, which L cannot express.
pub fn counter_hmac_sha256(key: &HmacKey, label: &[u8], context: &[&[u8]], out: &mut [u8]) {
    let bits = u32::try_from(out.len() as u64 * 8).expect("at most 2^29 - 1 bytes").to_be_bytes();
    for (block, counter) in out.chunks_mut(32).zip(1u32..) {
        let counter = counter.to_be_bytes();
        let mut parts: Vec<&[u8]> = Vec::with_capacity(context.len() + 4);
        parts.extend([&counter[..], label, &[0]]);
        parts.extend(context);
        parts.push(&bits);
        let mut tag = key.sign(&parts);
        block.copy_from_slice(&tag[..block.len()]);
        zeroize::Zeroize::zeroize(&mut tag);
    }
}

/// A key of purpose `P`, derived under its purpose's name as label.
pub fn derive<P: Purpose, const N: usize>(key: &HmacKey, context: &[&[u8]]) -> Key<P, N> {
    Key::filled(|out| counter_hmac_sha256(key, P::NAME.as_bytes(), context, out))
}

/// Secret bytes derived under `label`.
pub fn derive_bytes(key: &HmacKey, label: &[u8], context: &[&[u8]], len: usize) -> SecretBytes {
    SecretBytes::filled(len, |out| counter_hmac_sha256(key, label, context, out))
}
