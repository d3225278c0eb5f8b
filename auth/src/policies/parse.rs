//! From a policy's text to its rules.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};
use strongroom_clock::Timestamp;
use strongroom_hcl::{self as hcl, Body, Kind};

use super::capability::{Capabilities, Capability};
use super::fault::{PolicyFault, RuleFault};
use super::limits::{Limits, Parameters, Wanted};
use super::name::PolicyName;
use super::policy::{Policy, Rule};
use super::template::Template;
use crate::Error;

/// The text of a policy as the `policy` parameter holds it: plain, or in base64.
///
/// An empty parameter is refused. Text that is not base64 of UTF-8 is taken as it is.
pub fn text_of(parameter: &str) -> Result<Cow<'_, str>, Error> {
    if parameter.is_empty() {
        return Err(Error::PolicyEmpty);
    }
    let decoded = base64_simd::STANDARD.decode_to_vec(parameter).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(decoded.map_or(Cow::Borrowed(parameter), Cow::Owned))
}

impl Policy {
    /// Parses a policy's text: HCL, or JSON if it starts with `{`. A text without rules is a policy that grants nothing.
    pub fn parse(name: PolicyName, text: &str) -> Result<Policy, Error> {
        Ok(Policy::new(name, rules(text)?))
    }
}

fn rules(text: &str) -> Result<Vec<Rule>, PolicyFault> {
    let mut body = Body::parse("", text)?;
    // A name in the text is allowed and says nothing: the path of the request names the policy.
    body.text("name")?;
    let blocks = body.blocks("path", 1..=1)?;
    body.finish().map_err(PolicyFault::Text)?;
    let rule = |block: hcl::Block| {
        let path = block.labels.into_iter().map(|label| label.value).next().unwrap_or_default();
        let (rule, wraps) = rule(&path, block.body).map_err(|fault| PolicyFault::Rule { path, fault })?;
        if wraps { Ok(rule) } else { Err(PolicyFault::WrappingTtl) }
    };
    blocks.into_iter().map(rule).collect()
}

/// One rule, and whether its two times of wrapping go together.
fn rule(path: &str, mut body: Body) -> Result<(Rule, bool), RuleFault> {
    let template = Template::parse(path).ok_or(RuleFault::Template)?;
    if path.contains("+*") {
        return Err(RuleFault::Wildcards);
    }
    body.text("comment")?;
    let expiration = expiration(&mut body)?;
    let capabilities = capabilities(&mut body)?;
    let limits = Limits {
        allowed: parameters(&mut body, "allowed_parameters")?,
        denied: parameters(&mut body, "denied_parameters")?,
        required: required(&mut body)?,
        min_wrapping_ttl: span(&mut body, "min_wrapping_ttl")?,
        max_wrapping_ttl: span(&mut body, "max_wrapping_ttl")?,
        page: page(&mut body)?,
    };
    refuse_unenforced(&mut body)?;
    body.finish()?;
    let wraps = match (limits.min_wrapping_ttl, limits.max_wrapping_ttl) {
        (Some(min), Some(max)) => min <= max,
        _ => true,
    };
    Ok((Rule { path: template, capabilities, limits, expiration }, wraps))
}

fn capabilities(body: &mut Body) -> Result<Capabilities, RuleFault> {
    let mut granted = Capabilities::NONE;
    if let Some(legacy) = body.text("policy")?.filter(|legacy| !legacy.value.is_empty()) {
        granted = legacy_capabilities(&legacy.value).ok_or(RuleFault::Legacy(legacy.value))?;
    }
    for name in body.texts("capabilities")?.unwrap_or_default() {
        let capability = Capability::from_name(&name.value).ok_or(RuleFault::Capability(name.value))?;
        granted = granted.with(capability);
    }
    Ok(granted)
}

/// What the words of Vault 0.4 stand for.
fn legacy_capabilities(word: &str) -> Option<Capabilities> {
    use Capability::{Create, Delete, Deny, List, Read, Sudo, Update};
    let granted: &[Capability] = match word {
        "deny" => &[Deny],
        "read" => &[Read, List],
        "write" => &[Create, Read, Update, Delete, List],
        "sudo" => &[Create, Read, Update, Delete, List, Sudo],
        _ => return None,
    };
    Some(granted.iter().copied().collect())
}

fn parameters(body: &mut Body, key: &'static str) -> Result<Parameters, RuleFault> {
    let mut parameters = Parameters::default();
    let Some(mut object) = body.object(key)? else { return Ok(parameters) };
    for (name, value) in object.entries()? {
        let Kind::List(values) = value.kind else {
            let reason = format!("{key}: the values of {:?} must be a list", name.value);
            return Err(body.refuse(value.position, reason).into());
        };
        let wanted = |value: hcl::Value| {
            let position = value.position;
            json(value.kind).map(Wanted).ok_or_else(|| body.refuse(position, format!("{key}: a number does not fit")))
        };
        let values = values.into_iter().map(wanted).collect::<Result<_, _>>()?;
        if !parameters.insert(&name.value, values) {
            let reason = format!("{key}: {:?} is there twice, case does not count", name.value);
            return Err(body.refuse(name.position, reason).into());
        }
    }
    Ok(parameters)
}

/// A value as JSON, to compare it with those of requests; `None` for a number that is too large.
fn json(kind: Kind) -> Option<Value> {
    Some(match kind {
        Kind::Null => Value::Null,
        Kind::Bool(bool) => Value::Bool(bool),
        Kind::Text(text) => Value::String(text),
        Kind::Number(number) => Value::Number(match number.int() {
            Some(int) => int.into(),
            None => Number::from_f64(number.float()?)?,
        }),
        Kind::List(values) => values.into_iter().map(|value| json(value.kind)).collect::<Option<Vec<_>>>()?.into(),
        Kind::Object(items) => {
            let member = |item: hcl::Item| {
                let name = item.keys.into_iter().map(|key| key.text).collect::<Vec<_>>().join(" ");
                Some((name, json(item.value.kind)?))
            };
            items.into_iter().map(member).collect::<Option<Map<_, _>>>()?.into()
        }
    })
}

fn required(body: &mut Body) -> Result<Vec<String>, RuleFault> {
    let mut required = Vec::new();
    for name in body.texts("required_parameters")?.unwrap_or_default() {
        let name = name.value.to_lowercase();
        if !required.contains(&name) {
            required.push(name);
        }
    }
    Ok(required)
}

/// A span of time; zero is no limit.
fn span(body: &mut Body, key: &'static str) -> Result<Option<std::time::Duration>, RuleFault> {
    Ok(body.duration(key)?.map(|span| span.value).filter(|span| !span.is_zero()))
}

/// The largest page of a list; zero is no limit.
fn page(body: &mut Body) -> Result<Option<u64>, RuleFault> {
    let Some(page) = body.int("pagination_limit")? else { return Ok(None) };
    match u64::try_from(page.value) {
        Ok(0) => Ok(None),
        Ok(size) => Ok(Some(size)),
        Err(_) => Err(body.refuse(page.position, "\"pagination_limit\" must not be negative").into()),
    }
}

fn expiration(body: &mut Body) -> Result<Option<Timestamp>, RuleFault> {
    let Some(text) = body.text("expiration")?.filter(|text| !text.value.is_empty()) else { return Ok(None) };
    let moment = match text.value.parse::<i64>() {
        Ok(seconds) => Timestamp::from_unix(seconds),
        Err(_) => text.value.parse().map_err(|_| RuleFault::Expiration)?,
    };
    Ok(Some(moment))
}

/// Keys that restrict what is granted and that nothing here enforces: a policy that has one is refused, because to take it
/// without the restriction would grant more than its author wrote.
fn refuse_unenforced(body: &mut Body) -> Result<(), RuleFault> {
    if body.texts("mfa_methods")?.is_some_and(|methods| !methods.is_empty()) {
        return Err(RuleFault::Unenforced("mfa_methods"));
    }
    if body.skip("control_group").is_some() {
        return Err(RuleFault::Unenforced("control_group"));
    }
    if body.text("list_scan_response_keys_filter_path")?.is_some_and(|filter| !filter.value.is_empty()) {
        return Err(RuleFault::Unenforced("list_scan_response_keys_filter_path"));
    }
    Ok(())
}
