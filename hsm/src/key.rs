//! Keys on a token: how they are named, asked for and described.

use crate::{Error, Result};
use std::fmt;

/// How the configuration names a key: `key_label` or `key_id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyName {
    /// CKA_LABEL
    Label(String),
    /// CKA_ID
    Id(Vec<u8>),
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyName::Label(label) => write!(f, "{label:?}"),
            KeyName::Id(id) => {
                f.write_str("with id ")?;
                id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// What kind of key.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// AES, 256 bit: seals by AES-GCM.
    Aes256,
    /// RSA of so many bits: seals by OAEP, or signs.
    Rsa(u32),
    /// Elliptic curve P-256: signs a challenge; cannot seal.
    P256,
    /// Anything else, by its CK_KEY_TYPE: listed, never used.
    Other(u64),
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyKind::Aes256 => f.write_str("aes-256"),
            KeyKind::Rsa(bits) => write!(f, "rsa-{bits}"),
            KeyKind::P256 => f.write_str("p-256"),
            KeyKind::Other(code) => write!(f, "type 0x{code:x}"),
        }
    }
}

/// An order for a new key. The label must be free; the id is drawn by the token's owner here, 16 random bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    label: String,
    kind: KeyKind,
}

impl NewKey {
    /// A key of `kind` with `label` (1 to 64 printable ASCII characters). RSA keys have 2048, 3072 or 4096 bits.
    pub fn new(label: &str, kind: KeyKind) -> Result<Self> {
        if label.is_empty() || label.len() > 64 || !label.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(Error::Config(format!("key label {label:?} is not 1 to 64 printable ASCII characters")));
        }
        match kind {
            KeyKind::Aes256 | KeyKind::P256 | KeyKind::Rsa(2048 | 3072 | 4096) => {}
            other => return Err(Error::Config(format!("a key of kind {other} cannot be made here"))),
        }
        Ok(NewKey { label: label.into(), kind })
    }

    /// The label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The kind.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }
}

/// A key as the token describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// CKA_LABEL, not printable characters replaced.
    pub label: String,
    /// CKA_ID; where the token has none, `label:` and the label. Sealed values carry it.
    pub id: Vec<u8>,
    /// What kind of key.
    pub kind: KeyKind,
    /// The first attribute for which this program would refuse the key, such as `CKA_EXTRACTABLE is true`.
    pub weakness: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_short_printable_ascii() {
        assert!(NewKey::new("strongroom", KeyKind::Aes256).is_ok());
        for bad in ["", "ä", "a\nb", "a\0", &"x".repeat(65)] {
            assert!(matches!(NewKey::new(bad, KeyKind::Aes256), Err(Error::Config(_))), "{bad:?}");
        }
    }

    #[test]
    fn short_rsa_keys_and_strangers_are_not_made() {
        assert!(NewKey::new("k", KeyKind::Rsa(3072)).is_ok());
        for kind in [KeyKind::Rsa(1024), KeyKind::Rsa(2047), KeyKind::Other(0x13)] {
            assert!(matches!(NewKey::new("k", kind), Err(Error::Config(_))), "{kind}");
        }
    }

    #[test]
    fn names_print_as_messages_need_them() {
        assert_eq!(KeyName::Label("root".into()).to_string(), "\"root\"");
        assert_eq!(KeyName::Id(vec![1, 0xab]).to_string(), "with id 01ab");
    }
}
