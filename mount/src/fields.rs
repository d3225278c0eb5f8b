//! The parameters of a request: read once into names and JSON texts, decoded weakly as each is asked for.
//!
//! The body stays one run of bytes that values point into, so a 64 KiB plaintext is scanned but never copied into a tree.

use crate::{Error, weak};
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::ops::Range;

/// Parameters by name. Path captures are put in last, and win over a body that repeats them.
#[derive(Default)]
pub struct Fields {
    text: Bytes,
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    value: Value,
}

enum Value {
    /// A JSON value: where it stands in `text`.
    Json(Range<usize>),
    /// From the path or the query, kept as JSON text.
    Given(String),
}

impl Fields {
    /// Reads a body that is a JSON object; nothing at all and `null` are no parameters.
    ///
    /// # Errors
    /// 400 `failed to decode JSON input: …` for anything else, for invalid UTF-8, for a name that stands twice and for what is
    /// nested deeper than 1,000.
    pub fn from_json(text: Bytes) -> Result<Self, Error> {
        let trimmed = text.trim_ascii();
        if trimmed.is_empty() || trimmed == b"null" {
            return Ok(Fields::default());
        }
        if nested_too_deep(&text) {
            return Err(Error::caller(format!("failed to decode JSON input: nested deeper than {DEEPEST}")));
        }
        let entries = {
            let start = text.as_ptr() as usize;
            let held: Top<'_> = serde_json::from_slice(&text).map_err(|error| undecodable(trimmed, &error))?;
            // Room for what the path holds, too.
            let mut entries = Vec::with_capacity(held.0.len() + 2);
            entries.extend(held.0.into_iter().map(|(name, value)| {
                let at = value.get().as_ptr() as usize - start;
                Entry { name: name.into_owned(), value: Value::Json(at..at + value.get().len()) }
            }));
            entries
        };
        Ok(Fields { text, entries })
    }

    /// Adds a parameter from a path segment or a query, unless its name is there already.
    pub fn add(&mut self, name: &str, value: &str) {
        if self.position(name).is_none() {
            self.entries.push(Entry { name: name.to_owned(), value: Value::Given(quoted(value)) });
        }
    }

    /// Adds a parameter that a query gives several times.
    pub fn add_list(&mut self, name: &str, values: &[&str]) {
        if self.position(name).is_none() {
            let items: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            self.entries.push(Entry { name: name.to_owned(), value: Value::Given(format!("[{}]", items.join(","))) });
        }
    }

    /// Sets a path capture; says whether the input held the name too, and loses.
    pub fn capture(&mut self, name: &str, value: &str) -> bool {
        let replaced = self.position(name);
        if let Some(at) = replaced {
            self.entries.remove(at);
        }
        self.entries.push(Entry { name: name.to_owned(), value: Value::Given(quoted(value)) });
        replaced.is_some()
    }

    /// All names with their values as JSON text, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), self.text_of(entry)))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The whole body as it came, for backends whose data it is (KV v1); empty where it came by query.
    pub fn body(&self) -> &[u8] {
        &self.text
    }

    /// The value as JSON text; `None` when absent or `null`.
    pub fn raw(&self, name: &str) -> Option<&str> {
        let text = self.text_of(&self.entries[self.position(name)?]);
        (!weak::is_null(text)).then_some(text)
    }

    /// Whether the parameter was given, and not as `null`.
    pub fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// See [`weak::string`].
    pub fn string(&self, name: &str) -> Result<Option<Cow<'_, str>>, Error> {
        self.read(name, weak::string)
    }

    /// See [`weak::int`].
    pub fn int(&self, name: &str) -> Result<Option<i64>, Error> {
        self.read(name, weak::int)
    }

    /// See [`weak::boolean`].
    pub fn bool(&self, name: &str) -> Result<Option<bool>, Error> {
        self.read(name, weak::boolean)
    }

    /// See [`weak::seconds`].
    pub fn seconds(&self, name: &str) -> Result<Option<u64>, Error> {
        self.read(name, weak::seconds)
    }

    /// See [`weak::comma_list`].
    pub fn comma_list(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        self.read(name, weak::comma_list)
    }

    /// See [`weak::list`].
    pub fn list(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        self.read(name, weak::list)
    }

    /// See [`weak::key_values`].
    pub fn key_values(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, Error> {
        self.read(name, weak::key_values)
    }

    /// An object within.
    pub fn object(&self, name: &str) -> Result<Option<Fields>, Error> {
        let Some(json) = self.raw(name) else { return Ok(None) };
        self.nested(name, json).map(Some)
    }

    /// A list of objects: a batch.
    pub fn items(&self, name: &str) -> Result<Option<Vec<Fields>>, Error> {
        let Some(items) = self.read(name, weak::raw_items)? else { return Ok(None) };
        items.into_iter().map(|json| self.nested(name, json)).collect::<Result<_, _>>().map(Some)
    }

    fn nested(&self, name: &str, json: &str) -> Result<Fields, Error> {
        if !json.starts_with('{') {
            return Err(mismatch(name, "expected an object"));
        }
        let text = match self.position(name).map(|at| &self.entries[at].value) {
            Some(Value::Json(_)) => self.text.slice_ref(json.as_bytes()),
            _ => Bytes::copy_from_slice(json.as_bytes()),
        };
        Fields::from_json(text).map_err(|_| mismatch(name, "expected an object"))
    }

    fn read<'a, T>(
        &'a self,
        name: &str,
        decode: impl FnOnce(&'a str) -> Result<T, weak::Mismatch>,
    ) -> Result<Option<T>, Error> {
        self.raw(name).map(decode).transpose().map_err(|why| mismatch(name, why))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.name == name)
    }

    fn text_of<'a>(&'a self, entry: &'a Entry) -> &'a str {
        match &entry.value {
            // The range was cut out of valid UTF-8 by the JSON reader, at the borders of a value.
            Value::Json(range) => std::str::from_utf8(&self.text[range.clone()]).expect("a JSON value is UTF-8"),
            Value::Given(text) => text,
        }
    }
}

fn quoted(value: &str) -> String {
    let mut out = Vec::with_capacity(value.len() + 2);
    crate::json::escape(&mut out, value);
    // `escape` writes UTF-8 from UTF-8.
    String::from_utf8(out).expect("an escaped string is UTF-8")
}

fn mismatch(name: &str, why: &str) -> Error {
    Error::caller(format!("Field validation failed: error converting input for field {name:?}: {why}"))
}

/// Lists and objects within each other. What is kept as text here is read by others, who may recurse; clients store what is
/// some hundreds deep.
const DEEPEST: usize = 1000;

/// Looks at brackets outside strings; what is no JSON otherwise is somebody else's to refuse.
fn nested_too_deep(text: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    // With few brackets, wherever they stand, nothing is deep, and that is nearly everything: counting costs little.
    text.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > DEEPEST
        && text.iter().any(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'[' | b'{' if !in_string => depth += 1,
                b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth > DEEPEST
        })
}

/// Says where the text is wrong, and never repeats it: it may hold a secret.
fn undecodable(text: &[u8], error: &serde_json::Error) -> Error {
    Error::caller(match text[0] {
        b'{' if error.to_string().starts_with(TWICE) => "failed to decode JSON input: a name stands twice".to_owned(),
        b'{' => format!("failed to decode JSON input: invalid at line {} column {}", error.line(), error.column()),
        _ => "failed to decode JSON input: expected an object".to_owned(),
    })
}

const TWICE: &str = "duplicate name";

struct Top<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A name that borrows where it has no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Top<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Top<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut held: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                let mut seen = HashSet::new();
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    let twice = if held.len() < 16 {
                        held.iter().any(|(held, _)| *held == name)
                    } else {
                        if seen.is_empty() {
                            seen.extend(held.iter().map(|(name, _)| name.clone()));
                        }
                        !seen.insert(name.clone())
                    };
                    if twice {
                        return Err(serde::de::Error::custom(TWICE));
                    }
                    held.push((name, value));
                }
                Ok(Top(held))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Fields, Error> {
        Fields::from_json(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn what_is_nested_too_deep_is_refused_and_brackets_in_strings_are_text() {
        let lists = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        let read = |text: String| Fields::from_json(Bytes::from(text));
        for deep in [lists(1001), objects(1001), lists(100_000), objects(100_000)] {
            let text = read(deep).err().unwrap().text;
            assert_eq!(text, "failed to decode JSON input: nested deeper than 1000");
        }
        let brackets = format!("{{\"a\":\"\\\"{}\\\\\",\"b\":\"{}\"}}", "[".repeat(2000), "{".repeat(2000));
        let wide = format!("{{\"a\":[{}1]}}", "[],{},".repeat(2000));
        for flat in [lists(1000), objects(1000), brackets, wide] {
            assert!(read(flat).is_ok());
        }
    }

    #[test]
    fn null_and_nothing_are_not_given() {
        for text in ["", "  \n", "null", "{}", "{\"a\":null}"] {
            assert!(!read(text).unwrap().has("a"), "{text:?}");
        }
    }

    #[test]
    fn malformed_bodies_are_refused_without_repeating_them() {
        for text in [
            "{",
            "{\"ttl\":\"hush\"",
            "{'ttl':'hush'}",
            "hush",
            "[]",
            "12",
            "\"hush\"",
            "true",
            "{\"ttl\":hush}",
            "{\"hush\":1,\"hush\":2}",
            "{\"a\":\"x\u{1}\"}",
            "{\"a\":1} x",
            "{\"a\":NaN}",
            "{\"a\":1,}",
        ] {
            let error = read(text).err().unwrap_or_else(|| panic!("{text}")).to_string();
            assert!(error.starts_with("failed to decode JSON input") && !error.contains("hush"), "{text}: {error}");
        }
        assert!(Fields::from_json(Bytes::from_static(b"{\"a\":\"\xff\"}")).is_err());
    }

    #[test]
    fn a_wide_object_with_one_name_twice_is_refused() {
        let mut text: String = (0..100).map(|n| format!("\"k{n}\":1,")).collect();
        text = format!("{{{text}\"k50\":2}}");
        assert!(read(&text).is_err());
    }

    #[test]
    fn a_path_capture_wins_over_the_body() {
        let mut fields = read("{\"name\":\"body\",\"n\":\"7\"}").unwrap();
        assert!(fields.capture("name", "path\""));
        assert_eq!(fields.string("name").unwrap().unwrap(), "path\"");
        assert_eq!(fields.int("n").unwrap(), Some(7));
    }

    #[test]
    fn batches_point_into_the_body() {
        let fields = read("{\"batch_input\": [{\"plaintext\":\"YQ==\"}, {\"plaintext\":\"\\u0059\"}]}").unwrap();
        let items = fields.items("batch_input").unwrap().unwrap();
        assert_eq!(items[0].string("plaintext").unwrap().unwrap(), "YQ==");
        assert_eq!(items[1].string("plaintext").unwrap().unwrap(), "Y");
        assert!(read("{\"batch_input\":[1]}").unwrap().items("batch_input").is_err());
        assert!(read("{\"batch_input\":{}}").unwrap().items("batch_input").is_err());
    }

    #[test]
    fn a_mismatch_names_the_field_and_not_the_value() {
        let error = read("{\"ttl\":[\"hush\"]}").unwrap().seconds("ttl").unwrap_err().to_string();
        assert_eq!(error, "Field validation failed: error converting input for field \"ttl\": expected a duration");
    }

    #[test]
    fn queries_give_strings_and_lists() {
        let mut fields = Fields::default();
        fields.add("after", "k1");
        fields.add_list("v", &["1", "2"]);
        assert_eq!(fields.string("after").unwrap().unwrap(), "k1");
        assert_eq!(fields.comma_list("v").unwrap().unwrap(), ["1", "2"]);
    }
}
