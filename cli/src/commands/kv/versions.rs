//! `kv delete|undelete|destroy|list`.

use super::Target;
use crate::commands::connect::{refused, success};
use crate::commands::logical::print_names;
use crate::commands::{Failure, Outcome};
use crate::flags::Parsed;
use serde_json::{Value, json};

pub(super) fn delete(parsed: &Parsed) -> Outcome {
    let target = Target::of(parsed, "strongroom kv delete KEY")?;
    let path = target.path("data");
    match versions(parsed)? {
        Some(_) if !target.versioned => {
            return Err(Failure::Local("-versions: this mount is of version 1 and keeps none".into()));
        }
        Some(body) => target.call("POST", &target.path("delete"), Some(&body))?,
        None => target.call("DELETE", &path, None)?,
    };
    success(&format!("Data deleted (if it existed) at: {path}"))
}

pub(super) fn undelete(parsed: &Parsed) -> Outcome {
    change(parsed, "undelete", "POST")
}

pub(super) fn destroy(parsed: &Parsed) -> Outcome {
    change(parsed, "destroy", "PUT")
}

fn change(parsed: &Parsed, group: &str, method: &str) -> Outcome {
    let target = Target::of_version_2(parsed, &format!("strongroom kv {group} -versions=N KEY"))?;
    let body =
        versions(parsed)?.ok_or_else(|| Failure::Local("No versions provided, use the \"-versions\" flag".into()))?;
    let path = target.path(group);
    target.call(method, &path, Some(&body))?;
    success(&format!("Data written to: {path}"))
}

fn versions(parsed: &Parsed) -> Result<Option<Value>, Failure> {
    let mut numbers = Vec::new();
    for number in parsed.all("versions").flat_map(|list| list.split(',')).map(str::trim).filter(|n| !n.is_empty()) {
        let number: u64 = number.parse().map_err(|_| format!("-versions: {number:?} is no number"))?;
        numbers.push(number);
    }
    Ok((!numbers.is_empty()).then(|| json!({"versions": numbers})))
}

pub(super) fn list(parsed: &Parsed) -> Outcome {
    let usage = "strongroom kv list PATH";
    let target = match (parsed.arguments.as_slice(), parsed.get("mount")) {
        ([], Some(_)) => Target::find(parsed, "")?,
        _ => Target::of(parsed, usage)?,
    };
    let path = target.path("metadata").trim_end_matches('/').to_owned();
    let answer = target.send("GET", &format!("{path}?list=true"), None)?;
    if answer.status == 404 && answer.errors().is_empty() {
        return Err(Failure::Refused(format!("No value found at {path}")));
    }
    if !answer.is_success() {
        return Err(refused(&target.client, "LIST", &path, &answer));
    }
    print_names(parsed, &answer.json())
}
