//! `token create|lookup|renew|revoke|capabilities`.

use super::connect::{call, format, success};
use super::{Command, Failure, Outcome, login, print, warn};
use crate::flags::{Parsed, flag, switch};
use crate::output::{self, Format, span};
use crate::terminal;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        words: "token create",
        usage: "[flags]",
        about: "Makes a token, a child of the caller's.",
        flags: &[
            flag("policy", "NAME", "A policy that it has; may be repeated."),
            flag("ttl", "SPAN", "How long it lives, unless renewed."),
            flag("explicit-max-ttl", "SPAN", "How long it lives at most, renewed or not."),
            flag("period", "SPAN", "It lives for ever if renewed within this span."),
            flag("display-name", "NAME", "What the audit log calls it."),
            flag("metadata", "K=V", "Metadata for the audit log; may be repeated."),
            flag("use-limit", "N", "How often it can be used."),
            flag("type", "service|batch", "Its type."),
            flag("role", "NAME", "The token role to make it by."),
            flag("renewable", "BOOL", "Whether it can be renewed."),
            switch("orphan", "It does not end with the caller's."),
            switch("no-default-policy", "It does not have the policy `default`."),
        ],
        client: true,
        run: create,
    },
    Command {
        words: "token lookup",
        usage: "[flags] [TOKEN | -]",
        about: "Shows a token; the caller's own where none is named. - reads it from stdin.",
        flags: &[switch("accessor", "The argument is an accessor.")],
        client: true,
        run: lookup,
    },
    Command {
        words: "token renew",
        usage: "[flags] [TOKEN | -]",
        about: "Renews a token; the caller's own where none is named. - reads it from stdin.",
        flags: &[
            switch("accessor", "The argument is an accessor."),
            flag("increment", "SPAN", "For how long."),
            flag("i", "SPAN", "The same as -increment."),
        ],
        client: true,
        run: renew,
    },
    Command {
        words: "token revoke",
        usage: "[flags] [TOKEN | -]",
        about: "Revokes a token and its children. - reads it from stdin.",
        flags: &[
            switch("accessor", "The argument is an accessor."),
            switch("self", "The caller's own token."),
            flag("mode", "orphan", "orphan: its children stay."),
        ],
        client: true,
        run: revoke,
    },
    Command {
        words: "token capabilities",
        usage: "[flags] [TOKEN] PATH",
        about: "Shows what a token may do at a path; the caller's own where none is named.",
        flags: &[switch("accessor", "The first argument is an accessor.")],
        client: true,
        run: capabilities,
    },
];

fn create(parsed: &Parsed) -> Outcome {
    if !parsed.arguments.is_empty() {
        return Err(Failure::Local("Too many arguments: strongroom token create takes flags only".into()));
    }
    let mut body = Map::new();
    for (flag, field) in [
        ("ttl", "ttl"),
        ("explicit-max-ttl", "explicit_max_ttl"),
        ("period", "period"),
        ("display-name", "display_name"),
        ("type", "type"),
    ] {
        if let Some(value) = parsed.get(flag) {
            body.insert(field.into(), json!(value));
        }
    }
    let policies: Vec<&str> = parsed.all("policy").collect();
    if !policies.is_empty() {
        body.insert("policies".into(), json!(policies));
    }
    let mut metadata = Map::new();
    for pair in parsed.all("metadata") {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("-metadata {pair:?} is not K=V"))?;
        metadata.insert(name.into(), json!(value));
    }
    if !metadata.is_empty() {
        body.insert("meta".into(), metadata.into());
    }
    if let Some(uses) = parsed.number("use-limit")? {
        body.insert("num_uses".into(), json!(uses));
    }
    if let Some(renewable) = parsed.get("renewable") {
        body.insert("renewable".into(), json!(renewable));
    }
    if parsed.on("no-default-policy") {
        body.insert("no_default_policy".into(), json!(true));
    }
    let path = match (parsed.get("role"), parsed.on("orphan")) {
        (Some(role), _) => format!("auth/token/create/{role}"),
        (None, true) => "auth/token/create-orphan".into(),
        (None, false) => "auth/token/create".into(),
    };
    let whole = call(parsed, "POST", &path, Some(&body.into()))?.json();
    warn(&whole);
    auth(parsed, &whole)
}

fn lookup(parsed: &Parsed) -> Outcome {
    let whole = match named(parsed)? {
        None => login::own(parsed)?,
        Some(token) if parsed.on("accessor") => {
            call(parsed, "POST", "auth/token/lookup-accessor", Some(&json!({"accessor": token.as_str()})))?.json()
        }
        Some(token) => call(parsed, "POST", "auth/token/lookup", Some(&json!({"token": token.as_str()})))?.json(),
    };
    print(parsed, &whole, &whole["data"])
}

fn renew(parsed: &Parsed) -> Outcome {
    let mut body = Map::new();
    if let Some(increment) = parsed.get("increment").or(parsed.get("i")) {
        body.insert("increment".into(), json!(increment));
    }
    let (method, path) = match named(parsed)? {
        None => ("PUT", "auth/token/renew-self"),
        Some(token) if parsed.on("accessor") => {
            body.insert("accessor".into(), json!(token.as_str()));
            ("POST", "auth/token/renew-accessor")
        }
        Some(token) => {
            body.insert("token".into(), json!(token.as_str()));
            ("PUT", "auth/token/renew")
        }
    };
    let whole = call(parsed, method, path, Some(&body.into()))?.json();
    warn(&whole);
    auth(parsed, &whole)
}

fn revoke(parsed: &Parsed) -> Outcome {
    let orphan = match parsed.get("mode") {
        None => false,
        Some("orphan") => true,
        Some(other) => return Err(Failure::Local(format!("-mode={other} is not in this version: orphan"))),
    };
    let (method, path, body) = match named(parsed)? {
        None if parsed.on("self") => ("PUT", "auth/token/revoke-self", json!({})),
        None => return Err(Failure::Local("which token? Name one, read it with -, or use -self".into())),
        Some(token) if parsed.on("accessor") => {
            ("POST", "auth/token/revoke-accessor", json!({"accessor": token.as_str()}))
        }
        Some(token) if orphan => ("PUT", "auth/token/revoke-orphan", json!({"token": token.as_str()})),
        Some(token) => ("PUT", "auth/token/revoke", json!({"token": token.as_str()})),
    };
    let whole = call(parsed, method, path, Some(&body))?.json();
    warn(&whole);
    success("Revoked token (if it existed)")
}

fn capabilities(parsed: &Parsed) -> Outcome {
    let (route, body) = match parsed.arguments.as_slice() {
        [path] => ("sys/capabilities-self", json!({"path": path})),
        [accessor, path] if parsed.on("accessor") => {
            ("sys/capabilities-accessor", json!({"accessor": accessor, "path": path}))
        }
        [token, path] => {
            let token = if token == "-" { terminal::secret("")? } else { Zeroizing::new(token.clone()) };
            ("sys/capabilities", json!({"token": token.as_str(), "path": path}))
        }
        _ => return Err(Failure::Local("strongroom token capabilities [TOKEN] PATH".into())),
    };
    let whole = call(parsed, "POST", route, Some(&body))?.json();
    let found = [&whole["data"]["capabilities"], &whole["capabilities"]].into_iter().find(|list| list.is_array());
    let found = found.cloned().unwrap_or_default();
    match format(parsed)? {
        Format::Json => print!("{}", output::json(&found)),
        Format::Yaml => print!("{}", output::yaml(&found)),
        Format::Table => {
            let mut names: Vec<&str> = found.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            names.sort_unstable();
            println!("{}", names.join(", "));
        }
    }
    Ok(())
}

/// The token or accessor that the arguments name.
fn named(parsed: &Parsed) -> Result<Option<Zeroizing<String>>, Failure> {
    match parsed.arguments.as_slice() {
        [] => Ok(None),
        [dash] if dash == "-" => Ok(Some(terminal::secret("")?)),
        [one] => Ok(Some(Zeroizing::new(one.clone()))),
        _ => Err(Failure::Local("Too many arguments: one token, or none".into())),
    }
}

/// Prints a token as Vault's clients do.
fn auth(parsed: &Parsed, whole: &Value) -> Outcome {
    let auth = &whole["auth"];
    if !auth.is_object() {
        return print(parsed, whole, super::logical::shown(whole));
    }
    let rows = [
        ("token", &auth["client_token"]),
        ("token_accessor", &auth["accessor"]),
        ("token_renewable", &auth["renewable"]),
        ("token_policies", &auth["token_policies"]),
        ("identity_policies", &auth["identity_policies"]),
        ("policies", &auth["policies"]),
    ];
    if let Some(name) = parsed.get("field") {
        let known = rows.iter().find(|(held, _)| *held == name).map(|(_, value)| (*value).clone());
        let whole_field = known.or_else(|| (name == "token_duration").then(|| auth["lease_duration"].clone()));
        return match whole_field {
            Some(value) => super::field(&json!({ name: value }), &Value::Null, name),
            None => super::field(whole, auth, name),
        };
    }
    if format(parsed)? != Format::Table {
        return print(parsed, whole, auth);
    }
    let quoted = |value: &Value| match value {
        Value::Array(items) => format!("[{}]", items.iter().map(Value::to_string).collect::<Vec<_>>().join(" ")),
        Value::Null => "[]".into(),
        other => output::cell(other),
    };
    let mut table: Vec<(String, String)> = rows.iter().map(|(name, value)| (name.to_string(), quoted(value))).collect();
    table.insert(2, ("token_duration".into(), span(auth["lease_duration"].as_u64().unwrap_or(0))));
    print!("{}", output::pairs(table));
    Ok(())
}
