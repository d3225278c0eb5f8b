//! What the shim is told: one rule a line.
//!
//! `FUNCTION CALL ACTION…`, such as `C_Login 1 rv=0xa0` or `C_Decrypt 2+ delay=20 mutate=zero`. CALL is the n-th call of
//! that function since the file was last changed; with `+`, that one and all later ones.

use std::fmt;
use std::str::FromStr;

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The function's name in PKCS#11.
    pub function: String,
    /// The first call that it concerns, from 1.
    pub call: u64,
    /// Whether it concerns all later calls too.
    pub sticky: bool,
    /// What happens.
    pub action: Action,
}

/// What happens to a call, in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Action {
    /// Milliseconds to wait first.
    pub delay: u64,
    /// Wait until the rule is no longer in the file.
    pub hang: bool,
    /// The code to return instead of making the call.
    pub rv: Option<u64>,
    /// How to change the output of a call that succeeded.
    pub mutate: Option<Mutation>,
}

/// How an output is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// One byte is missing at the end.
    Truncate,
    /// Right length, all zeros.
    Zero,
    /// Right length, other bytes.
    Garbage,
    /// The stated length is far beyond the buffer.
    Length,
    /// CK_TOKEN_INFO: these flags are set too.
    Flags(u64),
    /// CK_TOKEN_INFO: another serial number.
    Serial(String),
}

impl Rule {
    /// A rule for one call.
    pub fn once(function: &str, call: u64, action: Action) -> Self {
        Rule { function: function.into(), call, sticky: false, action }
    }

    /// A rule for one call and all after it.
    pub fn from(function: &str, call: u64, action: Action) -> Self {
        Rule { function: function.into(), call, sticky: true, action }
    }
}

impl Action {
    /// Returns `rv` without making the call.
    pub fn answer(rv: u64) -> Self {
        Action { rv: Some(rv), ..Action::default() }
    }

    /// Hangs until the rule is gone.
    pub fn hang() -> Self {
        Action { hang: true, ..Action::default() }
    }

    /// Changes the output.
    pub fn mutate(mutation: Mutation) -> Self {
        Action { mutate: Some(mutation), ..Action::default() }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.function, self.call, if self.sticky { "+" } else { "" })?;
        if self.action.delay > 0 {
            write!(f, " delay={}", self.action.delay)?;
        }
        if self.action.hang {
            f.write_str(" hang")?;
        }
        if let Some(rv) = self.action.rv {
            write!(f, " rv=0x{rv:x}")?;
        }
        match &self.action.mutate {
            None => Ok(()),
            Some(Mutation::Truncate) => f.write_str(" mutate=truncate"),
            Some(Mutation::Zero) => f.write_str(" mutate=zero"),
            Some(Mutation::Garbage) => f.write_str(" mutate=garbage"),
            Some(Mutation::Length) => f.write_str(" mutate=length"),
            Some(Mutation::Flags(flags)) => write!(f, " mutate=flags:0x{flags:x}"),
            Some(Mutation::Serial(serial)) => write!(f, " mutate=serial:{serial}"),
        }
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let bad = || format!("not a rule: {line:?}");
        let mut words = line.split_whitespace();
        let (function, call) = (words.next().ok_or_else(bad)?, words.next().ok_or_else(bad)?);
        let sticky = call.ends_with('+');
        let call = call.trim_end_matches('+').parse().map_err(|_| bad())?;
        let mut action = Action::default();
        for word in words {
            match word.split_once('=') {
                None if word == "hang" => action.hang = true,
                Some(("delay", value)) => action.delay = value.parse().map_err(|_| bad())?,
                Some(("rv", value)) => action.rv = Some(hexadecimal(value).ok_or_else(bad)?),
                Some(("mutate", value)) => action.mutate = Some(mutation(value).ok_or_else(bad)?),
                _ => return Err(bad()),
            }
        }
        Ok(Rule { function: function.into(), call, sticky, action })
    }
}

fn mutation(word: &str) -> Option<Mutation> {
    Some(match word.split_once(':') {
        None if word == "truncate" => Mutation::Truncate,
        None if word == "zero" => Mutation::Zero,
        None if word == "garbage" => Mutation::Garbage,
        None if word == "length" => Mutation::Length,
        Some(("flags", value)) => Mutation::Flags(hexadecimal(value)?),
        Some(("serial", value)) => Mutation::Serial(value.into()),
        _ => return None,
    })
}

fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_as_they_print() {
        for line in [
            "C_Login 1 rv=0xa0",
            "C_Decrypt 2+ delay=20 mutate=zero",
            "C_Sign 1+ hang",
            "C_GetTokenInfo 1+ mutate=flags:0x20000",
            "C_GetTokenInfo 3 mutate=serial:0011",
        ] {
            assert_eq!(line.parse::<Rule>().unwrap().to_string(), line);
        }
        for bad in ["", "C_Login", "C_Login x", "C_Login 1 rv=160", "C_Login 1 mutate=all", "C_Login 1 explode"] {
            assert!(bad.parse::<Rule>().is_err(), "{bad:?}");
        }
    }
}
