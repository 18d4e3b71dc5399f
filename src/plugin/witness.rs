//! Whether the engine took part of what it refused.
//!
//! Where an input has routes with conditions (since 4.2), the host makes several appends of one. It ends at the first
//! that fails and says that it failed; what those before it took stays taken. To offer the same again would double
//! that, and again each time. The host's own count of an input's records tells: it grows with each part.

/// What is known of one input.
#[derive(Debug, Default)]
pub struct Witness {
    /// Something was taken, and looked at.
    has_seen: bool,
    /// More was taken than given: it has such routes.
    splits: bool,
    /// The last offer was refused.
    doubts: bool,
}

impl Witness {
    /// Whether the host's count is to be read before an offer. That costs as much as some hundred records.
    pub fn asks(&self) -> bool {
        self.splits || self.doubts
    }

    /// Whether it is to be read after one that was taken.
    pub fn asks_once(&self) -> bool {
        !self.has_seen
    }

    /// So many records were given and taken; the host's count then, if it was read.
    pub fn taken(&mut self, given: usize, count: Option<f64>) {
        self.doubts = false;
        self.has_seen = true;
        self.splits |= count.is_some_and(|count| count > given as f64);
    }

    /// An offer was refused; the host's count before and after it. Whether part of it was taken.
    pub fn refused(&mut self, counts: Option<(f64, f64)>) -> bool {
        let in_part = counts.is_some_and(|(before, after)| after > before);
        self.splits |= in_part;
        self.doubts = !in_part;
        in_part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_whose_records_are_all_taken_once_is_not_asked_about() {
        let mut witness = Witness::default();
        assert!(!witness.asks() && witness.asks_once());
        witness.taken(100, Some(100.0));
        assert!(!witness.asks() && !witness.asks_once());
        // Refused, and so looked at until something is taken.
        assert!(!witness.refused(None));
        assert!(witness.asks());
        assert!(!witness.refused(Some((100.0, 100.0))));
        witness.taken(50, None);
        assert!(!witness.asks());
    }

    #[test]
    fn a_refusal_that_the_count_contradicts_is_one_in_part() {
        let mut witness = Witness::default();
        witness.refused(None);
        assert!(witness.refused(Some((100.0, 150.0))));
        assert!(witness.asks());
    }

    #[test]
    fn routes_show_when_more_is_taken_than_given() {
        let mut witness = Witness::default();
        witness.taken(100, Some(200.0));
        assert!(witness.asks() && !witness.asks_once());
        assert!(witness.refused(Some((200.0, 300.0))));
    }
}
