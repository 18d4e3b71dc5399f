//! One collect call: from the pipe to the engine, on the host's thread, never waiting.
//!
//! A call takes batches until its time is used up, lets the host's parser read them if there is one, and
//! appends them. A batch the engine refuses is kept and offered again first, so order and completeness
//! hold whatever the engine does. No lock and no borrow is held while the host is called: an append may
//! call [`Delivery::pause`] before it returns.
//!
//! How it is woken (see [`Attention`]): an idle input by the bell at once, and so is one with something now and
//! then; a busy one by its alarm every few milliseconds, so that a guest that writes line by line costs one
//! wake-up per alarm and not one per line; a paused one by events for the log only.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use super::stuck::Stuck;
use super::witness::Witness;
use crate::counters::Counters;
use crate::doorbell::{Alarm, Doorbell};
use crate::event::Event;
use crate::host::api::{Collector, Input, Parser, Refused};
use crate::host::metrics::Published;
use crate::pipe::{Attention, Batch, Pipe};
use crate::rarely::Tally;
use crate::record::encode::WireFormat;
use crate::record::skip::{is_too_deep, len_of};

/// Longest time one call may take; then the host's other work comes first.
const BUDGET: Duration = Duration::from_millis(10);
/// How soon a busy input looks for more by itself.
const NEXT_LOOK: Duration = Duration::from_millis(5);
/// An input is busy when it has something so soon after the last time.
const BUSY: Duration = Duration::from_millis(10);
/// How soon a batch that was refused without a pause is offered again.
const RETRY: Duration = Duration::from_millis(500);

/// What the engine lets us do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Flow {
    /// It takes records.
    Open,
    /// It takes none until it resumes us.
    Paused,
    /// It is stopping and takes what is there, for a short while.
    Closing,
}

/// What a look into the pipe came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Nothing,
    Delivered,
    OutOfTime,
    Refused,
}

/// What became of a batch.
enum Appended {
    All,
    /// The engine pauses an input when it has taken something. So it took some, and then no more: where it has routes
    /// with conditions (since 4.2), it makes several appends of one. To offer the batch again would double what it took,
    /// and again and again, since the same part makes it pause each time.
    Part,
    Nothing,
}

/// The host's side of one input's pipe.
#[derive(Debug)]
pub struct Delivery {
    input: Input,
    /// `[input:<plugin>:<instance>] `
    log_prefix: String,
    wire: WireFormat,
    parser: Option<(String, Parser)>,
    pipe: Arc<Pipe>,
    bell: Arc<Doorbell>,
    alarm: Alarm,
    /// The alarm's collector; also the spare one that tells whether the host is shutting down.
    alarm_collector: Option<Collector>,
    /// A [`Flow`]. Atomic, because up to 2.1.8 the engine's thread resumes a threaded instance.
    flow: AtomicU8,
    /// The thread on which an append is under way.
    appending: Mutex<Option<ThreadId>>,
    /// That append has made the engine pause us.
    paused_within: AtomicBool,
    last_delivery: Mutex<Option<Instant>>,
    /// What of the refused may be too large.
    stuck: Mutex<Stuck>,
    /// What of it may have been taken all the same.
    witness: Mutex<Witness>,
    tallies: Mutex<Tallies>,
    /// What the engine refused, to be offered first.
    refused: Mutex<Option<Box<Batch>>>,
    counters: Arc<Counters>,
    published: Mutex<Option<Published>>,
}

/// What is told rarely, since what a guest writes decides how often it is there.
#[derive(Debug, Default)]
struct Tallies {
    in_part: Tally,
    unparsed: Tally,
    odd_times: Tally,
}

/// What a [`Delivery`] works with.
#[derive(Debug)]
pub struct Parts {
    pub input: Input,
    pub plugin_name: &'static str,
    pub wire: WireFormat,
    pub parser: Option<(String, Parser)>,
    pub pipe: Arc<Pipe>,
    pub bell: Arc<Doorbell>,
    pub alarm: Alarm,
    pub alarm_collector: Option<Collector>,
    pub counters: Arc<Counters>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each is held for one assignment, so what a panic leaves behind is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Delivery {
    pub fn new(parts: Parts) -> Self {
        Self {
            log_prefix: log_prefix(parts.plugin_name, &parts.input),
            published: Mutex::new(Published::new(&parts.input)),
            input: parts.input,
            wire: parts.wire,
            parser: parts.parser,
            pipe: parts.pipe,
            bell: parts.bell,
            alarm: parts.alarm,
            alarm_collector: parts.alarm_collector,
            flow: AtomicU8::new(Flow::Open as u8),
            appending: Mutex::new(None),
            paused_within: AtomicBool::new(false),
            last_delivery: Mutex::new(None),
            stuck: Mutex::default(),
            witness: Mutex::default(),
            tallies: Mutex::default(),
            refused: Mutex::new(None),
            counters: parts.counters,
        }
    }

    fn flow(&self) -> Flow {
        match self.flow.load(Ordering::Acquire) {
            flow if flow == Flow::Open as u8 => Flow::Open,
            flow if flow == Flow::Paused as u8 => Flow::Paused,
            _ => Flow::Closing,
        }
    }

    fn set_flow(&self, flow: Flow) {
        self.flow.store(flow as u8, Ordering::Release);
    }

    /// The alarm is to go off then, for the instance.
    pub fn look_again(&self, delay: Duration) {
        self.alarm.set(delay);
    }

    /// The bell has rung, or the alarm gone off.
    pub fn collect(&self) {
        self.alarm.clear();
        self.log_events();
        match self.flow() {
            Flow::Paused => {
                self.pipe.attend(Attention::Events);
                // What came since, and whether it was resumed meanwhile, from another thread.
                self.log_events();
                if self.flow() != Flow::Paused {
                    self.bell.ring();
                }
            }
            Flow::Open => self.collect_open(),
            Flow::Closing => self.collect_closing(),
        }
        if let Some(published) = lock(&self.published).as_mut() {
            published.update(&self.counters);
        }
    }

    fn collect_open(&self) {
        let begun = Instant::now();
        let last = *lock(&self.last_delivery);
        let is_busy = last.is_some_and(|last| begun.saturating_duration_since(last) < BUSY);
        self.pipe.attend(Attention::Much);
        match self.look(begun) {
            Look::OutOfTime => self.bell.ring(),
            Look::Refused => self.wait_for_engine(),
            Look::Delivered if is_busy => self.alarm.set(NEXT_LOOK),
            Look::Delivered | Look::Nothing => {
                // The bell was off during the look, so what came meanwhile is looked for once more.
                self.pipe.attend(Attention::Any);
                match self.look(begun) {
                    Look::Nothing => self.stop_host_if_wanted(),
                    Look::Refused => self.wait_for_engine(),
                    Look::OutOfTime => self.bell.ring(),
                    Look::Delivered => {
                        self.pipe.attend(Attention::Much);
                        self.alarm.set(NEXT_LOOK);
                    }
                }
            }
        }
        self.log_events();
    }

    /// As [`collect_open`](Self::collect_open), but without alarm: its collector has stopped, and the
    /// guest as well, or will in a moment.
    fn collect_closing(&self) {
        self.pipe.attend(Attention::Any);
        let is_last = self.pipe.is_finished();
        match self.look(Instant::now()) {
            Look::OutOfTime => self.bell.ring(),
            Look::Refused => self.set_flow(Flow::Paused),
            Look::Nothing | Look::Delivered if is_last && self.input.is_on_engine_thread() => {
                self.set_flow(Flow::Paused);
                self.input.flush_engine();
            }
            Look::Nothing | Look::Delivered => {}
        }
        self.log_events();
    }

    /// The guest has ended, the engine has everything, and the options want the host to end as well.
    fn stop_host_if_wanted(&self) {
        if let Some(status) = self.pipe.take_host_status() {
            self.log(&Event::HostStops { status });
            if !self.input.stop_host(status) {
                self.log(&Event::HostDidNotStop);
            }
        }
    }

    /// The engine refused a batch. If it paused us, it will resume us; otherwise we try again by ourselves.
    fn wait_for_engine(&self) {
        self.pipe.attend(Attention::Events);
        if self.flow() == Flow::Open {
            self.alarm.set(RETRY);
        }
    }

    /// Delivers what is there, as long as the time of a call that has `begun` then lasts.
    fn look(&self, begun: Instant) -> Look {
        let mut look = Look::Nothing;
        loop {
            let refused = lock(&self.refused).take();
            let Some(mut batch) = refused.or_else(|| self.pipe.take_batch()) else {
                return look;
            };
            if let Some((name, parser)) = &self.parser {
                self.parse(name, *parser, &mut batch);
            }
            let (records, len) = self.piece(&batch);
            match self.append(records, &batch.rest()[..len]) {
                Appended::All => lock(&self.stuck).taken(),
                Appended::Part => {
                    // Which part can't be known, so all of it counts; less of it, the next time.
                    self.counters.lost_records.add(records as u64);
                    lock(&self.stuck).offers_less(records);
                    let told = lock(&self.tallies).in_part.add(records as u64);
                    told.into_iter().for_each(|records| self.log(&Event::TakenInPart { records }));
                }
                Appended::Nothing => {
                    self.counters.refused_appends.add(1);
                    self.log(&Event::Refused { records });
                    *lock(&self.refused) = Some(batch);
                    if self.flow() == Flow::Open {
                        let mut stuck = lock(&self.stuck);
                        if stuck.offers_less(records) {
                            continue;
                        }
                        if let Some(waited) = stuck.is_told() {
                            drop(stuck);
                            self.log(&Event::Stuck { bytes: len, waited });
                        }
                    }
                    return Look::Refused;
                }
            }
            batch.take(records, len);
            if batch.records > 0 {
                *lock(&self.refused) = Some(batch);
            } else {
                self.pipe.done(batch);
            }
            let now = Instant::now();
            *lock(&self.last_delivery) = Some(now);
            look = Look::Delivered;
            if self.flow() == Flow::Paused {
                // This append crossed the engine's limit: it was taken, the next one would not be.
                return Look::Refused;
            }
            if now.saturating_duration_since(begun) >= BUDGET {
                return Look::OutOfTime;
            }
        }
    }

    /// What of a batch is offered next: how many records, and their length.
    fn piece(&self, batch: &Batch) -> (usize, usize) {
        match lock(&self.stuck).most_records() {
            Some(most) if most < batch.records => (most, len_of(batch.rest(), most)),
            _ => (batch.records, batch.rest().len()),
        }
    }

    fn append(&self, records: usize, bytes: &[u8]) -> Appended {
        let asks = lock(&self.witness).asks();
        let before = asks.then(|| self.input.records_taken()).flatten();
        *lock(&self.appending) = Some(thread::current().id());
        let result = self.input.append(records, bytes);
        *lock(&self.appending) = None;
        let paused_within = self.paused_within.swap(false, Ordering::Relaxed);
        match result {
            Ok(()) => {
                let asks_once = lock(&self.witness).asks_once();
                let count = asks_once.then(|| self.input.records_taken()).flatten();
                lock(&self.witness).taken(records, count);
                Appended::All
            }
            Err(Refused) if paused_within => Appended::Part,
            Err(Refused) => {
                let counts = before.and_then(|before| Some((before, self.input.records_taken()?)));
                if lock(&self.witness).refused(counts) { Appended::Part } else { Appended::Nothing }
            }
        }
    }

    /// Replaces the text of each record by what the parser makes of its line; a batch that was refused
    /// once has been parsed already.
    fn parse(&self, name: &str, parser: Parser, batch: &mut Batch) {
        let ends = std::mem::take(&mut batch.ends);
        if ends.is_empty() {
            return;
        }
        let mut parsed = Vec::with_capacity(batch.bytes.len() * 2);
        let (mut unparsed, mut odd_times) = (0, 0);
        let mut start = 0;
        for record_end in ends {
            let record = &batch.bytes[start..record_end.end];
            start = record_end.end;
            let line_len = record_end.line_len;
            // What is too deep would take the rest of its chunk with it.
            let parsed_line = line_len.and_then(|len| parser.parse(&record[record.len() - len..]));
            let Some(map) = parsed_line.filter(|map| !is_too_deep(map.body())) else {
                unparsed += u64::from(line_len.is_some());
                parsed.extend_from_slice(record);
                continue;
            };
            let at = parsed.len();
            parsed.extend_from_slice(&record[..self.wire.head_len()]);
            parsed.extend_from_slice(map.body());
            odd_times += u64::from(map.has_odd_time);
            if let Some(time) = map.time {
                self.wire.set_time(&mut parsed[at..], time);
            }
        }
        batch.bytes = parsed;
        self.counters.unparsed_lines.add(unparsed);
        let (unparsed, odd_times) = {
            let mut tallies = lock(&self.tallies);
            (tallies.unparsed.add(unparsed), tallies.odd_times.add(odd_times))
        };
        self.tell_of_parser(name, unparsed, odd_times);
    }

    fn tell_of_parser(&self, name: &str, unparsed: Option<u64>, odd_times: Option<u64>) {
        if let Some(lines) = unparsed {
            self.log(&Event::Unparsed { parser: name.to_owned(), lines });
        }
        if let Some(records) = odd_times {
            self.log(&Event::OddTimes { parser: name.to_owned(), records });
        }
    }

    /// The engine takes no more records. `true` when that is for good, since it is shutting down.
    pub fn pause(&self) -> bool {
        // From inside an append it is always a limit that was reached, and no moment to touch collectors.
        let appending = *lock(&self.appending);
        if appending == Some(thread::current().id()) {
            self.paused_within.store(true, Ordering::Relaxed);
        }
        if appending.is_none() && self.is_host_closing() {
            if self.flow() == Flow::Open {
                self.set_flow(Flow::Closing);
                self.bell.ring();
            }
            return true;
        }
        self.set_flow(Flow::Paused);
        false
    }

    fn is_host_closing(&self) -> bool {
        let spare = self.alarm_collector;
        spare.is_some_and(|collector| self.input.is_shutting_down(collector))
    }

    /// The engine takes records again. May come from the engine's thread while the input has its own.
    pub fn resume(&self) {
        self.set_flow(Flow::Open);
        self.bell.ring();
    }

    fn log_events(&self) {
        for event in self.pipe.take_events() {
            self.log(&event);
        }
    }

    /// One line in the host's log, if the instance's level lets it through.
    pub fn log(&self, event: &Event) {
        log(&self.input, &self.log_prefix, event);
    }

    /// The guest is gone: hands over its last events and counts what the engine didn't take.
    pub fn close(&self) {
        for event in self.pipe.take_last_events() {
            self.log(&event);
        }
        let (mut records, mut bytes) = (0, 0);
        let mut next = lock(&self.refused).take();
        while let Some(batch) = next.or_else(|| self.pipe.take_batch()) {
            records += batch.records;
            bytes += batch.rest().len();
            self.pipe.done(batch);
            next = None;
        }
        if records > 0 {
            self.counters.lost_records.add(records as u64);
            self.log(&Event::LostAtStop { records, bytes });
        }
        let (in_part, unparsed, odd_times) = {
            let mut tallies = lock(&self.tallies);
            (tallies.in_part.rest(), tallies.unparsed.rest(), tallies.odd_times.rest())
        };
        in_part.into_iter().for_each(|records| self.log(&Event::TakenInPart { records }));
        if let Some((name, _)) = &self.parser {
            self.tell_of_parser(name, unparsed, odd_times);
        }
    }
}

/// What the host's own macros put before a plugin's log lines.
pub fn log_prefix(plugin_name: &str, input: &Input) -> String {
    format!("[input:{plugin_name}:{}] ", input.name())
}

/// One line in the host's log, if the instance's level lets it through.
pub fn log(input: &Input, prefix: &str, event: &Event) {
    let level = event.level();
    if input.logs(level) {
        input.functions().log(level, &format!("{prefix}{event}"));
    }
}
