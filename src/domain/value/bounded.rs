//! A memory of values that were used lately, bounded in number and in bytes.
//!
//! It has two generations. New and used values go to the younger one. When that is full, the older one is forgotten as a whole, and the
//! younger one takes its place. So a value that is used again and again stays, and a flood of others costs it at most one look-up.

use std::collections::HashMap;
use std::hash::Hash;

/// A bounded memory.
#[derive(Debug)]
pub struct Bounded<K, V> {
    young: Generation<K, V>,
    old: Generation<K, V>,
    /// The most values, and the most bytes, of one generation.
    most: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Generation<K, V> {
    values: HashMap<K, (V, usize)>,
    bytes: usize,
}

/// Values that were forgotten. The caller releases its lock, and then drops them.
#[must_use = "dropping many values takes long, so it is done without the lock"]
#[derive(Debug)]
pub struct Forgotten<K, V>(#[expect(dead_code, reason = "it is held to be dropped")] Option<Generation<K, V>>);

impl<K, V> Default for Generation<K, V> {
    fn default() -> Self {
        Self { values: HashMap::new(), bytes: 0 }
    }
}

impl<K: Eq + Hash, V: Clone> Bounded<K, V> {
    /// A memory of at most so many values, which have at most so many bytes.
    pub fn new(most: usize, most_bytes: usize) -> Self {
        Self { young: Generation::default(), old: Generation::default(), most: most / 2, most_bytes: most_bytes / 2 }
    }

    /// Whether it has nothing.
    pub fn is_empty(&self) -> bool {
        self.young.values.is_empty() && self.old.values.is_empty()
    }

    /// The value of `key`, if it is remembered.
    pub fn look(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.values.get(key) {
            return Some(value.clone());
        }
        let (key, (value, bytes)) = self.old.values.remove_entry(key)?;
        self.old.bytes -= bytes;
        // A value that would fill the younger generation has its last use from the older one.
        if self.young.takes(bytes, self.most, self.most_bytes) {
            self.young.insert(key, value.clone(), bytes);
        }
        Some(value)
    }

    /// Remembers a value that takes so many bytes. One that is larger than a generation is not remembered.
    pub fn remember(&mut self, key: K, value: V, bytes: usize) -> Forgotten<K, V> {
        if bytes > self.most_bytes || self.most == 0 {
            return Forgotten(None);
        }
        let mut forgotten = None;
        if !self.young.takes(bytes, self.most, self.most_bytes) {
            let young = std::mem::take(&mut self.young);
            forgotten = Some(std::mem::replace(&mut self.old, young));
        }
        self.young.insert(key, value, bytes);
        Forgotten(forgotten)
    }
}

impl<K: Eq + Hash, V> Generation<K, V> {
    fn takes(&self, bytes: usize, most: usize, most_bytes: usize) -> bool {
        self.values.len() < most && self.bytes.saturating_add(bytes) <= most_bytes
    }

    fn insert(&mut self, key: K, value: V, bytes: usize) {
        let replaced = self.values.insert(key, (value, bytes)).map_or(0, |(_, bytes)| bytes);
        self.bytes = self.bytes.saturating_add(bytes).saturating_sub(replaced);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(memory: &Bounded<u32, u32>) -> (usize, usize) {
        let of = |generation: &Generation<u32, u32>| generation.values.values().map(|(_, bytes)| bytes).sum::<usize>();
        assert_eq!((memory.young.bytes, memory.old.bytes), (of(&memory.young), of(&memory.old)));
        (memory.young.values.len() + memory.old.values.len(), memory.young.bytes + memory.old.bytes)
    }

    #[test]
    fn a_flood_stays_within_both_bounds_and_forgets_nothing_in_use() {
        let mut memory = Bounded::new(100, 10_000);
        assert!(memory.is_empty());
        drop(memory.remember(0, 0, 10));
        for n in 1..10_000 {
            drop(memory.remember(n, n, (n % 300) as usize));
            assert_eq!(memory.look(&0), Some(0), "in use, after {n}");
            let (number, bytes) = sizes(&memory);
            assert!(number <= 100 && bytes <= 10_000, "{number} of {bytes} bytes");
        }
        assert!((0..10_000).filter(|n| memory.look(n).is_some()).count() <= 100);
        assert_eq!(memory.look(&1), None);
        assert!(!memory.is_empty());
    }

    #[test]
    fn what_is_too_large_is_not_remembered_and_what_is_replaced_counts_once() {
        let mut memory = Bounded::new(10, 100);
        drop(memory.remember(1, 1, 51));
        assert_eq!(memory.look(&1), None);
        for n in 0..20 {
            drop(memory.remember(1, n, 10));
            assert_eq!(memory.look(&1), Some(n));
        }
        assert_eq!(memory.look(&1), Some(19));
        assert!(sizes(&memory).1 <= 100);
        let mut nothing = Bounded::new(0, 0);
        drop(nothing.remember(1, 1, 0));
        assert_eq!(nothing.look(&1), None);
    }
}
