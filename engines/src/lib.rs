//! Secrets engines, one folder each, one file per group of paths. An engine is `impl Backend` and its storage a `View`.
#![forbid(unsafe_code)]

#[macro_use]
mod table;

pub mod kv;
pub mod transit;
