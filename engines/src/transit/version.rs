//! One version of a key: its material, and its primitive prepared at first use.

use super::aside;
use super::cipher::Cipher;
use super::ecdsa::{self, Ecdsa};
use super::ed25519::{self, Ed25519};
use super::hash::Hash;
use super::key_type::KeyType;
use super::rsa::{self, Rsa};
use super::usage::Counter;
use super::{der, errors};
use aws_lc_rs::{hkdf, hmac};
use std::sync::{Arc, OnceLock};
use strongroom_clock::Timestamp;
use strongroom_mount::Error;
use strongroom_secret::SecretBytes;

/// What is secret of a version, and what is public.
pub(crate) struct Material {
    /// A cipher's or HMAC's key, an Ed25519 seed, an ECDSA scalar, RSA in PKCS#8; absent where only the public half was
    /// imported.
    pub(crate) secret: Option<SecretBytes>,
    /// Ed25519's 32 bytes, an uncompressed point, an RSAPublicKey; empty for symmetric keys.
    pub(crate) public: Vec<u8>,
}

/// One version of a key.
pub(crate) struct Version {
    pub(crate) kind: KeyType,
    pub(crate) created: Timestamp,
    pub(crate) material: Material,
    /// The key of this version's HMACs; for keys of type `hmac` it is the secret itself, and absent here.
    pub(crate) hmac: Option<SecretBytes>,
    /// `vault:v7:`
    pub(crate) prefix: Box<str>,
    pub(crate) counter: Arc<Counter>,
    prepared: OnceLock<Prepared>,
    mac: OnceLock<hmac::Key>,
}

enum Prepared {
    Cipher(Cipher),
    Ecdsa(Ecdsa),
    Ed25519(Ed25519),
    Rsa(Rsa),
}

impl Material {
    /// A new key. `size` is a number of bytes and counts for HMAC only.
    pub(crate) async fn generate(kind: KeyType, size: usize) -> Result<Material, Error> {
        let (secret, public) = match kind {
            KeyType::Ed25519 => ed25519::generate()?,
            KeyType::P256 | KeyType::P384 | KeyType::P521 => ecdsa::generate(kind)?,
            KeyType::Hmac => (SecretBytes::random(size).map_err(Error::us)?, vec![]),
            _ => match (kind.cipher_key_len(), kind.rsa()) {
                (Some(len), _) => (SecretBytes::random(len).map_err(Error::us)?, vec![]),
                (None, Some(size)) => aside::run(move || rsa::generate(size)).await??,
                (None, None) => return Err(Error::us("a key type of no family")),
            },
        };
        Ok(Material { secret: Some(secret), public })
    }

    /// A key that a client brings: raw bytes for symmetric keys, PKCS#8 for the others.
    pub(crate) fn import(kind: KeyType, brought: &SecretBytes) -> Result<Material, Error> {
        let halves = match kind {
            KeyType::Ed25519 => ed25519::import(brought.expose()),
            KeyType::P256 | KeyType::P384 | KeyType::P521 => ecdsa::import(kind, brought.expose())?,
            KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => rsa::import(kind, brought.expose())?,
            KeyType::Hmac => HMAC_SIZES.contains(&brought.len()).then(|| (copy(brought), vec![])),
            _ => (kind.cipher_key_len() == Some(brought.len())).then(|| (copy(brought), vec![])),
        };
        let (secret, public) = halves.ok_or_else(|| errors::not_importable(kind))?;
        Ok(Material { secret: Some(secret), public })
    }

    /// The same once more, wiped by itself.
    pub(crate) fn copy(&self) -> Material {
        Material { secret: self.secret.as_ref().map(copy), public: self.public.clone() }
    }

    /// A public key alone, from PEM.
    pub(crate) fn import_public(kind: KeyType, pem: &str) -> Result<Material, Error> {
        let spki = der::from_pem("PUBLIC KEY", pem).ok_or_else(|| errors::not_importable(kind))?;
        let public = match kind {
            KeyType::Ed25519 => ed25519::import_public(&spki),
            KeyType::P256 | KeyType::P384 | KeyType::P521 => ecdsa::import_public(kind, &spki)?,
            _ => rsa::import_public(kind, &spki),
        };
        Ok(Material { secret: None, public: public.ok_or_else(|| errors::not_importable(kind))? })
    }
}

/// Bytes that a key of type `hmac` may have.
pub(crate) const HMAC_SIZES: std::ops::RangeInclusive<usize> = 32..=512;

fn copy(secret: &SecretBytes) -> SecretBytes {
    SecretBytes::from_slice(secret.expose())
}

impl Version {
    pub(crate) fn new(
        kind: KeyType,
        number: u32,
        created: Timestamp,
        material: Material,
        hmac: Option<SecretBytes>,
        counter: Arc<Counter>,
    ) -> Version {
        Version {
            kind,
            created,
            material,
            hmac,
            prefix: format!("vault:v{number}:").into(),
            counter,
            prepared: OnceLock::new(),
            mac: OnceLock::new(),
        }
    }

    /// The cipher of a key that derives none; an error for keys that do not encrypt with one.
    pub(crate) fn cipher(&self) -> Result<&Cipher, Error> {
        match self.prepared()? {
            Prepared::Cipher(cipher) => Ok(cipher),
            _ => Err(self.wrong_family()),
        }
    }

    /// The cipher for one context (HKDF-SHA256, no salt, the context as info), and the nonce where it is made of the
    /// plaintext: the first bytes of HMAC-SHA256 under a second derived key.
    pub(crate) fn derived_cipher(
        &self,
        context: &[u8],
        convergent_over: Option<&[u8]>,
        convergent: bool,
    ) -> Result<(Cipher, Option<Vec<u8>>), Error> {
        let len = self.kind.cipher_key_len().ok_or_else(|| self.wrong_family())?;
        let derived = self.derive(context, if convergent { len + 32 } else { len })?;
        let (key, second) = derived.expose().split_at(len);
        let cipher = Cipher::new(self.kind, key, convergent)?;
        let nonce = convergent_over.filter(|_| convergent).map(|plaintext| {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, second), plaintext);
            tag.as_ref()[..self.kind.nonce_len()].to_vec()
        });
        Ok((cipher, nonce))
    }

    /// The Ed25519 key for one context: its seed is derived.
    pub(crate) fn derived_ed25519(&self, context: &[u8]) -> Result<(Ed25519, Vec<u8>), Error> {
        let seed = self.derive(context, 32)?;
        let public = ed25519::public_of(&seed)?;
        Ok((Ed25519::new(Some(&seed), &public)?, public))
    }

    fn derive(&self, context: &[u8], len: usize) -> Result<SecretBytes, Error> {
        struct Length(usize);
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                self.0
            }
        }
        let key = self.material.secret.as_ref().ok_or_else(errors::no_private_key)?;
        // Other servers' Ed25519 keys are seed ‖ public key, and both go into the derivation.
        let whole = match self.kind {
            KeyType::Ed25519 => SecretBytes::from_vec([key.expose(), &self.material.public].concat()),
            _ => copy(key),
        };
        let prk = hkdf::Salt::none(hkdf::HKDF_SHA256).extract(whole.expose());
        let mut filled = Ok(());
        let derived = SecretBytes::filled(len, |out| {
            filled = prk.expand(&[context], Length(len)).and_then(|okm| okm.fill(out));
        });
        filled.map_err(|_| Error::us("HKDF failed in the module"))?;
        Ok(derived)
    }

    pub(crate) fn ecdsa(&self) -> Result<&Ecdsa, Error> {
        match self.prepared()? {
            Prepared::Ecdsa(key) => Ok(key),
            _ => Err(self.wrong_family()),
        }
    }

    pub(crate) fn ed25519(&self) -> Result<&Ed25519, Error> {
        match self.prepared()? {
            Prepared::Ed25519(key) => Ok(key),
            _ => Err(self.wrong_family()),
        }
    }

    pub(crate) fn rsa(&self) -> Result<&Rsa, Error> {
        match self.prepared()? {
            Prepared::Rsa(key) => Ok(key),
            _ => Err(self.wrong_family()),
        }
    }

    /// The key of this version's HMACs; absent where only a public half was imported.
    pub(crate) fn hmac_key(&self) -> Result<&SecretBytes, Error> {
        let own = self.material.secret.as_ref().filter(|_| self.kind == KeyType::Hmac);
        self.hmac.as_ref().or(own).ok_or_else(errors::no_private_key)
    }

    /// HMAC with this version's key; `None` for a hash over which none is made.
    pub(crate) fn hmac(&self, hash: Hash, input: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let key = self.hmac_key()?;
        if hash != Hash::Sha256 {
            return Ok(hash.hmac(key, input));
        }
        let mac = self.mac.get_or_init(|| hmac::Key::new(hmac::HMAC_SHA256, key.expose()));
        Ok(Some(hmac::sign(mac, input).as_ref().to_vec()))
    }

    /// The public key as SubjectPublicKeyInfo; empty for symmetric keys.
    pub(crate) fn spki(&self) -> Result<Vec<u8>, Error> {
        match self.kind {
            KeyType::Ed25519 => Ok([der::SPKI_ED25519, &self.material.public].concat()),
            KeyType::P256 | KeyType::P384 | KeyType::P521 => ecdsa::spki(self.kind, &self.material.public),
            kind if kind.rsa().is_some() => Ok(der::spki_of_rsa(&self.material.public)),
            _ => Ok(vec![]),
        }
    }

    /// The secret half as import takes it: raw bytes, or PKCS#8; `None` without one.
    pub(crate) fn importable(&self) -> Result<Option<SecretBytes>, Error> {
        match self.kind {
            KeyType::Ed25519 => Ok(self.material.secret.as_ref().map(ed25519::pkcs8)),
            KeyType::P256 | KeyType::P384 | KeyType::P521 => self.ecdsa()?.pkcs8(),
            _ => Ok(self.material.secret.as_ref().map(copy)),
        }
    }

    /// Whether secret and public half belong together and fit the type.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.prepared().map(drop)
    }

    fn prepared(&self) -> Result<&Prepared, Error> {
        if let Some(prepared) = self.prepared.get() {
            return Ok(prepared);
        }
        let (secret, public) = (self.material.secret.as_ref(), &self.material.public);
        let made = match self.kind {
            KeyType::Ed25519 => Prepared::Ed25519(Ed25519::new(secret, public)?),
            KeyType::P256 | KeyType::P384 | KeyType::P521 => Prepared::Ecdsa(Ecdsa::new(self.kind, secret, public)?),
            kind if kind.rsa().is_some() => Prepared::Rsa(Rsa::new(secret, public)?),
            kind => {
                let key = secret.ok_or_else(|| self.wrong_family())?;
                Prepared::Cipher(Cipher::new(kind, key.expose(), false)?)
            }
        };
        Ok(self.prepared.get_or_init(|| made))
    }

    fn wrong_family(&self) -> Error {
        Error::us(format_args!("{} was asked for what it cannot do", self.kind.name()))
    }
}
