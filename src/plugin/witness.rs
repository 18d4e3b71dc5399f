//! Whether the engine took part of what it refused.
//!
//! Where an input has routes with conditions (since 4.2), the host makes several appends of one. It ends at the first
//! that fails and says that it failed; what those before it took stays taken. To offer the same again would double
//! that, and again each time. The host's own count of an input's records tells, but not by itself. Since 4.2 the host
//! counts what it is about to write, and leaves it counted when that fails, as it does when a disk is full; and where
//! the input has a processor, it counts what that makes of the records. So how it counts what it takes is looked at
//! now and then, and growth by what it would be for one failed write is no part.

use std::time::{Duration, Instant};

/// How often the host's count is read while all goes well; it costs as much as some hundred records.
const LOOK: Duration = Duration::from_secs(10);

/// What is known of one input.
#[derive(Debug, Default)]
pub struct Witness {
    /// As much was taken as given: there is no processor, and growth by less than what was offered is a part.
    is_plain: bool,
    /// More was taken than given: it has such routes.
    splits: bool,
    /// Less was taken than given: a processor drops some, and no growth means anything.
    drops: bool,
    /// The last offer was refused.
    doubts: bool,
    /// When the count of something that was taken was read.
    looked: Option<Instant>,
}

impl Witness {
    /// Whether the host's count is to be read before and after an offer.
    pub fn asks(&self) -> bool {
        self.splits || self.doubts || self.looked.is_none_or(|looked| looked.elapsed() >= LOOK)
    }

    /// So many records were given and taken; by how many the count has grown, if it was read.
    pub fn taken(&mut self, given: usize, growth: Option<f64>) {
        self.doubts = false;
        if let Some(growth) = growth {
            let given = given as f64;
            self.is_plain |= growth == given;
            self.splits |= growth > given;
            self.drops |= growth < given;
            self.looked = Some(Instant::now());
        }
    }

    /// So many records were offered and refused; by how many the count has grown all the same. Whether part was taken.
    pub fn refused(&mut self, offered: usize, growth: Option<f64>) -> bool {
        let growth = growth.unwrap_or(0.0);
        let by_routes = self.splits || self.is_plain && growth != offered as f64;
        let in_part = growth > 0.0 && by_routes && !self.drops;
        self.splits |= in_part;
        self.doubts = true;
        in_part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_whose_records_are_all_taken_once_is_seldom_asked_about() {
        let mut witness = Witness::default();
        assert!(witness.asks());
        witness.taken(100, Some(100.0));
        assert!(!witness.asks());
        // Refused, and so looked at until something is taken.
        assert!(!witness.refused(50, None));
        assert!(witness.asks());
        assert!(!witness.refused(50, Some(0.0)));
        witness.taken(50, Some(50.0));
        assert!(!witness.asks());
        // Once in a while, as what it prints may be the first to meet a condition.
        witness.looked = Instant::now().checked_sub(LOOK);
        assert!(witness.asks());
    }

    #[test]
    fn a_refusal_that_the_count_contradicts_is_one_in_part() {
        let mut witness = Witness::default();
        // Nothing is known yet, and it may be a processor's doing.
        assert!(!witness.refused(100, Some(50.0)));
        witness.taken(100, Some(100.0));
        assert!(!witness.refused(100, None));
        assert!(witness.refused(100, Some(50.0)));
        assert!(witness.asks());
    }

    #[test]
    fn what_was_counted_and_could_not_be_written_was_not_taken() {
        let mut witness = Witness::default();
        for _ in 0..3 {
            assert!(!witness.refused(100, Some(100.0)));
            assert!(witness.asks());
        }
        witness.taken(100, Some(100.0));
        assert!(!witness.asks());
        // Nor if a processor has dropped some before.
        witness.taken(100, Some(60.0));
        assert!(!witness.refused(100, Some(70.0)));
    }

    #[test]
    fn routes_show_when_more_is_taken_than_given() {
        let mut witness = Witness::default();
        witness.taken(100, Some(200.0));
        assert!(witness.asks());
        assert!(witness.refused(100, Some(100.0)));
        witness.taken(100, Some(200.0));
        assert!(witness.asks());
    }
}
