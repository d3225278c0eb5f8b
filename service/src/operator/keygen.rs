//! `operator hsm keygen`: a leaf's key, made on its device.

use super::{ledger, token};
use crate::config::Config;
use strongroom_hsm::{KeyKind, KeyName, Mechanism, NewKey};

/// Makes the key of a seal on its device, never exportable; refuses a label that exists. Gives a line that describes it.
///
/// `kind`: `aes-256`, `rsa-2048`, `rsa-3072`, `rsa-4096`; by default what the seal's mechanism needs.
///
/// # Errors
/// In words: what is wrong, and what to do.
pub async fn keygen(config: &Config, seal: Option<&str>, kind: Option<&str>) -> Result<String, String> {
    let (name, seal) = token(config, seal)?;
    let KeyName::Label(label) = &seal.key else {
        return Err(format!("seal {name:?} names its key by key_id: give it a key_label, the device draws the id"));
    };
    let kind = match (kind, seal.mechanism) {
        (Some("aes-256" | "aes256" | "aes"), _) => KeyKind::Aes256,
        (Some("rsa-2048"), _) => KeyKind::Rsa(2048),
        (Some("rsa-3072"), _) => KeyKind::Rsa(3072),
        (Some("rsa-4096"), _) => KeyKind::Rsa(4096),
        (Some(other), _) => return Err(format!("kind {other:?} is none of aes-256, rsa-2048, rsa-3072, rsa-4096")),
        (None, Some(Mechanism::RsaOaepSha256 | Mechanism::RsaOaepSha1)) => KeyKind::Rsa(3072),
        (None, _) => KeyKind::Aes256,
    };
    let told = |error: strongroom_hsm::Error| format!("seal {name:?}: {error}");
    let device = crate::custody::pkcs11(name, seal, &ledger(config)).map_err(told)?;
    let new = NewKey::new(label, kind).map_err(told)?;
    let made = device.generate_key(new).await.map_err(told)?;
    if let Some(weakness) = made.weakness {
        return Err(format!(
            "seal {name:?}: the token made a key that is too weak: {weakness}; delete it and use another token"
        ));
    }
    let identity = device.identity().await.map_err(told)?;
    Ok(format!(
        "made {} key {:?} with id {} on {} {} serial {}",
        made.kind,
        made.label,
        hex::encode(&made.id),
        identity.manufacturer,
        identity.model,
        identity.serial
    ))
}
