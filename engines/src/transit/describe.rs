//! A key as clients read it: all of its policy, no secret.

use super::key::{Copied, TransitKey};
use super::key_type::KeyType;
use super::version::Version;
use super::{der, text};
use strongroom_mount::json::Writer;
use strongroom_mount::{Error, Object, Response};

/// The answer to reading, making and changing a key. A derived Ed25519 key shows public keys for one context only.
pub(crate) fn answer(name: &str, key: &TransitKey, context: Option<&[u8]>) -> Result<Response, Error> {
    // Public keys are made first, since making them may fail.
    let mut versions = Vec::new();
    for (number, version) in key.visible() {
        let public = match context {
            _ if !key.policy.kind.asymmetric() => String::new(),
            None if key.policy.derived => String::new(),
            Some(context) if key.policy.derived => text::encode(&version.derived_ed25519(context)?.1),
            _ => public_key(version)?,
        };
        versions.push((number, version, public));
    }
    Ok(Response::data(Object::with_capacity(640 + 256 * versions.len(), |object| {
        policy(object, name, key);
        object.object("keys", |keys| {
            for (number, version, public) in &versions {
                let number = number.to_string();
                if !key.policy.kind.asymmetric() {
                    keys.value(&number, &version.created.unix());
                    continue;
                }
                keys.object(&number, |entry| {
                    entry.plain("certificate_chain", &[]);
                    entry.string("creation_time", &version.created.to_string());
                    entry.plain("name", &[key.policy.kind.version_name()]);
                    entry.string("public_key", public);
                });
            }
        });
    })))
}

/// A public key as clients write it: Ed25519 in base64, all others in PEM.
pub(crate) fn public_key(version: &Version) -> Result<String, Error> {
    match version.kind {
        KeyType::Ed25519 => Ok(text::encode(&version.material.public)),
        _ => Ok(der::pem("PUBLIC KEY", &version.spki()?, true).to_string()),
    }
}

fn policy(object: &mut Writer, name: &str, key: &TransitKey) {
    let policy = &key.policy;
    let kind = policy.kind;
    object.string("name", name);
    object.plain("type", &[kind.name()]);
    object.value("derived", &policy.derived);
    object.value("deletion_allowed", &policy.deletion_allowed);
    object.value("soft_deleted", &policy.soft_deleted);
    object.value("exportable", &policy.exportable);
    object.value("allow_plaintext_backup", &policy.plaintext_backup);
    object.value("latest_version", &policy.latest);
    object.value("min_available_version", &policy.min_available);
    object.value("min_decryption_version", &policy.min_decryption);
    object.value("min_encryption_version", &policy.min_encryption);
    object.value("supports_encryption", &kind.encrypts());
    object.value("supports_decryption", &kind.encrypts());
    object.value("supports_signing", &kind.signs());
    object.value("supports_derivation", &kind.derives());
    object.value("auto_rotate_period", &policy.auto_rotate);
    object.value("imported_key", &policy.imported);
    if policy.imported {
        object.value("imported_key_allow_rotation", &policy.imported_rotation);
    }
    if policy.derived {
        object.plain("kdf", &["hkdf_sha256"]);
        object.value("convergent_encryption", &policy.convergent);
        if policy.convergent {
            object.value("convergent_encryption_version", &-1);
        }
    }
    if policy.key_size != 0 {
        object.value("key_size", &policy.key_size);
    }
    copied(object, "backup_info", policy.backed_up);
    copied(object, "restore_info", policy.restored);
}

fn copied(object: &mut Writer, name: &str, copied: Option<Copied>) {
    let Some(copied) = copied else { return };
    object.object(name, |info| {
        info.string("time", &copied.time.to_string());
        info.value("version", &copied.version);
    });
}
