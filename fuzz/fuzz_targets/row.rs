//! Any bytes, read as a stored row: none opens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use strongroom_keystore::MountId;
use strongroom_keystore::format::{names::Names, register::Register, row};
use strongroom_secret::mac::HmacKey;

static KEYS: LazyLock<(Names, HmacKey)> = LazyLock::new(|| (Names::new(&[2; 32]), HmacKey::new(&[1; 32])));

fuzz_target!(|bytes: &[u8]| {
    let (names, term) = &*KEYS;
    let _ = row::term(bytes);
    let key = names.row(MountId([9; 16]), "a/b");
    assert!(row::open(term, names, &[3; 16], &key, bytes.to_vec()).is_err());
    if let Ok(register) = Register::decode(bytes) {
        assert_eq!(register.encode(), bytes);
    }
});
