//! JSON merge patch (RFC 7396) on text: what is not touched keeps the text that it had.

use serde_json::value::RawValue;
use std::collections::BTreeMap;
use strongroom_mount::json::escape;
use strongroom_mount::{Blame, Error};
use zeroize::Zeroizing;

/// How deep objects of a patch may lie in one another: each level is read once more.
const DEPTH: usize = 64;
/// The largest patch: members that are taken away make it larger than what it leaves, but not by much.
const LARGEST: usize = 2 << 20;

/// `patch` merged into `target`; both are JSON objects, as text.
///
/// # Errors
/// 400 for a patch that is nested too deeply, and for a name that is not Unicode.
pub(super) fn merge(target: &[u8], patch: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    if patch.len() > LARGEST {
        let text = format!("the patch has {} bytes; it may have at most {LARGEST}", patch.len());
        return Err(Error::caller(text).blame(Blame::TooLarge));
    }
    let target = std::str::from_utf8(target).map_err(|_| Error::us("a stored object is not UTF-8"))?;
    // Room for all of it at once: growing would leave copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(target.len() + patch.len() + 16));
    merged(&mut out, Some(target), patch, DEPTH)?;
    Ok(out)
}

fn merged(out: &mut Vec<u8>, target: Option<&str>, patch: &str, depth: usize) -> Result<(), Error> {
    if depth == 0 {
        return Err(Error::caller(format!("the patch is nested deeper than {DEPTH} objects")));
    }
    let mut members = target.map(members).transpose()?.unwrap_or_default();
    let changes = self::members(patch)?;
    for name in changes.keys() {
        members.entry(name.clone()).or_insert("null");
    }
    out.push(b'{');
    let mut first = true;
    for (name, held) in &members {
        let change = changes.get(name).copied();
        if change == Some("null") {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        escape(out, name);
        out.push(b':');
        match change {
            None => out.extend_from_slice(held.as_bytes()),
            Some(change) if change.starts_with('{') => {
                merged(out, Some(*held).filter(|held| held.starts_with('{')), change, depth - 1)?;
            }
            Some(change) => out.extend_from_slice(change.as_bytes()),
        }
    }
    out.push(b'}');
    Ok(())
}

/// An object's members, each value as its text; of a name that stands twice the last.
fn members(object: &str) -> Result<BTreeMap<String, &str>, Error> {
    let held: BTreeMap<String, &RawValue> = serde_json::from_str(object)
        .map_err(|_| Error::caller("an object to be merged has a name that is not valid Unicode"))?;
    Ok(held.into_iter().map(|(name, value)| (name, value.get())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge_text(target: &str, patch: &str) -> String {
        String::from_utf8(merge(target.as_bytes(), patch).unwrap().to_vec()).unwrap()
    }

    /// The cases of RFC 7396, appendix A, whose target and patch are objects; the last two are ours.
    #[test]
    fn the_cases_of_the_standard() {
        for (target, patch, want) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (r#"{"a":"b"}"#, r#"{"a":{"x":null,"y":1}}"#, r#"{"a":{"y":1}}"#),
            (
                r#"{"n": 9007199254740993, "f":1.10}"#,
                r#"{"m":12345678901234567890123}"#,
                r#"{"f":1.10,"m":12345678901234567890123,"n":9007199254740993}"#,
            ),
            (r#"{"a\"b":1}"#, r#"{"a\u0022b":2}"#, r#"{"a\"b":2}"#),
        ] {
            assert_eq!(merge_text(target, patch), want, "{target} {patch}");
        }
    }

    #[test]
    fn a_patch_of_any_depth_ends() {
        let nested = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        assert_eq!(merge_text("{}", &nested(64)), nested(64));
        for depth in [65, 100_000] {
            assert!(merge(b"{}", &nested(depth)).unwrap_err().to_string().contains("nested deeper"), "{depth}");
        }
        assert_eq!(merge_text(&nested(100_000), "{\"a\":null}"), "{}");
        assert!(merge(b"{}", "{\"\\ud800\":1}").is_err(), "a lone surrogate");
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(LARGEST));
        assert_eq!(merge(b"{}", &large).unwrap_err().blame, Blame::TooLarge);
    }
}
