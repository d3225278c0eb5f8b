//! `operator seal-check`: every leaf is asked for what it is there for, without unsealing anything.

use crate::config::{Config, Storage};
use crate::custody::{ConfiguredLeaf, device_leaves};
use strongroom_clock::Clock;
use strongroom_keystore::{Options, Store};
use strongroom_secret::SecretBytes;
use strongroom_unseal::{Leaf, Rows};

/// What came of one leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name.
    pub leaf: String,
    /// What it is.
    pub kind: &'static str,
    /// What it did, or did not.
    pub outcome: Finding,
}

/// What a check has proven; the text says what it saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// All that there is to prove: with a store, that it is the enrolled device and does its part; before that, that it seals
    /// and opens.
    Proven(String),
    /// It seals and opens, and whether it is the enrolled device could not be looked at.
    NotProven(String),
    /// It does not do what it is there for.
    Failed(String),
    /// Nothing can be checked without custodians.
    ByShares(String),
}

/// What the store holds of the seal tree.
enum Stored {
    /// Nothing yet: there is no enrolment to compare with.
    Nothing(&'static str),
    /// The cluster's id and the clear rows.
    Rows([u8; 16], Rows),
    /// There is a store, and it was not read.
    Unread(String),
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
            None => Finding::ByShares("custodians hold it: their shares are checked when they are entered".into()),
            Some(leaf) => {
                if permit_login {
                    leaf.permit_login();
                }
                check(leaf, &leaves, &stored, clock).await.unwrap_or_else(Finding::Failed)
            }
        };
        checked.push(Checked { leaf: seal.name.clone(), kind: seal.kind.name(), outcome });
    }
    Ok(checked)
}

fn stored(config: &Config, clock: &Clock) -> Stored {
    let Storage::Embedded { path } = &config.storage else { return Stored::Nothing("the store is in memory") };
    if !path.is_dir() {
        return Stored::Nothing("there is no store yet");
    }
    let options = Options { clock: clock.clone(), ..Options::default() };
    let store = match Store::embedded(path, options) {
        Ok(store) => store,
        Err(error) => return Stored::Unread(error.to_string()),
    };
    if !store.is_initialised() {
        return Stored::Nothing("the store is not initialised yet");
    }
    match (store.clear_head(), store.clear_rows()) {
        (Some(head), Ok(rows)) => {
            let rows = rows.into_iter().map(|(name, bytes)| strongroom_unseal::Row { name, bytes }).collect();
            Stored::Rows(head.cluster, rows)
        }
        (None, _) => Stored::Unread("its head cannot be read".into()),
        (_, Err(error)) => Stored::Unread(error.to_string()),
    }
}

async fn check(
    leaf: &ConfiguredLeaf,
    all: &[std::sync::Arc<ConfiguredLeaf>],
    stored: &Stored,
    clock: &Clock,
) -> Result<Finding, String> {
    let told = |error: strongroom_unseal::LeafError| error.to_string();
    let enrolment = leaf.enrol().await.map_err(told)?;
    let value = SecretBytes::random(32).map_err(|error| error.to_string())?;
    let sealed = leaf.seal(AAD, &value).await.map_err(told)?;
    let opened = leaf.open(AAD, &sealed).await.map_err(told)?;
    if !opened.same_as(value.expose()) {
        return Err("the device opened something else than was sealed".into());
    }
    let (cluster, rows) = match stored {
        Stored::Rows(cluster, rows) => (cluster, rows),
        Stored::Nothing(why) => return Ok(Finding::Proven(format!("{}: seals and opens ({why})", enrolment.text))),
        Stored::Unread(why) => {
            return Ok(Finding::NotProven(format!(
                "{}: seals and opens; whether it is the enrolled device, and opens its keyslots, is not proven, since the \
                 store was not read: {why}. Beside a running server, strongroom read sys/seal-tree says what the server \
                 knows; with the server stopped this check proves it",
                enrolment.text
            )));
        }
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
            return Ok(Finding::NotProven(format!(
                "{}: seals and opens; the stored seal tree does not name it, so that it opens nothing of this store",
                enrolment.text
            )));
        };
        if own.satisfied {
            return Ok(Finding::Proven(format!("{}: is the enrolled device and opens its keyslots", enrolment.text)));
        }
        if let Some(error) = &own.error {
            return Err(error.to_string());
        }
    }
    Ok(Finding::Proven(format!(
        "{}: is the enrolled device; its keyslots open only together with the custodians, and were not tried",
        enrolment.text
    )))
}

const AAD: &[u8] = b"strongroom seal-check 1";
