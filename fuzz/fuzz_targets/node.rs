//! Any bytes, read as a node of the index: what is read is written back as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_keystore::format::node::{Node, Prefix};

fuzz_target!(|bytes: &[u8]| {
    let _ = Prefix::from_storage_key(bytes);
    if let Ok(node) = Node::decode(&Prefix::ROOT, bytes) {
        assert_eq!(node.encode(), bytes);
    }
});
