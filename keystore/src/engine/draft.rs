//! The next state, while it is being made: a copy that replaces the last one only when its commit is durable. So a failed
//! commit undoes root, overlay, journal and sequence by being dropped.

use super::open::keys;
use super::write::Sealed;
use super::{Keys, Shared, State, Write, meta};
use crate::format::head::{self, Head, MOST_DEVICES};
use crate::format::journal::{self, ENTRIES, Page};
use crate::format::keyring::{Keyring, KeyringKey, TWO_NAMES_KEYS_SINCE, keyring_key};
use crate::format::names::{DirKey, RowKey};
use crate::format::register::{self, KEYRING, Register};
use crate::format::{Mac, row};
use crate::index::{self, Authority, Overlay, Tree};
use crate::storage::{Op, Table};
use crate::{Device, Error, MountId, Reading, epoch, path};
use std::collections::BTreeMap;
use std::sync::Arc;
use strongroom_secret::key::RootKey;
use strongroom_secret::{Key, SecretBytes};

/// The next state, and the writes that make it.
pub(crate) struct Draft<'a> {
    pub(super) shared: &'a Shared,
    pub(crate) base: Arc<State>,
    pub(super) head: Head,
    pub(super) overlay: Overlay,
    pub(super) page: Page,
    /// Whether the last page differs from what is stored.
    pub(super) page_dirty: bool,
    keyring: Arc<Keyring>,
    sealing: Arc<Key<KeyringKey>>,
    register: Arc<Register>,
    keys: Arc<Keys>,
    rows: BTreeMap<RowKey, Option<Vec<u8>>>,
    /// Everything but rows.
    pub(super) ops: Vec<Op>,
    dirty: bool,
}

/// A change of what custody guards: clear rows, root key, devices, minimum version. All of it in one commit.
#[derive(Default)]
pub(crate) struct Custody {
    pub(crate) rows: Vec<(String, Option<Vec<u8>>)>,
    /// The key that seals the keyring from now on, and the root's generation.
    pub(crate) sealing: Option<(Arc<Key<KeyringKey>>, u32)>,
    pub(crate) devices: Option<Vec<Device>>,
    pub(crate) minimum: Option<u32>,
}

/// What a re-encryption did with a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resealed {
    /// It has a new version.
    InPlace,
    /// It has a new name too.
    Renamed,
}

/// Changes of one request, not yet in the draft: each row's stored bytes and MAC, or `None` to delete it.
type Local = BTreeMap<RowKey, Option<(Vec<u8>, Mac)>>;

impl Custody {
    /// Replaces the root key.
    pub(crate) fn root(&mut self, root: &RootKey, cluster: &[u8; 16], generation: u32) {
        self.sealing = Some((Arc::new(keyring_key(root, cluster, generation)), generation));
    }
}

impl<'a> Draft<'a> {
    /// The state after `base`, unchanged so far, but for a rotation that is due.
    pub(crate) fn new(shared: &'a Shared, base: Arc<State>) -> Result<Draft<'a>, Error> {
        let mut draft = Draft {
            shared,
            head: base.head.clone(),
            overlay: base.overlay.clone(),
            page: base.page.clone(),
            page_dirty: false,
            keyring: base.keyring.clone(),
            sealing: base.sealing.clone(),
            register: base.register.clone(),
            keys: base.keys.clone(),
            rows: BTreeMap::new(),
            ops: Vec::new(),
            dirty: false,
            base,
        };
        let age = shared.options.clock.now().since(draft.keyring.current().1.created);
        let limits = shared.limits();
        if draft.head.operations >= limits.operations || limits.age.is_some_and(|most| age >= most) {
            draft.rotate()?;
        }
        Ok(draft)
    }

    pub(crate) fn dirty(&self) -> bool {
        self.dirty
    }

    /// A batch, whole or not at all.
    pub(crate) fn write(&mut self, write: Write) -> Result<(), Error> {
        for (mount, path, version) in write.expected {
            if self.find_path(mount, &path)? != version.map(|version| version.0) {
                return Err(Error::Conflict { path });
            }
        }
        let mut local = Local::new();
        let renamed = write.names != self.head.names;
        for change in write.changes {
            let (mount, path) = (change.mount, &*change.path);
            match change.value {
                Some(sealed) => {
                    self.mark(mount, path, &mut local)?;
                    if renamed {
                        let key = self.keys.names.row(mount, path);
                        local.insert(key, Some(self.seal(&key, mount, path, &sealed.plaintext())?));
                    } else {
                        local.insert(change.key, Some(self.sealed(sealed, &change.key, mount, path)?));
                    }
                    self.drop_older(mount, path, &mut local)?;
                }
                None if self.lives_path(mount, path, &local)? => {
                    self.delete(mount, path, &mut local)?;
                    self.prune(mount, path, &mut local)?;
                }
                None => {}
            }
        }
        self.take(local);
        Ok(())
    }

    /// Writes a row at the top of a mount, whatever was there.
    pub(crate) fn put(&mut self, mount: MountId, path: &str, value: &SecretBytes) -> Result<(), Error> {
        let key = self.keys.names.row(mount, path);
        let mut local = Local::from([(key, Some(self.seal(&key, mount, path, value)?))]);
        self.drop_older(mount, path, &mut local)?;
        self.take(local);
        Ok(())
    }

    /// Seals a row anew under the current term and its present name, if it still is the version that was opened.
    pub(crate) fn reseal(&mut self, key: RowKey, mac: Mac, opened: row::Opened) -> Result<Option<Resealed>, Error> {
        if self.find(&key)? != Some(mac) {
            return Ok(None);
        }
        let present = self.keys.names.row(opened.mount, &opened.path);
        let row = self.seal(&present, opened.mount, &opened.path, &opened.value)?;
        let mut local = Local::from([(present, Some(row))]);
        if present == key {
            self.take(local);
            return Ok(Some(Resealed::InPlace));
        }
        local.insert(key, None);
        self.take(local);
        Ok(Some(Resealed::Renamed))
    }

    /// A fresh term, under which everything is sealed from now on.
    pub(crate) fn rotate(&mut self) -> Result<u32, Error> {
        let keyring = self.keyring.rotated(self.shared.options.clock.now())?;
        self.replace_keyring(keyring)?;
        (self.head.term, self.head.operations) = (self.keyring.current().0, 0);
        Ok(self.head.term)
    }

    /// A fresh names key, under which rows get their names from now on. Those that have theirs under the one before are
    /// found as well, until a re-encryption has renamed them all.
    pub(crate) fn rotate_names(&mut self) -> Result<u8, Error> {
        self.replace_keyring(self.keyring.renamed()?)?;
        self.renew_keys();
        self.head.names = self.keyring.names_generation();
        self.head.minimum = self.head.minimum.max(TWO_NAMES_KEYS_SINCE);
        Ok(self.head.names)
    }

    /// Takes terms out of the keyring; the current one stays. So does the older names key, unless `renamed` is the current
    /// generation: every row has its name under that.
    pub(crate) fn retire(&mut self, keep: impl Fn(u32) -> bool, renamed: Option<u8>) -> Result<(), Error> {
        let keyring = self.keyring.retired(keep);
        if renamed != Some(self.head.names) || keyring.older_names_generation().is_none() {
            return self.replace_keyring(keyring);
        }
        self.replace_keyring(keyring.without_older_names())?;
        self.renew_keys();
        Ok(())
    }

    /// The next epoch; what comes back are the counters to which the devices that vouch are to be raised.
    pub(crate) fn raise(&mut self, readings: &[Reading]) -> Result<Vec<Device>, Error> {
        let targets = epoch::raise(&mut self.head.devices, readings)?;
        self.head.epoch = self.head.epoch.checked_add(1).ok_or(Error::Format("no epoch is left".into()))?;
        self.dirty = true;
        Ok(targets)
    }

    /// What custody changes.
    pub(crate) fn custody(&mut self, custody: &Custody) -> Result<(), Error> {
        if custody.devices.as_ref().is_some_and(|devices| devices.len() > MOST_DEVICES) {
            return Err(Error::Format(format!("at most {MOST_DEVICES} devices can confirm the epoch")));
        }
        let bad = |name: &String| name.is_empty() || name.len() > 255 || name == KEYRING;
        if let Some((name, _)) = custody.rows.iter().find(|(name, _)| bad(name)) {
            return Err(Error::Format(format!("{name:?} cannot be the name of a clear row")));
        }
        if self.register.0.len() + custody.rows.len() > usize::from(u16::MAX) {
            return Err(Error::Format("there are too many clear rows".into()));
        }
        let cluster = self.authority().cluster;
        if let Some((sealing, generation)) = &custody.sealing {
            let stored = self.keyring.seal(sealing, &cluster, *generation)?;
            (self.sealing, self.head.generation) = (sealing.clone(), *generation);
            self.put_clear(KEYRING, Some(stored));
        }
        for (name, row) in &custody.rows {
            self.put_clear(name, row.clone());
        }
        if let Some(devices) = &custody.devices {
            self.head.devices = devices.clone();
        }
        if let Some(minimum) = custody.minimum {
            self.head.minimum = minimum;
        }
        self.dirty = true;
        Ok(())
    }

    /// The state and the writes that make it, and which rows changed. On a `full` disk it is kept small.
    pub(crate) fn finish(mut self, full: bool) -> Result<(State, Vec<Op>, Vec<RowKey>), Error> {
        self.flush(full)?;
        if self.page_dirty {
            let bytes = self.page.encode();
            self.head.last_mac = self.page_mac(self.head.last, &bytes);
            self.ops.push(Op::put(Table::Journal, journal::storage_key(self.head.last), bytes));
        }
        let keys = self.keys.clone();
        if self.register != self.base.register {
            let bytes = self.register.encode();
            self.head.register = register::digest(&keys.authority.index, &keys.authority.cluster, &bytes);
            self.ops.push(Op::put(Table::Meta, meta::REGISTER, bytes));
        }
        self.head.sequence += 1;
        self.head.clock = self.head.clock.max(self.shared.options.clock.now());
        let stored_head = head::seal(&keys.head, &keys.authority.cluster, &self.head)?;
        let changed = self.rows.keys().copied().collect();
        let mut ops: Vec<Op> =
            self.rows.into_iter().map(|(key, value)| Op { table: Table::Rows, key: key.0.to_vec(), value }).collect();
        ops.append(&mut self.ops);
        ops.push(Op::put(Table::Meta, meta::HEAD, &stored_head[..]));
        let state = State {
            head: self.head,
            stored_head: stored_head.into(),
            overlay: self.overlay,
            page: self.page,
            keys,
            keyring: self.keyring,
            sealing: self.sealing,
            register: self.register,
            snapshot: self.base.snapshot.clone(),
        };
        Ok((state, ops, changed))
    }

    fn authority(&self) -> &Authority {
        &self.keys.authority
    }

    /// After the keyring got another names key, or lost one.
    fn renew_keys(&mut self) {
        self.keys = Arc::new(keys(&self.keyring, self.keys.authority.cluster));
    }

    pub(super) fn tree(&self) -> Tree<'_> {
        // The root does not move before `flush`, which is last, so the base's nodes are the draft's.
        self.base.tree(self.shared)
    }

    fn find(&self, key: &RowKey) -> Result<Option<Mac>, Error> {
        index::find(&self.overlay, &self.tree(), key)
    }

    /// The MAC of a row under whichever names key.
    fn find_path(&self, mount: MountId, path: &str) -> Result<Option<Mac>, Error> {
        match self.find(&self.keys.names.row(mount, path))? {
            Some(mac) => Ok(Some(mac)),
            None => self.keys.names.older_row(mount, path).map_or(Ok(None), |key| self.find(&key)),
        }
    }

    /// Whether a row lives under whichever names key.
    fn lives_path(&self, mount: MountId, path: &str, local: &Local) -> Result<bool, Error> {
        Ok(self.lives(&self.keys.names.row(mount, path), local)?
            || match self.keys.names.older_row(mount, path) {
                Some(key) => self.lives(&key, local)?,
                None => false,
            })
    }

    /// Deletes a row that lives. Its present key is among the changes also when it lived under the older one: caches know
    /// it by that.
    fn delete(&self, mount: MountId, path: &str, local: &mut Local) -> Result<(), Error> {
        local.insert(self.keys.names.row(mount, path), None);
        self.drop_older(mount, path, local)
    }

    /// Deletes what has the older name of a path, if there is such a thing.
    fn drop_older(&self, mount: MountId, path: &str, local: &mut Local) -> Result<(), Error> {
        if let Some(key) = self.keys.names.older_row(mount, path)
            && self.lives(&key, local)?
        {
            local.insert(key, None);
        }
        Ok(())
    }

    fn lives(&self, key: &RowKey, local: &Local) -> Result<bool, Error> {
        match local.get(key) {
            Some(row) => Ok(row.is_some()),
            None => Ok(self.find(key)?.is_some()),
        }
    }

    fn sealed(&self, sealed: Sealed, key: &RowKey, mount: MountId, path: &str) -> Result<(Vec<u8>, Mac), Error> {
        match sealed.under(self.head.term) {
            Ok(stored) => {
                let mac = self.authority().row(key, &stored);
                Ok((stored, mac))
            }
            Err(plaintext) => self.seal(key, mount, path, &plaintext),
        }
    }

    fn seal(&self, key: &RowKey, mount: MountId, path: &str, value: &SecretBytes) -> Result<(Vec<u8>, Mac), Error> {
        let (term, term_key) = self.keyring.current();
        let authority = &self.authority();
        let stored = row::seal(term, &term_key.prepared, &authority.cluster, key, (mount, path), value.expose())?;
        let mac = authority.row(key, &stored);
        Ok((stored, mac))
    }

    /// Sees to it that every directory above a row has its marker.
    fn mark(&self, mount: MountId, path: &str, local: &mut Local) -> Result<(), Error> {
        let (mut dir, _) = path::split(path);
        while !dir.is_empty() {
            let marker = format!("{dir}/");
            // A directory that has its marker has those above it.
            if self.lives_path(mount, &marker, local)? {
                break;
            }
            let key = self.keys.names.row(mount, &marker);
            let row = self.seal(&key, mount, &marker, &SecretBytes::from_slice(&[]))?;
            local.insert(key, Some(row));
            (dir, _) = path::split(dir);
        }
        Ok(())
    }

    /// Takes out the markers of directories that a deletion has left empty.
    fn prune(&self, mount: MountId, path: &str, local: &mut Local) -> Result<(), Error> {
        let mut deleted = path.to_owned();
        let (mut dir, _) = path::split(path);
        while !dir.is_empty() {
            let older = self.keys.names.older_row(mount, &deleted);
            for key in [Some(self.keys.names.row(mount, &deleted)), older].into_iter().flatten() {
                if self.inhabited(&key, local)? {
                    return Ok(());
                }
            }
            deleted = format!("{dir}/");
            self.delete(mount, &deleted, local)?;
            (dir, _) = path::split(dir);
        }
        Ok(())
    }

    /// Whether a row still lives in the directory of one that was just deleted, with its name under the same names key.
    fn inhabited(&self, deleted: &RowKey, local: &Local) -> Result<bool, Error> {
        let dir: DirKey = deleted.dir();
        let (first, last) = (RowKey::first_in(&dir), RowKey::last_in(&dir));
        if local.range(first..=last).any(|(_, row)| row.is_some()) {
            return Ok(true);
        }
        // From the deleted row on, then from the start: so that emptying a large directory does not walk over what has
        // been deleted of it each time.
        for (mut from, to) in [(*deleted, last), (first, *deleted)] {
            loop {
                let rows = index::rows(&self.overlay, &self.tree(), &from, &to, 8)?;
                if rows.iter().any(|(key, _)| !local.contains_key(key)) {
                    return Ok(true);
                }
                match rows.get(7).and_then(|(key, _)| key.next()) {
                    Some(next) if next <= to => from = next,
                    _ => break,
                }
            }
        }
        Ok(false)
    }

    /// Takes a request's changes into the draft.
    fn take(&mut self, local: Local) {
        for (key, row) in local {
            let (stored, mac) = row.unzip();
            self.head.operations += u64::from(mac.is_some());
            self.log(key, mac);
            self.rows.insert(key, stored);
            self.dirty = true;
        }
    }

    /// Puts a change into the journal.
    fn log(&mut self, key: RowKey, mac: Option<Mac>) {
        // The marked page is closed: what follows it belongs to the next round of the sweep.
        if self.page.entries.len() >= ENTRIES || self.head.last < self.head.first || self.head.last == self.head.mark {
            self.turn();
        }
        self.page.entries.push((key, mac));
        self.page_dirty = true;
        self.overlay.insert(key, mac);
    }

    /// Begins the next page.
    fn turn(&mut self) {
        if self.page_dirty {
            let bytes = self.page.encode();
            self.head.last_mac = self.page_mac(self.head.last, &bytes);
            self.ops.push(Op::put(Table::Journal, journal::storage_key(self.head.last), bytes));
        }
        self.head.last += 1;
        self.page = Page { previous: self.head.last_mac, entries: Vec::new() };
        self.page_dirty = false;
    }

    pub(super) fn page_mac(&self, page: u64, bytes: &[u8]) -> Mac {
        let authority = &self.authority();
        journal::mac(&authority.index, &authority.cluster, page, bytes)
    }

    fn replace_keyring(&mut self, keyring: Keyring) -> Result<(), Error> {
        let stored = keyring.seal(&self.sealing, &self.authority().cluster, self.head.generation)?;
        self.keyring = Arc::new(keyring);
        self.put_clear(KEYRING, Some(stored));
        self.dirty = true;
        Ok(())
    }

    /// Writes a clear row, or the keyring, and lists it.
    fn put_clear(&mut self, name: &str, row: Option<Vec<u8>>) {
        let authority = &self.keys.authority;
        let register = Arc::make_mut(&mut self.register);
        match &row {
            Some(row) => {
                register.0.insert(name.to_owned(), register::mac(&authority.index, &authority.cluster, name, row));
            }
            None => {
                register.0.remove(name);
            }
        }
        let key = if name == KEYRING { meta::KEYRING.to_vec() } else { [meta::CLEAR, name.as_bytes()].concat() };
        self.ops.push(Op { table: Table::Meta, key, value: row });
    }
}
