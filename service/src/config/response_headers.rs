//! `custom_response_headers` of a listener: headers that every answer of a status, or of a class of them, carries.

use super::reader::Reader;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use strongroom_hcl::{Body, Kind};

/// Headers by status. The more exactly a status is named, the later its headers are set, so that the narrower wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHeaders {
    default: HeaderMap,
    /// By the first digit: `2` is `2xx`.
    classes: BTreeMap<u16, HeaderMap>,
    statuses: BTreeMap<u16, HeaderMap>,
}

/// Which answers a set of headers is for.
enum Scope {
    Default,
    Class(u16),
    Status(u16),
}

impl ResponseHeaders {
    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.default.is_empty() && self.classes.is_empty() && self.statuses.is_empty()
    }

    /// Sets what belongs on an answer with `status`.
    pub fn add(&self, status: u16, headers: &mut HeaderMap) {
        let narrower = [self.classes.get(&(status / 100)), self.statuses.get(&status)];
        for (name, value) in [&self.default].into_iter().chain(narrower.into_iter().flatten()).flatten() {
            headers.insert(name.clone(), value.clone());
        }
    }

    /// The same, and one more on every answer.
    #[must_use]
    pub fn and(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.default.insert(name, value);
        self
    }

    /// Reads the stanza; what cannot be set is a mistake.
    pub(super) fn read(reader: &mut Reader<'_>, body: &mut Body) -> Self {
        let mut all = ResponseHeaders::default();
        let Some(mut given) = reader.take(body.object("custom_response_headers")) else { return all };
        for (status, value) in reader.take(given.entries()) {
            let Some(scope) = Scope::parse(&status.value) else {
                let reason = format!(
                    "custom_response_headers: {:?} is no status: \"default\", \"2xx\" or \"404\"",
                    status.value
                );
                reader.refuse(&given, status.position, reason);
                continue;
            };
            let Kind::Object(items) = value.kind else {
                reader.refuse(&given, value.position, "custom_response_headers: each status holds headers by name");
                continue;
            };
            let into = match scope {
                Scope::Default => &mut all.default,
                Scope::Class(class) => all.classes.entry(class).or_default(),
                Scope::Status(status) => all.statuses.entry(status).or_default(),
            };
            for item in items {
                let Some(name) = item.keys.into_iter().next() else { continue };
                match header(&name.text, item.value.kind) {
                    Some((name, value)) => {
                        into.insert(name, value);
                    }
                    None => {
                        let reason = format!("custom_response_headers: {:?} cannot be set", name.text);
                        reader.refuse(&given, name.position, reason);
                    }
                }
            }
        }
        all
    }
}

impl Scope {
    fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("default") {
            return Some(Scope::Default);
        }
        if let Some(class) = text.to_ascii_lowercase().strip_suffix("xx") {
            return class.parse().ok().filter(|class| (1..=5).contains(class)).map(Scope::Class);
        }
        text.parse().ok().filter(|status| (100..=599).contains(status)).map(Scope::Status)
    }
}

/// One header; several texts become one value. `None` for what the server sets itself, and for what is no header.
fn header(name: &str, value: Kind) -> Option<(HeaderName, HeaderValue)> {
    const OURS: [HeaderName; 8] =
        [CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    let texts: Vec<String> = match value {
        Kind::Text(text) => vec![text],
        Kind::List(items) => {
            let texts = items.into_iter().map(|item| match item.kind {
                Kind::Text(text) => Some(text),
                _ => None,
            });
            texts.collect::<Option<_>>()?
        }
        _ => return None,
    };
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    if texts.is_empty() || OURS.contains(&name) || name.as_str().starts_with("x-vault-") {
        return None;
    }
    Some((name, HeaderValue::from_str(&texts.join("; ")).ok()?))
}
