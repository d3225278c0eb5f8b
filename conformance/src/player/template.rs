//! `${name}` and `${name|filter}` in what is sent and in what is expected.

use super::Names;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::{Captures, Regex};
use serde_json::Value;
use std::sync::LazyLock;

static HOLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\{([\w.-]+)(?:\|(\w+))?\}").expect("the pattern is valid"));

/// `value` with every hole filled; a string that is nothing but one hole takes the captured JSON type.
pub(super) fn fill(value: &Value, names: &Names) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match HOLE.captures(text) {
            Some(hole) if hole[0].len() == text.len() => look(&hole, names)?,
            Some(_) => self::text(text, names)?.into(),
            None => value.clone(),
        },
        Value::Array(items) => Value::Array(items.iter().map(|item| fill(item, names)).collect::<Result<_, _>>()?),
        Value::Object(map) => {
            if let Some(count) = map.get("$fill").and_then(Value::as_u64) {
                return Ok("x".repeat(usize::try_from(count).map_err(|_| "a fill that is too long")?).into());
            }
            let filled = map.iter().map(|(key, value)| Ok((self::text(key, names)?, fill(value, names)?)));
            Value::Object(filled.collect::<Result<_, String>>()?)
        }
        _ => value.clone(),
    })
}

/// `text` with every hole replaced by the captured value's text.
pub(super) fn text(text: &str, names: &Names) -> Result<String, String> {
    let mut out = String::new();
    let mut end = 0;
    for hole in HOLE.captures_iter(text) {
        let all = hole.get(0).expect("group 0 is the whole match");
        out.push_str(&text[end..all.start()]);
        out.push_str(&plain(&look(&hole, names)?));
        end = all.end();
    }
    out.push_str(&text[end..]);
    Ok(out)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // As Python's str() writes them.
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null => "None".into(),
        other => other.to_string(),
    }
}

fn look(hole: &Captures<'_>, names: &Names) -> Result<Value, String> {
    let name = &hole[1];
    let value = names.get(name).ok_or_else(|| format!("needs ${{{name}}}, which no earlier step captured"))?;
    let Some(filter) = hole.get(2) else { return Ok(value.clone()) };
    let text = plain(value);
    let decode = |text: &str| STANDARD.decode(text).map_err(|_| format!("{name} is not base64"));
    Ok(match filter.as_str() {
        "b64" => STANDARD.encode(text),
        "unb64" => String::from_utf8_lossy(&decode(&text)?).into_owned(),
        "hex" => hex::encode(decode(&text)?),
        "lower" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        "dashes" => text.replace(':', "-"),
        "payload" => text.rsplit(':').next().unwrap_or_default().to_owned(),
        "tamper" => {
            let (head, payload) = text.rsplit_once(':').map_or(("", text.as_str()), |(head, tail)| (head, tail));
            let mut data = decode(payload)?;
            *data.last_mut().ok_or("nothing to tamper with")? ^= 1;
            let colon = if head.is_empty() { "" } else { ":" };
            format!("{head}{colon}{}", STANDARD.encode(data))
        }
        other => return Err(format!("unknown filter {other}")),
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn holes_are_filled_in_text_keys_and_whole_values() {
        let names = json!({"n": 5, "t": "vault:v1:AQI=", "s": "a:b"}).as_object().unwrap().clone();
        let got = fill(
            &json!({"whole": "${n}", "part": "x${n}y", "${s|dashes}": ["${t|payload}", "${t|tamper}"],
            "long": {"$fill": 3}}),
            &names,
        );
        let want = json!({"whole": 5, "part": "x5y", "a-b": ["AQI=", "vault:v1:AQM="], "long": "xxx"});
        assert_eq!(got.unwrap(), want);
        assert!(fill(&json!("${gone}"), &names).unwrap_err().contains("${gone}"));
    }
}
