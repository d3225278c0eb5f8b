//! The running service.

#![forbid(unsafe_code)]

pub mod config;
