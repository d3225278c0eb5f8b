//! Shares made by OpenBao combine here, and shares made here combine by code that is not ours to share.

use serde_json::Value;
use strongroom_secret::random;
use strongroom_unseal::share::{CombineError, SplitError, combine, field, random_points, split};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../data/shamir.json")).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn all(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(bytes).collect()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

fn combined(shares: &[Vec<u8>]) -> Result<Vec<u8>, CombineError> {
    let mut secret = vec![0; shares.first().map_or(0, |share| share.len().saturating_sub(1))];
    combine(shares, &mut secret).map(|()| secret)
}

/// Lagrange's formula with a product by long division: nothing of it is the crate's.
fn second_opinion(shares: &[Vec<u8>]) -> Vec<u8> {
    fn mul(a: u8, b: u8) -> u8 {
        let carryless = (0..8).filter(|bit| b >> bit & 1 == 1).fold(0u16, |sum, bit| sum ^ (u16::from(a) << bit));
        let reduce = |value: u16, bit: u16| if value >> bit & 1 == 1 { value ^ (0x11b << (bit - 8)) } else { value };
        u8::try_from((8..15).rev().fold(carryless, reduce)).unwrap()
    }
    let length = shares[0].len() - 1;
    let x = |index: usize| shares[index][length];
    let weight = |own: usize| {
        let others = (0..shares.len()).filter(|other| *other != own);
        others.fold(1, |product, other| {
            let inverse = (1..=255).find(|b| mul(x(other) ^ x(own), *b) == 1).unwrap();
            mul(product, mul(x(other), inverse))
        })
    };
    let weights: Vec<u8> = (0..shares.len()).map(weight).collect();
    (0..length).map(|at| (0..shares.len()).fold(0, |sum, index| sum ^ mul(shares[index][at], weights[index]))).collect()
}

#[test]
fn shares_dealt_by_openbao_combine_to_their_secret() {
    let vectors = vectors();
    let (mut total, mut telling) = (0, 0);
    for deal in vectors["deals"].as_array().unwrap() {
        let dealt = all(&deal["dealt"]);
        let used: Vec<Vec<u8>> = deal["use"].as_array().unwrap().iter().map(|at| dealt[number(at)].clone()).collect();
        assert_eq!(combined(&used).unwrap(), bytes(&deal["secret"]), "{}", deal["name"]);
        total += 1;
        telling += usize::from(!deal["xor_zero"].as_bool().unwrap());
    }
    assert_eq!(total, 236);
    assert!(telling > 190, "sets whose x values XOR to zero recombine in any field and prove nothing");
}

#[test]
fn what_openbao_refuses_is_refused_and_too_little_gives_another_secret() {
    let vectors = vectors();
    let (mut refused, mut other) = (0, 0);
    for case in vectors["negative"].as_array().unwrap() {
        let answer = combined(&all(&case["parts"]));
        match case["expect"].as_str().unwrap() {
            "error" => {
                assert!(answer.is_err(), "{}", case["name"]);
                refused += 1;
            }
            _ => {
                assert_ne!(answer.unwrap(), bytes(&case["secret"]), "{}", case["name"]);
                other += 1;
            }
        }
    }
    assert!(refused >= 20 && other >= 20, "{refused} {other}");
}

#[test]
fn shares_that_a_server_returned_at_init_combine_to_its_key() {
    let vectors = vectors();
    for server in vectors["server"].as_array().unwrap() {
        let (keys, threshold) = (all(&server["keys"]), number(&server["threshold"]));
        let secret = bytes(&server["secret"]);
        match keys.as_slice() {
            [only] => assert_eq!(*only, secret, "one share of one is the key, without an x"),
            keys => {
                assert_eq!(combined(&keys[keys.len() - threshold..]).unwrap(), secret, "{}", server["name"]);
                assert_eq!(combined(&keys[..threshold]).unwrap(), secret, "{}", server["name"]);
            }
        }
    }
}

#[test]
fn shares_dealt_here_combine_by_a_second_opinion() {
    let vectors = vectors();
    for deal in vectors["deals"].as_array().unwrap().iter().step_by(7) {
        let (count, threshold) = (number(&deal["shares"]), u8::try_from(number(&deal["threshold"])).unwrap());
        let secret = bytes(&deal["secret"]);
        let points = random_points(&mut random::fill).unwrap();
        let mut out = vec![0; count * (secret.len() + 1)];
        split(&secret, threshold, &points[..count], &mut random::fill, &mut out).unwrap();
        let shares: Vec<Vec<u8>> = out.chunks_exact(secret.len() + 1).map(<[u8]>::to_vec).collect();
        let used = &shares[count - usize::from(threshold)..];
        assert_eq!(second_opinion(used), secret, "{}", deal["name"]);
        assert_eq!(combined(&shares).unwrap(), secret, "more shares than the threshold combine too");
        if secret.len() >= 16 && threshold > 2 {
            assert_ne!(second_opinion(&used[1..]), secret, "{}", deal["name"]);
        }
    }
}

#[test]
fn every_misuse_of_split_and_combine_is_refused() {
    let mut random = |out: &mut [u8]| -> Result<(), ()> {
        out.fill(7);
        Ok(())
    };
    let mut out = [0; 9];
    let mut refused = |threshold, points: &[u8], secret: &[u8]| split(secret, threshold, points, &mut random, &mut out);
    assert_eq!(refused(1, &[1, 2, 3], b"ab"), Err(SplitError::Threshold));
    assert_eq!(refused(4, &[1, 2, 3], b"ab"), Err(SplitError::Threshold));
    assert_eq!(refused(2, &[1, 2, 1], b"ab"), Err(SplitError::Points));
    assert_eq!(refused(2, &[1, 0, 3], b"ab"), Err(SplitError::Points));
    assert_eq!(refused(2, &[1, 2, 3], b""), Err(SplitError::Length));
    assert_eq!(refused(2, &[1, 2, 3], b"abc"), Err(SplitError::Length));
    assert_eq!(refused(2, &[1, 2, 3], b"ab"), Ok(()));
    assert_eq!(
        split(b"ab", 2, &[1, 2, 3], &mut |_: &mut [u8]| Err("broken"), &mut out),
        Err(SplitError::Random("broken"))
    );
    assert_eq!(out, [0; 9], "nothing is left of a split that failed");

    let mut secret = [0; 2];
    assert_eq!(combine(&[b"ab\x01"], &mut secret), Err(CombineError::TooFew));
    assert_eq!(combine(&[b"ab\x01", b"cd\x01"], &mut secret), Err(CombineError::Duplicate));
    assert_eq!(combine(&[b"ab\x00", b"cd\x01"], &mut secret), Err(CombineError::ZeroPoint));
    assert_eq!(combine(&[&b"ab\x02"[..], b"c\x01"], &mut secret), Err(CombineError::Length));
    assert_eq!(combine(&[b"ab\x02", b"cd\x01"], &mut [0; 3]), Err(CombineError::Length));
    assert_eq!(combine(&[b"\x02", b"\x01"], &mut []), Err(CombineError::Length));
}

#[test]
fn points_are_drawn_without_favour() {
    // A generator that runs through all bytes: those that would favour low indexes are drawn again.
    let mut next = 0u8;
    let points = random_points(&mut |out: &mut [u8]| -> Result<(), ()> {
        out.iter_mut().for_each(|byte| {
            *byte = next;
            next = next.wrapping_add(1);
        });
        Ok(())
    });
    let mut sorted = points.unwrap();
    assert_ne!(sorted[..4], [1, 2, 3, 4]);
    sorted.sort_unstable();
    assert!(sorted.iter().zip(1..=255).all(|(point, x)| *point == x));
    assert_eq!(random_points(&mut |_: &mut [u8]| Err("broken")), Err("broken"));
    // Over many draws every x comes first about as often: 255 x values, 25,500 draws, 100 each. The generator is a fixed
    // one (xorshift64), so that this test always ends the same way.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |out: &mut [u8]| -> Result<(), ()> {
        out.iter_mut().for_each(|byte| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = (state >> 32) as u8;
        });
        Ok(())
    };
    let mut first = [0u32; 256];
    for _ in 0..25_500 {
        first[usize::from(random_points(&mut random).unwrap()[0])] += 1;
    }
    let chi: f64 = first[1..].iter().map(|count| (f64::from(*count) - 100.0).powi(2) / 100.0).sum();
    assert!(chi < 400.0, "chi squared of 254 degrees of freedom is {chi}");
}

#[test]
fn the_field_is_the_one_of_aes() {
    assert_eq!(field::mul(0x53, 0xca), 1);
    assert_eq!(field::inverse(0x53), 0xca);
}
