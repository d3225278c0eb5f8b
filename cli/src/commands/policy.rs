//! `policy list|read|write|delete|fmt`.

use super::connect::{call, format, success};
use super::{Command, Failure, Outcome};
use crate::flags::Parsed;
use crate::output::{self, Format};
use crate::terminal;
use serde_json::{Value, json};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        words: "policy list",
        usage: "[flags]",
        about: "Lists the names of policies.",
        flags: &[],
        client: true,
        run: list,
    },
    Command {
        words: "policy read",
        usage: "[flags] NAME",
        about: "Prints a policy.",
        flags: &[],
        client: true,
        run: read,
    },
    Command {
        words: "policy write",
        usage: "[flags] NAME FILE|-",
        about: "Writes a policy from a file, or from stdin with -.",
        flags: &[],
        client: true,
        run: write,
    },
    Command {
        words: "policy delete",
        usage: "[flags] NAME",
        about: "Deletes a policy. Tokens that name it lose what it allowed.",
        flags: &[],
        client: true,
        run: delete,
    },
    Command {
        words: "policy fmt",
        usage: "FILE",
        about: "Checks a policy file's syntax and lays it out evenly, in place.",
        flags: &[],
        client: false,
        run: fmt,
    },
];

fn list(parsed: &Parsed) -> Outcome {
    let whole = call(parsed, "GET", "sys/policies/acl?list=true", None)?.json();
    let keys = &whole["data"]["keys"];
    match format(parsed)? {
        Format::Json => print!("{}", output::json(keys)),
        Format::Yaml => print!("{}", output::yaml(keys)),
        Format::Table => keys.as_array().into_iter().flatten().for_each(|name| println!("{}", output::cell(name))),
    }
    Ok(())
}

fn read(parsed: &Parsed) -> Outcome {
    let [name] = parsed.exactly::<1>("strongroom policy read NAME")?;
    let whole = call(parsed, "GET", &format!("sys/policies/acl/{name}"), None)?.json();
    match format(parsed)? {
        Format::Json => print!("{}", output::json(&json!({"policy": whole["data"]["policy"]}))),
        Format::Yaml => print!("{}", output::yaml(&json!({"policy": whole["data"]["policy"]}))),
        Format::Table => println!("{}", whole["data"]["policy"].as_str().unwrap_or_default().trim_end()),
    }
    Ok(())
}

fn write(parsed: &Parsed) -> Outcome {
    let [name, source] = parsed.exactly::<2>("strongroom policy write NAME FILE|-")?;
    let text = match source.as_str() {
        "-" => terminal::all()?.to_string(),
        file => std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?,
    };
    call(parsed, "PUT", &format!("sys/policies/acl/{name}"), Some(&json!({"policy": text})))?;
    success(&format!("Uploaded policy: {name}"))
}

fn delete(parsed: &Parsed) -> Outcome {
    let [name] = parsed.exactly::<1>("strongroom policy delete NAME")?;
    call(parsed, "DELETE", &format!("sys/policies/acl/{name}"), None)?;
    success(&format!("Deleted policy: {name}"))
}

fn fmt(parsed: &Parsed) -> Outcome {
    let [file] = parsed.exactly::<1>("strongroom policy fmt FILE")?;
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    strongroom_hcl::parse(file, &text).map_err(|mistake| Failure::Local(mistake.to_string()))?;
    let even = laid_out(&text);
    // What is written must say the same as what was read.
    let same = |text: &str| strongroom_hcl::parse("", text).ok().map(|tree| said(&tree));
    if same(&even) != same(&text) {
        return Err(Failure::Local(format!("{file}: cannot be laid out without changing it; left as it was")));
    }
    std::fs::write(file, even).map_err(|error| format!("{file}: {error}"))?;
    success(&format!("Formatted policy: {file}"))
}

/// What a text says, without its positions.
fn said(tree: &strongroom_hcl::Tree) -> Value {
    fn value(kind: &strongroom_hcl::Kind) -> Value {
        use strongroom_hcl::Kind;
        match kind {
            Kind::Null => Value::Null,
            Kind::Bool(flag) => json!(flag),
            Kind::Number(number) => json!({ "number": number.text() }),
            Kind::Text(text) => json!(text),
            Kind::List(items) => items.iter().map(|item| value(&item.kind)).collect(),
            Kind::Object(items) => Value::Array(items.iter().map(item).collect()),
        }
    }
    fn item(item: &strongroom_hcl::Item) -> Value {
        let keys: Vec<&str> = item.keys.iter().map(|key| key.text.as_str()).collect();
        json!([keys, value(&item.value.kind)])
    }
    Value::Array(tree.items.iter().map(item).collect())
}

/// Two blanks for each open bracket, no blanks at the ends of lines, at most one empty line in a row. Heredocs stay.
fn laid_out(text: &str) -> String {
    let (mut out, mut depth, mut blank) = (String::new(), 0usize, true);
    let mut heredoc: Option<String> = None;
    for line in text.lines() {
        if let Some(end) = &heredoc {
            out.push_str(line);
            out.push('\n');
            if line.trim() == end {
                heredoc = None;
            }
            continue;
        }
        let line = line.trim();
        if line.is_empty() {
            if !blank {
                out.push('\n');
            }
            blank = true;
            continue;
        }
        blank = false;
        let (opened, closed, leading, begun) = brackets(line);
        out.push_str(&"  ".repeat(depth.saturating_sub(leading)));
        out.push_str(line);
        out.push('\n');
        depth = (depth + opened).saturating_sub(closed);
        heredoc = begun;
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

/// Brackets that a line opens and closes outside texts and comments, how many it closes before anything else, and the
/// word that ends a heredoc which it begins.
fn brackets(line: &str) -> (usize, usize, usize, Option<String>) {
    let (mut opened, mut closed, mut leading, mut only) = (0, 0, 0, true);
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        if quoted {
            (quoted, escaped) = (escaped || c != '"', !escaped && c == '\\');
            continue;
        }
        match c {
            '"' => quoted = true,
            '#' => break,
            '/' if line[at..].starts_with("//") => break,
            '<' if line[at..].starts_with("<<") => {
                let word = line[at + 2..].trim_start_matches('-').trim();
                return (opened, closed, leading, Some(word.to_owned()));
            }
            '{' | '[' => opened += 1,
            '}' | ']' => {
                closed += 1;
                leading += usize::from(only);
            }
            _ => {}
        }
        only &= matches!(c, '}' | ']' | ' ' | ',');
    }
    (opened, closed, leading, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_laid_out_evenly_and_says_the_same() {
        let text = "\n\n# top {\npath \"a/*\" {\ncapabilities = [\n\"read\",\n      \"list\", # {\n]\n\n\n    }\npath \"b\" { policy = \"x\\\"{\" }\nx = <<EOF\n   kept\nEOF\n\n";
        let want = "# top {\npath \"a/*\" {\n  capabilities = [\n    \"read\",\n    \"list\", # {\n  ]\n\n}\npath \"b\" { policy = \"x\\\"{\" }\nx = <<EOF\n   kept\nEOF\n";
        assert_eq!(laid_out(text), want);
        assert_eq!(laid_out(want), want);
        let parse = |text| said(&strongroom_hcl::parse("", text).unwrap());
        assert_eq!(parse(text), parse(want));
    }
}
