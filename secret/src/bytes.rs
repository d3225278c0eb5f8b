//! Secret bytes of a length known only at run time: a PIN, a decrypted row, a share.

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A fixed, heap-held run of secret bytes, wiped when dropped.
///
/// It is neither `Clone`, `Debug`, `Display` nor `Serialize`; the bytes leave only through [`SecretBytes::expose`].
pub struct SecretBytes(Box<[u8]>);

/// Secret bytes that stay for long (a PIN while its seal is configured): in the key pages, not on the heap.
pub struct LastingSecret(crate::page::Slots);

impl LastingSecret {
    /// Copies `bytes` into key pages. The caller wipes the source.
    ///
    /// # Panics
    /// When there are more than 65,536 bytes.
    pub fn from_slice(bytes: &[u8]) -> Self {
        let mut held = crate::page::Slots::new(bytes.len());
        held.bytes_mut().copy_from_slice(bytes);
        LastingSecret(held)
    }

    /// The bytes themselves. Do not store, log or clone what this returns.
    pub fn expose(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl SecretBytes {
    /// Copies `bytes` into a box of their own. The caller wipes the source.
    pub fn from_slice(bytes: &[u8]) -> Self {
        SecretBytes(bytes.into())
    }

    /// Takes the bytes of `bytes`, and wipes what the vector held, spare capacity included.
    pub fn from_vec(mut bytes: Vec<u8>) -> Self {
        let held = SecretBytes(bytes.as_slice().into());
        bytes.zeroize();
        held
    }

    /// A box of `len` zero bytes, filled in place by `fill`, so that the secret is born in its final home.
    pub fn filled(len: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut held = SecretBytes(vec![0; len].into_boxed_slice());
        fill(&mut held.0);
        held
    }

    /// `len` bytes from the module's random generator.
    pub fn random(len: usize) -> Result<Self, crate::RandomError> {
        let mut held = SecretBytes(vec![0; len].into_boxed_slice());
        crate::random::fill(&mut held.0)?;
        Ok(held)
    }

    /// The bytes themselves. Do not store, log or clone what this returns.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The length in bytes, which is not secret.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares in time that depends on the lengths alone.
    pub fn same_as(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// A vector that may hold secrets for a moment, wiped when dropped, spare capacity included. Give it its capacity first:
/// growing leaves what it held behind.
#[derive(Default)]
pub struct Wiped(pub Vec<u8>);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.clear();
        self.0.resize(self.0.capacity(), 0);
        std::hint::black_box(self.0.as_mut_slice());
    }
}

/// Fills with zeros at the speed of memory: a byte-by-byte wipe of a large payload costs more than its encryption. The
/// barrier keeps the compiler from dropping writes that nothing reads.
pub fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiping_leaves_zeros_only() {
        let mut bytes = [7; 1000];
        wipe(&mut bytes);
        assert_eq!(bytes, [0; 1000]);
    }
}
