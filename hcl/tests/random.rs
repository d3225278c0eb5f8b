//! Trees that are printed and read again, and bytes that are no text.

use proptest::prelude::*;
use strongroom_hcl::{Body, Item, Kind, parse};

/// A value without places, as a generator makes it.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Said>),
    Object(Vec<Line>),
}

/// An item without places: keys, whether `=` stands, value.
type Line = (Vec<String>, bool, Said);

fn scalar() -> impl Strategy<Value = Said> {
    prop_oneof![
        any::<bool>().prop_map(Said::Bool),
        any::<i64>().prop_map(|number| Said::Number(number.to_string())),
        (any::<f64>().prop_filter("finite", |float| float.is_finite()))
            .prop_map(|float| Said::Number(format!("{float:e}"))),
        name().prop_map(Said::Text),
    ]
}

/// Letters that could be mistaken for syntax among others; an unclosed `${` would swallow its quote, as it does in the
/// reference, so `$` is not among them.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_][a-z0-9_.-]{0,8}", "[ -#%-~é🔒\n\t\r\u{1}]{0,12}"]
}

fn said(assigned_only: bool) -> impl Strategy<Value = Vec<Line>> {
    let value = scalar().prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Said::List),
            prop::collection::vec(line(inner, assigned_only), 0..4).prop_map(Said::Object),
        ]
    });
    prop::collection::vec(line(value, assigned_only), 0..6)
}

fn line(value: impl Strategy<Value = Said>, assigned_only: bool) -> impl Strategy<Value = Line> {
    (prop::collection::vec(name(), 1..4), any::<bool>(), value).prop_map(move |(mut keys, assigned, value)| {
        let assigned = assigned_only || assigned || !matches!(value, Said::Object(_));
        if assigned {
            keys.truncate(1);
        }
        (keys, assigned, value)
    })
}

fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            control if control < ' ' => quoted.push_str(&format!("\\u{:04x}", control as u32)),
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

fn print(lines: &[Line], json: bool) -> String {
    let print_line = |(keys, assigned, value): &Line| {
        let keys: Vec<_> = keys.iter().map(|key| quote(key)).collect();
        let between = if json {
            ":"
        } else if *assigned {
            " = "
        } else {
            " "
        };
        format!("{}{between}{}", keys.join(" "), print_value(value, json))
    };
    lines.iter().map(print_line).collect::<Vec<_>>().join(if json { "," } else { "\n" })
}

fn print_value(value: &Said, json: bool) -> String {
    match value {
        Said::Bool(bool) => bool.to_string(),
        Said::Number(number) => number.clone(),
        Said::Text(text) => quote(text),
        Said::List(values) => {
            format!("[{}]", values.iter().map(|value| print_value(value, json)).collect::<Vec<_>>().join(", "))
        }
        Said::Object(lines) => format!("{{ {} }}", print(lines, json)),
    }
}

fn strip(items: &[Item]) -> Vec<Line> {
    let line = |item: &Item| {
        let keys = item.keys.iter().map(|key| key.text.clone()).collect();
        (keys, item.assigned, strip_value(&item.value.kind))
    };
    items.iter().map(line).collect()
}

fn strip_value(kind: &Kind) -> Said {
    match kind {
        Kind::Null => unreachable!("nothing prints null"),
        Kind::Bool(bool) => Said::Bool(*bool),
        Kind::Number(number) => Said::Number(number.text().into()),
        Kind::Text(text) => Said::Text(text.clone()),
        Kind::List(values) => Said::List(values.iter().map(|value| strip_value(&value.kind)).collect()),
        Kind::Object(items) => Said::Object(strip(items)),
    }
}

/// Reads a body as a careless reader would, every way there is.
fn read(text: &[u8]) {
    let names = ["a", "path", "b"];
    let Ok(mut body) = Body::parse("", text) else { return };
    let _ = (body.text(names[0]), body.blocks(names[1], 1..=2), body.object(names[2]), body.finish());
    let Ok(mut body) = Body::parse("", text) else { return };
    let _ = (body.words(names[0]), body.int(names[1]), body.entries(), body.finish());
}

proptest! {
    #[test]
    fn a_printed_tree_reads_as_itself(lines in said(false)) {
        let text = print(&lines, false);
        let tree = parse("", &text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(strip(&tree.items), lines);
    }

    #[test]
    fn a_printed_json_tree_reads_as_itself(lines in said(true)) {
        let text = format!("{{{}}}", print(&lines, true));
        let tree = parse("", &text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert!(tree.json);
        prop_assert_eq!(strip(&tree.items), lines);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        read(&bytes);
    }

    #[test]
    fn any_soup_of_tokens_is_read_or_refused(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", "path", "b", "\"a\"", "\"${", "}\"", "=", "{", "}", "[", "]", ",", ":", "1", "-", ".5", "0x", "1e", "true", "null",
                "#", "//", "/*", "*/", "<<E\n", "<<-E\n", "\nE\n", " E", "\n", "\\", "\"", "\\u12", "é", "$", " ", "\r\n", "\t",
            ]),
            0..64,
        )
    ) {
        read(parts.concat().as_bytes());
        read(format!("{{{}", parts.concat()).as_bytes());
    }
}
