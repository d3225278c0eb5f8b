//! `subkeys/<path>`: the names inside a secret, without its values.

use super::data::wanted;
use super::shelf::opened;
use super::versioned::{Versioned, describe, secret, without_data};
use strongroom_mount::{Answer, Ctx, Error, Kind, Method, Object, Operation, Param, Request, Response, Route};

pub(super) const ROUTE: Route = Route {
    path: "subkeys/{path...}",
    about: "The names inside a secret, without its values.",
    methods: &[Method::new(Operation::Read, "Reads them; null stands for a value.")],
    params: &[
        Param::path("path", "The secret's path."),
        Param::input("version", Kind::Int, "The version to read; the newest if left out."),
        Param::input("depth", Kind::Int, "How many objects deep; 0 is all of them."),
    ],
    open: false,
};

pub(super) fn handle<'a>(engine: &'a Versioned, cx: &'a Ctx<'a>, request: &'a Request) -> Answer<'a> {
    Box::pin(async move {
        engine.shelf.config(cx.view).await?;
        let path = secret(request, "subkeys/")?;
        let wanted = wanted(&request.fields)?;
        let depth = usize::try_from(request.fields.int("depth")?.unwrap_or(0)).unwrap_or(0);
        let (metadata, number, row) = engine.shelf.version(cx.view, path, wanted).await?.ok_or_else(Error::missing)?;
        let version = opened(&row)?;
        if !version.lives(cx.clock.now()) {
            return Ok(without_data("subkeys", &metadata, number, &version));
        }
        Ok(Response::data(Object::build(|out| {
            out.object("metadata", |out| describe(out, &metadata, number, &version));
            out.json("subkeys", &names(version.data, depth));
        })))
    })
}

/// A JSON object with null for every value that is no object, and for objects more than `depth` deep (0: none).
///
/// One pass without recursion: the text is valid JSON, of any depth.
fn names(text: &[u8], depth: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len().min(4096));
    // Objects that are open.
    let mut open = 0;
    let mut at = 0;
    // Whether a value comes next, and not a name.
    let mut value = true;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'{' if value && (depth == 0 || open < depth) => {
                open += 1;
                value = false;
                out.push(byte);
                at += 1;
            }
            b'}' => {
                open -= 1;
                out.push(byte);
                at += 1;
            }
            b',' => {
                value = false;
                out.push(byte);
                at += 1;
            }
            b':' => {
                value = true;
                out.push(byte);
                at += 1;
            }
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let end = end_of_value(text, at);
                out.extend_from_slice(if value { b"null" } else { &text[at..end] });
                at = end;
            }
        }
    }
    out
}

/// Where the value that begins at `at` ends.
fn end_of_value(text: &[u8], mut at: usize) -> usize {
    let mut open = 0_usize;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at),
            b'{' | b'[' => {
                open += 1;
                at += 1;
            }
            b'}' | b']' if open > 0 => {
                open -= 1;
                at += 1;
            }
            b',' | b'}' | b']' if open == 0 => return at,
            _ => {
                at += 1;
                continue;
            }
        }
        if open == 0 {
            return at;
        }
    }
    at
}

fn end_of_string(text: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_text(text: &str, depth: usize) -> String {
        String::from_utf8(names(text.as_bytes(), depth)).unwrap()
    }

    #[test]
    fn values_are_left_out_and_names_stay() {
        for (text, depth, want) in [
            ("{}", 0, "{}"),
            (r#"{"a":1}"#, 0, r#"{"a":null}"#),
            (r#"{ "a" : "x,}\"{" , "b\"}": [1,{"c":2},"]"] }"#, 0, r#"{"a":null,"b\"}":null}"#),
            (r#"{"a":{"b":{"c":true}},"d":{}}"#, 0, r#"{"a":{"b":{"c":null}},"d":{}}"#),
            (r#"{"a":{"b":{"c":true}},"d":{}}"#, 1, r#"{"a":null,"d":null}"#),
            (r#"{"a":{"b":{"c":true}},"d":-1.5e3}"#, 2, r#"{"a":{"b":null},"d":null}"#),
            (r#"{"a":null,"b":{"c":[[{"d":{}}]]}}"#, 0, r#"{"a":null,"b":{"c":null}}"#),
        ] {
            assert_eq!(names_text(text, depth), want, "{text} {depth}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = "{\"a\":".repeat(100_000) + "[" + "]" + &"}".repeat(100_000);
        let want = "{\"a\":".repeat(100_000) + "null" + &"}".repeat(100_000);
        assert!(names_text(&deep, 0) == want);
        assert_eq!(names_text(&deep, 1), "{\"a\":null}");
    }
}
