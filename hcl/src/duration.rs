//! Spans of time as Vault's users write them.

use std::time::Duration;

/// The span that `text` names: a whole number of seconds (`3600`), of days (`30d`), or Go's form (`1h30m`, `1.5h`, `250ms`).
///
/// `None` if it is something else, is negative or does not fit 292 years, the longest span that clients can read.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() || text.starts_with(['-', '+']) {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return bounded(u128::from(text.parse::<u64>().ok()?).checked_mul(SECOND)?);
    }
    if let Some(days) = text.strip_suffix('d') {
        if days.is_empty() || !days.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        return bounded(u128::from(days.parse::<u64>().ok()?).checked_mul(24 * 3600 * SECOND)?);
    }
    let mut total: u128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (amount, unit, after) = term(rest)?;
        total = total.checked_add(amount.nanos(unit)?)?;
        rest = after;
    }
    bounded(total)
}

/// A decimal number: digits before the point and behind it, one of them not empty.
struct Amount<'t> {
    whole: &'t str,
    fraction: &'t str,
}

impl Amount<'_> {
    fn nanos(&self, unit: u128) -> Option<u128> {
        let whole = match self.whole {
            "" => 0,
            digits => u128::from(digits.parse::<u64>().ok()?),
        };
        // Digits beyond a nanosecond of the largest unit make no difference.
        let fraction = &self.fraction[..self.fraction.len().min(18)];
        let part = match fraction {
            "" => 0,
            digits => digits.parse::<u128>().ok()?.checked_mul(unit)? / 10u128.pow(fraction.len() as u32),
        };
        whole.checked_mul(unit)?.checked_add(part)
    }
}

/// The first term of Go's form: its amount, its unit in nanoseconds, and what follows it.
fn term(text: &str) -> Option<(Amount<'_>, u128, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // `ms` before `m`, or the shorter would win.
    let (name, unit) = UNITS.iter().find(|(name, _)| rest.starts_with(name))?;
    Some((Amount { whole, fraction }, *unit, &rest[name.len()..]))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

fn bounded(nanos: u128) -> Option<Duration> {
    let nanos = i64::try_from(nanos).ok()?.unsigned_abs();
    Some(Duration::from_nanos(nanos))
}

const SECOND: u128 = 1_000_000_000;

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let table = [
            ("0", Some(0)),
            ("3600", Some(3_600_000)),
            ("10s", Some(10_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5h", Some(5_400_000)),
            (".5s", Some(500)),
            ("1.s", Some(1_000)),
            ("250ms", Some(250)),
            ("30d", Some(30 * 86_400_000)),
            (" 5m ", Some(300_000)),
            ("768h", Some(768 * 3_600_000)),
            ("106751d", Some(106_751 * 86_400_000)),
            ("106752d", None),
            ("", None),
            ("d", None),
            ("s", None),
            (".s", None),
            ("-1s", None),
            ("+1s", None),
            ("1", Some(1_000)),
            ("1x", None),
            ("1h30", None),
            ("1h 30m", None),
            ("1.5d", None),
            ("99999999999999999999999h", None),
            ("1e3s", None),
            ("ONE", None),
        ];
        for (text, millis) in table {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text:?}");
        }
        assert_eq!(duration("1µs1ns"), Some(Duration::from_nanos(1_001)));
    }
}
