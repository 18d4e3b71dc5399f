//! One collect call: from the pipe to the engine, on the host's thread, never waiting.
//!
//! A call takes batches until its time is used up, lets the host's parser read them if there is one, and
//! appends them. A batch the engine refuses is kept and offered again first, so order and completeness
//! hold whatever the engine does. An append may pause the input before it returns; that changes the [`Gate`],
//! and nothing else here.
//!
//! How it is woken (see [`Attention`]): an idle input by the bell at once, and so is one with something now and
//! then; a busy one by its alarm every few milliseconds, so that a guest that writes line by line costs one
//! wake-up per alarm and not one per line; a paused one by events for the log only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gate::{Flow, Gate};
use super::offers::{Offered, Offers};
use super::parsing::Parsing;
use crate::counters::Counters;
use crate::doorbell::Alarm;
use crate::event::Event;
use crate::host::api::{Input, Stopping};
use crate::host::metrics::Published;
use crate::pipe::{Attention, Batch, Pipe};
use crate::rarely::Tally;

/// Longest time one call may take; then the host's other work comes first.
const BUDGET: Duration = Duration::from_millis(10);
/// How soon a busy input looks for more by itself.
const NEXT_LOOK: Duration = Duration::from_millis(5);
/// An input is busy when it has something so soon after the last time.
const BUSY: Duration = Duration::from_millis(10);
/// How soon a batch that was refused without a pause is offered again; and how soon a paused input looks whether the
/// host is shutting down, of which it is not told.
const RETRY: Duration = Duration::from_millis(500);

/// How long nothing must have happened until the engine has read the ring of an input with a thread of its own.
const SETTLED: Duration = Duration::from_millis(1500);

/// What a look into the pipe came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Nothing,
    Delivered,
    OutOfTime,
    Refused,
}

/// The host's side of one input's pipe.
#[derive(Debug)]
pub struct Delivery {
    input: Input,
    /// `[input:<plugin>:<instance>] `
    log_prefix: String,
    parsing: Option<Parsing>,
    pipe: Arc<Pipe>,
    alarm: Alarm,
    offers: Offers,
    /// What the engine refused, to be offered first.
    refused: Option<Box<Batch>>,
    last_delivery: Option<Instant>,
    /// When it was seen to be paused.
    last_pause: Option<Instant>,
    /// Records that the engine has accepted.
    accepted: u64,
    /// What was taken for some routes only.
    in_part: Tally,
    counters: Arc<Counters>,
    published: Option<Published>,
}

impl Delivery {
    pub fn new(
        input: Input,
        log_prefix: String,
        parsing: Option<Parsing>,
        pipe: Arc<Pipe>,
        alarm: Alarm,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            published: Published::new(&input),
            offers: Offers::new(input),
            input,
            log_prefix,
            parsing,
            pipe,
            alarm,
            refused: None,
            last_delivery: None,
            last_pause: None,
            accepted: 0,
            in_part: Tally::default(),
            counters,
        }
    }

    /// The alarm is to go off then.
    pub fn look_again(&self, delay: Duration) {
        if self.alarm.set(delay).is_err() {
            // Without an alarm, by the bell, for everything. What is refused is offered again with what comes next.
            self.pipe.attend(Attention::Any);
        }
    }

    /// The bell has rung, or the alarm gone off.
    pub fn collect(&mut self, gate: &Gate) {
        self.alarm.clear();
        self.log_events();
        match gate.flow() {
            Flow::Paused => {
                self.last_pause = Some(Instant::now());
                self.pipe.attend(Attention::Events);
                self.look_again(RETRY);
                // What came since, and whether it was resumed meanwhile, from another thread.
                self.log_events();
                if gate.flow() != Flow::Paused {
                    gate.bell().ring();
                }
            }
            Flow::Open => self.collect_open(gate),
            Flow::Closing => self.collect_closing(gate),
        }
        if let Some(published) = &mut self.published {
            published.update(&self.counters);
        }
    }

    fn collect_open(&mut self, gate: &Gate) {
        let begun = Instant::now();
        let is_busy = self.last_delivery.is_some_and(|last| begun.saturating_duration_since(last) < BUSY);
        self.pipe.attend(Attention::Much);
        match self.look(gate, begun) {
            Look::OutOfTime => gate.bell().ring(),
            Look::Refused => self.wait_for_engine(),
            Look::Delivered if is_busy => self.look_again(NEXT_LOOK),
            Look::Delivered | Look::Nothing => {
                // The bell was off during the look, so what came meanwhile is looked for once more.
                self.pipe.attend(Attention::Any);
                match self.look(gate, begun) {
                    Look::Nothing => self.stop_host_if_wanted(),
                    Look::Refused => self.wait_for_engine(),
                    Look::OutOfTime => gate.bell().ring(),
                    Look::Delivered => {
                        self.pipe.attend(Attention::Much);
                        self.look_again(NEXT_LOOK);
                    }
                }
            }
        }
        self.log_events();
    }

    /// As [`collect_open`](Self::collect_open), but without alarm: its collector has stopped, and the
    /// guest as well, or will in a moment.
    fn collect_closing(&mut self, gate: &Gate) {
        self.pipe.attend(Attention::Any);
        let is_last = self.pipe.is_finished();
        match self.look(gate, Instant::now()) {
            Look::OutOfTime => gate.bell().ring(),
            Look::Refused if self.input.is_on_engine_thread() => gate.pause(),
            // The engine reads what the input's thread has put down for it, and there may be room then.
            Look::Refused => gate.bell().ring(),
            Look::Nothing | Look::Delivered if is_last && self.input.is_on_engine_thread() => {
                gate.pause();
                self.input.flush_engine();
            }
            Look::Nothing | Look::Delivered => {}
        }
        self.log_events();
    }

    /// The guest has ended, the engine has everything, and the options want the host to end as well.
    fn stop_host_if_wanted(&mut self) {
        if !self.pipe.wants_host_stopped() {
            return;
        }
        if !self.has_settled() {
            self.look_again(RETRY);
        } else if let Some(status) = self.pipe.take_host_status() {
            match self.input.stop_host(status) {
                Stopping::Asked => self.log(&Event::HostStops { status }),
                Stopping::AskedBefore => {}
                Stopping::CantBeAsked => self.log(&Event::HostDidNotStop),
            }
        }
    }

    /// Whether the engine has what was handed over. Where the input has a thread of its own, records pass a ring that
    /// the engine reads every quarter of a second, but not while it has paused the input, nor when it stops.
    fn has_settled(&self) -> bool {
        let is_long_ago = |time: Option<Instant>| time.is_none_or(|time| time.elapsed() >= SETTLED);
        self.input.is_on_engine_thread() || (is_long_ago(self.last_delivery) && is_long_ago(self.last_pause))
    }

    /// The engine refused a batch. If it paused us, it will resume us; otherwise we try again by ourselves.
    fn wait_for_engine(&self) {
        self.pipe.attend(Attention::Events);
        self.look_again(RETRY);
    }

    /// Delivers what is there, as long as the time of a call that has `begun` then lasts.
    fn look(&mut self, gate: &Gate, begun: Instant) -> Look {
        let is_out_of_time = || begun.elapsed() >= BUDGET;
        let mut look = Look::Nothing;
        loop {
            let Some(mut batch) = self.refused.take().or_else(|| self.pipe.take_batch()) else {
                return look;
            };
            if let Some(parsing) = &mut self.parsing {
                let events = parsing.parse(&mut batch, &self.counters);
                events.iter().for_each(|event| self.log(event));
            }
            let piece = self.offers.piece(&batch);
            match self.offers.offer(piece, &batch, gate) {
                Offered::All => self.accepted += piece.records as u64,
                Offered::Part => {
                    // Which part can't be known, so all of it counts.
                    self.counters.lost_records.add(piece.records as u64);
                    let told = self.in_part.add(piece.records as u64);
                    told.into_iter().for_each(|records| self.log(&Event::TakenInPart { records }));
                }
                Offered::Nothing => {
                    self.counters.refused_appends.add(1);
                    self.log(&Event::Refused { records: piece.records });
                    self.refused = Some(batch);
                    if self.offers.offers_less(piece, gate) {
                        if is_out_of_time() {
                            return Look::OutOfTime;
                        }
                        continue;
                    }
                    if let Some(waited) = self.offers.is_stuck(gate) {
                        self.log(&Event::Stuck { records: piece.records, bytes: piece.len, waited });
                    }
                    return Look::Refused;
                }
            }
            batch.take(piece.records, piece.len);
            if batch.records > 0 {
                self.refused = Some(batch);
            } else {
                self.pipe.done(batch);
            }
            self.last_delivery = Some(Instant::now());
            look = Look::Delivered;
            if gate.flow() == Flow::Paused {
                // This append crossed the engine's limit: it was taken, the next one would not be.
                return Look::Refused;
            }
            if is_out_of_time() {
                return Look::OutOfTime;
            }
        }
    }

    fn log_events(&self) {
        self.pipe.take_events().iter().for_each(|event| self.log(event));
    }

    /// One line in the host's log, if the instance's level lets it through.
    pub fn log(&self, event: &Event) {
        log(&self.input, &self.log_prefix, event);
    }

    /// The guest is gone: hands over its last events and counts what the engine didn't take. In the callback that ends
    /// the input.
    pub fn close(&mut self, gate: &Gate) {
        self.pipe.take_last_events().iter().for_each(|event| self.log(event));
        let (mut records, mut bytes) = (0, 0);
        while let Some(batch) = self.refused.take().or_else(|| self.pipe.take_batch()) {
            records += batch.records;
            bytes += batch.rest().len();
            self.pipe.done(batch);
        }
        if records > 0 {
            self.counters.lost_records.add(records as u64);
            self.log(&Event::LostAtStop { records, bytes });
        }
        if gate.was_at_limit()
            && !self.input.is_on_engine_thread()
            && let Some(taken) = self.input.records_taken_at_exit()
            && taken < self.accepted as f64
        {
            // The engine does not read the ring of an input that is paused.
            let records = self.accepted - taken as u64;
            self.counters.lost_records.add(records);
            self.log(&Event::LostInRing { records });
        }
        let in_part = self.in_part.rest().map(|records| Event::TakenInPart { records });
        let parsing = self.parsing.as_mut().map(Parsing::rest).unwrap_or_default();
        in_part.iter().chain(&parsing).for_each(|event| self.log(event));
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
