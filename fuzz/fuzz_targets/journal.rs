//! Any bytes, read as a page of the journal: what is read is written back as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_keystore::format::journal::Page;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(page) = Page::decode(bytes) {
        assert_eq!(page.encode(), bytes);
    }
});
