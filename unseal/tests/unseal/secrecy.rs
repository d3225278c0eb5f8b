//! What an unsatisfied set holds says nothing: shown by counting, for a one-byte secret and every choice of the dealer.

use crate::house::tree;
use strongroom_unseal::Tree;
use strongroom_unseal::share::split;
use strongroom_unseal::tree::sharing;

/// For every pair of points and every secret, each value of a single share of 2 of 3 comes from exactly one polynomial.
#[test]
fn one_share_of_two_of_three_is_equally_likely_for_every_secret() {
    for points in [[1, 2, 3], [254, 7, 91], [255, 128, 64]] {
        // seen[share][y][secret] counts the polynomials.
        let mut seen = vec![[[0u8; 256]; 256]; 3];
        for secret in 0..=255u8 {
            for coefficient in 0..=255 {
                let mut out = [0; 6];
                let mut random = |bytes: &mut [u8]| -> Result<(), ()> {
                    bytes.fill(coefficient);
                    Ok(())
                };
                split(&[secret], 2, &points, &mut random, &mut out).unwrap();
                for (share, seen) in seen.iter_mut().enumerate() {
                    seen[usize::from(out[share * 2])][usize::from(secret)] += 1;
                }
            }
        }
        assert!(seen.iter().flatten().flatten().all(|count| *count == 1), "points {points:?}");
    }
}

/// The dealer's bytes, one after the other, and how many were asked for.
fn deal(tree: &Tree, root: u8, coefficients: &[u8]) -> (Vec<u8>, usize) {
    let mut used = 0;
    let mut random = |bytes: &mut [u8]| -> Result<(), ()> {
        for byte in bytes {
            *byte = coefficients.get(used).copied().unwrap_or(0);
            used += 1;
        }
        Ok(())
    };
    let portions = sharing::deal(tree, &[root], &mut random).unwrap();
    (portions.iter().map(|portion| portion.expose()[0]).collect(), used)
}

/// Sharing is linear over GF(2): every bit of every portion is the XOR of some bits of the root and of the dealer's
/// bytes. So the set of portions says nothing about the root exactly if no XOR of bits of its portions is a non-zero XOR
/// of root bits alone. Taking bits as vectors, this is decided for *all* dealer's bytes at once, however many there are.
fn says_nothing(tree: &Tree, held: &[usize]) -> bool {
    let (_, width) = deal(tree, 0, &[]);
    // One row per held portion bit: its dealer's bits, then its root bits.
    let mut columns: Vec<(Vec<u8>, bool)> = Vec::new();
    for bit in 0..8 * width {
        let mut coefficients = vec![0; width];
        coefficients[bit / 8] = 1 << (bit % 8);
        columns.push((deal(tree, 0, &coefficients).0, false));
    }
    for bit in 0..8 {
        columns.push((deal(tree, 1 << bit, &[]).0, true));
    }
    let mut rows: Vec<Vec<bool>> = Vec::new();
    for occurrence in held {
        for bit in 0..8 {
            rows.push(columns.iter().map(|(portions, _)| portions[*occurrence] >> bit & 1 == 1).collect());
        }
    }
    // Eliminate the dealer's bits; what is left of a row speaks of the root alone.
    let mut rank = 0;
    for column in 0..8 * width {
        let Some(pivot) = (rank..rows.len()).find(|row| rows[*row][column]) else { continue };
        rows.swap(rank, pivot);
        let chosen = rows[rank].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            if index != rank && row[column] {
                row.iter_mut().zip(&chosen).for_each(|(bit, other)| *bit ^= other);
            }
        }
        rank += 1;
    }
    rows[rank..].iter().all(|row| !row[8 * width..].contains(&true))
}

/// Where the dealer draws one byte, really counts: how often each root gives each view, over all that it can draw.
fn says_nothing_by_counting(tree: &Tree, held: &[usize]) -> bool {
    assert_eq!(deal(tree, 0, &[]).1, 1);
    let mut counts = std::collections::HashMap::<Vec<u8>, Vec<u32>>::new();
    for root in 0..=255u8 {
        for coefficient in 0..=255 {
            let portions = deal(tree, root, &[coefficient]).0;
            let view = held.iter().map(|occurrence| portions[*occurrence]).collect();
            counts.entry(view).or_insert_with(|| vec![0; 256])[usize::from(root)] += 1;
        }
    }
    counts.values().all(|by_root| by_root.iter().all(|count| *count == by_root[0]))
}

/// Every set of occurrences that does not open the root, and does with any one more.
fn maximal_unsatisfied(tree: &Tree) -> Vec<Vec<usize>> {
    let count = tree.occurrences().len();
    let satisfied = |set: u32| tree.is_satisfied(&|occurrence: usize| set >> occurrence & 1 == 1);
    let maximal = |set: &u32| {
        let more = (0..count).filter(|occurrence| set >> occurrence & 1 == 0).all(|more| satisfied(set | 1 << more));
        !satisfied(*set) && more
    };
    (0..1u32 << count).filter(maximal).map(|set| (0..count).filter(|at| set >> at & 1 == 1).collect()).collect()
}

/// Custodians stand here as the lists that they are: `2 of (p, q, r)`; a leaf's name after its letter does not matter.
const EXPRESSIONS: [&str; 16] = [
    "a",
    "any(a, b)",
    "all(a, b)",
    "all(a, b, d)",
    "2 of (a, b, d)",
    "3 of (a, b, d, e)",
    "any(a, all(b, d))",
    "all(a, any(b, d))",
    "all(a, 2 of (p, q, r))",
    "any(a, 3 of (p, q, r, s, t))",
    "2 of (a, b, 2 of (p, q, r))",
    "2 of (a, b, 3 of (p, q, r, s, t))",
    "any(all(a, b), all(a, d), all(b, d))",
    "2 of (all(a, b), any(d, e), all(p, q, r))",
    "all(any(a, b), 2 of (d, e, all(p, q)), any(r, all(s, t)))",
    "2 of (2 of (a, b, d), 2 of (d, e, f), 2 of (p, q, all(a, r)))",
];

#[test]
fn no_maximal_unsatisfied_set_of_any_expression_says_anything_about_the_root() {
    let (mut sets, mut counted) = (0, 0);
    for text in EXPRESSIONS {
        let tree = tree(text);
        let count = tree.occurrences().len();
        for held in maximal_unsatisfied(&tree) {
            assert!(says_nothing(&tree, &held), "{text}: {held:?}");
            sets += 1;
            // The criterion is able to say no: with one more leaf the root is there.
            for more in (0..count).filter(|more| !held.contains(more)) {
                let with: Vec<usize> = held.iter().copied().chain([more]).collect();
                assert!(!says_nothing(&tree, &with), "{text}: {with:?}");
            }
            if deal(&tree, 0, &[]).1 == 1 {
                assert!(says_nothing_by_counting(&tree, &held), "{text}: {held:?}");
                counted += 1;
            }
        }
    }
    assert!(sets > 100 && counted > 8, "{sets} sets, {counted} of them also by counting");
}

/// What [`says_nothing`] stands on.
#[test]
fn sharing_is_linear() {
    let xor = |a: &[u8], b: &[u8]| -> Vec<u8> { a.iter().zip(b).map(|(a, b)| a ^ b).collect() };
    for text in EXPRESSIONS {
        let tree = tree(text);
        let width = deal(&tree, 0, &[]).1;
        for _ in 0..50 {
            let (a, b) = (random(width), random(width));
            let sum = xor(&deal(&tree, a[0], &a[1..]).0, &deal(&tree, b[0], &b[1..]).0);
            assert_eq!(deal(&tree, a[0] ^ b[0], &xor(&a[1..], &b[1..])).0, sum, "{text}");
        }
    }
}

fn random(width: usize) -> Vec<u8> {
    strongroom_secret::SecretBytes::random(width + 1).unwrap().expose().to_vec()
}

#[test]
fn the_counting_itself_can_say_no() {
    let tree = tree("2 of (a, b, d)");
    assert!(!says_nothing_by_counting(&tree, &[0, 1]));
    assert!(says_nothing_by_counting(&tree, &[0]));
}

/// Every set of leaves opens exactly if the expression says so, and then to the secret (all 2^n combinations).
#[test]
fn every_combination_of_leaves_opens_exactly_if_the_expression_says_so() {
    let secret = strongroom_secret::SecretBytes::random(32).unwrap();
    let mut combinations = 0;
    for text in EXPRESSIONS {
        let tree = tree(text);
        let portions = sharing::deal(&tree, secret.expose(), &mut strongroom_secret::random::fill).unwrap();
        for set in 0..1u32 << portions.len() {
            let there: Vec<Option<strongroom_secret::SecretBytes>> = portions
                .iter()
                .enumerate()
                .map(|(at, portion)| {
                    (set >> at & 1 == 1).then(|| strongroom_secret::SecretBytes::from_slice(portion.expose()))
                })
                .collect();
            let rebuilt = sharing::rebuild(&tree, &there).unwrap();
            assert_eq!(rebuilt.is_some(), tree.is_satisfied(&|at: usize| set >> at & 1 == 1), "{text}: {set:b}");
            assert!(rebuilt.is_none_or(|rebuilt| rebuilt.same_as(secret.expose())), "{text}: {set:b}");
            combinations += 1;
        }
    }
    assert!(combinations > 2_000, "{combinations}");
}
