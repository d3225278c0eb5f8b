//! Token ids and accessors. The byte table is in `docs/formats/token-id.md`.

use std::fmt;

use strongroom_secret::RandomError;
use zeroize::Zeroizing;

/// What a service token starts with.
pub const SERVICE_PREFIX: &str = "hvs.";
/// What a batch token starts with.
pub const BATCH_PREFIX: &str = "hvb.";

/// A longer text is no token and is not looked up: the longest that a header may sensibly carry.
pub(super) const ID_LIMIT: usize = 8192;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM: usize = 18;
const CHECK: usize = 6;
const ACCESSOR: usize = 24;

/// A fresh service token.
pub(super) fn service() -> Result<Zeroizing<String>, RandomError> {
    let mut id = Zeroizing::new(String::with_capacity(SERVICE_PREFIX.len() + RANDOM + CHECK));
    id.push_str(SERVICE_PREFIX);
    push_random(&mut id, RANDOM)?;
    let check = check_of(&id);
    id.extend(check.iter().map(|&digit| char::from(digit)));
    Ok(id)
}

/// A fresh accessor.
pub(super) fn accessor() -> Result<String, RandomError> {
    let mut accessor = String::with_capacity(ACCESSOR);
    push_random(&mut accessor, ACCESSOR)?;
    Ok(accessor)
}

/// Whether `text` has the form of an accessor.
pub(super) fn is_accessor(text: &str) -> bool {
    text.len() == ACCESSOR && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether `text` is a service token by its form and check. What a server stores it cannot tell.
pub fn is_service_token(text: &str) -> bool {
    text.len() == SERVICE_PREFIX.len() + RANDOM + CHECK
        && text.starts_with(SERVICE_PREFIX)
        && text[SERVICE_PREFIX.len()..].bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.as_bytes()[SERVICE_PREFIX.len() + RANDOM..] == check_of(&text[..SERVICE_PREFIX.len() + RANDOM])
}

/// Why a caller may not choose `id` for a token, in the words that clients know.
pub(super) fn unfit_choice(id: &str) -> Option<String> {
    if let Some(prefix) = ["s.", SERVICE_PREFIX].into_iter().find(|prefix| id.starts_with(prefix)) {
        return Some(format!("custom token ID cannot have the '{prefix}' prefix"));
    }
    if id.contains('.') {
        return Some("custom token ID cannot have a '.' in the value".into());
    }
    if id.len() > 512 || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some("custom token ID must have at most 512 characters, all of them printable ASCII".into());
    }
    None
}

/// The key under which a token is stored: an HMAC of its id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenKey(pub(super) [u8; 16]);

impl TokenKey {
    /// Reads the name of a row.
    pub fn parse(text: &str) -> Option<TokenKey> {
        let mut key = [0; 16];
        // The decoder takes upper case too, which would give one key two names.
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        (lower && hex::decode_to_slice(text, &mut key).is_ok()).then_some(TokenKey(key))
    }

    /// The name of its row, without an allocation.
    pub(super) fn name(self) -> Name {
        let mut name = [0; 32];
        // 16 bytes have 32 digits.
        hex::encode_to_slice(self.0, &mut name).expect("32 digits for 16 bytes");
        Name(name)
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({self})")
    }
}

/// A key in hex.
pub(super) struct Name([u8; 32]);

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        // Hex digits are ASCII.
        std::str::from_utf8(&self.0).expect("hex digits are UTF-8")
    }
}

/// Appends `count` characters of base62, each drawn anew where its six bits say 62 or 63, so that none is likelier.
fn push_random(text: &mut String, count: usize) -> Result<(), RandomError> {
    let end = text.len() + count;
    let mut bytes = Zeroizing::new([0; 32]);
    while text.len() < end {
        strongroom_secret::random::fill(&mut *bytes)?;
        let digits = bytes.iter().filter_map(|byte| DIGITS.get(usize::from(byte & 63)));
        text.extend(digits.take(end - text.len()).map(|&digit| char::from(digit)));
    }
    Ok(())
}

fn check_of(text: &str) -> [u8; CHECK] {
    let mut rest = crc32(text.as_bytes());
    let mut check = [0; CHECK];
    for digit in check.iter_mut().rev() {
        *digit = DIGITS[rest as usize % 62];
        rest /= 62;
    }
    check
}

/// CRC-32 of ISO 3309: reflected, polynomial EDB88320. By table, since each request with a service token pays for it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| (crc >> 8) ^ CRC[((crc ^ u32::from(byte)) & 0xFF) as usize])
}

static CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_is_that_of_zip() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_fresh_token_has_28_characters_and_a_check_that_every_change_breaks() {
        for _ in 0..200 {
            let id = service().unwrap();
            assert_eq!(id.len(), 28);
            assert!(is_service_token(&id));
            for at in 4..28 {
                let mut other = id.as_bytes().to_vec();
                other[at] = if other[at] == b'a' { b'b' } else { b'a' };
                assert!(!is_service_token(std::str::from_utf8(&other).unwrap()), "position {at}");
            }
        }
    }

    #[test]
    fn what_is_no_service_token_is_known_by_its_form() {
        for text in ["", "hvs.", "s.abcdefghijklmnopqrstuvwx", "hvs.üüüüüüüüüüüü", &"x".repeat(28)] {
            assert!(!is_service_token(text), "{text}");
        }
    }

    #[test]
    fn all_digits_occur_and_none_much_more_than_others() {
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..2000 {
            for c in accessor().unwrap().chars() {
                *counts.entry(c).or_insert(0) += 1;
            }
        }
        // 48,000 draws over 62 digits: 774 each, standard deviation 28.
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| (550..1000).contains(count)), "{counts:?}");
    }

    #[test]
    fn chosen_ids_that_are_refused() {
        let why = |id: &str| unfit_choice(id).unwrap_or_default();
        assert_eq!(why("s.mytoken"), "custom token ID cannot have the 's.' prefix");
        assert_eq!(why("hvs.mytoken"), "custom token ID cannot have the 'hvs.' prefix");
        assert_eq!(why("with.dot"), "custom token ID cannot have a '.' in the value");
        assert!(why("two\nlines").contains("printable") && why(&"x".repeat(513)).contains("512"));
        assert_eq!(why("wire-custom-id-1"), "");
    }

    #[test]
    fn a_key_has_one_name() {
        let key = TokenKey([0xAB; 16]);
        assert_eq!(TokenKey::parse(&key.to_string()), Some(key));
        assert_eq!(TokenKey::parse(&key.to_string().to_uppercase()), None);
        assert_eq!(TokenKey::parse("ab"), None);
    }
}
