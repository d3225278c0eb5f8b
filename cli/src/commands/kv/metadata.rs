//! `kv metadata get|put|patch|delete`.

use super::{Target, title, titled};
use crate::commands::connect::{format, refused, success};
use crate::commands::{Failure, Outcome, print, warn};
use crate::flags::Parsed;
use crate::output::Format;
use serde_json::{Map, Value, json};

pub(super) fn get(parsed: &Parsed) -> Outcome {
    let target = Target::of_version_2(parsed, "strongroom kv metadata get KEY")?;
    let path = target.path("metadata");
    let answer = target.send("GET", &path, None)?;
    if answer.status == 404 && answer.errors().is_empty() {
        return Err(Failure::Refused(format!("No value found at {path}")));
    }
    if !answer.is_success() {
        return Err(refused(&target.client, "GET", &path, &answer));
    }
    let whole = answer.json();
    warn(&whole);
    if parsed.get("field").is_some() || format(parsed)? != Format::Table {
        return print(parsed, &whole, &whole["data"]);
    }
    let mut shown = whole["data"].clone();
    let versions = shown.as_object_mut().and_then(|shown| shown.remove("versions")).unwrap_or_default();
    print!("{}\n{path}\n\n{}", title("Metadata Path", path.len()), titled("Metadata", &shown));
    let mut numbers: Vec<u64> =
        versions.as_object().into_iter().flatten().filter_map(|(name, _)| name.parse().ok()).collect();
    numbers.sort_unstable();
    for number in numbers {
        print!("\n{}", titled(&format!("Version {number}"), &versions[number.to_string()]));
    }
    Ok(())
}

pub(super) fn put(parsed: &Parsed) -> Outcome {
    let target = Target::of_version_2(parsed, "strongroom kv metadata put KEY")?;
    let path = target.path("metadata");
    target.call("PUT", &path, Some(&changes(parsed)?.into()))?;
    success(&format!("Data written to: {path}"))
}

pub(super) fn patch(parsed: &Parsed) -> Outcome {
    let target = Target::of_version_2(parsed, "strongroom kv metadata patch KEY")?;
    let path = target.path("metadata");
    let mut body = changes(parsed)?;
    for name in parsed.all("remove-custom-metadata") {
        let custom = body.entry("custom_metadata").or_insert_with(|| json!({}));
        custom[name] = Value::Null;
    }
    let answer = target.send("PATCH", &path, Some(&body.into()))?;
    match answer.status {
        404 if answer.errors().is_empty() => Err(Failure::Refused(format!("No value found at {path}"))),
        _ if answer.is_success() => success(&format!("Data written to: {path}")),
        _ => Err(refused(&target.client, "PATCH", &path, &answer)),
    }
}

pub(super) fn delete(parsed: &Parsed) -> Outcome {
    let target = Target::of_version_2(parsed, "strongroom kv metadata delete KEY")?;
    let path = target.path("metadata");
    target.call("DELETE", &path, None)?;
    success(&format!("Data deleted (if it existed) at: {path}"))
}

/// What the flags change.
fn changes(parsed: &Parsed) -> Result<Map<String, Value>, Failure> {
    let mut body = Map::new();
    if let Some(number) = parsed.number("max-versions")?.filter(|number| *number >= 0) {
        body.insert("max_versions".into(), json!(number));
    }
    if parsed.get("cas-required").is_some() {
        body.insert("cas_required".into(), json!(parsed.on("cas-required")));
    }
    if let Some(span) = parsed.get("delete-version-after") {
        body.insert("delete_version_after".into(), json!(span));
    }
    for pair in parsed.all("custom-metadata") {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("-custom-metadata {pair:?} is not K=V"))?;
        body.entry("custom_metadata").or_insert_with(|| json!({}))[name] = json!(value);
    }
    Ok(body)
}
