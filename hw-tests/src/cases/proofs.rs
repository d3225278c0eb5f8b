//! Knowing a token again: T-26.

use super::{KEY, aes, key, make};
use crate::{PIN, Stand, TOKEN};
use strongroom_hsm::{Challenge, DevicePin, Error, KeyKind, KeyName, Proof, TokenName};

/// AES by a probe, RSA by a decrypted nonce, P-256 by a signature; every pin survives its encoding.
pub fn enrolled_keys_of_every_kind_prove_themselves(stand: &Stand) {
    let token = stand.token();
    let keys = [aes(&token), make(&token, "rsa", KeyKind::Rsa(2048)), make(&token, "ec", KeyKind::P256)];
    let pins = keys.each_ref().map(|key| DevicePin::decode(&token.enrol(key).unwrap().encode()).unwrap());
    for (key, pin) in keys.iter().zip(&pins) {
        token.prove(key, pin).unwrap();
        assert_eq!(pin.device, token.identity().unwrap().device_id());
    }
    assert!(matches!(pins[0].proof, Proof::Probe { .. }));
    assert!(matches!(pins[1].proof, Proof::PublicKey { by: Challenge::OaepSha256 | Challenge::OaepSha1, .. }));
    assert!(matches!(pins[2].proof, Proof::PublicKey { by: Challenge::Ecdsa, .. }));
    // One key's pin is no other key's.
    for (key, pin) in keys.iter().zip(pins.iter().cycle().skip(1)) {
        assert!(matches!(token.prove(key, pin), Err(Error::WrongToken(_))), "{key}");
    }
}

/// The same label, the same PIN, a key of the same name, even the same serial: not the same token.
pub fn a_token_with_the_same_label_and_pin_is_refused(stand: &Stand) {
    stand.init_token("twin", PIN);
    let token = stand.token();
    let rsa = make(&token, "rsa", KeyKind::Rsa(2048));
    let pins = [(aes(&token), token.enrol(&key()).unwrap()), (rsa.clone(), token.enrol(&rsa).unwrap())];
    let serial = token.identity().unwrap().serial;

    let mut config = stand.config();
    config.token = TokenName::Label("twin".into());
    let twin = stand.token_by(config);
    aes(&twin);
    make(&twin, "rsa", KeyKind::Rsa(2048));
    for (key, pin) in &pins {
        assert!(matches!(twin.prove(key, pin), Err(Error::WrongToken(text)) if text.contains("enrolled")), "{key}");
    }

    // An emulation that copies the serial too is caught by its key.
    let mut config = stand.config();
    config.token = TokenName::Label("twin".into());
    config.library = stand.shim().module();
    let mutation = strongroom_hw_shim::Mutation::Serial(serial);
    let action = strongroom_hw_shim::Action::mutate(mutation);
    stand.shim().obey(&[strongroom_hw_shim::Rule::from("C_GetTokenInfo", 1, action)]);
    let emulated = stand.token_by(config);
    for (key, pin) in &pins {
        let refused = emulated.prove(key, pin);
        assert!(
            matches!(&refused, Err(Error::WrongToken(text)) if text.contains("another token")),
            "{key}: {refused:?}"
        );
    }
}

/// Serial first: a stranger under the configured label is refused before the PIN is sent.
pub fn a_swapped_token_never_sees_the_pin(stand: &Stand) {
    let mut config = stand.config();
    config.library = stand.shim().module();
    let token = stand.token_by(config);
    aes(&token);
    let pin = token.enrol(&key()).unwrap();
    assert_eq!(stand.shim().calls("C_Login"), 1);

    // A restarted program asks for the proof first, and gets no further than the serial.
    let swap = strongroom_hw_shim::Action::mutate(strongroom_hw_shim::Mutation::Serial("stranger".into()));
    stand.shim().obey(&[strongroom_hw_shim::Rule::from("C_GetTokenInfo", 1, swap.clone())]);
    let mut config = stand.config();
    config.library = stand.shim().module();
    let restarted = stand.token_by(config);
    assert!(matches!(restarted.prove(&key(), &pin), Err(Error::WrongToken(text)) if text.contains("stranger")));
    assert_eq!(stand.shim().calls("C_Login"), 1);

    // One that saw its own token, but could not log in before the stranger came.
    let mut config = stand.config();
    config.library = stand.shim().module();
    let early = stand.token_by(config);
    stand.shim().obey(&[strongroom_hw_shim::Rule::from("C_OpenSession", 1, strongroom_hw_shim::Action::answer(0x30))]);
    assert!(matches!(early.prove(&key(), &pin), Err(Error::Away(_))));
    let logins = stand.shim().calls("C_Login");
    stand.shim().obey(&[strongroom_hw_shim::Rule::from("C_GetTokenInfo", 1, swap.clone())]);
    assert!(matches!(early.key(&key()), Err(Error::WrongToken(_))));
    assert_eq!(stand.shim().calls("C_Login"), logins);

    // A running one that lost its session finds a stranger under the label.
    let removed = strongroom_hw_shim::Action::answer(0x32);
    stand.shim().obey(&[
        strongroom_hw_shim::Rule::from("C_GetTokenInfo", 1, swap),
        strongroom_hw_shim::Rule::once("C_DecryptInit", 1, removed),
    ]);
    let Proof::Probe { sealed, .. } = &pin.proof else { panic!("an AES key has a probe") };
    let opened = token.open(&KeyName::Label(KEY.into()), b"x", sealed).map(drop);
    assert!(matches!(&opened, Err(Error::WrongToken(text)) if text.contains("used before")), "{opened:?}");
    assert_eq!(stand.shim().calls("C_Login"), 1);
    // Back in its place, it is known again.
    stand.shim().obey(&[]);
    token.prove(&key(), &pin).unwrap();
    assert_eq!(token.identity().unwrap().label, TOKEN);
}
