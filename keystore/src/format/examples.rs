//! The worked examples of `docs/formats/`, decoded straight out of the documents.

use super::names::{Names, RowKey};
use super::node::{Node, Prefix};
use super::{head, journal, keyring, node, register, row};
use crate::MountId;
use strongroom_clock::Timestamp;
use strongroom_secret::Key;
use strongroom_secret::mac::HmacKey;

const CLUSTER: [u8; 16] = [0x11; 16];
const MOUNT: MountId = MountId([0x77; 16]);

/// The bytes of a document's block "```hex name".
fn block(document: &str, name: &str) -> Vec<u8> {
    let (_, rest) = document.split_once(&format!("```hex {name}\n")).expect("the document has the block");
    let (text, _) = rest.split_once("```").expect("the block ends");
    hex::decode(text.split_whitespace().collect::<String>()).expect("the block is hex")
}

fn index() -> HmacKey {
    HmacKey::new(&[0x33; 32])
}

#[test]
fn the_row_of_the_document_opens() {
    let document = include_str!("../../../docs/formats/row.md");
    let names = Names::new(&[0x22; 32]);
    let key = names.row(MOUNT, "db/password");
    assert_eq!(key.0[..], block(document, "row-key"));
    let stored = block(document, "row");
    assert_eq!(row::mac(&index(), &CLUSTER, &key, &stored)[..], block(document, "row-mac"));
    assert_eq!(row::term(&stored), Ok(1));
    let opened = row::open(&HmacKey::new(&[0x55; 32]), &names, &CLUSTER, &key, stored).unwrap();
    assert_eq!((opened.mount, &*opened.path, opened.value.expose()), (MOUNT, "db/password", &b"correct horse"[..]));
    let sizes = row::CLASSES.map(|class| class.to_string()).join(", ");
    assert!(document.contains(&sizes), "the document lists {sizes}");
}

#[test]
fn the_nodes_of_the_document_decode() {
    let document = include_str!("../../../docs/formats/node.md");
    let slot = Prefix::from_storage_key(&block(document, "leaf-key")).unwrap();
    assert_eq!(slot.to_string(), "5*");
    let leaf = block(document, "leaf");
    let rows = vec![(RowKey([0x50; 32]), [0xa1; 16]), (RowKey([0x5f; 32]), [0xa2; 16])];
    assert_eq!(Node::decode(&slot, &leaf), Ok(Node::Leaf(rows)));
    let inner = block(document, "inner");
    let mut children = Box::new([None; 16]);
    children[5] = Some(node::mac(&index(), &CLUSTER, &slot, &leaf));
    assert_eq!(Node::decode(&Prefix::ROOT, &inner), Ok(Node::Inner { prefix: Prefix::ROOT, children }));
    assert_eq!(node::mac(&index(), &CLUSTER, &Prefix::ROOT, &inner)[..], block(document, "inner-mac"));
}

#[test]
fn the_page_of_the_document_decodes() {
    let document = include_str!("../../../docs/formats/journal.md");
    let bytes = block(document, "page");
    let entries = vec![(RowKey([0x50; 32]), Some([0xa1; 16])), (RowKey([0x5f; 32]), None)];
    assert_eq!(journal::Page::decode(&bytes), Ok(journal::Page { previous: [0xb0; 16], entries }));
    assert_eq!(journal::mac(&index(), &CLUSTER, 3, &bytes)[..], block(document, "page-mac"));
}

#[test]
fn the_head_of_the_document_opens() {
    let stored = block(include_str!("../../../docs/formats/head.md"), "head");
    let plaintext = head::open(&HmacKey::new(&[0x44; 32]), &CLUSTER, &stored).unwrap();
    let opened = head::Head::decode(&plaintext).unwrap();
    assert_eq!(opened, head::tests::sample());
    assert_eq!(opened.clock, "2027-01-15T08:00:00Z".parse().unwrap());
    assert_eq!(head::clear(&stored), Ok(opened.clear(&CLUSTER)));
}

#[test]
fn the_keyring_of_the_document_opens() {
    let stored = block(include_str!("../../../docs/formats/keyring.md"), "keyring");
    let sealing = keyring::keyring_key(&Key::filled(|out| *out = [0x66; 32]), &CLUSTER, 1);
    let opened = keyring::Keyring::open(&sealing, &CLUSTER, &stored).unwrap();
    let expected = keyring::tests::sample();
    assert!(opened.same_as(&expected));
    assert_eq!(opened.current().1.created, Timestamp::from_unix(1_800_000_000));
    let stored = block(include_str!("../../../docs/formats/keyring.md"), "keyring-2");
    let opened = keyring::Keyring::open(&sealing, &CLUSTER, &stored).unwrap();
    assert!(opened.same_as(&keyring::tests::renamed()));
}

#[test]
fn the_register_of_the_document_decodes() {
    let document = include_str!("../../../docs/formats/register.md");
    let bytes = block(document, "register");
    let mac = register::mac(&index(), &CLUSTER, "expression", b"any(a)");
    assert_eq!(register::Register::decode(&bytes), Ok(register::Register([("expression".into(), mac)].into())));
    assert_eq!(register::digest(&index(), &CLUSTER, &bytes)[..], block(document, "register-mac"));
}

#[test]
fn the_progress_of_the_document_decodes() {
    let document = include_str!("../../../docs/formats/reencryption.md");
    let next = Some(RowKey([0x50; 32]));
    let progress = crate::Progress { term: 2, names: 2, seen: 128, resealed: 127, renamed: 100, next };
    assert_eq!(progress.encode(), block(document, "progress"));
    assert_eq!(crate::Progress::decode(&block(document, "progress")), Some(progress));
    let before = crate::Progress { names: 1, renamed: 0, ..progress };
    assert_eq!(crate::Progress::decode(&block(document, "progress-1")), Some(before));
    for length in 0..63 {
        assert_eq!(crate::Progress::decode(&block(document, "progress")[..length]), None);
    }
}
