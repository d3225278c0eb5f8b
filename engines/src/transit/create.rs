//! How a key comes to be, whoever asks for it.

use super::key::{Policy, TransitKey};
use super::key_type::KeyType;
use super::version::{HMAC_SIZES, Material, Version};
use super::{Transit, errors};
use std::collections::BTreeMap;
use std::sync::Arc;
use strongroom_mount::{Ctx, Error};
use strongroom_secret::{SecretBytes, random};

/// What the caller wants of a new key.
pub(crate) struct Wish {
    pub(crate) kind: KeyType,
    pub(crate) derived: bool,
    pub(crate) convergent: bool,
    pub(crate) exportable: bool,
    pub(crate) plaintext_backup: bool,
    pub(crate) auto_rotate: u64,
    pub(crate) key_size: usize,
}

impl Wish {
    /// A key of this type with nothing allowed.
    pub(crate) fn of(kind: KeyType) -> Wish {
        Wish {
            kind,
            derived: false,
            convergent: false,
            exportable: false,
            plaintext_backup: false,
            auto_rotate: 0,
            key_size: 0,
        }
    }
}

/// Makes a key, unless one of that name came first; whether it was made.
pub(crate) async fn create(engine: &Transit, cx: &Ctx<'_>, name: &str, wish: Wish) -> Result<bool, Error> {
    let policy = policy(&wish)?;
    let material = Material::generate(wish.kind, wish.key_size).await?;
    let key = first(engine, cx, policy, material)?;
    engine.keys.create(cx.view, name, &key).await
}

/// A policy in which nothing contradicts itself.
pub(crate) fn policy(wish: &Wish) -> Result<Policy, Error> {
    let kind = wish.kind;
    if wish.convergent && !wish.derived {
        return Err(Error::caller("convergent encryption requires derivation to be enabled"));
    }
    if wish.derived && !kind.derives() {
        let name = kind.name();
        return Err(Error::caller(format!(
            "key derivation and convergent encryption not supported for keys of type {name}"
        )));
    }
    if wish.convergent && !kind.encrypts() {
        return Err(Error::caller(format!("convergent encryption not supported for keys of type {}", kind.name())));
    }
    match (kind, wish.key_size) {
        (KeyType::Hmac, 0) => {
            return Err(Error::caller("invalid key size for HMAC key, must be between 32 and 512 bytes"));
        }
        (KeyType::Hmac, size) if !HMAC_SIZES.contains(&size) => {
            return Err(Error::caller(format!("invalid key_size {size}")));
        }
        (KeyType::Hmac, _) | (_, 0) => {}
        _ => return Err(Error::caller(format!("key_size is not valid for algorithm {}", kind.name()))),
    }
    Ok(Policy {
        derived: wish.derived,
        convergent: wish.convergent,
        exportable: wish.exportable,
        plaintext_backup: wish.plaintext_backup,
        auto_rotate: period(wish.auto_rotate)?,
        key_size: u16::try_from(wish.key_size).map_err(Error::us)?,
        ..Policy::new(random::array().map_err(Error::us)?, kind)
    })
}

/// A period in which keys may rotate by themselves, in seconds.
pub(crate) fn period(seconds: u64) -> Result<u64, Error> {
    match seconds {
        1..3600 => Err(Error::caller("auto rotate period must be 0 to disable or at least an hour")),
        seconds => Ok(seconds),
    }
}

/// A key with its first version.
pub(crate) fn first(engine: &Transit, cx: &Ctx<'_>, policy: Policy, material: Material) -> Result<TransitKey, Error> {
    let mut key = TransitKey { policy, versions: BTreeMap::new() };
    let version = version(engine, cx, &key, material)?;
    key.push(version)?;
    Ok(key)
}

/// The version that comes next, with a key of its own for HMACs.
pub(crate) fn version(
    engine: &Transit,
    cx: &Ctx<'_>,
    key: &TransitKey,
    material: Material,
) -> Result<Arc<Version>, Error> {
    let (kind, number) = (key.policy.kind, key.next()?);
    let own = kind != KeyType::Hmac && material.secret.is_some();
    let hmac = own.then(|| SecretBytes::random(32)).transpose().map_err(Error::us)?;
    let counter = engine.keys.counters().of(key.policy.id, number, 0);
    Ok(Arc::new(Version::new(kind, number, cx.clock.now(), material, hmac, counter)))
}

/// A type by its name, or the error that names it.
pub(crate) fn kind(name: Option<&str>) -> Result<KeyType, Error> {
    match name {
        Some(name) if !name.is_empty() => KeyType::from_name(name).ok_or_else(|| errors::unknown_type(name)),
        _ => Ok(KeyType::Aes256),
    }
}
