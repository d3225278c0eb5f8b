//! JSON objects written straight into bytes: no tree, and no escaping pass over what cannot need it (base64 of 64 KiB
//! costs four times as much through a general serialiser).

use serde::Serialize;
use strongroom_secret::bytes::Wiped;

/// A complete, valid JSON object as bytes. Wiped when dropped, since it may hold a plaintext.
pub struct Object(Wiped);

impl Object {
    /// Builds an object field by field.
    pub fn build(fill: impl FnOnce(&mut Writer)) -> Self {
        Object::with_capacity(256, fill)
    }

    /// As [`Object::build`], with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize, fill: impl FnOnce(&mut Writer)) -> Self {
        let mut writer = Writer { text: Vec::with_capacity(capacity), empty: true };
        writer.text.push(b'{');
        fill(&mut writer);
        writer.text.push(b'}');
        Object(Wiped(writer.text))
    }

    /// From anything that serialises to an object.
    ///
    /// # Panics
    /// When it serialises to something else, or not at all: a mistake of the caller's type.
    pub fn from(value: &impl Serialize) -> Self {
        let text = serde_json::to_vec(value).expect("the type serialises");
        assert_eq!(text.first(), Some(&b'{'), "the type serialises to an object");
        Object(Wiped(text))
    }

    /// From the text of a JSON object.
    ///
    /// # Panics
    /// On what cannot be an object. That it is valid JSON the caller knows.
    pub fn from_text(text: &[u8]) -> Self {
        assert!(matches!(text, [b'{', .., b'}']), "the text is an object");
        Object(Wiped(text.to_vec()))
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.0
    }

    /// The text between the braces: to be copied into another object.
    pub fn inner(&self) -> &[u8] {
        &self.0.0[1..self.0.0.len() - 1]
    }
}

/// Writes the fields of one object.
pub struct Writer {
    text: Vec<u8>,
    empty: bool,
}

impl Writer {
    fn name(&mut self, name: &str) {
        if !self.empty {
            self.text.push(b',');
        }
        self.empty = false;
        escape(&mut self.text, name);
        self.text.push(b':');
    }

    /// A string, escaped as needed.
    pub fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        escape(&mut self.text, value);
    }

    /// A string made of parts that need no escaping: base64, digits, hex, our own prefixes.
    pub fn plain(&mut self, name: &str, parts: &[&str]) {
        self.name(name);
        self.text.push(b'"');
        for part in parts {
            debug_assert!(part.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\'), "{name} needs escaping");
            self.text.extend_from_slice(part.as_bytes());
        }
        self.text.push(b'"');
    }

    /// A string: `prefix` (which needs no escaping), then the standard base64 of `bytes`.
    pub fn base64(&mut self, name: &str, prefix: &str, bytes: &[u8]) {
        self.name(name);
        self.text.push(b'"');
        self.text.extend_from_slice(prefix.as_bytes());
        base64_simd::STANDARD.encode_append(bytes, &mut self.text);
        self.text.push(b'"');
    }

    /// Any value that serde can write.
    ///
    /// # Panics
    /// When the type does not serialise: a mistake of the caller's type.
    pub fn value(&mut self, name: &str, value: &impl Serialize) {
        self.name(name);
        serde_json::to_writer(&mut self.text, value).expect("the type serialises");
    }

    /// A list of strings.
    pub fn strings<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a str>) {
        self.name(name);
        self.text.push(b'[');
        for (index, value) in values.enumerate() {
            if index > 0 {
                self.text.push(b',');
            }
            escape(&mut self.text, value);
        }
        self.text.push(b']');
    }

    /// An object within.
    pub fn object(&mut self, name: &str, fill: impl FnOnce(&mut Writer)) {
        self.name(name);
        self.nested(fill);
    }

    /// A list of objects within.
    pub fn objects<T>(&mut self, name: &str, items: impl Iterator<Item = T>, mut fill: impl FnMut(&mut Writer, T)) {
        self.name(name);
        self.text.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.text.push(b',');
            }
            self.nested(|writer| fill(writer, item));
        }
        self.text.push(b']');
    }

    /// JSON text that is valid already.
    pub fn json(&mut self, name: &str, json: &[u8]) {
        self.name(name);
        self.text.extend_from_slice(json);
    }

    /// `null`.
    pub fn null(&mut self, name: &str) {
        self.json(name, b"null");
    }

    fn nested(&mut self, fill: impl FnOnce(&mut Writer)) {
        self.text.push(b'{');
        let outer = std::mem::replace(&mut self.empty, true);
        fill(self);
        self.empty = outer;
        self.text.push(b'}');
    }
}

/// Appends `text` as a JSON string, quotes included (RFC 8259).
pub fn escape(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            byte => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_valid_json_whatever_its_strings_hold() {
        let object = Object::build(|object| {
            object.string("a\"b", "line\nquote\" back\\ bell\u{7} ü");
            object.base64("c", "vault:v1:", b"\x00\xff");
            object.object("d", |inner| {
                inner.value("n", &5);
                inner.null("z");
            });
            object.objects("e", [1, 2].iter(), |inner, n| inner.value("n", n));
            object.strings("f", ["x", "y"].into_iter());
        });
        let value: serde_json::Value = serde_json::from_slice(object.as_bytes()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"a\"b": "line\nquote\" back\\ bell\u{7} ü", "c": "vault:v1:AP8=", "d": {"n": 5, "z": null},
                "e": [{"n": 1}, {"n": 2}], "f": ["x", "y"]})
        );
    }
}
