//! A refused PIN costs one try, once: F-33.

use super::{aes, key};
use crate::{PIN, Stand, TOKEN, phase};
use std::sync::Arc;
use strongroom_hsm::pin::MemoryLedger;
use strongroom_hsm::pkcs11::list_slots;
use strongroom_hsm::{Error, Hsm};
use strongroom_secret::SecretBytes;

fn with_pin(stand: &Stand, pin: &str) -> Arc<dyn Hsm> {
    let mut config = stand.config();
    config.library = stand.shim().module();
    config.pin = SecretBytes::from_slice(pin.as_bytes());
    stand.token_by(config)
}

fn refused(token: &Arc<dyn Hsm>, word: &str) {
    let answer = token.key(&key());
    assert!(matches!(&answer, Err(Error::RefusedPin(text)) if text.contains(word)), "{answer:?}");
}

/// Every call is refused, one login was tried; the next process does not try at all; a changed PIN is tried.
pub fn a_refused_pin_is_tried_once_whatever_is_asked_and_restarted(stand: &Stand) {
    let token = with_pin(stand, "00000000");
    if phase() == 0 {
        refused(&token, "CKR_PIN_INCORRECT");
        for _ in 0..3 {
            refused(&token, "before");
        }
        assert!(matches!(token.keys(), Err(Error::RefusedPin(_))));
        assert_eq!(stand.shim().calls("C_Login"), 1);
        let record = std::fs::read(stand.directory().join("refused-pins")).unwrap();
        assert!(!record.windows(8).any(|window| window == b"00000000"));
    } else {
        refused(&token, "before");
        assert_eq!(stand.shim().calls("C_Login"), 1);
        aes(&with_pin(stand, PIN));
        assert_eq!(stand.shim().calls("C_Login"), 2);
    }
}

/// The third PIN is not risked, right or wrong, until somebody takes the responsibility.
pub fn two_refused_pins_stop_logins_until_an_operator_asks(stand: &Stand) {
    refused(&with_pin(stand, "00000000"), "CKR_PIN_INCORRECT");
    refused(&with_pin(stand, "11111111"), "CKR_PIN_INCORRECT");
    let right = with_pin(stand, PIN);
    refused(&right, "two different");
    refused(&right, "two different");
    assert_eq!(stand.shim().calls("C_Login"), 2);
    right.permit_login();
    aes(&right);
    assert_eq!(stand.shim().calls("C_Login"), 3);
    // The right PIN wiped the slate.
    drop(right);
    refused(&with_pin(stand, "22222222"), "CKR_PIN_INCORRECT");
}

/// A token that locks is asked until it says that one try is left, and not once more.
pub fn a_token_that_counts_is_never_brought_to_its_last_try(stand: &Stand) {
    let slots = || list_slots(&stand.kind().module()).unwrap().into_iter().find(|slot| slot.initialised).unwrap();
    for number in 0..12 {
        let mut config = stand.config();
        config.pin = SecretBytes::from_slice(format!("wrong{number:03}").as_bytes());
        // Each try is an operator's own: only the token's flags are left to stop it.
        config.ledger = Arc::new(MemoryLedger::default());
        refused(&stand.token_by(config), "");
    }
    let flags = slots().pin;
    assert!(flags.final_try, "the token shows no last try");
    assert!(!flags.locked, "the token was locked");
    let right = with_pin(stand, PIN);
    refused(&right, "one more wrong PIN");
    right.permit_login();
    aes(&right);
    assert!(!slots().pin.final_try);
    assert!(stand.tool_in(TOKEN, &["--list-objects", "--type", "secrkey"]).contains("AES"));
}
