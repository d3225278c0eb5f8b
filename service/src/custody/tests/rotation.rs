//! The root key rotates while the store is open; devices that were away come back; copies that were served elsewhere are
//! noticed.

use super::token::{START, Token, begun, clock, configured, opened, with_tokens};
use super::*;
use crate::Server;
use strongroom_keystore::Options;
use strongroom_keystore::storage::{Fault, Faulty, Storage as Untrusted};

const DAY: i64 = 86_400;

fn generation(barrier: &Barrier) -> u32 {
    barrier.integrity().unwrap().generation
}

#[test]
fn a_rotation_makes_every_keyslot_anew_and_shuts_the_copy_from_before_out() {
    run(async {
        let (a, b) = (Token::new("1", 1), Token::new("2", 2));
        let (store, clock) = (Store::inmem(), clock());
        let custody = with_tokens(&store, "any(a, b)", &[("a", &a), ("b", &b)], &clock);
        assert!(custody.rotate_root(&begun(&custody, &recovery(1, 1)).await.0).await.is_ok());
        let barrier = opened_again(&custody).await;
        let (rows, counter) = (store.clear_rows().unwrap(), a.counter(barrier.integrity().unwrap().cluster));
        let rotated = custody.rotate_root(&barrier).await.unwrap();
        assert_eq!((rotated.generation, generation(&barrier)), (3, 3));
        assert_eq!((rotated.absent, rotated.skipped, rotated.warnings), (vec![], vec![], vec![]));
        assert_eq!(a.counter(barrier.integrity().unwrap().cluster), counter + 1, "a custody event raises the epoch");
        let slots = |rows: &[(String, Vec<u8>)]| -> Vec<Vec<u8>> {
            rows.iter().filter(|(name, _)| name.contains("/slot/")).map(|(_, bytes)| bytes.clone()).collect()
        };
        let now = store.clear_rows().unwrap();
        assert!(slots(&rows).iter().all(|old| !slots(&now).contains(old)), "no keyslot is left as it was");
        assert_eq!((slots(&now).len(), now.len()), (2, rows.len()));
        assert!(now.iter().any(|(name, _)| name == "seal/recovery"), "recovery keys stay");
        custody.close(barrier).await;
        for (token, name) in [(&a, "a"), (&b, "b")] {
            let other = if name == "a" { &b } else { &a };
            other.set_away(true);
            let again = with_tokens(&store, "any(a, b)", &[("a", &a), ("b", &b)], &clock);
            let barrier = opened(&again).await;
            is_the_same_store(&barrier).await;
            assert_eq!(again.tree().generation, Some(3));
            again.close(barrier).await;
            other.set_away(false);
            assert!(token.counter(store.clear_head().unwrap().cluster) > counter);
        }
    });
}

/// Closes nothing: the store that `begun` opened is closed with its last handle, and opened by devices.
async fn opened_again(custody: &Custody) -> Barrier {
    let open = custody.state.lock().open.take();
    drop(open);
    custody.state.lock().sealed = None;
    opened(custody).await
}

#[test]
fn a_device_that_was_away_opens_within_the_bound_and_is_brought_up_to_date_when_seen() {
    run(async {
        let (a, b) = (Token::new("1", 1), Token::new("2", 2));
        let (store, clock) = (Store::inmem(), clock());
        let custody = with_tokens(&store, "any(a, b)", &[("a", &a), ("b", &b)], &clock);
        let (barrier, _) = begun(&custody, &recovery(1, 1)).await;
        b.set_away(true);
        custody.look(&barrier).await.unwrap();
        let rotated = custody.rotate_root(&barrier).await.unwrap();
        assert_eq!((rotated.absent.len(), rotated.absent[0].0.as_str()), (1, "b"));
        assert!(rotated.absent[0].1.contains("unplugged"), "{:?}", rotated.absent);
        let leaf = custody.tree().leaves[1].clone();
        assert_eq!((leaf.generation, leaf.healthy), (Some(1), Some(false)));
        custody.close(barrier).await;

        // Alone after a restart it still opens, by the record that leads on.
        a.set_away(true);
        b.set_away(false);
        let alone = with_tokens(&store, "any(a, b)", &[("a", &a), ("b", &b)], &clock);
        let barrier = opened(&alone).await;
        is_the_same_store(&barrier).await;
        assert_eq!(alone.tree().leaves[1].generation, Some(2), "brought up to date by the unseal itself");
        assert!(!store.clear_rows().unwrap().iter().any(|(name, _)| name.starts_with("seal/1/")));
        alone.close(barrier).await;

        // While serving, the next look does it.
        a.set_away(false);
        let custody = with_tokens(&store, "any(a, b)", &[("a", &a), ("b", &b)], &clock);
        let barrier = opened(&custody).await;
        custody.look(&barrier).await.unwrap();
        b.set_away(true);
        custody.look(&barrier).await.unwrap();
        assert_eq!(custody.rotate_root(&barrier).await.unwrap().absent.len(), 1);
        let cluster = store.clear_head().unwrap().cluster;
        let counter = b.counter(cluster);
        custody.look(&barrier).await.unwrap();
        assert!(store.clear_rows().unwrap().iter().any(|(name, _)| name == "seal/2/catch-up"));
        b.set_away(false);
        custody.look(&barrier).await.unwrap();
        assert!(!store.clear_rows().unwrap().iter().any(|(name, _)| name.starts_with("seal/2/")));
        assert_eq!(custody.tree().leaves[1].generation, Some(3));
        assert!(b.counter(cluster) > counter, "it counts again");
        custody.close(barrier).await;
    });
}

#[test]
fn a_device_that_was_away_at_init_counts_as_soon_as_it_is_there() {
    run(async {
        let (a, b) = (Token::new("1", 1), Token::new("2", 2));
        let (store, clock) = (Store::inmem(), clock());
        let custody = with_tokens(&store, "any(a, b)", &[("a", &a), ("b", &b)], &clock);
        b.set_away(true);
        let (barrier, _) = begun(&custody, &recovery(1, 1)).await;
        let cluster = store.clear_head().unwrap().cluster;
        custody.look(&barrier).await.unwrap();
        b.set_away(false);
        custody.look(&barrier).await.unwrap();
        let leaf = custody.tree().leaves[1].clone();
        assert_eq!((leaf.generation, leaf.healthy, leaf.satisfied), (Some(1), Some(true), true));
        assert!(leaf.device.is_some() && b.counter(cluster) > 0, "{leaf:?}");
        custody.close(barrier).await;
    });
}

#[test]
fn a_catch_up_that_is_too_old_is_refused_loudly_and_another_leaf_brings_the_device_back() {
    run(async {
        let (a, b) = (Token::new("1", 1), Token::new("2", 2));
        let (store, clock) = (Store::inmem(), clock());
        let custody = with_tokens(&store, "any(a, b)", &[("a", &a), ("b", &b)], &clock);
        let (barrier, _) = begun(&custody, &recovery(1, 1)).await;
        b.set_away(true);
        custody.rotate_root(&barrier).await.unwrap();
        custody.close(barrier).await;
        clock.set(Timestamp::from_unix(START + 31 * DAY));
        a.set_away(true);
        b.set_away(false);
        let late = with_tokens(&store, "any(a, b)", &[("a", &a), ("b", &b)], &clock);
        assert!(matches!(late.try_devices().await, Ok(Step::Progress)));
        let refused = late.status().refused.unwrap();
        assert!(refused.contains("unseal with another leaf"), "{refused}");
        assert!(late.missing().contains("is not followed"), "{}", late.missing());
        a.set_away(false);
        let barrier = opened(&late).await;
        assert_eq!(late.status().refused, None);
        late.look(&barrier).await.unwrap();
        assert_eq!(late.tree().leaves[1].generation, Some(2));

        // A second rotation past the bound says that the leaf is skipped.
        b.set_away(true);
        late.rotate_root(&barrier).await.unwrap();
        clock.set(Timestamp::from_unix(START + 90 * DAY));
        let rotated = late.rotate_root(&barrier).await.unwrap();
        assert_eq!((rotated.generation, rotated.skipped), (4, vec!["b".to_owned()]));
        late.close(barrier).await;
    });
}

#[test]
fn shares_stay_good_over_a_rotation_and_a_rotation_that_locks_out_changes_nothing() {
    run(async {
        let a = Token::new("1", 1);
        let (store, clock) = (Store::inmem(), clock());
        let expression = "any(a, people)";
        let custody = with_tokens(&store, expression, &[("a", &a)], &clock);
        let (barrier, keys) = begun(&custody, &shares(3, 2)).await;
        assert_eq!(custody.rotate_root(&barrier).await.unwrap().generation, 2);
        // With the token away the custodians' own key is enough, and nobody has to enter anything.
        a.set_away(true);
        assert_eq!(custody.rotate_root(&barrier).await.unwrap().absent[0].0, "a");
        custody.close(barrier).await;
        let people = with_tokens(&store, expression, &[("a", &a)], &clock);
        people.enter_share(&keys[0], None).await.unwrap();
        let Ok(Step::Unsealed(barrier)) = people.enter_share(&keys[2], None).await else { panic!("two of three open") };
        is_the_same_store(&barrier).await;
        assert_eq!(generation(&barrier), 3);
        people.close(barrier).await;

        let (store, both) = (Store::inmem(), "all(a, b)");
        let b = Token::new("2", 2);
        a.set_away(false);
        let custody = with_tokens(&store, both, &[("a", &a), ("b", &b)], &clock);
        let (barrier, _) = begun(&custody, &recovery(1, 1)).await;
        let before = store.clear_rows().unwrap();
        b.set_away(true);
        let refused = custody.rotate_root(&barrier).await.err().unwrap();
        assert!(matches!(&refused, Error::Away(text) if text.contains("no set of the leaves at hand")), "{refused}");
        assert!(store.clear_rows().unwrap() == before && generation(&barrier) == 1);
        custody.close(barrier).await;
        assert_eq!(text(custody.rotate_root(&opened_barrier(&b, &custody).await).await), "accepted");
    });
}

async fn opened_barrier(back: &Token, custody: &Custody) -> Barrier {
    back.set_away(false);
    opened(custody).await
}

#[test]
fn a_crash_at_any_write_of_a_rotation_leaves_a_store_that_opens() {
    run(async {
        let mut seen = std::collections::BTreeSet::new();
        // Commits of a rotation: the change itself, the next epoch. The device's write lies behind both.
        for (commit, fault) in
            (1..=3).flat_map(|commit| [(commit, Fault::Lost), (commit, Fault::Made), (commit, Fault::NoSpace)])
        {
            for raises in [true, false] {
                let (a, b) = (Token::new("1", 1), Token::new("2", 2));
                let clock = clock();
                let faulty = Faulty::over(Untrusted::inmem());
                let options = Options { clock: clock.clone(), ..Options::default() };
                let store = Store::over(Untrusted::Faulty(faulty.clone()), options.clone());
                let tokens = [("a", &a), ("b", &b)];
                let custody = with_tokens(&store, "any(a, b)", &tokens, &clock);
                let (barrier, _) = begun(&custody, &recovery(1, 1)).await;
                b.set_away(true);
                a.set_raises(raises);
                faulty.plan(commit, fault);
                let rotated = custody.rotate_root(&barrier).await;
                // The process ends here: nothing is closed, nothing is raised any more.
                drop((barrier, custody, store));
                a.set_raises(true);
                let store = Store::over(faulty.storage().clone(), options);
                let expected = if rotated.is_ok() { 2 } else { 1 };
                for back in [false, true] {
                    b.set_away(!back);
                    a.set_away(back);
                    let again = with_tokens(&store, "any(a, b)", &tokens, &clock);
                    let barrier = opened(&again).await;
                    is_the_same_store(&barrier).await;
                    assert_eq!(generation(&barrier), expected, "{commit} {fault:?}");
                    again.close(barrier).await;
                }
                seen.insert(expected);
            }
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1, 2], "both sides of the commit were seen");
    });
}

#[test]
fn a_device_that_has_counted_past_the_open_store_seals_it() {
    run(async {
        for away in [false, true] {
            let a = Token::new("1", 1);
            let (store, clock) = (Store::inmem(), clock());
            let tokens = [("a", &a)];
            let custody = with_tokens(&store, "a", &tokens, &clock);
            let running = Server::start(&configured("a", &tokens), custody.clone(), clock.clone()).await.unwrap();
            let server = running.server().clone();
            let made = custody.initialise(&recovery(1, 1)).await.unwrap();
            let change = server.phase.change().await;
            server.found(&change, made.barrier, true).await.unwrap();
            drop(change);
            let cluster = store.clear_head().unwrap().cluster;
            a.set_away(away);
            crate::housekeeping::look(&server).await;
            assert!(server.phase.live().is_some(), "a device that is away seals nothing");
            // Meanwhile another copy is served with it.
            a.count_on(cluster);
            crate::housekeeping::look(&server).await;
            assert_eq!(server.phase.live().is_some(), away, "it is seen as soon as the device is there");
            a.set_away(false);
            crate::housekeeping::look(&server).await;
            assert!(server.phase.live().is_none());
            drop(server.phase.change().await);
            let status = custody.status();
            assert!(status.sealed && status.refused.unwrap().starts_with("rollback detected"));
            assert!(text(custody.try_devices().await).starts_with("rollback detected"), "it stays so");
            running.stop().await;
        }
    });
}

#[test]
fn another_device_in_the_place_of_the_enrolled_one_neither_counts_nor_is_counted_on() {
    run(async {
        let a = Token::new("1", 1);
        let (store, clock) = (Store::inmem(), clock());
        let custody = with_tokens(&store, "a", &[("a", &a)], &clock);
        let (barrier, _) = begun(&custody, &recovery(1, 1)).await;
        let cluster = store.clear_head().unwrap().cluster;
        let counter = a.counter(cluster);
        a.set_serial("9");
        custody.look(&barrier).await.unwrap();
        custody.raise_epoch(&barrier).await.unwrap();
        assert_eq!(a.counter(cluster), counter, "a stranger is not raised");
        a.set_serial("1");
        custody.raise_epoch(&barrier).await.unwrap();
        assert_eq!(a.counter(cluster), counter + 1);
        custody.close(barrier).await;
    });
}
