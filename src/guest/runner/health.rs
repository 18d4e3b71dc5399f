//! What is told of an input's runs, so that a guest that fails at every start does not fill the log.

use std::time::{Duration, Instant};

use crate::event::{Event, Level};
use crate::rarely::TELL_EVERY;

/// A failure is told when it is new, and again now and then.
#[derive(Debug, Default)]
pub struct Health {
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    what: String,
    times: u64,
    all: u64,
    /// `None` where the log had no room for it.
    told: Option<Instant>,
}

impl Health {
    /// A run has ended well. What is to be told.
    pub fn good(&mut self) -> Option<Event> {
        let failures = self.failure.take()?.all;
        Some(Event::Recovered { failures })
    }

    /// What was to be told last has been left out of the log, so it is still new.
    pub fn was_left_out(&mut self) {
        if let Some(failure) = &mut self.failure {
            failure.told = None;
        }
    }

    /// A run has failed. What is to be told.
    pub fn bad(&mut self, what: String, backoff: Option<Duration>, level: Level) -> Option<Event> {
        let now = Instant::now();
        let all = self.failure.as_ref().map_or(0, |failure| failure.all) + 1;
        if let Some(failure) = self.failure.as_mut().filter(|failure| failure.what == what) {
            failure.times += 1;
            failure.all = all;
            if failure.told.is_some_and(|told| now.duration_since(told) < TELL_EVERY) {
                return None;
            }
            failure.told = Some(now);
            let times = failure.times;
            return Some(Event::StillFailing { what, times, backoff, level });
        }
        let told = Event::RunFailed { what: what.clone(), level };
        self.failure = Some(Failure { what, times: 1, all, told: Some(now) });
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_when_it_is_new_and_its_end_with_the_count() {
        let mut health = Health::default();
        assert!(health.good().is_none());
        assert!(health.bad("a".into(), None, Level::Error).is_some());
        assert!(health.bad("a".into(), None, Level::Error).is_none());
        assert!(health.bad("b".into(), None, Level::Error).is_some());
        assert_eq!(health.good(), Some(Event::Recovered { failures: 3 }));
        assert!(health.good().is_none());
        assert!(health.bad("b".into(), None, Level::Error).is_some());
    }

    #[test]
    fn what_the_log_had_no_room_for_is_told_the_next_time() {
        let mut health = Health::default();
        assert!(health.bad("a".into(), None, Level::Error).is_some());
        health.was_left_out();
        assert!(health.bad("a".into(), None, Level::Error).is_some());
        assert!(health.bad("a".into(), None, Level::Error).is_none());
    }
}
