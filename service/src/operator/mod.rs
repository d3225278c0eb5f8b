//! What an operator does to a device, outside a running server: make a leaf's key, look around, prove that every leaf opens.

mod keygen;
mod list;
mod seal_check;

pub use keygen::keygen;
pub use list::{Found, list, preload};
pub use seal_check::{Checked, Finding, seal_check};
pub use strongroom_hsm::pkcs11::leave;

use crate::config::{Config, Pkcs11Seal, SealKind};
use std::sync::Arc;
use strongroom_hsm::pin::{FileLedger, MemoryLedger, PinLedger};

/// The PKCS#11 seal of this name; the only one where none is named.
fn token<'c>(config: &'c Config, name: Option<&str>) -> Result<(&'c str, &'c Pkcs11Seal), String> {
    let tokens: Vec<(&str, &Pkcs11Seal)> = (config.seals.iter())
        .filter_map(|seal| match &seal.kind {
            SealKind::Pkcs11(token) => Some((seal.name.as_str(), token)),
            _ => None,
        })
        .collect();
    let names = || tokens.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    match (name, tokens.as_slice()) {
        (_, []) => Err("the configuration has no seal \"pkcs11\"".into()),
        (None, [only]) => Ok(*only),
        (None, _) => Err(format!("which seal? Name one with -seal: {}", names())),
        (Some(name), _) => tokens
            .iter()
            .find(|(held, _)| *held == name)
            .copied()
            .ok_or_else(|| format!("no seal \"pkcs11\" is named {name:?}; there are: {}", names())),
    }
}

/// Where refused PINs are remembered: beside the store, if there is one yet.
fn ledger(config: &Config) -> Arc<dyn PinLedger> {
    match config.store_directory().filter(|directory| directory.is_dir()) {
        Some(directory) => Arc::new(FileLedger::new(directory.join(crate::custody::REFUSED_PINS))),
        None => Arc::new(MemoryLedger::default()),
    }
}
