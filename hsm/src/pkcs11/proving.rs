//! Enrolling a token, and asking it to show that it is the enrolled one.

use super::connection::Connection;
use super::fault::Fault;
use super::keys::Found;
use super::{Pkcs11, sealing};
use crate::proof::{self, Asked};
use crate::{Challenge, DevicePin, Error, KeyKind, KeyName, Mechanism, Proof, Result};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism as CkMechanism, MechanismType};
use cryptoki::session::Session;
use strongroom_secret::SecretBytes;
use strongroom_secret::digest::sha256;

/// DigestInfo of SHA-256 (RFC 8017, section 9.2), for tokens that sign a digest only.
const SHA256_DIGEST_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

impl Pkcs11 {
    pub(super) fn enrol_key(&self, key: &KeyName) -> Result<DevicePin> {
        let kept = self.with(|connection, session| {
            let found = self.found(connection, session, key)?;
            let Some(public) = &found.public else { return Ok(None) };
            let by = challenge_for(self, connection, session, &found)?;
            let proof = Proof::PublicKey { by, key: public.clone() };
            Ok(Some(DevicePin { device: connection.identity.device_id(), proof }))
        })?;
        match kept {
            Some(pin) => Ok(pin),
            None => proof::probe(self, key),
        }
    }

    /// Identity first, without a login: a stranger never sees the PIN. From here on, connections are made to this
    /// device only.
    pub(super) fn prove_key(&self, key: &KeyName, pin: &DevicePin) -> Result<()> {
        pin.check_identity(self)?;
        *self.device.lock() = Some(pin.device);
        match &pin.proof {
            Proof::Probe { sealed, answer } => proof::check_probe(self, key, pin.device, sealed, answer),
            Proof::PublicKey { by, key: public } => {
                let passed = self.with(|connection, session| {
                    let found = self.found(connection, session, key)?;
                    if found.public.as_ref() != Some(public) {
                        return Ok(false);
                    }
                    answer(connection, session, &found, *by, public)
                })?;
                if passed { Ok(()) } else { Err(proof::other_key(key)) }
            }
        }
    }
}

/// The best way in which this key answers, tried.
fn challenge_for(
    token: &Pkcs11,
    connection: &Connection,
    session: &Session,
    found: &Found,
) -> std::result::Result<Challenge, Fault> {
    if found.decrypts {
        return Ok(match sealing::prove_use(token, connection, session, found)? {
            Mechanism::RsaOaepSha1 => Challenge::OaepSha1,
            _ => Challenge::OaepSha256,
        });
    }
    sign_and_check(token, connection, session, found)
}

/// Signs a fresh nonce and checks it with other code than signed; gives the way that worked.
pub(super) fn sign_and_check(
    token: &Pkcs11,
    connection: &Connection,
    session: &Session,
    found: &Found,
) -> std::result::Result<Challenge, Fault> {
    let ways: &[Challenge] = match found.info.kind {
        KeyKind::P256 => &[Challenge::Ecdsa],
        _ => &[Challenge::RsaPss, Challenge::RsaPkcs1],
    };
    let mut reason = None;
    if let Some(public) = &found.public {
        for by in ways {
            match answer(connection, session, found, *by, public) {
                Ok(true) => return Ok(*by),
                Ok(false) => reason = Some(wrong(token)),
                Err(fault) if fault.lost().is_some() => return Err(fault),
                Err(fault) => reason = Some(fault),
            }
        }
    }
    Err(reason.unwrap_or_else(|| {
        Error::Unsupported(format!("token {} does not tell the public half of {:?}", token.name, found.info.label))
            .into()
    }))
}

fn wrong(token: &Pkcs11) -> Fault {
    Error::Away(format!("token {} gives wrong results: its signature does not verify", token.name)).into()
}

/// Puts a fresh challenge to the private key and checks the answer under `public`.
fn answer(
    connection: &Connection,
    session: &Session,
    found: &Found,
    by: Challenge,
    public: &[u8],
) -> std::result::Result<bool, Fault> {
    match proof::challenge(by, public)? {
        Asked::Sign(message) => {
            let signature = sign(connection, session, found, by, &message)?;
            Ok(proof::check_signature(by, public, message.expose(), &signature))
        }
        Asked::Decrypt { sealed, value } => {
            let mechanism = if by == Challenge::OaepSha1 { Mechanism::RsaOaepSha1 } else { Mechanism::RsaOaepSha256 };
            match sealing::decrypt_challenge(connection, session, found, mechanism, &sealed) {
                Ok(opened) => Ok(opened.same_as(value.expose())),
                Err(Fault::Ours(Error::Rejected)) => Ok(false),
                Err(fault) => Err(fault),
            }
        }
    }
}

/// The hash is made here: not every token hashes.
fn sign(
    connection: &Connection,
    session: &Session,
    found: &Found,
    by: Challenge,
    message: &SecretBytes,
) -> std::result::Result<Vec<u8>, Fault> {
    let digest = sha256(&[message.expose()]);
    let raw = &connection.library.raw;
    Ok(match by {
        Challenge::Ecdsa => raw.sign(session, &CkMechanism::Ecdsa, found.handle, &digest)?,
        Challenge::RsaPss => {
            let params =
                PkcsPssParams { hash_alg: MechanismType::SHA256, mgf: PkcsMgfType::MGF1_SHA256, s_len: 32.into() };
            raw.sign(session, &CkMechanism::RsaPkcsPss(params), found.handle, &digest)?
        }
        _ => {
            let info = [&SHA256_DIGEST_INFO[..], &digest].concat();
            raw.sign(session, &CkMechanism::RsaPkcs, found.handle, &info)?
        }
    })
}
