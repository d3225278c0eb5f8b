//! Dealing and opening with devices and custodians.

use crate::house::*;
use strongroom_secret::key::RootKey;
use strongroom_unseal::*;

fn deal(tree: &Tree, leaves: &[&dyn Leaf]) -> (RootKey, Rows) {
    let root = RootKey::generate().unwrap();
    let dealing = Dealing { cluster: CLUSTER, generation: 1, tree, leaves, enrolled: Default::default() };
    let dealt = run(dealing.deal(&root)).unwrap();
    assert_eq!(dealt.absent, []);
    (root, dealt.rows.into_iter().collect())
}

#[test]
fn one_of_two_devices_opens_the_root() {
    let (a, b) = (Device::new("hsm-a", 1), Device::new("hsm-b", 2));
    let (root, rows) = deal(&tree("any(hsm-a, hsm-b)"), &[&a, &b]);
    let opened = opened(run(open(&rows, CLUSTER, &[&b], NOW)).unwrap());
    assert!(opened.root.same_as(&root));
    assert_eq!(opened.generation, 1);
    assert_eq!(opened.standing.leaves[0].error, Some(LeafError::Unconfigured));
    assert!(opened.standing.leaves[1].satisfied);
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
    assert_eq!(*a.opened.lock().unwrap(), 0, "no device is asked for a secret that cannot help");
    custodians.enter(shares[2].expose()).unwrap();
    let standing = sealed(run(open(&rows, CLUSTER, &leaves, NOW)).unwrap());
    assert_eq!(standing.leaves[1].error, Some(LeafError::Waiting { entered: 1, threshold: 2 }));
    custodians.enter(shares[0].expose()).unwrap();
    assert!(opened(run(open(&rows, CLUSTER, &leaves, NOW)).unwrap()).root.same_as(&root));
    assert_eq!(custodians.entered(), ["holder-3", "holder-1"]);
}
