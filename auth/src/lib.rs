//! Who is calling and what they may do.
//!
//! [`policies`] is the language that says what a caller may do, and the compiled form that answers in well under a
//! microsecond. [`PolicyStore`] keeps policies, [`TokenStore`] keeps tokens and says who a caller is.
#![forbid(unsafe_code)]

mod error;
pub mod policies;
mod policy_store;
pub mod tokens;

pub use error::Error;
pub use policy_store::{PolicyStore, Written};
pub use tokens::{Token, TokenStore};
