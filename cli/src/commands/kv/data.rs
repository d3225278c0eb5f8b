//! `kv get|put|patch|rollback`.

use super::{Target, titled};
use crate::client::Answer;
use crate::commands::connect::{format, refused, success};
use crate::commands::logical::data_of;
use crate::commands::{Failure, Outcome, print, warn};
use crate::flags::Parsed;
use crate::output::Format;
use serde_json::{Map, Value, json};

pub(super) fn get(parsed: &Parsed) -> Outcome {
    let target = Target::of(parsed, "strongroom kv get KEY")?;
    let path = target.path("data");
    let query = match parsed.number("version")? {
        Some(version) if target.versioned => format!("?version={version}"),
        Some(_) => return Err(Failure::Local("-version: this mount is of version 1 and keeps none".into())),
        None => String::new(),
    };
    let answer = target.send("GET", &format!("{path}{query}"), None)?;
    let whole = answer.json();
    // A version that is deleted answers 404 with what is known of it.
    if !answer.is_success() && !whole["data"].is_object() {
        return match answer.status == 404 && answer.errors().is_empty() {
            true => Err(Failure::Refused(format!("No value found at {path}"))),
            false => Err(refused(&target.client, "GET", &path, &answer)),
        };
    }
    warn(&whole);
    let data = if target.versioned { &whole["data"]["data"] } else { &whole["data"] };
    if parsed.get("field").is_some() || format(parsed)? != Format::Table {
        return print(parsed, &whole, data);
    }
    if target.versioned {
        println!(
            "{}\n{path}\n\n{}",
            super::title("Secret Path", path.len()),
            titled("Metadata", &whole["data"]["metadata"])
        );
    }
    if data.is_object() {
        print!("{}", titled("Data", data));
    }
    Ok(())
}

pub(super) fn put(parsed: &Parsed) -> Outcome {
    let (key, data) = key_and_data(parsed)?;
    let target = Target::find(parsed, key)?;
    write(parsed, &target, "PUT", data)
}

pub(super) fn patch(parsed: &Parsed) -> Outcome {
    let (key, mut data) = key_and_data(parsed)?;
    let target = Target::find(parsed, key)?;
    if !target.versioned {
        return Err(Failure::Local("kv patch: only for mounts of version 2".into()));
    }
    data.extend(parsed.all("remove-data").map(|name| (name.to_owned(), Value::Null)));
    match parsed.get("method") {
        Some("patch") => write(parsed, &target, "PATCH", data),
        Some("rw") => read_and_write(parsed, &target, data),
        Some(other) => Err(Failure::Local(format!("-method={other}: patch or rw"))),
        None => {
            let path = target.path("data");
            let answer = target.send("PATCH", &path, Some(&body(parsed, &data)?))?;
            match answer.status {
                // A policy that knows no patch, or a server that does not.
                403 | 405 => read_and_write(parsed, &target, data),
                _ => written(parsed, &target, "PATCH", answer),
            }
        }
    }
}

pub(super) fn rollback(parsed: &Parsed) -> Outcome {
    let target = Target::of_version_2(parsed, "strongroom kv rollback -version=N KEY")?;
    let Some(version) = parsed.number("version")? else {
        return Err(Failure::Local("-version is missing: which version shall be the newest again?".into()));
    };
    let path = target.path("data");
    let newest = target.send("GET", &path, None)?;
    let current = &newest.json()["data"]["metadata"]["version"];
    let old = target.call("GET", &format!("{path}?version={version}"), None)?;
    let Some(data) = old.json()["data"]["data"].as_object().cloned() else {
        return Err(Failure::Refused(format!("version {version} has no data")));
    };
    let body = json!({"data": data, "options": {"cas": current}});
    let answer = target.send("PUT", &path, Some(&body))?;
    written(parsed, &target, "PUT", answer)
}

fn key_and_data(parsed: &Parsed) -> Result<(&str, Map<String, Value>), Failure> {
    let removes = parsed.all("remove-data").next().is_some();
    match parsed.arguments.split_first() {
        None => Err(Failure::Local("a key is missing: strongroom kv put KEY K=V…".into())),
        Some((_, [])) if !removes => Err(Failure::Local("Must supply data".into())),
        Some((key, data)) => Ok((key, data_of(data)?)),
    }
}

fn body(parsed: &Parsed, data: &Map<String, Value>) -> Result<Value, Failure> {
    let options = match parsed.number("cas")?.filter(|cas| *cas >= 0) {
        Some(cas) => json!({"cas": cas}),
        None => json!({}),
    };
    Ok(json!({"data": data, "options": options}))
}

fn write(parsed: &Parsed, target: &Target, method: &str, data: Map<String, Value>) -> Outcome {
    let body = if target.versioned { body(parsed, &data)? } else { data.into() };
    let answer = target.send(method, &target.path("data"), Some(&body))?;
    written(parsed, target, method, answer)
}

/// A patch without the server's help: what was read is written again, if nothing came between.
fn read_and_write(parsed: &Parsed, target: &Target, changes: Map<String, Value>) -> Outcome {
    let path = target.path("data");
    let read = target.call("GET", &path, None)?.json();
    let mut data = read["data"]["data"].as_object().cloned().unwrap_or_default();
    for (name, value) in changes {
        if value.is_null() {
            data.remove(&name);
        } else {
            data.insert(name, value);
        }
    }
    let seen = &read["data"]["metadata"]["version"];
    if let Some(cas) = parsed.number("cas")?.filter(|cas| *cas >= 0 && json!(cas) != *seen) {
        return Err(Failure::Local(format!("-cas={cas}: the newest version is {seen}")));
    }
    let body = json!({"data": data, "options": {"cas": seen}});
    let answer = target.send("PUT", &path, Some(&body))?;
    written(parsed, target, "PUT", answer)
}

fn written(parsed: &Parsed, target: &Target, method: &str, answer: Answer) -> Outcome {
    let path = target.path("data");
    if answer.status == 404 && method == "PATCH" {
        return Err(Failure::Refused(format!("No value found at {path}")));
    }
    if !answer.is_success() {
        return Err(refused(&target.client, method, &path, &answer));
    }
    let whole = answer.json();
    warn(&whole);
    if whole.is_null() {
        return success(&format!("Data written to: {path}"));
    }
    if parsed.get("field").is_some() || format(parsed)? != Format::Table {
        return print(parsed, &whole, &whole["data"]);
    }
    print!("{}\n{path}\n\n{}", super::title("Secret Path", path.len()), titled("Metadata", &whole["data"]));
    Ok(())
}
