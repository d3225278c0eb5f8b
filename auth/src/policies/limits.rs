//! What a rule asks of a request beside its capability: parameters, time of wrapping, size of a page.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::decision::Denial;

/// The restrictions of one rule, or of all rules on one path together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Parameters that may be given; empty allows all.
    pub allowed: Parameters,
    /// Parameters that may not be given.
    pub denied: Parameters,
    /// Parameters that must be given, in lower case.
    pub required: Vec<String>,
    /// The response must be wrapped, for at least this long.
    pub min_wrapping_ttl: Option<Duration>,
    /// The response must be wrapped, for at most this long.
    pub max_wrapping_ttl: Option<Duration>,
    /// The largest page that a list may ask for; never 0.
    pub page: Option<u64>,
}

/// Values by the parameter's name in lower case; no values stand for any value. `*` stands for any name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters(BTreeMap<String, Vec<Wanted>>);

/// A value that a rule names.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted(pub(super) Value);

/// The name that stands for all.
const ANY: &str = "*";

/// The parameter that a list's page size arrives in.
const PAGE: &str = "limit";

impl Limits {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Limits::default()
    }

    /// Adds what another rule on the same path asks: restrictions add up, values of one parameter are united.
    pub(super) fn unite(&mut self, other: &Limits) {
        self.allowed.unite(&other.allowed);
        self.denied.unite(&other.denied);
        for name in &other.required {
            if !self.required.contains(name) {
                self.required.push(name.clone());
            }
        }
        self.min_wrapping_ttl = least(self.min_wrapping_ttl, other.min_wrapping_ttl);
        self.max_wrapping_ttl = least(self.max_wrapping_ttl, other.max_wrapping_ttl);
        self.page = least(self.page, other.page);
    }

    /// Checks the time for which the response is to be wrapped, if it is.
    pub(super) fn check_wrapping(&self, wrap_ttl: Option<Duration>) -> Result<(), Denial> {
        let (min, max) = (self.min_wrapping_ttl, self.max_wrapping_ttl);
        if min.is_none() && max.is_none() {
            return Ok(());
        }
        let fits = |ttl| max.is_none_or(|max| ttl <= max) && min.is_none_or(|min| ttl >= min);
        if wrap_ttl.is_some_and(fits) { Ok(()) } else { Err(Denial::WrappingTtl) }
    }

    /// Checks the parameters of a read or a write.
    pub(super) fn check_parameters(&self, given: &[(&str, &str)]) -> Result<(), Denial> {
        let is_given = |wanted: &&String| given.iter().any(|(name, json)| *name == **wanted && json.trim() != "null");
        if let Some(missing) = self.required.iter().find(|wanted| !is_given(wanted)) {
            return Err(Denial::ParameterRequired(missing.clone()));
        }
        let denied = |name: &str| Err(Denial::ParameterDenied(name.to_owned()));
        for (name, json) in given {
            let key = lower(name);
            if self.denied.0.contains_key(ANY) {
                return denied(name);
            }
            // A value that is not JSON, or cannot be told apart, is denied where any value is.
            if let Some(values) = self.denied.0.get(&*key)
                && (values.is_empty() || parse(json).is_none_or(|value| values.iter().any(|want| want.covers(&value))))
            {
                return denied(name);
            }
        }
        let any = self.allowed.0.contains_key(ANY);
        if self.allowed.0.is_empty() || (any && self.allowed.0.len() == 1) {
            return Ok(());
        }
        for (name, json) in given {
            let admitted = match self.allowed.0.get(&*lower(name)) {
                None => any,
                Some(values) if values.is_empty() => true,
                Some(values) => parse(json).is_some_and(|value| values.iter().any(|want| want.is(&value))),
            };
            if !admitted {
                return Err(Denial::ParameterNotAllowed((*name).to_owned()));
            }
        }
        Ok(())
    }

    /// Checks the page size of a list; the size to use instead of the one that was asked for, if there is one.
    pub(super) fn check_page(&self, given: &[(&str, &str)]) -> Result<Option<u64>, Denial> {
        let asked = given.iter().find(|(name, _)| *name == PAGE).map(|(_, json)| json.trim());
        let asked = asked.filter(|json| *json != "null");
        let Some(page) = self.page else { return Ok(None) };
        let Some(json) = asked else {
            return match self.required.iter().any(|name| name == PAGE) {
                true => Err(Denial::ParameterRequired(PAGE.into())),
                false => Ok(Some(page)),
            };
        };
        let text = match parse(json) {
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(Denial::PageTooLarge),
        };
        match text.parse::<u64>() {
            Ok(0) => Ok(Some(page)),
            Ok(size) if size <= page => Ok(Some(size)),
            _ if text == "max" => Ok(Some(page)),
            _ => Err(Denial::PageTooLarge),
        }
    }
}

impl Parameters {
    /// Adds a parameter; false if it is already there.
    pub(super) fn insert(&mut self, name: &str, values: Vec<Wanted>) -> bool {
        self.0.insert(name.to_lowercase(), values).is_none()
    }

    /// Names in lower case, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Wanted])> {
        self.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    fn unite(&mut self, other: &Parameters) {
        for (name, values) in &other.0 {
            match self.0.get_mut(name) {
                None => {
                    self.0.insert(name.clone(), values.clone());
                }
                // No values stand for any.
                Some(held) if held.is_empty() || values.is_empty() => held.clear(),
                Some(held) => {
                    held.extend(values.iter().filter(|value| !held.contains(value)).cloned().collect::<Vec<_>>())
                }
            }
        }
    }
}

impl Wanted {
    /// The value as JSON.
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// Whether `value` is the wanted one: the same type and value; a string may have `*` at either end.
    fn is(&self, value: &Value) -> bool {
        match (&self.0, value) {
            (Value::String(pattern), Value::String(text)) => globs(pattern, text),
            (Value::Number(wanted), Value::Number(given)) => {
                wanted == given || matches!((wanted.as_f64(), given.as_f64()), (Some(a), Some(b)) if a == b)
            }
            (wanted, given) => wanted == given,
        }
    }

    /// Whether `value` could be taken for the wanted one by a weak reader, for which `1`, `"1"` and `true` are one. Two
    /// strings are told apart as they stand.
    fn covers(&self, value: &Value) -> bool {
        if self.is(value) {
            return true;
        }
        match (scalar(&self.0), scalar(value)) {
            (Some(wanted), Some(given)) if !(self.0.is_string() && value.is_string()) => globs(&wanted, &given),
            _ => false,
        }
    }
}

/// A scalar as a weak reader would see it.
fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(match text.trim() {
            "true" => "1".into(),
            "false" => "0".into(),
            text => text.into(),
        }),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(bool) => Some(if *bool { "1" } else { "0" }.into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether `text` fits `pattern`, which may have `*` at one end or both; a lone `*` is a plain character, as in Vault.
fn globs(pattern: &str, text: &str) -> bool {
    if pattern.len() < 2 {
        return pattern == text;
    }
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), Some(_)) => text.contains(&rest[..rest.len() - 1]),
        (Some(end), None) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (None, None) => pattern == text,
    }
}

fn parse(json: &str) -> Option<Value> {
    serde_json::from_str(json).ok()
}

fn lower(name: &str) -> Cow<'_, str> {
    match name.chars().any(char::is_uppercase) {
        true => name.to_lowercase().into(),
        false => name.into(),
    }
}

fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
