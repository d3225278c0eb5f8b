//! Judges from outside: the harness that starts a real server as a child process, a player for recorded scenarios, and
//! the list of what is not served yet. Never published, never linked into the product.
#![forbid(unsafe_code)]

pub mod exceptions;
pub mod http;
pub mod player;
pub mod server;
pub mod token;

pub use http::{Client, Reply};
pub use server::TestServer;
pub use token::SoftToken;
