use super::*;
use crate::storage::{Op, Storage};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn authority() -> Authority {
    Authority { cluster: [9; 16], index: HmacKey::new(&[1; 32]) }
}

/// Keys of few directories, with long shared prefixes, so that paths are compressed, forked and joined.
fn key(n: u16) -> RowKey {
    let mut key = [0; 32];
    key[0] = (n % 3) as u8;
    key[20] = (n >> 8) as u8;
    key[31] = n as u8;
    RowKey(key)
}

/// Every node in storage, walked from the root without the cache.
fn walk(authority: &Authority, snapshot: &Snapshot, slot: Slot, mac: Mac, seen: &mut Vec<Slot>) -> Vec<(RowKey, Mac)> {
    seen.push(slot);
    match authority.check(&slot, &mac, snapshot.get(Table::Nodes, &slot.storage_key()).unwrap()).unwrap() {
        Node::Leaf(rows) => {
            assert!(rows.len() <= node::BUCKET);
            rows
        }
        Node::Inner { prefix, children } => (0..16)
            .filter_map(|nibble| Some((nibble, children[nibble]?)))
            .flat_map(|(nibble, child)| walk(authority, snapshot, prefix.child(nibble), child, seen))
            .collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_tree_is_a_sorted_map_that_leaves_nothing_behind(
        rounds in prop::collection::vec(prop::collection::btree_map(0u16..2000, any::<Option<u8>>(), 1..300), 1..12)
    ) {
        let (authority, storage) = (authority(), Storage::inmem());
        let fence = storage.lead().unwrap();
        let (mut model, mut root, mut rows) = (BTreeMap::new(), None, 0);
        for round in rounds {
            let cache = NodeCache::new();
            let snapshot = storage.snapshot().unwrap();
            let mut update = Update::new(Tree { authority: &authority, cache: &cache, snapshot: &snapshot, root });
            let mut changes: Vec<_> = round.iter().map(|(n, mac)| (key(*n), mac.map(|byte| [byte; 16]))).collect();
            changes.sort();
            // Two runs in one commit, as a flush may need.
            let half = changes.len() / 2;
            update.apply(&changes[..half]).unwrap();
            update.apply(&changes[half..]).unwrap();
            for (key, mac) in changes {
                match mac {
                    Some(mac) => model.insert(key, mac),
                    None => model.remove(&key),
                };
            }
            let (next, grown, ops) = update.finish();
            storage.commit(fence, &ops).unwrap();
            rows += grown;
            root = next;
            prop_assert_eq!(rows as usize, model.len());

            let (cache, snapshot) = (NodeCache::new(), storage.snapshot().unwrap());
            let tree = Tree { authority: &authority, cache: &cache, snapshot: &snapshot, root };
            for n in 0..2000 {
                prop_assert_eq!(tree.find(&key(n)).unwrap(), model.get(&key(n)).copied());
            }
            let all = tree.rows(&RowKey::FIRST, &RowKey([0xff; 32]), 9999).unwrap();
            prop_assert!(all.iter().map(|(k, m)| (k, m)).eq(&model));
            let mut seen = Vec::new();
            let walked = root.map(|mac| walk(&authority, &snapshot, Prefix::ROOT, mac, &mut seen)).unwrap_or_default();
            prop_assert!(walked.iter().map(|(k, m)| (k, m)).eq(&model));
            let stored = snapshot.range(Table::Nodes, &[], 99_999).unwrap();
            prop_assert_eq!(stored.len(), seen.len(), "no node is left behind");
        }
    }

    #[test]
    fn journal_and_tree_together_are_one_map(
        tree_rows in prop::collection::btree_map(0u16..500, any::<u8>(), 0..200),
        changes in prop::collection::btree_map(0u16..500, any::<Option<u8>>(), 0..200),
        (from, to, limit) in (0u16..500, 0u16..500, 1usize..80),
    ) {
        let (authority, storage) = (authority(), Storage::inmem());
        let snapshot = storage.snapshot().unwrap();
        let cache = NodeCache::new();
        let mut update = Update::new(Tree { authority: &authority, cache: &cache, snapshot: &snapshot, root: None });
        let mut run: Vec<_> = tree_rows.iter().map(|(n, mac)| (key(*n), Some([*mac; 16]))).collect();
        run.sort();
        update.apply(&run).unwrap();
        let (root, _, ops) = update.finish();
        storage.commit(storage.lead().unwrap(), &ops).unwrap();
        let mut model: BTreeMap<_, _> = run.into_iter().map(|(key, mac)| (key, mac.unwrap())).collect();
        let mut overlay = Overlay::default();
        for (n, mac) in changes {
            let mac = mac.map(|byte| [byte; 16]);
            overlay.insert(key(n), mac);
            match mac {
                Some(mac) => model.insert(key(n), mac),
                None => model.remove(&key(n)),
            };
        }
        let snapshot = storage.snapshot().unwrap();
        let tree = Tree { authority: &authority, cache: &cache, snapshot: &snapshot, root };
        let (from, to) = (key(from), key(to));
        let expected: Vec<_> = model.iter().filter(|(k, _)| from <= **k && **k <= to).take(limit).map(|(k, m)| (*k, *m)).collect();
        prop_assert_eq!(rows(&overlay, &tree, &from, &to, limit).unwrap(), expected);
        prop_assert_eq!(find(&overlay, &tree, &from).unwrap(), model.get(&from).copied());
    }
}

#[test]
fn a_changed_or_missing_node_is_named() {
    let (authority, storage, cache) = (authority(), Storage::inmem(), NodeCache::new());
    let fence = storage.lead().unwrap();
    let snapshot = storage.snapshot().unwrap();
    let mut update = Update::new(Tree { authority: &authority, cache: &cache, snapshot: &snapshot, root: None });
    let mut run: Vec<_> = (0..500).map(|n| (key(n), Some([1; 16]))).collect();
    run.sort();
    update.apply(&run).unwrap();
    let (root, _, ops) = update.finish();
    storage.commit(fence, &ops).unwrap();
    for op in &ops {
        let honest = op.value.clone().unwrap();
        let mut flipped = honest.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for bad in [Some(flipped), Some(honest[..honest.len() - 1].to_vec()), Some(ops[0].value.clone().unwrap()), None]
        {
            if bad.as_ref() == Some(&honest) {
                continue;
            }
            storage.commit(fence, &[Op { value: bad, ..op.clone() }]).unwrap();
            let (snapshot, cache) = (storage.snapshot().unwrap(), NodeCache::new());
            let tree = Tree { authority: &authority, cache: &cache, snapshot: &snapshot, root };
            let error = tree.rows(&RowKey::FIRST, &RowKey([0xff; 32]), 999).unwrap_err();
            let slot = Prefix::from_storage_key(&op.key).unwrap().to_string();
            assert!(matches!(error, Error::Integrity { layer: Layer::Node, name, .. } if name == slot));
        }
        storage.commit(fence, std::slice::from_ref(op)).unwrap();
    }
}
