//! Something that is told, but not each time it happens.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_is_told_and_the_next_is_not() {
        let rarely = Rarely::default();
        assert!(rarely.now());
        assert!(!rarely.now());
    }
}
