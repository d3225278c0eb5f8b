//! The field GF(2^8) with the polynomial x^8 + x^4 + x^3 + x + 1 (0x11B), as in FIPS 197 4.2.
//!
//! No tables, no branches and no indexes that depend on an operand, so that neither a cache nor a branch predictor learns
//! a share (`unseal/no_std/check` runs split and combine under memcheck with poisoned secrets).

use core::hint::black_box;

/// The product of `a` and `b`: eight rounds of shift and masked addition.
pub fn mul(a: u8, b: u8) -> u8 {
    let (mut a, mut b, mut product) = (a, b, 0);
    for _ in 0..8 {
        product ^= a & mask(b & 1);
        a = (a << 1) ^ (0x1b & mask(a >> 7));
        b >>= 1;
    }
    product
}

/// The inverse of `a`, as a^254; the inverse of zero is zero.
pub fn inverse(a: u8) -> u8 {
    let (mut square, mut product) = (mul(a, a), 1);
    for _ in 0..7 {
        product = mul(product, square);
        square = mul(square, square);
    }
    product
}

/// 0xFF for 1, 0 for 0. The black box keeps the optimiser from turning the mask back into a branch.
fn mask(bit: u8) -> u8 {
    black_box(bit).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::{inverse, mul};

    /// The schoolbook product: multiply as polynomials over GF(2), then divide by 0x11B.
    fn long_division(a: u8, b: u8) -> u8 {
        let mut product = 0u16;
        for bit in 0..8 {
            if b >> bit & 1 == 1 {
                product ^= u16::from(a) << bit;
            }
        }
        for bit in (8..15).rev() {
            if product >> bit & 1 == 1 {
                product ^= 0x11b << (bit - 8);
            }
        }
        u8::try_from(product).unwrap()
    }

    #[test]
    fn all_65536_products_agree_with_long_division() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(mul(a, b), long_division(a, b), "{a} * {b}");
            }
        }
    }

    #[test]
    fn every_inverse_is_the_one_that_a_search_finds() {
        assert_eq!(inverse(0), 0);
        for a in 1..=255 {
            let found = (0..=255).find(|b| long_division(a, *b) == 1).unwrap();
            assert_eq!(inverse(a), found, "1 / {a}");
        }
    }

    #[test]
    fn the_worked_example_of_fips_197_holds() {
        assert_eq!(mul(0x57, 0x83), 0xc1);
    }
}
