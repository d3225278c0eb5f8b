//! Who is calling and what they may do.
//!
//! [`policies`] is the language that says what a caller may do, and the compiled form that answers in well under a
//! microsecond.
#![forbid(unsafe_code)]

mod error;
pub mod policies;

pub use error::Error;
