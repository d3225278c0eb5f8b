//! A key's attributes as the token tells them, and whether they are those of a key that cannot leave it.
//!
//! Everything here parses bytes from a token that may be hostile: lengths first, never a panic.

use super::slots::text;
use crate::{KeyInfo, KeyKind, rsa};
use cryptoki_sys::*;

/// What is asked of every key, in one call.
pub(super) const ASKED: &[CK_ATTRIBUTE_TYPE] = &[
    CKA_CLASS,
    CKA_KEY_TYPE,
    CKA_LABEL,
    CKA_ID,
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_SENSITIVE,
    CKA_EXTRACTABLE,
    CKA_ALWAYS_SENSITIVE,
    CKA_NEVER_EXTRACTABLE,
    CKA_LOCAL,
    CKA_MODIFIABLE,
    CKA_ENCRYPT,
    CKA_DECRYPT,
    CKA_SIGN,
    CKA_VERIFY,
    CKA_WRAP,
    CKA_UNWRAP,
    CKA_DERIVE,
    CKA_VALUE_LEN,
    CKA_MODULUS,
    CKA_PUBLIC_EXPONENT,
    CKA_EC_PARAMS,
    CKA_EC_POINT,
];

/// P-256 as an object identifier: 1.2.840.10045.3.1.7.
pub(super) const P256_OID: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// The values for [`ASKED`], in its order.
pub(super) struct Attributes(pub(super) Vec<Option<Vec<u8>>>);

impl Attributes {
    fn bytes(&self, wanted: CK_ATTRIBUTE_TYPE) -> Option<&[u8]> {
        let place = ASKED.iter().position(|asked| *asked == wanted)?;
        self.0.get(place)?.as_deref()
    }

    fn flag(&self, wanted: CK_ATTRIBUTE_TYPE) -> Option<bool> {
        match self.bytes(wanted)? {
            [value] => Some(*value != 0),
            _ => None,
        }
    }

    fn number(&self, wanted: CK_ATTRIBUTE_TYPE) -> Option<u64> {
        let bytes = self.bytes(wanted)?;
        // CK_ULONG, 8 bytes in the machine's order on the machines that we build for; 4 where a module says so.
        match bytes.len() {
            8 => Some(u64::from_ne_bytes(bytes.try_into().ok()?)),
            4 => Some(u64::from(u32::from_ne_bytes(bytes.try_into().ok()?))),
            _ => None,
        }
    }

    pub(super) fn is_secret(&self) -> bool {
        self.number(CKA_CLASS) == Some(CKO_SECRET_KEY)
    }

    pub(super) fn is_private(&self) -> bool {
        self.number(CKA_CLASS) == Some(CKO_PRIVATE_KEY)
    }

    fn kind(&self) -> KeyKind {
        let Some(key_type) = self.number(CKA_KEY_TYPE) else { return KeyKind::Other(u64::MAX) };
        match key_type {
            CKK_AES if self.is_secret() && self.number(CKA_VALUE_LEN) == Some(32) => KeyKind::Aes256,
            CKK_RSA if self.is_private() => match self.bytes(CKA_MODULUS) {
                Some(modulus) => {
                    let skip = modulus.iter().take_while(|byte| **byte == 0).count();
                    // An attribute has at most 4,096 bytes.
                    KeyKind::Rsa((modulus.len() - skip) as u32 * 8)
                }
                None => KeyKind::Other(key_type),
            },
            CKK_EC if self.is_private() && self.bytes(CKA_EC_PARAMS) == Some(P256_OID) => KeyKind::P256,
            other => KeyKind::Other(other),
        }
    }

    /// The key as a listing shows it, its first weakness included.
    pub(super) fn describe(&self) -> KeyInfo {
        let label = text(self.bytes(CKA_LABEL).unwrap_or_default());
        let id = match self.bytes(CKA_ID) {
            // A sealed value has one byte for the id's length.
            Some(id) if (1..=255).contains(&id.len()) => id.to_vec(),
            _ => {
                let mut id = format!("label:{label}").into_bytes();
                id.truncate(255);
                id
            }
        };
        let kind = self.kind();
        KeyInfo { label, id, kind, weakness: self.weakness(kind) }
    }

    /// The first attribute for which this key is refused: it could leave the device, be changed, or be used to get
    /// another key out (A-150, A-151: a key that wraps and decrypts opens what it wrapped).
    fn weakness(&self, kind: KeyKind) -> Option<String> {
        let mut rules = vec![
            (CKA_TOKEN, "CKA_TOKEN", true),
            (CKA_PRIVATE, "CKA_PRIVATE", true),
            (CKA_SENSITIVE, "CKA_SENSITIVE", true),
            (CKA_EXTRACTABLE, "CKA_EXTRACTABLE", false),
            (CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE", true),
            (CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", true),
            (CKA_LOCAL, "CKA_LOCAL", true),
            (CKA_MODIFIABLE, "CKA_MODIFIABLE", false),
            (CKA_UNWRAP, "CKA_UNWRAP", false),
            (CKA_DERIVE, "CKA_DERIVE", false),
        ];
        match kind {
            KeyKind::Aes256 => rules.extend([
                (CKA_ENCRYPT, "CKA_ENCRYPT", true),
                (CKA_DECRYPT, "CKA_DECRYPT", true),
                (CKA_WRAP, "CKA_WRAP", false),
                (CKA_SIGN, "CKA_SIGN", false),
                (CKA_VERIFY, "CKA_VERIFY", false),
            ]),
            KeyKind::Rsa(bits) if bits < 2048 => return Some(format!("{bits} bits of RSA are fewer than 2048")),
            // One use: a key that decrypts for whoever asks does not also sign.
            KeyKind::Rsa(_) => rules.push((CKA_SIGN, "CKA_SIGN", self.flag(CKA_DECRYPT) == Some(false))),
            KeyKind::P256 => rules.push((CKA_SIGN, "CKA_SIGN", true)),
            KeyKind::Other(_) => return Some("neither AES-256 nor RSA nor P-256".into()),
        }
        rules.into_iter().find_map(|(type_, name, wanted)| match self.flag(type_) {
            Some(value) if value == wanted => None,
            Some(value) => Some(format!("{name} is {value}")),
            None => Some(format!("the token does not tell {name}")),
        })
    }

    /// Whether the key decrypts; else it signs.
    pub(super) fn decrypts(&self) -> bool {
        self.flag(CKA_DECRYPT) == Some(true)
    }

    /// The public half, where these attributes hold it: SubjectPublicKeyInfo of RSA, the point of P-256.
    pub(super) fn public(&self) -> Option<Vec<u8>> {
        match (self.number(CKA_KEY_TYPE)?, self.bytes(CKA_EC_POINT)) {
            (CKK_RSA, _) => rsa::spki(self.bytes(CKA_MODULUS)?, self.bytes(CKA_PUBLIC_EXPONENT)?),
            // An OCTET STRING around the uncompressed point; some modules leave the string away.
            (CKK_EC, Some([0x04, 65, point @ ..]) | Some(point)) if point.len() == 65 && point[0] == 0x04 => {
                Some(point.to_vec())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in super::super) fn attributes(set: &[(CK_ATTRIBUTE_TYPE, &[u8])]) -> Attributes {
        let value = |asked| set.iter().find(|(type_, _)| *type_ == asked).map(|(_, value)| value.to_vec());
        Attributes(ASKED.iter().map(|asked| value(*asked)).collect())
    }

    const YES: &[u8] = &[1];
    const NO: &[u8] = &[0];

    fn strong_aes() -> Vec<(CK_ATTRIBUTE_TYPE, &'static [u8])> {
        const CLASS: [u8; 8] = CKO_SECRET_KEY.to_ne_bytes();
        const TYPE: [u8; 8] = CKK_AES.to_ne_bytes();
        const LENGTH: [u8; 8] = 32u64.to_ne_bytes();
        vec![
            (CKA_CLASS, &CLASS),
            (CKA_KEY_TYPE, &TYPE),
            (CKA_VALUE_LEN, &LENGTH),
            (CKA_LABEL, b"root"),
            (CKA_ID, b"0123456789abcdef"),
            (CKA_TOKEN, YES),
            (CKA_PRIVATE, YES),
            (CKA_SENSITIVE, YES),
            (CKA_EXTRACTABLE, NO),
            (CKA_ALWAYS_SENSITIVE, YES),
            (CKA_NEVER_EXTRACTABLE, YES),
            (CKA_LOCAL, YES),
            (CKA_MODIFIABLE, NO),
            (CKA_UNWRAP, NO),
            (CKA_DERIVE, NO),
            (CKA_ENCRYPT, YES),
            (CKA_DECRYPT, YES),
            (CKA_WRAP, NO),
            (CKA_SIGN, NO),
            (CKA_VERIFY, NO),
        ]
    }

    #[test]
    fn a_key_made_for_this_is_strong_and_each_changed_or_untold_attribute_makes_it_weak() {
        let good = strong_aes();
        let info = attributes(&good).describe();
        assert_eq!((info.kind, info.weakness, info.label.as_str()), (KeyKind::Aes256, None, "root"));
        for place in 5..good.len() {
            let mut changed = good.clone();
            changed[place].1 = if changed[place].1 == YES { NO } else { YES };
            let weakness = attributes(&changed).describe().weakness.unwrap();
            assert!(weakness.starts_with("CKA_") && weakness.contains(" is "), "{weakness}");
            changed[place].1 = &[1, 0];
            assert!(attributes(&changed).describe().weakness.unwrap().contains("does not tell"));
            changed.remove(place);
            assert!(attributes(&changed).describe().weakness.unwrap().contains("does not tell"));
        }
    }

    #[test]
    fn another_kind_or_size_of_key_is_weak() {
        for (type_, value) in [
            (CKA_VALUE_LEN, &16u64.to_ne_bytes()[..]),
            (CKA_VALUE_LEN, &[32]),
            (CKA_KEY_TYPE, &CKK_DES3.to_ne_bytes()),
            (CKA_KEY_TYPE, &[]),
            (CKA_CLASS, &CKO_DATA.to_ne_bytes()),
        ] {
            let mut changed = strong_aes();
            changed.iter_mut().find(|(changed, _)| *changed == type_).unwrap().1 = value;
            assert!(attributes(&changed).describe().weakness.unwrap().contains("neither"), "{type_:x} {value:?}");
        }
        let modulus = [0xffu8; 128];
        let (class, kind) = (CKO_PRIVATE_KEY.to_ne_bytes(), CKK_RSA.to_ne_bytes());
        let short = attributes(&[(CKA_CLASS, &class), (CKA_KEY_TYPE, &kind), (CKA_MODULUS, &modulus)]);
        assert!(short.describe().weakness.unwrap().contains("1024 bits"));
    }

    #[test]
    fn public_halves_are_read_with_or_without_their_wrapping() {
        let kind = CKK_EC.to_ne_bytes();
        let mut point = [7u8; 65];
        point[0] = 4;
        let wrapped = [&[4, 65][..], &point].concat();
        for value in [&point[..], &wrapped] {
            assert_eq!(attributes(&[(CKA_KEY_TYPE, &kind), (CKA_EC_POINT, value)]).public(), Some(point.to_vec()));
        }
        for value in [&point[..64], &wrapped[..66], &[][..], &[4, 65], &[4]] {
            assert_eq!(attributes(&[(CKA_KEY_TYPE, &kind), (CKA_EC_POINT, value)]).public(), None, "{value:?}");
        }
    }

    /// a hostile token's attributes. Half a million mutations of a good set, from a fixed seed.
    #[test]
    fn no_mutation_of_attribute_values_panics_or_makes_a_weak_key_strong() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        let good = strong_aes();
        let (ec, rsa) = (CKK_EC.to_ne_bytes(), CKK_RSA.to_ne_bytes());
        for _ in 0..500_000 {
            let mut values = attributes(&good).0;
            for _ in 0..=next(3) {
                let place = next(values.len());
                values[place] = match next(6) {
                    0 => None,
                    1 => Some(vec![]),
                    2 => Some(ec.to_vec()),
                    3 => Some(rsa.to_vec()),
                    4 => Some((0..next(70)).map(|_| next(256) as u8).collect()),
                    _ => values[place].clone().map(|mut value| {
                        if !value.is_empty() {
                            let at = next(value.len());
                            value[at] ^= 1 << next(8);
                        }
                        value
                    }),
                };
            }
            let changed = Attributes(values);
            let info = changed.describe();
            changed.public();
            if info.weakness.is_none() {
                assert_eq!(changed.flag(CKA_EXTRACTABLE), Some(false));
                assert_eq!(changed.flag(CKA_SENSITIVE), Some(true));
            }
            assert!((1..=255).contains(&info.id.len()));
        }
    }
}
