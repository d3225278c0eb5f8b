//! What happens when a token fails: F-30 to F-37, A-155, A-157, with the shim before SoftHSM 2.

use std::sync::Arc;
use std::time::Duration;
use strongroom_hsm::pin::MemoryLedger;
use strongroom_hsm::{Device, Error, Hsm, KeyKind, KeyName, Limits, NewKey, Sealed, TokenName};
use strongroom_hw_shim::{Action, Mutation, Rule};
use strongroom_hw_tests::{Kind, PIN, Stand, isolated, phase, phased};
use strongroom_secret::SecretBytes;

const SESSION_HANDLE_INVALID: u64 = 0xb3;
const SESSION_CLOSED: u64 = 0xb0;
const USER_NOT_LOGGED_IN: u64 = 0x101;
const DEVICE_REMOVED: u64 = 0x32;
const TOKEN_NOT_PRESENT: u64 = 0xe0;
const FUNCTION_FAILED: u64 = 0x06;
const PIN_INCORRECT: u64 = 0xa0;
const PIN_EXPIRED: u64 = 0xa3;
const PIN_LOCKED: u64 = 0xa4;
/// DEVICE_ERROR, DEVICE_MEMORY, FUNCTION_FAILED, HOST_MEMORY, GENERAL_ERROR
const BROKEN: [u64; 5] = [0x30, 0x31, FUNCTION_FAILED, 0x02, 0x05];

fn key() -> KeyName {
    KeyName::Label("root".into())
}

fn secret() -> SecretBytes {
    SecretBytes::from_slice(&[0x42; 32])
}

/// The token behind the shim.
fn shimmed(stand: &Stand) -> Arc<dyn Hsm> {
    let mut config = stand.config();
    config.library = stand.shim().module();
    stand.token_by(config)
}

/// The token behind the shim with its key made, and something sealed under it.
fn ready(stand: &Stand) -> (Arc<dyn Hsm>, Sealed) {
    let token = shimmed(stand);
    token.generate_key(&NewKey::new("root", KeyKind::Aes256).unwrap()).unwrap();
    let sealed = token.seal(&key(), b"slot", &secret()).unwrap();
    (token, sealed)
}

fn opens(token: &Arc<dyn Hsm>, sealed: &Sealed) -> Result<(), Error> {
    token.open(&key(), b"slot", sealed).map(|opened| assert!(opened.same_as(&[0x42; 32]), "another secret came back"))
}

fn assert_no_violation(stand: &Stand) {
    assert_eq!(stand.shim().violations(), Vec::<String>::new());
}

#[test]
fn f30_a_lost_session_is_reopened_with_at_most_one_login_and_the_call_repeated() {
    isolated(Kind::SoftHsm, |stand| {
        let (token, sealed) = ready(stand);
        for code in [SESSION_HANDLE_INVALID, SESSION_CLOSED, USER_NOT_LOGGED_IN] {
            for function in ["C_DecryptInit", "C_Decrypt"] {
                let logins = stand.shim().calls("C_Login");
                stand.shim().obey(&[Rule::once(function, 1, Action::answer(code))]);
                opens(&token, &sealed).unwrap_or_else(|error| panic!("{function} 0x{code:x}: {error}"));
                assert!(stand.shim().calls("C_Login") - logins <= 1, "{function} 0x{code:x}");
            }
            // Twice in a row is not repaired by trying for ever.
            let tries = stand.shim().calls("C_DecryptInit");
            stand.shim().obey(&[Rule::from("C_DecryptInit", 1, Action::answer(code))]);
            assert!(matches!(opens(&token, &sealed), Err(Error::Away(_))), "0x{code:x}");
            assert_eq!(stand.shim().calls("C_DecryptInit") - tries, 2, "0x{code:x}");
            stand.shim().obey(&[]);
            opens(&token, &sealed).unwrap();
        }
        assert_no_violation(stand);
    });
}

#[test]
fn f31_a_removed_device_is_away_at_once_and_serves_again_when_it_is_back() {
    isolated(Kind::SoftHsm, |stand| {
        let (token, sealed) = ready(stand);
        let device = Device::start("hsm-a", Limits::default(), token).unwrap();
        let open = || device.open(key(), b"slot".to_vec(), sealed.clone()).wait().map(drop);
        for code in [DEVICE_REMOVED, TOKEN_NOT_PRESENT] {
            let gone = ["C_DecryptInit", "C_EncryptInit", "C_OpenSession", "C_GetTokenInfo", "C_GetSessionInfo"];
            stand.shim().obey(&gone.map(|function| Rule::from(function, 1, Action::answer(code))));
            for _ in 0..3 {
                let error = open().unwrap_err();
                assert!(matches!(error, Error::Away(_)) && error.may_pass_later(), "{error}");
            }
            assert!(!device.health().present);
            stand.shim().obey(&[]);
            open().unwrap();
            assert!(device.health().present);
        }
        assert_no_violation(stand);
    });
}

#[test]
fn f32_a_broken_token_is_asked_no_more_than_once_more_and_never_logged_in_to_again() {
    isolated(Kind::SoftHsm, |stand| {
        let (token, sealed) = ready(stand);
        let logins = stand.shim().calls("C_Login");
        for code in BROKEN {
            for function in ["C_EncryptInit", "C_Encrypt"] {
                let tries = stand.shim().calls("C_EncryptInit");
                stand.shim().obey(&[Rule::from(function, 1, Action::answer(code))]);
                let answer = token.seal(&key(), b"slot", &secret());
                assert!(matches!(&answer, Err(Error::Away(text)) if text.contains("CKR_")), "0x{code:x}: {answer:?}");
                assert!(stand.shim().calls("C_EncryptInit") - tries <= 2, "{function} 0x{code:x}");
            }
            // While it fails to decrypt, the value is not called bad; once it is well, the value opens.
            stand.shim().obey(&[Rule::from("C_Decrypt", 1, Action::answer(code))]);
            assert!(matches!(opens(&token, &sealed), Err(Error::Away(_))), "0x{code:x}");
            stand.shim().obey(&[Rule::once("C_Decrypt", 1, Action::answer(code))]);
            opens(&token, &sealed).unwrap();
            stand.shim().obey(&[]);
        }
        assert_eq!(stand.shim().calls("C_Login"), logins);
        assert_no_violation(stand);
    });
}

#[test]
fn f33_no_pin_is_tried_twice_whatever_code_refused_it() {
    isolated(Kind::SoftHsm, |stand| {
        for (round, code) in [PIN_INCORRECT, PIN_EXPIRED, PIN_LOCKED].into_iter().enumerate() {
            let mut config = stand.config();
            config.library = stand.shim().module();
            config.ledger = Arc::new(MemoryLedger::default());
            let token = stand.token_by(config);
            stand.shim().obey(&[Rule::from("C_Login", 1, Action::answer(code))]);
            for _ in 0..4 {
                assert!(matches!(token.keys(), Err(Error::RefusedPin(_))), "0x{code:x}");
            }
            assert_eq!(stand.shim().calls("C_Login"), round + 1, "0x{code:x}");
            // An operator's permission is good for one.
            token.permit_login();
            for _ in 0..3 {
                assert!(matches!(token.keys(), Err(Error::RefusedPin(_))), "0x{code:x}");
            }
            assert_eq!(stand.shim().calls("C_Login"), round + 2, "0x{code:x}");
            stand.shim().obey(&[]);
            token.permit_login();
            token.keys().unwrap();
            assert_eq!(stand.shim().calls("C_Login"), round + 3);
            // So that the next round's count begins where this one's began.
            drop(token);
            std::fs::write(stand.directory().join("shim.log"), "C_Login\n".repeat(round + 1)).unwrap();
        }
    });
}

#[test]
fn f33_a_token_that_shows_its_last_try_or_a_lock_is_not_logged_in_to() {
    isolated(Kind::SoftHsm, |stand| {
        let token = shimmed(stand);
        // CKF_USER_PIN_LOCKED, CKF_USER_PIN_FINAL_TRY
        for (flag, word) in [(0x4_0000, "locked"), (0x2_0000, "one more wrong PIN")] {
            stand.shim().obey(&[Rule::from("C_GetTokenInfo", 1, Action::mutate(Mutation::Flags(flag)))]);
            assert!(matches!(token.keys(), Err(Error::RefusedPin(text)) if text.contains(word)), "{word}");
        }
        assert_eq!(stand.shim().calls("C_Login"), 0);
        token.permit_login();
        token.keys().unwrap();
        assert_eq!(stand.shim().calls("C_Login"), 1);
    });
}

#[test]
fn f33_a_login_that_fails_for_another_reason_costs_the_pin_nothing() {
    isolated(Kind::SoftHsm, |stand| {
        let token = shimmed(stand);
        stand.shim().obey(&[Rule::once("C_Login", 1, Action::answer(0x30))]);
        assert!(matches!(token.keys(), Err(Error::Away(text)) if text.contains("C_Login")));
        token.keys().unwrap();
    });
}

#[test]
fn f34_a_hanging_call_marks_its_device_piles_up_no_threads_and_leaves_others_alone() {
    isolated(Kind::SoftHsm, |stand| {
        stand.init_token("other", PIN);
        let (token, sealed) = ready(stand);
        let limits = Limits { threads: 2, queue: 64, timeout: Duration::from_millis(50) };
        let hanging = Device::start("hanging", limits, token).unwrap();
        let mut config = stand.config();
        config.token = TokenName::Label("other".into());
        let patient = Limits { timeout: Duration::from_secs(200), ..limits };
        let other = Device::start("other", patient, stand.token_by(config)).unwrap();
        other.generate_key(NewKey::new("root", KeyKind::Aes256).unwrap()).wait().unwrap();

        stand.shim().obey(&[Rule::from("C_DecryptInit", 1, Action::hang())]);
        let open = || hanging.open(key(), b"slot".to_vec(), sealed.clone());
        let calls: Vec<_> = (0..20).map(|_| open()).collect();
        for call in calls {
            assert!(matches!(call.wait(), Err(Error::Away(_) | Error::Busy { .. })));
        }
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        for _ in 0..100 {
            assert!(matches!(open().wait(), Err(Error::Away(text)) if text.contains("hanging")));
        }
        assert_eq!(threads(), before);
        let health = hanging.health();
        assert!(!health.present && (1..=2).contains(&health.hung), "{health:?}");
        other.seal(key(), b"slot".to_vec(), secret()).wait().unwrap();

        stand.shim().obey(&[]);
        while hanging.health().hung > 0 {
            std::thread::yield_now();
        }
        // A slow machine may miss 50 ms, but not for ever.
        while open().wait().is_err() {
            std::thread::yield_now();
        }
        assert_no_violation(stand);
    });
}

#[test]
fn f35_a_wrong_result_is_never_given_out() {
    isolated(Kind::SoftHsm, |stand| {
        let (token, sealed) = ready(stand);
        token.generate_key(&NewKey::new("ec", KeyKind::P256).unwrap()).unwrap();
        let ec = KeyName::Label("ec".into());
        let pin = token.enrol(&ec).unwrap();
        for mutation in [Mutation::Truncate, Mutation::Zero, Mutation::Garbage, Mutation::Length] {
            let rule = |function| Rule::from(function, 1, Action::mutate(mutation.clone()));
            stand.shim().obey(&[rule("C_Decrypt")]);
            assert!(matches!(opens(&token, &sealed), Err(Error::Away(_))), "{mutation:?}");
            stand.shim().obey(&[rule("C_Encrypt")]);
            assert!(matches!(token.seal(&key(), b"slot", &secret()), Err(Error::Away(_))), "{mutation:?}");
            stand.shim().obey(&[rule("C_Sign")]);
            assert!(token.prove(&ec, &pin).is_err(), "{mutation:?}");
            stand.shim().obey(&[]);
            opens(&token, &sealed).unwrap();
            token.prove(&ec, &pin).unwrap();
        }
    });
}

#[test]
fn f35_attributes_of_a_hostile_token_make_no_key_strong() {
    isolated(Kind::SoftHsm, |stand| {
        let (token, _) = ready(stand);
        for mutation in [Mutation::Truncate, Mutation::Zero, Mutation::Garbage, Mutation::Length] {
            stand.shim().obey(&[Rule::from("C_GetAttributeValue", 1, Action::mutate(mutation.clone()))]);
            assert!(token.key(&key()).is_err(), "{mutation:?}");
            stand.shim().obey(&[]);
            token.key(&key()).unwrap();
        }
    });
}

#[test]
fn f36_a_session_in_which_a_call_failed_is_closed() {
    isolated(Kind::SoftHsm, |stand| {
        let (token, _) = ready(stand);
        // C_EncryptInit has passed: the operation stays active in that session.
        stand.shim().obey(&[Rule::once("C_Encrypt", 1, Action::answer(FUNCTION_FAILED))]);
        let closed = stand.shim().calls("C_CloseSession");
        assert!(token.seal(&key(), b"slot", &secret()).is_err());
        assert_eq!(stand.shim().calls("C_CloseSession") - closed, 1);
        token.seal(&key(), b"slot", &secret()).unwrap();
        assert_no_violation(stand);
    });
}

#[test]
fn a_key_that_the_token_made_weaker_than_asked_is_destroyed() {
    isolated(Kind::SoftHsm, |stand| {
        let token = shimmed(stand);
        token.keys().unwrap();
        stand.shim().obey(&[Rule::from("C_GetAttributeValue", 1, Action::mutate(Mutation::Zero))]);
        token.generate_key(&NewKey::new("root", KeyKind::Aes256).unwrap()).unwrap_err();
        stand.shim().obey(&[]);
        assert_eq!(token.keys().unwrap(), []);
    });
}

#[test]
fn a_restart_without_the_token_s_directory_stays_away_until_it_is_back() {
    phased(Kind::SoftHsm, 2, |stand| {
        let file = stand.directory().join("sealed");
        if phase() == 0 {
            let (_, sealed) = ready(stand);
            return std::fs::write(file, sealed.encode()).unwrap();
        }
        let sealed = Sealed::decode(&std::fs::read(file).unwrap()).unwrap();
        let aside = stand.directory().join("aside");
        std::fs::rename(stand.tokens(), &aside).unwrap();
        std::fs::create_dir(stand.tokens()).unwrap();
        let token = stand.token();
        for _ in 0..3 {
            assert!(matches!(opens(&token, &sealed), Err(Error::Away(text)) if text.contains("insert it")));
        }
        std::fs::remove_dir(stand.tokens()).unwrap();
        std::fs::rename(&aside, stand.tokens()).unwrap();
        opens(&token, &sealed).unwrap();
    });
}
