//! Any bytes, read as a stored head and as what it seals: nothing opens, nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use strongroom_keystore::format::head::{self, Head};
use strongroom_keystore::format::keyring::{Keyring, keyring_key};
use strongroom_secret::Key;
use strongroom_secret::mac::HmacKey;

static KEY: LazyLock<HmacKey> = LazyLock::new(|| HmacKey::new(&[1; 32]));

fuzz_target!(|bytes: &[u8]| {
    let _ = head::clear(bytes);
    assert!(head::open(&KEY, &[3; 16], bytes).is_err());
    let _ = Head::minimum(bytes);
    if let Ok(head) = Head::decode(bytes) {
        assert_eq!(Head::decode(&head.encode()), Ok(head));
    }
    let root = Key::filled(|out| *out = [1; 32]);
    assert!(Keyring::open(&keyring_key(&root, &[3; 16], 1), &[3; 16], bytes).is_err());
});
