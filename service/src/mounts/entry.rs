//! A mount as it is stored: one row each, below `mount/` of the system's storage (docs/formats/mount-table.md).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use strongroom_mount::json::Writer;
use strongroom_mount::{MountInfo, Object, TtlLimits};

/// The version byte of a row.
const VERSION: u8 = 1;

/// What kind of thing is mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A secrets engine.
    Secret,
    /// An auth method; its path begins with `auth/`.
    Auth,
}

impl Class {
    /// The audit log's word.
    pub fn name(self) -> &'static str {
        match self {
            Class::Secret => "secret",
            Class::Auth => "auth",
        }
    }
}

/// A mount's own settings. Zero and empty stand for the server's.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Seconds; 0 is the server's.
    pub default_lease_ttl: u64,
    /// Seconds; 0 is the server's.
    pub max_lease_ttl: u64,
    /// Kept for clients that read it back.
    pub force_no_cache: bool,
    /// Request fields that the audit log shows; `None` where they were never set.
    pub audit_non_hmac_request_keys: Option<Vec<String>>,
    /// Response fields that the audit log shows.
    pub audit_non_hmac_response_keys: Option<Vec<String>>,
    /// `hidden` or `unauth`; empty where it was never set.
    pub listing_visibility: String,
    /// Request headers that the backend may see.
    pub passthrough_request_headers: Option<Vec<String>>,
    /// Response headers that the backend may set.
    pub allowed_response_headers: Option<Vec<String>>,
    /// `default-service`, `default-batch`, `service` or `batch`; empty for a secrets engine.
    pub token_type: String,
    /// Seconds, thresholds: kept for login methods.
    pub user_lockout: Option<Lockout>,
}

/// When too many wrong logins lock a user out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lockout {
    /// Wrong logins that lock.
    pub threshold: u64,
    /// Seconds for which they lock.
    pub duration: u64,
    /// Seconds after which they are forgotten.
    pub counter_reset: u64,
    /// Whether nothing locks.
    pub disable: bool,
}

/// A mount as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where, with the slash at its end and `auth/` in front of an auth method: `transit/`.
    pub path: String,
    /// What kind of thing.
    pub class: Class,
    /// The name in `builtin`: `transit`.
    pub kind: String,
    /// For people.
    pub description: String,
    /// `transit_1a2b3c4d`: names it across moves.
    pub accessor: String,
    /// Names its storage: 32 hexadecimal digits.
    pub id: String,
    /// Kept for clients that read it back.
    pub local: bool,
    /// Kept for clients that read it back: every row is sealed the same way here.
    pub seal_wrap: bool,
    /// Kept for clients that read it back.
    pub external_entropy_access: bool,
    /// Options as given: `version` of KV. `None` where none were.
    pub options: Option<BTreeMap<String, String>>,
    /// Settings.
    pub tuning: Tuning,
}

impl Entry {
    /// A new mount of `kind` at `path`, with an accessor and a storage of its own.
    ///
    /// # Errors
    /// The random generator's.
    pub fn new(path: &str, kind: &str) -> Result<Self, strongroom_keystore::Error> {
        let id: [u8; 16] = strongroom_secret::random::array()?;
        let accessor: [u8; 4] = strongroom_secret::random::array()?;
        let class = if path.starts_with("auth/") { Class::Auth } else { Class::Secret };
        let prefix = if class == Class::Auth { "auth_" } else { "" };
        Ok(Entry {
            path: path.to_owned(),
            class,
            kind: kind.to_owned(),
            description: String::new(),
            accessor: format!("{prefix}{kind}_{}", hex::encode(accessor)),
            id: hex::encode(id),
            local: false,
            seal_wrap: false,
            external_entropy_access: false,
            options: None,
            tuning: Tuning::default(),
        })
    }

    /// A row's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // Strings, numbers, booleans and maps of strings serialise.
        serde_json::to_writer(&mut bytes, self).expect("a mount serialises");
        bytes
    }

    /// Reads a row.
    ///
    /// # Errors
    /// A row of another version, or of none.
    pub fn decode(bytes: &[u8]) -> Result<Self, strongroom_keystore::Error> {
        let damaged = |reason: String| strongroom_keystore::Error::Format(format!("a row of the mount table {reason}"));
        match bytes {
            [VERSION, json @ ..] => {
                let entry: Entry =
                    serde_json::from_slice(json).map_err(|error| damaged(format!("is damaged: {error}")))?;
                match entry.storage() {
                    Some(_) => Ok(entry),
                    None => Err(damaged("names no storage".into())),
                }
            }
            [version, ..] => Err(damaged(format!("has version {version}; this program knows {VERSION}"))),
            [] => Err(damaged("is empty".into())),
        }
    }

    /// The storage that it names; `None` when the id is not 32 hexadecimal digits.
    pub fn storage(&self) -> Option<strongroom_keystore::MountId> {
        Entry::storage_of(&self.id)
    }

    /// The storage that an id names.
    pub(super) fn storage_of(id: &str) -> Option<strongroom_keystore::MountId> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(id, &mut bytes).ok()?;
        Some(strongroom_keystore::MountId(bytes))
    }

    /// Where it is mounted as clients name it: without `auth/`.
    pub fn short_path(&self) -> &str {
        match self.class {
            Class::Auth => self.path.strip_prefix("auth/").unwrap_or(&self.path),
            Class::Secret => &self.path,
        }
    }

    /// Effective limits, the server's where it has none of its own.
    pub fn ttl(&self, server: TtlLimits) -> TtlLimits {
        let own = |seconds: u64, server: Duration| if seconds == 0 { server } else { Duration::from_secs(seconds) };
        let max = own(self.tuning.max_lease_ttl, server.max);
        TtlLimits { default: own(self.tuning.default_lease_ttl, server.default).min(max), max }
    }

    /// What a backend knows of it.
    pub fn info(&self, server: TtlLimits) -> MountInfo {
        MountInfo {
            path: Arc::from(self.path.as_str()),
            accessor: Arc::from(self.accessor.as_str()),
            options: self.options.clone().unwrap_or_default(),
            ttl: self.ttl(server),
        }
    }

    /// The fields of `sys/mounts`.
    pub fn write(&self, out: &mut Writer) {
        out.string("accessor", &self.accessor);
        out.object("config", |config| self.tuning.write(config));
        out.string("deprecation_status", "supported");
        out.string("description", &self.description);
        out.value("external_entropy_access", &self.external_entropy_access);
        out.value("local", &self.local);
        out.value("options", &self.options);
        out.string("plugin_version", "");
        out.string("running_plugin_version", concat!("v", env!("CARGO_PKG_VERSION"), "+builtin"));
        out.string("running_sha256", "");
        out.value("seal_wrap", &self.seal_wrap);
        out.string("type", &self.kind);
        out.string("uuid", &self.uuid());
    }

    /// All of it as one object.
    pub fn object(&self) -> Object {
        Object::build(|out| self.write(out))
    }

    fn uuid(&self) -> String {
        let id = &self.id;
        format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..])
    }
}

impl Tuning {
    fn write(&self, out: &mut Writer) {
        out.value("default_lease_ttl", &self.default_lease_ttl);
        out.value("force_no_cache", &self.force_no_cache);
        out.value("max_lease_ttl", &self.max_lease_ttl);
        self.write_lists(out);
        if !self.token_type.is_empty() {
            out.string("token_type", &self.token_type);
        }
        if let Some(lockout) = &self.user_lockout {
            out.object("user_lockout_config", |out| lockout.write(out));
        }
    }

    /// What is shown only where it was set.
    pub fn write_lists(&self, out: &mut Writer) {
        for (name, list) in [
            ("audit_non_hmac_request_keys", &self.audit_non_hmac_request_keys),
            ("audit_non_hmac_response_keys", &self.audit_non_hmac_response_keys),
            ("passthrough_request_headers", &self.passthrough_request_headers),
            ("allowed_response_headers", &self.allowed_response_headers),
        ] {
            if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
                out.strings(name, list.iter().map(String::as_str));
            }
        }
        if !self.listing_visibility.is_empty() {
            out.string("listing_visibility", &self.listing_visibility);
        }
    }
}

impl Lockout {
    /// The four fields.
    pub fn write(&self, out: &mut Writer) {
        out.value("user_lockout_counter_reset_duration", &self.counter_reset);
        out.value("user_lockout_disable", &self.disable);
        out.value("user_lockout_duration", &self.duration);
        out.value("user_lockout_threshold", &self.threshold);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn entry(path: &str, kind: &str) -> Entry {
        Entry {
            path: path.into(),
            class: if path.starts_with("auth/") { Class::Auth } else { Class::Secret },
            kind: kind.into(),
            description: String::new(),
            accessor: format!("{kind}_00000000"),
            id: "00112233445566778899aabbccddeeff".into(),
            local: false,
            seal_wrap: false,
            external_entropy_access: false,
            options: None,
            tuning: Tuning::default(),
        }
    }

    /// The worked example of docs/formats/mount-table.md.
    const EXAMPLE: &str = concat!(
        "\u{1}{\"path\":\"transit/\",\"class\":\"secret\",\"kind\":\"transit\",\"description\":\"\",",
        "\"accessor\":\"transit_00000000\",\"id\":\"00112233445566778899aabbccddeeff\",\"local\":false,",
        "\"seal_wrap\":false,\"external_entropy_access\":false,\"options\":null,\"tuning\":{\"default_lease_ttl\":0,",
        "\"max_lease_ttl\":0,\"force_no_cache\":false,\"audit_non_hmac_request_keys\":null,",
        "\"audit_non_hmac_response_keys\":null,\"listing_visibility\":\"\",\"passthrough_request_headers\":null,",
        "\"allowed_response_headers\":null,\"token_type\":\"\",\"user_lockout\":null}}"
    );

    #[test]
    fn the_worked_example_is_read_and_written() {
        let want = entry("transit/", "transit");
        assert_eq!(Entry::decode(EXAMPLE.as_bytes()).unwrap(), want);
        assert_eq!(want.encode(), EXAMPLE.as_bytes());
        let document = include_str!("../../../docs/formats/mount-table.md");
        assert!(document.contains(&EXAMPLE[1..]), "the document shows another example");
    }

    #[test]
    fn damaged_rows_and_rows_of_another_version_are_refused() {
        for row in [&b""[..], b"\x02{}", b"\x01{}", b"\x01", b"\x01[]"] {
            assert!(Entry::decode(row).is_err(), "{row:?}");
        }
        let foreign = EXAMPLE.replace("ddeeff\"", "ddee\"");
        assert!(Entry::decode(foreign.as_bytes()).is_err());
        let unknown = EXAMPLE.replace("\"local\"", "\"local2\"");
        assert!(Entry::decode(unknown.as_bytes()).is_err());
    }

    #[test]
    fn limits_are_the_servers_where_the_mount_has_none() {
        let server = TtlLimits { default: Duration::from_secs(100), max: Duration::from_secs(200) };
        let mut mount = entry("a/", "transit");
        assert_eq!((mount.ttl(server).default.as_secs(), mount.ttl(server).max.as_secs()), (100, 200));
        mount.tuning.max_lease_ttl = 50;
        assert_eq!((mount.ttl(server).default.as_secs(), mount.ttl(server).max.as_secs()), (50, 50));
    }
}
