//! The commands: one table, from which dispatch and help come.

mod audit;
mod connect;
mod kv;
mod logical;
mod login;
mod operator;
mod policy;
mod secrets;
mod server;
mod status;
mod token;

use crate::flags::{self, Flag, Parsed};
use crate::output;
use connect::CLIENT_FLAGS;
use serde_json::Value;

/// Why a command did not do what it was asked.
pub(crate) enum Failure {
    /// A mistake here: exit 1.
    Local(String),
    /// The server refused: exit 2.
    Refused(String),
    /// Everything has been said.
    Code(u8),
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Failure::Local(text)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Local(error.to_string())
    }
}

type Outcome = Result<(), Failure>;

/// One command.
struct Command {
    /// `operator init`.
    words: &'static str,
    /// What stands behind them.
    usage: &'static str,
    /// What it does: a sentence, then what is worth knowing.
    about: &'static str,
    /// Its own flags.
    flags: &'static [Flag],
    /// Whether it talks to a server, and has the flags for that.
    client: bool,
    run: fn(&Parsed) -> Outcome,
}

const COMMANDS: &[&[Command]] = &[
    server::COMMANDS,
    status::COMMANDS,
    operator::COMMANDS,
    logical::COMMANDS,
    kv::COMMANDS,
    login::COMMANDS,
    token::COMMANDS,
    policy::COMMANDS,
    secrets::COMMANDS,
    audit::COMMANDS,
];

/// Runs what the arguments name; the exit code.
pub(crate) fn run(arguments: Vec<String>) -> u8 {
    let arguments = match arguments.first().map(String::as_str) {
        None => {
            print!("{}", overview(""));
            return 0;
        }
        Some("-h" | "-help" | "--help" | "help") if arguments.len() == 1 => {
            print!("{}", overview(""));
            return 0;
        }
        Some("-v" | "-version" | "--version") => vec!["version".into()],
        Some("help") => arguments.into_iter().skip(1).chain(["-h".into()]).collect(),
        Some(_) => arguments,
    };
    let named = |command: &&Command| {
        let words: Vec<&str> = command.words.split(' ').collect();
        arguments.len() >= words.len() && words.iter().zip(&arguments).all(|(word, argument)| word == argument)
    };
    let found = all().filter(named).max_by_key(|command| command.words.len());
    let Some(command) = found else { return no_command(&arguments) };
    let rest = arguments[command.words.split(' ').count()..].to_vec();
    let known: &[&[Flag]] = if command.client { &[command.flags, CLIENT_FLAGS] } else { &[command.flags] };
    let outcome = match flags::parse(rest, known) {
        Ok(parsed) if parsed.help => {
            print!("{}", help(command));
            Ok(())
        }
        Ok(parsed) if !parsed.arguments.is_empty() && !takes_arguments(command) => {
            let (given, words) = (parsed.arguments.len(), command.words);
            Err(Failure::Local(format!(
                "Too many arguments (expected 0, got {given}): nothing was done\nTry: strongroom {words} -h"
            )))
        }
        Ok(parsed) => (command.run)(&parsed),
        Err(mistake) => Err(Failure::Local(format!("{mistake}\nTry: strongroom {} -h", command.words))),
    };
    match outcome {
        Ok(()) => 0,
        Err(Failure::Local(text)) => {
            eprintln!("{text}");
            1
        }
        Err(Failure::Refused(text)) => {
            eprintln!("{text}");
            2
        }
        Err(Failure::Code(code)) => code,
    }
}

/// Whether its usage names anything beside flags. `server` says itself what an argument was meant to be.
fn takes_arguments(command: &Command) -> bool {
    let names_one = |word: &str| {
        let word = word.trim_start_matches('[');
        word == "-]" || !(word.starts_with('-') || word == "flags]" || word == "|")
    };
    command.words == "server" || command.usage.split_whitespace().any(names_one)
}

fn all() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().copied().flatten()
}

/// A group was named, or nothing that is known.
fn no_command(arguments: &[String]) -> u8 {
    let words: Vec<&str> = arguments.iter().map(String::as_str).take_while(|word| !word.starts_with('-')).collect();
    for length in (1..=words.len()).rev() {
        let group = format!("{} ", words[..length].join(" "));
        if all().any(|command| command.words.starts_with(&group)) {
            let alone = length == words.len();
            let text = overview(&group);
            if alone && arguments.len() > length {
                print!("{text}");
                return 0;
            }
            if !alone {
                eprintln!("unknown command: strongroom {}\n", words[..=length].join(" "));
            }
            eprint!("{text}");
            return 1;
        }
    }
    eprintln!("unknown command: {}\n", arguments.first().map_or("", String::as_str));
    eprint!("{}", overview(""));
    1
}

/// The commands below `group`, which ends in a blank or is empty.
fn overview(group: &str) -> String {
    let mut text = format!("Usage: strongroom {group}<command> [flags] [arguments]\n\n");
    if group.is_empty() {
        text.push_str("Keys behind hardware that you hold, for Vault's clients.\n\n");
    }
    let mut lines: Vec<(String, &str)> = Vec::new();
    for command in all() {
        let Some(rest) = command.words.strip_prefix(group) else { continue };
        lines.push((rest.to_owned(), command.about.split(". ").next().unwrap_or_default().trim_end_matches('.')));
    }
    let width = lines.iter().map(|(words, _)| words.len()).max().unwrap_or(0);
    for (words, about) in lines {
        text.push_str(&format!("  {words:width$}  {about}\n"));
    }
    text.push_str(&format!("\nEach explains itself: strongroom {group}<command> -h\n"));
    if group.is_empty() {
        text.push_str("To try things out: strongroom server -dev\n");
    }
    text
}

fn help(command: &Command) -> String {
    let mut text = format!("Usage: strongroom {} {}\n\n  {}\n", command.words, command.usage, command.about);
    let mut list = |title: &str, flags: &[Flag]| {
        if flags.is_empty() {
            return;
        }
        text.push_str(&format!("\n{title}\n"));
        let shown: Vec<String> = flags
            .iter()
            .map(|flag| match flag.value {
                "" => format!("-{}", flag.name),
                value => format!("-{}={value}", flag.name),
            })
            .collect();
        let width = shown.iter().map(String::len).max().unwrap_or(0);
        for (flag, shown) in flags.iter().zip(shown) {
            text.push_str(&format!("  {shown:width$}  {}\n", flag.about));
        }
    };
    list("Flags:", command.flags);
    if command.client {
        list("Where the server is, and how to print:", CLIENT_FLAGS);
    }
    text
}

/// Prints an envelope's object: a field, JSON, YAML or a table of `data`.
fn print(parsed: &Parsed, whole: &Value, data: &Value) -> Outcome {
    if let Some(name) = parsed.get("field") {
        return field(whole, data, name);
    }
    match connect::format(parsed)? {
        output::Format::Json => print!("{}", output::json(whole)),
        output::Format::Yaml => print!("{}", output::yaml(whole)),
        output::Format::Table => match data.as_object() {
            Some(fields) => print!("{}", output::key_values(fields)),
            None => println!("{}", output::cell(data)),
        },
    }
    Ok(())
}

fn field(whole: &Value, data: &Value, name: &str) -> Outcome {
    let found = data.get(name).or_else(|| whole.get(name)).filter(|value| !value.is_null());
    let Some(value) = found else { return Err(Failure::Local(format!("Field {name:?} not present in the answer"))) };
    let text = output::field(value);
    // A terminal gets the line end that a pipe must not.
    match std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        true => println!("{text}"),
        false => print!("{text}"),
    }
    Ok(())
}

/// Warnings of the answer, on stderr.
fn warn(whole: &Value) {
    let warnings: Vec<&str> = whole["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if warnings.is_empty() {
        return;
    }
    eprintln!("WARNING! The following warnings were returned from the server:\n");
    warnings.iter().for_each(|text| eprintln!("  * {text}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_explains_itself_and_is_listed_once() {
        let mut seen = std::collections::BTreeSet::new();
        for command in all() {
            assert!(seen.insert(command.words), "{} stands twice", command.words);
            let text = help(command);
            assert!(text.starts_with(&format!("Usage: strongroom {}", command.words)), "{text}");
            assert!(command.about.ends_with('.') && command.about.len() > 10, "{}: {}", command.words, command.about);
            for flag in command.flags {
                assert!(!flag.about.is_empty() && text.contains(flag.about), "{} -{}", command.words, flag.name);
                assert!(!command.client || CLIENT_FLAGS.iter().all(|other| other.name != flag.name), "{}", flag.name);
            }
            assert!(overview("").contains(command.words), "{}", command.words);
        }
    }

    #[test]
    fn exit_codes_tell_mistakes_from_help() {
        let run = |words: &str| run(words.split_whitespace().map(str::to_owned).collect());
        assert_eq!(
            (run(""), run("-h"), run("help"), run("operator init -h"), run("help token create")),
            (0, 0, 0, 0, 0)
        );
        assert_eq!((run("operator -h"), run("version")), (0, 0));
        assert_eq!(
            (run("operator"), run("nonsense"), run("operator nonsense"), run("read"), run("read -nope x")),
            (1, 1, 1, 1, 1)
        );
    }
}
