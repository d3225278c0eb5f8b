//! Sealing and opening on a token, one-shot and authenticated.
//!
//! The nonce of AES-GCM comes from the cryptographic module's generator, not from C_GenerateRandom: a token whose
//! generator repeats itself would reuse nonces unseen, ours is the approved one and the root key itself came from it, and
//! it saves a round trip. The token may replace it: what is kept is the nonce as the token left it. One key seals a few
//! keyslots in its life, so the bound of 2^32 messages for random nonces (SP 800-38D 8.3) is out of reach.
//!
//! AAD is always given (SoftHSM 2.6.1 crashed without), sessions serve one thread at a time, and nothing is decrypted in
//! parts: some tokens hand out plaintext before they have checked the tag.

use super::Pkcs11;
use super::connection::Connection;
use super::fault::Fault;
use super::keys::Found;
use crate::rsa::oaep_encrypt;
use crate::sealed::{frame, unframe};
use crate::{Error, KeyKind, KeyName, Mechanism, Result, Sealed};
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::{Mechanism as CkMechanism, MechanismType};
use cryptoki::session::Session;
use strongroom_secret::{SecretBytes, random};

const NONCE: usize = 12;
const TAG: usize = 16;

impl Pkcs11 {
    pub(super) fn seal_on_token(&self, key: &KeyName, aad: &[u8], secret: &SecretBytes) -> Result<Sealed> {
        let framed = frame(aad, secret)?;
        self.with(|connection, session| {
            let found = self.found(connection, session, key)?;
            let mechanism = prove_use(self, connection, session, &found)?;
            let blob = encrypt(connection, session, &found, mechanism, aad, &framed)?;
            // What cannot be opened again must not be stored: it would be noticed at the next restart.
            check(self, connection, session, &found, mechanism, aad, &blob, &framed)?;
            Ok(Sealed { mechanism, key_id: found.info.id.clone(), blob })
        })
    }

    pub(super) fn open_on_token(&self, key: &KeyName, aad: &[u8], sealed: &Sealed) -> Result<SecretBytes> {
        let open = || {
            self.with(|connection, session| {
                let found = self.found(connection, session, key)?;
                if found.info.id != sealed.key_id {
                    return Err(Error::NotFound(format!(
                        "this was sealed under another key than {key} of token {}: configure that one",
                        self.name
                    ))
                    .into());
                }
                let framed = decrypt(connection, session, &found, sealed.mechanism, aad, &sealed.blob)?;
                Ok(unframe(aad, &framed)?)
            })
        };
        match open() {
            Err(Error::Rejected) => {}
            opened => return opened,
        }
        // Tokens answer a wrong tag with any code, "general error" included, and a failing token with the same ones. So
        // a fresh round trip decides whose fault it is, the sealed value's or the token's; a token that is well again gets
        // one more chance.
        self.with(|connection, session| {
            let found = self.found(connection, session, key)?;
            round_trip(self, connection, session, &found, sealed.mechanism)
        })?;
        open()
    }
}

/// The mechanism by which `found` seals: the configured one, or the best that passes a round trip.
pub(super) fn prove_use(
    token: &Pkcs11,
    connection: &Connection,
    session: &Session,
    found: &Found,
) -> std::result::Result<Mechanism, Fault> {
    if let Some(mechanism) = found.sealing.get() {
        return Ok(*mechanism);
    }
    let candidates: &[Mechanism] = match found.info.kind {
        KeyKind::Aes256 => &[Mechanism::AesGcm],
        KeyKind::Rsa(_) if found.decrypts => &[Mechanism::RsaOaepSha256, Mechanism::RsaOaepSha1],
        _ => {
            return Err(Error::Unsupported(format!(
                "key {:?} of token {} signs and does not seal: use an AES-256 key or an RSA key that decrypts",
                found.info.label, token.name
            ))
            .into());
        }
    };
    let listed = connection.library.context.get_mechanism_list(connection.slot)?;
    let mut reason = None;
    for mechanism in candidates.iter().filter(|mechanism| token.config.mechanism.is_none_or(|only| only == **mechanism))
    {
        let code = if *mechanism == Mechanism::AesGcm { MechanismType::AES_GCM } else { MechanismType::RSA_PKCS_OAEP };
        if !listed.contains(&code) {
            continue;
        }
        match round_trip(token, connection, session, found, *mechanism) {
            Ok(()) => return Ok(*found.sealing.get_or_init(|| *mechanism)),
            Err(fault) if fault.lost().is_some() => return Err(fault),
            // A refused parameter leaves no operation active, but the next candidate takes no chances.
            Err(fault) => reason = Some(fault),
        }
    }
    Err(reason.unwrap_or_else(|| {
        Error::Unsupported(format!(
            "token {} has no mechanism for {} keys that may be used: AES-GCM, or RSA-OAEP",
            token.name, found.info.kind
        ))
        .into()
    }))
}

/// Seals and opens a fresh value.
fn round_trip(
    token: &Pkcs11,
    connection: &Connection,
    session: &Session,
    found: &Found,
    mechanism: Mechanism,
) -> std::result::Result<(), Fault> {
    let aad = b"round trip";
    let value = SecretBytes::random(32).map_err(|_| Error::Away("the random generator failed".into()))?;
    let framed = frame(aad, &value)?;
    let blob = encrypt(connection, session, found, mechanism, aad, &framed)?;
    check(token, connection, session, found, mechanism, aad, &blob, &framed)
}

/// Opens what was just sealed and compares.
#[expect(clippy::too_many_arguments, reason = "the pieces of one operation, each of another type")]
fn check(
    token: &Pkcs11,
    connection: &Connection,
    session: &Session,
    found: &Found,
    mechanism: Mechanism,
    aad: &[u8],
    blob: &[u8],
    framed: &SecretBytes,
) -> std::result::Result<(), Fault> {
    let broken = || Error::Away(format!("token {} gives wrong results: it does not open what it sealed", token.name));
    match decrypt(connection, session, found, mechanism, aad, blob) {
        Ok(opened) if opened.same_as(framed.expose()) => Ok(()),
        Ok(_) | Err(Fault::Ours(Error::Rejected)) => Err(broken().into()),
        Err(fault) => Err(fault),
    }
}

fn encrypt(
    connection: &Connection,
    session: &Session,
    found: &Found,
    mechanism: Mechanism,
    aad: &[u8],
    framed: &SecretBytes,
) -> std::result::Result<Vec<u8>, Fault> {
    match (mechanism, &found.public) {
        (Mechanism::AesGcm, _) => {
            let mut nonce = random::array::<NONCE>().map_err(|_| Error::Away("the random generator failed".into()))?;
            let aad = gcm_aad(aad);
            let params = GcmParams::new(&mut nonce, &aad, ((TAG * 8) as u64).into())?;
            let ciphertext =
                connection.library.raw.encrypt(session, &CkMechanism::AesGcm(params), found.handle, framed.expose())?;
            if ciphertext.len() != framed.len() + TAG {
                return Err(cryptoki::error::Error::InvalidValue.into());
            }
            Ok([&nonce[..], &ciphertext].concat())
        }
        (Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1, Some(public)) => {
            Ok(oaep_encrypt(mechanism, public, framed.expose())?)
        }
        _ => Err(Error::Unsupported(format!("{} is not for this key", mechanism.name())).into()),
    }
}

/// Every failure of the decryption itself is `Rejected`, whatever code the module chose; a lost session is not one.
fn decrypt(
    connection: &Connection,
    session: &Session,
    found: &Found,
    mechanism: Mechanism,
    aad: &[u8],
    blob: &[u8],
) -> std::result::Result<SecretBytes, Fault> {
    let raw = &connection.library.raw;
    let opened = match (mechanism, found.info.kind) {
        (Mechanism::AesGcm, KeyKind::Aes256) => {
            let (nonce, ciphertext) = blob.split_first_chunk::<NONCE>().ok_or(Error::Rejected)?;
            if ciphertext.len() < TAG {
                return Err(Error::Rejected.into());
            }
            let (mut nonce, aad) = (*nonce, gcm_aad(aad));
            let params = GcmParams::new(&mut nonce, &aad, ((TAG * 8) as u64).into())?;
            raw.decrypt(session, &CkMechanism::AesGcm(params), found.handle, ciphertext)
        }
        (Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1, KeyKind::Rsa(_)) => {
            raw.decrypt(session, &CkMechanism::RsaPkcsOaep(oaep(mechanism)), found.handle, blob)
        }
        _ => return Err(Error::Rejected.into()),
    };
    opened.map_err(Fault::from).map_err(|fault| if fault.lost().is_some() { fault } else { Error::Rejected.into() })
}

/// Decrypts a challenge that was made under the public half.
pub(super) fn decrypt_challenge(
    connection: &Connection,
    session: &Session,
    found: &Found,
    mechanism: Mechanism,
    sealed: &[u8],
) -> std::result::Result<SecretBytes, Fault> {
    decrypt(connection, session, found, mechanism, b"", sealed)
}

fn oaep(mechanism: Mechanism) -> PkcsOaepParams<'static> {
    let (hash, mask) = match mechanism {
        Mechanism::RsaOaepSha1 => (MechanismType::SHA1, PkcsMgfType::MGF1_SHA1),
        _ => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
    };
    PkcsOaepParams::new(hash, mask, PkcsOaepSource::empty())
}

/// Never empty, whatever the caller binds to.
fn gcm_aad(aad: &[u8]) -> Vec<u8> {
    [b"strongroom seal 1", aad].concat()
}
