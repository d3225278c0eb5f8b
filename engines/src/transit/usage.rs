//! How many messages each version of a key has sealed: with random 96-bit nonces at most 2^32 (SP 800-38D 8.3).
//!
//! Each version counts in memory, and writes how far it has come once per 2^20 messages, before it goes on. After a
//! restart it counts on from what was written, so a count is low by at most 2^20 for each restart: a thousand restarts of
//! a busy key hide a quarter of the budget, and a collision of nonces stays less likely than 2^-32 · 2.
//!
//! Keys that are derived or convergent, XChaCha20 and RSA are not counted: a derived key's budget is per context, a
//! convergent nonce is a function of its message, 192-bit nonces and OAEP have no such bound.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Messages that one version may seal.
pub(crate) const BUDGET: u64 = 1 << 32;

/// Messages between two writes.
pub(crate) const STRIDE: u64 = 1 << 20;

/// One version's count.
#[derive(Default)]
pub(crate) struct Counter {
    used: AtomicU64,
}

/// What sealing one message asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Nothing: go on.
    Free,
    /// First write that this many are used, then go on.
    Write(u64),
    /// The budget is spent: do not seal.
    Spent,
}

impl Counter {
    /// Counts one message more.
    pub(crate) fn step(&self) -> Step {
        let used = self.used.fetch_add(1, Ordering::Relaxed) + 1;
        if used > BUDGET {
            self.used.store(BUDGET, Ordering::Relaxed);
            Step::Spent
        } else if used.is_multiple_of(STRIDE) {
            Step::Write(used)
        } else {
            Step::Free
        }
    }

    /// Raises the count to what was written before; it never falls.
    pub(crate) fn raise(&self, used: u64) {
        self.used.fetch_max(used, Ordering::Relaxed);
    }

    /// Messages counted.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

/// The counters of all keys that were read since the start, by the key's id and version: a decoded key comes and goes
/// with its row, its counters stay.
#[derive(Default)]
pub(crate) struct Counters(Mutex<HashMap<Place, Arc<Counter>>>);

/// A key's id and a version's number.
type Place = ([u8; 16], u32);

impl Counters {
    /// The counter of one version, raised to what its row says.
    pub(crate) fn of(&self, id: [u8; 16], version: u32, written: u64) -> Arc<Counter> {
        let counter = self.0.lock().entry((id, version)).or_default().clone();
        counter.raise(written);
        counter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_written_at_each_stride_and_ends_at_the_budget() {
        let counters = Counters::default();
        let counter = counters.of([1; 16], 1, STRIDE - 2);
        assert_eq!(counter.step(), Step::Free);
        assert_eq!(counter.step(), Step::Write(STRIDE));
        assert_eq!(counter.step(), Step::Free);
        let same = counters.of([1; 16], 1, BUDGET - 1);
        assert_eq!(same.step(), Step::Write(BUDGET));
        assert_eq!((same.step(), counter.step()), (Step::Spent, Step::Spent));
        assert_eq!(counters.of([1; 16], 1, 0).step(), Step::Spent, "never falls");
        assert_eq!(counters.of([1; 16], 2, 0).step(), Step::Free);
        assert_eq!(counter.used(), BUDGET);
    }
}
