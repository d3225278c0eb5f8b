//! Secrets out of JSON: every string value becomes `hmac-sha256:<hex>` under the device's key, in one pass over the
//! bytes. Names, `null`, and, where they are not data themselves, numbers and booleans stay.

use std::borrow::Cow;
use strongroom_secret::mac::HmacKey;

/// What stands before a masked value.
pub const PREFIX: &str = "hmac-sha256:";

/// What may stay as it is.
#[derive(Clone, Copy)]
pub(super) struct Plain<'a> {
    /// Names at the top whose values stay, all that is below them included.
    pub names: &'a [String],
    /// Whether numbers and booleans stay. They do not where the data is the caller's own (KV v1).
    pub numbers: bool,
    /// Whether everything stays: `log_raw`.
    pub all: bool,
}

/// Appends the mask of one text, in quotes.
pub(super) fn mask_text(out: &mut Vec<u8>, key: &HmacKey, text: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    out.extend_from_slice(PREFIX.as_bytes());
    for byte in key.sign(&[text]) {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    out.push(b'"');
}

/// Appends `json`, which is valid JSON, with its values masked. Depth costs no stack.
pub(super) fn mask_json(out: &mut Vec<u8>, key: &HmacKey, json: &[u8], plain: Plain<'_>) {
    let mut scan = Scan { rest: json, containers: Vec::new(), naming: false, spared: None };
    if plain.all {
        out.extend_from_slice(json);
        return;
    }
    while let Some(&byte) = scan.rest.first() {
        match byte {
            b'{' | b'[' => {
                scan.containers.push(byte);
                scan.naming = byte == b'{';
                scan.copy(out, 1);
            }
            b'}' | b']' => {
                scan.containers.pop();
                scan.naming = false;
                scan.copy(out, 1);
            }
            b',' => {
                scan.naming = scan.containers.last() == Some(&b'{');
                scan.leave_spared();
                scan.copy(out, 1);
            }
            b':' => {
                scan.naming = false;
                scan.copy(out, 1);
            }
            b'"' => {
                let length = string_length(scan.rest);
                let text = &scan.rest[..length];
                if scan.naming {
                    if scan.containers.len() == 1 && plain.names.iter().any(|name| *name == content(text)) {
                        scan.spared = Some(1);
                    }
                    scan.copy(out, length);
                } else if scan.spared.is_some() {
                    scan.copy(out, length);
                } else {
                    mask_text(out, key, content(text).as_bytes());
                    scan.rest = &scan.rest[length..];
                }
            }
            b' ' | b'\t' | b'\n' | b'\r' => scan.rest = &scan.rest[1..],
            _ => {
                let end = scan.rest.iter().position(|byte| b",]} \t\n\r:".contains(byte)).unwrap_or(scan.rest.len());
                if plain.numbers || scan.spared.is_some() || byte == b'n' {
                    scan.copy(out, end);
                } else {
                    mask_text(out, key, &scan.rest[..end]);
                    scan.rest = &scan.rest[end..];
                }
            }
        }
    }
}

struct Scan<'a> {
    rest: &'a [u8],
    /// The brackets that are open.
    containers: Vec<u8>,
    /// Whether the next string is a name.
    naming: bool,
    /// The depth at which a spared name stands, while its value lasts.
    spared: Option<usize>,
}

impl Scan<'_> {
    fn copy(&mut self, out: &mut Vec<u8>, length: usize) {
        out.extend_from_slice(&self.rest[..length]);
        self.rest = &self.rest[length..];
    }

    fn leave_spared(&mut self) {
        if self.spared == Some(self.containers.len()) {
            self.spared = None;
        }
    }
}

/// Bytes of the string that `json` begins with, quotes included.
fn string_length(json: &[u8]) -> usize {
    let mut at = 1;
    while at < json.len() {
        match json[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

/// What a quoted string says: borrowed where it has no escapes.
fn content(quoted: &[u8]) -> Cow<'_, str> {
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    if !inner.contains(&b'\\')
        && let Ok(text) = std::str::from_utf8(inner)
    {
        return Cow::Borrowed(text);
    }
    // Valid JSON decodes; anything else is masked as it stands.
    serde_json::from_slice::<String>(quoted)
        .map_or_else(|_| Cow::Owned(String::from_utf8_lossy(inner).into_owned()), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const ALL: Plain<'_> = Plain { names: &[], numbers: true, all: false };

    fn masked(json: &str, plain: Plain<'_>) -> Value {
        let mut out = Vec::new();
        mask_json(&mut out, &HmacKey::new(b"salt"), json.as_bytes(), plain);
        serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)))
    }

    fn mask(text: &str) -> Value {
        let mut out = Vec::new();
        mask_text(&mut out, &HmacKey::new(b"salt"), text.as_bytes());
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn every_string_value_is_masked_and_no_name() {
        let json =
            r#"{"a": "x", "b": ["y", {"c": "z", "d": [["w"]]}], "n": 5, "t": true, "z": null, "e": {}, "f": []}"#;
        let want = json!({"a": mask("x"), "b": [mask("y"), {"c": mask("z"), "d": [[mask("w")]]}], "n": 5, "t": true,
            "z": null, "e": {}, "f": []});
        assert_eq!(masked(json, ALL), want);
    }

    #[test]
    fn the_mask_is_of_what_the_string_says_and_not_how_it_is_written() {
        assert_eq!(masked(r#"{"a":"\u0061\n\"b\\"}"#, ALL), json!({"a": mask("a\n\"b\\")}));
        assert_eq!(masked(r#""x""#, ALL), mask("x"));
        assert_eq!(masked(r#"{"a":"ü"}"#, ALL), json!({"a": mask("ü")}));
        assert_eq!(masked(r#"{"a\"b":"x"}"#, ALL), json!({"a\"b": mask("x")}));
    }

    #[test]
    fn spared_names_keep_all_that_is_below_them_and_nothing_else() {
        let names = ["a".to_owned(), "q\"".to_owned()];
        let plain = Plain { names: &names, ..ALL };
        let json = r#"{"a": {"x": ["1", "2"], "b": "3"}, "b": {"a": "4"}, "q\"": "5", "c": ["6"]}"#;
        let want = json!({"a": {"x": ["1", "2"], "b": "3"}, "b": {"a": mask("4")}, "q\"": "5", "c": [mask("6")]});
        assert_eq!(masked(json, plain), want);
    }

    #[test]
    fn numbers_that_are_data_are_masked_too() {
        let plain = Plain { numbers: false, ..ALL };
        assert_eq!(
            masked(r#"{"pin": 1234, "ok": true, "z": null, "l": [1.5e3]}"#, plain),
            json!({"pin": mask("1234"), "ok": mask("true"), "z": null, "l": [mask("1.5e3")]})
        );
    }

    #[test]
    fn raw_is_raw() {
        assert_eq!(masked(r#"{"a": "x"}"#, Plain { all: true, ..ALL }), json!({"a": "x"}));
    }

    #[test]
    fn a_value_that_looks_like_a_name_is_masked() {
        assert_eq!(masked(r#"["a:","b,","{\"c\":"]"#, ALL), json!([mask("a:"), mask("b,"), mask("{\"c\":")]));
    }

    #[test]
    fn depth_costs_no_stack() {
        let json = format!("{}\"x\"{}", "[".repeat(200_000), "]".repeat(200_000));
        let mut out = Vec::new();
        mask_json(&mut out, &HmacKey::new(b"salt"), json.as_bytes(), ALL);
        assert!(out.len() > 400_000 && !out.windows(3).any(|w| w == b"\"x\""));
    }

    #[test]
    fn text_cut_short_does_not_panic() {
        for json in ["{\"a", "{\"a\":\"b\\", "[", "\"", "{\"a\":", "1", "\\"] {
            mask_json(&mut Vec::new(), &HmacKey::new(b"salt"), json.as_bytes(), ALL);
        }
    }
}
