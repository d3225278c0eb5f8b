//! KV through its backend alone: versions against a model, races, upgrades, limits and errors.

mod common;
#[path = "kv/errors.rs"]
mod errors;
#[path = "kv/model.rs"]
mod model;
#[path = "kv/races.rs"]
mod races;
#[path = "kv/upgrade.rs"]
mod upgrade;
#[path = "kv/versions.rs"]
mod versions;
