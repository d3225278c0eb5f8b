//! Whole numbers in decimal, as backups of other servers write ECDSA and RSA keys. Secret: wiped, never printed.

use strongroom_secret::SecretBytes;
use zeroize::Zeroizing;

/// The decimal digits of a big-endian number.
pub(crate) fn from_bytes(bytes: &[u8]) -> Zeroizing<String> {
    const CHUNK: u64 = 1_000_000_000;
    // Little-endian limbs, divided by 10^9 again and again.
    let mut limbs: Zeroizing<Vec<u32>> = Zeroizing::new(
        bytes.rchunks(4).map(|limb| limb.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))).collect(),
    );
    let mut chunks: Zeroizing<Vec<u32>> = Zeroizing::new(Vec::with_capacity(bytes.len() / 3 + 1));
    while limbs.iter().any(|limb| *limb != 0) {
        let mut rest = 0;
        for limb in limbs.iter_mut().rev() {
            let value = rest << 32 | u64::from(*limb);
            *limb = (value / CHUNK) as u32;
            rest = value % CHUNK;
        }
        chunks.push(rest as u32);
    }
    let mut out = Zeroizing::new(String::with_capacity(9 * chunks.len() + 1));
    for (at, chunk) in chunks.iter().rev().enumerate() {
        let digits = Zeroizing::new(if at == 0 { chunk.to_string() } else { format!("{chunk:09}") });
        out.push_str(&digits);
    }
    if out.is_empty() {
        out.push('0');
    }
    out
}

/// The big-endian bytes of a decimal number: `len` of them, or as many as it needs where that is `None`. `None` when it
/// is no number, or too large for `len` or for 8192 bits.
pub(crate) fn to_bytes(digits: &str, len: Option<usize>) -> Option<SecretBytes> {
    const MOST_DIGITS: usize = 2467;
    if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut limbs: Zeroizing<Vec<u32>> = Zeroizing::new(Vec::with_capacity(digits.len() / 9 + 2));
    for digit in digits.bytes() {
        let mut carry = u64::from(digit - b'0');
        for limb in limbs.iter_mut() {
            let value = u64::from(*limb) * 10 + carry;
            *limb = value as u32;
            carry = value >> 32;
        }
        if carry != 0 {
            limbs.push(carry as u32);
        }
    }
    let whole: Zeroizing<Vec<u8>> = Zeroizing::new(limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect());
    let start = whole.iter().position(|byte| *byte != 0).unwrap_or(whole.len());
    let needed = &whole[start..];
    let len = len.unwrap_or(needed.len());
    (needed.len() <= len).then(|| SecretBytes::filled(len, |out| out[len - needed.len()..].copy_from_slice(needed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        assert_eq!(from_bytes(&[]).as_str(), "0");
        assert_eq!(from_bytes(&[0, 0]).as_str(), "0");
        assert_eq!(from_bytes(&[1, 0, 0, 0, 0]).as_str(), "4294967296");
        assert_eq!(from_bytes(&1_000_000_000u64.to_be_bytes()).as_str(), "1000000000");
        assert_eq!(from_bytes(&u128::MAX.to_be_bytes()).as_str(), u128::MAX.to_string());
        for number in [0, 1, 9, 10, 255, 256, u128::MAX, u128::MAX / 3, 10u128.pow(38)] {
            let bytes = to_bytes(&number.to_string(), Some(16)).unwrap();
            assert_eq!(bytes.expose(), number.to_be_bytes());
            let short = to_bytes(&number.to_string(), None).unwrap();
            assert_eq!(from_bytes(short.expose()).as_str(), number.to_string());
        }
        let large: Vec<u8> = (1..=255).collect();
        assert_eq!(to_bytes(&from_bytes(&large), None).unwrap().expose(), large);
    }

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        for bad in ["", "-1", "1.0", "1e3", "0x10", " 1"] {
            assert!(to_bytes(bad, None).is_none(), "{bad:?}");
        }
        assert!(to_bytes("256", Some(1)).is_none());
        assert!(to_bytes(&"9".repeat(3000), None).is_none());
    }
}
