//! As much DER (X.690) as keys need: the header of SubjectPublicKeyInfo, PKCS#8 and PKCS#1, and PEM (RFC 7468) around it.

use base64::Engine;
use zeroize::Zeroizing;

/// SubjectPublicKeyInfo up to the key itself (RFC 5480, RFC 8410).
pub(crate) const SPKI_P256: &[u8] = &hex::<26>("3059301306072a8648ce3d020106082a8648ce3d030107034200");
pub(crate) const SPKI_P384: &[u8] = &hex::<23>("3076301006072a8648ce3d020106052b81040022036200");
pub(crate) const SPKI_P521: &[u8] = &hex::<25>("30819b301006072a8648ce3d020106052b8104002303818600");
pub(crate) const SPKI_ED25519: &[u8] = &hex::<12>("302a300506032b6570032100");
/// AlgorithmIdentifier rsaEncryption with NULL parameters (RFC 8017).
const RSA_ENCRYPTION: &[u8] = &hex::<15>("300d06092a864886f70d0101010500");

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;

const fn hex<const N: usize>(text: &str) -> [u8; N] {
    let (text, mut out, mut at) = (text.as_bytes(), [0; N], 0);
    assert!(text.len() == 2 * N);
    while at < N {
        let (high, low) = (text[2 * at], text[2 * at + 1]);
        let high = if high <= b'9' { high - b'0' } else { high - b'a' + 10 };
        let low = if low <= b'9' { low - b'0' } else { low - b'a' + 10 };
        out[at] = high << 4 | low;
        at += 1;
    }
    out
}

/// Reads one element with tag `tag`: its content, and what follows it. Lengths up to 2^24, minimal form.
pub(crate) fn read(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let len = bytes.iter().fold(0, |len, &byte| len << 8 | usize::from(byte));
            (bytes[0] != 0 && len >= 0x80).then_some((len, rest))?
        }
        _ => return None,
    };
    (found == tag).then_some(rest.split_at_checked(len)?)
}

/// One element.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Zeroizing::new(Vec::with_capacity(len + 5));
    out.push(tag);
    match len {
        0..=0x7f => out.push(len as u8),
        0x80..=0xff => out.extend([0x81, len as u8]),
        0x100..=0xffff => out.extend([0x82, (len >> 8) as u8, len as u8]),
        _ => out.extend([0x83, (len >> 16) as u8, (len >> 8) as u8, len as u8]),
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// An INTEGER of a number that is not negative, from big-endian bytes.
pub(crate) fn integer(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len().saturating_sub(1));
    let bytes = if bytes.is_empty() { &[0] } else { &bytes[start..] };
    element(INTEGER, &[if bytes[0] >= 0x80 { &[0][..] } else { &[] }, bytes])
}

/// Reads an INTEGER that is not negative: its bytes without leading zeros.
pub(crate) fn read_integer(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, rest) = read(der, INTEGER)?;
    let start = content.iter().position(|&byte| byte != 0).unwrap_or(content.len());
    (*content.first()? < 0x80).then_some((&content[start..], rest))
}

/// The RSAPrivateKey (PKCS#1) inside an RSA key in PKCS#8 (RFC 5208).
pub(crate) fn pkcs1_of_pkcs8(pkcs8: &[u8]) -> Option<&[u8]> {
    let (content, _) = read(pkcs8, SEQUENCE)?;
    let (_, content) = read(content, INTEGER)?;
    let rest = content.strip_prefix(RSA_ENCRYPTION)?;
    Some(read(rest, OCTET_STRING)?.0)
}

/// An RSAPrivateKey (PKCS#1) as PKCS#8.
pub(crate) fn pkcs8_of_pkcs1(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    element(SEQUENCE, &[&[INTEGER, 1, 0], RSA_ENCRYPTION, &element(OCTET_STRING, &[pkcs1])])
}

/// The SubjectPublicKeyInfo of an RSAPublicKey (PKCS#1).
pub(crate) fn spki_of_rsa(pkcs1: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[RSA_ENCRYPTION, &element(BIT_STRING, &[&[0], pkcs1])]).to_vec()
}

/// The RSAPublicKey (PKCS#1) inside a SubjectPublicKeyInfo.
pub(crate) fn rsa_of_spki(spki: &[u8]) -> Option<&[u8]> {
    let (content, after) = read(spki, SEQUENCE)?;
    let (bits, _) = read(content.strip_prefix(RSA_ENCRYPTION)?, BIT_STRING)?;
    bits.strip_prefix(&[0]).filter(|_| after.is_empty())
}

/// PEM with lines of 64; `newline` after the last line, which servers write or leave out by kind of key.
pub(crate) fn pem(label: &str, der: &[u8], newline: bool) -> Zeroizing<String> {
    let text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(der));
    let mut out = Zeroizing::new(String::with_capacity(text.len() + text.len() / 64 + 2 * label.len() + 40));
    out.extend(["-----BEGIN ", label, "-----\n"]);
    for line in text.as_bytes().chunks(64) {
        // Base64 is ASCII.
        out.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        out.push('\n');
    }
    out.extend(["-----END ", label, "-----"]);
    if newline {
        out.push('\n');
    }
    out
}

/// The DER in the first PEM block with this label.
pub(crate) fn from_pem(label: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    base64::engine::general_purpose::STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_every_length_come_back_and_broken_ones_do_not() {
        for len in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000] {
            let content = vec![5; len];
            let der = element(SEQUENCE, &[&content]);
            assert_eq!(read(&der, SEQUENCE), Some((&content[..], &[][..])));
            assert_eq!(read(&der, INTEGER), None);
            assert_eq!(read(&der[..der.len() - 1], SEQUENCE), None);
        }
        for bad in
            [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x81, 5, 1, 2, 3, 4, 5], &[0x30, 0x82, 0, 0x80], &[0x30, 0x84]]
        {
            assert_eq!(read(bad, SEQUENCE), None, "{bad:?}");
        }
    }

    #[test]
    fn integers_have_no_needless_zeros() {
        assert_eq!(integer(&[0, 0, 0x7f]).as_slice(), [2, 1, 0x7f]);
        assert_eq!(integer(&[0x80]).as_slice(), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[]).as_slice(), [2, 1, 0]);
        assert_eq!(integer(&[0, 0]).as_slice(), [2, 1, 0]);
        assert_eq!(read_integer(&[2, 2, 0, 0x80]), Some((&[0x80][..], &[][..])));
        assert_eq!(read_integer(&[2, 1, 0x80]), None, "negative");
        assert_eq!(read_integer(&[2, 0]), None, "empty");
    }

    #[test]
    fn pem_comes_back() {
        let text = pem("PUBLIC KEY", &[1; 100], true);
        assert!(text.lines().all(|line| line.len() <= 64));
        assert_eq!(from_pem("PUBLIC KEY", &text).unwrap().as_slice(), [1; 100]);
        assert!(from_pem("PRIVATE KEY", &text).is_none());
        assert!(from_pem("PUBLIC KEY", "-----BEGIN PUBLIC KEY-----\n??\n-----END PUBLIC KEY-----").is_none());
    }
}
