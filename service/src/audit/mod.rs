//! The audit log: what every device must hold before a request happens, and before its answer leaves.
//!
//! Devices come from the configuration and are open before the store is; each masks secrets under a salt of its own, which
//! lies in the store, so that it writes only while unsealed. A line that no device can hold stops its request.

mod entry;
mod gather;
mod mask;
mod sink;
mod spare;
mod token;

pub use entry::{Answered, Asked, Mounted};
pub use gather::Offer;
pub use mask::PREFIX;
pub use sink::Sink;

use entry::{Hand, Line};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use strongroom_clock::Timestamp;
use strongroom_keystore::View;
use strongroom_secret::mac::HmacKey;
use token::{Signature, Signatures};

/// A device of the configuration, open and not yet salted.
pub struct Configured {
    config: crate::config::Audit,
    sink: Sink,
    raw: bool,
    mask_accessors: bool,
}

impl Configured {
    /// Opens the device.
    ///
    /// # Errors
    /// An option that is not understood, or a file that cannot be opened, in words.
    pub fn open(config: &crate::config::Audit) -> Result<Arc<Self>, String> {
        let option = |name: &str| config.options.get(name).map(String::as_str);
        let wrong = |name: &str, text: &str| format!("audit device {:?}: option {name}: {text}", config.path);
        let flag = |name: &str, default: bool| match option(name) {
            None | Some("") => Ok(default),
            Some(text) => crate::request::parse_go_bool(text).ok_or_else(|| wrong(name, "must be true or false")),
        };
        if config.kind != "file" {
            return Err(format!("audit device {:?}: type {:?} is not known; file is", config.path, config.kind));
        }
        let path = option("file_path").or(option("path")).filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| wrong("file_path", "is missing"))?;
        if let Some(format) = option("format").filter(|format| *format != "json") {
            return Err(wrong("format", &format!("{format:?} is not known; json is")));
        }
        if option("prefix").is_some_and(|prefix| !prefix.is_empty()) {
            return Err(wrong("prefix", "is not offered"));
        }
        let mode = match option("mode").filter(|mode| !mode.is_empty()) {
            None | Some("0000") => 0o600,
            Some(text) => u32::from_str_radix(text.trim_start_matches("0o"), 8)
                .ok()
                .filter(|mode| *mode <= 0o777)
                .ok_or_else(|| wrong("mode", "must be an octal number such as 0600"))?,
        };
        let (raw, mask_accessors) = (flag("log_raw", false)?, flag("hmac_accessor", true)?);
        let sink =
            Sink::open(Path::new(path), mode).map_err(|error| format!("audit device {:?}: {error}", config.path))?;
        Ok(Arc::new(Configured { config: config.clone(), sink, raw, mask_accessors }))
    }

    /// Opens the file again, after it was moved away.
    ///
    /// # Errors
    /// What the system says; the old file goes on being used.
    pub fn reopen(&self) -> std::io::Result<()> {
        self.sink.reopen()
    }
}

/// A device that can write.
struct Device {
    configured: Arc<Configured>,
    key: HmacKey,
    signatures: Signatures,
}

impl Device {
    fn hand(&self) -> Hand<'_> {
        Hand { key: &self.key, raw: self.configured.raw, mask_accessors: self.configured.mask_accessors }
    }

    fn signature(&self, asked: &Asked<'_>) -> Arc<Signature> {
        let make = || self.hand().signature(asked.caller, asked.token, asked.token_type);
        if asked.token_type.is_empty() { Arc::new(make()) } else { self.signatures.of(asked.caller, make) }
    }
}

/// All devices.
pub struct Audit {
    devices: Vec<Device>,
}

/// The request's line is held by a device, or no device is configured. Its response is owed: [`Audit::answered`].
pub struct Held {
    lines: Vec<Line>,
}

/// No device could hold the line.
#[derive(Debug, thiserror::Error)]
#[error("no audit device could hold the entry")]
pub struct NotHeld;

impl Audit {
    /// Gives the devices their salts from `view`, and makes those that are not there yet.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(configured: &[Arc<Configured>], view: &View) -> Result<Self, strongroom_keystore::Error> {
        let mut devices = Vec::with_capacity(configured.len());
        for device in configured {
            let path = format!("salt/{}", device.config.path.trim_end_matches('/'));
            let key = match view.get(&path).await? {
                Some(row) => HmacKey::new(row.value.expose()),
                None => {
                    let mut salt = zeroize::Zeroizing::new([0; 32]);
                    strongroom_secret::random::fill(&mut salt[..])?;
                    view.put(&path, &salt[..]).await?;
                    HmacKey::new(&salt[..])
                }
            };
            devices.push(Device { configured: device.clone(), key, signatures: Signatures::default() });
        }
        if devices.is_empty() {
            tracing::warn!("no audit device is configured: requests are served and not recorded");
        }
        Ok(Audit { devices })
    }

    /// Writes the request's line. Returns when a device holds it.
    ///
    /// # Errors
    /// [`NotHeld`]: the request must not happen.
    pub async fn asked(&self, asked: &Asked<'_>) -> Result<Held, NotHeld> {
        let lines: Vec<Line> =
            self.devices.iter().map(|device| Line::asked(&device.hand(), &device.signature(asked), asked)).collect();
        self.write(&lines).await?;
        Ok(Held { lines })
    }

    /// Writes the response's line. Returns when a device holds it.
    ///
    /// # Errors
    /// [`NotHeld`]: the answer must not leave.
    pub async fn answered(
        &self,
        held: Held,
        mount: Option<Mounted<'_>>,
        time: Timestamp,
        answer: &Answered<'_>,
    ) -> Result<(), NotHeld> {
        let lines: Vec<Line> = self
            .devices
            .iter()
            .zip(held.lines)
            .map(|(device, line)| line.answered(&device.hand(), mount, time, answer))
            .collect();
        self.write(&lines).await
    }

    /// Each device is offered its line; only when none has taken one is a busy device waited for.
    async fn write(&self, lines: &[Line]) -> Result<(), NotHeld> {
        let mut held = self.devices.is_empty();
        let mut busy = Vec::new();
        for (device, line) in self.devices.iter().zip(lines) {
            match device.configured.sink.offer(line.as_bytes()).await {
                Offer::Held => held = true,
                Offer::Busy => busy.push((device, line)),
                Offer::Failed(error) => failed(device, &error),
            }
        }
        for (device, line) in busy {
            if held {
                failed(device, &std::io::ErrorKind::WouldBlock.into());
                continue;
            }
            match device.configured.sink.insist(line.as_bytes()).await {
                Ok(()) => held = true,
                Err(error) => failed(device, &error),
            }
        }
        if held { Ok(()) } else { Err(NotHeld) }
    }

    /// What a device would write for `input`; `None` when there is no such device.
    pub fn hash(&self, device: &str, input: &str) -> Option<String> {
        let device = self.devices.iter().find(|held| held.configured.config.path == device)?;
        Some(format!("{PREFIX}{}", hex::encode(device.key.sign(&[input.as_bytes()]))))
    }

    /// Each device's configuration, by path.
    pub fn devices(&self) -> BTreeMap<&str, &crate::config::Audit> {
        self.devices.iter().map(|device| (device.configured.config.path.as_str(), &device.configured.config)).collect()
    }
}

fn failed(device: &Device, error: &std::io::Error) {
    tracing::error!(device = device.configured.config.path, %error, "the audit device did not take an entry");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::RequestId;
    use serde_json::Value;
    use strongroom_mount::{Auth, Caller, Fields, Object, Param, Response};

    fn config(path: &Path, options: &[(&str, &str)]) -> crate::config::Audit {
        let mut held: BTreeMap<String, String> =
            options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        held.insert("file_path".into(), path.to_str().unwrap().into());
        crate::config::Audit {
            kind: "file".into(),
            path: "file/".into(),
            description: String::new(),
            local: false,
            options: held,
        }
    }

    fn audit(configured: &[Arc<Configured>]) -> Audit {
        let device = |configured: &Arc<Configured>| Device {
            configured: configured.clone(),
            key: HmacKey::new(b"salt"),
            signatures: Signatures::default(),
        };
        Audit { devices: configured.iter().map(device).collect() }
    }

    fn caller() -> Caller {
        Caller {
            key: "stored-key".into(),
            accessor: "an-accessor".into(),
            display_name: "token".into(),
            policies: Arc::new(["default".to_owned()]),
            ..Caller::nobody(None)
        }
    }

    fn asked<'a>(id: &'a RequestId, caller: &'a Caller, fields: &'a Fields) -> Asked<'a> {
        static PARAMS: [Param; 1] = [Param::path("name", "")];
        Asked {
            time: Timestamp::from_unix(1_500_000_000),
            id,
            operation: "update",
            path: "transit/encrypt/k",
            mount: Some(Mounted {
                point: "transit/",
                kind: "transit",
                accessor: "transit_1",
                class: "secret",
                plain_request: &[],
                plain_response: &[],
                own_data: false,
            }),
            fields: Some(fields),
            params: &PARAMS,
            caller,
            token: Some("hvs.secret-token"),
            token_type: "service",
            allowed: true,
            remote: "[::1]:99".parse().unwrap(),
            wrap_ttl: 0,
            error: "",
        }
    }

    #[tokio::test]
    async fn both_lines_say_what_vaults_say_and_hold_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let audit = audit(&[Configured::open(&config(&path, &[])).unwrap()]);
        let (id, caller) = (RequestId::next(), caller());
        let mut fields =
            Fields::from_json(bytes::Bytes::from_static(b"{\"plaintext\":\"c2VjcmV0\",\"key_version\":3}")).unwrap();
        fields.capture("name", "k");
        let asked = asked(&id, &caller, &fields);
        let held = audit.asked(&asked).await.unwrap();
        let response = Response::data(Object::build(|data| data.string("ciphertext", "vault:v1:hush")));
        let auth = Auth {
            client_token: zeroize::Zeroizing::new("hvs.made-token".into()),
            accessor: "made-accessor".into(),
            policies: vec!["default".into()],
            token_policies: vec!["default".into()],
            identity_policies: vec![],
            metadata: Some([("user".to_owned(), "meta-secret".to_owned())].into()),
            lease_duration: 60,
            renewable: true,
            entity_id: String::new(),
            token_type: "service",
            orphan: false,
            num_uses: 0,
        };
        let answer =
            Answered { data: response.data.as_ref(), auth: Some(&auth), error: "an error", ..Answered::default() };
        audit.answered(held, asked.mount, Timestamp::from_unix(1_500_000_001), &answer).await.unwrap();

        let text = std::fs::read_to_string(&path).unwrap();
        for secret in ["c2VjcmV0", "hvs.", "hush", "an-accessor", "made-accessor", "meta-secret"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [first, second] = &lines[..] else { panic!("two lines: {text}") };
        let mask = |text: &str| Value::String(audit.hash("file/", text).unwrap());
        assert_eq!(first["type"], "request");
        assert_eq!(first["time"], "2017-07-14T02:40:00.000000000Z");
        assert_eq!(first["auth"]["client_token"], mask("hvs.secret-token"));
        assert_eq!(first["auth"]["accessor"], mask("an-accessor"));
        assert_eq!(first["auth"]["policies"], serde_json::json!(["default"]));
        assert_eq!(first["auth"]["policy_results"]["allowed"], true);
        assert_eq!(first["auth"]["token_type"], "service");
        let request = &first["request"];
        assert_eq!(request["id"], id.as_str());
        assert_eq!(request["operation"], "update");
        assert_eq!(request["path"], "transit/encrypt/k");
        assert_eq!(request["mount_type"], "transit");
        assert_eq!(request["client_token"], mask("hvs.secret-token"));
        assert_eq!(request["remote_address"], "::1");
        assert_eq!(request["remote_port"], 99);
        assert_eq!(request["data"], serde_json::json!({"plaintext": mask("c2VjcmV0"), "key_version": 3}));
        assert!(first.get("error").is_none() && first.get("response").is_none());

        assert_eq!(second["type"], "response");
        assert_eq!(second["time"], "2017-07-14T02:40:01.000000000Z");
        assert_eq!((&second["auth"], &second["request"]), (&first["auth"], &first["request"]));
        assert_eq!(second["response"]["data"]["ciphertext"], mask("vault:v1:hush"));
        assert_eq!(second["response"]["auth"]["client_token"], mask("hvs.made-token"));
        assert_eq!(second["response"]["auth"]["metadata"]["user"], mask("meta-secret"));
        assert_eq!(second["error"], "an error");
    }

    #[tokio::test]
    async fn nobody_and_nothing_are_lines_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let audit = audit(&[Configured::open(&config(&path, &[])).unwrap()]);
        let (id, nobody) = (RequestId::next(), Caller::nobody(None));
        let fields = Fields::default();
        let mut asked = asked(&id, &nobody, &fields);
        (asked.token_type, asked.mount, asked.fields) = ("", None, None);
        (asked.allowed, asked.error) = (false, "permission denied");
        let held = audit.asked(&asked).await.unwrap();
        audit
            .answered(held, None, asked.time, &Answered { error: "permission denied", ..Answered::default() })
            .await
            .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(first["auth"], serde_json::json!({"policy_results": {"allowed": false}}));
        assert_eq!(first["request"]["client_token"], audit.hash("file/", "hvs.secret-token").unwrap());
        assert_eq!((&first["error"], first["request"].get("data")), (&"permission denied".into(), None));
        let second: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(second["response"], serde_json::json!({}));
    }

    #[tokio::test(start_paused = true)]
    async fn one_device_of_several_is_enough_and_none_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let pipe = directory.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        let good = Configured::open(&config(&path, &[])).unwrap();
        let full = Configured::open(&config(Path::new("/dev/full"), &[])).unwrap();
        let stuck = Configured::open(&config(&pipe, &[])).unwrap();
        while matches!(stuck.sink.offer(&[b'\n'; 4096]).await, Offer::Held) {}
        let (id, caller, fields) = (RequestId::next(), caller(), Fields::default());
        let asked = asked(&id, &caller, &fields);
        let start = tokio::time::Instant::now();
        audit(&[full.clone(), stuck.clone(), good]).asked(&asked).await.unwrap();
        assert!(start.elapsed().is_zero(), "a stuck device holds nobody up while another has the line");
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
        assert!(audit(std::slice::from_ref(&full)).asked(&asked).await.is_err());
        assert!(audit(&[stuck, full]).asked(&asked).await.is_err());
        assert!(start.elapsed() >= std::time::Duration::from_secs(2));
        assert!(audit(&[]).asked(&asked).await.is_ok());
        drop(reader);
    }

    #[tokio::test]
    async fn raw_devices_write_values_and_accessors_may_stay() {
        let directory = tempfile::tempdir().unwrap();
        let (raw, accessors) = (directory.path().join("raw"), directory.path().join("accessors"));
        let audit = audit(&[
            Configured::open(&config(&raw, &[("log_raw", "true")])).unwrap(),
            Configured::open(&config(&accessors, &[("hmac_accessor", "false"), ("mode", "0640")])).unwrap(),
        ]);
        let (id, caller) = (RequestId::next(), caller());
        let fields = Fields::from_json(bytes::Bytes::from_static(b"{\"a\":\"hush\"}")).unwrap();
        audit.asked(&asked(&id, &caller, &fields)).await.unwrap();
        let raw = std::fs::read_to_string(raw).unwrap();
        assert!(raw.contains("hush") && raw.contains("hvs.secret-token"), "{raw}");
        let accessors = std::fs::read_to_string(accessors).unwrap();
        assert!(accessors.contains("an-accessor") && !accessors.contains("hush"), "{accessors}");
    }

    #[test]
    fn options_that_are_not_understood_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        for (name, value) in
            [("format", "xml"), ("mode", "xyz"), ("mode", "7777"), ("log_raw", "perhaps"), ("prefix", "x")]
        {
            let error = Configured::open(&config(&path, &[(name, value)])).err().unwrap();
            assert!(error.contains(name), "{error}");
        }
        assert!(Configured::open(&config(Path::new("/nonexistent-directory/a"), &[])).is_err());
        let mut none = config(&path, &[]);
        none.options.clear();
        assert!(Configured::open(&none).is_err());
        none.kind = "socket".into();
        assert!(Configured::open(&none).is_err());
    }
}
