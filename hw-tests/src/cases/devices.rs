//! Several devices in one process, and tokens that come late.

use super::{aes, key};
use crate::{PIN, Stand, TOKEN};
use std::sync::Arc;
use strongroom_hsm::pkcs11::list_slots;
use strongroom_hsm::{Device, Error, KeyName, Limits, TokenName};
use strongroom_secret::SecretBytes;

/// login state belongs to the process, so a PIN is compared even where the token would not ask for one.
pub fn devices_share_a_login_but_not_a_wrong_pin(stand: &Stand) {
    let config = || {
        let mut config = stand.config();
        config.library = stand.shim().module();
        config
    };
    let first = Device::start("first", Limits::default(), stand.token_by(config())).unwrap();
    let second = Device::start("second", Limits::default(), stand.token_by(config())).unwrap();
    let new = strongroom_hsm::NewKey::new(super::KEY, strongroom_hsm::KeyKind::Aes256).unwrap();
    first.generate_key(new).wait().unwrap();
    let sealed = first.seal(key(), b"a".to_vec(), SecretBytes::from_slice(b"root")).wait().unwrap();
    assert!(second.open(key(), b"a".to_vec(), sealed).wait().unwrap().same_as(b"root"));
    assert_eq!(stand.shim().calls("C_Login"), 1);
    assert_eq!(stand.shim().calls("C_Initialize"), 1);
    let mut wrong = config();
    wrong.pin = SecretBytes::from_slice(b"00000000");
    let wrong = stand.token_by(wrong);
    assert!(matches!(wrong.key(&key()), Err(Error::RefusedPin(text)) if text.contains("another PIN")));
    assert_eq!(stand.shim().calls("C_Login"), 1);
    assert_eq!(stand.shim().violations(), Vec::<String>::new());
}

/// A seal whose token is not plugged in yet.
pub fn a_token_that_is_not_there_is_away_and_found_when_it_comes(stand: &Stand) {
    let mut config = stand.config();
    config.token = TokenName::Label("late".into());
    let token = stand.token_by(config);
    let answer = token.key(&key());
    assert!(matches!(&answer, Err(Error::Away(text)) if text.contains("late")), "{answer:?}");
    assert!(answer.unwrap_err().may_pass_later());
    assert!(matches!(token.identity(), Err(Error::Away(_))));
    // The module itself may be missing too.
    let mut config = stand.config();
    config.library = stand.directory().join("module.so");
    let unplugged = stand.token_by(config);
    assert!(matches!(unplugged.key(&key()), Err(Error::Away(text)) if text.contains("module.so")));
    std::os::unix::fs::symlink(stand.kind().module(), stand.directory().join("module.so")).unwrap();
    assert!(matches!(unplugged.key(&key()), Err(Error::NotFound(_))));
    aes(&unplugged);
    drop(unplugged);
    stand.init_token("late", PIN);
    aes(&token);
}

/// A label is no name when two tokens have it.
pub fn two_tokens_of_one_label_are_told_apart_by_serial(stand: &Stand) {
    stand.init_token(TOKEN, PIN);
    let slots = list_slots(&stand.kind().module()).unwrap();
    let twins: Vec<_> =
        slots.iter().filter(|slot| slot.token.as_ref().is_some_and(|twin| twin.label == TOKEN)).collect();
    assert_eq!(twins.len(), 2);
    let serial = twins[1].token.as_ref().unwrap().serial.clone();
    let by_label = stand.token();
    assert!(matches!(by_label.key(&key()), Err(Error::Config(text)) if text.contains("token_serial")));
    let mut config = stand.config();
    config.token = TokenName::Serial(serial.clone());
    let by_serial: Arc<_> = stand.token_by(config);
    assert_eq!(by_serial.identity().unwrap().serial, serial);
    aes(&by_serial);
    let mut config = stand.config();
    config.token = TokenName::Slot(twins[1].slot);
    assert!(stand.token_by(config).key(&KeyName::Label(super::KEY.into())).is_ok());
}
