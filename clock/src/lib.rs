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
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::from_unix(i64::MAX).plus(Duration::from_secs(1)), Timestamp::from_unix_nanos(i64::MAX));
        assert_eq!(Timestamp::from_unix(1).since(Timestamp::from_unix(2)), Duration::ZERO);
    }
}
