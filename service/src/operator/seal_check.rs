//! `operator seal-check`: every leaf is asked for what it is there for, without unsealing anything.

use crate::config::{Config, Storage};
use crate::custody::{ConfiguredLeaf, device_leaves};
use strongroom_clock::Clock;
use strongroom_keystore::{Options, Store};
use strongroom_secret::SecretBytes;
use strongroom_unseal::{Kind, Leaf, Rows};

/// What came of one leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name.
    pub leaf: String,
    /// What it is.
    pub kind: &'static str,
    /// What it did, or why it did not.
    pub outcome: Result<String, String>,
}

/// Checks every leaf, or one: its device seals and opens a random value, and where the store can be read, it proves to be
/// the enrolled one and opens its keyslots. The root key is dropped at once.
///
/// `permit_login`: try the PIN once more although it was refused before.
///
/// # Errors
/// In words: no such leaf.
pub async fn seal_check(
    config: &Config,
    only: Option<&str>,
    permit_login: bool,
    clock: &Clock,
) -> Result<Vec<Checked>, String> {
    if let Some(name) = only
        && !config.seals.iter().any(|seal| seal.name == name)
    {
        let names: Vec<&str> = config.seals.iter().map(|seal| seal.name.as_str()).collect();
        return Err(format!("no seal is named {name:?}; there are: {}", names.join(", ")));
    }
    let leaves = device_leaves(config, &super::ledger(config));
    let stored = stored(config, clock);
    let mut checked = Vec::new();
    for seal in config.seals.iter().filter(|seal| only.is_none_or(|name| seal.name == name)) {
        let leaf = leaves.iter().find(|leaf| leaf.name() == seal.name);
        let outcome = match leaf {
            None => Ok("custodians hold it: their shares are checked when they are entered".into()),
            Some(leaf) => {
                if permit_login {
                    leaf.permit_login();
                }
                check(leaf, &leaves, &stored, clock).await
            }
        };
        checked.push(Checked { leaf: seal.name.clone(), kind: seal.kind.name(), outcome });
    }
    Ok(checked)
}

/// The clear rows of the store, or why they could not be read.
fn stored(config: &Config, clock: &Clock) -> Result<([u8; 16], Rows), String> {
    let Storage::Embedded { path } = &config.storage else { return Err("the store is in memory".into()) };
    if !path.is_dir() {
        return Err("there is no store yet".into());
    }
    let options = Options { clock: clock.clone(), ..Options::default() };
    let store = Store::embedded(path, options).map_err(|error| format!("the store was not read: {error}"))?;
    let head = store.clear_head().ok_or("the store is not initialised")?;
    let rows = store.clear_rows().map_err(|error| error.to_string())?;
    Ok((head.cluster, rows.into_iter().map(|(name, bytes)| strongroom_unseal::Row { name, bytes }).collect()))
}

async fn check(
    leaf: &ConfiguredLeaf,
    all: &[std::sync::Arc<ConfiguredLeaf>],
    stored: &Result<([u8; 16], Rows), String>,
    clock: &Clock,
) -> Result<String, String> {
    let told = |error: strongroom_unseal::LeafError| error.to_string();
    let enrolment = leaf.enrol().await.map_err(told)?;
    let value = SecretBytes::random(32).map_err(|error| error.to_string())?;
    let sealed = leaf.seal(AAD, &value).await.map_err(told)?;
    let opened = leaf.open(AAD, &sealed).await.map_err(told)?;
    if !opened.same_as(value.expose()) {
        return Err("the device opened something else than was sealed".into());
    }
    let (cluster, rows) = match stored {
        Ok(stored) => stored,
        Err(why) => return Ok(format!("{}: seals and opens ({why})", enrolment.text)),
    };
    let now = clock.now().unix();
    // Alone first, since otherwise another leaf may answer before this one; together where alone is not enough.
    let alone: Vec<&dyn Leaf> = vec![leaf];
    let together: Vec<&dyn Leaf> = all.iter().map(|leaf| &**leaf as &dyn Leaf).collect();
    for leaves in [alone, together] {
        let outcome = strongroom_unseal::open(rows, *cluster, &leaves, now).await.map_err(|error| error.to_string())?;
        let standing = match &outcome {
            strongroom_unseal::Outcome::Open(opened) => &opened.standing,
            strongroom_unseal::Outcome::Sealed(standing) => standing,
        };
        let Some(own) = standing.leaves.iter().find(|own| own.name == leaf.name()) else {
            return Ok(format!("{}: seals and opens; the stored seal tree does not name it", enrolment.text));
        };
        if own.satisfied {
            return Ok(format!("{}: is the enrolled device and opens its keyslots", enrolment.text));
        }
        match &own.error {
            Some(error) => return Err(error.to_string()),
            None if own.kind != Kind::Shamir && leaves.len() > 1 => {}
            None => {}
        }
    }
    Ok(format!("{}: is the enrolled device; its keyslots open only together with the custodians", enrolment.text))
}

const AAD: &[u8] = b"strongroom seal-check 1";
