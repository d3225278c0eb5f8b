//! Any policy asked about any path: what the compiled form answers must hold together. The input is a policy's text, a
//! path and a parameter's value, with NUL between.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use strongroom_auth::policies::{Acl, Policy, PolicyName, StoredPolicy, text_of};
use strongroom_clock::Timestamp;
use strongroom_mount::Operation;

fuzz_target!(|input: &str| {
    let mut parts = input.splitn(3, '\0');
    let (text, path, json) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or("1"));
    let Ok(name) = PolicyName::parse("fuzz") else { return };
    let _ = StoredPolicy::decode(&name, text.as_bytes());
    let _ = text_of(text);
    let Ok(policy) = Policy::parse(name, text) else { return };
    let known = |_: &_| Some(path.to_owned());
    let acl = Acl::for_identity(&[Arc::new(policy)], Timestamp::from_unix(0), &known).expect("one policy, not root");
    for operation in [Operation::Read, Operation::Update, Operation::Delete, Operation::List] {
        let decision = acl.decide(operation, path, [("a", json)], None);
        if decision.allowed() {
            // A list may be granted by the path without its slash, which is what capabilities shows.
            assert!(operation != Operation::List || acl.capabilities(path).contains(&operation.name()));
            assert!(decision.policies().eq(["fuzz"]));
        }
    }
    let _ = acl.reaches(path);
});
