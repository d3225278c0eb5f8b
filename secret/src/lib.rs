//! What a key is. Types here hold key material from birth to wipe: boxed, purposed, unprintable, never cloned.
//!
//! Also the handful of primitives that every layer shares, all from the one cryptographic module (AWS-LC): HMAC-SHA256,
//! the SP 800-108 counter KDF, AES-256-GCM with the nonce drawn inside the module, SHA-256 and the random generator.

pub mod aead;
pub mod allocator;
pub mod bytes;
pub mod digest;
pub mod kdf;
pub mod key;
pub mod mac;
pub mod page;
pub mod process;
pub mod random;
pub mod rsa;
#[cfg(test)]
mod tests;

pub use bytes::{LastingSecret, SecretBytes};
pub use key::{Key, Purpose};
pub use random::RandomError;
