//! One conformance suite for any token: the same cases on every software token there is, and a checked-in table of what
//! may fail where. Beside it, a shim that makes a token fail on purpose.
//!
//! PKCS#11 modules read their configuration from the environment, once per process. So every test runs in a process of
//! its own ([`isolated`]), with a token directory of its own that ends with it ([`Stand`]).

pub mod cases;
mod isolated;
mod skips;
mod stand;

pub use isolated::{conform, isolated, phase, phased};
pub use skips::{Skip, skips};
pub use stand::{Kind, PIN, SO_PIN, Shim, Stand, TOKEN};
