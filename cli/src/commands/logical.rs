//! `read`, `write`, `list`, `delete`: any path.

use super::connect::{call, format, refused, send, success};
use super::{Command, Failure, Outcome, connect, print, warn};
use crate::flags::{Parsed, switch};
use crate::output::{self, Format};
use crate::terminal;
use serde_json::{Map, Value};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        words: "read",
        usage: "[flags] PATH [K=V…]",
        about: "Reads a path. K=V become the query.",
        flags: &[],
        client: true,
        run: read,
    },
    Command {
        words: "write",
        usage: "[flags] PATH [K=V | K=@FILE | K=- | @FILE | -]…",
        about: "Writes to a path. K=@FILE takes the value from a file, K=- from stdin, @FILE or - the whole JSON body.",
        flags: &[switch("force", "Write without data."), switch("f", "The same as -force.")],
        client: true,
        run: write,
    },
    Command {
        words: "list",
        usage: "[flags] PATH",
        about: "Lists the names below a path.",
        flags: &[],
        client: true,
        run: list,
    },
    Command {
        words: "delete",
        usage: "[flags] PATH [K=V…]",
        about: "Deletes what is at a path. K=V become the query.",
        flags: &[],
        client: true,
        run: delete,
    },
];

fn read(parsed: &Parsed) -> Outcome {
    let (path, query) = path_and_query(parsed)?;
    let answer = call(parsed, "GET", &format!("{path}{query}"), None)?;
    let whole = answer.json();
    warn(&whole);
    print(parsed, &whole, shown(&whole))
}

fn write(parsed: &Parsed) -> Outcome {
    let Some((path, data)) = parsed.arguments.split_first() else {
        return Err(Failure::Local("a path is missing: strongroom write PATH K=V…".into()));
    };
    let force = parsed.on("force") || parsed.on("f");
    if data.is_empty() && !force {
        return Err(Failure::Local("Must supply data or use -force".into()));
    }
    let body = Value::Object(data_of(data)?);
    let path = path.trim_matches('/');
    let answer = call(parsed, "PUT", path, Some(&body))?;
    let whole = answer.json();
    warn(&whole);
    if answer.body.is_empty() || whole.is_null() {
        return success(&format!("Data written to: {path}"));
    }
    print(parsed, &whole, shown(&whole))
}

fn list(parsed: &Parsed) -> Outcome {
    let [path] = parsed.exactly::<1>("strongroom list PATH")?;
    let path = path.trim_matches('/');
    let client = connect::client(parsed)?;
    let answer = send(&client, "GET", &format!("{path}?list=true"), None)?;
    if answer.status == 404 && answer.errors().is_empty() {
        return Err(Failure::Refused(format!("No value found at {path}")));
    }
    if !answer.is_success() {
        return Err(refused(&client, "LIST", path, &answer));
    }
    print_names(parsed, &answer.json())
}

/// Prints the names of a list.
pub(super) fn print_names(parsed: &Parsed, whole: &Value) -> Outcome {
    warn(whole);
    let keys = &whole["data"]["keys"];
    if parsed.get("field").is_some() {
        return print(parsed, whole, &whole["data"]);
    }
    match format(parsed)? {
        Format::Json => print!("{}", output::json(keys)),
        Format::Yaml => print!("{}", output::yaml(keys)),
        Format::Table => {
            let rows: Vec<Vec<String>> =
                keys.as_array().into_iter().flatten().map(|key| vec![output::cell(key)]).collect();
            print!("{}", output::table(&["Keys"], &rows));
        }
    }
    Ok(())
}

fn delete(parsed: &Parsed) -> Outcome {
    let (path, query) = path_and_query(parsed)?;
    let answer = call(parsed, "DELETE", &format!("{path}{query}"), None)?;
    let whole = answer.json();
    warn(&whole);
    match whole["data"].is_object() {
        true => print(parsed, &whole, shown(&whole)),
        false => success(&format!("Data deleted (if it existed) at: {path}")),
    }
}

/// The part of an answer that a table shows: `data`, `auth`, `wrap_info`, or all of a bare one.
pub(super) fn shown(whole: &Value) -> &Value {
    [&whole["data"], &whole["auth"], &whole["wrap_info"]].into_iter().find(|part| part.is_object()).unwrap_or(whole)
}

fn path_and_query(parsed: &Parsed) -> Result<(String, String), Failure> {
    let Some((path, rest)) = parsed.arguments.split_first() else {
        return Err(Failure::Local("a path is missing: strongroom read or delete PATH [K=V…]".into()));
    };
    let mut query = Vec::new();
    for pair in rest {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not K=V"))?;
        query.push(format!("{}={}", encoded(name), encoded(value)));
    }
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    Ok((path.trim_matches('/').to_owned(), query))
}

fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A body from `k=v`, `k=@file`, `k=-`, `@file` and `-`. A name given twice becomes a list.
pub(super) fn data_of(arguments: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut body = Map::new();
    for argument in arguments {
        if argument == "-" {
            merge(&mut body, &terminal::all()?, "stdin")?;
        } else if let Some(file) = argument.strip_prefix('@') {
            merge(&mut body, &file_text(file)?, file)?;
        } else {
            let (name, value) = argument
                .split_once('=')
                .ok_or_else(|| format!("{argument:?} is not K=V: write K=V, K=@FILE, K=-, @FILE or -"))?;
            let value = match value {
                "-" => Value::String(terminal::all()?.to_string()),
                value => match value.strip_prefix('@') {
                    Some(file) => Value::String(file_text(file)?.to_string()),
                    None => Value::String(
                        value.strip_prefix('\\').filter(|rest| rest.starts_with('@')).unwrap_or(value).into(),
                    ),
                },
            };
            match body.get_mut(name) {
                None => drop(body.insert(name.to_owned(), value)),
                Some(Value::Array(values)) => values.push(value),
                Some(one) => *one = Value::Array(vec![one.take(), value]),
            }
        }
    }
    Ok(body)
}

fn merge(body: &mut Map<String, Value>, text: &str, source: &str) -> Result<(), Failure> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => {
            body.extend(fields);
            Ok(())
        }
        // Only the place is repeated: the text may hold a secret.
        Ok(_) => Err(Failure::Local(format!("{source}: not a JSON object"))),
        Err(error) => {
            Err(Failure::Local(format!("{source}: no JSON (line {}, column {})", error.line(), error.column())))
        }
    }
}

fn file_text(file: &str) -> Result<zeroize::Zeroizing<String>, Failure> {
    std::fs::read_to_string(file).map(Into::into).map_err(|error| Failure::Local(format!("{file}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(arguments: &[&str]) -> Result<Value, String> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        match data_of(&arguments) {
            Ok(body) => Ok(Value::Object(body)),
            Err(Failure::Local(text)) => Err(text),
            Err(_) => Err("refused".into()),
        }
    }

    #[test]
    fn bodies_are_made_of_pairs_and_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("body.json");
        std::fs::write(&file, "{\"n\": 1, \"l\": [true]}").unwrap();
        let value = format!("k=@{}", file.display());
        assert_eq!(
            data(&["a=b=c", "x=", "m=1", "m=2", "m=3"]).unwrap(),
            serde_json::json!({"a": "b=c", "x": "", "m": ["1", "2", "3"]})
        );
        assert_eq!(
            data(&[&format!("@{}", file.display()), "a=\\@b"]).unwrap(),
            serde_json::json!({"n": 1, "l": [true], "a": "@b"})
        );
        assert_eq!(data(&[&value]).unwrap()["k"], "{\"n\": 1, \"l\": [true]}");
        std::fs::write(&file, "[secret").unwrap();
        let refused = data(&[&format!("@{}", file.display())]).unwrap_err();
        assert!(refused.contains("no JSON") && !refused.contains("secret"), "{refused}");
        assert!(data(&["nothing"]).is_err() && data(&["k=@/nowhere"]).unwrap_err().contains("/nowhere"));
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encoded("a b&ü"), "a%20b%26%C3%BC");
    }
}
