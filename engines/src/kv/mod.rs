//! KV: what applications keep. Version 1 holds one object at a path; version 2 holds versions of it.
//!
//! Which of the two a mount is stands in its options. [`plain`] is version 1 whole, [`versioned`] the table of version 2,
//! with one file per group of its paths; [`row`] is the stored form of both.

mod config;
mod data;
mod list;
mod metadata;
mod patch;
mod plain;
pub mod row;
mod shelf;
mod span;
mod subkeys;
mod turns;
mod upgrade;
mod versioned;
mod versions;

pub use plain::Plain;
pub use versioned::Versioned;

use std::collections::BTreeMap;
use std::sync::Arc;
use strongroom_mount::{Backend, Error, Request};

/// The backend for a mount with these options: `version` is `1` (or left out) or `2`.
///
/// # Errors
/// 400 for another version.
pub fn backend(options: &BTreeMap<String, String>) -> Result<Arc<dyn Backend>, Error> {
    match options.get("version").map_or("", String::as_str) {
        "" | "1" => Ok(Arc::new(Plain)),
        "2" => Ok(Arc::new(Versioned::new())),
        _ => Err(Error::caller("invalid option \"version\" of a kv mount: it is 1 or 2")),
    }
}

/// The secret's path: what follows `prefix` in the request's path. `None` when it ends in a slash, where no secret lies.
fn path<'a>(request: &'a Request, prefix: &str) -> Option<&'a str> {
    let path = request.path.strip_prefix(prefix)?;
    (!path.is_empty() && !path.ends_with('/')).then_some(path)
}

/// What a version 1 mount answers from the moment its upgrade has begun, and version 2 until it is done.
fn upgrading() -> Error {
    Error::caller(
        "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will \
         resume service shortly.",
    )
}
