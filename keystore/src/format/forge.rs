//! Records that only a later program would write, sealed with the real keys. For tests; no release has it.

use super::head;
use super::keyring::{self, Keyring, keyring_key};
use crate::Error;
use strongroom_secret::key::RootKey;

/// A store's head, sealed again after `change` of its plaintext (its format is the first byte, the minimum version the next
/// four).
pub fn head(
    root: &RootKey,
    keyring: &[u8],
    stored: &[u8],
    change: impl FnOnce(&mut Vec<u8>),
) -> Result<Vec<u8>, Error> {
    let malformed = |error: super::Malformed| Error::Format(error.to_string());
    let clear = head::clear(stored).map_err(malformed)?;
    let generation = keyring::generation(keyring).map_err(malformed)?;
    let key = Keyring::open(&keyring_key(root, &clear.cluster, generation), &clear.cluster, keyring)?.head();
    let mut plaintext = head::open(&key, &clear.cluster, stored).map_err(malformed)?;
    change(&mut plaintext);
    head::seal_encoded(&key, &clear, &plaintext)
}

/// A store's keyring, sealed again with another format byte in its plaintext.
pub fn keyring(root: &RootKey, cluster: &[u8; 16], stored: &[u8], format: u8) -> Result<Vec<u8>, Error> {
    let generation = keyring::generation(stored).map_err(|error| Error::Format(error.to_string()))?;
    Keyring::forged(&keyring_key(root, cluster, generation), cluster, generation, stored, format)
}
