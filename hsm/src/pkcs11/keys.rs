//! Keys on a token: found once, checked whenever they are found, made so that they stay.

use super::attributes::{ASKED, Attributes};
use super::connection::Connection;
use super::fault::Fault;
use super::{Pkcs11, proving, sealing};
use crate::{Error, KeyInfo, KeyKind, KeyName, Mechanism, NewKey, Result};
use cryptoki::error::{Error as CkError, RvError};
use cryptoki::mechanism::Mechanism as CkMechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use std::sync::{Arc, OnceLock};
use strongroom_secret::random;

/// A key that was found and is strong.
pub(super) struct Found {
    pub(super) handle: ObjectHandle,
    pub(super) info: KeyInfo,
    /// The public half of a pair.
    pub(super) public: Option<Vec<u8>>,
    /// A private key that decrypts; else it signs. Without meaning for a secret key.
    pub(super) decrypts: bool,
    /// What it seals by, once a round trip has shown that it works.
    pub(super) sealing: OnceLock<Mechanism>,
}

/// Enough to tell one key from several, and to list what an operator may have on a token.
const KEYS_MAX: usize = 10_000;

impl Pkcs11 {
    /// The key called `name`, from this connection's memory or from the token.
    pub(super) fn found(
        &self,
        connection: &Connection,
        session: &Session,
        name: &KeyName,
    ) -> std::result::Result<Arc<Found>, Fault> {
        if let Some(found) = connection.keys.lock().get(name) {
            return Ok(found.clone());
        }
        let found = Arc::new(self.find(connection, session, name)?);
        connection.keys.lock().insert(name.clone(), found.clone());
        Ok(found)
    }

    fn find(&self, connection: &Connection, session: &Session, name: &KeyName) -> std::result::Result<Found, Fault> {
        let wanted = match name {
            KeyName::Label(label) => Attribute::Label(label.clone().into_bytes()),
            KeyName::Id(id) => Attribute::Id(id.clone()),
        };
        let mut keys = self.read_keys(connection, session, &[wanted])?;
        let (handle, attributes) = match (keys.pop(), keys.pop()) {
            (Some(only), None) => only,
            (None, _) => {
                return Err(Error::NotFound(format!(
                    "token {} has no key {name}: make one with `strongroom operator hsm keygen`",
                    self.name
                ))
                .into());
            }
            (Some(_), Some(_)) => {
                return Err(Error::Config(format!(
                    "token {} has more than one key {name}: remove the wrong one, or name one by key_id",
                    self.name
                ))
                .into());
            }
        };
        let info = attributes.describe();
        if let Some(attribute) = info.weakness {
            return Err(Error::WeakKey { key: name.to_string(), attribute }.into());
        }
        let public = match (info.kind, attributes.public()) {
            (KeyKind::Aes256, _) => None,
            (_, Some(public)) => Some(public),
            (_, None) => self.public_half(connection, session, &info)?,
        };
        Ok(Found { handle, info, public, decrypts: attributes.decrypts(), sealing: OnceLock::new() })
    }

    /// Secret and private keys that match `template`, with their attributes.
    fn read_keys(
        &self,
        connection: &Connection,
        session: &Session,
        template: &[Attribute],
    ) -> std::result::Result<Vec<(ObjectHandle, Attributes)>, Fault> {
        let mut keys = Vec::new();
        for class in [ObjectClass::SECRET_KEY, ObjectClass::PRIVATE_KEY] {
            let template = [&[Attribute::Class(class), Attribute::Token(true)], template].concat();
            for handle in find(connection, session, &template)? {
                let attributes = Attributes(connection.library.raw.attributes(session, handle, ASKED)?);
                // Modules have been seen to match more than was asked.
                if attributes.is_secret() || attributes.is_private() {
                    keys.push((handle, attributes));
                }
            }
        }
        Ok(keys)
    }

    fn public_half(
        &self,
        connection: &Connection,
        session: &Session,
        info: &KeyInfo,
    ) -> std::result::Result<Option<Vec<u8>>, Fault> {
        let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(info.id.clone())];
        for handle in find(connection, session, &template)? {
            let attributes = Attributes(connection.library.raw.attributes(session, handle, ASKED)?);
            if let Some(public) = attributes.public() {
                return Ok(Some(public));
            }
        }
        Ok(None)
    }

    pub(super) fn list_keys(&self) -> Result<Vec<KeyInfo>> {
        self.with(|connection, session| {
            let keys = self.read_keys(connection, session, &[])?;
            Ok(keys.into_iter().map(|(_, attributes)| attributes.describe()).collect())
        })
    }

    /// Makes a key, reads it back, and destroys it again where the token did not make what was asked.
    pub(super) fn make_key(&self, new: &NewKey) -> Result<KeyInfo> {
        let id = random::array::<16>().map_err(|_| Error::Away("the random generator failed".into()))?;
        self.with_once(|connection, session| {
            let label = Attribute::Label(new.label().as_bytes().to_vec());
            if !find(connection, session, std::slice::from_ref(&label))?.is_empty() {
                return Err(Error::Exists(format!(
                    "token {} has an object with label {:?} already: choose another label",
                    self.name,
                    new.label()
                ))
                .into());
            }
            let writing = connection.writing_session()?;
            let made = match generate(connection, &writing, new, &id, true) {
                // Not every token knows CKA_COPYABLE; those that do must not let a copy loosen the rest.
                Err(CkError::Pkcs11(RvError::AttributeTypeInvalid | RvError::AttributeValueInvalid, _)) => {
                    generate(connection, &writing, new, &id, false)?
                }
                made => made?,
            };
            let name = KeyName::Id(id.to_vec());
            let checked = self.find(connection, session, &name).and_then(|found| {
                if found.info.kind != new.kind() {
                    let attribute = format!("it is {} where {} was asked for", found.info.kind, new.kind());
                    return Err(Error::WeakKey { key: name.to_string(), attribute }.into());
                }
                // A key that cannot do its work is not left behind either.
                if found.info.kind == KeyKind::P256 {
                    proving::sign_and_check(self, connection, session, &found)?;
                } else {
                    sealing::prove_use(self, connection, session, &found)?;
                }
                Ok(found.info)
            });
            if checked.is_err() {
                let _one = connection.library.objects.lock();
                for handle in made {
                    if let Err(error) = writing.destroy_object(handle) {
                        tracing::warn!(token = %self.name, "a key that was refused could not be destroyed: {error}");
                    }
                }
            }
            checked
        })
    }
}

/// C_FindObjects, bounded, and one at a time per library.
pub(super) fn find(
    connection: &Connection,
    session: &Session,
    template: &[Attribute],
) -> std::result::Result<Vec<ObjectHandle>, CkError> {
    let _one = connection.library.objects.lock();
    session.iter_objects(template)?.take(KEYS_MAX).collect()
}

fn generate(
    connection: &Connection,
    session: &Session,
    new: &NewKey,
    id: &[u8],
    copyable: bool,
) -> std::result::Result<Vec<ObjectHandle>, CkError> {
    let _one = connection.library.objects.lock();
    let mut secret = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Modifiable(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        Attribute::Label(new.label().as_bytes().to_vec()),
        Attribute::Id(id.to_vec()),
    ];
    if copyable {
        secret.push(Attribute::Copyable(false));
    }
    let public = |more: Vec<Attribute>| {
        let common = [
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Modifiable(false),
            Attribute::Wrap(false),
            Attribute::Label(new.label().as_bytes().to_vec()),
            Attribute::Id(id.to_vec()),
        ];
        [common.to_vec(), more].concat()
    };
    match new.kind() {
        KeyKind::Aes256 => {
            secret.extend([
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::AES),
                Attribute::ValueLen(32.into()),
                Attribute::Encrypt(true),
                Attribute::Decrypt(true),
                Attribute::Sign(false),
                Attribute::Verify(false),
                Attribute::Wrap(false),
            ]);
            Ok(vec![session.generate_key(&CkMechanism::AesKeyGen, &secret)?])
        }
        KeyKind::Rsa(bits) => {
            secret.extend([Attribute::Decrypt(true), Attribute::Sign(false)]);
            let public = public(vec![
                Attribute::ModulusBits(u64::from(bits).into()),
                Attribute::PublicExponent(vec![1, 0, 1]),
                Attribute::Encrypt(true),
                Attribute::Verify(false),
            ]);
            let (public, private) = session.generate_key_pair(&CkMechanism::RsaPkcsKeyPairGen, &public, &secret)?;
            Ok(vec![public, private])
        }
        KeyKind::P256 => {
            secret.extend([Attribute::Decrypt(false), Attribute::Sign(true)]);
            let public = public(vec![
                Attribute::EcParams(super::attributes::P256_OID.to_vec()),
                Attribute::Encrypt(false),
                Attribute::Verify(true),
            ]);
            let (public, private) = session.generate_key_pair(&CkMechanism::EccKeyPairGen, &public, &secret)?;
            Ok(vec![public, private])
        }
        // `NewKey` refuses every other kind.
        KeyKind::Other(_) => Err(CkError::NotSupported),
    }
}
