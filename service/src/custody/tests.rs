mod limits;
mod rotation;
mod token;

use super::*;
use crate::config::Environment;
use strongroom_keystore::MountId;

const LISTEN: &str = "storage \"inmem\" {}\nlistener \"tcp\" { tls_disable = true }\n";
const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";
const OTHER: &str = "0808080808080808080808080808080808080808080808080808080808080808";

fn fixed(name: &str, key: &str) -> String {
    format!("seal \"static\" {name:?} {{ current_key_id = {name:?} current_key = \"{key}\" }}\n")
}

fn custody_over(store: &Store, seals: &str) -> Arc<Custody> {
    let text = format!("{LISTEN}{seals}");
    let loaded = Config::parse("x", &text, &Environment::default()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let clock = Clock::manual(Timestamp::from_unix(1_800_000_000));
    Custody::new(store.clone(), &loaded.config, clock).unwrap()
}

fn custody(seals: &str) -> (Arc<Custody>, Store) {
    let store = Store::inmem();
    (custody_over(&store, seals), store)
}

fn shares(shares: i64, threshold: i64) -> InitRequest {
    InitRequest { secret_shares: shares, secret_threshold: threshold, ..InitRequest::default() }
}

fn recovery(shares: i64, threshold: i64) -> InitRequest {
    InitRequest { recovery_shares: shares, recovery_threshold: threshold, ..InitRequest::default() }
}

fn run<T>(act: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(act)
}

async fn initialised(custody: &Custody, request: &InitRequest) -> Vec<String> {
    let made = custody.initialise(request).await.unwrap_or_else(|error| panic!("{error}"));
    made.barrier.view(MountId([1; 16])).put("row", b"value").await.unwrap();
    custody.close(made.barrier).await;
    made.keys.iter().map(|key| hex::encode(key.expose())).collect()
}

async fn is_the_same_store(barrier: &Barrier) {
    let row = barrier.view(MountId([1; 16])).get("row").await.unwrap().unwrap();
    assert!(row.value.same_as(b"value"));
}

fn text<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "accepted".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_request_that_does_not_fit_is_refused_in_vault_s_words_and_stores_nothing() {
    run(async {
        let (shamir, store) = custody("");
        for (request, want) in [
            (shares(0, 0), "invalid seal configuration: shares must be at least one"),
            (shares(-1, -1), "invalid seal configuration: shares must be at least one"),
            (shares(5, 0), "invalid seal configuration: threshold must be at least one"),
            (shares(3, 5), "invalid seal configuration: threshold cannot be larger than shares"),
            (shares(5, 1), "invalid seal configuration: threshold must be greater than one for multiple shares"),
            (shares(256, 3), "invalid seal configuration: shares must be less than 256"),
            (shares(3, 256), "invalid seal configuration: threshold must be less than 256"),
            (
                InitRequest { recovery_shares: 5, recovery_threshold: 3, ..shares(5, 3) },
                "parameters recovery_shares,recovery_threshold not applicable to seal type shamir",
            ),
            (
                InitRequest { pgp_keys: vec!["AAAA".into(), "BBBB".into()], ..shares(5, 3) },
                "invalid seal configuration: count mismatch between number of provided PGP keys and number of shares",
            ),
        ] {
            assert_eq!(text(shamir.initialise(&request).await), want);
        }
        for request in [
            InitRequest { pgp_keys: vec!["bm90IGEga2V5".into()], ..shares(1, 1) },
            InitRequest { root_token_pgp_key: "x".into(), ..shares(1, 1) },
        ] {
            assert!(text(shamir.initialise(&request).await).contains("PGP key"));
        }
        assert!(!store.is_initialised());

        let (device, store) = custody(&fixed("a", KEY));
        for (request, want) in [
            (recovery(0, 0), "invalid recovery configuration: shares must be at least one"),
            (recovery(5, 1), "invalid recovery configuration: threshold must be greater than one for multiple shares"),
            (shares(5, 3), "parameters secret_shares,secret_threshold not applicable to seal type static"),
        ] {
            assert_eq!(text(device.initialise(&request).await), want);
        }
        assert!(!store.is_initialised());

        let (mixed, store) = custody(&format!("{}seal \"shamir\" \"people\" {{}}", fixed("a", KEY)));
        assert!(
            text(mixed.initialise(&recovery(5, 3)).await).starts_with("secret_shares and secret_threshold are missing")
        );
        assert_eq!(
            text(mixed.initialise(&recovery(0, 0)).await),
            "invalid seal configuration: shares must be at least one"
        );
        assert!(!store.is_initialised());
    });
}

#[test]
fn shares_open_the_store_and_are_forgotten() {
    run(async {
        let (custody, _) = custody("");
        assert_eq!((custody.status().kind, custody.status().initialised), ("shamir", false));
        assert_eq!(text(custody.enter_share("00", None).await), "Vault is not initialized");
        let keys = initialised(&custody, &shares(5, 3)).await;
        assert!(keys.iter().all(|key| key.len() == 66) && keys.len() == 5);
        assert_eq!(text(custody.initialise(&shares(5, 3)).await), "Vault is already initialized");

        assert!(matches!(custody.enter_share(&keys[0], None).await, Ok(Step::Progress)));
        let status = custody.status();
        assert_eq!((status.threshold, status.shares, status.progress, status.nonce.len()), (3, 5, 1, 36));
        assert!(matches!(custody.enter_share(&keys[0].to_uppercase(), None).await, Ok(Step::Progress)));
        assert_eq!((custody.status().progress, custody.status().nonce), (1, status.nonce));
        custody.reset_shares().await.unwrap();
        assert_eq!((custody.status().progress, custody.status().nonce), (0, String::new()));

        custody.enter_share(&keys[4], None).await.unwrap();
        let other = base64_simd::STANDARD.encode_to_string(hex::decode(&keys[1]).unwrap());
        custody.enter_share(&other, None).await.unwrap();
        let Ok(Step::Unsealed(barrier)) = custody.enter_share(&keys[2], None).await else {
            panic!("three of five open")
        };
        is_the_same_store(&barrier).await;
        let status = custody.status();
        assert_eq!((status.sealed, status.progress, status.nonce.as_str()), (false, 0, ""));
        assert!(matches!(custody.enter_share(&keys[0], None).await, Ok(Step::Progress)));
        assert_eq!(text(custody.reset_shares().await), "vault is unsealed");
        custody.close(barrier).await;
        assert!(custody.status().sealed);
        assert!(matches!(custody.try_devices().await, Ok(Step::Progress)));
    });
}

#[test]
fn a_wrong_share_is_named_and_costs_no_good_one() {
    run(async {
        let (custody, _) = custody("");
        let keys = initialised(&custody, &shares(5, 3)).await;
        custody.enter_share(&keys[0], None).await.unwrap();
        custody.enter_share(&keys[1], None).await.unwrap();
        let mut damaged = hex::decode(&keys[2]).unwrap();
        damaged[7] ^= 1;
        let refused = text(custody.enter_share(&hex::encode(&damaged), None).await);
        assert!(refused.starts_with("invalid key: ") && refused.contains("shamir 3"), "{refused}");
        let stranger = text(custody.enter_share(&"ab".repeat(33), None).await);
        assert!(stranger.starts_with("invalid key: "), "{stranger}");
        assert_eq!(custody.status().progress, 2);
        assert!(matches!(custody.enter_share(&keys[2], None).await, Ok(Step::Unsealed(_))));
    });
}

#[test]
fn a_device_opens_alone_and_its_recovery_keys_only_ask_for_it() {
    run(async {
        let (custody, store) = custody(&fixed("a", KEY));
        assert!(custody.status().recovery_seal);
        let made = custody.initialise(&recovery(3, 2)).await.unwrap();
        assert!(made.stays_open && made.keys.is_empty() && made.recovery_keys.len() == 3);
        assert!(made.warnings.iter().any(|text| text.contains("without a there is no way in")), "{:?}", made.warnings);
        assert!(made.warnings.iter().any(|text| text.starts_with("rollback: unprotected")), "{:?}", made.warnings);
        made.barrier.view(MountId([1; 16])).put("row", b"value").await.unwrap();
        custody.close(made.barrier).await;

        let Ok(Step::Unsealed(barrier)) = custody.try_devices().await else { panic!("the device opens it") };
        is_the_same_store(&barrier).await;
        let status = custody.status();
        assert_eq!((status.kind, status.threshold, status.shares), ("static", 2, 3));
        custody.close(barrier).await;

        let keys: Vec<String> = made.recovery_keys.iter().map(|key| hex::encode(key.expose())).collect();
        assert!(matches!(custody.enter_share(&keys[0], None).await, Ok(Step::Progress)));
        assert_eq!(custody.status().progress, 1);
        assert!(matches!(custody.enter_share(&keys[2], None).await, Ok(Step::Unsealed(_))));

        // Another key under the same name opens nothing, and neither do the recovery keys.
        let stranger = custody_over(&store, &fixed("a", OTHER));
        assert!(matches!(stranger.try_devices().await, Ok(Step::Progress)));
        stranger.enter_share(&keys[0], None).await.unwrap();
        assert!(matches!(stranger.enter_share(&keys[1], None).await, Ok(Step::Progress)));
        let tree = stranger.tree();
        assert!(tree.leaves[0].last_error.is_some() && !tree.satisfied, "{tree:?}");
    });
}

#[test]
fn a_mixture_opens_when_both_are_there_in_either_order() {
    run(async {
        let seals = format!("{}seal \"shamir\" \"people\" {{}}\nunseal_when = \"all(a, people)\"", fixed("a", KEY));
        let (custody, store) = custody(&seals);
        let made = custody.initialise(&shares(3, 2)).await.unwrap();
        assert!(!made.stays_open);
        assert_eq!(made.holders, ["people 1", "people 2", "people 3"]);
        made.barrier.view(MountId([1; 16])).put("row", b"value").await.unwrap();
        custody.close(made.barrier).await;
        assert_eq!(custody.status().kind, "multiseal");
        assert!(!custody.opens_by_devices());
        let keys: Vec<String> = made.keys.iter().map(|key| hex::encode(key.expose())).collect();
        custody.enter_share(&keys[0], None).await.unwrap();
        assert!(matches!(custody.enter_share(&keys[1], None).await, Ok(Step::Unsealed(_))));

        let without = seals.replace("current_key_id", "disabled = true current_key_id");
        let without = custody_over(&store, &without);
        without.enter_share(&keys[0], None).await.unwrap();
        assert!(matches!(without.enter_share(&keys[1], None).await, Ok(Step::Progress)));
        let tree = without.tree();
        assert_eq!(tree.needed.as_deref(), Some("a"));
        assert!(tree.leaves[0].last_error.as_ref().unwrap().contains("disabled at x:3"), "{tree:?}");
        assert_eq!(without.status().progress, 2);
    });
}

#[test]
fn any_of_two_survives_the_loss_of_one() {
    run(async {
        let seals = format!("{}{}", fixed("a", KEY), fixed("b", OTHER));
        let (custody, store) = custody(&seals);
        let made = custody.initialise(&recovery(1, 1)).await.unwrap();
        assert!(!made.warnings.iter().any(|text| text.contains("no way in")), "{:?}", made.warnings);
        custody.close(made.barrier).await;
        for left in [fixed("a", KEY), fixed("b", OTHER)] {
            let one = custody_over(&store, &left);
            let Ok(Step::Unsealed(barrier)) = one.try_devices().await else { panic!("{left} opens it") };
            assert!(one.status().warnings[0].contains("the stored one counts"), "{:?}", one.status().warnings);
            one.close(barrier).await;
        }
    });
}

#[test]
fn a_share_may_refuse_an_older_epoch() {
    run(async {
        let (custody, _) = custody("");
        let keys = initialised(&custody, &shares(3, 2)).await;
        let epoch = custody.status().epoch.unwrap();
        let refused = text(custody.enter_share(&keys[0], Some(epoch + 1)).await);
        assert!(refused.starts_with("rollback detected"), "{refused}");
        assert_eq!(custody.status().progress, 0);
        custody.enter_share(&keys[0], Some(epoch)).await.unwrap();
        assert!(matches!(custody.enter_share(&keys[1], None).await, Ok(Step::Unsealed(_))));
        assert_eq!(custody.status().rollback.unwrap().name(), "unprotected");
    });
}

#[test]
fn waiting_goes_on_until_the_device_is_back_and_stops_when_it_is_no_use() {
    run(async {
        let (custody, store) = custody(&fixed("a", KEY));
        let made = custody.initialise(&recovery(1, 1)).await.unwrap();
        custody.close(made.barrier).await;
        assert!(custody.wait_for_devices(|_| std::future::ready(())).await.is_some());

        // A device that never comes: each wait is longer, until somebody stops it.
        let stranger = custody_over(&store, &fixed("a", OTHER));
        let (waited, mut waits) = tokio::sync::mpsc::unbounded_channel();
        let waiting = stranger.wait_for_devices(|span| {
            let _ = waited.send(span.as_millis());
            std::future::ready(())
        });
        let four = async {
            let mut seen = Vec::new();
            while seen.len() < 4 {
                seen.extend(waits.recv().await);
            }
            seen
        };
        tokio::select! {
            _ = waiting => panic!("a strange key opened the store"),
            seen = four => assert_eq!(seen, [500, 1000, 2000, 4000]),
        }

        let people = custody_over(&Store::inmem(), "");
        initialised(&people, &shares(1, 1)).await;
        assert!(people.wait_for_devices(|_| std::future::ready(())).await.is_none());
    });
}
