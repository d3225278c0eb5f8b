//! The rows of a kv mount: a decoder that accepts a row writes the same row again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_engines::kv::row::{Config, Gone, Metadata, Plain, Version};

fuzz_target!(|row: &[u8]| {
    if let Ok(config) = Config::decode(row) {
        assert_eq!(config.encode(), row);
    }
    if let Ok(metadata) = Metadata::decode(row) {
        assert_eq!(metadata.encode(), row);
        assert!(metadata.kept().end() >= &metadata.oldest);
    }
    if let Ok(version) = Version::decode(row) {
        assert_eq!(&*version.encode(), row);
    }
    if let Ok(gone) = Gone::decode(row) {
        assert_eq!(gone.encode(), row);
    }
    if let Ok(object) = Plain::decode(row) {
        assert_eq!(&*Plain::encode(object), row);
    }
});
