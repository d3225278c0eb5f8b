//! `backup/<name>`, `restore[/<name>]`: a key with all its versions in one text, as Vault and OpenBao write and read it.

use super::key::{Copied, Policy, TransitKey};
use super::key_type::KeyType;
use super::version::{Material, Version};
use super::{NAME, Transit, create, decimal, der, describe, ecdsa, ed25519, errors, is_name, name, rsa, text};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use strongroom_clock::Timestamp;
use strongroom_mount::{Answer, Ctx, Error, Kind, Method, Object, Operation, Param, Request, Response, Route};
use strongroom_secret::{SecretBytes, random};
use zeroize::{Zeroize, Zeroizing};

pub(super) const BACKUP: Route = Route {
    path: "backup/{name}",
    about: "A key with all its versions as one text in clear, where the key allows it.",
    methods: &[Method::new(Operation::Read, "Backs up.")],
    params: &[NAME],
    open: false,
};

pub(super) const RESTORE: Route = Route {
    path: "restore",
    about: "Restores a key from a backup under its own name.",
    methods: &[Method::new(Operation::Update, "Restores.")],
    params: &[TEXT, FORCE],
    open: false,
};

pub(super) const RESTORE_AS: Route = Route {
    path: "restore/{name...}",
    about: "Restores a key from a backup under another name.",
    methods: &[Method::new(Operation::Update, "Restores.")],
    params: &[NAME, TEXT, FORCE],
    open: false,
};

const TEXT: Param = Param::input("backup", Kind::String, "What backup gave.");
const FORCE: Param = Param::input("force", Kind::Bool, "Whether a key of that name is replaced.");

pub(super) fn backup<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let name = name(request)?;
        let time = cx.clock.now();
        let change = engine.keys.change(cx.view, &name, |key| {
            if !key.policy.exportable {
                return Err(errors::expected_500("exporting is disallowed on the policy".into()));
            }
            if !key.policy.plaintext_backup {
                return Err(errors::expected_500("plaintext backup is disallowed on the policy".into()));
            }
            key.policy.backed_up = Some(Copied { time, version: key.policy.latest });
            Ok(())
        });
        let key = change.await?.ok_or_else(|| Error::caller(format!("key {name:?} not found")))?;
        let written = written(&name, &key)?;
        let json = Zeroizing::new(serde_json::to_vec(&written).map_err(|_| Error::us("a backup does not serialise"))?);
        Ok(Response::data(Object::with_capacity(json.len() / 3 * 4 + 32, |object| object.base64("backup", "", &json))))
    })
}

pub(super) fn restore<'a>(engine: &'a Transit, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        let fields = &request.fields;
        let given = fields.string("backup")?.filter(|text| !text.is_empty());
        let given = given.ok_or_else(|| Error::caller("'backup' must be supplied"))?;
        let force = fields.bool("force")?.unwrap_or(false);
        let unread = |what| Error::caller(format!("failed to read the backup: {what}"));
        let json = text::decode(&given).map_err(|_| unread("it is not base64"))?;
        let written: Written = serde_json::from_slice(&json).map_err(|_| unread("it is not a backup of a key"))?;
        let name = fields.string("name")?.unwrap_or(written.policy.name.as_str().into()).into_owned();
        if name.contains('/') {
            return Err(Error::caller("key names cannot be paths"));
        }
        if !is_name(&name) {
            return Err(Error::caller("invalid key name"));
        }
        let mut key = read(engine, &written)?.ok_or_else(|| unread("a value in it is missing or does not fit"))?;
        key.policy.restored = Some(Copied { time: cx.clock.now(), version: key.policy.latest });
        if force {
            engine.keys.replace(cx.view, &name, &key).await?;
        } else if !engine.keys.create(cx.view, &name, &key).await? {
            return Err(errors::expected_500(format!("key {name:?} already exists")));
        }
        Ok(Response::none())
    })
}

/// The whole backup. Numbers larger than 64 bits stay texts.
#[derive(Serialize, Deserialize)]
struct Written {
    policy: WrittenPolicy,
    archived_keys: Archive,
}

#[derive(Serialize, Deserialize)]
struct WrittenPolicy {
    name: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    key_size: u16,
    keys: BTreeMap<String, WrittenVersion>,
    derived: bool,
    kdf: u8,
    convergent_encryption: bool,
    exportable: bool,
    min_decryption_version: u32,
    min_encryption_version: u32,
    latest_version: u32,
    archive_version: u32,
    #[serde(default)]
    archive_min_version: u32,
    #[serde(default)]
    min_available_version: u32,
    deletion_allowed: bool,
    convergent_version: i32,
    r#type: u8,
    backup_info: Option<WrittenCopied>,
    restore_info: Option<WrittenCopied>,
    allow_plaintext_backup: bool,
    #[serde(default)]
    version_template: String,
    #[serde(default)]
    storage_prefix: String,
    /// Nanoseconds.
    #[serde(default)]
    auto_rotate_period: u64,
    #[serde(default, rename = "Imported")]
    imported: bool,
    #[serde(default, rename = "AllowImportedKeyRotation")]
    imported_rotation: bool,
    #[serde(default)]
    soft_deleted: bool,
}

fn is_zero(number: &u16) -> bool {
    *number == 0
}

#[derive(Serialize, Deserialize)]
struct WrittenCopied {
    time: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Archive {
    /// The first is the version `archive_min_version`, or an empty one for version 0.
    keys: Vec<WrittenVersion>,
}

#[derive(Default, Serialize, Deserialize)]
struct WrittenVersion {
    key: Option<Secret>,
    hmac_key: Option<Secret>,
    time: String,
    ec_x: Option<Box<RawValue>>,
    ec_y: Option<Box<RawValue>>,
    ec_d: Option<Box<RawValue>>,
    rsa_key: Option<RsaPrivate>,
    rsa_public_key: Option<RsaPublic>,
    public_key: String,
    convergent_version: i32,
    creation_time: i64,
    certificate_chain: Option<Vec<String>>,
}

/// Secret bytes in base64, wiped when dropped.
#[derive(Serialize, Deserialize)]
struct Secret(String);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RsaPrivate {
    n: Box<RawValue>,
    e: Box<RawValue>,
    d: Box<RawValue>,
    primes: Vec<Box<RawValue>>,
    precomputed: RsaPrecomputed,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RsaPrecomputed {
    dp: Box<RawValue>,
    dq: Box<RawValue>,
    qinv: Box<RawValue>,
    #[serde(rename = "CRTValues")]
    crt_values: Option<Vec<serde_json::Value>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RsaPublic {
    n: Box<RawValue>,
    e: Box<RawValue>,
}

/// The version of convergent encryption that is spoken here, in versions of keys; in policies it is -1, "the latest".
const CONVERGENT: i32 = 3;

fn written(name: &str, key: &TransitKey) -> Result<Written, Error> {
    let policy = &key.policy;
    let one = |version: &Arc<Version>| written_version(version, policy.convergent);
    let keys = key.visible().map(|(number, version)| Ok((number.to_string(), one(version)?)));
    let keys = keys.collect::<Result<_, Error>>()?;
    // Where nothing is trimmed, an empty version 0 comes first.
    let empty = WrittenVersion { time: "0001-01-01T00:00:00Z".into(), ..WrittenVersion::default() };
    let mut archive: Vec<WrittenVersion> = (policy.min_available == 0).then_some(empty).into_iter().collect();
    for version in key.versions.values() {
        archive.push(one(version)?);
    }
    let copied = |copied: Option<Copied>| {
        copied.map(|copied| WrittenCopied { time: copied.time.to_string(), version: copied.version })
    };
    Ok(Written {
        policy: WrittenPolicy {
            name: name.to_owned(),
            key_size: policy.key_size,
            keys,
            derived: policy.derived,
            kdf: u8::from(policy.derived),
            convergent_encryption: policy.convergent,
            exportable: policy.exportable,
            min_decryption_version: policy.min_decryption,
            min_encryption_version: policy.min_encryption,
            latest_version: policy.latest,
            archive_version: policy.latest,
            archive_min_version: policy.min_available,
            min_available_version: policy.min_available,
            deletion_allowed: policy.deletion_allowed,
            convergent_version: if policy.convergent { -1 } else { 0 },
            r#type: policy.kind.number(),
            backup_info: copied(policy.backed_up),
            restore_info: copied(policy.restored),
            allow_plaintext_backup: policy.plaintext_backup,
            version_template: String::new(),
            storage_prefix: String::new(),
            auto_rotate_period: policy.auto_rotate.saturating_mul(1_000_000_000),
            imported: policy.imported,
            imported_rotation: policy.imported_rotation,
            soft_deleted: policy.soft_deleted,
        },
        archived_keys: Archive { keys: archive },
    })
}

fn written_version(version: &Version, convergent: bool) -> Result<WrittenVersion, Error> {
    let base64 = |bytes: &[u8]| Some(Secret(text::encode(bytes)));
    let secret = version.material.secret.as_ref();
    let mut written = WrittenVersion {
        hmac_key: version.hmac_key().ok().and_then(|key| base64(key.expose())),
        time: version.created.to_string(),
        convergent_version: if convergent { CONVERGENT } else { 0 },
        creation_time: version.created.unix(),
        ..WrittenVersion::default()
    };
    let public = &version.material.public;
    match version.kind {
        KeyType::Ed25519 => {
            let whole = secret.map(|seed| Zeroizing::new([seed.expose(), public].concat()));
            written.key = whole.and_then(|whole| base64(&whole));
            written.public_key = describe::public_key(version)?;
        }
        KeyType::P256 | KeyType::P384 | KeyType::P521 => {
            let (x, y) = public[1..].split_at((public.len() - 1) / 2);
            written.ec_x = Some(number(x)?);
            written.ec_y = Some(number(y)?);
            written.ec_d = secret.map(|scalar| number(scalar.expose())).transpose()?;
            written.public_key = describe::public_key(version)?;
        }
        kind if kind.rsa().is_some() => match secret {
            Some(pkcs8) => written.rsa_key = Some(rsa_private(pkcs8)?),
            None => {
                let broken = || Error::us("a public key is not an RSAPublicKey");
                let (content, _) = der::read(public, der::SEQUENCE).ok_or_else(broken)?;
                let (n, rest) = der::read_integer(content).ok_or_else(broken)?;
                let (e, _) = der::read_integer(rest).ok_or_else(broken)?;
                written.rsa_public_key = Some(RsaPublic { n: number(n)?, e: number(e)? });
            }
        },
        _ => written.key = secret.and_then(|key| base64(key.expose())),
    }
    Ok(written)
}

fn number(bytes: &[u8]) -> Result<Box<RawValue>, Error> {
    let digits = decimal::from_bytes(bytes);
    RawValue::from_string(digits.as_str().to_owned()).map_err(|_| Error::us("digits are not a number"))
}

/// The integers of RSAPrivateKey (RFC 8017 A.1.2): version, n, e, d, p, q, d mod p-1, d mod q-1, q^-1 mod p.
fn rsa_private(pkcs8: &SecretBytes) -> Result<RsaPrivate, Error> {
    let broken = || Error::us("an RSA key is not in PKCS#8");
    let pkcs1 = der::pkcs1_of_pkcs8(pkcs8.expose()).ok_or_else(broken)?;
    let (mut rest, _) = der::read(pkcs1, der::SEQUENCE).ok_or_else(broken)?;
    let mut next = || {
        let (bytes, after) = der::read_integer(rest).ok_or_else(broken)?;
        rest = after;
        number(bytes)
    };
    let _version = next()?;
    Ok(RsaPrivate {
        n: next()?,
        e: next()?,
        d: next()?,
        primes: vec![next()?, next()?],
        precomputed: RsaPrecomputed { dp: next()?, dq: next()?, qinv: next()?, crt_values: Some(vec![]) },
    })
}

/// `None` when a value is missing or does not fit.
fn read(engine: &Transit, written: &Written) -> Result<Option<TransitKey>, Error> {
    let from = &written.policy;
    let Some(kind) = KeyType::from_number(from.r#type) else { return Ok(None) };
    let convergent_versions = from.keys.values().all(|version| version.convergent_version == CONVERGENT);
    if from.convergent_encryption
        && !(from.convergent_version == -1 || from.convergent_version == CONVERGENT && convergent_versions)
    {
        return Err(Error::caller(
            "the backup's convergent encryption is older than version 3, which is not supported",
        ));
    }
    let copied = |copied: &Option<WrittenCopied>| {
        let copied = copied.as_ref()?;
        Some(Copied { time: copied.time.parse().ok()?, version: copied.version })
    };
    // The same rules as for a new key, which no backup may go round.
    let wish = create::Wish {
        kind,
        derived: from.derived,
        convergent: from.convergent_encryption,
        exportable: from.exportable,
        plaintext_backup: from.allow_plaintext_backup,
        auto_rotate: from.auto_rotate_period / 1_000_000_000,
        key_size: from.key_size.into(),
    };
    let policy = Policy {
        id: random::array().map_err(Error::us)?,
        deletion_allowed: from.deletion_allowed,
        imported: from.imported,
        imported_rotation: from.imported_rotation,
        soft_deleted: from.soft_deleted,
        latest: from.latest_version,
        min_decryption: from.min_decryption_version.max(1),
        min_encryption: from.min_encryption_version,
        min_available: from.min_available_version,
        backed_up: copied(&from.backup_info),
        ..create::policy(&wish)?
    };
    let bounded = policy.min_decryption <= policy.latest
        && policy.min_encryption <= policy.latest
        && policy.min_available <= policy.min_decryption;
    if !bounded || (policy.derived && from.kdf != 1) {
        return Ok(None);
    }
    let mut versions = BTreeMap::new();
    let mut add = |number: u32, version: &WrittenVersion| {
        let Some((created, material, hmac)) = read_version(kind, version)? else { return Ok(false) };
        let counter = engine.keys.counters().of(policy.id, number, 0);
        versions.insert(number, Arc::new(Version::new(kind, number, created, material, hmac, counter)));
        Ok::<_, Error>(true)
    };
    for (at, version) in written.archived_keys.keys.iter().enumerate() {
        let number = u32::try_from(at).ok().and_then(|at| from.archive_min_version.checked_add(at));
        let Some(number) = number else { return Ok(None) };
        if number >= from.min_available_version.max(1) && number <= from.latest_version && !add(number, version)? {
            return Ok(None);
        }
    }
    for (number, version) in &from.keys {
        let Ok(number) = number.parse() else { return Ok(None) };
        if number == 0 || number > from.latest_version || !add(number, version)? {
            return Ok(None);
        }
    }
    let least = policy.min_available.max(1);
    // Ends at the first number that is missing, so that a huge latest version costs nothing.
    let whole = (least..=policy.latest).all(|number| versions.contains_key(&number));
    Ok((whole && policy.latest >= 1).then_some(TransitKey { policy, versions }))
}

type Parts = (Timestamp, Material, Option<SecretBytes>);

fn read_version(kind: KeyType, written: &WrittenVersion) -> Result<Option<Parts>, Error> {
    let bytes = |secret: &Option<Secret>| {
        let decoded = text::decode(&secret.as_ref()?.0).ok()?;
        Some(SecretBytes::from_slice(&decoded))
    };
    let digits = |value: &Option<Box<RawValue>>, len| {
        let value = value.as_ref().filter(|value| value.get() != "null")?;
        decimal::to_bytes(value.get(), len)
    };
    let material = match kind {
        KeyType::Ed25519 => match bytes(&written.key).filter(|whole| whole.len() == 64) {
            Some(whole) => {
                let seed = SecretBytes::from_slice(&whole.expose()[..32]);
                let public = ed25519::public_of(&seed)?;
                (public == whole.expose()[32..]).then_some(Material { secret: Some(seed), public })
            }
            None => {
                let public = text::decode(&written.public_key).ok().filter(|key| key.len() == 32);
                public.map(|public| Material { secret: None, public: public.to_vec() })
            }
        },
        KeyType::P256 | KeyType::P384 | KeyType::P521 => {
            let len = Some(ecdsa::scalar_len(kind)?);
            let point = digits(&written.ec_x, len).zip(digits(&written.ec_y, len));
            let point = point.map(|(x, y)| [&[4], x.expose(), y.expose()].concat());
            point.map(|public| Material { secret: digits(&written.ec_d, len), public })
        }
        kind if kind.rsa().is_some() => read_rsa(kind, written)?,
        kind => {
            let fits = |key: &SecretBytes| Material::import(kind, key).ok();
            bytes(&written.key).and_then(|key| fits(&key))
        }
    };
    let Some(material) = material else { return Ok(None) };
    let created = written.time.parse().unwrap_or(Timestamp::from_unix(written.creation_time));
    let own = bytes(&written.hmac_key).filter(|_| kind != KeyType::Hmac);
    if own.is_none() && kind != KeyType::Hmac && material.secret.is_some() {
        return Ok(None);
    }
    // Halves that do not belong together fail here, not at first use.
    let version = Version::new(kind, 1, created, material, None, Arc::default());
    if kind != KeyType::Hmac && version.check().is_err() {
        return Ok(None);
    }
    Ok(Some((created, version.material, own)))
}

fn read_rsa(kind: KeyType, written: &WrittenVersion) -> Result<Option<Material>, Error> {
    let integer = |value: &RawValue| decimal::to_bytes(value.get(), None).map(|bytes| der::integer(bytes.expose()));
    if let Some(public) = &written.rsa_public_key {
        let parts = integer(&public.n).zip(integer(&public.e));
        let public = parts.map(|(n, e)| der::spki_of_rsa(&der::element(der::SEQUENCE, &[&n, &e])));
        let public = public.and_then(|spki| rsa::import_public(kind, &spki));
        return Ok(public.map(|public| Material { secret: None, public }));
    }
    let Some(key) = &written.rsa_key else { return Ok(None) };
    let [p, q] = &key.primes[..] else { return Ok(None) };
    let values = [&key.n, &key.e, &key.d, p, q, &key.precomputed.dp, &key.precomputed.dq, &key.precomputed.qinv];
    let Some(integers) = values.iter().map(|value| integer(value)).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let mut parts: Vec<&[u8]> = vec![&[der::INTEGER, 1, 0]];
    parts.extend(integers.iter().map(|integer| integer.as_slice()));
    let pkcs8 = der::pkcs8_of_pkcs1(&der::element(der::SEQUENCE, &parts));
    let halves = rsa::import(kind, &pkcs8)?;
    Ok(halves.map(|(pkcs8, public)| Material { secret: Some(pkcs8), public }))
}
