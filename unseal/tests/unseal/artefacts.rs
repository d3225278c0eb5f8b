//! Records of every version that was ever written open for ever (`tests/artefacts/`), and the documents' examples are
//! among them.

use crate::house::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use strongroom_hsm::{Device as Token, Limits, Soft, SoftConfig};
use strongroom_secret::{Key, SecretBytes};
use strongroom_unseal::catch_up::CatchUp;
use strongroom_unseal::keyslot::State;
use strongroom_unseal::*;

/// The artefacts of one format version.
pub(crate) struct Artefacts {
    values: BTreeMap<String, Vec<u8>>,
    pub(crate) rows: Rows,
}

pub(crate) const ARTEFACTS: [u8; 16] = *b"artefact cluster";

impl Artefacts {
    pub(crate) fn v1() -> Self {
        let lines = include_str!("../artefacts/v1.txt").lines();
        let values: BTreeMap<String, Vec<u8>> = lines
            .map(|line| {
                let (name, value) = line.split_once(" = ").unwrap();
                (name.to_owned(), hex::decode(value).unwrap())
            })
            .collect();
        let rows = values.iter().filter_map(|(name, bytes)| {
            Some(Row { name: name.strip_prefix("row/")?.to_owned(), bytes: bytes.clone() })
        });
        let rows = rows.collect();
        Artefacts { values, rows }
    }

    pub(crate) fn value(&self, name: &str) -> &[u8] {
        &self.values[name]
    }

    /// The stored custodians with two shares entered.
    pub(crate) fn custodians(&self, rows: &Rows) -> Result<Custodians, Error> {
        let custodians = Custodians::load(rows, ARTEFACTS, "custodians")?;
        custodians.enter(self.value("share/3"))?;
        custodians.enter(self.value("share/1"))?;
        Ok(custodians)
    }
}

/// The software token with a key of equal bytes, behind a worker thread of its own.
pub(crate) fn static_leaf(name: &str, key: u8) -> DeviceLeaf {
    let current_key = Key::from_slice(&[key; 32]).unwrap();
    let soft = Soft::new(SoftConfig { current_key_id: "k1".into(), current_key, previous: None }).unwrap();
    let key = soft.current();
    let limits = Limits { threads: 1, queue: 8, timeout: Duration::from_secs(600) };
    DeviceLeaf::new(name, Kind::Static, Token::start(name, limits, Arc::new(soft)).unwrap(), key)
}

#[test]
fn the_root_opens_by_each_of_its_ways() {
    let artefacts = Artefacts::v1();
    let rows = &artefacts.rows;
    let (config, away) = (static_leaf("config", 0x11), static_leaf("away", 0x22));
    let custodians = artefacts.custodians(rows).unwrap();
    let straight = opened(park(open(rows, ARTEFACTS, &[&config], NOW)).unwrap());
    assert_eq!(straight.root.expose()[..], *artefacts.value("root/2"));
    assert_eq!((straight.generation, straight.caught_up_from), (2, None));
    assert_eq!(straight.tree.to_string(), "any(config, all(away, 2 of 3 custodians))");
    assert_eq!(rows.digest(&straight.root)[..], *artefacts.value("digest"));
    let caught_up = opened(park(open(rows, ARTEFACTS, &[&away, &custodians], NOW + 86_400)).unwrap());
    assert_eq!(caught_up.root.expose()[..], *artefacts.value("root/2"));
    assert_eq!(caught_up.caught_up_from, Some(1));
    sealed(park(open(rows, ARTEFACTS, &[&away], NOW)).unwrap());
    sealed(park(open(rows, ARTEFACTS, &[&custodians], NOW)).unwrap());
    let (change, absent) = park(bring_up(rows, ARTEFACTS, 2, &caught_up.root, &[&config, &away])).unwrap();
    assert_eq!((change.put.len(), absent.len()), (1, 0));
}

#[test]
fn every_record_reads_and_writes_back_to_the_same_bytes() {
    let artefacts = Artefacts::v1();
    let (mut slots, mut trees) = (0, 0);
    for (name, bytes) in artefacts.rows.iter() {
        let written = match name.rsplit('/').next().unwrap() {
            "tree" => {
                trees += 1;
                Header::decode(name, bytes).unwrap().encode()
            }
            "catch-up" => {
                let record = CatchUp::decode(name, bytes).unwrap();
                assert_eq!((record.to(), record.expires()), (2, NOW + 30 * 86_400));
                record.encode()
            }
            "recovery" => Recovery::decode(name, bytes).unwrap().encode(),
            "custodians" => {
                // What it keeps is sealed afresh at each writing; what it says of the shares is not.
                let leaf = Custodians::load(&artefacts.rows, ARTEFACTS, "custodians").unwrap();
                assert_eq!(["Ada", "Grace", "Barbara"].map(Some), [0, 1, 2].map(|share| leaf.set().holder(share)));
                continue;
            }
            _ => {
                slots += 1;
                let slot = Keyslot::decode(name, bytes).unwrap();
                assert_eq!(slot.state() == State::Pending, name == "seal/2/slot/1.0");
                slot.encode()
            }
        };
        assert_eq!(hex::encode(written), hex::encode(bytes), "{name}");
    }
    assert_eq!((slots, trees), (6, 2));
    let envelope = Envelope::decode(artefacts.value("envelope")).unwrap();
    assert_eq!((envelope.number(), envelope.holder()), (1, "Grace"));
    assert_eq!(envelope.share().expose(), artefacts.value("share/2"));
    assert_eq!(envelope.encode().expose(), artefacts.value("envelope"));
}

#[test]
fn recovery_keys_of_an_old_record_authorise() {
    let artefacts = Artefacts::v1();
    let recovery = Recovery::load(&artefacts.rows, ARTEFACTS).unwrap().unwrap();
    let shares = ["recovery-share/2", "recovery-share/3"].map(|name| SecretBytes::from_slice(artefacts.value(name)));
    assert_eq!(recovery.verify(&shares).unwrap().holders(), ["Grace", "Barbara"]);
}

/// The ```hex blocks of a page of `docs/formats/`.
fn examples(page: &str) -> Vec<Vec<u8>> {
    let path = format!("{}/../docs/formats/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```hex\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| hex::decode(block.split_whitespace().collect::<String>()).unwrap()).collect()
}

#[test]
fn the_examples_of_the_documents_are_what_they_say() {
    let artefacts = Artefacts::v1();
    let row = |name: &str| artefacts.rows.get(name).unwrap().to_vec();
    for (page, expected) in [
        ("expression.md", vec![row("seal/1/tree")]),
        ("keyslot.md", vec![row("seal/1/slot/1.1"), row("seal/2/slot/1.0")]),
        ("share.md", vec![row("seal/shares/custodians"), artefacts.value("envelope").to_vec()]),
        ("recovery-key.md", vec![row("seal/recovery")]),
        ("catch-up.md", vec![row("seal/1/catch-up")]),
    ] {
        let found = examples(page);
        assert_eq!(found.len(), expected.len(), "{page}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(hex::encode(found), hex::encode(expected), "{page}");
        }
    }
    // And each decodes straight from its page.
    let header = Header::decode("page", &examples("expression.md")[0]).unwrap();
    assert_eq!(header.tree().to_string(), "any(config, all(away, 2 of 3 custodians))");
    let slots = examples("keyslot.md");
    assert_eq!(Keyslot::decode("page", &slots[0]).unwrap().leaf(), "custodians");
    assert_eq!(Keyslot::decode("page", &slots[1]).unwrap().state(), State::Pending);
    assert_eq!(Envelope::decode(&examples("share.md")[1]).unwrap().holder(), "Grace");
    assert_eq!(Recovery::decode("page", &examples("recovery-key.md")[0]).unwrap().set().shape().threshold(), 2);
    assert_eq!(CatchUp::decode("page", &examples("catch-up.md")[0]).unwrap().to(), 2);
}
