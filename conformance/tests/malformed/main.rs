//! Malformed and hostile requests on raw sockets: a code for each, one error shape, never a crash, and the server serves on.
//!
//! The table is in the modules, by class: what is wrong with a request, its bytes, and the one status that comes back.
//! Advisories of other servers are tests under their ids in [`advisories`]; `docs/threat-model.md` lists them.

mod advisories;
mod bodies;
mod callers;
mod connections;
mod framing;
mod heads;
mod table;

use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use strongroom_conformance::TestServer;
use strongroom_conformance::server::Config;
use table::{Table, Wanted};

#[test]
fn every_kind_of_malformed_request_gets_its_code_and_the_server_serves_on() {
    let (server, init) = TestServer::unsealed(Config { audit: true, ..Config::default() });
    let mut root = server.client().with_token(&init.root);
    assert_eq!(root.call("POST", "sys/mounts/transit", Some(&json!({"type": "transit"}))).status, 204);
    root.call("POST", "transit/keys/k", None);
    let mut table = Table::new(&init.root);
    for add in [heads::add, framing::add, bodies::add, callers::add] {
        add(&mut table);
    }
    let names: BTreeSet<_> = table.cases.iter().map(|case| (case.class, &case.name)).collect();
    assert_eq!(names.len(), table.cases.len(), "each case has a name of its own");
    assert!(names.len() >= 300, "{} kinds", names.len());
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut wrong, mut next) = (Vec::new(), server.client());
    for case in &table.cases {
        *classes.entry(case.class).or_default() += 1;
        let (came, text) = table::send(server.address(), case);
        if came != case.wanted {
            wrong.push(format!("{}: {}: {came:?}, not {:?}: {:.300}", case.class, case.name, case.wanted, text));
        }
        // no answer tells where the server is, what it is made of, or what went wrong inside.
        if let Some(leak) = ["panicked", "src/", ".rs:", "127.0.0.1", "/tmp/"].iter().find(|leak| text.contains(**leak))
        {
            wrong.push(format!("{}: {}: the answer shows {leak:?}: {text}", case.class, case.name));
        }
        let health = next.call("GET", "sys/health", None);
        assert_eq!(health.status, 200, "after {}: {}: the server serves on", case.class, case.name);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.cases.len(), wrong.join("\n"));
    assert!(!server.log().contains("panicked"), "{}", server.log());
    println!("{} kinds: {classes:?}", names.len());
    assert!(classes.len() >= 10 && !table.cases.iter().any(|case| case.wanted == Wanted::Status(500)));
}
