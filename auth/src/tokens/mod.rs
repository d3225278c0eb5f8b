//! Tokens: made, renewed, revoked and refused; counted where their uses are; gone when their time is over.
//!
//! [`TokenStore`] is what the pipeline asks on each request. [`backend`] is the mount `auth/token/`.
//! How tokens look and how they are stored is in `docs/formats/`: `token-id.md`, `stored-token.md`, `expiry-bucket.md`.

mod batch;
mod cidr;
mod create;
mod expiry;
mod id;
mod keys;
mod renew;
mod revoke;
mod role;
mod routes;
mod store;
mod stored;
mod token;
mod ttl;

pub use cidr::Cidr;
pub use create::{Made, NewToken};
pub use expiry::Expired;
pub use id::{BATCH_PREFIX, SERVICE_PREFIX, TokenKey, is_service_token};
pub use role::{Role, RoleType};
pub use routes::backend;
pub use store::{TokenStore, Use};
pub use token::{Bound, State, Token, TokenType, Uses};
