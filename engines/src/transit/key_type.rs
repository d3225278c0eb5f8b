//! The types of keys, and what each can do.

use aws_lc_rs::rsa::KeySize;

/// The type of a key, fixed when it is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyType {
    /// AES-128-GCM with 96-bit nonces (SP 800-38D).
    Aes128,
    /// AES-256-GCM with 96-bit nonces (SP 800-38D): the default.
    Aes256,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20,
    /// XChaCha20-Poly1305 with 192-bit nonces.
    XChaCha20,
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA on P-256 (FIPS 186-5).
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// RSA, 2048 bit.
    Rsa2048,
    /// RSA, 3072 bit.
    Rsa3072,
    /// RSA, 4096 bit.
    Rsa4096,
    /// HMAC (FIPS 198-1) with 32 to 512 bytes.
    Hmac,
}

/// Type, name on the wire, number in stored rows and in backups of other servers.
const NAMES: [(KeyType, &str, u8); 12] = [
    (KeyType::Aes256, "aes256-gcm96", 0),
    (KeyType::P256, "ecdsa-p256", 1),
    (KeyType::Ed25519, "ed25519", 2),
    (KeyType::Rsa2048, "rsa-2048", 3),
    (KeyType::Rsa4096, "rsa-4096", 4),
    (KeyType::ChaCha20, "chacha20-poly1305", 5),
    (KeyType::P384, "ecdsa-p384", 6),
    (KeyType::P521, "ecdsa-p521", 7),
    (KeyType::Aes128, "aes128-gcm96", 8),
    (KeyType::Rsa3072, "rsa-3072", 9),
    (KeyType::Hmac, "hmac", 10),
    (KeyType::XChaCha20, "xchacha20-poly1305", 11),
];

impl KeyType {
    /// All types.
    pub fn all() -> impl Iterator<Item = KeyType> {
        NAMES.iter().map(|row| row.0)
    }

    /// From its name on the wire.
    pub fn from_name(name: &str) -> Option<KeyType> {
        NAMES.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// From its number in rows and backups.
    pub fn from_number(number: u8) -> Option<KeyType> {
        NAMES.iter().find(|row| row.2 == number).map(|row| row.0)
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Its number in rows and backups.
    pub fn number(self) -> u8 {
        self.row().2
    }

    fn row(self) -> &'static (KeyType, &'static str, u8) {
        // Every type stands in the table, as a test checks.
        NAMES.iter().find(|row| row.0 == self).expect("every key type has a row")
    }

    /// The length of a symmetric cipher's key in bytes; `None` for all other types.
    pub fn cipher_key_len(self) -> Option<usize> {
        match self {
            KeyType::Aes128 => Some(16),
            KeyType::Aes256 | KeyType::ChaCha20 | KeyType::XChaCha20 => Some(32),
            _ => None,
        }
    }

    /// The length of a symmetric cipher's nonce in bytes.
    pub fn nonce_len(self) -> usize {
        if self == KeyType::XChaCha20 { 24 } else { 12 }
    }

    /// The size of an RSA key; `None` for all other types.
    pub fn rsa(self) -> Option<KeySize> {
        match self {
            KeyType::Rsa2048 => Some(KeySize::Rsa2048),
            KeyType::Rsa3072 => Some(KeySize::Rsa3072),
            KeyType::Rsa4096 => Some(KeySize::Rsa4096),
            _ => None,
        }
    }

    /// Whether it encrypts and decrypts.
    pub fn encrypts(self) -> bool {
        self.cipher_key_len().is_some() || self.rsa().is_some()
    }

    /// Whether it signs.
    pub fn signs(self) -> bool {
        self.asymmetric()
    }

    /// Whether keys of requests can be derived from it.
    pub fn derives(self) -> bool {
        self.cipher_key_len().is_some() || self == KeyType::Ed25519
    }

    /// Whether it has a public key.
    pub fn asymmetric(self) -> bool {
        self.cipher_key_len().is_none() && self != KeyType::Hmac
    }

    /// What clients call a version of it.
    pub fn version_name(self) -> &'static str {
        match self {
            KeyType::P256 => "P-256",
            KeyType::P384 => "P-384",
            KeyType::P521 => "P-521",
            other => other.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_one_to_one() {
        for kind in KeyType::all() {
            assert_eq!(KeyType::from_name(kind.name()), Some(kind));
            assert_eq!(KeyType::from_number(kind.number()), Some(kind));
        }
        assert_eq!(KeyType::from_name("rot13"), None);
        assert_eq!(KeyType::from_number(12), None);
    }
}
