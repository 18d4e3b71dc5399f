//! When the engine refuses a batch without pausing the input.
//!
//! It does where a batch is more than it may store at all (`storage.total_limit_size` of an output), and then always.
//! So less is offered, by halves down to a single record, and what is taken once is offered for a while.

use std::time::{Duration, Instant};

/// How long less is offered.
const CAUTIOUS: Duration = Duration::from_secs(60);
/// How long a single record is refused before that is said, and again after as long.
const TELL: Duration = Duration::from_secs(10);

/// What is known of such refusals.
#[derive(Debug, Default)]
pub struct Stuck {
    most_records: Option<(usize, Instant)>,
    /// Since when nothing at all has been taken, and when that was said.
    since: Option<Instant>,
    told: Option<Instant>,
}

impl Stuck {
    /// How many records to offer at most.
    pub fn most_records(&mut self) -> Option<usize> {
        self.most_records = self.most_records.filter(|(_, since)| since.elapsed() < CAUTIOUS);
        self.most_records.map(|(most, _)| most)
    }

    /// So many were refused. Whether fewer are to be offered, at once.
    pub fn offers_less(&mut self, refused: usize) -> bool {
        if refused > 1 {
            self.most_records = Some((refused / 2, Instant::now()));
        }
        refused > 1
    }

    /// Not even one record was taken. How long that has been so, if it is to be said now.
    pub fn is_told(&mut self) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let due = self.told.unwrap_or(since).elapsed() >= TELL;
        if due {
            self.told = Some(Instant::now());
        }
        due.then(|| since.elapsed())
    }

    /// Something was taken.
    pub fn taken(&mut self) {
        self.since = None;
        self.told = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_halved_down_to_one_record() {
        let mut stuck = Stuck::default();
        assert_eq!(stuck.most_records(), None);
        let mut offered = 1000;
        while stuck.offers_less(offered) {
            let less = stuck.most_records().unwrap();
            assert!(less < offered);
            offered = less;
        }
        assert_eq!(stuck.most_records(), Some(1));
        assert_eq!(stuck.is_told(), None);
        stuck.since = Instant::now().checked_sub(TELL);
        assert!(stuck.is_told().is_some());
        assert_eq!(stuck.is_told(), None);
    }
}
