//! `audit "file" "name" { … }`.

use super::reader::Reader;
use std::collections::BTreeMap;
use strongroom_hcl::{Block, Kind};

/// An audit device of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// `file`.
    pub kind: String,
    /// Its path, with the slash at its end: `a/`.
    pub path: String,
    /// For people.
    pub description: String,
    /// Whether it stays on this node.
    pub local: bool,
    /// Options as texts; the device reads them.
    pub options: BTreeMap<String, String>,
}

/// Reads the stanza.
pub(super) fn read(reader: &mut Reader<'_>, block: Block) -> Option<Audit> {
    let Block { position, labels, mut body } = block;
    let kind = labels[0].value.clone();
    let name = labels.get(1).map_or(kind.as_str(), |label| label.value.as_str()).trim_matches('/').to_owned();
    let description = reader.take(body.text("description")).map(|text| text.value).unwrap_or_default();
    let local = reader.take(body.bool("local")).is_some_and(|flag| flag.value);
    let path = reader.take(body.text("path")).map_or(name, |path| path.value.trim_matches('/').to_owned());
    let mut options = BTreeMap::new();
    if let Some(mut given) = reader.take(body.object("options")) {
        for (key, value) in reader.take(given.entries()) {
            let text = match value.kind {
                Kind::Text(text) => text,
                Kind::Number(number) => number.text().to_owned(),
                Kind::Bool(flag) => flag.to_string(),
                other => {
                    let reason = format!("option {:?} must be a string, not {}", key.value, other.noun());
                    reader.refuse(&given, value.position, reason);
                    String::new()
                }
            };
            options.insert(key.value, text);
        }
    }
    match kind.as_str() {
        "file" if !options.contains_key("file_path") && !options.contains_key("path") => {
            reader.refuse(&body, position, "an audit file needs options { file_path = \"…\" }");
        }
        "file" => {}
        "syslog" | "socket" | "http" => {
            reader.refuse(&body, position, format!("audit {kind:?} is not in this version: use \"file\""));
        }
        other => reader.refuse(&body, position, format!("unknown audit device {other:?}: use \"file\"")),
    }
    if path.is_empty() {
        reader.refuse(&body, position, "an audit device needs a name: audit \"file\" \"name\" { … }");
    }
    reader.finish(body);
    Some(Audit { kind, path: format!("{path}/"), description, local, options })
}
