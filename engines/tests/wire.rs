//! Plays the recorded transit scenario against the backend alone: what the service adds (policies, HTTP, the envelope) is
//! made here as thinly as it can be, so that a step that fails here fails because of the engine.

mod common;

use common::{Host, Names};
use serde_json::{Value, json};

#[path = "../../conformance/src/player/compare.rs"]
mod compare;
#[path = "../../conformance/src/player/compute.rs"]
mod compute;
#[path = "../../conformance/src/player/template.rs"]
mod template;

const SCENARIO: &str = include_str!("../../conformance/wire/transit.json");

fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

#[test]
fn every_recorded_step_passes() {
    let scenario: Value = serde_json::from_str(SCENARIO).unwrap();
    let host = Host::new();
    let mut names = Names::new();
    let (mut passed, mut asked, mut failed) = (0, 0, Vec::new());
    for step in scenario["steps"].as_array().unwrap() {
        let path = step["path"].as_str().unwrap_or_default();
        if path.starts_with("sys/") {
            continue;
        }
        let request = step.get("compute").is_none();
        asked += usize::from(request);
        match play(&host, step, &mut names) {
            Ok(wrong) if wrong.is_empty() => passed += usize::from(request),
            Ok(wrong) => failed.push(format!("{} {} {path}: {}", step["id"], step["method"], wrong.join("; "))),
            Err(problem) => failed.push(format!("{} {path}: {problem}", step["id"])),
        }
    }
    println!("transit: {passed} of {asked} steps");
    assert!(failed.is_empty(), "{passed} of {asked} steps pass; these do not:\n{}", failed.join("\n"));
    assert_eq!((passed, asked), (434, 434));
}

fn play(host: &Host, step: &Value, names: &mut Names) -> Result<Vec<String>, String> {
    if let Some(kind) = step.get("compute") {
        let args = template::fill(&step["args"], names)?;
        let computed = compute::compute(kind.as_str().unwrap_or_default(), &args)?;
        names.insert(step["as"].as_str().unwrap_or_default().to_owned(), computed);
        return Ok(vec![]);
    }
    let path = template::text(step["path"].as_str().unwrap_or_default(), names)?;
    let path = path.strip_prefix("wiret/").ok_or("a path of another mount")?.replace("%20", " ");
    let body = template::fill(step.get("body").unwrap_or(&Value::Null), names)?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, reply) = host.http(step["method"].as_str().unwrap_or_default(), &path, &body);
    let expect = template::fill(&step["expect"], names)?;
    let allowed = match &expect["status"] {
        Value::Array(list) => list.contains(&json!(status)),
        one => *one == json!(status),
    };
    if !allowed {
        return Ok(vec![format!(
            "status {status}, expected {}, reply {}",
            expect["status"],
            short(&reply.to_string())
        )]);
    }
    let mut wrong = Vec::new();
    if let Some(want) = expect.get("body") {
        compare::diff(want, &reply, "", &mut wrong);
    } else if !reply.is_null() {
        wrong.push(format!("body is {}, expected none", short(&reply.to_string())));
    }
    for (name, from) in step["capture"].as_object().into_iter().flatten() {
        match reply.pointer(from.as_str().unwrap_or_default()) {
            Some(value) => drop(names.insert(name.clone(), value.clone())),
            None if wrong.is_empty() => wrong.push(format!("nothing to capture at {from}")),
            None => {}
        }
    }
    Ok(wrong)
}
