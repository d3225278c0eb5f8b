//! How tokens live and die: time, trees, uses, crashes.

mod support;

use std::sync::Arc;
use std::time::Duration;

use strongroom_auth::Error;
use strongroom_auth::tokens::{Bound, Cidr, NewToken, TokenType, Use};
use strongroom_clock::{Clock, Timestamp};
use strongroom_keystore::storage::{Fault, Faulty, Storage};
use strongroom_keystore::{Error as StoreError, Options, Store};
use support::{House, LIMITS, START, run, service};

#[test]
fn a_token_is_refused_from_the_moment_it_expires() {
    let house = House::new();
    let id = house.make(NewToken { ttl: 10, ..service() });
    house.wait(9);
    assert!(house.lives(&id));
    house.wait(1);
    assert_eq!(run(house.tokens.authenticate(&id, None)), Err(Error::Denied));
}

// T-50.
#[test]
fn a_clock_set_back_revives_nothing() {
    let house = House::new();
    let id = house.make(NewToken { ttl: 3600, ..service() });
    house.wait(3600);
    assert!(!house.lives(&id));
    house.clock.set(Timestamp::from_unix(START.unix() - 30 * 86_400));
    assert!(!house.lives(&id), "dead stays dead");
    let key = house.tokens.key_of(&id);
    assert!(matches!(run(house.tokens.renew(key, 60, LIMITS)), Err(Error::TokenNotFound)));
    // After a restart the clock starts from what the store has seen.
    let clock = Clock::manual(START);
    clock.advance_to(house.clock.now());
    assert!(!House::over(house.barrier.clone(), clock).lives(&id));
}

#[test]
fn bad_tokens_are_refused_with_one_and_the_same_error() {
    let house = House::new();
    let expired = house.make(NewToken { ttl: 1, ..service() });
    let revoked = house.make(service());
    let bound = house.make(NewToken { cidrs: vec![Cidr::parse("10.0.0.0/8").unwrap()], ..service() });
    run(house.tokens.revoke(house.tokens.key_of(&revoked))).unwrap();
    house.wait(1);
    let malformed = format!("{}x", &revoked[..27]);
    let batch = house.make(NewToken::new(TokenType::Batch, vec!["default".into()], "p"));
    let tampered = format!("{}A", &batch[..batch.len() - 1]);
    let long = "x".repeat(9000);
    for id in
        [&*expired, &*revoked, &*bound, &*malformed, &*tampered, &*long, "", "hvs.", "hvb.", "hvb.AA", "s.x", "\0", "ü"]
    {
        let error = run(house.tokens.authenticate(id, Some("127.0.0.1".parse().unwrap()))).unwrap_err();
        assert_eq!(error.to_string(), "permission denied", "{id}");
    }
    let from = |address: &str| run(house.tokens.authenticate(&bound, Some(address.parse().unwrap()))).is_ok();
    assert!(from("10.1.1.1") && from("::ffff:10.1.1.1") && !from("11.1.1.1") && !house.lives(&bound));
}

#[test]
fn revoking_takes_the_whole_tree_and_nothing_else() {
    let house = House::new();
    let root = house.make(service());
    let other = house.make(service());
    let mut tree = vec![root.clone()];
    for at in 0..60 {
        tree.push(house.child(&tree[at / 3].clone()));
    }
    let mut chain = house.child(&root);
    for _ in 0..40 {
        chain = house.child(&chain);
        tree.push(chain.clone());
    }
    assert!(tree.iter().all(|id| house.lives(id)));
    run(house.tokens.revoke(house.tokens.key_of(&root))).unwrap();
    assert!(tree.iter().all(|id| !house.lives(id)));
    assert!(house.lives(&other));
    let rows = house.rows();
    for (dir, left) in [("id", 1), ("accessor", 1), ("parent", 0)] {
        assert_eq!(run(rows.list(dir, None, usize::MAX)).unwrap().len(), left, "{dir}");
    }
    assert_eq!(run(house.tokens.revoke(house.tokens.key_of(&root))), Ok(false), "once is enough");
}

#[test]
fn revoking_a_parent_alone_makes_its_children_orphans() {
    let house = House::new();
    let parent = house.make(service());
    let children: Vec<String> = (0..300).map(|_| house.child(&parent)).collect();
    let grandchild = house.child(&children[0]);
    run(house.tokens.revoke_orphan(house.tokens.key_of(&parent))).unwrap();
    assert!(!house.lives(&parent) && house.lives(&grandchild));
    for child in &children {
        let token = run(house.tokens.authenticate(child, None)).unwrap();
        assert_eq!(token.parent, None);
    }
    run(house.tokens.revoke(house.tokens.key_of(&children[0]))).unwrap();
    assert!(!house.lives(&grandchild), "it kept its own parent");
}

#[test]
fn a_dead_parent_has_no_more_children() {
    let house = House::new();
    let parent = house.make(NewToken { ttl: 5, ..service() });
    let key = house.tokens.key_of(&parent);
    house.wait(5);
    let new = NewToken { parent: Some(key), ..service() };
    assert!(matches!(run(house.tokens.create(new, LIMITS)), Err(Error::ParentGone)));
    let batch_parent = house.make(service());
    let batch = house.make(NewToken {
        parent: Some(house.tokens.key_of(&batch_parent)),
        ..NewToken::new(TokenType::Batch, vec!["default".into()], "p")
    });
    assert!(house.lives(&batch));
    run(house.tokens.revoke(house.tokens.key_of(&batch_parent))).unwrap();
    assert!(!house.lives(&batch));
}

#[test]
fn ten_thousand_tokens_expire_in_bounded_steps() {
    let house = House::new();
    let root = house.make(NewToken { ttl: 100_000, ..service() });
    for at in 0..10_000 {
        house.make(NewToken { ttl: 1 + at % 3000, ..service() });
    }
    let family = house.make(NewToken { ttl: 50, ..service() });
    let heir = house.child(&family);
    assert_eq!(run(house.tokens.expire_due(1000)).unwrap().removed, 0, "nothing is due yet");
    house.wait(4000);
    let mut steps = 0;
    let mut removed = 0;
    loop {
        let expired = run(house.tokens.expire_due(700)).unwrap();
        assert!(expired.removed <= 700, "{expired:?}");
        removed += expired.removed;
        steps += 1;
        if !expired.more {
            break;
        }
    }
    assert_eq!((removed, steps), (10_002, 15));
    assert!(house.lives(&root) && !house.lives(&heir), "descendants go with what expired");
    assert_eq!(run(house.rows().list("id", None, usize::MAX)).unwrap().len(), 1);
}

#[test]
fn no_use_is_spent_twice() {
    let house = Arc::new(House::new());
    let id = house.make(NewToken { num_uses: 50, ..service() });
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (house, id) = (house.clone(), id.clone());
            std::thread::spawn(move || {
                let mut won = Vec::new();
                for _ in 0..20 {
                    let Ok(token) = run(house.tokens.authenticate(&id, None)) else { break };
                    match run(house.tokens.spend_use(&token)) {
                        Ok(left) => won.push(left),
                        Err(error) => assert_eq!(error, Error::Denied),
                    }
                }
                won
            })
        })
        .collect();
    let won: Vec<Use> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let mut left: Vec<u64> = won.iter().map(|won| if let Use::Left(left) = won { *left } else { 0 }).collect();
    left.sort();
    assert_eq!(left, (0..50).collect::<Vec<_>>(), "each use once");
    assert_eq!(won.iter().filter(|won| **won == Use::Last).count(), 1);
    assert!(!house.lives(&id));
    house.wait(60);
    assert_eq!(run(house.tokens.expire_due(10)).unwrap().removed, 1, "what is spent is taken away");
}

#[test]
fn an_interrupted_revocation_is_finished_later() {
    let house = House::new();
    let root = house.make(service());
    let children: Vec<String> = (0..5).map(|_| house.child(&root)).collect();
    let grandchild = house.child(&children[0]);
    // The mark alone, which is the first commit of a revocation: flag `may have children`, state 1.
    let name = house.tokens.key_of(&root).to_string();
    let rows = house.rows();
    let row = run(rows.get(&format!("id/{name}"))).unwrap().unwrap();
    let mut marked = row.value.expose().to_vec();
    marked[1] = 1;
    run(rows.put(&format!("id/{name}"), &marked)).unwrap();
    assert!(!house.lives(&root), "marked is dead");
    assert!(run(house.tokens.revoke(house.tokens.key_of(&root))).unwrap());
    assert!(children.iter().chain([&grandchild]).all(|id| !house.lives(id)));
    assert_eq!(run(rows.list("id", None, usize::MAX)).unwrap(), Vec::<String>::new());
}

#[test]
fn on_a_full_disk_tokens_are_revoked_and_expire_and_none_is_made() {
    let faulty = Faulty::over(Storage::inmem());
    let house = House::on(&Store::over(Storage::Faulty(faulty.clone()), Options::default()));
    let tree = house.make(service());
    let (child, grandchild) = (house.child(&tree), house.child(&tree));
    let alone = house.make(service());
    let orphan = house.child(&alone);
    let short = house.make(NewToken { ttl: 10, ..service() });
    house.child(&short);
    (1..1000).for_each(|n| faulty.plan(n, Fault::Tight));
    let full = run(house.tokens.create(service(), LIMITS)).err();
    assert!(matches!(&full, Some(Error::Store(error)) if **error == StoreError::NoSpace), "{full:?}");
    run(house.tokens.revoke(house.tokens.key_of(&tree))).unwrap();
    assert!(!house.lives(&tree) && !house.lives(&child) && !house.lives(&grandchild));
    run(house.tokens.revoke_orphan(house.tokens.key_of(&alone))).unwrap();
    assert!(!house.lives(&alone) && house.lives(&orphan));
    house.wait(60);
    assert_eq!(run(house.tokens.expire_due(100)).unwrap().removed, 2);
}

#[test]
fn renewal_keeps_within_what_the_maker_allowed() {
    let house = House::new();
    let bound = Bound { in_force: 7200, asked: 7200 };
    let id = house.make(NewToken { ttl: 3600, explicit_max_ttl: bound, ..service() });
    let key = house.tokens.key_of(&id);
    let renew = |increment| run(house.tokens.renew(key, increment, LIMITS));
    assert_eq!(renew(1800).unwrap().auth.lease_duration, 1800);
    assert_eq!(renew(0).unwrap().auth.lease_duration, 1800, "what it had last");
    house.wait(1000);
    let made = renew(36_000).unwrap();
    assert_eq!(made.auth.lease_duration, 6200);
    assert_eq!(
        made.warnings,
        ["TTL of \"10h\" exceeded the effective max_ttl of \"1h43m20s\"; TTL value is capped accordingly"]
    );
    house.wait(6199);
    assert!(house.lives(&id));
    house.wait(1);
    assert!(!house.lives(&id));

    let fixed = house.make(NewToken { renewable: false, ..service() });
    let root = run(house.tokens.create_root()).unwrap();
    for (id, error) in
        [(&*fixed, "lease is not renewable"), (&**root.client_token, "invalid lease ID"), ("x", "token not found")]
    {
        let renewed = run(house.tokens.renew(house.tokens.key_of(id), 0, LIMITS));
        assert_eq!(renewed.err().unwrap().to_string(), error);
    }
    house.clock.set(house.clock.now().plus(Duration::from_millis(1)));
    assert!(house.lives(&root.client_token), "a root token never expires");
}

#[test]
fn an_id_and_an_accessor_lead_to_the_same_token_and_no_row_holds_the_id() {
    let house = House::new();
    let made = run(house.tokens.create(service(), LIMITS)).unwrap();
    let token = run(house.tokens.by_accessor(&made.auth.accessor)).unwrap().unwrap();
    assert_eq!(token.key, house.tokens.key_of(&made.auth.client_token));
    let row = run(house.rows().get(&format!("id/{}", token.key))).unwrap().unwrap();
    let id = &made.auth.client_token.as_bytes()[4..];
    assert!(!row.value.expose().windows(id.len()).any(|window| window == id));
    assert_eq!(run(house.tokens.by_accessor("nosuch/../x")), Ok(None));
    assert_eq!(run(house.tokens.by_accessor("abcdefghijklmnopqrstuvwx")), Ok(None));
    let again = NewToken { id: Some("mine".to_owned().into()), ..service() };
    house.make(again);
    let again = NewToken { id: Some("mine".to_owned().into()), ..service() };
    assert!(matches!(run(house.tokens.create(again, LIMITS)), Err(Error::DuplicateTokenId)));
}
