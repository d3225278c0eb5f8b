//! How long to wait for a device that is away.

use std::time::Duration;

/// Doubles from half a second to half a minute.
#[derive(Debug, Default)]
pub struct Backoff(u32);

impl Backoff {
    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.0).min(LONGEST);
        self.0 = (self.0 + 1).min(16);
        wait
    }
}

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute_and_stay_there() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..9).map(|_| backoff.next_wait().as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        assert_eq!((0..100).map(|_| backoff.next_wait()).max(), Some(LONGEST));
    }
}
