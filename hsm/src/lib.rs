//! Hardware that holds keys: one token, synchronously, in PKCS#11's words ([`Hsm`]), and the worker that turns its calls
//! into futures ([`Device`]).
//!
//! A service holds a [`Device`]: cheap to clone, never blocking, its calls answered by named threads of its own, so that
//! one hanging device holds up nothing but itself. A ceremony may call an [`Hsm`] directly.
//!
//! `pkcs11` is a token behind a PKCS#11 library, `soft` the software token behind the `static` seal. Unsafe code is in
//! `pkcs11/raw.rs` and `pkcs11/leave.rs` alone.

mod call;
pub mod config;
mod error;
mod key;
pub mod pin;
pub mod pkcs11;
mod proof;
mod rsa;
mod sealed;
mod soft;
mod token;
mod worker;

pub use call::Call;
pub use config::{Limits, Pkcs11Config, SoftConfig, TokenName};
pub use error::{Error, ErrorKind, Result};
pub use key::{KeyInfo, KeyKind, KeyName, NewKey};
pub use pkcs11::Pkcs11;
pub use proof::{Challenge, DevicePin, Proof};
pub use sealed::{Mechanism, SECRET_MAX, Sealed};
pub use soft::Soft;
pub use token::{CounterName, DeviceId, Hsm, Identity, MechanismInfo};
pub use worker::{Device, Health};

/// The bytes of a document's block "```hex name".
#[cfg(test)]
fn block(document: &str, name: &str) -> Vec<u8> {
    let (_, rest) = document.split_once(&format!("```hex {name}\n")).expect("the document has the block");
    let (text, _) = rest.split_once("```").expect("the block ends");
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal");
    digits.chunks(2).map(byte).collect()
}
