//! Recovery keys authorise, and decrypt nothing.

use crate::house::*;
use strongroom_secret::SecretBytes;
use strongroom_unseal::quorum::Refusal;
use strongroom_unseal::*;

fn chosen(shares: &[SecretBytes], set: &[usize]) -> Vec<SecretBytes> {
    set.iter().map(|index| SecretBytes::from_slice(shares[*index].expose())).collect()
}

#[test]
fn every_quorum_of_recovery_keys_authorises_and_no_smaller_set_does() {
    let (recovery, shares) = Recovery::deal(CLUSTER, 1, 3, &holders(5)).unwrap();
    assert!(shares.iter().all(|share| share.len() == 33));
    for set in 0..32u32 {
        let set: Vec<usize> = (0..5).filter(|share| set >> share & 1 == 1).collect();
        let verified = recovery.verify(&chosen(&shares, &set));
        match set.len() {
            3 => assert_eq!(verified.unwrap().holders().len(), 3),
            0..3 => {
                let text = format!("{} of 3 shares have been entered", set.len());
                let error = verified.unwrap_err();
                assert!(matches!(&error, Error::Recovery(found) if *found == text), "{error}");
            }
            _ => assert!(matches!(verified, Err(Error::Share { refusal: Refusal::Complete, .. }))),
        }
    }
}

#[test]
fn each_recovery_share_is_checked_alone() {
    let (recovery, shares) = Recovery::deal(CLUSTER, 1, 2, &holders(3)).unwrap();
    for (number, share) in shares.iter().enumerate() {
        assert_eq!(usize::from(recovery.check_share(share.expose()).unwrap()), number);
    }
    let mut wrong = shares[1].expose().to_vec();
    wrong[4] ^= 1;
    let refusal = Refusal::Damaged { share: 1 };
    let expected = Error::Share { leaf: "recovery".into(), holder: Some("holder-2".into()), refusal };
    assert_eq!(recovery.check_share(&wrong), Err(expected));
    assert!(matches!(recovery.check_share(b"short"), Err(Error::Share { refusal: Refusal::Unknown, .. })));
    let mut gathering = recovery.gather();
    gathering.enter(shares[0].expose()).unwrap();
    assert!(gathering.enter(&wrong).is_err());
    assert!(matches!(gathering.enter(shares[0].expose()), Err(Error::Share { refusal: Refusal::Again { .. }, .. })));
    assert!(gathering.enter(shares[1].expose()).unwrap().is_complete());
    assert_eq!(gathering.finish().unwrap().holders(), ["holder-1", "holder-2"]);
}

#[test]
fn what_is_stored_holds_no_share_and_reads_back() {
    let (recovery, shares) = Recovery::deal(CLUSTER, 4, 2, &holders(3)).unwrap();
    let row = recovery.row();
    for share in &shares {
        assert!(!row.bytes.windows(16).any(|window| share.expose().windows(16).any(|part| part == window)));
    }
    let rows: Rows = [row].into_iter().collect();
    let read = Recovery::load(&rows, CLUSTER).unwrap().unwrap();
    assert_eq!(read, recovery);
    assert_eq!(read.verify(&chosen(&shares, &[2, 0])).unwrap().generation(), 4);
    assert_eq!(Recovery::load(&Rows::default(), CLUSTER), Ok(None));
    let other = Recovery::load(&rows, [1; 16]).unwrap_err();
    assert_eq!(other.to_string(), "row \"seal/recovery\" is damaged: it belongs to another cluster");
}

#[test]
fn recovery_keys_of_two_sets_never_combine() {
    let (old, old_shares) = Recovery::deal(CLUSTER, 1, 2, &holders(3)).unwrap();
    let (new, new_shares) = Recovery::deal(CLUSTER, 2, 2, &holders(3)).unwrap();
    for (a, b) in (0..3).flat_map(|a| (0..3).map(move |b| (a, b))) {
        let mixed = || [&old_shares[a], &new_shares[b]].map(|share| SecretBytes::from_slice(share.expose()));
        assert!(old.verify(&mixed()).is_err());
        assert!(new.verify(&mixed()).is_err());
    }
}

#[test]
fn one_recovery_key_of_one_is_32_bytes() {
    let (recovery, shares) = Recovery::deal(CLUSTER, 1, 1, &holders(1)).unwrap();
    assert_eq!(shares[0].len(), 32);
    assert!(recovery.verify(&shares).is_ok());
}
