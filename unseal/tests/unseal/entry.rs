//! Entering shares, one at a time (T-20, T-22, T-23).

use crate::house::*;
use strongroom_secret::SecretBytes;
use strongroom_unseal::quorum::{Progress, Refusal};
use strongroom_unseal::*;

fn flipped(share: &SecretBytes, bit: usize) -> Vec<u8> {
    let mut bytes = share.expose().to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

#[test]
fn every_flipped_bit_of_a_share_is_refused_by_its_holder_s_name_and_costs_no_good_share() {
    let (leaf, shares) = custodians("custodians", 1, 3, 5);
    leaf.enter(shares[0].expose()).unwrap();
    for bit in 0..33 * 8 {
        let error = leaf.enter(&flipped(&shares[3], bit)).unwrap_err();
        let refusal = Refusal::Damaged { share: 3 };
        let expected = Error::Share { leaf: "custodians".into(), holder: Some("holder-4".into()), refusal };
        assert_eq!(error, expected, "bit {bit}");
        assert_eq!(error.blame(), Blame::Caller);
        assert_eq!(
            error.to_string(),
            "invalid key: leaf \"custodians\": share 4 is not as it was dealt (held by \"holder-4\")"
        );
    }
    assert_eq!(leaf.progress(), Progress { entered: 1, threshold: 3 });
    leaf.enter(shares[3].expose()).unwrap();
    assert!(leaf.enter(shares[4].expose()).unwrap().is_complete());
    assert_eq!(leaf.authorise().unwrap().holders(), ["holder-1", "holder-4", "holder-5"]);
}

#[test]
fn a_share_counts_once_and_a_stranger_s_never() {
    let (leaf, shares) = custodians("custodians", 1, 2, 3);
    let refusal = |share: &[u8]| match leaf.enter(share).unwrap_err() {
        Error::Share { refusal, .. } => refusal,
        other => panic!("{other}"),
    };
    leaf.enter(shares[1].expose()).unwrap();
    assert_eq!(refusal(shares[1].expose()), Refusal::Again { share: 1 });
    let (_, strange) = custodians("custodians", 1, 2, 3);
    for share in &strange {
        assert!(matches!(refusal(share.expose()), Refusal::Unknown | Refusal::Damaged { .. }));
    }
    for length in [0, 1, 16, 32, 34, 64] {
        assert_eq!(refusal(&vec![7; length]), Refusal::Unknown, "{length} bytes");
    }
    leaf.enter(shares[0].expose()).unwrap();
    assert_eq!(refusal(shares[2].expose()), Refusal::Complete);
}

#[test]
fn shares_of_old_and_new_generations_never_combine() {
    let (old, old_shares) = custodians("custodians", 1, 2, 3);
    let (mut new, new_shares) = custodians("custodians", 2, 2, 3);
    new.remember(old);
    // Every mixture of two, in both orders: the old share is refused by its generation, whatever came before.
    for (new_index, old_index) in (0..3).flat_map(|new| (0..3).map(move |old| (new, old))) {
        new.reset();
        let wrong_generation = |error: Error| {
            let refusal = Refusal::Generation { of: 1, wanted: 2 };
            assert_eq!(error, Error::Share { leaf: "custodians".into(), holder: None, refusal });
        };
        wrong_generation(new.enter(old_shares[old_index].expose()).unwrap_err());
        assert_eq!(new.enter(new_shares[new_index].expose()).unwrap().entered, 1);
        wrong_generation(new.enter(old_shares[old_index].expose()).unwrap_err());
        assert!(new.authorise().is_err());
        assert_eq!(new.enter(new_shares[(new_index + 1) % 3].expose()).unwrap().entered, 2);
    }
}

#[test]
fn two_shares_of_one_holder_count_once() {
    let belongs = Belongs { cluster: CLUSTER, generation: 1, leaf: "custodians".into() };
    let holders = ["ada".to_owned(), "grace".to_owned(), "ada".to_owned()];
    let (leaf, shares) = Custodians::deal(belongs, 2, &holders).unwrap();
    leaf.enter(shares[0].expose()).unwrap();
    let error = leaf.enter(shares[2].expose()).unwrap_err();
    let refusal = Refusal::SameHolder { share: 2, entered: 0 };
    assert_eq!(error, Error::Share { leaf: "custodians".into(), holder: Some("ada".into()), refusal });
    assert!(error.to_string().contains("one person counts once"), "{error}");
    assert!(leaf.enter(shares[1].expose()).unwrap().is_complete());
}

#[test]
fn shares_that_can_never_come_together_are_not_dealt() {
    let deal = |threshold, holders: &[String]| {
        let belongs = Belongs { cluster: CLUSTER, generation: 1, leaf: "custodians".into() };
        Custodians::deal(belongs, threshold, holders).err().map(|error| error.to_string())
    };
    let same = vec!["ada".to_owned(); 3];
    for (threshold, holders, text) in [
        (1, holders(0), "shares must be at least one"),
        (0, holders(3), "threshold must be at least one"),
        (4, holders(3), "threshold cannot be larger than shares"),
        (1, holders(3), "threshold must be greater than one for multiple shares"),
        (2, holders(256), "shares must be less than 256"),
        (2, same, "fewer persons hold a share than the threshold asks for"),
        (1, vec!["x".repeat(256)], "the name of a holder is longer than 255 bytes"),
    ] {
        let refused = deal(threshold, &holders).unwrap();
        assert!(refused.contains(text), "{refused}");
    }
    assert_eq!(deal(255, &holders(255)), None);
}

#[test]
fn one_share_of_one_is_the_key_itself() {
    let (leaf, shares) = custodians("custodians", 1, 1, 1);
    assert_eq!(shares[0].len(), 32);
    assert!(leaf.enter(&flipped(&shares[0], 100)).is_err());
    assert!(leaf.enter(shares[0].expose()).unwrap().is_complete());
    assert!(leaf.authorise().is_ok());
}

#[test]
fn a_quorum_forgets_on_reset() {
    let (leaf, shares) = custodians("custodians", 1, 2, 3);
    leaf.enter(shares[0].expose()).unwrap();
    leaf.enter(shares[1].expose()).unwrap();
    leaf.authorise().unwrap();
    leaf.reset();
    assert_eq!(leaf.progress().entered, 0);
    assert_eq!(leaf.authorise().unwrap_err().to_string(), "leaf \"custodians\": 0 of 2 shares have been entered");
    assert!(leaf.waiting().is_some());
}

#[test]
fn an_envelope_says_what_its_share_is() {
    let (leaf, shares) = custodians("custodians", 7, 2, 3);
    let envelope = Envelope::new(leaf.set(), 1, &shares[1]).unwrap();
    let bytes = envelope.encode();
    let read = Envelope::decode(bytes.expose()).unwrap();
    assert_eq!((read.number(), read.holder()), (1, "holder-2"));
    assert_eq!(read.belongs(), &Belongs { cluster: CLUSTER, generation: 7, leaf: "custodians".into() });
    assert_eq!(read.shape(), QuorumShape::new(2, 3).unwrap());
    assert!(read.share().same_as(shares[1].expose()));
    assert!(leaf.enter(read.share().expose()).is_ok());
    assert!(Envelope::new(leaf.set(), 3, &shares[1]).is_none());
    for at in 0..bytes.len() {
        let mut changed = bytes.expose().to_vec();
        changed[at] ^= 0x40;
        let error = Envelope::decode(&changed).err().unwrap();
        assert_eq!(error.to_string(), "row \"share envelope\" is damaged: its checksum does not hold", "byte {at}");
        assert!(Envelope::decode(&bytes.expose()[..at]).is_err(), "{at} bytes");
    }
}
