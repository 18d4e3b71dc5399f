//! When the next run starts. Pure: the clock is passed in.
//!
//! Starts lie on a grid: the first one at once, then one every interval, however long a run takes. There
//! are never two runs at a time; a start that finds one going is skipped and counted, not made up for.

use std::time::{Duration, Instant};

/// How often the guest runs (options `oneshot`, `interval_sec`, `interval_nsec`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// One run.
    Once,
    /// A run every so often; never zero.
    Every(Duration),
}

/// The starts of one input.
#[derive(Debug)]
pub struct Schedule {
    rhythm: Rhythm,
    next: Option<Instant>,
}

impl Schedule {
    /// A schedule whose first start is `now`.
    #[must_use]
    pub fn new(rhythm: Rhythm, now: Instant) -> Self {
        Self { rhythm, next: Some(now) }
    }

    /// When the next run is due; `None` when there is no further one.
    #[must_use]
    pub fn next_start(&self) -> Option<Instant> {
        self.next
    }

    /// The run that was due has ended (or failed) at `now`. Returns how many starts were skipped meanwhile.
    pub fn run_ended(&mut self, now: Instant) -> u64 {
        let (Rhythm::Every(interval), Some(due)) = (self.rhythm, self.next) else {
            self.next = None;
            return 0;
        };
        let following = due + interval;
        let late = now.saturating_duration_since(following);
        let skipped = late.as_nanos().div_ceil(interval.as_nanos());
        // Durations beyond 2^64 ns are centuries; the schedule need not be exact there.
        let skipped = u64::try_from(skipped).unwrap_or(u64::MAX);
        let catch_up = interval.as_nanos().saturating_mul(u128::from(skipped));
        self.next = Some(following + Duration::from_nanos(u64::try_from(catch_up).unwrap_or(u64::MAX)));
        skipped
    }

    /// The run that was due could not begin for want of a usable program: it is tried again one interval
    /// later, or after a second where only one run is wanted.
    pub fn run_not_possible(&mut self, now: Instant) {
        let wait = match self.rhythm {
            Rhythm::Once => Duration::from_secs(1),
            Rhythm::Every(interval) => interval,
        };
        self.next = Some(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn starts_lie_on_a_grid_and_the_first_is_at_once() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Rhythm::Every(SECOND), start);
        assert_eq!(schedule.next_start(), Some(start));
        assert_eq!(schedule.run_ended(start + SECOND / 10), 0);
        assert_eq!(schedule.next_start(), Some(start + SECOND));
        assert_eq!(schedule.run_ended(start + SECOND * 3 / 2), 0);
        assert_eq!(schedule.next_start(), Some(start + 2 * SECOND));
    }

    #[test]
    fn starts_that_find_a_run_going_are_skipped_and_counted() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Rhythm::Every(SECOND), start);
        assert_eq!(schedule.run_ended(start + SECOND * 35 / 10), 3);
        assert_eq!(schedule.next_start(), Some(start + 4 * SECOND));
        // A run that ends exactly at the next start doesn't stand in its way.
        assert_eq!(schedule.run_ended(start + 5 * SECOND), 0);
        assert_eq!(schedule.next_start(), Some(start + 5 * SECOND));
    }

    #[test]
    fn once_is_once() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Rhythm::Once, start);
        assert_eq!(schedule.next_start(), Some(start));
        assert_eq!(schedule.run_ended(start + SECOND), 0);
        assert_eq!(schedule.next_start(), None);
    }

    #[test]
    fn one_run_that_could_not_begin_is_still_wanted() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Rhythm::Once, start);
        schedule.run_not_possible(start);
        assert_eq!(schedule.next_start(), Some(start + SECOND));
    }

    #[test]
    fn the_shortest_interval_and_the_longest_run_do_not_overflow() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Rhythm::Every(Duration::from_nanos(1)), start);
        let year = Duration::from_secs(365 * 24 * 3600);
        assert!(schedule.run_ended(start + year) > 0);
        assert!(schedule.next_start() >= Some(start + year));
    }
}
