//! Shamir's scheme over bytes, in the field and layout of Vault and OpenBao: a share is `y1..yN ‖ x`.
//!
//! Every byte of the secret is the constant term of its own polynomial of degree threshold - 1 over [`field`]; its other
//! coefficients, the highest included, are uniform, so that fewer shares than the threshold say nothing at all about the
//! secret. A secret dealt as one share of one is the share itself, with no x; the callers of this module make that case.
//!
//! Neither std nor an allocator is used: the caller lends the memory, and fills it with randomness of its own. What is
//! secret is y; x is not, and may be compared and branched on.

pub mod field;

use core::fmt;
use zeroize::Zeroize;

/// The most shares of one secret: x is a byte, and x = 0 is the secret itself.
pub const MAX_SHARES: usize = 255;

/// Why nothing was split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitError<E> {
    /// The threshold must be at least two and no larger than the number of points.
    Threshold,
    /// A point is zero or given twice, or there are more than [`MAX_SHARES`].
    Points,
    /// The secret is empty, or `out` is not points × (secret + 1) bytes.
    Length,
    /// The random generator failed; `out` is zero.
    Random(E),
}

/// Why shares do not combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CombineError {
    /// Fewer than two shares.
    TooFew,
    /// The shares differ in length, hold no y, or `out` is not one byte shorter than they are.
    Length,
    /// Two shares have the same x.
    Duplicate,
    /// A share has x = 0, which no dealer gives out.
    ZeroPoint,
}

impl<E> fmt::Display for SplitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SplitError::Threshold => "the threshold must be at least two and no larger than the number of shares",
            SplitError::Points => "the points must be distinct, not zero, and at most 255",
            SplitError::Length => "the secret is empty or the memory for the shares has the wrong size",
            SplitError::Random(_) => "the random generator failed",
        })
    }
}

impl fmt::Display for CombineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CombineError::TooFew => "less than two shares cannot rebuild a secret",
            CombineError::Length => "all shares must have the same length, at least two bytes",
            CombineError::Duplicate => "two shares have the same x",
            CombineError::ZeroPoint => "a share has x = 0",
        })
    }
}

/// Splits `secret` into one share per point of `points`, any `threshold` of which combine to it. Share i is the i-th run
/// of `secret.len() + 1` bytes of `out`. `random` fills memory with uniform bytes.
pub fn split<E>(
    secret: &[u8],
    threshold: u8,
    points: &[u8],
    random: &mut impl FnMut(&mut [u8]) -> Result<(), E>,
    out: &mut [u8],
) -> Result<(), SplitError<E>> {
    if threshold < 2 || usize::from(threshold) > points.len() {
        return Err(SplitError::Threshold);
    }
    if points.len() > MAX_SHARES || points.contains(&0) || has_duplicate(points) {
        return Err(SplitError::Points);
    }
    if secret.is_empty() || out.len() != points.len() * (secret.len() + 1) {
        return Err(SplitError::Length);
    }
    let mut room = [0; MAX_SHARES];
    let coefficients = &mut room[..usize::from(threshold)];
    for (position, byte) in secret.iter().enumerate() {
        coefficients[0] = *byte;
        if let Err(error) = random(&mut coefficients[1..]) {
            room.zeroize();
            out.zeroize();
            return Err(SplitError::Random(error));
        }
        for (share, point) in out.chunks_exact_mut(secret.len() + 1).zip(points) {
            share[position] = evaluate(coefficients, *point);
            share[secret.len()] = *point;
        }
    }
    room.zeroize();
    Ok(())
}

/// Combines shares to the secret. With fewer than the threshold, or with a wrong one among them, the answer is some
/// other secret and no error: whoever combines checks the result against a commitment.
pub fn combine<S: AsRef<[u8]>>(shares: &[S], out: &mut [u8]) -> Result<(), CombineError> {
    let length = shares.first().map_or(0, |share| share.as_ref().len());
    if shares.len() < 2 {
        return Err(CombineError::TooFew);
    }
    if length < 2 || out.len() != length - 1 || shares.iter().any(|share| share.as_ref().len() != length) {
        return Err(CombineError::Length);
    }
    let mut seen = [false; 256];
    for share in shares {
        match share.as_ref()[length - 1] {
            0 => return Err(CombineError::ZeroPoint),
            x if seen[usize::from(x)] => return Err(CombineError::Duplicate),
            x => seen[usize::from(x)] = true,
        }
    }
    out.fill(0);
    for (index, share) in shares.iter().enumerate() {
        let weight = weight_at_zero(shares, index, length - 1);
        for (byte, y) in out.iter_mut().zip(share.as_ref()) {
            *byte ^= field::mul(*y, weight);
        }
    }
    Ok(())
}

/// Draws the x values 1 to 255 in random order, without bias; a dealer of n shares takes the first n.
pub fn random_points<E>(random: &mut impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<[u8; MAX_SHARES], E> {
    let mut points = [0; MAX_SHARES];
    for (point, x) in points.iter_mut().zip(1..=u8::MAX) {
        *point = x;
    }
    // Fisher and Yates, with a byte drawn again when it would favour the low indexes.
    for last in (1..MAX_SHARES).rev() {
        let choices = last + 1;
        let limit = 256 - 256 % choices;
        let mut byte = [0];
        loop {
            random(&mut byte)?;
            if usize::from(byte[0]) < limit {
                break;
            }
        }
        points.swap(last, usize::from(byte[0]) % choices);
    }
    Ok(points)
}

/// The polynomial's value at `x`, by Horner's rule.
fn evaluate(coefficients: &[u8], x: u8) -> u8 {
    coefficients.iter().rev().fold(0, |value, coefficient| field::mul(value, x) ^ coefficient)
}

/// What the share at `index` weighs in the value at zero: the product of x_j / (x_j - x_i) over the others.
fn weight_at_zero<S: AsRef<[u8]>>(shares: &[S], index: usize, x_at: usize) -> u8 {
    let own = shares[index].as_ref()[x_at];
    let (mut above, mut below) = (1, 1);
    for (other, share) in shares.iter().enumerate() {
        if other != index {
            let x = share.as_ref()[x_at];
            above = field::mul(above, x);
            below = field::mul(below, x ^ own);
        }
    }
    field::mul(above, field::inverse(below))
}

fn has_duplicate(points: &[u8]) -> bool {
    let mut seen = [false; 256];
    points.iter().any(|point| core::mem::replace(&mut seen[usize::from(*point)], true))
}
