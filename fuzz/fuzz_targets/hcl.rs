//! Any bytes, read as a configuration is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_hcl::{Body, duration};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut body) = Body::parse("fuzz", bytes) else { return };
    let _ = body.text("api_addr");
    let _ = body.int("max_parallel");
    let _ = body.bool("ui");
    let _ = body.duration("default_lease_ttl");
    let _ = body.words("pcrs");
    for block in body.blocks("seal", 1..=2).into_iter().flatten() {
        assert!((1..=2).contains(&block.labels.len()));
        let _ = block.body.finish();
    }
    if let Ok(Some(mut options)) = body.object("options") {
        let _ = options.entries();
    }
    body.skip("telemetry");
    if let Err(mistakes) = body.finish() {
        assert!(!mistakes.errors().is_empty());
        let _ = mistakes.to_string();
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = duration(text);
    }
});
