//! Weak decoding: what clients send where a type is asked for. Boolean as text, numbers as text, spans in Go's writing.
//!
//! Each function takes one value as JSON text and says what is wrong without repeating the value, which may be secret.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Why a value does not fit, in a few words.
pub type Mismatch = &'static str;

/// Whether the JSON text is `null`, which stands for "not given".
pub fn is_null(json: &str) -> bool {
    json.trim_matches([' ', '\t', '\r', '\n']) == "null"
}

/// Text; a number or boolean gives its own text.
pub fn string(json: &str) -> Result<Cow<'_, str>, Mismatch> {
    match json.as_bytes().first() {
        Some(b'"') => match plain_string(json) {
            Some(text) => Ok(Cow::Borrowed(text)),
            None => serde_json::from_str::<String>(json).map(Cow::Owned).map_err(|_| "not a string"),
        },
        Some(b'[' | b'{') => Err("expected a string"),
        _ => Ok(Cow::Borrowed(json)),
    }
}

/// A whole number; text that holds one; true is 1; empty text is 0.
pub fn int(json: &str) -> Result<i64, Mismatch> {
    let text = string(json).map_err(|_| "expected a number")?;
    match text.as_ref() {
        "" | "false" => Ok(0),
        "true" => Ok(1),
        text => match text.parse::<i64>() {
            Ok(number) => Ok(number),
            // 1e3 and 5.0 are whole numbers too.
            Err(_) => match text.parse::<f64>() {
                Ok(number) if number.fract() == 0.0 && number.abs() < 9e15 => Ok(number as i64),
                Ok(_) => Err("expected a whole number"),
                Err(_) => Err("expected a number"),
            },
        },
    }
}

/// true or false in the spellings of Go's `ParseBool`; a number is true unless 0; empty text is false.
pub fn boolean(json: &str) -> Result<bool, Mismatch> {
    match string(json).map_err(|_| "expected a boolean")?.as_ref() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        text if !json.starts_with('"') => match text.parse::<f64>() {
            Ok(number) => Ok(number != 0.0),
            Err(_) => Err("expected a boolean"),
        },
        _ => Err("expected a boolean"),
    }
}

/// A span in whole seconds, never negative: a number of seconds, or Go's writing (`1h30m`, `90s`, `1.5h`) or days (`2d`).
pub fn seconds(json: &str) -> Result<u64, Mismatch> {
    let text = string(json).map_err(|_| "expected a duration")?;
    let nanos = match text.as_ref() {
        "" | "false" => 0,
        "true" => 1_000_000_000,
        text => parse_span(text).ok_or("expected a duration such as 30s or 1h")?,
    };
    u64::try_from(nanos).map(|nanos| nanos / 1_000_000_000).map_err(|_| "cannot provide negative value")
}

/// Nanoseconds of a span as Vault's clients write it; a bare number is seconds.
pub fn parse_span(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1_000_000_000);
    }
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            "d" => 86_400e9,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[letters..];
    }
    (total < 9e18).then(|| sign * total as i64)
}

/// A list of strings; text is split at commas and trimmed; empty text is an empty list.
pub fn comma_list(json: &str) -> Result<Vec<String>, Mismatch> {
    if json.starts_with('[') {
        return list(json);
    }
    let text = string(json).map_err(|_| "expected a list of strings")?;
    Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

/// A list of strings; one string is a list of one.
pub fn list(json: &str) -> Result<Vec<String>, Mismatch> {
    if !json.starts_with('[') {
        let one = string(json).map_err(|_| "expected a list of strings")?;
        return Ok(if one.is_empty() { vec![] } else { vec![one.into_owned()] });
    }
    raw_items(json)?.into_iter().map(|item| Ok(string(item)?.into_owned())).collect()
}

/// An object of strings, or a list of `k=v`, or one `k=v`.
pub fn key_values(json: &str) -> Result<BTreeMap<String, String>, Mismatch> {
    const WRONG: Mismatch = "expected an object of strings";
    if json.starts_with('{') {
        let held: BTreeMap<Cow<'_, str>, &serde_json::value::RawValue> =
            serde_json::from_str(json).map_err(|_| WRONG)?;
        return held
            .into_iter()
            .map(|(key, value)| Ok((key.into_owned(), string(value.get()).map_err(|_| WRONG)?.into_owned())))
            .collect();
    }
    let pairs =
        if json.starts_with('[') { list(json).map_err(|_| WRONG)? } else { comma_list(json).map_err(|_| WRONG)? };
    pairs
        .into_iter()
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
            None => Err("expected key=value"),
        })
        .collect()
}

/// The items of a JSON list, each as JSON text.
pub fn raw_items(json: &str) -> Result<Vec<&str>, Mismatch> {
    let items: Vec<&serde_json::value::RawValue> = serde_json::from_str(json).map_err(|_| "expected a list")?;
    Ok(items.into_iter().map(serde_json::value::RawValue::get).collect())
}

/// The content of a JSON string that has no escapes: borrowed, no second pass.
fn plain_string(json: &str) -> Option<&str> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.as_bytes().contains(&b'\\')).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_go_and_vault_write_them() {
        for (text, want) in [
            ("30", 30),
            ("\"30\"", 30),
            ("\"30s\"", 30),
            ("\"5m\"", 300),
            ("\"1h30m\"", 5400),
            ("\"720h0m0s\"", 2_592_000),
            ("\"1d\"", 86_400),
            ("\"1.5h\"", 5400),
            ("\"\"", 0),
            ("\"1500ms\"", 1),
            ("true", 1),
        ] {
            assert_eq!(seconds(text), Ok(want), "{text}");
        }
        for text in ["\"-5s\"", "-5", "\"soon\"", "[1]", "{}", "\"5 m\"", "\"h\"", "\"9999999999999999999h\"", "\"-\""]
        {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn booleans_and_numbers_are_read_weakly() {
        for text in ["true", "1", "\"t\"", "\"True\"", "2"] {
            assert_eq!(boolean(text), Ok(true), "{text}");
        }
        for text in ["false", "0", "\"\"", "\"F\""] {
            assert_eq!(boolean(text), Ok(false), "{text}");
        }
        assert!(boolean("\"yes\"").is_err() && boolean("[]").is_err());
        assert_eq!((int("5"), int("\"3\""), int("\"\""), int("5.0")), (Ok(5), Ok(3), Ok(0), Ok(5)));
        assert!(int("1.5").is_err() && int("\"many\"").is_err() && int("{}").is_err());
    }

    #[test]
    fn lists_and_maps_are_read_weakly() {
        assert_eq!(comma_list("\"a, b,,c\"").unwrap(), ["a", "b", "c"]);
        assert_eq!(comma_list("[\"a,b\",5]").unwrap(), ["a,b", "5"]);
        assert_eq!(list("\"a,b\"").unwrap(), ["a,b"]);
        assert!(list("[[\"a\"]]").is_err() && comma_list("{\"a\":1}").is_err());
        let want = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
        for text in ["{\"k\":\"v\"}", "[\"k=v\"]", "\"k=v\""] {
            assert_eq!(key_values(text).unwrap(), want, "{text}");
        }
        assert!(key_values("{\"k\":{}}").is_err() && key_values("[\"k\"]").is_err());
    }

    #[test]
    fn escapes_are_resolved_and_plain_text_is_borrowed() {
        assert!(matches!(string("\"abc\""), Ok(Cow::Borrowed("abc"))));
        assert_eq!(string("\"a\\n\\u00fc\"").unwrap(), "a\nü");
        assert!(is_null(" null\n") && !is_null("\"null\""));
    }
}
