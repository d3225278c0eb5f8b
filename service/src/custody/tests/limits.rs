//! What is bounded, and what is not said to everybody.

use super::token::{START, Token, begun, clock, opened, with_tokens};
use super::*;
use crate::sys::sealed::refusal;
use strongroom_keystore::storage::{Op, Table};

const QUARTER: i64 = 15 * 60;

#[test]
fn complete_shares_wait_a_quarter_of_an_hour_for_the_device_and_no_longer() {
    run(async {
        let (a, store, clock) = (Token::new("1", 1), Store::inmem(), clock());
        let custody = with_tokens(&store, "all(a, people)", &[("a", &a)], &clock);
        let (barrier, keys) = begun(&custody, &shares(3, 2)).await;
        custody.close(barrier).await;
        a.set_away(true);

        // An incomplete set opens nothing, and stays, as Vault's clients expect.
        custody.enter_share(&keys[0], None).await.unwrap();
        clock.set(Timestamp::from_unix(START + 86_400));
        assert!(matches!(custody.enter_share(&keys[1], None).await, Ok(Step::Progress)));
        let status = custody.status();
        assert_eq!(status.progress, 2);
        assert!(status.warnings[0].contains("they wait until 2027-01-16T08:15:00"), "{:?}", status.warnings);
        clock.set(Timestamp::from_unix(START + 86_400 + QUARTER - 1));
        assert_eq!(custody.status().progress, 2);
        // A share entered again gives no more time.
        custody.enter_share(&keys[1], None).await.unwrap();
        clock.set(Timestamp::from_unix(START + 86_400 + QUARTER));
        let status = custody.status();
        assert_eq!((status.progress, status.nonce.as_str()), (0, ""));
        assert!(status.warnings[0].contains("forgotten, enter them again"), "{:?}", status.warnings);
        a.set_away(false);
        assert!(matches!(custody.try_devices().await, Ok(Step::Progress)), "nothing is left to open it with");

        custody.enter_share(&keys[2], None).await.unwrap();
        assert_eq!(custody.status().warnings, Vec::<String>::new());
        assert!(matches!(custody.enter_share(&keys[0], None).await, Ok(Step::Unsealed(_))));
    });
}

#[test]
fn who_waits_for_the_device_stops_when_the_shares_are_gone() {
    run(async {
        let (a, store, clock) = (Token::new("1", 1), Store::inmem(), clock());
        let custody = with_tokens(&store, "all(a, people)", &[("a", &a)], &clock);
        let (barrier, keys) = begun(&custody, &shares(1, 1)).await;
        custody.close(barrier).await;
        a.set_away(true);
        custody.enter_share(&keys[0], None).await.unwrap();
        let mut waits = 0;
        let waited = custody.wait_for_devices(|_| {
            waits += 1;
            clock.set(clock.now().plus(Duration::from_secs(600)));
            std::future::ready(())
        });
        assert!(waited.await.is_none());
        assert_eq!((waits, custody.status().progress), (3, 0));
    });
}

fn overwrite(store: &Store, row: &str) {
    let fence = store.storage().lead().unwrap();
    store.storage().commit(fence, &[Op::put(Table::Meta, row, *b"overwritten")]).unwrap();
}

#[test]
fn a_damaged_record_is_named_in_the_log_and_not_to_everybody() {
    run(async {
        for (row, name) in [("keyring", "keyring"), ("clear/seal/recovery", "seal/recovery"), ("head", "head")] {
            let (a, store, clock) = (Token::new("1", 1), Store::inmem(), clock());
            let custody = with_tokens(&store, "a", &[("a", &a)], &clock);
            let (barrier, _) = begun(&custody, &recovery(1, 1)).await;
            custody.close(barrier).await;
            overwrite(&store, row);
            let error = custody.try_devices().await.err().unwrap();
            assert!(error.to_string().contains(name), "{row}: {error}");
            let status = custody.status();
            let refused = refusal(error);
            assert!(!refused.text.contains(name) && refused.detail.is_some(), "{row}: {refused:?}");
            assert!(status.sealed && !status.refused.unwrap_or_default().contains(name), "{row}");
        }
        // A keyslot: the leaf says that something is wrong, and not with which record.
        let (a, store, clock) = (Token::new("1", 1), Store::inmem(), clock());
        let custody = with_tokens(&store, "a", &[("a", &a)], &clock);
        let (barrier, _) = begun(&custody, &recovery(1, 1)).await;
        custody.close(barrier).await;
        overwrite(&store, "clear/seal/1/slot/root");
        assert!(matches!(custody.try_devices().await, Ok(Step::Progress)));
        let error = custody.tree().leaves[0].last_error.clone().unwrap();
        assert!(error.contains("damaged or missing") && !error.contains("slot"), "{error}");
        assert!(custody.missing().contains("seal/1/slot/root"), "the log names it: {}", custody.missing());
    });
}

#[test]
fn a_new_store_says_which_others_the_device_counts_for() {
    run(async {
        let (a, clock) = (Token::new("1", 1), clock());
        let first = with_tokens(&Store::inmem(), "a", &[("a", &a)], &clock);
        let made = first.initialise(&recovery(1, 1)).await.unwrap();
        assert!(!made.warnings.iter().any(|text| text.contains("other store")), "{:?}", made.warnings);
        let cluster = uuid::Uuid::from_bytes(first.status().cluster.unwrap());
        // The store is emptied behind the server's back, and somebody initialises what is left.
        let second = with_tokens(&Store::inmem(), "a", &[("a", &a)], &clock);
        let made = second.initialise(&recovery(1, 1)).await.unwrap();
        let said = made.warnings.iter().find(|text| text.contains("1 other store")).unwrap();
        assert!(said.contains(&cluster.to_string()) && said.contains("emptied"), "{said}");
        assert!(opened_is_served(&second, made.barrier).await);
    });
}

async fn opened_is_served(custody: &Custody, barrier: Barrier) -> bool {
    custody.close(barrier).await;
    let barrier = opened(custody).await;
    barrier.integrity().is_ok()
}
