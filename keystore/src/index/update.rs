//! Changes of the tree: a sorted run of changes rewrites the nodes on its paths, each once.

use super::Tree;
use crate::Error;
use crate::format::Mac;
use crate::format::names::RowKey;
use crate::format::node::{BUCKET, Node, Prefix, Slot};
use crate::storage::{Op, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A row's new MAC, or `None` to take it out.
pub(crate) type Change = (RowKey, Option<Mac>);

/// A tree being changed; nothing is stored until its operations are committed.
pub(crate) struct Update<'a> {
    tree: Tree<'a>,
    written: BTreeMap<Slot, Option<Arc<Node>>>,
    grown: i64,
}

impl<'a> Update<'a> {
    pub(crate) fn new(tree: Tree<'a>) -> Update<'a> {
        Update { tree, written: BTreeMap::new(), grown: 0 }
    }

    /// Applies changes that are sorted by key, each key once.
    pub(crate) fn apply(&mut self, changes: &[Change]) -> Result<(), Error> {
        debug_assert!(changes.is_sorted_by(|a, b| a.0 < b.0));
        self.tree.root = self.change(Prefix::ROOT, self.tree.root, changes)?;
        Ok(())
    }

    /// The new root, how many rows the tree gained, and the writes that make it so.
    pub(crate) fn finish(self) -> (Option<Mac>, i64, Vec<Op>) {
        let op = |(slot, node): (Slot, Option<Arc<Node>>)| match node {
            Some(node) => Op::put(Table::Nodes, slot.storage_key(), node.encode()),
            None => Op::delete(Table::Nodes, slot.storage_key()),
        };
        (self.tree.root, self.grown, self.written.into_iter().map(op).collect())
    }

    fn change(&mut self, slot: Slot, current: Option<Mac>, changes: &[Change]) -> Result<Option<Mac>, Error> {
        if changes.is_empty() {
            return Ok(current);
        }
        let Some(mac) = current else {
            let rows: Vec<_> = changes.iter().filter_map(|(key, mac)| Some((*key, (*mac)?))).collect();
            self.grown += rows.len() as i64;
            return Ok(if rows.is_empty() { None } else { self.build(slot, &rows) });
        };
        let node = self.load(&slot, &mac)?;
        match &*node {
            Node::Leaf(rows) => {
                let merged = merge(rows, changes);
                self.grown += merged.len() as i64 - rows.len() as i64;
                if merged == *rows {
                    return Ok(current);
                }
                Ok(self.build(slot, &merged))
            }
            Node::Inner { prefix, children } => {
                // New rows beside the compressed path fork it; deletions beside it delete nothing.
                let beside = |(key, mac): &&Change| mac.is_some() && !prefix.holds(key);
                let fork = changes.iter().filter(beside).map(|(key, _)| Prefix::shared(key, &prefix.first())).min();
                let (mut prefix, mut children) = (*prefix, children.clone());
                if let Some(fork) = fork {
                    let nibble = prefix.first().nibble(fork);
                    let above = Prefix::of(&prefix.first(), fork);
                    *children = [None; 16];
                    children[nibble] = Some(self.write(above.child(nibble), node));
                    prefix = above;
                }
                let start = changes.partition_point(|(key, _)| *key < prefix.first());
                let end = changes.partition_point(|(key, _)| *key <= prefix.last());
                for group in changes[start..end].chunk_by(|a, b| a.0.nibble(prefix.len()) == b.0.nibble(prefix.len())) {
                    let nibble = group[0].0.nibble(prefix.len());
                    children[nibble] = self.change(prefix.child(nibble), children[nibble], group)?;
                }
                if children.iter().all(Option::is_none) {
                    self.written.insert(slot, None);
                    return Ok(None);
                }
                Ok(Some(self.write(slot, Arc::new(Node::Inner { prefix, children }))))
            }
        }
    }

    /// A subtree of these rows, which are sorted.
    fn build(&mut self, slot: Slot, rows: &[(RowKey, Mac)]) -> Option<Mac> {
        if rows.is_empty() {
            self.written.insert(slot, None);
            return None;
        }
        if rows.len() <= BUCKET {
            return Some(self.write(slot, Arc::new(Node::Leaf(rows.to_vec()))));
        }
        // Sorted and distinct, so the first and the last differ most, and before their last nibble is used up.
        let prefix = Prefix::of(&rows[0].0, Prefix::shared(&rows[0].0, &rows[rows.len() - 1].0));
        let mut children = Box::new([None; 16]);
        for group in rows.chunk_by(|a, b| a.0.nibble(prefix.len()) == b.0.nibble(prefix.len())) {
            let nibble = group[0].0.nibble(prefix.len());
            children[nibble] = self.build(prefix.child(nibble), group);
        }
        Some(self.write(slot, Arc::new(Node::Inner { prefix, children })))
    }

    fn write(&mut self, slot: Slot, node: Arc<Node>) -> Mac {
        let mac = self.tree.authority.node(&slot, &node.encode());
        self.tree.cache.insert(mac, node.clone());
        self.written.insert(slot, Some(node));
        mac
    }

    fn load(&self, slot: &Slot, mac: &Mac) -> Result<Arc<Node>, Error> {
        match self.written.get(slot) {
            // What was written last in this slot is what the parent, written after it, vouches for.
            Some(Some(node)) => Ok(node.clone()),
            _ => self.tree.load(slot, mac),
        }
    }
}

fn merge(rows: &[(RowKey, Mac)], changes: &[Change]) -> Vec<(RowKey, Mac)> {
    let mut merged = Vec::with_capacity(rows.len() + changes.len());
    let mut rows = rows.iter().peekable();
    for (key, mac) in changes {
        while let Some(row) = rows.next_if(|(held, _)| held < key) {
            merged.push(*row);
        }
        rows.next_if(|(held, _)| held == key);
        merged.extend(mac.map(|mac| (*key, mac)));
    }
    merged.extend(rows);
    merged
}
