//! From a root key to an authenticated state: each check says precisely what did not hold.

use super::{Custody, Keys, State, meta, wrong};
use crate::format::head::{self, Head};
use crate::format::journal::{self, Page};
use crate::format::keyring::{self, Keyring, KeyringKey, keyring_key};
use crate::format::names::RowKey;
use crate::format::register::{self, KEYRING, Register};
use crate::format::{Malformed, words};
use crate::index::{Authority, Overlay};
use crate::storage::{Snapshot, Storage, Table};
use crate::{Error, Layer, Options};
use std::collections::BTreeMap;
use std::sync::Arc;
use strongroom_secret::Key;
use strongroom_secret::key::RootKey;
use subtle::ConstantTimeEq;

/// Clear rows that are read at a time.
const BATCH: usize = 64;

/// The state before the first commit, and what that commit puts in place.
pub(crate) fn initial(
    storage: &Storage,
    options: &Options,
    (root, generation): (&RootKey, u32),
    cluster: [u8; 16],
) -> Result<(State, Custody), Error> {
    let keyring = Keyring::generate(options.clock.now())?;
    let head = Head {
        minimum: 1,
        sequence: 0,
        root: None,
        first: 1,
        last: 0,
        last_mac: [0; 16],
        epoch: 1,
        cursor: RowKey::FIRST,
        mark: 0,
        clock: options.clock.now(),
        names: keyring.names_generation(),
        generation,
        register: [0; 32],
        term: keyring.current().0,
        operations: 0,
        rows: 0,
        devices: Vec::new(),
    };
    let mut custody = Custody::default();
    custody.root(root, &cluster, generation);
    let state = State {
        head,
        stored_head: Arc::new([]),
        overlay: Overlay::default(),
        page: Page { previous: [0; 16], entries: Vec::new() },
        keys: Arc::new(keys(&keyring, cluster)),
        keyring: Arc::new(keyring),
        sealing: Arc::new(keyring_key(root, &cluster, generation)),
        register: Arc::default(),
        snapshot: storage.snapshot()?,
    };
    Ok((state, custody))
}

/// Opens the state of a snapshot: keyring, head, minimum version, clear part, clear rows, journal; in this order.
pub(crate) fn open(snapshot: Snapshot, options: &Options, root: &RootKey) -> Result<State, Error> {
    let in_head = |error: Malformed| wrong(Layer::Head, "head", error.0);
    let stored_head = snapshot.get(Table::Meta, meta::HEAD)?.ok_or(Error::NotInitialised)?;
    let clear = head::clear(&stored_head).map_err(in_head)?;

    let stored_keyring =
        (snapshot.get(Table::Meta, meta::KEYRING)?).ok_or_else(|| wrong(Layer::Keyring, KEYRING, "it is missing"))?;
    let generation = keyring::generation(&stored_keyring).map_err(|error| wrong(Layer::Keyring, KEYRING, error.0))?;
    let sealing = keyring_key(root, &clear.cluster, generation);
    let keyring = Keyring::open(&sealing, &clear.cluster, &stored_keyring)
        .map_err(|error| too_old(error, (&sealing, &clear.cluster), (&stored_keyring, &stored_head), options))?;
    let keys = keys(&keyring, clear.cluster);

    let plaintext = head::open(&keys.head, &clear.cluster, &stored_head).map_err(in_head)?;
    let needed = Head::minimum(&plaintext).map_err(in_head)?;
    if needed > options.program {
        return Err(Error::ProgramTooOld { needed, running: options.program });
    }
    let head = Head::decode(&plaintext).map_err(in_head)?;
    if clear != head.clear(&clear.cluster) {
        return Err(wrong(Layer::Head, "head", "its clear part is not what its sealed part says"));
    }

    let register = clear_rows(&snapshot, &keys.authority, &head, &stored_keyring)?;
    // With the register right, these can only differ if this program wrote them so.
    if generation != head.generation || keyring.names_generation() != head.names || keyring.current().0 != head.term {
        return Err(wrong(Layer::Keyring, KEYRING, "it does not belong to this head"));
    }
    let (overlay, page) = replay(&snapshot, &keys.authority, &head)?;
    Ok(State {
        head,
        stored_head: stored_head.into(),
        overlay,
        page,
        keys: Arc::new(keys),
        keyring: Arc::new(keyring),
        sealing: Arc::new(sealing),
        register: Arc::new(register),
        snapshot,
    })
}

/// What to say of a keyring that does not open: where a later program made it, the head says which.
fn too_old(
    error: Error,
    (sealing, cluster): (&Key<KeyringKey>, &[u8; 16]),
    (keyring, head): (&[u8], &[u8]),
    options: &Options,
) -> Error {
    let needed = (Keyring::later_head(sealing, cluster, keyring).ok().flatten())
        .and_then(|key| head::open(&key, cluster, head).ok())
        .and_then(|plaintext| Head::minimum(&plaintext).ok());
    match needed {
        Some(needed) if needed > options.program => Error::ProgramTooOld { needed, running: options.program },
        _ => error,
    }
}

/// The clear rows of a snapshot by name, as they are.
pub(crate) fn stored_clear_rows(snapshot: &Snapshot) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let mut rows = BTreeMap::new();
    let mut from = meta::CLEAR.to_vec();
    loop {
        let batch = snapshot.range(Table::Meta, &from, BATCH)?;
        let full = batch.len() == BATCH;
        for (key, row) in batch {
            let Some(name) = key.strip_prefix(meta::CLEAR) else { return Ok(rows) };
            let name = String::from_utf8_lossy(name).into_owned();
            from = [&key[..], &[0]].concat();
            rows.insert(name, row);
        }
        if !full {
            return Ok(rows);
        }
    }
}

/// Compares keyring and clear rows with the register, and the register with the head; names the first that differs.
pub(super) fn clear_rows(
    snapshot: &Snapshot,
    authority: &Authority,
    head: &Head,
    keyring: &[u8],
) -> Result<Register, Error> {
    let in_register = |reason: &str| wrong(Layer::ClearRow, "register", reason);
    let (index, cluster) = (&authority.index, &authority.cluster);
    let stored = snapshot.get(Table::Meta, meta::REGISTER)?.ok_or_else(|| in_register("it is missing"))?;
    if !bool::from(register::digest(index, cluster, &stored).ct_eq(&head.register)) {
        return Err(in_register("it is not the one that the head vouches for"));
    }
    let register = Register::decode(&stored).map_err(|error| in_register(error.0))?;
    let mut rows = stored_clear_rows(snapshot)?;
    for (name, mac) in &register.0 {
        let (layer, row) = match name.as_str() {
            KEYRING => (Layer::Keyring, Some(keyring.to_vec())),
            name => (Layer::ClearRow, rows.remove(name)),
        };
        let row = row.ok_or_else(|| wrong(layer, name, "it is missing"))?;
        if !bool::from(register::mac(index, cluster, name, &row).ct_eq(mac)) {
            return Err(wrong(layer, name, "it is not the version that the head vouches for"));
        }
    }
    if !register.0.contains_key(KEYRING) {
        return Err(wrong(Layer::Keyring, KEYRING, "the register does not list it"));
    }
    match rows.into_keys().next() {
        Some(name) => Err(wrong(Layer::ClearRow, name, "the head does not know it")),
        None => Ok(register),
    }
}

/// Reads the journal: backwards, since each page vouches for the one before, then forwards into the overlay.
pub(super) fn replay(snapshot: &Snapshot, authority: &Authority, head: &Head) -> Result<(Overlay, Page), Error> {
    let mut pages = Vec::new();
    let mut mac = head.last_mac;
    for number in (head.first..=head.last).rev() {
        let bad = |reason: &str| wrong(Layer::Journal, number.to_string(), reason);
        let stored =
            (snapshot.get(Table::Journal, &journal::storage_key(number))?).ok_or_else(|| bad("it is missing"))?;
        if !bool::from(journal::mac(&authority.index, &authority.cluster, number, &stored).ct_eq(&mac)) {
            return Err(bad("it is not the page that its successor, or the head, vouches for"));
        }
        let page = Page::decode(&stored).map_err(|error| bad(error.0))?;
        mac = page.previous;
        pages.push((number, page));
    }
    let mut overlay = Overlay::default();
    for (number, page) in pages.iter().rev() {
        for (key, mac) in &page.entries {
            // What the sweep has passed lies in the tree already.
            if *number > head.mark || *key >= head.cursor {
                overlay.insert(*key, *mac);
            }
        }
    }
    let last = pages.into_iter().next().map(|(_, page)| page);
    Ok((overlay, last.unwrap_or(Page { previous: head.last_mac, entries: Vec::new() })))
}

pub(super) fn keys(keyring: &Keyring, cluster: [u8; 16]) -> Keys {
    Keys { authority: Authority { cluster, index: keyring.index() }, names: keyring.names(), head: keyring.head() }
}

/// The words of a clear part.
pub(crate) fn spoken(clear: &head::Clear) -> [&'static str; 4] {
    words(clear.words)
}
