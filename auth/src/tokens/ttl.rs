//! How long a token lives: the least of what role, mount, system and request allow.

use strongroom_clock::Timestamp;
use strongroom_mount::TtlLimits;

use crate::Error;

/// What decides a TTL. Spans are seconds; 0 is "not given".
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    /// What the caller asks for now.
    pub asked: u64,
    /// What stands where the caller asks for nothing; below it the mount's default.
    pub usual: u64,
    /// A periodic token gets its period whatever is asked.
    pub period: u64,
    /// What caps even a periodic token, counted from its creation.
    pub explicit_max: u64,
}

/// A TTL and what the caller should hear about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub ttl: u64,
    pub warnings: Vec<String>,
}

/// The TTL from `now` of a token that was created at `created`.
///
/// # Errors
/// [`Error::PastMaxTtl`] where the token has had all the time that it may have.
pub(super) fn grant(wishes: Wishes, limits: TtlLimits, created: Timestamp, now: Timestamp) -> Result<Granted, Error> {
    let mut warnings = Vec::new();
    let max = limits.max.as_secs();
    let (wanted, cap) = if wishes.period > 0 {
        if wishes.period > max {
            warnings.push(capped("period", "Period", wishes.period, max));
        }
        (wishes.period.min(max), lesser(wishes.explicit_max, 0))
    } else {
        let wanted = [wishes.asked, wishes.usual].into_iter().find(|span| *span > 0);
        (wanted.unwrap_or(limits.default.as_secs()), lesser(wishes.explicit_max, max))
    };
    // Rounded up: what is left, counted from now, must not reach beyond the cap.
    let age = now.since(created).as_nanos().div_ceil(1_000_000_000);
    let age = u64::try_from(age).unwrap_or(u64::MAX);
    let left = if cap == 0 { u64::MAX } else { cap.saturating_sub(age) };
    if left == 0 {
        return Err(Error::PastMaxTtl);
    }
    if wanted > left {
        warnings.push(capped("TTL", "TTL", wanted, left));
    }
    Ok(Granted { ttl: wanted.min(left), warnings })
}

/// The lesser of two spans of which 0 is none.
pub(super) fn lesser(one: u64, other: u64) -> u64 {
    match (one, other) {
        (0, span) | (span, 0) => span,
        (one, other) => one.min(other),
    }
}

fn capped(what: &str, value: &str, wanted: u64, max: u64) -> String {
    let (wanted, max) = (span_text(wanted), span_text(max));
    format!("{what} of \"{wanted}\" exceeded the effective max_ttl of \"{max}\"; {value} value is capped accordingly")
}

/// A span as clients read it in warnings: `768h`, `1h30m`, `59m59s`, `0s`.
pub(super) fn span_text(seconds: u64) -> String {
    let parts = [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let text: String = parts.iter().filter(|part| part.0 > 0).map(|(number, unit)| format!("{number}{unit}")).collect();
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn limits(default: u64, max: u64) -> TtlLimits {
        TtlLimits { default: Duration::from_secs(default), max: Duration::from_secs(max) }
    }

    const START: Timestamp = Timestamp::from_unix(1_000_000);

    fn at(age: u64) -> Timestamp {
        START.plus(Duration::from_secs(age))
    }

    #[test]
    fn spans_are_written_as_clients_read_them() {
        for (seconds, text) in
            [(0, "0s"), (3600, "1h"), (5400, "1h30m"), (3599, "59m59s"), (2_764_800, "768h"), (3601, "1h1s")]
        {
            assert_eq!(span_text(seconds), text);
        }
    }

    #[test]
    fn warnings_say_what_was_capped() {
        let wishes = Wishes { asked: 9000 * 3600, ..Wishes::default() };
        let granted = grant(wishes, limits(3600, 768 * 3600), START, START).unwrap();
        assert_eq!(granted.ttl, 768 * 3600);
        assert_eq!(
            granted.warnings,
            ["TTL of \"9000h\" exceeded the effective max_ttl of \"768h\"; TTL value is capped accordingly"]
        );
        let wishes = Wishes { period: 7200, ..Wishes::default() };
        let granted = grant(wishes, limits(60, 3600), START, START).unwrap();
        assert_eq!(
            granted.warnings,
            ["period of \"2h\" exceeded the effective max_ttl of \"1h\"; Period value is capped accordingly"]
        );
    }

    #[test]
    fn a_token_that_had_its_time_is_not_renewed() {
        let wishes = Wishes { asked: 60, ..Wishes::default() };
        assert_eq!(grant(wishes, limits(60, 3600), START, at(3600)), Err(Error::PastMaxTtl));
        assert_eq!(grant(wishes, limits(60, 3600), START, at(3599)).unwrap().ttl, 1);
        let periodic = Wishes { period: 60, ..Wishes::default() };
        assert_eq!(grant(periodic, limits(60, 3600), START, at(1_000_000)).unwrap().ttl, 60);
        let bounded = Wishes { period: 60, explicit_max: 90, ..Wishes::default() };
        assert_eq!(grant(bounded, limits(60, 3600), START, at(80)).unwrap().ttl, 10);
        assert_eq!(grant(bounded, limits(60, 3600), START, at(90)), Err(Error::PastMaxTtl));
        let half = at(80).plus(Duration::from_millis(500));
        assert_eq!(grant(bounded, limits(60, 3600), START, half).unwrap().ttl, 9, "half a second is not given back");
    }

    proptest! {
        // no wish widens what another allows, and nothing that is allowed is taken away.
        #[test]
        fn the_effective_ttl_is_the_least_of_all_rules(
            asked in 0..20_000u64, usual in 0..20_000u64, period in prop_oneof![Just(0), 1..20_000u64],
            explicit_max in prop_oneof![Just(0), 1..20_000u64], default in 1..20_000u64, max in 1..20_000u64, age in 0..25_000u64,
        ) {
            let wishes = Wishes { asked, usual, period, explicit_max };
            let wanted = if period > 0 { period.min(max) } else if asked > 0 { asked } else if usual > 0 { usual } else { default };
            let by_max = if period > 0 { u64::MAX } else { max.saturating_sub(age) };
            let by_explicit = if explicit_max > 0 { explicit_max.saturating_sub(age) } else { u64::MAX };
            let least = wanted.min(by_max).min(by_explicit);
            match grant(wishes, limits(default, max), START, at(age)) {
                Ok(granted) => {
                    prop_assert_eq!(granted.ttl, least);
                    prop_assert!(granted.ttl > 0);
                    prop_assert_eq!(granted.warnings.is_empty(), least == wanted && (period == 0 || period <= max));
                }
                Err(error) => prop_assert!(error == Error::PastMaxTtl && least == 0),
            }
        }
    }
}
