//! Threshold sharing down the tree, so that an unsatisfied set of leaves holds no information about the root.
//!
//! Every list takes the secret of its place apart: `any` hands the same secret to each member, `K of N` splits it with
//! Shamir's scheme at the points 1 to N. What arrives at an occurrence of a leaf is its *portion*, as long as the
//! secret. Proven exhaustively for a one-byte secret in `tests/unseal/secrecy.rs`.

use super::{Branch, Tree};
use crate::Error;
use crate::share::{self, SplitError};
use strongroom_secret::SecretBytes;

/// Takes `secret` apart into one portion per occurrence, in the order of [`Tree::occurrences`].
pub fn deal<E>(
    tree: &Tree,
    secret: &[u8],
    random: &mut impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<Vec<SecretBytes>, E> {
    let mut portions = Vec::new();
    deal_at(&tree.root, SecretBytes::from_slice(secret), random, &mut portions)?;
    Ok(portions)
}

/// Puts the secret together from the portions that are there, or gives `None` when they do not satisfy the tree.
///
/// Portions are taken as they are: the caller has checked each, and checks the result.
pub fn rebuild(tree: &Tree, portions: &[Option<SecretBytes>]) -> Result<Option<SecretBytes>, Error> {
    rebuild_at(&tree.root, &mut portions.iter())
}

fn deal_at<E>(
    branch: &Branch,
    secret: SecretBytes,
    random: &mut impl FnMut(&mut [u8]) -> Result<(), E>,
    portions: &mut Vec<SecretBytes>,
) -> Result<(), E> {
    let Branch::Threshold { needed, members } = branch else {
        portions.push(secret);
        return Ok(());
    };
    if *needed == 1 {
        for member in members {
            deal_at(member, SecretBytes::from_slice(secret.expose()), random, portions)?;
        }
        return Ok(());
    }
    // At most MAX_OCCURRENCES members.
    let points: Vec<u8> = (1..=members.len() as u8).collect();
    let stride = secret.len() + 1;
    let mut result = Ok(());
    let shares = SecretBytes::filled(points.len() * stride, |out| {
        result = share::split(secret.expose(), *needed, &points, random, out);
    });
    match result {
        Ok(()) => {}
        Err(SplitError::Random(error)) => return Err(error),
        // A tree has 2 <= needed <= members <= 64 here, points are distinct, and `filled` made the right length.
        Err(SplitError::Threshold | SplitError::Points | SplitError::Length) => unreachable!("the shape is right"),
    }
    for (member, share) in members.iter().zip(shares.expose().chunks_exact(stride)) {
        deal_at(member, SecretBytes::from_slice(&share[..stride - 1]), random, portions)?;
    }
    Ok(())
}

fn rebuild_at<'a>(
    branch: &Branch,
    portions: &mut impl Iterator<Item = &'a Option<SecretBytes>>,
) -> Result<Option<SecretBytes>, Error> {
    let Branch::Threshold { needed, members } = branch else {
        return Ok(portions.next().and_then(Option::as_ref).map(|portion| SecretBytes::from_slice(portion.expose())));
    };
    let mut shares: Vec<SecretBytes> = Vec::new();
    for (member, point) in members.iter().zip(1u8..) {
        // Every member is visited, so that the iterator stays in step.
        let Some(part) = rebuild_at(member, portions)? else { continue };
        if shares.len() == usize::from(*needed) {
            continue;
        }
        if *needed == 1 {
            shares.push(part);
            continue;
        }
        shares.push(SecretBytes::filled(part.len() + 1, |share| {
            share[..part.len()].copy_from_slice(part.expose());
            share[part.len()] = point;
        }));
    }
    if shares.len() < usize::from(*needed) {
        return Ok(None);
    }
    if *needed == 1 {
        return Ok(shares.pop());
    }
    let views: Vec<&[u8]> = shares.iter().map(SecretBytes::expose).collect();
    let mut result = Ok(());
    let secret = SecretBytes::filled(views[0].len() - 1, |out| result = share::combine(&views, out));
    match result {
        Ok(()) => Ok(Some(secret)),
        Err(_) => Err(Error::Module("portions of different lengths were to be combined")),
    }
}
