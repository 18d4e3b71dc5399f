//! What waits for the host's log, so that no guest can flood it.
//!
//! Lines that a guest writes to its standard error, details, and everything else each have an allowance per
//! second; what goes beyond is counted, and the count is said with the next line that is let through, or at
//! the end. But for details: few hosts log them at all, and what matters of them is among the counters.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::event::{Event, Level};

/// Lines of a guest's standard error, each second.
const STDERR_PER_SECOND: u32 = 20;
/// Other events, each second. A guest that fails and recovers at every start is one way to get there.
const OTHERS_PER_SECOND: u32 = 10;
/// Events that may wait for the host's thread.
const MAX_WAITING: usize = 256;

/// Events of one input, oldest first.
#[derive(Debug)]
pub struct Journal {
    waiting: VecDeque<Event>,
    stderr: Allowance,
    details: Allowance,
    others: Allowance,
    /// That lines of standard error were left out, said at the end of a run.
    notices: Allowance,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            stderr: Allowance::new(STDERR_PER_SECOND),
            details: Allowance::new(OTHERS_PER_SECOND),
            others: Allowance::new(OTHERS_PER_SECOND),
            notices: Allowance::new(1),
        }
    }
}

impl Journal {
    /// Adds an event, unless there were too many lately. `true` if it was added.
    pub fn add(&mut self, event: Event, now: Instant) -> bool {
        let from_guest = matches!(event, Event::GuestStderr { .. });
        let room = self.waiting.len() < MAX_WAITING;
        if event.level() == Level::Debug {
            let allowed = self.details.allow(now, room);
            if allowed {
                self.waiting.push_back(event);
            }
            return allowed;
        }
        let allowance = if from_guest { &mut self.stderr } else { &mut self.others };
        if !allowance.allow(now, room) {
            return false;
        }
        let denied = std::mem::take(&mut allowance.denied);
        if denied > 0 {
            self.waiting.push_back(left_out(from_guest, denied));
        }
        self.waiting.push_back(event);
        true
    }

    /// Says how many lines of standard error were left out, if any were and that wasn't just said. `true` if it was
    /// added.
    pub fn add_stderr_left_out(&mut self, now: Instant) -> bool {
        let room = self.waiting.len() < MAX_WAITING;
        let denied = self.stderr.denied;
        let added = denied > 0 && self.notices.allow(now, room);
        if added {
            self.stderr.denied = 0;
            self.waiting.push_back(left_out(true, denied));
        }
        added
    }

    /// Everything that waits.
    pub fn take(&mut self) -> Vec<Event> {
        self.waiting.drain(..).collect()
    }

    /// Everything that waits, and what has been left out so far.
    pub fn take_last(&mut self) -> Vec<Event> {
        let mut events = self.take();
        for (from_guest, allowance) in [(true, &mut self.stderr), (false, &mut self.others)] {
            let denied = std::mem::take(&mut allowance.denied);
            if denied > 0 {
                events.push(left_out(from_guest, denied));
            }
        }
        events
    }
}

fn left_out(from_guest: bool, lines: u64) -> Event {
    if from_guest { Event::GuestStderrLeftOut { lines } } else { Event::EventsLeftOut { events: lines } }
}

/// So many a second.
#[derive(Debug)]
struct Allowance {
    per_second: u32,
    second: Option<Instant>,
    used: u32,
    denied: u64,
}

impl Allowance {
    fn new(per_second: u32) -> Self {
        Self { per_second, second: None, used: 0, denied: 0 }
    }

    fn allow(&mut self, now: Instant, room: bool) -> bool {
        if self.second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1)) {
            self.second = Some(now);
            self.used = 0;
        }
        let allowed = room && self.used < self.per_second;
        if allowed {
            self.used += 1;
        } else {
            self.denied += 1;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u32) -> Event {
        Event::GuestStderr { line: number.to_string() }
    }

    fn note(number: u32) -> Event {
        Event::Note { text: number.to_string() }
    }

    #[test]
    fn a_flood_costs_some_lines_a_second_and_its_size_is_said() {
        let mut journal = Journal::default();
        let start = Instant::now();
        for number in 0..1000 {
            journal.add(line(number), start);
        }
        assert_eq!(journal.take().len(), 20);
        journal.add(line(1000), start + Duration::from_secs(1));
        assert_eq!(journal.take(), [Event::GuestStderrLeftOut { lines: 980 }, line(1000)]);
        assert_eq!(journal.take_last(), []);
    }

    #[test]
    fn a_flood_of_one_kind_does_not_hide_the_other() {
        let mut journal = Journal::default();
        let now = Instant::now();
        for number in 0..1000 {
            journal.add(line(number), now);
        }
        assert!(journal.add(note(0), now));
        assert!(journal.add_stderr_left_out(now));
        assert!(!journal.add_stderr_left_out(now));
        assert_eq!(journal.take()[20..], [note(0), Event::GuestStderrLeftOut { lines: 980 }]);
    }

    #[test]
    fn what_is_left_out_in_run_after_run_hides_nothing_either() {
        let mut journal = Journal::default();
        let now = Instant::now();
        let mut told = 0;
        for _ in 0..1000 {
            journal.add(line(0), now);
            told += u32::from(journal.add_stderr_left_out(now));
        }
        assert_eq!(told, 1);
        assert!(journal.add(note(0), now));
        assert!(journal.add_stderr_left_out(now + Duration::from_secs(1)));
        let left_out = |event| match event {
            Event::GuestStderrLeftOut { lines } => lines,
            _ => 0,
        };
        assert_eq!(journal.take_last().into_iter().map(left_out).sum::<u64>(), 980);
    }

    #[test]
    fn details_neither_hide_anything_nor_are_missed() {
        let mut journal = Journal::default();
        let now = Instant::now();
        for _ in 0..1000 {
            journal.add(Event::TicksSkipped { ticks: 1 }, now);
        }
        assert!(journal.add(note(0), now));
        assert_eq!(journal.take_last()[10..], [note(0)]);
    }

    #[test]
    fn what_was_left_out_is_said_at_the_end_at_the_latest() {
        let mut journal = Journal::default();
        let now = Instant::now();
        for number in 0..15 {
            journal.add(note(number), now);
        }
        assert_eq!(journal.take_last()[10..], [Event::EventsLeftOut { events: 5 }]);
    }

    #[test]
    fn a_host_that_does_not_come_bounds_what_waits() {
        let mut journal = Journal::default();
        let start = Instant::now();
        for second in 0..100 {
            for number in 0..10 {
                journal.add(note(number), start + Duration::from_secs(second));
            }
        }
        assert_eq!(journal.take_last().len(), MAX_WAITING + 1);
    }
}
