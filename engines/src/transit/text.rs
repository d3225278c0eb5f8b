//! What stands in requests: base64 as Go reads it, and `vault:v<N>:<base64>`.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use std::fmt;
use strongroom_mount::{Error, Fields};
use zeroize::Zeroizing;

/// Why a text is not base64, in Go's words; the text itself, which may be secret, is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Illegal(usize);

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "illegal base64 data at input byte {}", self.0)
    }
}

/// As Go's standard encoding: padded, bits after the last byte may be anything.
const GO: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Appends the bytes of standard base64 to `out`, which is grown at most once, before it holds anything of them.
pub(crate) fn decode_into(text: &str, spare: usize, out: &mut Vec<u8>) -> Result<(), Illegal> {
    out.reserve_exact(text.len() / 4 * 3 + 3 + spare);
    let start = out.len();
    if base64_simd::STANDARD.decode_append(text.as_bytes(), out).is_ok() {
        return Ok(());
    }
    out.truncate(start);
    // Go also takes line breaks, and bits after the end.
    let joined: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect());
    let decoded = GO.decode(joined.as_bytes()).map(Zeroizing::new).map_err(|error| match error {
        base64::DecodeError::InvalidByte(at, _) => Illegal(at),
        base64::DecodeError::InvalidLastSymbol { .. } | base64::DecodeError::InvalidLength(_) => Illegal(joined.len()),
        _ => Illegal(joined.len()),
    })?;
    out.extend_from_slice(&decoded);
    Ok(())
}

/// The bytes of standard base64.
pub(crate) fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, Illegal> {
    let mut out = Zeroizing::new(Vec::new());
    decode_into(text, 0, &mut out)?;
    Ok(out)
}

/// The bytes of base64url without padding, as JWS has it.
pub(crate) fn decode_url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Base64url without padding.
pub(crate) fn encode_url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Standard base64.
pub(crate) fn encode(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// Hex digits, wiped when dropped.
pub(crate) fn hex(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)].into());
        out.push(DIGITS[usize::from(byte & 15)].into());
    }
    out
}

/// A base64 parameter that may be left out; absent and empty are the same.
pub(crate) fn optional(fields: &Fields, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    match fields.string(name)? {
        Some(text) if !text.is_empty() => decode(&text).map(Some).map_err(|why| Error::caller(why.to_string())),
        _ => Ok(None),
    }
}

/// What something made by a key version is called in errors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    Ciphertext,
    Signature,
    Hmac,
}

impl Made {
    fn no_prefix(self) -> &'static str {
        match self {
            Made::Ciphertext => "invalid ciphertext: no prefix",
            Made::Signature => "invalid signature: no prefix",
            Made::Hmac => "invalid HMAC to verify: no prefix",
        }
    }

    fn fields(self) -> &'static str {
        match self {
            Made::Ciphertext => "invalid ciphertext: wrong number of fields",
            Made::Signature => "invalid signature: wrong number of fields",
            Made::Hmac => "invalid HMAC: wrong number of fields",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Made::Ciphertext => "invalid ciphertext: version number could not be decoded",
            Made::Signature => "invalid signature: version number could not be decoded",
            Made::Hmac => "invalid HMAC: version number could not be decoded",
        }
    }

    /// The error for a version newer than the newest.
    pub(crate) fn too_new(self) -> Error {
        Error::caller(match self {
            Made::Ciphertext => "invalid ciphertext: version is too new",
            Made::Signature => "invalid signature: version is too new",
            Made::Hmac => "invalid HMAC: version is too new",
        })
    }
}

/// Splits `vault:v<N>:<payload>` into version and payload.
pub(crate) fn split(text: &str, made: Made) -> Result<(u32, &str), Error> {
    let rest = text.strip_prefix("vault:v").ok_or_else(|| Error::caller(made.no_prefix()))?;
    let (version, payload) = rest.split_once(':').ok_or_else(|| Error::caller(made.fields()))?;
    let digits = version.bytes().all(|byte| byte.is_ascii_digit());
    // Beyond u32 there are no versions.
    let version = version.parse().ok().filter(|_| digits).ok_or_else(|| Error::caller(made.version()))?;
    Ok((version, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_as_go_reads_it() {
        for (text, want) in
            [("", &b""[..]), ("YQ==", b"a"), ("YR==", b"a"), ("YW\r\nFh", b"aaa"), ("1234", b"\xd7\x6d\xf8")]
        {
            assert_eq!(decode(text).unwrap().as_slice(), want, "{text:?}");
        }
        for text in ["??", "not base64!", "-_-_", "YQ", "YQ=", "Y", "YQ==YQ==", "=", "Y Q="] {
            let error = decode(text).expect_err(text).to_string();
            assert!(error.starts_with("illegal base64 data at input byte "), "{error}");
        }
    }

    #[test]
    fn what_was_there_before_stays_in_front() {
        let mut out = vec![0; 12];
        decode_into("YWE=", 16, &mut out).unwrap();
        assert_eq!(out, [&[0; 12][..], b"aa"].concat());
        let mut out = vec![7];
        assert!(decode_into("??", 0, &mut out).is_err());
        assert_eq!(out, [7]);
    }

    #[test]
    fn versions_and_payloads_are_split_or_refused_by_name() {
        let text = |text| split(text, Made::Ciphertext).map_err(|error| error.to_string());
        assert_eq!(text("vault:v12:abc"), Ok((12, "abc")));
        assert_eq!(text("vault:v0:"), Ok((0, "")));
        for (bad, why) in [
            ("", "no prefix"),
            ("vault:abc", "no prefix"),
            ("vault:v1", "wrong number of fields"),
            ("vault:vx:abc", "version number could not be decoded"),
            ("vault:v:abc", "version number could not be decoded"),
            ("vault:v+1:abc", "version number could not be decoded"),
            ("vault:v-1:abc", "version number could not be decoded"),
            ("vault:v4294967296:abc", "version number could not be decoded"),
        ] {
            assert_eq!(text(bad), Err(format!("invalid ciphertext: {why}")), "{bad}");
        }
    }
}
