//! Rotation, leaves that were away, and those that are shut out (T-23).

use crate::house::*;
use std::time::Duration;
use strongroom_unseal::rotate::Change;
use strongroom_unseal::*;

const DAY: i64 = 86_400;
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// A cluster: its rows and the open root.
struct House {
    rows: Rows,
    root: strongroom_secret::key::RootKey,
    generation: u32,
}

impl House {
    fn new(tree: &Tree, leaves: &[&dyn Leaf]) -> Self {
        let (root, rows) = deal(tree, leaves);
        House { rows, root, generation: 1 }
    }

    fn rotation<'a>(&'a self, tree: &'a Tree, leaves: &'a [&'a dyn Leaf], now: i64) -> Rotation<'a> {
        let (cluster, age, revoking) = (CLUSTER, MONTH, false);
        let (rows, generation, root) = (&self.rows, self.generation, &self.root);
        Rotation { cluster, rows, generation, root, tree, leaves, now, age, revoking }
    }

    fn rotate(&mut self, tree: &Tree, leaves: &[&dyn Leaf], now: i64) -> (Vec<Absent>, Vec<String>) {
        let rotated = run(self.rotation(tree, leaves, now).rotate()).unwrap();
        rotated.change.apply(&mut self.rows);
        (self.root, self.generation) = (rotated.root, rotated.generation);
        (rotated.absent, rotated.skipped)
    }

    fn open(&self, leaves: &[&dyn Leaf], now: i64) -> Outcome {
        run(open(&self.rows, CLUSTER, leaves, now)).unwrap()
    }

    fn bring_up(&mut self, leaves: &[&dyn Leaf]) -> (Change, Vec<Absent>) {
        let (change, absent) = run(bring_up(&self.rows, CLUSTER, self.generation, &self.root, leaves)).unwrap();
        change.apply(&mut self.rows);
        (change, absent)
    }
}

#[test]
fn a_rotation_with_everybody_there_leaves_nothing_of_the_old_generation() {
    let (a, b) = (Device::new("a", 1), Device::new("b", 2));
    let tree = tree("any(a, b)");
    let mut house = House::new(&tree, &[&a, &b]);
    let (old_rows, old_root) = (house.rows.clone(), house.root.expose().to_vec());
    assert_eq!(house.rotate(&tree, &[&a, &b], NOW), (vec![], vec![]));
    assert_ne!(house.root.expose()[..], old_root[..]);
    assert_eq!(house.rows.generations(), [2]);
    assert_eq!(house.rows.iter().count(), old_rows.iter().count());
    assert!(opened(house.open(&[&b], NOW)).root.same_as(&house.root));
    // An old keyslot put back in the new one's place is refused by name, and the rows' digest differs.
    let mut put_back = house.rows.clone();
    put_back.put(Row { name: "seal/2/slot/0".into(), bytes: old_rows.get("seal/1/slot/0").unwrap().to_vec() });
    assert_ne!(put_back.digest(&house.root), house.rows.digest(&house.root));
    let standing = sealed(run(open(&put_back, CLUSTER, &[&a], NOW)).unwrap());
    let text = "row \"seal/2/slot/0\" is damaged: it belongs to another place";
    assert_eq!(standing.leaves[0].error, Some(LeafError::Row(text.into())));
}

#[test]
fn a_leaf_that_was_away_comes_back_by_itself_within_the_bound_and_is_brought_up_to_date() {
    let (a, b) = (Device::new("a", 1), Device::new("b", 2));
    let tree = tree("any(a, b)");
    let mut house = House::new(&tree, &[&a, &b]);
    b.set_away(true);
    for turn in 0..3 {
        let (absent, skipped) = house.rotate(&tree, &[&a, &b], NOW + turn * DAY);
        assert_eq!((absent[0].leaf.as_str(), skipped.len()), ("b", 0));
    }
    assert_eq!(house.rows.generations(), [4, 3, 2, 1]);
    b.set_away(false);
    let back = opened(house.open(&[&b], NOW + 4 * DAY));
    assert!(back.root.same_as(&house.root));
    assert_eq!((back.generation, back.caught_up_from), (4, Some(1)));
    assert_eq!(back.standing.leaves[1].generation, Some(1));
    // Past the bound it is loud, and another leaf has to open.
    let standing = sealed(house.open(&[&b], NOW + 31 * DAY));
    let error = standing.not_followed.unwrap();
    assert!(error.to_string().contains("unseal with another leaf"), "{error}");
    assert_eq!(error.blame(), Blame::Store);
    // So is a clock that is behind.
    let standing = sealed(house.open(&[&b], NOW - 2 * DAY));
    assert!(standing.not_followed.unwrap().to_string().contains("set the clock"));
    // Once it is up to date, the old generations are gone.
    let (change, absent) = house.bring_up(&[&a, &b]);
    assert_eq!((change.put.len(), absent.len()), (1, 0));
    assert_eq!(house.rows.generations(), [4]);
    let back = opened(house.open(&[&b], NOW + 400 * DAY));
    assert_eq!((back.caught_up_from, back.root.same_as(&house.root)), (None, true));
}

#[test]
fn a_leaf_that_stays_away_past_the_bound_is_called_skipped() {
    let (a, b) = (Device::new("a", 1), Device::new("b", 2));
    let tree = tree("any(a, b)");
    let mut house = House::new(&tree, &[&a, &b]);
    b.set_away(true);
    house.rotate(&tree, &[&a, &b], NOW);
    let (_, skipped) = house.rotate(&tree, &[&a, &b], NOW + 31 * DAY);
    assert_eq!(skipped, ["b"]);
    assert_eq!(house.rows.generations(), [3, 2]);
    b.set_away(false);
    sealed(house.open(&[&b], NOW + 31 * DAY));
    assert_eq!(house.bring_up(&[&b]).1, []);
    assert!(opened(house.open(&[&b], NOW + 31 * DAY)).root.same_as(&house.root));
}

#[test]
fn a_leaf_that_returns_as_another_device_gets_nothing() {
    let (a, b) = (Device::new("a", 1), Device::new("b", 2));
    let tree = tree("any(a, b)");
    let mut house = House::new(&tree, &[&a, &b]);
    b.set_away(true);
    house.rotate(&tree, &[&a, &b], NOW);
    let stranger = Device::new("b", 9);
    let (change, absent) = house.bring_up(&[&stranger]);
    assert_eq!(change, Change::default());
    assert!(matches!(absent[0].error, LeafError::Other(_)));
    // Nor does it at a rotation.
    let (absent, _) = house.rotate(&tree, &[&a, &stranger], NOW);
    assert_eq!((absent[0].leaf.as_str(), *stranger.opened.lock().unwrap()), ("b", 0));
}

#[test]
fn a_rotation_that_would_lock_everybody_out_is_refused() {
    let (a, b) = (Device::new("a", 1), Device::new("b", 2));
    let tree = tree("all(a, b)");
    let house = House::new(&tree, &[&a, &b]);
    b.set_away(true);
    let error = run(house.rotation(&tree, &[&a, &b], NOW).rotate()).err().unwrap();
    assert!(matches!(&error, Error::LockOut { absent } if absent.contains("b is unplugged")), "{error}");
}

#[test]
fn the_root_rotates_without_a_visit_to_the_custodians_safes() {
    let a = Device::new("a", 1);
    let (dealing, shares) = custodians("custodians", 1, 2, 3);
    let tree = tree("any(a, 2 of 3 custodians)");
    let mut house = House::new(&tree, &[&a, &dealing]);
    for turn in 0..3 {
        let stored = Custodians::load(&house.rows, CLUSTER, "custodians").unwrap();
        assert_eq!(house.rotate(&tree, &[&a, &stored], NOW + turn), (vec![], vec![]));
    }
    let custodians = Custodians::load(&house.rows, CLUSTER, "custodians").unwrap();
    assert_eq!(custodians.set().belongs().generation, 1, "the shares are still those of generation 1");
    custodians.enter(shares[0].expose()).unwrap();
    custodians.enter(shares[2].expose()).unwrap();
    let back = opened(house.open(&[&custodians], NOW));
    assert_eq!((back.generation, back.root.same_as(&house.root)), (4, true));
}

#[test]
fn old_shares_open_neither_the_new_store_nor_a_new_backup_after_a_rekey() {
    let (a, b) = (Device::new("a", 1), Device::new("b", 2));
    let (dealing, old_shares) = custodians("custodians", 1, 2, 3);
    let tree = tree("any(a, b, 2 of 3 custodians)");
    let mut house = House::new(&tree, &[&a, &b, &dealing]);
    let old_backup = house.rows.clone();
    // Device b is away, so a routine rotation would keep the old generation and lead on from it.
    b.set_away(true);
    let (fresh, new_shares) = custodians("custodians", 2, 2, 3);
    let (absent, skipped) = house.rotate(&tree, &[&a, &b, &fresh], NOW);
    assert_eq!((absent[0].leaf.as_str(), skipped), ("b", vec!["b".to_owned()]));
    assert_eq!(house.rows.generations(), [2], "nothing leads on from where the old shares open");
    assert_eq!(house.rows.get("seal/1/catch-up"), None);

    let custodians = Custodians::load(&house.rows, CLUSTER, "custodians").unwrap();
    for share in &old_shares {
        custodians.enter(share.expose()).unwrap_err();
    }
    // The old shares with all that the old backup holds, put into the new store: the new generation stays shut.
    let mut mixed = house.rows.clone();
    old_backup.iter().for_each(|(name, bytes)| {
        if name != "seal/1/tree" {
            mixed.put(Row { name: name.into(), bytes: bytes.to_vec() });
        }
    });
    let old = Custodians::load(&mixed, CLUSTER, "custodians").unwrap();
    old.enter(old_shares[0].expose()).unwrap();
    old.enter(old_shares[1].expose()).unwrap();
    let standing = sealed(run(open(&mixed, CLUSTER, &[&old], NOW)).unwrap());
    assert!(matches!(standing.leaves[2].error, Some(LeafError::Rejected(_))), "{:?}", standing.leaves[2]);
    mixed.put(Row { name: "seal/1/tree".into(), bytes: old_backup.get("seal/1/tree").unwrap().to_vec() });
    let standing = sealed(run(open(&mixed, CLUSTER, &[&old], NOW)).unwrap());
    assert!(standing.not_followed.unwrap().to_string().contains("no record leads on"));
    // The new shares open it.
    custodians.enter(new_shares[0].expose()).unwrap();
    custodians.enter(new_shares[1].expose()).unwrap();
    assert!(opened(house.open(&[&custodians], NOW)).root.same_as(&house.root));
}

#[test]
fn a_changed_tree_shuts_the_old_one_and_its_leaves_out() {
    let (a, b) = (Device::new("a", 1), Device::new("b", 2));
    let (dealing, _) = custodians("custodians", 1, 2, 3);
    let mut house = House::new(&tree("any(a, 2 of 3 custodians)"), &[&a, &dealing]);
    // Add b, then remove the custodians, while serving.
    let stored = Custodians::load(&house.rows, CLUSTER, "custodians").unwrap();
    house.rotate(&tree("any(a, b, 2 of 3 custodians)"), &[&a, &b, &stored], NOW);
    assert!(house.rows.get("seal/shares/custodians").is_some());
    house.rotate(&tree("any(a, b)"), &[&a, &b], NOW);
    assert_eq!(house.rows.get("seal/shares/custodians"), None, "the shares of a leaf that is gone are gone");
    assert_eq!(house.rows.generations(), [3]);
    house.rotate(&tree("b"), &[&b], NOW);
    sealed(house.open(&[&a], NOW));
    assert!(opened(house.open(&[&b], NOW)).root.same_as(&house.root));
}

#[test]
fn revoking_and_no_age_write_no_catch_up_record() {
    let (a, b) = (Device::new("a", 1), Device::new("b", 2));
    let tree = tree("any(a, b)");
    let house = House::new(&tree, &[&a, &b]);
    b.set_away(true);
    let leaves: [&dyn Leaf; 2] = [&a, &b];
    for (age, revoking) in [(MONTH, true), (Duration::ZERO, false)] {
        let rotation = Rotation { age, revoking, ..house.rotation(&tree, &leaves, NOW) };
        let rotated = run(rotation.rotate()).unwrap();
        assert!(rotated.change.delete.contains(&"seal/1/tree".to_owned()));
        assert!(rotated.change.put.iter().all(|row| !row.name.ends_with("catch-up")));
        assert_eq!(rotated.skipped, ["b"]);
    }
}
