//! What a request pays for its token. Printed, not asserted: `cargo test --release -p strongroom-auth --test token_cost -- --nocapture`.

mod support;

use std::hint::black_box;
use std::time::Instant;

use support::{House, run, service};

#[test]
fn a_hot_token_and_its_policies_are_answered_from_memory() {
    let house = House::new();
    let id = house.make(service());
    let token = run(house.tokens.authenticate(&id, None)).unwrap();
    let rounds = 100_000;
    let cost = |what: &str, mut work: Box<dyn FnMut() + '_>| {
        let start = Instant::now();
        (0..rounds).for_each(|_| work());
        println!("{what}: {} ns", start.elapsed().as_nanos() / rounds);
    };
    cost("key (one HMAC)", Box::new(|| _ = black_box(house.tokens.key_of(&id))));
    cost("authenticate", Box::new(|| drop(black_box(run(house.tokens.authenticate(&id, None)).unwrap()))));
    cost("acl", Box::new(|| drop(black_box(run(house.policies.acl(&token.policies)).unwrap()))));
    let again = run(house.tokens.authenticate(&id, None)).unwrap();
    assert!(std::sync::Arc::ptr_eq(&token, &again), "decoded once");
}
