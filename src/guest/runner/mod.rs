//! The guest's thread: waits for the next start, loads the program, runs it, tells how it ended.
//!
//! One thread per input, with a small executor that only this thread drives. Everything that can take
//! time is a future on it, so one `select!` ends a guest that computes, sleeps or waits for the engine.
//! File access of the guest is made on a few further threads, since it can take for ever as well (a named
//! pipe that nobody writes to, a server that is gone) and can't be interrupted.
//! The thread ends by itself after a single run (option `oneshot`), or when it is cancelled. It also ends
//! when the next start is far away: the input then waits in the waiting room, and gets a new thread when
//! the time has come.
//!
//! Here is what the host's thread sees of it. What goes from thread to thread is in `tether`, the runs are in
//! `running`.

mod health;
mod running;
mod tether;

use std::io;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::outcome::EXIT_NOT_STARTED;
use super::threads;
use super::waiting_room::WaitingRoom;
use super::writable::Writable;
use crate::config::{AfterRun, Config};
use crate::counters::Counters;
use crate::pipe::Pipe;
use crate::record::encode::WireFormat;
use crate::schedule::Rhythm;

use running::Running;
use tether::{LastThread, NewThread, Tether, take_thread};

/// Where starts are so far apart no thread is kept between them: a new one costs less than a thousandth of a
/// second.
const FAR: Duration = Duration::from_secs(5);
/// How soon a thread is asked for again when there was none.
pub const RETRY: Duration = Duration::from_secs(1);

/// What a runner works with.
#[derive(Debug)]
pub struct Job {
    /// The input's name, for its thread.
    pub name: String,
    /// The input's options.
    pub config: Arc<Config>,
    /// What its guest may write to, as all inputs know it.
    pub writable: Writable,
    /// The record format of the host.
    pub wire: WireFormat,
    /// Where records and events go.
    pub pipe: Arc<Pipe>,
    /// What is counted.
    pub counters: Arc<Counters>,
}

impl Job {
    /// The guest is not to be started any more.
    pub fn give_up(&self) {
        self.pipe.finish(last_wish(self.config.after_run, Some(EXIT_NOT_STARTED)));
    }
}

/// Why a guest is not started.
pub fn no_thread(error: &io::Error) -> String {
    format!("the guest can't be started: no thread for it: {error}")
}

/// The exit code with which the host shall stop, if it shall, after a last run that ended with `status`.
fn last_wish(after_run: AfterRun, status: Option<i32>) -> Option<i32> {
    match after_run {
        AfterRun::HostGoesOn => None,
        AfterRun::HostStops => status.map(|_| 0),
        AfterRun::HostStopsWithCode => status,
    }
}

/// A guest's thread, seen from the host's.
#[derive(Debug)]
pub struct Runner {
    cancel: Option<oneshot::Sender<()>>,
    /// When it was first told to stop.
    cancelled: Option<Instant>,
    ended: mpsc::Receiver<()>,
    thread: LastThread,
    _writable: Writable,
    /// Kept open for as long as the input may want to wait in it.
    _waiting_room: Option<Arc<WaitingRoom>>,
}

impl Runner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread or file descriptor left; with the job, for another try.
    pub fn start(job: Box<Job>) -> Result<Self, (io::Error, Box<Job>)> {
        // Opened on this thread, since those that will be started in it inherit the priority.
        let waiting_room = match waits_long(&job.config).then(WaitingRoom::shared).transpose() {
            Ok(waiting_room) => waiting_room,
            Err(error) => return Err((error, job)),
        };
        let seat = waiting_room.as_deref().map(WaitingRoom::seat);
        let own_thread = match seat.is_none().then(|| NewThread::start(&job.name)).transpose() {
            Ok(own_thread) => own_thread,
            Err(error) => return Err((error, job)),
        };
        let (cancel, cancelled) = oneshot::channel();
        // Nothing goes through it, so it has no room for anything.
        let (end, ended) = mpsc::sync_channel(0);
        let thread = LastThread::default();
        let tether = Tether {
            cancelled,
            seat,
            outside: None,
            thread: Arc::clone(&thread),
            pipe: Arc::clone(&job.pipe),
            after_run: job.config.after_run,
            status: None,
            _end: end,
        };
        let writable = job.writable.clone();
        let running = Box::new(Running::new(*job));
        match (own_thread, tether.seat.clone()) {
            (Some(own_thread), _) => own_thread.give(tether, running),
            (None, seat) => seat.expect("where there is no thread").spawn(tether.wait(running)),
        }
        Ok(Self {
            cancel: Some(cancel),
            cancelled: None,
            ended,
            thread,
            _writable: writable,
            _waiting_room: waiting_room,
        })
    }

    /// Tells the guest to stop, without waiting for it.
    pub fn cancel(&mut self) {
        // Dropping the sender is the signal.
        self.cancel = None;
        self.cancelled.get_or_insert_with(Instant::now);
    }

    /// Waits for the guest to end, up to `patience` since it was told to; `false` when it hasn't. It then
    /// ends by itself, later. (A host with many inputs tells all of them and then waits for one by one.)
    pub fn join(&mut self, patience: Duration) -> bool {
        let waited = self.cancelled.map_or(Duration::ZERO, |at| at.elapsed());
        if !threads::has_ended(&self.ended, patience.saturating_sub(waited)) {
            return false;
        }
        if let Some(thread) = take_thread(&self.thread) {
            // It has ended; a panic was reported through the pipe.
            let _ = thread.join();
        }
        true
    }
}

fn waits_long(config: &Config) -> bool {
    matches!(config.rhythm, Rhythm::Every(interval) if interval >= FAR)
}

fn runs_often(config: &Config) -> bool {
    matches!(config.rhythm, Rhythm::Every(interval) if interval < FAR)
}
