//! `secrets list|enable|disable|tune`.

use super::connect::{call, format, success};
use super::{Command, Failure, Outcome};
use crate::flags::{Flag, Parsed, flag, switch};
use crate::output::{self, Format};
use serde_json::{Map, Value, json};

const DESCRIPTION: Flag = flag("description", "TEXT", "For people.");
const DEFAULT_TTL: Flag = flag("default-lease-ttl", "SPAN", "What a lease gets that names no TTL.");
const MAX_TTL: Flag = flag("max-lease-ttl", "SPAN", "What no lease outlives.");
const OPTIONS: Flag = flag("options", "K=V", "An option of the engine; may be repeated.");
const VERSION: Flag = flag("version", "N", "The engine's version (KV).");

pub(super) const COMMANDS: &[Command] = &[
    Command {
        words: "secrets list",
        usage: "[flags]",
        about: "Lists secrets engines and where they are.",
        flags: &[switch("detailed", "Also their limits and options.")],
        client: true,
        run: list,
    },
    Command {
        words: "secrets enable",
        usage: "[flags] TYPE",
        about: "Enables a secrets engine, such as transit.",
        flags: &[
            flag("path", "PATH", "Where; by default the type's name."),
            DESCRIPTION,
            DEFAULT_TTL,
            MAX_TTL,
            OPTIONS,
            VERSION,
        ],
        client: true,
        run: enable,
    },
    Command {
        words: "secrets disable",
        usage: "[flags] PATH",
        about: "Disables a secrets engine and deletes all that it holds.",
        flags: &[],
        client: true,
        run: disable,
    },
    Command {
        words: "secrets tune",
        usage: "[flags] PATH",
        about: "Changes how a secrets engine is mounted.",
        flags: &[DESCRIPTION, DEFAULT_TTL, MAX_TTL, OPTIONS, VERSION],
        client: true,
        run: tune,
    },
];

fn list(parsed: &Parsed) -> Outcome {
    let whole = call(parsed, "GET", "sys/mounts", None)?.json();
    let mounts = &whole["data"];
    match format(parsed)? {
        Format::Json => print!("{}", output::json(mounts)),
        Format::Yaml => print!("{}", output::yaml(mounts)),
        Format::Table => print!("{}", table(mounts, parsed.on("detailed"))),
    }
    Ok(())
}

fn table(mounts: &Value, detailed: bool) -> String {
    let text = |value: &Value| match value {
        Value::Null => "n/a".into(),
        Value::String(text) if text.is_empty() => "n/a".into(),
        other => output::cell(other),
    };
    let ttl = |value: &Value| match value.as_u64() {
        Some(0) | None => "system".into(),
        Some(seconds) => output::span(seconds),
    };
    let heading: &[&str] = match detailed {
        true => &["Path", "Type", "Accessor", "Default TTL", "Max TTL", "Options", "Description", "UUID"],
        false => &["Path", "Type", "Accessor", "Description"],
    };
    let rows: Vec<Vec<String>> = (mounts.as_object().into_iter().flatten())
        .filter(|(_, mount)| mount.is_object())
        .map(|(path, mount)| {
            let config = &mount["config"];
            let mut row = vec![path.clone(), text(&mount["type"]), text(&mount["accessor"])];
            if detailed {
                let options = match &mount["options"] {
                    Value::Null => "map[]".into(),
                    options => output::cell(options),
                };
                row.extend([ttl(&config["default_lease_ttl"]), ttl(&config["max_lease_ttl"]), options]);
            }
            row.push(text(&mount["description"]));
            if detailed {
                row.push(text(&mount["uuid"]));
            }
            row
        })
        .collect();
    output::table(heading, &rows)
}

fn enable(parsed: &Parsed) -> Outcome {
    let [kind] = parsed.exactly::<1>("strongroom secrets enable TYPE")?;
    let path = parsed.get("path").unwrap_or(kind).trim_matches('/');
    let mut body = Map::from_iter([("type".to_owned(), json!(kind))]);
    body.insert("description".into(), json!(parsed.get("description").unwrap_or_default()));
    let mut config = Map::new();
    for (name, field) in [("default-lease-ttl", "default_lease_ttl"), ("max-lease-ttl", "max_lease_ttl")] {
        if let Some(span) = parsed.get(name) {
            config.insert(field.into(), json!(span));
        }
    }
    body.insert("config".into(), config.into());
    if let Some(options) = options(parsed)? {
        body.insert("options".into(), options);
    }
    call(parsed, "POST", &format!("sys/mounts/{path}"), Some(&body.into()))?;
    success(&format!("Enabled the {kind} secrets engine at: {path}/"))
}

fn disable(parsed: &Parsed) -> Outcome {
    let [path] = parsed.exactly::<1>("strongroom secrets disable PATH")?;
    let path = path.trim_matches('/');
    call(parsed, "DELETE", &format!("sys/mounts/{path}"), None)?;
    success(&format!("Disabled the secrets engine (if it existed) at: {path}/"))
}

fn tune(parsed: &Parsed) -> Outcome {
    let [path] = parsed.exactly::<1>("strongroom secrets tune PATH")?;
    let path = path.trim_matches('/');
    let mut body = Map::new();
    for (name, field) in
        [("description", "description"), ("default-lease-ttl", "default_lease_ttl"), ("max-lease-ttl", "max_lease_ttl")]
    {
        if let Some(value) = parsed.get(name) {
            body.insert(field.into(), json!(value));
        }
    }
    if let Some(options) = options(parsed)? {
        body.insert("options".into(), options);
    }
    if body.is_empty() {
        return Err(Failure::Local("nothing to change: see strongroom secrets tune -h".into()));
    }
    call(parsed, "POST", &format!("sys/mounts/{path}/tune"), Some(&body.into()))?;
    success(&format!("Tuned the secrets engine at: {path}/"))
}

fn options(parsed: &Parsed) -> Result<Option<Value>, Failure> {
    let mut options = Map::new();
    for pair in parsed.all("options") {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("-options {pair:?} is not K=V"))?;
        options.insert(name.into(), json!(value));
    }
    if let Some(version) = parsed.get("version") {
        options.insert("version".into(), json!(version));
    }
    Ok((!options.is_empty()).then(|| options.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_listed_by_path() {
        let mounts = json!({"transit/": {"type": "transit", "accessor": "transit_1", "description": "", "config": {}},
                            "sys/": {"type": "system", "accessor": "system_1", "description": "d"}, "noise": 1});
        let want = "Path        Type       Accessor     Description\n----        ----       --------     -----------\n\
                    sys/        system     system_1     d\ntransit/    transit    transit_1    n/a\n";
        assert_eq!(table(&mounts, false), want);
        assert!(table(&mounts, true).contains("system     n/a") || table(&mounts, true).contains("map[]"));
    }
}
