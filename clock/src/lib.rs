//! The one source of time. Everything that compares or stores a time takes a [`Clock`]; nothing else reads the system's.
//!
//! Effective time never runs backwards: it is the later of the wall clock and the latest time seen, and the latest time
//! seen survives a restart because the store's head carries it ([`Clock::advance_to`]). So what has expired stays
//! expired when somebody sets the clock back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A moment: nanoseconds since 1970-01-01T00:00:00Z, years 1678 to 2262. Arithmetic saturates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From whole seconds since 1970, saturating.
    pub const fn from_unix(seconds: i64) -> Self {
        Timestamp(seconds.saturating_mul(1_000_000_000))
    }

    /// From nanoseconds since 1970.
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        Timestamp(nanos)
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn unix(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Nanoseconds since 1970.
    pub const fn unix_nanos(self) -> i64 {
        self.0
    }

    /// This moment and `span` more, saturating at the end of time.
    pub fn plus(self, span: Duration) -> Self {
        let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(nanos))
    }

    /// RFC 3339 in UTC with nine digits of the second and `Z`: always 30 bytes, and without an allocation, since the
    /// audit log writes two per request.
    pub fn rfc3339(self) -> [u8; 30] {
        // Years 1678 to 2262, so every part is positive and has its fixed number of digits.
        let (seconds, nanos) = (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Days since 0000-03-01, so that a leap day ends its year (the proleptic Gregorian calendar, 400-year cycles).
        let shifted = days + 719_468;
        let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let march = (5 * day + 2) / 153;
        let (month, day) = (if march < 10 { march + 3 } else { march - 9 }, day - (153 * march + 2) / 5 + 1);
        let year = year + 400 * era + i64::from(month <= 2);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let parts = [(4, year), (7, month), (10, day), (13, second / 3_600), (16, second / 60 % 60), (19, second % 60)];
        for (end, mut value) in parts.into_iter().chain([(29, nanos)]) {
            let mut at = end;
            while value > 0 {
                at -= 1;
                // One decimal digit.
                text[at] = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        text
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// RFC 3339 in UTC with nanoseconds and `Z`, as Vault's clients read it.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every i64 of nanoseconds lies inside jiff's range of years -9999 to 9999.
        let moment = jiff::Timestamp::from_nanosecond(i128::from(self.0)).expect("an i64 of nanoseconds is in range");
        write!(f, "{moment:.9}")
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;

    /// Reads RFC 3339.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let moment: jiff::Timestamp = text.parse()?;
        Ok(Timestamp(i64::try_from(moment.as_nanosecond()).unwrap_or(i64::MAX)))
    }
}

/// Where time comes from; clones share one source.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

struct Source {
    manual: Option<AtomicI64>,
    latest: AtomicI64,
}

impl Clock {
    /// The system's wall clock, never running backwards.
    pub fn system() -> Self {
        Clock(Arc::new(Source { manual: None, latest: AtomicI64::new(i64::MIN) }))
    }

    /// A clock that stands at `start` until it is set: for tests.
    pub fn manual(start: Timestamp) -> Self {
        Clock(Arc::new(Source { manual: Some(AtomicI64::new(start.0)), latest: AtomicI64::new(i64::MIN) }))
    }

    /// Effective time: the later of the wall clock and the latest time seen.
    pub fn now(&self) -> Timestamp {
        let wall = self.wall().0;
        Timestamp(self.0.latest.fetch_max(wall, Ordering::Relaxed).max(wall))
    }

    /// What the wall clock says, which may lie before [`Clock::now`] when it was set back.
    pub fn wall(&self) -> Timestamp {
        match &self.0.manual {
            Some(set) => Timestamp(set.load(Ordering::Relaxed)),
            None => Timestamp(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)),
        }
    }

    /// Makes `seen` the earliest effective time: called at unseal with the time that the store's head carries.
    pub fn advance_to(&self, seen: Timestamp) {
        self.0.latest.fetch_max(seen.0, Ordering::Relaxed);
    }

    /// Sets a manual clock's wall time, forwards or back; a system clock ignores it.
    pub fn set(&self, wall: Timestamp) {
        if let Some(set) = &self.0.manual {
            set.store(wall.0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_does_not_run_backwards() {
        let clock = Clock::manual(Timestamp::from_unix(1_000));
        assert_eq!(clock.now().unix(), 1_000);
        clock.set(Timestamp::from_unix(10));
        assert_eq!(clock.now().unix(), 1_000);
        assert_eq!(clock.wall().unix(), 10);
        clock.advance_to(Timestamp::from_unix(2_000));
        assert_eq!(clock.now().unix(), 2_000);
    }

    #[test]
    fn a_timestamp_prints_as_rfc_3339_with_nanoseconds() {
        assert_eq!(Timestamp::from_unix_nanos(1_500_000_000_000_000_001).to_string(), "2017-07-14T02:40:00.000000001Z");
        assert_eq!("2017-07-14T02:40:00Z".parse::<Timestamp>().unwrap().unix(), 1_500_000_000);
    }

    #[test]
    fn the_fast_text_is_the_same_text() {
        let mut nanos = i64::MIN / 2 - 7;
        let mut checked = 0;
        while nanos < i64::MAX / 16 * 15 {
            let moment = Timestamp::from_unix_nanos(nanos);
            assert_eq!(String::from_utf8(moment.rfc3339().to_vec()).unwrap(), moment.to_string());
            // A bit more than 13 days and an odd number of nanoseconds.
            nanos += 1_155_555_555_555_557;
            checked += 1;
        }
        assert!(checked > 10_000);
        for text in
            ["2024-02-29T23:59:59.999999999Z", "2100-02-28T00:00:00.000000001Z", "2000-03-01T00:00:00.000000000Z"]
        {
            assert_eq!(text.parse::<Timestamp>().unwrap().rfc3339(), text.as_bytes());
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::from_unix(i64::MAX).plus(Duration::from_secs(1)), Timestamp::from_unix_nanos(i64::MAX));
        assert_eq!(Timestamp::from_unix(1).since(Timestamp::from_unix(2)), Duration::ZERO);
    }
}
