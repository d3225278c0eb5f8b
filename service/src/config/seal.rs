//! `seal "…" "name" { … }`: how a leaf of the seal tree is reached.
//!
//! Vault's environment names win over what the file says. With one seal of a kind the plain name is read
//! (`VAULT_HSM_PIN`); with several, the name with the leaf's behind it (`VAULT_HSM_PIN_hsm-a`).

use super::reader::Reader;
use super::secret::{self, Secret};
use std::path::PathBuf;
use std::sync::Arc;
use strongroom_hcl::{Block, Body, Placed, Position};
use strongroom_hsm::{KeyName, Limits, Mechanism, TokenName};
use strongroom_secret::SecretBytes;

/// A leaf and how it is reached.
pub struct Seal {
    /// Its name in `unseal_when`.
    pub name: String,
    /// What it is.
    pub kind: SealKind,
    /// Lower ones are asked first.
    pub priority: u32,
    /// It is configured and must not be used now.
    pub disabled: bool,
    /// Where it stands: `file:line`.
    pub place: String,
}

/// What a leaf is.
pub enum SealKind {
    /// A key in a PKCS#11 token.
    Pkcs11(Pkcs11Seal),
    /// A key of the configuration.
    Static(StaticSeal),
    /// Shares of custodians; how many is given at init.
    Shamir,
}

/// `seal "pkcs11"`.
pub struct Pkcs11Seal {
    /// `lib`
    pub library: PathBuf,
    /// `slot`, `token_label` or `token_serial`
    pub token: TokenName,
    /// `pin`
    pub pin: Secret,
    /// `key_label` or `key_id`
    pub key: KeyName,
    /// `mechanism` and `rsa_oaep_hash`; `None`: the best that the key and the token have.
    pub mechanism: Option<Mechanism>,
    /// `max_parallel` and `timeout`
    pub limits: Limits,
}

/// `seal "static"`.
pub struct StaticSeal {
    /// `current_key_id`
    pub current_key_id: String,
    /// `current_key`, 32 bytes.
    pub current_key: Arc<SecretBytes>,
    /// `previous_key_id` and `previous_key`.
    pub previous: Option<(String, Arc<SecretBytes>)>,
}

impl SealKind {
    /// The word of the stanza.
    pub fn name(&self) -> &'static str {
        match self {
            SealKind::Pkcs11(_) => "pkcs11",
            SealKind::Static(_) => "static",
            SealKind::Shamir => "shamir",
        }
    }
}

/// Reads all stanzas of all files; gives them by priority. Names must differ.
pub(super) fn read_all(reader: &mut Reader<'_>, blocks: Vec<Block>) -> Vec<Seal> {
    let words: Vec<String> = blocks.iter().map(|block| block.labels[0].value.clone()).collect();
    let mut seals: Vec<Seal> = Vec::new();
    for block in blocks {
        let alone = words.iter().filter(|word| **word == block.labels[0].value).count() == 1;
        let Some((seal, body, position)) = read(reader, block, alone) else { continue };
        if let Some(other) = seals.iter().find(|other| other.name == seal.name) {
            let text = format!(
                "two seals are named {:?} (the other at {}): give one of them a second label, seal \"{}\" \"NAME\"",
                seal.name,
                other.place,
                seal.kind.name()
            );
            reader.refuse(&body, position, text);
        }
        reader.finish(body);
        seals.push(seal);
    }
    // A stable sort: equal priorities keep the order of the files.
    seals.sort_by_key(|seal| seal.priority);
    seals
}

fn read(reader: &mut Reader<'_>, block: Block, alone: bool) -> Option<(Seal, Body, Position)> {
    let Block { position, labels, mut body } = block;
    let word = labels[0].value.clone();
    let label = labels.get(1).cloned();
    let name = reader.take(body.text("name")).or(label).map_or(word.clone(), |name| name.value);
    if !strongroom_unseal::expression::is_name(&name) {
        let text =
            format!("seal name {name:?}: use 1 to 64 of A-Z a-z 0-9 . _ - that are not all digits, any, all or of");
        reader.refuse(&body, position, text);
    }
    let priority = reader.take(body.int("priority")).map_or(0, |given| match u32::try_from(given.value) {
        Ok(priority) => priority,
        Err(_) => {
            reader.refuse(&body, given.position, "priority is a number from 0");
            0
        }
    });
    let disabled = reader.take(body.bool("disabled")).is_some_and(|flag| flag.value);
    let mut fields = Fields { suffix: (!alone).then(|| name.clone()), position };
    let kind = match word.as_str() {
        "pkcs11" => SealKind::Pkcs11(fields.pkcs11(reader, &mut body)?),
        "static" => SealKind::Static(fields.fixed(reader, &mut body)?),
        "shamir" => SealKind::Shamir,
        "transit" | "tpm" | "yubihsm" => {
            let text = format!("seal {word:?} is not in this version: use \"pkcs11\", \"static\" or \"shamir\"");
            reader.refuse(&body, position, text);
            return None;
        }
        "awskms" | "azurekeyvault" | "gcpckms" | "alicloudkms" | "ocikms" | "kmip" => {
            let text =
                format!("seal {word:?} is not offered: the root key stays with hardware that you hold (\"pkcs11\")");
            reader.refuse(&body, position, text);
            return None;
        }
        other => {
            let text = format!("unknown seal {other:?}: use \"pkcs11\", \"static\" or \"shamir\"");
            reader.refuse(&body, position, text);
            return None;
        }
    };
    let place = body.refuse(position, "").to_string();
    let place = place.split(": ").next().unwrap_or_default().to_owned();
    Some((Seal { name, kind, priority, disabled, place }, body, position))
}

/// Reads the values of one stanza, from the environment first.
struct Fields {
    /// What stands behind an environment name, where several seals are of one kind.
    suffix: Option<String>,
    position: Position,
}

impl Fields {
    fn text(
        &self,
        reader: &mut Reader<'_>,
        body: &mut Body,
        key: &'static str,
        variables: &[&str],
    ) -> Option<Placed<String>> {
        let written = reader.take(body.text(key));
        let names: Vec<String> = match &self.suffix {
            Some(suffix) => variables.iter().map(|name| format!("{name}_{suffix}")).collect(),
            None => variables.iter().map(ToString::to_string).collect(),
        };
        match reader.environment.first(names.iter().map(String::as_str)) {
            Some((_, value)) => {
                let position = written.map_or(self.position, |written| written.position);
                Some(Placed { value: value.to_owned(), position })
            }
            None => written,
        }
    }

    fn pkcs11(&mut self, reader: &mut Reader<'_>, body: &mut Body) -> Option<Pkcs11Seal> {
        let library = self.text(reader, body, "lib", &["VAULT_HSM_LIB", "BAO_HSM_LIB"]);
        if library.is_none() {
            reader.refuse(body, self.position, "lib is missing: the file of the PKCS#11 module");
        }
        let token = self.token(reader, body);
        let pin = self
            .text(reader, body, "pin", &["VAULT_HSM_PIN", "BAO_HSM_PIN"])
            .map(|given| secret::resolve(reader, body, "pin", given, true));
        if pin.is_none() {
            reader.refuse(body, self.position, "pin is missing: \"env://NAME\", \"file://PATH\" or \"prompt://\"");
        }
        let key = self.key(reader, body);
        let mechanism = self.mechanism(reader, body);
        let limits = self.limits(reader, body);
        if let Some(given) = reader.take(body.text("isolation")) {
            match given.value.as_str() {
                "thread" => {}
                "process" => {
                    reader.warn(body, given.position, "isolation = \"process\" has no effect yet: a thread is used")
                }
                _ => reader.refuse(body, given.position, "isolation must be \"process\" or \"thread\""),
            }
        }
        reader.no_effect(body, "generate_key", "make the key with `strongroom operator hsm keygen`");
        reader.without_effect(body, PKCS11_WITHOUT_EFFECT);
        Some(Pkcs11Seal { library: library?.value.into(), token: token?, pin: pin??, key: key?, mechanism, limits })
    }

    fn token(&self, reader: &mut Reader<'_>, body: &mut Body) -> Option<TokenName> {
        let slot = self.text(reader, body, "slot", &["VAULT_HSM_SLOT", "BAO_HSM_SLOT"]);
        let label = self.text(reader, body, "token_label", &["VAULT_HSM_TOKEN_LABEL", "BAO_HSM_TOKEN_LABEL"]);
        let serial = self.text(reader, body, "token_serial", &["VAULT_HSM_SERIAL", "BAO_HSM_SERIAL"]);
        let serial = reader.take(body.text("serial")).or(serial);
        match (slot, label, serial) {
            (Some(slot), None, None) => match number(&slot.value) {
                Some(number) => Some(TokenName::Slot(number)),
                None => {
                    reader.refuse(body, slot.position, "slot must be a number");
                    None
                }
            },
            (None, Some(label), None) => Some(TokenName::Label(label.value)),
            (None, None, Some(serial)) => Some(TokenName::Serial(serial.value)),
            (None, None, None) => {
                reader.refuse(body, self.position, "no token is named: give slot, token_label or token_serial");
                None
            }
            (slot, label, serial) => {
                let at = [slot, label, serial].into_iter().flatten().last().map_or(self.position, |last| last.position);
                reader.refuse(body, at, "the token is named twice: give one of slot, token_label, token_serial");
                None
            }
        }
    }

    fn key(&self, reader: &mut Reader<'_>, body: &mut Body) -> Option<KeyName> {
        let label = self.text(reader, body, "key_label", &["VAULT_HSM_KEY_LABEL", "BAO_HSM_KEY_LABEL"]);
        let default =
            self.text(reader, body, "default_key_label", &["VAULT_HSM_DEFAULT_KEY_LABEL", "BAO_HSM_DEFAULT_KEY_LABEL"]);
        let id = self.text(reader, body, "key_id", &["VAULT_HSM_KEY_ID", "BAO_HSM_KEY_ID"]);
        match (label.or(if id.is_none() { default } else { None }), id) {
            (Some(label), None) if !label.value.is_empty() => Some(KeyName::Label(label.value)),
            (Some(label), None) => {
                reader.refuse(body, label.position, "key_label is empty");
                None
            }
            (None, Some(id)) => {
                let digits = id.value.strip_prefix("0x").unwrap_or(&id.value);
                match hex::decode(digits) {
                    Ok(bytes) if !bytes.is_empty() => Some(KeyName::Id(bytes)),
                    _ => {
                        reader.refuse(body, id.position, "key_id must be hex digits");
                        None
                    }
                }
            }
            (None, None) => {
                reader.refuse(body, self.position, "no key is named: give key_label or key_id");
                None
            }
            (Some(_), Some(id)) => {
                reader.refuse(body, id.position, "the key is named twice: give key_label or key_id");
                None
            }
        }
    }

    fn mechanism(&self, reader: &mut Reader<'_>, body: &mut Body) -> Option<Mechanism> {
        let hash = self.text(reader, body, "rsa_oaep_hash", &["VAULT_HSM_RSA_OAEP_HASH", "BAO_HSM_RSA_OAEP_HASH"]);
        let given = self.text(reader, body, "mechanism", &["VAULT_HSM_MECHANISM", "BAO_HSM_MECHANISM"])?;
        match Mechanism::from_config(&given.value, hash.as_ref().map(|hash| hash.value.as_str())) {
            Ok(mechanism) => Some(mechanism),
            Err(error) => {
                reader.refuse(body, given.position, error.to_string());
                None
            }
        }
    }

    fn limits(&self, reader: &mut Reader<'_>, body: &mut Body) -> Limits {
        let mut limits = Limits::default();
        let threads = self.text(reader, body, "max_parallel", &["VAULT_HSM_MAX_PARALLEL", "BAO_HSM_MAX_PARALLEL"]);
        if let Some(given) = threads {
            match given.value.parse() {
                Ok(threads) => limits.threads = threads,
                Err(_) => reader.refuse(body, given.position, "max_parallel must be a number from 1 to 64"),
            }
        }
        if let Some(given) = reader.take(body.duration("timeout")) {
            limits.timeout = given.value;
        }
        limits.checked().unwrap_or_else(|error| {
            reader.refuse(body, self.position, error.to_string());
            Limits::default()
        })
    }

    fn fixed(&mut self, reader: &mut Reader<'_>, body: &mut Body) -> Option<StaticSeal> {
        let current_id = self.text(reader, body, "current_key_id", &["BAO_STATIC_SEAL_CURRENT_KEY_ID"]);
        let current = self.text(reader, body, "current_key", &["BAO_STATIC_SEAL_CURRENT_KEY"]);
        let previous_id = self.text(reader, body, "previous_key_id", &["BAO_STATIC_SEAL_PREVIOUS_KEY_ID"]);
        let previous = self.text(reader, body, "previous_key", &["BAO_STATIC_SEAL_PREVIOUS_KEY"]);
        let (Some(current_id), Some(current)) = (current_id, current) else {
            reader.refuse(body, self.position, "a static seal needs current_key_id and current_key");
            return None;
        };
        let current_key = static_key(reader, body, "current_key", current)?;
        let previous = match (previous_id, previous) {
            (None, None) => None,
            (Some(id), Some(key)) => {
                if id.value == current_id.value {
                    reader.refuse(body, id.position, "previous_key_id is current_key_id: name them apart");
                }
                Some((id.value, static_key(reader, body, "previous_key", key)?))
            }
            (Some(given), None) | (None, Some(given)) => {
                reader.refuse(body, given.position, "previous_key_id and previous_key go together");
                None
            }
        };
        Some(StaticSeal { current_key_id: current_id.value, current_key, previous })
    }
}

/// A key of 32 bytes: raw, 64 hex digits, or base64.
fn static_key(
    reader: &mut Reader<'_>,
    body: &Body,
    name: &'static str,
    given: Placed<String>,
) -> Option<Arc<SecretBytes>> {
    let position = given.position;
    let Some(Secret::Known(text)) = secret::resolve(reader, body, name, given, false) else { return None };
    let bytes = text.expose();
    let decoded = match bytes.len() {
        32 => return Some(text),
        64 => hex::decode(bytes).ok(),
        44 => base64_simd::STANDARD.decode_to_vec(bytes).ok(),
        43 => base64_simd::URL_SAFE_NO_PAD
            .decode_to_vec(bytes)
            .or_else(|_| base64_simd::STANDARD_NO_PAD.decode_to_vec(bytes))
            .ok(),
        _ => None,
    };
    let key = decoded.map(SecretBytes::from_vec).filter(|key| key.len() == 32);
    if key.is_none() {
        reader.refuse(body, position, format!("{name} must be 32 bytes: raw, 64 hex digits, or base64"));
    }
    key.map(Arc::new)
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

const PKCS11_WITHOUT_EFFECT: &[&str] = &[
    "hmac_key_label",
    "default_hmac_key_label",
    "hmac_key_id",
    "hmac_mechanism",
    "force_rw_session",
    "disable_software_encryption",
    "disallow_env_vars",
    "max_sessions",
];
