//! The journal's changes in memory: a sorted map whose copies share what they do not change.

use crate::format::Mac;
use crate::format::names::RowKey;
use std::sync::Arc;

/// A change that the tree may not hold yet: the row's MAC, or `None` when it was deleted.
type Entry = (RowKey, Option<Mac>);

/// Changes by row key. A copy costs one pointer per chunk, so that every commit can have its own version.
#[derive(Clone, Default)]
pub(crate) struct Overlay {
    /// Each with its first key; none is empty.
    chunks: Vec<(RowKey, Arc<Vec<Entry>>)>,
    len: usize,
}

/// A chunk is split when it would grow larger.
const CHUNK: usize = 128;

impl Overlay {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, key: &RowKey) -> Option<Option<Mac>> {
        let (_, chunk) = &self.chunks[self.chunk_of(key)?];
        chunk.binary_search_by(|(held, _)| held.cmp(key)).ok().map(|at| chunk[at].1)
    }

    pub(crate) fn insert(&mut self, key: RowKey, mac: Option<Mac>) {
        let Some(at) = self.chunk_of(&key) else {
            // Smaller than every key held.
            match self.chunks.first_mut() {
                Some((first, chunk)) => {
                    *first = key;
                    Arc::make_mut(chunk).insert(0, (key, mac));
                }
                None => self.chunks.push((key, Arc::new(vec![(key, mac)]))),
            }
            self.len += 1;
            return self.split(0);
        };
        let chunk = Arc::make_mut(&mut self.chunks[at].1);
        match chunk.binary_search_by(|(held, _)| held.cmp(&key)) {
            Ok(found) => chunk[found].1 = mac,
            Err(place) => {
                chunk.insert(place, (key, mac));
                self.len += 1;
                self.split(at);
            }
        }
    }

    /// Takes up to `n` changes out, in the order of their keys, from `from` on.
    pub(crate) fn take(&mut self, from: &RowKey, n: usize) -> Vec<Entry> {
        let taken: Vec<Entry> = self.from(from).take(n).copied().collect();
        let (Some((first, _)), Some((last, _))) = (taken.first(), taken.last()) else { return taken };
        // Both ends are held, so there is a chunk for each.
        let (start, end) = (self.chunk_of(first).expect("held"), self.chunk_of(last).expect("held"));
        let mut rest = Vec::new();
        for (_, chunk) in self.chunks.drain(start..=end) {
            rest.extend(chunk.iter().filter(|(key, _)| key < first || key > last).copied());
        }
        let rest: Vec<_> = rest.chunks(CHUNK).map(|part| (part[0].0, Arc::new(part.to_vec()))).collect();
        self.chunks.splice(start..start, rest);
        self.len -= taken.len();
        taken
    }

    /// Changes in the order of their keys, from `from` on, inclusive.
    pub(crate) fn from(&self, from: &RowKey) -> impl Iterator<Item = &Entry> {
        let start = self.chunk_of(from).unwrap_or(0);
        self.chunks[start..].iter().flat_map(|(_, chunk)| chunk.iter()).skip_while(move |(key, _)| key < from)
    }

    /// The chunk that holds a key, or would; `None` when the key is smaller than all.
    fn chunk_of(&self, key: &RowKey) -> Option<usize> {
        self.chunks.partition_point(|(first, _)| first <= key).checked_sub(1)
    }

    fn split(&mut self, at: usize) {
        if self.chunks[at].1.len() > CHUNK {
            let upper = Arc::make_mut(&mut self.chunks[at].1).split_off(CHUNK / 2);
            self.chunks.insert(at + 1, (upper[0].0, Arc::new(upper)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn key(n: u16) -> RowKey {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&n.to_be_bytes());
        RowKey(key)
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_map(steps in prop::collection::vec((0u8..10, 0u16..600, 1usize..200), 1..600)) {
            let (mut overlay, mut model) = (Overlay::default(), BTreeMap::new());
            for (n, (what, at, many)) in (0u64..).zip(steps) {
                let before = (overlay.clone(), model.clone());
                if what == 0 {
                    let taken = overlay.take(&key(at), many);
                    let expected: Vec<_> = model.range(key(at)..).take(many).map(|(k, v)| (*k, *v)).collect();
                    expected.iter().for_each(|(k, _)| { model.remove(k); });
                    prop_assert_eq!(taken, expected);
                } else {
                    for at in (at..600).step_by(many) {
                        let mac = n.is_multiple_of(3).then_some([n as u8; 16]);
                        overlay.insert(key(at), mac);
                        model.insert(key(at), mac);
                    }
                }
                prop_assert_eq!(overlay.len(), model.len());
                prop_assert!(overlay.from(&key(at)).map(|(k, v)| (k, v)).eq(model.range(key(at)..)));
                prop_assert_eq!(overlay.get(&key(at)), model.get(&key(at)).copied());
                prop_assert!(before.0.from(&key(0)).map(|(k, v)| (k, v)).eq(&before.1), "a copy does not change");
            }
        }
    }
}
