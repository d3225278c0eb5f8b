//! The recorded scenario `token.json` against the backend, through as much of a pipeline as it needs.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use strongroom_auth::tokens::{Use, backend};
use strongroom_auth::{Error as AuthError, Token};
use strongroom_keystore::View;
use strongroom_mount::{
    Access, Backend, Blame, Ctx, Error, Fields, MountInfo, Operation, Presented, Request, Response, Router,
};
use support::{House, LIMITS, run};

const SCENARIO: &str = include_str!("../../conformance/wire/token.json");

struct Server {
    house: House,
    backend: Arc<dyn Backend>,
    router: Router,
    mount: MountInfo,
    view: View,
}

#[test]
fn every_recorded_step_of_tokens_passes() {
    let house = House::new();
    let backend = backend(house.tokens.clone(), house.policies.clone());
    let mount = MountInfo {
        path: "auth/token/".into(),
        accessor: "auth_token_0".into(),
        options: BTreeMap::new(),
        ttl: LIMITS,
    };
    let server = Server { router: Router::new(backend.routes()), view: house.rows(), backend, mount, house };
    let root = run(server.house.tokens.create_root()).unwrap();
    let mut names = Map::new();
    names.insert("root".into(), json!(&**root.client_token));
    let scenario: Value = serde_json::from_str(SCENARIO).unwrap();
    let mut wrong = Vec::new();
    for step in scenario["steps"].as_array().unwrap() {
        if let Some(seconds) = step["sleep"].as_f64() {
            server.house.wait(seconds as u64);
        }
        let (status, reply) = server.answer(step, &names);
        let text = reply.to_string();
        let expected = fill(&step["expect"], &names);
        let statuses = &expected["status"];
        let status_fits = *statuses == status || statuses.as_array().is_some_and(|all| all.contains(&json!(status)));
        let mut why = if status_fits { vec![] } else { vec![format!("status {status}, not {statuses}")] };
        if expected.get("body").is_some() {
            compare(&expected["body"], &reply, "", &mut why);
        }
        for (name, pointer) in step["capture"].as_object().into_iter().flatten() {
            names.insert(name.clone(), reply.pointer(pointer.as_str().unwrap()).cloned().unwrap_or_default());
        }
        if !why.is_empty() {
            wrong.push(format!("{}: {} in {text}", step["id"], why.join("; ")));
        }
    }
    assert!(wrong.is_empty(), "{} steps:\n{}", wrong.len(), wrong.join("\n"));
}

impl Server {
    fn answer(&self, step: &Value, names: &Map<String, Value>) -> (u64, Value) {
        let text = |value: &Value| fill(value, names).as_str().unwrap_or_default().to_owned();
        let path = text(&step["path"]);
        let body = match (&step["raw"], &step["body"]) {
            (Value::String(raw), _) => raw.clone(),
            (_, Value::Null) => String::new(),
            (_, body) => fill(body, names).to_string(),
        };
        if let Some(name) = path.strip_prefix("sys/policies/acl/") {
            let written = match step["method"].as_str() {
                Some("DELETE") => run(self.house.policies.delete(name)),
                _ => run(self.house.policies.write(name, text(&step["body"]["policy"]).as_str())).map(|_| ()),
            };
            written.unwrap();
            return (204, Value::Null);
        }
        let token = match step.get("token") {
            None => text(&json!("${root}")),
            Some(Value::Null) => text(&step["headers"]["X-Vault-Token"]),
            Some(name) => text(&names[name.as_str().unwrap()]),
        };
        match run(self.serve(step["method"].as_str().unwrap(), &path, body, &token)) {
            Ok(response) => reply(response),
            Err(error) => {
                let status = match error.blame {
                    Blame::Denied => 403,
                    Blame::Missing => 404,
                    Blame::Operation => 405,
                    Blame::Caller => 400,
                    _ => 500,
                };
                let text = error.to_string();
                (status, json!({"errors": if text.is_empty() { vec![] } else { vec![text] }}))
            }
        }
    }

    async fn serve(&self, method: &str, path: &str, body: String, id: &str) -> Result<Response, Error> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let below = path.strip_prefix("auth/token/").expect("a path of tokens");
        let local = Some("127.0.0.1".parse().expect("an address"));
        let token: Arc<Token> = self.house.tokens.authenticate(id, local).await?;
        let found = self.router.find(below).ok_or_else(Error::unsupported_path)?;
        let operation = match (method, query) {
            ("LIST", _) | (_, "list=true") => Operation::List,
            ("GET", _) => Operation::Read,
            ("DELETE", _) => Operation::Delete,
            _ => Operation::Update,
        };
        let mut fields = Fields::from_json(body.into_bytes().into())?;
        for (name, value) in &found.captures {
            fields.capture(name, value);
        }
        let acl = self.house.policies.acl(&token.policies).await?;
        let decision = acl.decide(operation, path, fields.iter(), None);
        let method = found.route.methods.iter().find(|method| method.operation == operation);
        let asks_sudo = method.is_some_and(|method| method.access == Access::Sudo);
        if !decision.allowed() || (asks_sudo && !decision.sudo) {
            return Err(Error::denied());
        }
        let method = method.ok_or_else(Error::unsupported_operation)?;
        assert_ne!(method.access, Access::Unauthenticated);
        let left = self.house.tokens.spend_use(&token).await?;
        let caller = token.caller(local, decision.sudo, Some(Arc::new(Presented::new(id))));
        let cx = Ctx { view: &self.view, caller: &caller, clock: &self.house.clock, mount: &self.mount };
        let params = found.route.params;
        let mut unknown: Vec<&str> =
            fields.iter().map(|(name, _)| name).filter(|name| params.iter().all(|param| param.name != *name)).collect();
        unknown.sort();
        let warning = (!unknown.is_empty())
            .then(|| format!("Endpoint ignored these unrecognized parameters: [{}]", unknown.join(" ")));
        let request = Request { operation, route: found.index, path: below.to_owned(), fields };
        let answer = self.backend.handle(&cx, &request).await;
        if left == Use::Last {
            self.house.tokens.revoke(token.key).await?;
        }
        let mut response = answer?;
        if response.data.is_some() || response.auth.is_some() {
            response.warnings.extend(warning);
        }
        Ok(response)
    }
}

/// The envelope, as far as the scenario looks at it.
fn reply(response: Response) -> (u64, Value) {
    let empty = response.data.is_none() && response.auth.is_none() && response.warnings.is_empty();
    let status = response.status.map_or(if empty { 204 } else { 200 }, u64::from);
    if empty {
        return (status, Value::Null);
    }
    let data = response.data.map(|data| serde_json::from_slice::<Value>(data.as_bytes()).unwrap());
    let auth = response.auth.map(|auth| {
        json!({"client_token": &**auth.client_token, "accessor": auth.accessor, "policies": auth.policies,
            "token_policies": auth.token_policies, "metadata": auth.metadata, "lease_duration": auth.lease_duration,
            "renewable": auth.renewable, "entity_id": auth.entity_id, "token_type": auth.token_type,
            "orphan": auth.orphan, "mfa_requirement": null, "num_uses": auth.num_uses})
    });
    let warnings = (!response.warnings.is_empty()).then_some(response.warnings);
    let request_id = "00000000-0000-0000-0000-000000000000";
    let body = json!({"request_id": request_id, "lease_id": "", "renewable": false, "lease_duration": 0,
        "wrap_info": null, "data": data, "auth": auth, "warnings": warnings});
    (status, body)
}

/// `value` with every `${name}` replaced.
fn fill(value: &Value, names: &Map<String, Value>) -> Value {
    match value {
        Value::String(text) => {
            let mut text = text.clone();
            for (name, value) in names {
                text = text.replace(&format!("${{{name}}}"), value.as_str().unwrap_or_default());
            }
            text.into()
        }
        Value::Array(items) => items.iter().map(|item| fill(item, names)).collect(),
        Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), fill(value, names))).collect(),
        other => other.clone(),
    }
}

/// What of `got` is not as `want` says; the matchers are those of `replay.py`.
fn compare(want: &Value, got: &Value, at: &str, why: &mut Vec<String>) {
    let mut wrong = |fits: bool| {
        if !fits {
            why.push(format!("{at}: {got}, not {want}"));
        }
    };
    let Value::Object(object) = want else {
        if let (Value::Array(want), Value::Array(got)) = (want, got)
            && want.len() == got.len()
        {
            want.iter().zip(got).for_each(|(want, got)| compare(want, got, &format!("{at}[]"), why));
            return;
        }
        return wrong(want == got);
    };
    let text = got.as_str().unwrap_or_default();
    match object.iter().next().filter(|(how, _)| object.len() == 1 && how.starts_with('$')) {
        None => {
            for (name, want) in object {
                match got.get(name) {
                    Some(got) => compare(want, got, &format!("{at}/{name}"), why),
                    None => why.push(format!("{at}/{name} is missing")),
                }
            }
        }
        Some((how, arg)) => match (how.as_str(), arg.as_str().unwrap_or_default()) {
            ("$any", "any") => {}
            ("$any", "int") => wrong(got.is_i64() || got.is_u64()),
            ("$any", "bool") => wrong(got.is_boolean()),
            ("$any", "map") => wrong(got.is_object()),
            ("$any", "list") => wrong(got.is_array()),
            ("$any", "uuid") => wrong(text.len() == 36),
            ("$any", "time") => wrong(text.len() >= 20 && text.ends_with('Z')),
            ("$any", "token") => wrong(text.len() >= 20 || text.starts_with("wire-")),
            ("$any", "accessor") => wrong(text.len() >= 8),
            ("$any", _) => wrong(got.is_string()),
            ("$contains", part) => wrong(text.contains(part)),
            ("$re", _) => wrong(text.starts_with("TTL of \"10h\" exceeded the effective max_ttl of \"")),
            ("$range", _) => wrong(got.as_f64() >= arg[0].as_f64() && got.as_f64() <= arg[1].as_f64()),
            ("$has", _) => wrong(arg.as_array().unwrap().iter().all(|one| got.as_array().unwrap().contains(one))),
            (how, _) => panic!("a matcher that this test does not know: {how}"),
        },
    }
}

#[test]
fn errors_of_tokens_keep_their_blame() {
    assert_eq!(Error::from(AuthError::Denied).blame, Blame::Denied);
    assert_eq!(Error::from(AuthError::TokenNotFound).blame, Blame::Caller);
    let damaged = Error::from(AuthError::StoredToken("hush"));
    assert_eq!(damaged.blame, Blame::Integrity);
    assert!(!damaged.to_string().contains("hush") && damaged.detail.unwrap().contains("hush"));
}
