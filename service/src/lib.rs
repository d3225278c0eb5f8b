//! The running service. `pipeline` is the one conductor: listener → phase → resolve → authenticate → authorise → audit
//! the request → dispatch → audit the response → respond.
#![forbid(unsafe_code)]

pub mod audit;
pub mod config;
pub mod custody;
pub mod listener;
pub mod operator;
pub mod request;
pub mod respond;
