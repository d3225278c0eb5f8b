//! Secrets engines, one folder each, one file per group of paths. An engine is `impl Backend` and its storage a `View`.
#![forbid(unsafe_code)]

pub mod kv;
pub mod transit;
