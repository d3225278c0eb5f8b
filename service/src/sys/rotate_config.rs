//! `sys/rotate/config`: when the keyring rotates by itself.

use super::Scope;
use crate::live::SYSTEM;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use strongroom_keystore::{Barrier, Error as Store, TermLimits, View};
use strongroom_mount::{Access, Error, Kind, Method, Object, Operation, Param, Response, Route};

const METHODS: &[Method] = &[
    Method::new(Operation::Read, "When the keyring rotates by itself.").access(Access::Sudo),
    Method::new(Operation::Update, "Sets it; what is left out stays.").access(Access::Sudo),
];

const PARAMS: &[Param] = &[
    Param::input("max_operations", Kind::Int, "Rows sealed under one term, 1,000,000 to 3,865,470,566."),
    Param::input("interval", Kind::Duration, "A term's age, at least 24 hours; 0 for never."),
    Param::input("enabled", Kind::Bool, "Whether it rotates by itself at all."),
];

/// `sys/rotate/config`.
pub(super) const CONFIG: Route = Route {
    path: "rotate/config",
    about: "Automatic rotation of the keyring.",
    methods: METHODS,
    params: PARAMS,
    open: false,
};

/// `sys/rotate/keyring/config`.
pub(super) const KEYRING_CONFIG: Route = Route { path: "rotate/keyring/config", ..CONFIG };

/// Where it lies in the system's storage.
const PATH: &str = "rotate-config";
/// The version byte of the row.
const VERSION: u8 = 1;

const LEAST_OPERATIONS: u64 = 1_000_000;
const MOST_OPERATIONS: u64 = 3_865_470_566;
const LEAST_INTERVAL: u64 = 24 * 3600;

/// When the keyring rotates by itself, as it is stored (docs/formats/rotate-config.md).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateConfig {
    /// Whether it does at all.
    enabled: bool,
    /// Rows sealed under one term.
    max_operations: u64,
    /// A term's age in seconds; 0 for never.
    interval: u64,
}

impl Default for RotateConfig {
    fn default() -> Self {
        RotateConfig { enabled: true, max_operations: MOST_OPERATIONS, interval: 0 }
    }
}

impl RotateConfig {
    /// The stored one, or the default.
    pub(crate) async fn read(rows: &View) -> Result<Self, Store> {
        match rows.get(PATH).await? {
            Some(row) => RotateConfig::decode(row.value.expose()),
            None => Ok(RotateConfig::default()),
        }
    }

    /// Has the keyring keep to it.
    pub(crate) fn apply(self, barrier: &Barrier) {
        let limits = match self {
            RotateConfig { enabled: false, .. } => TermLimits { operations: u64::MAX, age: None },
            RotateConfig { max_operations, interval, .. } => TermLimits {
                operations: max_operations,
                age: Some(Duration::from_secs(interval)).filter(|age| !age.is_zero()),
            },
        };
        barrier.limit_terms(limits);
    }

    fn encode(self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // Numbers and a boolean serialise.
        serde_json::to_writer(&mut bytes, &self).expect("it serialises");
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, Store> {
        match bytes {
            [VERSION, json @ ..] => serde_json::from_slice(json)
                .map_err(|error| Store::Format(format!("the row of sys/rotate/config is damaged: {error}"))),
            _ => {
                Err(Store::Format("the row of sys/rotate/config has a version that this program does not know".into()))
            }
        }
    }

    /// What a request asks to be changed.
    fn with(mut self, scope: &Scope<'_>) -> Result<Self, Error> {
        let fields = &scope.request.fields;
        if let Some(operations) = fields.int("max_operations")? {
            self.max_operations = (u64::try_from(operations).ok())
                .filter(|operations| (LEAST_OPERATIONS..=MOST_OPERATIONS).contains(operations))
                .ok_or_else(|| {
                    Error::caller(format!("max_operations must be in the range [{LEAST_OPERATIONS},{MOST_OPERATIONS}]"))
                })?;
        }
        if let Some(interval) = fields.seconds("interval")? {
            if interval != 0 && interval < LEAST_INTERVAL {
                return Err(Error::caller(format!("interval must be greater or equal to {}", span(LEAST_INTERVAL))));
            }
            self.interval = interval;
        }
        if let Some(enabled) = fields.bool("enabled")? {
            self.enabled = enabled;
        }
        Ok(self)
    }
}

/// One change at a time: what is applied last is what was stored last.
static CHANGING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Reads or sets it.
pub(super) async fn config(scope: &Scope<'_>) -> Result<Response, Error> {
    let barrier = &scope.live.barrier;
    let rows = barrier.view(SYSTEM);
    if scope.request.operation == Operation::Read {
        let stored = RotateConfig::read(&rows).await?;
        return Ok(Response::data(Object::build(|out| {
            out.value("enabled", &stored.enabled);
            match stored.interval {
                0 => out.value("interval", &0),
                seconds => out.string("interval", &span(seconds)),
            }
            out.value("max_operations", &stored.max_operations);
        })));
    }
    let _changing = CHANGING.lock().await;
    let config = RotateConfig::read(&rows).await?.with(scope)?;
    rows.put(PATH, &config.encode()).await?;
    config.apply(barrier);
    Ok(Response::none())
}

/// Seconds as Go prints a duration: `72h0m0s`.
fn span(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, rest) => format!("{rest}s"),
        (0, minutes, rest) => format!("{minutes}m{rest}s"),
        (hours, minutes, rest) => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of docs/formats/rotate-config.md.
    const EXAMPLE: &str = "\u{1}{\"enabled\":true,\"max_operations\":2000000000,\"interval\":259200}";

    #[test]
    fn the_worked_example_is_read_and_written() {
        let config = RotateConfig { enabled: true, max_operations: 2_000_000_000, interval: 259_200 };
        assert_eq!(RotateConfig::decode(EXAMPLE.as_bytes()).unwrap(), config);
        assert_eq!(config.encode(), EXAMPLE.as_bytes());
        let document = include_str!("../../../docs/formats/rotate-config.md");
        assert!(document.contains(&EXAMPLE[1..]), "the document shows another example");
        for wrong in [&b""[..], b"\x02{}", b"\x01{}", b"\x01"] {
            assert!(RotateConfig::decode(wrong).is_err());
        }
    }

    #[test]
    fn spans_are_printed_as_go_prints_them() {
        for (seconds, text) in [(5, "5s"), (65, "1m5s"), (3600, "1h0m0s"), (259_200, "72h0m0s")] {
            assert_eq!(span(seconds), text);
        }
    }
}
