//! When the next run starts. Pure: the clock is passed in.
//!
//! Starts lie on a grid: the first one at once, then one every interval, however long a run takes. There
//! are never two runs at a time; a start that finds one going is skipped and counted, not made up for.
//!
//! A guest that fails again and again is started less often: after the first failure at the next start, as
//! if nothing had happened, then the wait doubles each time, up to a limit. A success ends that, and so
//! does a program file that changes.

use std::time::{Duration, Instant};

/// How often the guest runs (options `oneshot`, `interval_sec`, `interval_nsec`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// One run.
    Once,
    /// A run every so often; never zero.
    Every(Duration),
}

/// How a start turned out, as far as the next one depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turnout {
    /// The guest ran, and nothing says that it wouldn't run again.
    Ran,
    /// The guest ran and failed in a way that it will likely repeat.
    Failed,
    /// There was no guest to run.
    NoGuest,
}

/// How long a single run waits before it is tried again, while there is no guest to run.
const ONCE_RETRY: Duration = Duration::from_secs(1);

/// The starts of one input.
#[derive(Debug)]
pub struct Schedule {
    rhythm: Rhythm,
    backoff_max: Duration,
    next: Option<Instant>,
    /// In a row.
    failures: u32,
}

impl Schedule {
    /// A schedule whose first start is `now`, and whose starts are at most `backoff_max` apart (or the
    /// interval, if that is longer) while the guest fails.
    #[must_use]
    pub fn new(rhythm: Rhythm, backoff_max: Duration, now: Instant) -> Self {
        Self { rhythm, backoff_max, next: Some(now), failures: 0 }
    }

    /// When the next run is due; `None` when there is no further one.
    #[must_use]
    pub fn next_start(&self) -> Option<Instant> {
        self.next
    }

    /// How long starts are apart because the guest failed; `None` when they are as configured.
    #[must_use]
    pub fn backoff(&self) -> Option<Duration> {
        (self.failures > 1).then(|| self.wait()).filter(|wait| *wait > self.interval())
    }

    /// The run that was due is over, or couldn't begin. Returns how many starts were skipped because it
    /// was still going.
    #[must_use]
    pub fn run_ended(&mut self, turnout: Turnout, now: Instant) -> u64 {
        self.failures = if turnout == Turnout::Ran { 0 } else { self.failures.saturating_add(1) };
        let (Some(due), Rhythm::Every(interval)) = (self.next, self.rhythm) else {
            self.next = (turnout == Turnout::NoGuest).then(|| now + self.wait());
            return 0;
        };
        // The grid goes on at the first start that is neither past nor too soon after a failure.
        let following = due + interval;
        let late = starts(now.saturating_duration_since(following), interval);
        let held_back = starts((due + self.wait()).saturating_duration_since(following), interval);
        let catch_up = interval.as_nanos().saturating_mul(u128::from(late.max(held_back)));
        // Durations beyond 2^64 ns are centuries; the schedule need not be exact there.
        let next = following + Duration::from_nanos(u64::try_from(catch_up).unwrap_or(u64::MAX));
        // What isn't there yet may come soon, however rarely it will run then.
        let soon = (turnout == Turnout::NoGuest).then(|| now + self.wait_for_guest());
        self.next = Some(soon.map_or(next, |soon| soon.min(next)));
        late
    }

    /// What failed has changed: it is tried again, at once if the next start was held back.
    pub fn forgive(&mut self, now: Instant) {
        if self.backoff().is_some() && self.next.is_some() {
            self.next = Some(now);
        }
        self.failures = 0;
    }

    /// From a start that found no guest to the next look for one.
    fn wait_for_guest(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(31);
        ONCE_RETRY.saturating_mul(1 << doublings).min(self.backoff_max)
    }

    /// From a start to the next one.
    fn wait(&self) -> Duration {
        let interval = self.interval();
        let doublings = self.failures.saturating_sub(1).min(31);
        interval.saturating_mul(1 << doublings).min(self.backoff_max.max(interval))
    }

    fn interval(&self) -> Duration {
        match self.rhythm {
            Rhythm::Once => ONCE_RETRY,
            Rhythm::Every(interval) => interval,
        }
    }
}

/// How many starts of a grid lie in `time`, its end included if it is one.
fn starts(time: Duration, interval: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(interval.as_nanos())).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    fn every_second(start: Instant) -> Schedule {
        Schedule::new(Rhythm::Every(SECOND), MINUTE, start)
    }

    #[test]
    fn starts_lie_on_a_grid_and_the_first_is_at_once() {
        let start = Instant::now();
        let mut schedule = every_second(start);
        assert_eq!(schedule.next_start(), Some(start));
        assert_eq!(schedule.run_ended(Turnout::Ran, start + SECOND / 10), 0);
        assert_eq!(schedule.next_start(), Some(start + SECOND));
        assert_eq!(schedule.run_ended(Turnout::Ran, start + SECOND * 3 / 2), 0);
        assert_eq!(schedule.next_start(), Some(start + 2 * SECOND));
    }

    #[test]
    fn where_there_is_no_guest_it_is_soon_looked_for_again_however_long_the_interval() {
        let mut now = Instant::now();
        let mut schedule = Schedule::new(Rhythm::Every(60 * MINUTE), MINUTE, now);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let _ = schedule.run_ended(Turnout::NoGuest, now);
            assert_eq!(schedule.next_start(), Some(now + seconds * SECOND));
            assert_eq!(schedule.backoff(), None);
            now += seconds * SECOND;
        }
        let _ = schedule.run_ended(Turnout::Ran, now);
        assert_eq!(schedule.next_start(), Some(now + 60 * MINUTE));
    }

    #[test]
    fn starts_that_find_a_run_going_are_skipped_and_counted() {
        let start = Instant::now();
        let mut schedule = every_second(start);
        assert_eq!(schedule.run_ended(Turnout::Ran, start + SECOND * 35 / 10), 3);
        assert_eq!(schedule.next_start(), Some(start + 4 * SECOND));
        // A run that ends exactly at the next start doesn't stand in its way.
        assert_eq!(schedule.run_ended(Turnout::Ran, start + 5 * SECOND), 0);
        assert_eq!(schedule.next_start(), Some(start + 5 * SECOND));
    }

    #[test]
    fn once_is_once() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Rhythm::Once, MINUTE, start);
        assert_eq!(schedule.next_start(), Some(start));
        assert_eq!(schedule.run_ended(Turnout::Ran, start + SECOND), 0);
        assert_eq!(schedule.next_start(), None);
    }

    #[test]
    fn one_run_that_could_not_begin_is_still_wanted() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Rhythm::Once, MINUTE, start);
        let _ = schedule.run_ended(Turnout::NoGuest, start);
        assert_eq!(schedule.next_start(), Some(start + SECOND));
    }

    #[test]
    fn a_guest_that_fails_again_and_again_is_started_less_often() {
        let mut start = Instant::now();
        let mut schedule = every_second(start);
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert_eq!(schedule.run_ended(Turnout::Failed, start + SECOND / 100), 0);
            let next = schedule.next_start().unwrap();
            waits.push((next - start).as_secs());
            start = next;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(schedule.backoff(), Some(MINUTE));
        let _ = schedule.run_ended(Turnout::Ran, start + SECOND / 100);
        assert_eq!((schedule.next_start(), schedule.backoff()), (Some(start + SECOND), None));
    }

    #[test]
    fn an_interval_above_the_limit_stays_what_it_is() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Rhythm::Every(2 * MINUTE), MINUTE, start);
        let _ = schedule.run_ended(Turnout::Failed, start);
        let _ = schedule.run_ended(Turnout::Failed, start + 2 * MINUTE);
        assert_eq!((schedule.next_start(), schedule.backoff()), (Some(start + 4 * MINUTE), None));
    }

    #[test]
    fn what_has_changed_is_tried_at_once() {
        let start = Instant::now();
        let mut schedule = every_second(start);
        schedule.forgive(start);
        for _ in 0..5 {
            let _ = schedule.run_ended(Turnout::NoGuest, start);
        }
        schedule.forgive(start + SECOND / 2);
        assert_eq!((schedule.next_start(), schedule.backoff()), (Some(start + SECOND / 2), None));
    }

    #[test]
    fn one_run_that_failed_is_not_wanted_again() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Rhythm::Once, MINUTE, start);
        let _ = schedule.run_ended(Turnout::Failed, start);
        assert_eq!(schedule.next_start(), None);
    }

    #[test]
    fn the_shortest_interval_and_the_longest_run_do_not_overflow() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Rhythm::Every(Duration::from_nanos(1)), MINUTE, start);
        let year = Duration::from_secs(365 * 24 * 3600);
        assert!(schedule.run_ended(Turnout::Ran, start + year) > 0);
        assert!(schedule.next_start() >= Some(start + year));
    }
}
