//! Flags as Go's tools read them: one or two dashes, `-name=value` or `-name value`, before the arguments.

/// A flag that a command knows.
#[derive(Clone, Copy)]
pub(crate) struct Flag {
    /// Its name without dashes.
    pub(crate) name: &'static str,
    /// What stands for its value in the help; empty for a switch.
    pub(crate) value: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
}

/// A flag with a value.
pub(crate) const fn flag(name: &'static str, value: &'static str, about: &'static str) -> Flag {
    Flag { name, value, about }
}

/// A flag without one.
pub(crate) const fn switch(name: &'static str, about: &'static str) -> Flag {
    Flag { name, value: "", about }
}

/// What was given.
#[derive(Debug)]
pub(crate) struct Parsed {
    flags: Vec<(&'static str, String)>,
    /// What stands behind the flags.
    pub(crate) arguments: Vec<String>,
    /// Whether help was asked for.
    pub(crate) help: bool,
}

/// Reads flags up to the first argument that is none. `--` ends them; `-` is an argument.
pub(crate) fn parse(arguments: Vec<String>, known: &[&[Flag]]) -> Result<Parsed, String> {
    let mut parsed = Parsed { flags: Vec::new(), arguments: Vec::new(), help: false };
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
        let Some(name) = name.filter(|_| argument != "-") else {
            parsed.arguments.push(argument);
            break;
        };
        if name.is_empty() {
            break;
        }
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        if matches!(name, "h" | "help") {
            parsed.help = true;
            continue;
        }
        let Some(flag) = known.iter().copied().flatten().find(|flag| flag.name == name) else {
            return Err(format!("flag provided but not defined: -{name}"));
        };
        let value = match (flag.value, value) {
            ("", None) => "true".to_owned(),
            ("", Some(value)) if go_bool(&value).is_some() => value,
            ("", Some(value)) => return Err(format!("invalid boolean value {value:?} for -{name}")),
            (_, Some(value)) => value,
            (_, None) => rest.next().ok_or_else(|| format!("flag needs an argument: -{name}"))?,
        };
        parsed.flags.push((flag.name, value));
    }
    parsed.arguments.extend(rest);
    if let Some(late) = parsed.arguments.iter().find(|argument| is_late_flag(argument, known)) {
        return Err(format!("{late} stands behind the arguments: flags come before them"));
    }
    Ok(parsed)
}

/// Whether an argument is one of the command's own flags at the wrong place. `k=v` pairs may begin with a dash.
fn is_late_flag(argument: &str, known: &[&[Flag]]) -> bool {
    let Some(name) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else { return false };
    let name = name.split('=').next().unwrap_or_default();
    known.iter().copied().flatten().any(|flag| flag.name == name)
}

impl Parsed {
    /// The last value of a flag.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.flags.iter().rev().find(|(held, _)| *held == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a flag, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.flags.iter().filter(move |(held, _)| *held == name).map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on.
    pub(crate) fn on(&self, name: &str) -> bool {
        self.get(name).and_then(go_bool).unwrap_or(false)
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, String> {
        let parse =
            |text: &str| text.parse().map_err(|_| format!("invalid value {text:?} for flag -{name}: a whole number"));
        self.get(name).map(parse).transpose()
    }

    /// Exactly `N` arguments.
    pub(crate) fn exactly<const N: usize>(&self, usage: &str) -> Result<&[String; N], String> {
        self.arguments.as_slice().try_into().map_err(|_| {
            let given = self.arguments.len();
            let which = if given < N { "Not enough" } else { "Too many" };
            format!("{which} arguments (expected {N}, got {given}): {usage}")
        })
    }
}

fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Flag] = &[flag("config", "PATH", ""), switch("dev", ""), flag("n", "N", "")];

    fn read(arguments: &[&str]) -> Result<Parsed, String> {
        parse(arguments.iter().map(ToString::to_string).collect(), &[KNOWN])
    }

    #[test]
    fn flags_have_one_or_two_dashes_and_come_before_the_arguments() {
        let parsed = read(&["-config=a", "--config", "b", "-dev", "-n", "-3", "path", "k=v", "-", "-x=1"]).unwrap();
        assert_eq!(parsed.all("config").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((parsed.get("config"), parsed.on("dev"), parsed.number("n")), (Some("b"), true, Ok(Some(-3))));
        assert_eq!(parsed.arguments, ["path", "k=v", "-", "-x=1"]);
        assert!(!read(&["-dev=false"]).unwrap().on("dev"));
        assert_eq!(
            read(&["-dev", "--", "-config"]).unwrap_err(),
            "-config stands behind the arguments: flags come before them"
        );
        assert!(read(&["--help"]).unwrap().help && read(&["-h", "x"]).unwrap().help);
        assert_eq!(read(&["-"]).unwrap().arguments, ["-"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (arguments, want) in [
            (&["-nope"][..], "flag provided but not defined: -nope"),
            (&["-config"], "flag needs an argument: -config"),
            (&["-dev=maybe"], "invalid boolean value \"maybe\" for -dev"),
            (&["path", "-dev"], "-dev stands behind the arguments: flags come before them"),
        ] {
            assert_eq!(read(arguments).unwrap_err(), want);
        }
        assert!(read(&["-n", "x"]).unwrap().number("n").is_err());
        assert!(read(&["a"]).unwrap().exactly::<2>("usage").unwrap_err().contains("expected 2, got 1"));
    }
}
