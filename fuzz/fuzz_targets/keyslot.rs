//! Every record of the seal tree, from bytes behind a good checksum: no panic, and what is accepted is written back to
//! the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_secret::digest::sha256;
use strongroom_unseal::catch_up::CatchUp;
use strongroom_unseal::expression::MAX_TEXT;
use strongroom_unseal::{Expression, Header, Keyslot, Recovery};

fuzz_target!(|bytes: &[u8]| {
    let Some((which, body)) = bytes.split_first() else { return };
    let tags = [b'K', b'T', b'C', b'R'];
    let mut record = [&[1, tags[usize::from(which % 4)]], body].concat();
    let checksum = sha256(&[&record]);
    record.extend(&checksum[..16]);
    match which % 4 {
        0 => {
            if let Ok(slot) = Keyslot::decode("row", &record) {
                assert_eq!(slot.encode(), record);
            }
        }
        1 => {
            if let Ok(header) = Header::decode("row", &record) {
                assert_eq!(header.encode(), record);
                let text = header.tree().to_string();
                // Sixty-four long names make a longer text than anybody may type.
                if text.len() <= MAX_TEXT {
                    let expression: Expression = text.parse().expect("a stored tree has a text");
                    assert!(expression.agrees_with(header.tree()));
                }
            }
        }
        2 => {
            if let Ok(catch_up) = CatchUp::decode("row", &record) {
                assert_eq!(catch_up.encode(), record);
            }
        }
        _ => {
            if let Ok(recovery) = Recovery::decode("row", &record) {
                assert_eq!(recovery.encode(), record);
            }
        }
    }
    // The bytes as they came, checksum and all.
    let _ = Keyslot::decode("row", bytes);
});
