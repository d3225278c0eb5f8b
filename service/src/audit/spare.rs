//! Buffers of lines that were written, for the next ones: what they hold is masked and lies in the log anyway.

use std::cell::RefCell;

/// So many are kept per thread.
const KEPT: usize = 64;
/// A larger one is given back.
const LARGE: usize = 8 << 10;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer.
pub(super) fn take(capacity: usize) -> Vec<u8> {
    let mut buffer = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
    buffer.reserve(capacity);
    buffer
}

/// Keeps a buffer.
pub(super) fn give(mut buffer: Vec<u8>) {
    if buffer.capacity() > LARGE {
        return;
    }
    buffer.clear();
    // A thread that ends has no more use for it.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < KEPT {
            spare.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_and_large_ones_do_not() {
        give(b"masked".to_vec());
        let again = take(3);
        assert!(again.is_empty() && again.capacity() >= 6);
        give(Vec::with_capacity(LARGE + 1));
        assert!(take(1).capacity() < LARGE);
        for _ in 0..2 * KEPT {
            give(vec![1]);
        }
        assert_eq!(SPARE.with_borrow(Vec::len), KEPT);
    }
}
