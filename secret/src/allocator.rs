//! The allocator that wipes on free: what HTTP, TLS and JSON buffers held is gone when they are freed, whoever wrote them.

#![allow(unsafe_code)]

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};

/// Cheaper than the system's by about a tenth of a request, most of all for blocks of more than 1 KiB.
static BASE: MiMalloc = MiMalloc;

/// mimalloc, wiping each block before it gives it back. Growing a block moves it, and wipes the old one.
pub struct Wiping;

// SAFETY: every call is passed on to `BASE` with the layout it came with; before `dealloc` the block, which the caller
// owns until then, is filled with zeros. `realloc` is the trait's own (allocate, copy, free), so it wipes too.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is passed on.
        unsafe { BASE.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is passed on.
        unsafe { BASE.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is the caller's until `BASE` has it back; the barrier keeps the writes from being dropped.
        unsafe {
            std::ptr::write_bytes(block, 0, layout.size());
            std::hint::black_box(block);
            BASE.dealloc(block, layout);
        }
    }
}
