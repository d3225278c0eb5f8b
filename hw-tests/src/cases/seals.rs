//! Sealing and opening.

use super::{KEY, aes, key, make};
use crate::{Stand, TOKEN, phase};
use strongroom_hsm::{Error, KeyKind, KeyName, Mechanism, SECRET_MAX, Sealed};
use strongroom_secret::SecretBytes;

fn secret() -> SecretBytes {
    SecretBytes::from_slice(&[0x42; 32])
}

/// A value opens under its key and AAD, empty AAD included, in every length that may be sealed.
pub fn an_aes_key_seals_for_one_place_only(stand: &Stand) {
    let token = stand.token();
    aes(&token);
    for aad in [&b""[..], b"slot 1", &[7; 1000]] {
        let sealed = token.seal(&key(), aad, &secret()).unwrap();
        assert_eq!(sealed.mechanism, Mechanism::AesGcm);
        assert!(token.open(&key(), aad, &sealed).unwrap().same_as(&[0x42; 32]));
        assert_eq!(token.open(&key(), b"slot 2", &sealed).err(), Some(Error::Rejected));
    }
    for length in [1, SECRET_MAX] {
        let sealed = token.seal(&key(), b"a", &SecretBytes::from_vec(vec![9; length])).unwrap();
        assert_eq!(token.open(&key(), b"a", &sealed).unwrap().len(), length);
    }
    assert!(matches!(token.seal(&key(), b"a", &SecretBytes::from_vec(vec![])), Err(Error::Config(_))));
    let twice = [(); 2].map(|()| token.seal(&key(), b"a", &secret()).unwrap().blob);
    assert_ne!(twice[0], twice[1]);
}

/// No bit may be changed, none be missing; and the token works on afterwards.
pub fn every_changed_bit_of_a_sealed_value_is_rejected(stand: &Stand) {
    let token = stand.token();
    aes(&token);
    let sealed = token.seal(&key(), b"slot", &secret()).unwrap();
    for bit in 0..sealed.blob.len() * 8 {
        let mut changed = sealed.clone();
        changed.blob[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(token.open(&key(), b"slot", &changed).err(), Some(Error::Rejected), "bit {bit}");
    }
    for length in 0..sealed.blob.len() {
        let cut = Sealed { blob: sealed.blob[..length].to_vec(), ..sealed.clone() };
        assert_eq!(token.open(&key(), b"slot", &cut).err(), Some(Error::Rejected), "{length} bytes");
    }
    let other = Sealed { mechanism: Mechanism::RsaOaepSha256, ..sealed.clone() };
    assert!(token.open(&key(), b"slot", &other).is_err());
    assert!(token.open(&key(), b"slot", &sealed).unwrap().same_as(&[0x42; 32]));
}

fn seals_by_oaep(stand: &Stand, configured: Option<Mechanism>) -> Mechanism {
    let mut config = stand.config();
    config.mechanism = configured;
    let token = stand.token_by(config);
    let rsa = make(&stand.token(), "rsa", KeyKind::Rsa(2048));
    let sealed = token.seal(&rsa, b"slot", &secret()).unwrap();
    assert!(token.open(&rsa, b"slot", &sealed).unwrap().same_as(&[0x42; 32]));
    // OAEP authenticates nothing: the frame inside binds the place.
    assert_eq!(token.open(&rsa, b"other", &sealed).err(), Some(Error::Rejected));
    for at in [0, 100, 255] {
        let mut changed = sealed.clone();
        changed.blob[at] ^= 1;
        assert_eq!(token.open(&rsa, b"slot", &changed).err(), Some(Error::Rejected), "byte {at}");
    }
    let longest = SecretBytes::from_vec(vec![3; SECRET_MAX]);
    let sealed = token.seal(&rsa, b"slot", &longest).unwrap();
    assert!(token.open(&rsa, b"slot", &sealed).unwrap().same_as(longest.expose()));
    sealed.mechanism
}

/// SHA-256 where the token has it, else SHA-1, without being told.
pub fn an_rsa_key_seals_by_what_the_token_has(stand: &Stand) {
    let mechanism = seals_by_oaep(stand, None);
    assert!(matches!(mechanism, Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1));
}

/// SHA-256, because it is configured.
pub fn an_rsa_key_seals_by_oaep_sha256(stand: &Stand) {
    assert_eq!(seals_by_oaep(stand, Some(Mechanism::RsaOaepSha256)), Mechanism::RsaOaepSha256);
}

/// SHA-1, because it is configured.
pub fn an_rsa_key_seals_by_oaep_sha1(stand: &Stand) {
    assert_eq!(seals_by_oaep(stand, Some(Mechanism::RsaOaepSha1)), Mechanism::RsaOaepSha1);
}

/// A key that cannot do what is configured seals nothing; a signing key never does.
pub fn only_the_configured_mechanism_seals(stand: &Stand) {
    let token = stand.token();
    let (rsa, ec) = (make(&token, "rsa", KeyKind::Rsa(2048)), make(&token, "ec", KeyKind::P256));
    let mut config = stand.config();
    config.mechanism = Some(Mechanism::AesGcm);
    let bound = stand.token_by(config);
    assert!(matches!(bound.seal(&rsa, b"a", &secret()), Err(Error::Unsupported(_))));
    assert!(matches!(token.seal(&ec, b"a", &secret()), Err(Error::Unsupported(text)) if text.contains("signs")));
}

/// Sealed in one process, opened in the next.
pub fn what_was_sealed_opens_after_a_restart(stand: &Stand) {
    let token = stand.token();
    let file = stand.directory().join("sealed");
    if phase() == 0 {
        aes(&token);
        std::fs::write(file, token.seal(&key(), b"slot", &secret()).unwrap().encode()).unwrap();
    } else {
        let sealed = Sealed::decode(&std::fs::read(file).unwrap()).unwrap();
        assert!(token.open(&key(), b"slot", &sealed).unwrap().same_as(&[0x42; 32]));
    }
}

/// A keyslot that was sealed under another key says so, instead of looking damaged.
pub fn another_key_is_named_not_guessed(stand: &Stand) {
    let token = stand.token();
    aes(&token);
    let second = make(&token, "second", KeyKind::Aes256);
    let sealed = token.seal(&key(), b"slot", &secret()).unwrap();
    assert!(
        matches!(token.open(&second, b"slot", &sealed), Err(Error::NotFound(text)) if text.contains("another key"))
    );
    let id = token.key(&second).unwrap().id;
    let forged = Sealed { key_id: id, ..sealed };
    assert_eq!(token.open(&second, b"slot", &forged).err(), Some(Error::Rejected));
    // A key without CKA_ID is known by its label.
    stand.tool_in(TOKEN, &["--keygen", "--key-type", "AES:32", "--label", "nameless", "--sensitive"]);
    let listed = token.keys().unwrap();
    assert!(listed.iter().any(|info| info.id == b"label:nameless"), "{listed:?}");
    assert!(token.key(&KeyName::Label(KEY.into())).is_ok());
}

/// Sessions are one thread's at a time; results are nobody else's.
pub fn eight_threads_seal_and_open_without_a_mismatch(stand: &Stand) {
    let mut config = stand.config();
    config.library = stand.shim().module();
    let token = stand.token_by(config);
    aes(&token);
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let token = &token;
            scope.spawn(move || {
                for round in 0..50u8 {
                    let value = [thread, round, 7, 7];
                    let sealed = token.seal(&key(), &[thread], &SecretBytes::from_slice(&value)).unwrap();
                    assert!(token.open(&key(), &[thread], &sealed).unwrap().same_as(&value));
                }
            });
        }
    });
    assert_eq!(stand.shim().violations(), Vec::<String>::new());
    assert_eq!(stand.shim().calls("C_Login"), 1);
}
