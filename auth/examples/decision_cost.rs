//! What one decision costs, by the number of rules: `cargo run --release -p strongroom-auth --example decision_cost`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use strongroom_auth::policies::{Acl, DEFAULT_TEXT, Policy, PolicyName};
use strongroom_clock::Timestamp;
use strongroom_mount::Operation;

const ROUNDS: u32 = 1_000_000;

fn policy(name: &str, text: &str) -> Arc<Policy> {
    let name = PolicyName::parse(name).expect("a good name");
    Arc::new(Policy::parse(name, text).expect("a good policy"))
}

/// The default policy, one for a client of transit, and `teams` times three rules: exact, with `*`, with `+`.
fn compile(teams: usize) -> Acl {
    let team = |team| {
        format!(
            "path \"secret/data/team-{team}/app\" {{ capabilities = [\"read\"] }}\n\
             path \"secret/data/team-{team}/*\" {{ capabilities = [\"list\"] }}\n\
             path \"secret/+/team-{team}/shared\" {{ capabilities = [\"read\"] }}\n"
        )
    };
    let transit = "path \"transit/encrypt/payments\" { capabilities = [\"update\"] }\n\
                   path \"transit/decrypt/*\" { capabilities = [\"update\"] }";
    let teams: String = (0..teams).map(team).collect();
    let policies = [policy("default", DEFAULT_TEXT), policy("transit", transit), policy("teams", &teams)];
    Acl::new(&policies, Timestamp::from_unix(0)).expect("no root among them")
}

fn main() {
    let paths = [
        ("exact", Operation::Update, "transit/encrypt/payments", true),
        ("prefix", Operation::Update, "transit/decrypt/payments", true),
        ("plus", Operation::Read, "secret/metadata/team-3/shared", true),
        ("list", Operation::List, "secret/data/team-3/", true),
        ("no rule", Operation::Read, "database/creds/reporting", false),
    ];
    for teams in [5, 500, 5_000] {
        let acl = compile(teams);
        let costs = paths.map(|(kind, operation, path, allowed)| {
            assert_eq!(acl.decide(operation, path, [], None).allowed(), allowed, "{path}");
            let start = Instant::now();
            for _ in 0..ROUNDS {
                black_box(acl.decide(operation, black_box(path), [], None).allowed());
            }
            format!("{kind} {} ns", start.elapsed().as_nanos() / u128::from(ROUNDS))
        });
        println!("{:>6} rules: {}", acl.grants().len(), costs.join(", "));
    }
}
