//! A bounded map that forgets what was not used lately: two generations, the older dropped whole when the younger is full.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Holds between `capacity / 2` and `capacity` of the weight last used.
pub(crate) struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    weight: usize,
    half: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Generations<K, V> {
    /// `capacity` in the unit of the weights given to [`Generations::insert`].
    pub(crate) fn new(capacity: usize) -> Self {
        Generations { young: HashMap::new(), old: HashMap::new(), weight: 0, half: (capacity / 2).max(1) }
    }

    /// A copy of the value, which then counts as used lately.
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, (value, weight)) = self.old.remove_entry(key)?;
        self.insert(key, value.clone(), weight);
        Some(value)
    }

    /// Keeps `value`, and forgets the older generation if the younger is full.
    pub(crate) fn insert(&mut self, key: K, value: V, weight: usize) {
        if self.weight + weight > self.half {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.old.remove(&key);
        self.weight += weight;
        if let Some((_, before)) = self.young.insert(key, (value, weight)) {
            self.weight -= before;
        }
    }

    /// How many are held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_its_capacity_and_keeps_what_is_used() {
        let mut map = Generations::new(100);
        for i in 0..1000u32 {
            map.insert(i, i, 1);
            assert!(map.len() <= 100);
            assert_eq!(map.get(&0), Some(0), "used every time, so kept");
        }
        assert_eq!(map.get(&500), None);
    }

    #[test]
    fn replacing_an_entry_replaces_its_weight() {
        let mut map = Generations::new(10);
        for _ in 0..100 {
            map.insert("a", 1, 2);
        }
        map.insert("b", 2, 2);
        assert_eq!((map.get("a"), map.get("b")), (Some(1), Some(2)));
    }
}
