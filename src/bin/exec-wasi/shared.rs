//! What the engine's thread shares with everyone: inputs, plugins' calls, signals.

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::events::EventLoop;
use crate::hosts::Host;
use crate::log::error;

/// What the engine shares with the instances, with signals and with plugins' calls.
pub struct Shared {
    pub host: &'static Host,
    pub events: Arc<EventLoop>,
    pub flush: Duration,
    /// 1-second ticks to wait for unsent chunks at shutdown; negative: no limit.
    grace: AtomicI32,
    idle: Option<Duration>,
    deadline: Option<Instant>,
    ingesting: AtomicBool,
    stop: AtomicBool,
    ended: AtomicBool,
    exit_status: AtomicI32,
    records: AtomicU64,
    started: Instant,
    /// Milliseconds after `started`.
    last_record: AtomicU64,
}

impl Shared {
    pub fn new(host: &'static Host, args: &Args) -> rustix::io::Result<Self> {
        let started = Instant::now();
        Ok(Self {
            host,
            events: Arc::new(EventLoop::new()?),
            flush: args.flush,
            grace: AtomicI32::new(args.grace),
            idle: args.exit_when_idle,
            deadline: args.give_up_after.map(|limit| started + limit),
            ingesting: AtomicBool::new(true),
            stop: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            exit_status: AtomicI32::new(0),
            records: AtomicU64::new(0),
            started,
            last_record: AtomicU64::new(0),
        })
    }

    /// `false` once the shutdown has begun.
    pub fn is_ingesting(&self) -> bool {
        self.ingesting.load(Ordering::Relaxed)
    }

    /// The shutdown has begun.
    pub fn end_ingestion(&self) {
        self.ingesting.store(false, Ordering::Relaxed);
    }

    /// The shutdown may take as long as it needs.
    pub fn grace_without_limit(&self) {
        self.grace.store(-1, Ordering::Relaxed);
    }

    /// Seconds the shutdown may take; negative: no limit.
    pub fn grace(&self) -> i32 {
        self.grace.load(Ordering::Relaxed)
    }

    /// Asks the engine to shut down; from any thread.
    pub fn request_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.events.ring();
    }

    /// The process' exit code, should the engine end without an error.
    pub fn set_exit_status(&self, status: c_int) {
        self.exit_status.store(status, Ordering::Relaxed);
    }

    pub fn exit_status(&self) -> c_int {
        self.exit_status.load(Ordering::Relaxed)
    }

    /// Does the engine have to look at the clock, though nothing happens?
    pub fn is_limited(&self) -> bool {
        self.idle.is_some() || self.deadline.is_some()
    }

    /// Is it time to shut down? Because somebody asked, or a limit of the run was reached.
    pub fn must_stop(&self) -> bool {
        if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            error!("[engine] giving up: the time is over");
            self.set_exit_status(1);
            return true;
        }
        self.stop.load(Ordering::Relaxed) || self.is_idle()
    }

    /// Records have arrived.
    pub fn note_records(&self, count: usize) {
        self.records.fetch_add(count as u64, Ordering::Relaxed);
        let now = self.started.elapsed().as_millis();
        self.last_record.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Records so far.
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// The engine's thread has done everything.
    pub fn note_ended(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Has the engine's thread done everything?
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn is_idle(&self) -> bool {
        let last = Duration::from_millis(self.last_record.load(Ordering::Relaxed));
        self.idle.is_some_and(|idle| self.records() > 0 && self.started.elapsed() > last + idle)
    }
}
