//! What commands print: tables as Vault's, JSON, YAML, or one field.

use serde_json::Value;

/// How a result is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    Table,
    Json,
    Yaml,
}

impl Format {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "table" | "" => Some(Format::Table),
            "json" => Some(Format::Json),
            "yaml" | "yml" => Some(Format::Yaml),
            _ => None,
        }
    }
}

/// Columns with two blanks more than the widest cell between them, four as Vault prints them; a line of dashes under the
/// heading.
pub(crate) fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let dashes: Vec<String> = heading.iter().map(|name| "-".repeat(name.chars().count())).collect();
    let heading: Vec<String> = heading.iter().map(ToString::to_string).collect();
    let lines: Vec<&Vec<String>> = [&heading, &dashes].into_iter().chain(rows).collect();
    let widths: Vec<usize> = (0..heading.len())
        .map(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for line in lines {
        let mut text = String::new();
        for (column, cell) in line.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < line.len() {
                text.extend(std::iter::repeat_n(' ', widths[column] - cell.chars().count() + 4));
            }
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

/// `Key`, `Value` and what an object holds, sorted by name.
pub(crate) fn key_values(object: &serde_json::Map<String, Value>) -> String {
    pairs(object.iter().map(|(name, value)| (name.clone(), cell(value))).collect())
}

/// `Key` and `Value`, in this order.
pub(crate) fn pairs(rows: Vec<(String, String)>) -> String {
    table(&["Key", "Value"], &rows.into_iter().map(|(name, value)| vec![name, value]).collect::<Vec<_>>())
}

/// A value in a table, as Go prints it: text bare, lists `[a b]`, objects `map[k:v]`, null `<nil>`.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(cell).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}:{}", cell(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
        other => other.to_string(),
    }
}

/// A field by itself: text bare, anything else as JSON.
pub(crate) fn field(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Seconds as Go prints a duration in Vault's tables: `768h`, `1h30m`, `5s`, `∞` for none.
pub(crate) fn span(seconds: u64) -> String {
    if seconds == 0 {
        return "∞".into();
    }
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    for (amount, unit) in [(hours, "h"), (minutes, "m"), (rest, "s")] {
        if amount > 0 {
            text.push_str(&format!("{amount}{unit}"));
        }
    }
    text
}

/// JSON for people.
pub(crate) fn json(value: &Value) -> String {
    // A value made of values serialises.
    format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default())
}

/// YAML 1.2: block style, strings quoted wherever they could be read as something else.
pub(crate) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    write_yaml(&mut out, value, 0, false);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn write_yaml(out: &mut String, value: &Value, depth: usize, inline: bool) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (index, (name, value)) in fields.iter().enumerate() {
                if index > 0 || !inline {
                    out.push_str(&"  ".repeat(depth));
                }
                out.push_str(&scalar(name));
                nested(out, value, depth, ":");
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 || !inline {
                    out.push_str(&"  ".repeat(depth));
                }
                out.push('-');
                out.push(' ');
                write_yaml(out, item, depth + 1, true);
                if !out.ends_with('\n') {
                    out.push('\n');
                }
            }
        }
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        Value::String(text) => out.push_str(&scalar(text)),
        other => out.push_str(&other.to_string()),
    }
}

fn nested(out: &mut String, value: &Value, depth: usize, mark: &str) {
    out.push_str(mark);
    let block = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if block {
        out.push('\n');
        write_yaml(out, value, depth + usize::from(value.is_object()), false);
    } else {
        out.push(' ');
        write_yaml(out, value, depth, true);
        out.push('\n');
    }
}

fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_'))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+'))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_line_up() {
        let object = json!({"a": "x", "longer_name": [1, "two"], "n": null, "m": {"k": "v"}, "b": true});
        let want = "Key            Value\n---            -----\na              x\nb              true\n\
                    longer_name    [1 two]\nm              map[k:v]\nn              <nil>\n";
        assert_eq!(key_values(object.as_object().unwrap()), want);
        assert_eq!(table(&["Keys"], &[vec!["a".into()], vec!["b/".into()]]), "Keys\n----\na\nb/\n");
    }

    #[test]
    fn yaml_quotes_what_could_be_read_otherwise() {
        let value = json!({"a": ["x", {"k": "v", "l": []}], "b": {"c": "true", "d": "1", "e": "plain"}, "f": null, "g": "a: b"});
        let want = "a:\n- x\n- k: v\n  l: []\nb:\n  c: \"true\"\n  d: \"1\"\n  e: plain\nf: null\ng: \"a: b\"\n";
        assert_eq!(yaml(&value), want);
    }

    #[test]
    fn spans_are_printed_as_go_prints_them() {
        assert_eq!(
            (span(0), span(5), span(5400), span(2_764_800)),
            ("∞".into(), "5s".into(), "1h30m".into(), "768h".into())
        );
    }
}
