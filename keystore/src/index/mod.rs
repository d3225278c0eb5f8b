//! The authenticated index: a tree of nodes, each vouched for by its parent, the root by the head; and in front of it
//! the changes that the journal holds.

mod overlay;
mod update;

use crate::format::names::RowKey;
use crate::format::node::{self, Node, Prefix, Slot};
use crate::format::{Mac, row};
use crate::generations::Generations;
use crate::storage::{Snapshot, Table};
use crate::{Error, Layer};
pub(crate) use overlay::Overlay;
use parking_lot::Mutex;
use std::sync::Arc;
use strongroom_secret::mac::HmacKey;
use subtle::ConstantTimeEq;
pub(crate) use update::Update;

/// What authenticates: the index key and the cluster that it belongs to.
pub(crate) struct Authority {
    pub(crate) cluster: [u8; 16],
    pub(crate) index: HmacKey,
}

/// Nodes that have been authenticated, by their MACs: whichever snapshot asks for a MAC gets the node that has it.
pub(crate) struct NodeCache(Box<[Shard]>);

type Shard = Mutex<Generations<Mac, Arc<Node>>>;

/// Bytes of nodes kept, as stored.
const NODE_CACHE: usize = 32 << 20;
const SHARDS: usize = 16;

/// Reads the tree of one snapshot.
#[derive(Clone, Copy)]
pub(crate) struct Tree<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) cache: &'a NodeCache,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) root: Option<Mac>,
}

impl Authority {
    pub(crate) fn row(&self, key: &RowKey, stored: &[u8]) -> Mac {
        row::mac(&self.index, &self.cluster, key, stored)
    }

    pub(crate) fn node(&self, slot: &Slot, bytes: &[u8]) -> Mac {
        node::mac(&self.index, &self.cluster, slot, bytes)
    }

    /// The node with this MAC from a slot's stored bytes.
    pub(crate) fn check(&self, slot: &Slot, mac: &Mac, stored: Option<Vec<u8>>) -> Result<Node, Error> {
        let wrong =
            |reason: &str| Error::Integrity { layer: Layer::Node, name: slot.to_string(), reason: reason.into() };
        let stored = stored.ok_or_else(|| wrong("it is missing"))?;
        if !bool::from(self.node(slot, &stored).ct_eq(mac)) {
            return Err(wrong("it is not the node that its parent vouches for"));
        }
        Node::decode(slot, &stored).map_err(|error| wrong(error.0))
    }
}

impl NodeCache {
    pub(crate) fn new() -> NodeCache {
        NodeCache((0..SHARDS).map(|_| Mutex::new(Generations::new(NODE_CACHE / SHARDS))).collect())
    }

    fn shard(&self, mac: &Mac) -> &Shard {
        &self.0[usize::from(mac[15]) % SHARDS]
    }

    pub(crate) fn get(&self, mac: &Mac) -> Option<Arc<Node>> {
        self.shard(mac).lock().get(mac)
    }

    pub(crate) fn insert(&self, mac: Mac, node: Arc<Node>) {
        let weight = match &*node {
            Node::Inner { .. } => 320,
            Node::Leaf(rows) => 64 + rows.len() * 48,
        };
        self.shard(&mac).lock().insert(mac, node, weight);
    }
}

impl Tree<'_> {
    /// The MAC of a row, or `None`: there is no such row.
    pub(crate) fn find(&self, key: &RowKey) -> Result<Option<Mac>, Error> {
        let (mut slot, mut next) = (Prefix::ROOT, self.root);
        while let Some(mac) = next {
            match &*self.load(&slot, &mac)? {
                Node::Leaf(rows) => {
                    return Ok(rows.binary_search_by(|(held, _)| held.cmp(key)).ok().map(|at| rows[at].1));
                }
                Node::Inner { prefix, children } => {
                    if !prefix.holds(key) {
                        return Ok(None);
                    }
                    // A node's prefix is at least its slot and at most 63 nibbles, so the slot grows each time.
                    let nibble = key.nibble(prefix.len());
                    (slot, next) = (prefix.child(nibble), children[nibble]);
                }
            }
        }
        Ok(None)
    }

    /// At most `limit` rows in the order of their keys, from `from` to `to`, both inclusive.
    pub(crate) fn rows(&self, from: &RowKey, to: &RowKey, limit: usize) -> Result<Vec<(RowKey, Mac)>, Error> {
        let mut found = Vec::new();
        if let Some(mac) = self.root {
            self.collect(Prefix::ROOT, &mac, (from, to, limit), &mut found)?;
        }
        Ok(found)
    }

    fn collect(
        &self,
        slot: Slot,
        mac: &Mac,
        (from, to, limit): (&RowKey, &RowKey, usize),
        found: &mut Vec<(RowKey, Mac)>,
    ) -> Result<(), Error> {
        match &*self.load(&slot, mac)? {
            Node::Leaf(rows) => {
                let inside = rows.iter().filter(|(key, _)| from <= key && key <= to);
                found.extend(inside.take(limit - found.len()));
            }
            Node::Inner { prefix, children } => {
                for (nibble, child) in children.iter().enumerate() {
                    let slot = prefix.child(nibble);
                    if let Some(child) = child
                        && slot.last() >= *from
                        && slot.first() <= *to
                        && found.len() < limit
                    {
                        self.collect(slot, child, (from, to, limit), found)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) fn load(&self, slot: &Slot, mac: &Mac) -> Result<Arc<Node>, Error> {
        if let Some(node) = self.cache.get(mac) {
            return Ok(node);
        }
        let stored = self.snapshot.get(Table::Nodes, &slot.storage_key())?;
        let node = Arc::new(self.authority.check(slot, mac, stored)?);
        self.cache.insert(*mac, node.clone());
        Ok(node)
    }
}

/// The MAC of a row as the journal and the tree together say, or `None`: there is no such row.
pub(crate) fn find(overlay: &Overlay, tree: &Tree<'_>, key: &RowKey) -> Result<Option<Mac>, Error> {
    match overlay.get(key) {
        Some(mac) => Ok(mac),
        None => tree.find(key),
    }
}

/// At most `limit` rows that the journal and the tree together hold, from `from` to `to`, both inclusive.
pub(crate) fn rows(
    overlay: &Overlay,
    tree: &Tree<'_>,
    from: &RowKey,
    to: &RowKey,
    limit: usize,
) -> Result<Vec<(RowKey, Mac)>, Error> {
    let mut found = Vec::new();
    let mut next = Some(*from);
    while let Some(from) = next
        && found.len() < limit
        && from <= *to
    {
        // A batch of the tree vouches for everything up to its last key; a short one for everything up to `to`.
        let batch = tree.rows(&from, to, limit.max(32))?;
        let covered = if batch.len() < limit.max(32) { *to } else { batch[batch.len() - 1].0 };
        let mut tree = batch.into_iter().peekable();
        let mut pending = overlay.from(&from).take_while(|(key, _)| *key <= covered).peekable();
        loop {
            let journal_first = match (tree.peek(), pending.peek()) {
                (None, None) => break,
                (Some(_), None) => false,
                (None, Some(_)) => true,
                (Some(row), Some(change)) => {
                    let first = change.0 <= row.0;
                    if change.0 == row.0 {
                        tree.next();
                    }
                    first
                }
            };
            if journal_first {
                // Peeked just above.
                let (key, mac) = pending.next().expect("peeked");
                found.extend(mac.map(|mac| (*key, mac)));
            } else {
                found.extend(tree.next());
            }
        }
        next = covered.next();
    }
    found.truncate(limit);
    Ok(found)
}

#[cfg(test)]
mod tests;
