//! Something that is told, but not each time it happens.

use std::ops::AddAssign;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the same thing is told.
pub const TELL_EVERY: Duration = Duration::from_secs(60);

/// When something was last told.
#[derive(Debug, Default)]
pub struct Rarely(Mutex<Option<Instant>>);

impl Rarely {
    /// Whether it is to be told now; then not again for [`TELL_EVERY`].
    pub fn now(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= TELL_EVERY);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

/// A count that is told rarely, and then whole: what grows it may do so all the time.
#[derive(Debug, Default)]
pub struct Tally<T = u64> {
    untold: T,
    told: Rarely,
}

impl<T: AddAssign + Default + PartialEq> Tally<T> {
    /// Adds to it. What is to be told now, if it is.
    pub fn add(&mut self, count: T) -> Option<T> {
        self.untold += count;
        (self.untold != T::default() && self.told.now()).then(|| std::mem::take(&mut self.untold))
    }

    /// What hasn't been told yet, if there is any.
    pub fn rest(&mut self) -> Option<T> {
        let rest = std::mem::take(&mut self.untold);
        (rest != T::default()).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_told_at_once_and_what_comes_soon_after_at_the_end() {
        let mut tally = Tally::default();
        assert_eq!(tally.add(0), None);
        assert_eq!(tally.add(3), Some(3));
        assert_eq!(tally.add(4), None);
        assert_eq!(tally.add(5), None);
        assert_eq!(tally.rest(), Some(9));
        assert_eq!(tally.rest(), None);
    }

    #[test]
    fn the_first_time_is_told_and_the_next_is_not() {
        let rarely = Rarely::default();
        assert!(rarely.now());
        assert!(!rarely.now());
    }
}
