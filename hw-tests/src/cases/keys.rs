//! Tokens, slots and keys: listed, made, found, refused.

use super::{KEY, aes, key, make};
use crate::{Stand, TOKEN};
use strongroom_hsm::pkcs11::list_slots;
use strongroom_hsm::{Error, KeyKind, KeyName, NewKey};

/// The identity needs no PIN, and is the same every time.
pub fn a_token_says_who_it_is_without_a_login(stand: &Stand) {
    let mut config = stand.config();
    config.library = stand.shim().module();
    let token = stand.token_by(config);
    let identity = token.identity().unwrap();
    assert_eq!(identity.label, TOKEN);
    assert!(!identity.serial.is_empty() && !identity.manufacturer.is_empty() && !identity.model.is_empty());
    assert_eq!(token.identity().unwrap().device_id(), identity.device_id());
    assert_eq!(stand.shim().calls("C_Login"), 0);
}

/// What `operator hsm list` shows.
pub fn mechanisms_and_slots_are_listed(stand: &Stand) {
    let mechanisms = stand.token().mechanisms().unwrap();
    let gcm = mechanisms.iter().find(|mechanism| mechanism.code == 0x1087).expect("AES-GCM is listed");
    assert_eq!(gcm.name, "CKM_AES_GCM");
    let slots = list_slots(&stand.kind().module()).unwrap();
    let ours: Vec<_> = slots.iter().filter(|slot| slot.initialised).collect();
    assert_eq!(ours.len(), 1);
    assert_eq!(ours[0].token.as_ref().unwrap().label, TOKEN);
    assert!(!ours[0].pin.locked && !ours[0].pin.final_try);
}

/// Attributes are read back, and an existing label is refused whatever object has it.
pub fn a_made_key_is_strong_and_its_label_is_taken(stand: &Stand) {
    let token = stand.token();
    let info = token.generate_key(&NewKey::new(KEY, KeyKind::Aes256).unwrap()).unwrap();
    assert_eq!((info.label.as_str(), info.kind, info.id.len()), (KEY, KeyKind::Aes256, 16));
    assert_eq!(info.weakness, None);
    assert_eq!(token.key(&key()).unwrap(), info);
    assert_eq!(token.key(&KeyName::Id(info.id.clone())).unwrap(), info);
    for kind in [KeyKind::Aes256, KeyKind::Rsa(2048), KeyKind::P256] {
        let again = token.generate_key(&NewKey::new(KEY, kind).unwrap());
        assert!(matches!(&again, Err(Error::Exists(text)) if text.contains(KEY)), "{again:?}");
    }
    assert_eq!(token.keys().unwrap(), std::slice::from_ref(&info));
    // Another implementation sees the same attributes, and cannot read the value.
    let seen = stand.tool_in(TOKEN, &["--list-objects", "--type", "secrkey"]);
    assert!(seen.contains("sensitive") && seen.contains("never extractable") && seen.contains("local"), "{seen}");
    assert!(!seen.contains("wrap") && !seen.contains("sign") && !seen.contains("derive"), "{seen}");
    make(&token, "rsa", KeyKind::Rsa(2048));
    make(&token, "ec", KeyKind::P256);
    let listed = token.keys().unwrap();
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|info| info.weakness.is_none()), "{listed:?}");
}

/// Keys that another tool made are judged by what they can do.
pub fn weak_keys_are_refused_by_the_attribute(stand: &Stand) {
    let keygen = |kind, more: &[&str]| {
        stand.tool_in(TOKEN, &[&["--keygen", "--key-type", kind, "--private", "--sensitive"], more].concat())
    };
    keygen("AES:32", &["--label", "out", "--id", "01", "--extractable"]);
    keygen("AES:16", &["--label", "short", "--id", "02"]);
    keygen("AES:32", &["--label", "open", "--id", "03"]);
    stand.tool_in(TOKEN, &["--keypairgen", "--key-type", "rsa:2048", "--label", "both", "--id", "04"]);
    let token = stand.token();
    for (label, words) in [
        ("out", "CKA_EXTRACTABLE is true"),
        ("short", "neither AES-256"),
        ("open", "CKA_MODIFIABLE is true"),
        ("both", "CKA_MODIFIABLE is true"),
    ] {
        let name = KeyName::Label(label.into());
        match token.key(&name) {
            Err(Error::WeakKey { key, attribute }) => {
                assert_eq!(key, name.to_string());
                assert!(attribute.starts_with(words), "{label}: {attribute}");
            }
            other => panic!("{label}: {other:?}"),
        }
        let secret = strongroom_secret::SecretBytes::from_slice(&[1; 32]);
        assert!(matches!(token.seal(&name, b"aad", &secret), Err(Error::WeakKey { .. })), "{label}");
    }
    assert_eq!(token.keys().unwrap().iter().filter(|info| info.weakness.is_some()).count(), 4);
}

/// F-37: nothing by that name, or two.
pub fn missing_and_duplicated_keys_are_refused(stand: &Stand) {
    let token = stand.token();
    assert!(matches!(token.key(&key()), Err(Error::NotFound(text)) if text.contains("keygen")));
    aes(&token);
    stand.tool_in(TOKEN, &["--keygen", "--key-type", "AES:32", "--label", KEY, "--id", "0a", "--sensitive"]);
    assert!(matches!(token.key(&key()), Err(Error::Config(text)) if text.contains("more than one")));
    let strong = token.keys().unwrap().into_iter().find(|info| info.weakness.is_none()).unwrap();
    token.key(&KeyName::Id(strong.id)).unwrap();
}

/// F-37: the key that was found yesterday is gone, or another one has its name.
pub fn a_key_is_looked_at_again_when_it_is_asked_for(stand: &Stand) {
    let token = stand.token();
    aes(&token);
    token.key(&key()).unwrap();
    stand.tool_in(TOKEN, &["--delete-object", "--type", "secrkey", "--label", KEY]);
    let secret = strongroom_secret::SecretBytes::from_slice(&[1; 32]);
    // The handle that was kept may fail in any way; the next call looks for the key again.
    token.seal(&key(), b"aad", &secret).expect_err("the key is gone");
    let sealed = token.seal(&key(), b"aad", &secret);
    assert!(matches!(sealed, Err(Error::NotFound(_))), "{sealed:?}");
    stand.tool_in(TOKEN, &["--keygen", "--key-type", "AES:32", "--label", KEY, "--id", "0a", "--sensitive"]);
    assert!(matches!(token.key(&key()), Err(Error::WeakKey { .. })));
}
