//! What an input says of its guest's streams beside records: lines of standard error, and summaries of
//! what was left out or cut.
//!
//! It lasts from run to run, so a guest that runs a thousand times a second fills the log no faster than
//! one that runs for ever.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::counters::Counters;
use crate::event::Event;
use crate::pipe::Pipe;
use crate::record::lines::LongLineCounts;

/// Lines of standard error in the log, each second.
const STDERR_LINES_PER_SECOND: u32 = 20;
const SECOND: Duration = Duration::from_secs(1);
/// How often a run that goes on reports lines that were too long.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The notes of one input.
#[derive(Debug)]
pub struct Notes {
    pipe: Arc<Pipe>,
    counters: Arc<Counters>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When the second of `in_second` began.
    second: Instant,
    in_second: u32,
    left_out: u64,
    left_out_told: Option<Instant>,
    /// For each stream that had lines that were too long.
    long_lines: Vec<LongLines>,
}

#[derive(Debug)]
struct LongLines {
    stream: &'static str,
    limit_bytes: usize,
    counts: LongLineCounts,
    told: Option<Instant>,
}

fn is_due(told: Option<Instant>, every: Duration) -> bool {
    told.is_none_or(|told| told.elapsed() >= every)
}

impl Notes {
    /// Notes of an input that has said nothing yet.
    pub fn new(pipe: &Arc<Pipe>, counters: &Arc<Counters>) -> Self {
        Self {
            pipe: Arc::clone(pipe),
            counters: Arc::clone(counters),
            state: Mutex::new(State {
                second: Instant::now(),
                in_second: 0,
                left_out: 0,
                left_out_told: None,
                long_lines: Vec::new(),
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Only the guest's thread ever locks it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line of standard error; the last words of a run are worth one beyond the limit.
    pub fn stderr_line(&self, line: &[u8], is_last: bool) {
        let mut state = self.lock();
        if state.second.elapsed() >= SECOND {
            state.second = Instant::now();
            state.in_second = 0;
            state.tell_left_out(&self.pipe);
        }
        if state.in_second < STDERR_LINES_PER_SECOND + u32::from(is_last) {
            state.in_second += 1;
            self.pipe.post(Event::GuestStderr { line: String::from_utf8_lossy(line).into_owned() });
        } else {
            state.left_out += 1;
            self.counters.stderr_left_out_lines.add(1);
        }
    }

    /// Lines that were longer than the limit; told at once when it is the first time in a while.
    pub fn long_lines(&self, stream: &'static str, limit_bytes: usize, counts: LongLineCounts) {
        if counts == LongLineCounts::default() {
            return;
        }
        self.counters.long_lines.add(counts.lines);
        self.counters.long_line_lost_bytes.add(counts.lost_bytes);
        let mut state = self.lock();
        let known = state.long_lines.iter().position(|long| long.stream == stream);
        let at = known.unwrap_or_else(|| {
            let counts = LongLineCounts::default();
            state.long_lines.push(LongLines { stream, limit_bytes, counts, told: None });
            state.long_lines.len() - 1
        });
        let long = &mut state.long_lines[at];
        long.counts.lines += counts.lines;
        long.counts.lost_bytes += counts.lost_bytes;
        long.tell(&self.pipe, REPORT_EVERY);
    }

    /// A run is over: what is still to be said, if nothing was in the last second.
    pub fn run_ended(&self) {
        self.tell(SECOND);
    }

    /// The input ends: what is still to be said.
    pub fn end(&self) {
        self.tell(Duration::ZERO);
    }

    fn tell(&self, every: Duration) {
        let mut state = self.lock();
        if is_due(state.left_out_told, every) {
            state.tell_left_out(&self.pipe);
        }
        for long in &mut state.long_lines {
            long.tell(&self.pipe, every);
        }
    }
}

impl State {
    fn tell_left_out(&mut self, pipe: &Pipe) {
        let lines = std::mem::take(&mut self.left_out);
        if lines > 0 {
            self.left_out_told = Some(Instant::now());
            pipe.post(Event::GuestStderrLeftOut { lines });
        }
    }
}

impl LongLines {
    fn tell(&mut self, pipe: &Pipe, every: Duration) {
        if self.counts != LongLineCounts::default() && is_due(self.told, every) {
            self.told = Some(Instant::now());
            let (stream, limit_bytes) = (self.stream, self.limit_bytes);
            pipe.post(Event::LongLines { stream, limit_bytes, counts: std::mem::take(&mut self.counts) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doorbell::Doorbell;

    fn notes() -> (Arc<Pipe>, Notes) {
        let pipe = Arc::new(Pipe::new(1000, Arc::new(Doorbell::new().unwrap())));
        let notes = Notes::new(&pipe, &Arc::default());
        (pipe, notes)
    }

    #[test]
    fn many_runs_together_say_no_more_than_one() {
        let (pipe, notes) = notes();
        for _ in 0..10 {
            (0..10).for_each(|_| notes.stderr_line(b"noise", false));
            notes.stderr_line(b"last words", true);
            notes.run_ended();
        }
        notes.end();
        let events = pipe.take_events();
        let lines = events.iter().filter(|event| matches!(event, Event::GuestStderr { .. })).count();
        let left_out: Vec<u64> = events
            .iter()
            .filter_map(|event| match event {
                Event::GuestStderrLeftOut { lines } => Some(*lines),
                _ => None,
            })
            .collect();
        assert_eq!(lines as u64 + left_out.iter().sum::<u64>(), 110);
        assert!(lines <= 42 && left_out.len() <= 4, "{lines} lines, {left_out:?}");
        assert_eq!(notes.counters.stderr_left_out_lines.get(), left_out.iter().sum::<u64>());
    }

    #[test]
    fn lines_that_were_too_long_are_summed_up() {
        let (pipe, notes) = notes();
        for _ in 0..1000 {
            notes.long_lines("stdout", 10, LongLineCounts { lines: 1, lost_bytes: 5 });
            notes.run_ended();
        }
        notes.end();
        let events = pipe.take_events();
        let sums = events.iter().map(|event| match event {
            Event::LongLines { counts, .. } => (counts.lines, counts.lost_bytes),
            other => panic!("{other}"),
        });
        let sum = sums.fold((0, 0), |sum, (lines, bytes)| (sum.0 + lines, sum.1 + bytes));
        assert_eq!(sum, (1000, 5000));
        assert!(events.len() <= 4, "{events:?}");
    }
}
