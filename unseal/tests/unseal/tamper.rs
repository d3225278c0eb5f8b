//! Rows changed, cut, swapped and made up: refused, with the row named, and never a panic (T-04, T-05 for keyslots).

use crate::artefacts::{ARTEFACTS, Artefacts, static_leaf};
use crate::house::*;
use proptest::prelude::*;
use strongroom_secret::SecretBytes;
use strongroom_secret::digest::sha256;
use strongroom_unseal::catch_up::CatchUp;
use strongroom_unseal::*;

/// What stands in the way of each of the two ways in, and of the recovery keys: every error there is.
fn errors(artefacts: &Artefacts, rows: &Rows, config: &DeviceLeaf, away: &DeviceLeaf) -> Vec<String> {
    let mut errors = Vec::new();
    let custodians = artefacts.custodians(rows).map_err(|error| errors.push(error.to_string())).ok();
    let by_config: Vec<&dyn Leaf> = vec![config];
    let mut by_catch_up: Vec<&dyn Leaf> = vec![away];
    by_catch_up.extend(custodians.as_ref().map(|leaf| leaf as &dyn Leaf));
    for (leaves, generation) in [(by_config, 2), (by_catch_up, 1)] {
        match park(open(rows, ARTEFACTS, &leaves, NOW)) {
            Err(error) => errors.push(error.to_string()),
            Ok(Outcome::Sealed(standing)) => {
                errors.extend(standing.not_followed.iter().map(Error::to_string));
                errors.extend(standing.leaves.iter().filter_map(|leaf| leaf.error.as_ref()).map(LeafError::to_string));
                // Generation 1 has no standing of its own: ask it alone.
                let mut first: Rows = rows.clone();
                rows.iter().filter(|(name, _)| name.starts_with("seal/2/")).for_each(|(name, _)| first.delete(name));
                if let (1, Ok(Outcome::Sealed(standing))) = (generation, park(open(&first, ARTEFACTS, &leaves, NOW))) {
                    let errors_of = standing.leaves.iter().filter_map(|leaf| leaf.error.as_ref());
                    errors.extend(errors_of.map(LeafError::to_string));
                }
            }
            Ok(Outcome::Open(opened)) => {
                assert_eq!(opened.root.expose()[..], *artefacts.value("root/2"), "another root was given out");
                let of_leaves = opened.standing.leaves.iter().filter_map(|leaf| leaf.error.as_ref());
                errors.extend(of_leaves.map(LeafError::to_string));
                if let Some(custodians) = &custodians {
                    custodians.reset();
                    errors.extend(custodians.recall(&opened.root, 2).err().map(|error| error.to_string()));
                }
                let pending = park(bring_up(rows, ARTEFACTS, 2, &opened.root, &[]));
                errors.extend(pending.err().map(|error| error.to_string()));
            }
        }
    }
    let shares = ["recovery-share/1", "recovery-share/2"].map(|name| SecretBytes::from_slice(artefacts.value(name)));
    match Recovery::load(rows, ARTEFACTS) {
        Err(error) => errors.push(error.to_string()),
        Ok(None) => errors.push("row \"seal/recovery\" is missing".into()),
        Ok(Some(recovery)) => errors.extend(recovery.verify(&shares).err().map(|error| error.to_string())),
    }
    errors.extend(check(rows, ARTEFACTS).iter().map(Error::to_string));
    errors.retain(|error| {
        error != "no seal block with this name is configured" && !error.contains("has not been brought up to date")
    });
    errors
}

fn put(rows: &Rows, name: &str, bytes: Vec<u8>) -> Rows {
    let mut changed = rows.clone();
    changed.put(Row { name: name.into(), bytes });
    changed
}

#[test]
fn unchanged_rows_give_no_error() {
    let artefacts = Artefacts::v1();
    let (config, away) = (static_leaf("config", 0x11), static_leaf("away", 0x22));
    assert_eq!(errors(&artefacts, &artefacts.rows, &config, &away), Vec::<String>::new());
}

#[test]
fn every_flipped_byte_and_every_cut_of_every_row_is_refused_by_the_row_s_name() {
    let artefacts = Artefacts::v1();
    let (config, away) = (static_leaf("config", 0x11), static_leaf("away", 0x22));
    let mut changes = 0;
    let mut refused = |name: &str, bytes: Vec<u8>, what: String| {
        let errors = errors(&artefacts, &put(&artefacts.rows, name, bytes), &config, &away);
        let named = |error: &String| error.contains(&format!("row {name:?} is damaged"));
        assert!(errors.iter().any(named), "{name}, {what}: {errors:?}");
        changes += 1;
    };
    for (name, bytes) in artefacts.rows.iter() {
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= if at % 2 == 0 { 0x01 } else { 0x80 };
            refused(name, changed, format!("byte {at} flipped"));
        }
        for length in (0..bytes.len()).step_by(13) {
            refused(name, bytes[..length].to_vec(), format!("cut to {length}"));
        }
        refused(name, [bytes, &[0]].concat(), "one byte more".into());
    }
    assert!(changes > 2_500, "{changes}");
}

/// The store's owner repairs the checksum: then the AAD, a commitment or the decoder refuses, whatever the byte was.
#[test]
fn every_flipped_byte_with_its_checksum_repaired_is_refused_too() {
    let artefacts = Artefacts::v1();
    let (config, away) = (static_leaf("config", 0x11), static_leaf("away", 0x22));
    let root = strongroom_secret::key::RootKey::from_slice(artefacts.value("root/2")).unwrap();
    let (mut changes, mut head_only) = (0, Vec::new());
    for (name, bytes) in artefacts.rows.iter() {
        let body = bytes.len() - 16;
        for at in 0..body {
            let mut changed = bytes[..body].to_vec();
            changed[at] ^= if at % 2 == 0 { 0x04 } else { 0x20 };
            let checksum = sha256(&[&changed]);
            changed.extend(&checksum[..16]);
            let rows = put(&artefacts.rows, name, changed);
            if errors(&artefacts, &rows, &config, &away).is_empty() {
                head_only.push((name, at));
            }
            assert_ne!(rows.digest(&root)[..], *artefacts.value("digest"), "{name} {at}");
            changes += 1;
        }
    }
    assert!(changes > 2_000, "{changes}");
    // Some rows are on neither of the two ways that are tried here; the head's digest is what refuses those.
    let unused = ["seal/2/slot/1.1", "seal/1/slot/0"];
    head_only.retain(|(name, _)| !unused.contains(name));
    assert_eq!(head_only, [], "every other byte is refused before the head is even looked at");
}

#[test]
fn all_ordered_pairs_of_rows_swapped_are_refused() {
    let artefacts = Artefacts::v1();
    let (config, away) = (static_leaf("config", 0x11), static_leaf("away", 0x22));
    let mut pairs = 0;
    for (name, _) in artefacts.rows.iter() {
        for (other, bytes) in artefacts.rows.iter().filter(|(other, _)| *other != name) {
            let errors = errors(&artefacts, &put(&artefacts.rows, name, bytes.to_vec()), &config, &away);
            let named = |error: &String| error.contains(&format!("row {name:?} is damaged"));
            assert!(errors.iter().any(named), "{other} in place of {name}: {errors:?}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 11 * 10);
}

#[test]
fn rows_of_a_clone_cluster_with_the_same_root_and_devices_are_refused() {
    let (a, b) = (Device::new("a", 1), Device::new("b", 2));
    let tree = tree("any(a, b)");
    let (root, rows) = deal(&tree, &[&a, &b]);
    let leaves: [&dyn Leaf; 2] = [&a, &b];
    let clone = Dealing { cluster: [7; 16], generation: 1, tree: &tree, leaves: &leaves, enrolled: Default::default() };
    for row in run(clone.deal(&root)).unwrap().rows {
        let name = row.name.clone();
        let mut mixed = rows.clone();
        mixed.put(row);
        match run(open(&mixed, CLUSTER, &[&a], NOW)) {
            Err(error) => assert!(error.to_string().contains("another cluster"), "{error}"),
            Ok(Outcome::Sealed(standing)) => {
                let text = format!("row {name:?} is damaged: it belongs to another place");
                assert_eq!(standing.leaves[0].error, Some(LeafError::Row(text)));
            }
            Ok(Outcome::Open(_)) => assert_eq!(name, "seal/1/slot/1", "that slot is b's, and b was not asked"),
        }
    }
}

#[test]
fn a_missing_row_is_named() {
    let artefacts = Artefacts::v1();
    let (config, away) = (static_leaf("config", 0x11), static_leaf("away", 0x22));
    for (name, text) in [
        ("seal/2/slot/0", "row \"seal/2/slot/0\" is missing"),
        ("seal/1/slot/1.0", "row \"seal/1/slot/1.0\" is missing"),
        ("seal/shares/custodians", "row \"seal/shares/custodians\" is missing"),
        ("seal/recovery", "row \"seal/recovery\" is missing"),
        ("seal/1/catch-up", "no record leads on to generation 2"),
    ] {
        let mut rows = artefacts.rows.clone();
        rows.delete(name);
        let errors = errors(&artefacts, &rows, &config, &away);
        assert!(errors.iter().any(|error| error.contains(text)), "{name}: {errors:?}");
    }
}

#[test]
fn a_row_that_does_not_belong_is_named() {
    let artefacts = Artefacts::v1();
    for name in ["seal/1/slot/7", "seal/2/catch-up", "seal/shares/nobody", "seal/other", "seal/3/slot/0"] {
        let rows = put(&artefacts.rows, name, artefacts.rows.get("seal/1/slot/0").unwrap().to_vec());
        let text = format!("row {name:?} is damaged: no row of the seal tree has this name");
        assert_eq!(check(&rows, ARTEFACTS).iter().map(Error::to_string).collect::<Vec<_>>(), [text]);
    }
    let missing: Vec<String> = check(&Rows::default(), ARTEFACTS).iter().map(Error::to_string).collect();
    assert_eq!(missing, ["row \"seal/1/tree\" is missing"]);
}

#[test]
fn a_record_of_a_later_version_is_called_newer() {
    let artefacts = Artefacts::v1();
    for (name, bytes) in artefacts.rows.iter() {
        let mut changed = bytes[..bytes.len() - 16].to_vec();
        changed[0] = 2;
        let checksum = sha256(&[&changed]);
        changed.extend(&checksum[..16]);
        let error = match name {
            "seal/recovery" => Recovery::decode(name, &changed).err(),
            "seal/1/catch-up" => CatchUp::decode(name, &changed).err(),
            "seal/shares/custodians" => {
                Custodians::load(&put(&artefacts.rows, name, changed), ARTEFACTS, "custodians").err()
            }
            tree if tree.ends_with("tree") => Header::decode(name, &changed).err(),
            _ => Keyslot::decode(name, &changed).err(),
        };
        assert_eq!(error, Some(Error::Newer { row: name.into(), found: 2, known: 1 }), "{name}");
    }
}

fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = [&[1, tag], body].concat();
    let checksum = sha256(&[&bytes]);
    bytes.extend(&checksum[..16]);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever stands behind a good checksum, a decoder answers, and what it accepts it writes back.
    #[test]
    fn no_bytes_make_a_decoder_panic(body in prop::collection::vec(any::<u8>(), 0..200), small in any::<bool>()) {
        let body: Vec<u8> = if small { body.iter().map(|byte| byte % 4).collect() } else { body };
        if let Ok(header) = Header::decode("r", &framed(b'T', &body)) {
            prop_assert_eq!(header.encode(), framed(b'T', &body));
        }
        if let Ok(slot) = Keyslot::decode("r", &framed(b'K', &body)) {
            prop_assert_eq!(slot.encode(), framed(b'K', &body));
        }
        if let Ok(recovery) = Recovery::decode("r", &framed(b'R', &body)) {
            prop_assert_eq!(recovery.encode(), framed(b'R', &body));
        }
        if let Ok(record) = CatchUp::decode("r", &framed(b'C', &body)) {
            prop_assert_eq!(record.encode(), framed(b'C', &body));
        }
        let row = Row { name: "seal/shares/c".into(), bytes: framed(b'S', &body) };
        let _ = Custodians::load(&[row].into_iter().collect(), CLUSTER, "c");
        let _ = Envelope::decode(&framed(b'E', &body));
        let _ = Keyslot::decode("r", &body);
    }
}
