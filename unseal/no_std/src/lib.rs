//! `share` and `quorum` without std and without an allocator, for `check.c`.
#![no_std]
#![deny(unsafe_code)]

use core::convert::Infallible;
use strongroom_unseal::quorum::{Quorum, Slot, Verdict};
use strongroom_unseal::share;

/// One panic handler in the whole program: where std were linked too, there would be two, and no program.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Deals 3 of 5 at the points 1 to 5, with the coefficients given: 0 when it is done.
#[allow(unsafe_code)] // The name is the whole of it: check.c calls it.
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_split(secret: &[u8; 32], coefficients: &[u8; 64], shares: &mut [u8; 5 * 33]) -> i32 {
    let mut given = coefficients.chunks_exact(2);
    let mut fill = |out: &mut [u8]| -> Result<(), Infallible> {
        if let Some(next) = given.next() {
            out.copy_from_slice(next);
        }
        Ok(())
    };
    share::split(secret, 3, &[1, 2, 3, 4, 5], &mut fill, shares).map_or(1, |()| 0)
}

/// Combines three shares: 0 when it is done.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_combine(shares: &[[u8; 33]; 3], secret: &mut [u8; 32]) -> i32 {
    share::combine(shares, secret).map_or(1, |()| 0)
}

/// Enters three shares into a quorum and combines there: 0 when it is done.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn strongroom_quorum(shares: &[[u8; 33]; 3], secret: &mut [u8; 32]) -> i32 {
    let mut quorum = Quorum::new(1, [Slot::EMPTY; 3]);
    let judge = |share: &[u8]| Verdict::Whole { share: share[32], holder: share[32], generation: 1 };
    for share in shares {
        if quorum.enter(share, &judge).is_err() {
            return 1;
        }
    }
    quorum.combine(secret).map_or(2, |()| 0)
}
