//! Plays recorded scenarios against a server. The format is that of `wire/replay.py`, whose docstring is its definition
//! and which is the second opinion on this player.

mod compare;
mod compute;
mod template;

use crate::http::{Client, Reply};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// Captured values by name.
pub type Names = Map<String, Value>;

/// One file of steps.
#[derive(Deserialize)]
pub struct Scenario {
    /// What the server must be: `root`, `shares` or `uninitialised`.
    #[serde(default = "root")]
    pub needs: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

fn root() -> String {
    "root".to_owned()
}

/// One request and what must come back, or one computation.
#[derive(Deserialize, Clone)]
pub struct Step {
    /// Unique in its file.
    #[serde(default)]
    pub id: String,
    /// The HTTP method.
    #[serde(default)]
    pub method: String,
    /// Below `/v1/` unless it begins with `/`.
    #[serde(default)]
    pub path: String,
    #[serde(default, deserialize_with = "given")]
    token: Option<Value>,
    #[serde(default)]
    headers: Map<String, Value>,
    /// Sent as JSON.
    #[serde(default, deserialize_with = "given")]
    pub body: Option<Value>,
    raw: Option<String>,
    #[serde(default)]
    capture: Map<String, Value>,
    expect: Option<Value>,
    #[serde(default)]
    poll: f64,
    #[serde(default)]
    sleep: f64,
    /// Why a server may leave the step out.
    #[serde(default)]
    pub tags: Vec<String>,
    client_cert: Option<String>,
    compute: Option<String>,
    #[serde(rename = "as")]
    captured_as: Option<String>,
    args: Option<Value>,
}

/// Keeps a `null` apart from a key that is not there.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// How one step went.
pub struct Outcome {
    /// The step's id.
    pub id: String,
    /// Its method and path, as written in the file.
    pub request: String,
    /// What was wrong; empty when it passed.
    pub wrong: Vec<String>,
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Panics
    /// When it cannot be read: the files are part of this crate.
    pub fn load(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Plays all steps in order against `address`, starting from `names`, which also takes what the steps capture.
    pub fn play(&self, address: SocketAddr, names: &mut Names) -> Vec<Outcome> {
        let mut client = Client::new(address);
        let mut outcomes = Vec::new();
        for step in &self.steps {
            let wrong = step.run(&mut client, names);
            if step.compute.is_none() {
                let request = format!("{} {}", step.method, step.path);
                outcomes.push(Outcome { id: step.id.clone(), request, wrong });
            }
        }
        outcomes
    }
}

impl Step {
    /// Whether the step is a request, and not a computation between two.
    pub fn is_request(&self) -> bool {
        self.compute.is_none()
    }

    fn run(&self, client: &mut Client, names: &mut Names) -> Vec<String> {
        match self.try_run(client, names) {
            Ok(wrong) => wrong,
            Err(problem) => vec![problem],
        }
    }

    fn try_run(&self, client: &mut Client, names: &mut Names) -> Result<Vec<String>, String> {
        if let Some(kind) = &self.compute {
            let args = template::fill(self.args.as_ref().unwrap_or(&Value::Null), names)?;
            let name = self.captured_as.clone().ok_or("a computation without a name")?;
            names.insert(name, compute::compute(kind, &args)?);
            return Ok(vec![]);
        }
        if self.client_cert.is_some() {
            return Err("needs a TLS listener that asks for client certificates".to_owned());
        }
        std::thread::sleep(Duration::from_secs_f64(self.sleep));
        let expect = self.expect.as_ref().ok_or("a step without an expectation")?;
        let end = Instant::now() + Duration::from_secs_f64(self.poll);
        loop {
            let (path, reply) = self.send(client, names)?;
            let mut wrong = problems(&template::fill(expect, names)?, &reply, &path);
            if !wrong.is_empty() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            for (name, from) in &self.capture {
                let from = from.as_str().unwrap_or_default();
                match captured(&reply, from) {
                    Some(value) => {
                        names.insert(name.clone(), value);
                    }
                    None if wrong.is_empty() => wrong.push(format!("nothing to capture at {from}")),
                    None => {}
                }
            }
            return Ok(wrong);
        }
    }

    fn send(&self, client: &mut Client, names: &Names) -> Result<(String, Reply), String> {
        let filled = template::text(&self.path, names)?;
        let path = if filled.starts_with('/') { filled } else { format!("/v1/{filled}") };
        let mut headers: Vec<(String, String)> = Vec::new();
        match &self.token {
            None => headers.push(("X-Vault-Token".into(), template::text("${root}", names)?)),
            Some(Value::String(name)) => {
                headers.push(("X-Vault-Token".into(), template::text(&format!("${{{name}}}"), names)?));
            }
            Some(_) => {}
        }
        let body = match (&self.body, &self.raw) {
            (Some(body), _) => {
                headers.push(("Content-Type".into(), "application/json".into()));
                Some(template::fill(body, names)?.to_string().into_bytes())
            }
            (None, Some(raw)) => Some(template::text(raw, names)?.into_bytes()),
            (None, None) => None,
        };
        for (name, value) in &self.headers {
            headers.retain(|(held, _)| held != name);
            if let Value::String(value) = template::fill(value, names)? {
                headers.push((name.clone(), value));
            }
        }
        let reply = client
            .send(&self.method, &path, &headers, body.as_deref())
            .map_err(|error| format!("connection failed: {error}"))?;
        Ok((path, reply))
    }
}

fn captured(reply: &Reply, from: &str) -> Option<Value> {
    if from == "text" {
        return Some(reply.text().into());
    }
    if let Some(name) = from.strip_prefix("header:") {
        return reply.header(name).map(Into::into);
    }
    reply.json()?.pointer(from).cloned()
}

/// One sentence for each way in which the reply is not what was wanted.
fn problems(expect: &Value, reply: &Reply, path: &str) -> Vec<String> {
    let status = Value::from(reply.status);
    let allowed = match &expect["status"] {
        Value::Array(list) => list.contains(&status),
        one => *one == status,
    };
    if !allowed {
        return vec![format!("status {}, expected {}, reply {}", reply.status, expect["status"], short(&reply.text()))];
    }
    let mut wrong = Vec::new();
    let mut headers = Map::new();
    if path.starts_with("/v1/") {
        headers.insert("Cache-Control".into(), "no-store".into());
    }
    if expect.get("body").is_some() {
        headers.insert("Content-Type".into(), "application/json".into());
    }
    for (name, value) in expect["headers"].as_object().into_iter().flatten() {
        headers.insert(name.clone(), value.clone());
    }
    for (name, want) in &headers {
        let got = reply.header(name).map_or(Value::Null, Into::into);
        if !(want.is_null() && got.is_null()) {
            compare::diff(want, &got, name, &mut wrong);
        }
    }
    if expect["empty"] == true || reply.status == 204 {
        if !reply.body.is_empty() {
            wrong.push(format!("body is {}, expected none", short(&reply.text())));
        }
    } else if let Some(want) = expect.get("body") {
        match reply.json() {
            None => wrong.push(format!("body is not JSON: {}", short(&reply.text()))),
            Some(got) => compare::diff(want, &got, "", &mut wrong),
        }
    } else if let Some(want) = expect.get("text") {
        compare::diff(want, &reply.text().into(), "text", &mut wrong);
    }
    wrong
}

fn short(text: &str) -> String {
    if text.chars().count() <= 160 { text.to_owned() } else { text.chars().take(157).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        let headers = [("Cache-Control", "no-store"), ("Content-Type", "application/json")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Reply { status, headers, body: body.into() }
    }

    #[test]
    fn a_reply_as_expected_passes_and_any_difference_is_named() {
        let expect = serde_json::json!({"status": 200, "body": {"a": 1, "b": {"$any": "uuid"}}});
        let good = r#"{"a":1,"b":"0a1b2c3d-0000-1111-2222-333344445555","more":true}"#;
        assert_eq!(problems(&expect, &reply(200, good), "/v1/x"), Vec::<String>::new());
        for (status, body) in [
            (204, ""),
            (200, r#"{"a":1}"#),
            (200, r#"{"a":"1","b":"0a1b2c3d-0000-1111-2222-333344445555"}"#),
            (200, r#"{"a":true,"b":"0a1b2c3d-0000-1111-2222-333344445555"}"#),
            (200, r#"{"a":1,"b":"nope"}"#),
            (200, "not json"),
            (400, good),
        ] {
            assert!(!problems(&expect, &reply(status, body), "/v1/x").is_empty(), "{status} {body}");
        }
        let mut charset = reply(200, good);
        charset.headers[1].1.push_str("; charset=utf-8");
        assert!(!problems(&expect, &charset, "/v1/x").is_empty());
        let mut cached = reply(200, good);
        cached.headers.remove(0);
        assert!(!problems(&expect, &cached, "/v1/x").is_empty());
        assert!(problems(&expect, &cached, "/elsewhere").is_empty());
    }

    #[test]
    fn a_204_has_no_body() {
        let expect = serde_json::json!({"status": 204});
        assert!(problems(&expect, &reply(204, ""), "/v1/x").is_empty());
        assert!(!problems(&expect, &reply(204, "{}"), "/v1/x").is_empty());
    }
}
