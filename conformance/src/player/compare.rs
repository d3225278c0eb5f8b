//! What was wanted against what came: an expected object means at least these keys; `$` objects are matchers.

use regex::Regex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

/// Adds one sentence to `wrong` for each way in which `got` is not what was wanted.
pub(super) fn diff(want: &Value, got: &Value, at: &str, wrong: &mut Vec<String>) {
    match want {
        Value::Object(map) if map.len() == 1 && map.keys().all(|key| key.starts_with('$')) => {
            let (how, arg) = map.iter().next().expect("the map has one entry");
            matcher(how, arg, got, at, wrong);
        }
        Value::Object(map) => {
            let Value::Object(held) = got else {
                return wrong.push(format!("{} is {}, expected an object", place(at), short(got)));
            };
            for (key, value) in map {
                let absent =
                    value.as_object().is_some_and(|map| map.len() == 1 && map.get("$absent") == Some(&true.into()));
                match held.get(key) {
                    Some(_) if absent => wrong.push(format!("{at}/{key} must be absent")),
                    None if absent => {}
                    None => wrong.push(format!("{at}/{key} missing")),
                    Some(got) => diff(value, got, &format!("{at}/{key}"), wrong),
                }
            }
        }
        Value::Array(items) => match got {
            Value::Array(held) if held.len() == items.len() => {
                for (index, (want, got)) in items.iter().zip(held).enumerate() {
                    diff(want, got, &format!("{at}/{index}"), wrong);
                }
            }
            _ => wrong.push(format!("{} is {}, expected {}", place(at), short(got), short(want))),
        },
        Value::Number(_) if got.is_number() && want.as_f64() == got.as_f64() => {}
        _ if want == got => {}
        _ => wrong.push(format!("{} is {}, expected {}", place(at), short(got), short(want))),
    }
}

fn matcher(how: &str, arg: &Value, got: &Value, at: &str, wrong: &mut Vec<String>) {
    let fits = |want: &Value, got: &Value| {
        let mut wrong = Vec::new();
        diff(want, got, "", &mut wrong);
        wrong.is_empty()
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let ok = match how {
        "$any" => is_kind(arg.as_str().unwrap_or_default(), got),
        "$re" => got.as_str().is_some_and(|text| pattern(arg.as_str().unwrap_or_default()).is_match(text)),
        "$contains" => got.as_str().is_some_and(|text| text.contains(arg.as_str().unwrap_or_default())),
        "$range" => got.as_f64().is_some_and(|number| {
            arg[0].as_f64().is_some_and(|low| low <= number) && arg[1].as_f64().is_some_and(|high| number <= high)
        }),
        "$one" => list(arg).iter().any(|option| fits(option, got)),
        "$has" | "$set" => {
            let held = list(got);
            got.is_array()
                && list(arg).iter().all(|want| held.iter().any(|got| fits(want, got)))
                && (how == "$has" || held.len() == list(arg).len())
        }
        "$exact" => {
            diff(arg, got, at, wrong);
            let extra: Vec<_> = got
                .as_object()
                .into_iter()
                .flat_map(|held| held.keys())
                .filter(|key| arg.get(key.as_str()).is_none())
                .collect();
            if !extra.is_empty() {
                wrong.push(format!("{} has unexpected {extra:?}", place(at)));
            }
            return;
        }
        "$json" => match got.as_str().and_then(|text| serde_json::from_str(text).ok()) {
            Some(held) => return diff(arg, &held, &format!("{at}(json)"), wrong),
            None => false,
        },
        _ => panic!("unknown matcher {how}"),
    };
    if !ok {
        wrong.push(format!("{} is {}, expected {} {}", place(at), short(got), &how[1..], short(arg)));
    }
}

fn is_kind(kind: &str, got: &Value) -> bool {
    let expression = match kind {
        "any" => return true,
        "number" => return got.is_number(),
        "int" => return got.is_i64() || got.is_u64(),
        "bool" => return got.is_boolean(),
        "string" => return got.is_string(),
        "list" => return got.is_array(),
        "map" => return got.is_object(),
        "uuid" => r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        "time" => r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
        "token" => r"^[A-Za-z0-9._-]{20,}$",
        "accessor" => r"^[A-Za-z0-9._-]{8,}$",
        "base64" => r"^[A-Za-z0-9+/_-]+={0,2}$",
        "hex" => r"^[0-9a-f]+$",
        "serial" => r"^[0-9a-f]{2}(:[0-9a-f]{2})+$",
        "pem" => r"^-----BEGIN [A-Z0-9 ]+-----\n[\s\S]+-----END [A-Z0-9 ]+-----\s*$",
        "text" => r"[\s\S]",
        other => match other.split_once(':') {
            Some((_, version)) => &format!(r"^vault:{version}:[A-Za-z0-9+/_-]+={{0,2}}$"),
            None => panic!("unknown kind {other}"),
        },
    };
    got.as_str().is_some_and(|text| pattern(expression).is_match(text))
}

/// Compiled patterns are kept: a file uses the same few a thousand times.
fn pattern(expression: &str) -> Regex {
    static HELD: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut held = HELD.lock().expect("no holder panics");
    held.entry(expression.to_owned())
        .or_insert_with(|| Regex::new(expression).unwrap_or_else(|error| panic!("{expression}: {error}")))
        .clone()
}

fn place(at: &str) -> &str {
    if at.is_empty() { "/" } else { at }
}

fn short(value: &Value) -> String {
    super::short(&value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fits(want: Value, got: Value) -> bool {
        let mut wrong = Vec::new();
        diff(&want, &got, "", &mut wrong);
        wrong.is_empty()
    }

    #[test]
    fn each_matcher_can_fail() {
        for (want, good, bad) in [
            (json!({"$any": "int"}), json!(5), json!(true)),
            (json!({"$any": "bool"}), json!(false), json!(0)),
            (json!({"$any": "ciphertext:v2"}), json!("vault:v2:AA=="), json!("vault:v1:AA==")),
            (json!({"$re": "^a+$"}), json!("aaa"), json!("ab")),
            (json!({"$contains": "x"}), json!("axb"), json!("ab")),
            (json!({"$range": [1, 3]}), json!(3), json!(4)),
            (json!({"$one": [1, "a"]}), json!("a"), json!("b")),
            (json!({"$has": [1]}), json!([2, 1]), json!([2])),
            (json!({"$set": [1, 2]}), json!([2, 1]), json!([2, 1, 3])),
            (json!({"$exact": {"a": 1}}), json!({"a": 1}), json!({"a": 1, "b": 2})),
            (json!({"$json": {"a": 1}}), json!("{\"a\":1}"), json!("{}")),
            (json!({"a": {"$absent": true}}), json!({}), json!({"a": 1})),
            (json!([1, 2]), json!([1, 2]), json!([1, 2, 3])),
            (json!(null), json!(null), json!("")),
            (json!(1), json!(1.0), json!("1")),
            (json!({"a": {}}), json!({"a": {"b": 1}}), json!({"a": []})),
        ] {
            assert!(fits(want.clone(), good.clone()), "{want} should take {good}");
            assert!(!fits(want.clone(), bad.clone()), "{want} should refuse {bad}");
        }
    }
}
