//! The full walk: every node, page, row and clear row of one snapshot, authenticated without any cache.

use super::{Shared, State, open, wrong};
use crate::format::Mac;
use crate::format::keyring::Keyring;
use crate::format::names::RowKey;
use crate::format::node::{Node, Prefix, Slot};
use crate::format::{head, row};
use crate::index::Overlay;
use crate::storage::{Pair, Table};
use crate::{Error, Layer};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::ControlFlow;

/// What a walk found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Rows that the index holds, markers of directories included.
    pub rows: u64,
    /// Nodes of the index.
    pub nodes: u64,
    /// Pages of the journal.
    pub pages: u64,
    /// Clear rows, the keyring included.
    pub clear_rows: u64,
    /// Good rows by the term that sealed them.
    pub terms: BTreeMap<u32, u64>,
    /// Good rows by the generation of the names key that their names are under.
    pub names: BTreeMap<u8, u64>,
    /// Everything that is wrong, at most 1,000.
    pub problems: Vec<Problem>,
    /// Whether there was more wrong than `problems` holds.
    pub more: bool,
    /// Whether the walk was stopped before its end.
    pub stopped: bool,
}

/// Something that is wrong, by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The layer that caught it.
    pub layer: Layer,
    /// The row's path where it could still be read, else its key.
    pub name: String,
    /// What did not hold.
    pub reason: String,
}

/// The most problems that a walk lists.
const MOST_PROBLEMS: usize = 1000;

/// Rows read from storage at a time; each may have up to 1 MiB.
const BATCH: usize = 16;

impl Shared {
    /// Walks everything. `progress` is called every few hundred rows and may stop the walk.
    pub(crate) fn verify(&self, progress: impl FnMut(&Verification) -> ControlFlow<()>) -> Result<Verification, Error> {
        // State and snapshot of one commit; the walk itself runs beside later commits.
        let state = {
            let _commit = self.commit.lock();
            let mut state = State::clone(&*self.state()?);
            self.storage.revive()?;
            state.snapshot = self.storage.snapshot()?;
            state
        };
        let stored = Stored { state: &state, next: Some(RowKey::FIRST), held: VecDeque::new() };
        let mut walk = Walk {
            state: &state,
            stored,
            overlay: &state.overlay,
            next: Some(RowKey::FIRST),
            found: Verification::default(),
            progress,
        };
        walk.meta();
        walk.journal();
        walk.index();
        for problem in &walk.found.problems {
            self.alarm(&wrong(problem.layer, &problem.name, &problem.reason));
        }
        Ok(walk.found)
    }
}

struct Walk<'a, P> {
    state: &'a State,
    stored: Stored<'a>,
    overlay: &'a Overlay,
    /// Everything before this key has been looked at.
    next: Option<RowKey>,
    found: Verification,
    progress: P,
}

impl<P: FnMut(&Verification) -> ControlFlow<()>> Walk<'_, P> {
    /// Head, keyring, register and clear rows as they lie in storage now.
    fn meta(&mut self) {
        let state = self.state;
        let (keys, snapshot) = (&state.keys, &state.snapshot);
        let checked = (|| {
            let stored = snapshot.get(Table::Meta, super::meta::HEAD)?;
            if stored.as_deref() != Some(&*state.stored_head) {
                return Err(wrong(Layer::Head, "head", "it is not the one that this program wrote last"));
            }
            let cluster = &keys.authority.cluster;
            head::open(&keys.head, cluster, &state.stored_head).map_err(|error| wrong(Layer::Head, "head", error.0))?;
            let keyring = (snapshot.get(Table::Meta, super::meta::KEYRING)?)
                .ok_or_else(|| wrong(Layer::Keyring, "keyring", "it is missing"))?;
            let register = open::clear_rows(snapshot, &keys.authority, &state.head, &keyring)?;
            Keyring::open(&state.sealing, cluster, &keyring)?;
            Ok(register.0.len() as u64)
        })();
        match checked {
            Ok(clear_rows) => self.found.clear_rows = clear_rows,
            Err(error) => self.problem(error),
        }
    }

    fn journal(&mut self) {
        match open::replay(&self.state.snapshot, &self.state.keys.authority, &self.state.head) {
            Ok(_) => self.found.pages = self.state.head.last + 1 - self.state.head.first,
            Err(error) => self.problem(error),
        }
    }

    /// The tree in the order of its keys, merged with the journal's changes, beside the stored rows in the same order.
    fn index(&mut self) {
        let mut slots = HashSet::new();
        if let Some(mac) = self.state.head.root
            && self.node(Prefix::ROOT, &mac, &mut slots).is_break()
        {
            self.found.stopped = true;
            return;
        }
        if self.until(None).is_break() {
            self.found.stopped = true;
            return;
        }
        self.found.nodes = slots.len() as u64;
        if let Err(error) = self.strays(&slots) {
            self.problem(error);
        }
    }

    fn node(&mut self, slot: Slot, mac: &Mac, slots: &mut HashSet<Slot>) -> ControlFlow<()> {
        slots.insert(slot);
        let stored = self.state.snapshot.get(Table::Nodes, &slot.storage_key());
        match stored.and_then(|stored| self.state.keys.authority.check(&slot, mac, stored)) {
            Ok(Node::Inner { prefix, children }) => {
                for (nibble, child) in children.iter().enumerate() {
                    if let Some(child) = child {
                        self.node(prefix.child(nibble), child, slots)?;
                    }
                }
            }
            Ok(Node::Leaf(rows)) => {
                for (key, mac) in rows {
                    self.until(Some(key))?;
                    // What the journal changed was looked at as such.
                    if self.next == Some(key) && self.overlay.get(&key).is_none() {
                        self.row(key, &mac)?;
                    }
                }
            }
            Err(error) => {
                // Nothing below can be vouched for; the walk goes on behind it.
                self.problem(error);
                self.until(Some(slot.first()))?;
                let last = slot.last();
                while self.stored.take_before(last.next().as_ref()).is_some_and(|taken| taken.is_ok()) {}
                self.next = last.next();
            }
        }
        ControlFlow::Continue(())
    }

    /// Looks at everything before `end` that the journal holds, and at stored rows that nothing holds; to the very end
    /// for `None`.
    fn until(&mut self, end: Option<RowKey>) -> ControlFlow<()> {
        while let Some(next) = self.next
            && end.is_none_or(|end| next < end)
        {
            match self.overlay.from(&next).next().copied().filter(|(key, _)| end.is_none_or(|end| *key < end)) {
                Some((key, Some(mac))) => self.row(key, &mac)?,
                Some((key, None)) => {
                    self.extra(Some(key));
                    self.next = key.next();
                    self.extra(self.next);
                }
                None => {
                    self.extra(end);
                    self.next = end;
                    return ControlFlow::Continue(());
                }
            }
        }
        // A change of exactly `end` belongs to the journal, not to the tree.
        if let Some(end) = end
            && self.next == Some(end)
        {
            match self.overlay.get(&end) {
                Some(Some(mac)) => self.row(end, &mac)?,
                Some(None) => {
                    self.extra(end.next().as_ref().copied());
                    self.next = end.next();
                }
                None => {}
            }
        }
        ControlFlow::Continue(())
    }

    /// A row that the index holds.
    fn row(&mut self, key: RowKey, mac: &Mac) -> ControlFlow<()> {
        self.extra(Some(key));
        self.next = key.next();
        self.found.rows += 1;
        let stored = match self.stored.take(&key) {
            Ok(Some(stored)) => Ok(Some(stored)),
            // Not the next in order, or the order could not be read: it may still be there.
            _ => self.state.snapshot.get(Table::Rows, &key.0),
        };
        let opened = stored
            .and_then(|stored| {
                stored.ok_or_else(|| {
                    wrong(Layer::Absence, key.to_string(), "the index holds it and the storage does not")
                })
            })
            .and_then(|stored| {
                let term = row::term(&stored).unwrap_or_default();
                self.state.open_row(&key, mac, stored, &|| key.to_string()).map(|(_, names)| (term, names))
            });
        match opened {
            Ok((term, names)) => {
                *self.found.terms.entry(term).or_default() += 1;
                *self.found.names.entry(names).or_default() += 1;
            }
            Err(error) => self.problem(error),
        }
        if self.found.rows.is_multiple_of(512) { (self.progress)(&self.found) } else { ControlFlow::Continue(()) }
    }

    /// Stored rows before `end` that the index does not hold.
    fn extra(&mut self, end: Option<RowKey>) {
        while let Some(taken) = self.stored.take_before(end.as_ref()) {
            match taken {
                Ok(key) => {
                    let name = RowKey::try_from(&key[..]).map_or_else(|_| format!("{key:02x?}"), |key| key.to_string());
                    self.problem(wrong(Layer::Row, name, "the storage holds it and the index does not"));
                }
                Err(error) => {
                    self.problem(error);
                    break;
                }
            }
        }
    }

    /// Stored nodes and pages that nothing vouches for.
    fn strays(&mut self, slots: &HashSet<Slot>) -> Result<(), Error> {
        let mut from = Vec::new();
        loop {
            let batch = self.state.snapshot.range(Table::Nodes, &from, 256)?;
            let Some((last, _)) = batch.last() else { break };
            from = [&last[..], &[0]].concat();
            for (key, _) in &batch {
                if !Prefix::from_storage_key(key).is_ok_and(|slot| slots.contains(&slot)) {
                    self.problem(wrong(
                        Layer::Node,
                        format!("{key:02x?}"),
                        "the storage holds it and no node leads to it",
                    ));
                }
            }
        }
        let (first, last) = (self.state.head.first, self.state.head.last);
        let mut from = Vec::new();
        loop {
            let batch = self.state.snapshot.range(Table::Journal, &from, 64)?;
            let Some((end, _)) = batch.last() else { return Ok(()) };
            from = [&end[..], &[0]].concat();
            for (key, _) in &batch {
                let page = <[u8; 8]>::try_from(&key[..]).map(u64::from_be_bytes);
                if !page.is_ok_and(|page| (first..=last).contains(&page)) {
                    self.problem(wrong(Layer::Journal, format!("{key:02x?}"), "the head does not know it"));
                }
            }
        }
    }

    fn problem(&mut self, error: Error) {
        if self.found.problems.len() >= MOST_PROBLEMS {
            self.found.more = true;
            return;
        }
        self.found.problems.push(match error {
            Error::Integrity { layer, name, reason } => Problem { layer, name, reason },
            other => Problem { layer: Layer::Engine, name: "storage".into(), reason: other.to_string() },
        });
    }
}

/// The stored rows in the order of their keys.
struct Stored<'a> {
    state: &'a State,
    next: Option<RowKey>,
    held: VecDeque<Pair>,
}

impl Stored<'_> {
    fn fill(&mut self) -> Result<(), Error> {
        if let (true, Some(from)) = (self.held.is_empty(), self.next) {
            let batch = self.state.snapshot.range(Table::Rows, &from.0, BATCH);
            // After an error there is no way on.
            self.next = batch
                .as_ref()
                .ok()
                .filter(|batch| batch.len() == BATCH)
                .and_then(|batch| RowKey::try_from(&batch[BATCH - 1].0[..]).ok()?.next());
            self.held = batch?.into();
        }
        Ok(())
    }

    /// The row of this key, if it is the next.
    fn take(&mut self, key: &RowKey) -> Result<Option<Vec<u8>>, Error> {
        self.fill()?;
        let found = self.held.front().is_some_and(|(held, _)| held[..] == key.0);
        Ok(if found { self.held.pop_front().map(|(_, stored)| stored) } else { None })
    }

    /// The next row if its key lies before `end`.
    fn take_before(&mut self, end: Option<&RowKey>) -> Option<Result<Vec<u8>, Error>> {
        if let Err(error) = self.fill() {
            return Some(Err(error));
        }
        let before = self.held.front().is_some_and(|(key, _)| end.is_none_or(|end| key[..] < end.0[..]));
        if before { self.held.pop_front().map(|(key, _)| Ok(key)) } else { None }
    }
}
