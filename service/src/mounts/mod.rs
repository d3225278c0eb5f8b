//! Mounts: the stored table, the router by longest prefix, and what can be mounted.

mod builtin;
mod entry;
mod table;

pub use builtin::{Builtins, METHODS, SECRETS, alias};
pub use entry::{Class, Entry, Lockout, Tuning};
pub use table::{InUse, Mount, Mounts};
