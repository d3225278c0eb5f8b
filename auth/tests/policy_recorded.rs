//! What OpenBao (its main branch of 2026-08-21) decides, recorded: `openbao.jsonl` has one set of policies a line, with
//! requests and the answers that its own code gives.

use std::sync::Arc;

use serde_json::Value;
use strongroom_auth::policies::{Acl, Policy, PolicyName};
use strongroom_clock::Timestamp;
use strongroom_mount::Operation::{self, Create, Delete, List, Patch, Read, Scan, Update};

fn compile(policies: &[Value]) -> Acl {
    let parse = |(at, text): (usize, &Value)| {
        Arc::new(Policy::parse(PolicyName::parse(&format!("p{at}")).unwrap(), text.as_str().unwrap()).unwrap())
    };
    let policies: Vec<_> = policies.iter().enumerate().map(parse).collect();
    Acl::new(&policies, Timestamp::from_unix(1_800_000_000)).unwrap()
}

fn operation(name: &str) -> Operation {
    *[Create, Read, Update, Patch, Delete, List, Scan].iter().find(|operation| operation.name() == name).unwrap()
}

#[test]
fn openbao_decides_the_same() {
    let (mut allowed, mut refused) = (0, 0);
    for line in include_str!("openbao.jsonl").lines() {
        let set: Value = serde_json::from_str(line).unwrap();
        let acl = compile(set["policies"].as_array().unwrap());
        for request in set["requests"].as_array().unwrap() {
            let path = request["path"].as_str().unwrap();
            let given: Vec<(&str, String)> = request["data"]
                .as_object()
                .map(|data| data.iter().map(|(name, value)| (name.as_str(), value.to_string())).collect())
                .unwrap_or_default();
            let given = given.iter().map(|(name, json)| (*name, json.as_str()));
            let decision = acl.decide(operation(request["op"].as_str().unwrap()), path, given, None);
            assert_eq!(decision.allowed(), request["allowed"], "{request} under {}", set["policies"]);
            assert_eq!(decision.sudo, request["sudo"], "{request} under {}", set["policies"]);
            assert_eq!(
                serde_json::json!(acl.capabilities(path)),
                request["capabilities"],
                "{request} under {}",
                set["policies"]
            );
            *if decision.allowed() { &mut allowed } else { &mut refused } += 1;
        }
    }
    assert!(allowed >= 200 && refused >= 200, "{allowed} allowed, {refused} refused");
}
