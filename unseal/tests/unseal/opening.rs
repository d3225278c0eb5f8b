//! Dealing and opening with devices and custodians.

use crate::artefacts::static_leaf;
use crate::house::*;
use strongroom_secret::SecretBytes;
use strongroom_secret::key::RootKey;
use strongroom_unseal::leaf::Answer;
use strongroom_unseal::*;

#[test]
fn one_of_two_devices_opens_the_root() {
    let (a, b) = (Device::new("hsm-a", 1), Device::new("hsm-b", 2));
    let (root, rows) = deal(&tree("any(hsm-a, hsm-b)"), &[&a, &b]);
    let opened = opened(run(open(&rows, CLUSTER, &[&b], NOW)).unwrap());
    assert!(opened.root.same_as(&root));
    assert_eq!((opened.generation, opened.caught_up_from), (1, None));
    assert_eq!(opened.tree, tree("any(hsm-a, hsm-b)"));
    let [a, b] = &opened.standing.leaves[..] else { panic!("two leaves") };
    assert_eq!((a.satisfied, a.healthy, &a.error), (false, Some(false), &Some(LeafError::Unconfigured)));
    assert_eq!((b.satisfied, b.healthy, &b.error), (true, Some(true), &None));
    assert_eq!((b.device, b.device_text.as_str(), b.generation), (DeviceId([2; 16]), "Test Token 2", Some(1)));
    assert_eq!(opened.standing.seal_type(), "multiseal");
}

#[test]
fn devices_and_custodians_open_the_root_together() {
    let a = Device::new("hsm-a", 1);
    let tree = tree("all(hsm-a, 2 of 3 custodians)");
    let (dealing, shares) = custodians("custodians", 1, 2, 3);
    let (root, rows) = deal(&tree, &[&a, &dealing]);
    let custodians = Custodians::load(&rows, CLUSTER, "custodians").unwrap();
    let leaves: [&dyn Leaf; 2] = [&a, &custodians];

    let standing = sealed(run(open(&rows, CLUSTER, &leaves, NOW)).unwrap());
    assert_eq!(standing.needed.as_deref(), Some("all(hsm-a, 2 of 3 custodians)"));
    assert_eq!(standing.leaves[0].healthy, Some(true));
    assert_eq!(*a.opened.lock().unwrap(), 0, "no device is asked for a secret that cannot help");
    custodians.enter(shares[2].expose()).unwrap();
    let standing = sealed(run(open(&rows, CLUSTER, &leaves, NOW)).unwrap());
    assert_eq!(standing.leaves[1].error, Some(LeafError::Waiting { entered: 1, threshold: 2 }));
    custodians.enter(shares[0].expose()).unwrap();
    assert!(opened(run(open(&rows, CLUSTER, &leaves, NOW)).unwrap()).root.same_as(&root));
    assert_eq!(custodians.entered(), ["holder-3", "holder-1"]);
    a.set_away(true);
    let standing = sealed(run(open(&rows, CLUSTER, &leaves, NOW)).unwrap());
    assert_eq!(standing.leaves[0].error, Some(LeafError::Away("hsm-a is unplugged".into())));
    assert_eq!(standing.needed.as_deref(), Some("hsm-a"));
    assert!(standing.leaves[0].error.as_ref().unwrap().may_pass_later());
}

#[test]
fn shares_alone_are_the_tree_with_one_quorum() {
    let tree = tree("3 of 5 custodians");
    let (dealing, shares) = custodians("custodians", 1, 3, 5);
    let (root, rows) = deal(&tree, &[&dealing]);
    // Every set of three of the five opens the root, no set of two does.
    for set in 0..32u32 {
        let leaf = Custodians::load(&rows, CLUSTER, "custodians").unwrap();
        let chosen = (0..5).filter(|share| set >> share & 1 == 1);
        let taken = chosen.map(|share| leaf.enter(shares[share].expose())).filter(Result::is_ok).count();
        let outcome = run(open(&rows, CLUSTER, &[&leaf], NOW)).unwrap();
        match outcome {
            Outcome::Open(opened) => assert!(taken == 3 && opened.root.same_as(&root), "{set:b}"),
            Outcome::Sealed(standing) => assert!(taken < 3 && standing.seal_type() == "shamir", "{set:b}"),
        }
    }
}

#[test]
fn another_device_is_refused_before_it_is_asked_for_a_secret() {
    let a = Device::new("hsm-a", 1);
    let (_, rows) = deal(&tree("hsm-a"), &[&a]);
    let swapped = Device::new("hsm-a", 9);
    let standing = sealed(run(open(&rows, CLUSTER, &[&swapped], NOW)).unwrap());
    let text = "hsm-a is token 9, not the enrolled one";
    assert_eq!(standing.leaves[0].error, Some(LeafError::Other(text.into())));
    assert_eq!((standing.leaves[0].healthy, *swapped.opened.lock().unwrap()), (Some(false), 0));
}

#[test]
fn a_device_that_hangs_holds_up_nobody() {
    let (a, b, c) = (Device::new("hsm-a", 1), Device::new("hsm-b", 2), Device::new("hsm-d", 3));
    let (root, rows) = deal(&tree("2 of (hsm-a, hsm-b, hsm-d)"), &[&a, &b, &c]);
    *a.hangs.lock().unwrap() = true;
    let opened = opened(run(open(&rows, CLUSTER, &[&a, &b, &c], NOW)).unwrap());
    assert!(opened.root.same_as(&root));
    assert_eq!(opened.standing.leaves[0].healthy, None, "it has not answered");
}

#[test]
fn a_leaf_of_another_kind_than_the_stored_one_is_not_asked() {
    let a = Device::new("hsm-a", 1);
    let (_, rows) = deal(&tree("hsm-a"), &[&a]);
    let other = Device { kind: Kind::Static, ..Device::new("hsm-a", 1) };
    let standing = sealed(run(open(&rows, CLUSTER, &[&other], NOW)).unwrap());
    let expected = LeafError::Kind { stored: Kind::Pkcs11, configured: Kind::Static };
    assert_eq!(standing.leaves[0].error, Some(expected));
    assert_eq!(*other.proven.lock().unwrap(), 0);
}

#[test]
fn a_leaf_mentioned_twice_has_a_keyslot_for_each() {
    let (a, b) = (Device::new("a", 1), Device::new("b", 2));
    let (root, rows) = deal(&tree("any(all(a, b), 2 of (a, b, a))"), &[&a, &b]);
    let slots: Vec<&str> = rows.iter().map(|(name, _)| name).filter(|name| name.contains("slot")).collect();
    assert_eq!(slots, ["seal/1/slot/0.0", "seal/1/slot/0.1", "seal/1/slot/1.0", "seal/1/slot/1.1", "seal/1/slot/1.2"]);
    assert!(opened(run(open(&rows, CLUSTER, &[&a], NOW)).unwrap()).root.same_as(&root));
    sealed(run(open(&rows, CLUSTER, &[&b], NOW)).unwrap());
}

#[test]
fn a_standing_without_asking_anybody_says_what_is_stored() {
    let a = Device::new("hsm-a", 1);
    let (_, rows) = deal(&tree("hsm-a"), &[&a]);
    let before = *a.proven.lock().unwrap();
    let standing = standing(&rows, CLUSTER, &[&a]).unwrap();
    assert_eq!((standing.satisfied, standing.generation, standing.expression.as_str()), (false, 1, "hsm-a"));
    assert_eq!((standing.leaves[0].healthy, standing.leaves[0].device), (None, DeviceId([1; 16])));
    assert_eq!(*a.proven.lock().unwrap(), before);
}

#[test]
fn an_absent_leaf_waits_and_too_many_absent_ones_refuse_the_deal() {
    let (a, b) = (Device::new("hsm-a", 1), Device::new("hsm-b", 2));
    let tree = tree("any(hsm-a, hsm-b)");
    let root = RootKey::generate().unwrap();
    let leaves: [&dyn Leaf; 2] = [&a, &b];
    let dealing =
        Dealing { cluster: CLUSTER, generation: 1, tree: &tree, leaves: &leaves, enrolled: Default::default() };
    b.set_away(true);
    let dealt = run(dealing.deal(&root)).unwrap();
    assert_eq!(dealt.absent[0].leaf, "hsm-b");
    b.set_away(false);
    let rows: Rows = dealt.rows.into_iter().collect();
    let standing = sealed(run(open(&rows, CLUSTER, &[&b], NOW)).unwrap());
    assert_eq!(standing.leaves[1].error, Some(LeafError::Behind(1)));
    let (change, absent) = run(bring_up(&rows, CLUSTER, 1, &root, &[&b])).unwrap();
    assert_eq!((change.put.len(), change.delete.len(), absent.len()), (1, 0, 0));
    let mut rows = rows;
    change.apply(&mut rows);
    assert!(opened(run(open(&rows, CLUSTER, &[&b], NOW)).unwrap()).root.same_as(&root));

    a.set_away(true);
    b.set_away(true);
    let error = run(dealing.deal(&root)).unwrap_err();
    assert_eq!(error.blame(), Blame::Caller);
    assert!(error.to_string().contains("hsm-a (hsm-a is unplugged), hsm-b (hsm-b is unplugged)"), "{error}");
}

#[test]
fn a_store_without_a_tree_or_of_another_cluster_says_so() {
    let missing = run(open(&Rows::default(), CLUSTER, &[], NOW)).err().unwrap();
    assert_eq!(missing.to_string(), "row \"seal/1/tree\" is missing");
    let a = Device::new("hsm-a", 1);
    let (_, rows) = deal(&tree("hsm-a"), &[&a]);
    let other = run(open(&rows, [9; 16], &[&a], NOW)).err().unwrap();
    assert_eq!(other.to_string(), "row \"seal/1/tree\" is damaged: it belongs to another cluster");
}

#[test]
fn a_static_seal_opens_through_its_worker_thread_and_another_key_is_another_token() {
    let seals = [Seal { name: "static".into(), kind: Kind::Static, quorum: None }];
    let tree = "static".parse::<Expression>().unwrap().resolve(&seals).unwrap().tree;
    let leaf = static_leaf("static", 1);
    let leaves: [&dyn Leaf; 1] = [&leaf];
    let root = RootKey::generate().unwrap();
    let dealing =
        Dealing { cluster: CLUSTER, generation: 1, tree: &tree, leaves: &leaves, enrolled: Default::default() };
    let rows: Rows = park(dealing.deal(&root)).unwrap().rows.into_iter().collect();
    let again = static_leaf("static", 1);
    let opened = opened(park(open(&rows, CLUSTER, &[&again], NOW)).unwrap());
    assert!(opened.root.same_as(&root));
    assert_eq!(opened.standing.seal_type(), "static");
    assert_ne!(opened.standing.leaves[0].device, DeviceId([0; 16]));
    let stranger = static_leaf("static", 2);
    let standing = sealed(park(open(&rows, CLUSTER, &[&stranger], NOW)).unwrap());
    assert!(matches!(standing.leaves[0].error, Some(LeafError::Other(_))), "{standing:?}");
}

/// A device that seals what it is given and opens it to something else: a faulty one, or one whose AES-GCM was made to
/// open under a second key.
struct Liar(Device);

impl Leaf for Liar {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn kind(&self) -> Kind {
        self.0.kind()
    }

    fn enrol(&self) -> Answer<'_, Enrolment> {
        Box::pin(async {
            let enrolment = self.0.enrol().await?;
            Ok(Enrolment { text: "é".repeat(200), ..enrolment })
        })
    }

    fn prove<'a>(&'a self, pin: &'a [u8]) -> Answer<'a, ()> {
        self.0.prove(pin)
    }

    fn seal<'a>(&'a self, aad: &'a [u8], portion: &'a SecretBytes) -> Answer<'a, Vec<u8>> {
        self.0.seal(aad, portion)
    }

    fn open<'a>(&'a self, aad: &'a [u8], sealed: &'a [u8]) -> Answer<'a, SecretBytes> {
        Box::pin(async move {
            let portion = self.0.open(aad, sealed).await?;
            let keep = portion.len() - usize::from(portion.expose()[0] % 2);
            Ok(SecretBytes::filled(keep, |bytes| bytes.fill(7)))
        })
    }
}

#[test]
fn a_portion_that_does_not_meet_its_commitment_is_not_used() {
    for serial in 1..20 {
        let (liar, honest) = (Liar(Device::new("a", serial)), Device::new("b", 99));
        let (root, rows) = deal(&tree("any(a, b)"), &[&liar, &honest]);
        let standing = sealed(run(open(&rows, CLUSTER, &[&liar], NOW)).unwrap());
        let text = "the keyslot does not open with this leaf: it opened to something else than was sealed";
        assert_eq!(standing.leaves[0].error.as_ref().unwrap().to_string(), text);
        // The words of a device are cut to what a row holds, between letters.
        assert_eq!(standing.leaves[0].device_text, "é".repeat(127));
        let opened = opened(run(open(&rows, CLUSTER, &[&liar, &honest], NOW)).unwrap());
        assert!(opened.root.same_as(&root), "it spoils nothing for the others");
    }
}

#[test]
fn what_is_too_long_for_a_row_is_refused_before_anything_is_stored() {
    struct Wordy(Device);
    impl Leaf for Wordy {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn kind(&self) -> Kind {
            self.0.kind()
        }
        fn enrol(&self) -> Answer<'_, Enrolment> {
            Box::pin(async { Ok(Enrolment { pin: vec![1; 8193], ..Enrolment::default() }) })
        }
        fn prove<'a>(&'a self, pin: &'a [u8]) -> Answer<'a, ()> {
            self.0.prove(pin)
        }
        fn seal<'a>(&'a self, aad: &'a [u8], portion: &'a SecretBytes) -> Answer<'a, Vec<u8>> {
            self.0.seal(aad, portion)
        }
        fn open<'a>(&'a self, aad: &'a [u8], sealed: &'a [u8]) -> Answer<'a, SecretBytes> {
            self.0.open(aad, sealed)
        }
    }
    let (leaf, tree, root) = (Wordy(Device::new("a", 1)), tree("a"), RootKey::generate().unwrap());
    let leaves: [&dyn Leaf; 1] = [&leaf];
    let dealing =
        Dealing { cluster: CLUSTER, generation: 1, tree: &tree, leaves: &leaves, enrolled: Default::default() };
    let error = run(dealing.deal(&root)).unwrap_err();
    assert_eq!((error.blame(), error.to_string().contains("too long to be stored")), (Blame::Configuration, true));
}

#[test]
fn a_device_s_troubles_are_told_apart() {
    let other_key = static_leaf("static", 1);
    let (mut rejected, mut unreadable) = (Vec::new(), Vec::new());
    let sealed = park(other_key.seal(b"here", &SecretBytes::from_slice(&[5; 32]))).unwrap();
    rejected.push(park(other_key.open(b"there", &sealed)).err());
    rejected.push(park(other_key.open(b"here", &sealed[..9])).err());
    unreadable.push(park(other_key.prove(b"no pin")).err());
    unreadable.push(park(other_key.seal(b"here", &SecretBytes::from_slice(&[5; 129]))).err());
    assert!(rejected.iter().all(|error| matches!(error, Some(LeafError::Rejected(_)))), "{rejected:?}");
    assert!(unreadable.iter().all(|error| matches!(error, Some(LeafError::Refused(_)))), "{unreadable:?}");
    assert!(park(other_key.prove(&park(other_key.enrol()).unwrap().pin)).is_ok());
    assert!(!LeafError::Unconfigured.may_pass_later() && LeafError::Refused("x".into()).may_pass_later());
}
