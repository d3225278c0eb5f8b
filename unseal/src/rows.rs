//! What the seal tree keeps in the store: rows by name, in clear, authenticated by the store's head.
//!
//! | name | what | format |
//! |---|---|---|
//! | `seal/G/tree` | the expression and the root's commitment, generation G | `docs/formats/expression.md` |
//! | `seal/G/slot/P` | the keyslot of the leaf at path P | `docs/formats/keyslot.md` |
//! | `seal/G/catch-up` | the next generation's root key under that of G | `docs/formats/catch-up.md` |
//! | `seal/shares/LEAF` | who holds which share, and the commitments | `docs/formats/share.md` |
//! | `seal/recovery` | the verifier of the recovery keys | `docs/formats/recovery-key.md` |

use std::collections::BTreeMap;
use strongroom_secret::key::RootKey;
use strongroom_secret::mac::HmacKey;
use strongroom_secret::{SecretBytes, kdf};

/// What the names of all rows of the seal tree begin with.
pub const PREFIX: &str = "seal/";
/// The row of the recovery keys.
pub const RECOVERY: &str = "seal/recovery";

/// One row to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name: ASCII, at most 128 bytes.
    pub name: String,
    /// Its bytes; none is secret.
    pub bytes: Vec<u8>,
}

/// All rows of the seal tree, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows(BTreeMap<String, Vec<u8>>);

impl Rows {
    /// The bytes of a row.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Puts a row in place of what had its name.
    pub fn put(&mut self, row: Row) {
        self.0.insert(row.name, row.bytes);
    }

    /// Takes a row away.
    pub fn delete(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The rows in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// The generations that have a tree, the latest first.
    pub fn generations(&self) -> Vec<u32> {
        let generation = |name: &String| name.strip_prefix(PREFIX)?.strip_suffix("/tree")?.parse().ok();
        let mut found: Vec<u32> = self.0.keys().filter_map(generation).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
        found
    }

    /// The names of all rows of one generation.
    pub(crate) fn of_generation(&self, generation: u32) -> Vec<String> {
        let prefix = format!("{PREFIX}{generation}/");
        self.0.keys().filter(|name| name.starts_with(&prefix)).cloned().collect()
    }

    /// The HMAC over every row that the store's head keeps, under a key derived from the root: HMAC-SHA256 over
    /// { name length u16 ‖ name ‖ length u32 ‖ bytes } in order of name. Compare it with the head's as soon as the root
    /// is open: where it differs, some row was put back, edited, added or taken away.
    pub fn digest(&self, root: &RootKey) -> [u8; 32] {
        let key = kdf::derive_bytes(&HmacKey::new(root.expose()), b"strongroom seal rows 1", &[], 32);
        let frames: Vec<([u8; 2], [u8; 4])> = self
            .0
            .iter()
            .map(|(name, bytes)| ((name.len() as u16).to_be_bytes(), (bytes.len() as u32).to_be_bytes()))
            .collect();
        let mut parts: Vec<&[u8]> = Vec::with_capacity(frames.len() * 4);
        for ((name, bytes), (name_length, length)) in self.0.iter().zip(&frames) {
            parts.extend([&name_length[..], name.as_bytes(), &length[..], bytes]);
        }
        HmacKey::new(key.expose()).sign(&parts)
    }
}

impl FromIterator<Row> for Rows {
    fn from_iter<I: IntoIterator<Item = Row>>(rows: I) -> Self {
        Rows(rows.into_iter().map(|row| (row.name, row.bytes)).collect())
    }
}

impl IntoIterator for Rows {
    type Item = Row;
    type IntoIter = std::vec::IntoIter<Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(name, bytes)| Row { name, bytes }).collect::<Vec<_>>().into_iter()
    }
}

/// The row of a generation's tree.
pub fn tree(generation: u32) -> String {
    format!("{PREFIX}{generation}/tree")
}

/// The row of the keyslot at `label` ([`Occurrence::label`](crate::tree::Occurrence::label)).
pub fn slot(generation: u32, label: &str) -> String {
    format!("{PREFIX}{generation}/slot/{label}")
}

/// The row that leads on from a generation.
pub fn catch_up(from: u32) -> String {
    format!("{PREFIX}{from}/catch-up")
}

/// The row of a shamir leaf's shares.
pub fn shares(leaf: &str) -> String {
    format!("{PREFIX}shares/{leaf}")
}

/// 32 bytes derived from a secret under a label of this crate: a commitment when it is stored, a key when it is not.
pub(crate) fn derived(secret: &[u8], label: &[u8], context: &[&[u8]]) -> SecretBytes {
    kdf::derive_bytes(&HmacKey::new(secret), label, context, 32)
}

/// [`derived`] as plain bytes, for what is stored.
pub(crate) fn commitment(secret: &[u8], label: &[u8], context: &[&[u8]]) -> [u8; 32] {
    // `derived` gives 32 bytes.
    derived(secret, label, context).expose().try_into().expect("32 bytes")
}
