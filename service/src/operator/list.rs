//! `operator hsm list`: slots, tokens, keys, mechanisms.

use super::ledger;
use crate::config::{Config, Pkcs11Seal, SealKind};
use std::path::{Path, PathBuf};
use strongroom_hsm::pkcs11::list_slots;

/// What a library shows of itself, as lines for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The library's file.
    pub library: PathBuf,
    /// One line for each slot, then for each key and mechanism of a token that a seal can log in to.
    pub lines: Vec<String>,
}

/// Lists the libraries of the configuration, or one more by its file. Logs in only where a seal has a PIN.
///
/// # Errors
/// In words: no library is named, or one cannot be loaded.
pub async fn list(config: Option<&Config>, library: Option<&Path>) -> Result<Vec<Found>, String> {
    let seals: Vec<(&str, &Pkcs11Seal)> = config.into_iter().flat_map(tokens).collect();
    let mut libraries: Vec<&Path> = seals.iter().map(|(_, seal)| seal.library.as_path()).chain(library).collect();
    libraries.sort();
    libraries.dedup();
    if libraries.is_empty() {
        return Err("no library is named: use -config with a seal \"pkcs11\", or -lib=FILE".into());
    }
    let mut found = Vec::new();
    for library in libraries {
        let mut lines = slots(library)?;
        for (name, seal) in seals.iter().filter(|(_, seal)| seal.library == library) {
            lines.push(format!("seal {name:?}: the token {}", seal.token));
            if let Some(config) = config {
                lines.extend(token(config, name, seal).await.unwrap_or_else(|error| vec![format!("  {error}")]));
            }
        }
        found.push(Found { library: library.to_owned(), lines });
    }
    Ok(found)
}

/// Loads and initialises the libraries of the configuration in threads of their own, so that this takes its time while
/// the store is opened. What goes wrong is said by whoever needs the library.
pub fn preload(config: &Config) {
    let mut libraries: Vec<PathBuf> = tokens(config).map(|(_, seal)| seal.library.clone()).collect();
    libraries.sort();
    libraries.dedup();
    for library in libraries {
        let _ = std::thread::Builder::new().name("hsm-preload".into()).spawn(move || list_slots(&library).map(drop));
    }
}

fn tokens(config: &Config) -> impl Iterator<Item = (&str, &Pkcs11Seal)> {
    config.seals.iter().filter(|seal| !seal.disabled).filter_map(|seal| match &seal.kind {
        SealKind::Pkcs11(token) => Some((seal.name.as_str(), token)),
        _ => None,
    })
}

fn slots(library: &Path) -> Result<Vec<String>, String> {
    let slots = list_slots(library).map_err(|error| error.to_string())?;
    Ok(slots
        .into_iter()
        .map(|slot| match (slot.token, slot.initialised) {
            (Some(token), true) => {
                let pin = match (slot.pin.locked, slot.pin.final_try, slot.pin.count_low) {
                    (true, ..) => ", PIN LOCKED",
                    (_, true, _) => ", one more wrong PIN locks it",
                    (_, _, true) => ", a wrong PIN was entered",
                    _ => "",
                };
                format!(
                    "slot {}: token {:?} (serial {:?}, {} {}{pin})",
                    slot.slot, token.label, token.serial, token.manufacturer, token.model
                )
            }
            (Some(_), false) => format!("slot {}: a token that is not initialised", slot.slot),
            (None, _) => format!("slot {}: empty", slot.slot),
        })
        .collect())
}

async fn token(config: &Config, name: &str, seal: &Pkcs11Seal) -> Result<Vec<String>, String> {
    let told = |error: strongroom_hsm::Error| error.to_string();
    let device = crate::custody::pkcs11(name, seal, &ledger(config)).map_err(told)?;
    let mut lines = Vec::new();
    for key in device.keys().await.map_err(told)? {
        let fit = key.weakness.map_or(String::new(), |weakness| format!(", refused: {weakness}"));
        lines.push(format!("  key {:?}, {}, id {}{fit}", key.label, key.kind, hex::encode(&key.id)));
    }
    if lines.is_empty() {
        lines.push("  no keys: make one with strongroom operator hsm keygen".into());
    }
    let mechanisms = device.mechanisms().await.map_err(told)?;
    let names: Vec<String> = mechanisms.iter().map(|mechanism| mechanism.name.clone()).collect();
    lines.push(format!("  mechanisms: {}", names.join(" ")));
    Ok(lines)
}
