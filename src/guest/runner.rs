//! The guest's thread: waits for the next start, loads the program, runs it, tells how it ended.
//!
//! One thread per input, with a small executor that only this thread drives. Everything that can take
//! time is a future on it, so one `select!` ends a guest that computes, sleeps or waits for the engine.
//! The thread ends by itself after a single run (option `oneshot`), or when it is cancelled.

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::engine::GuestEngine;
use super::notes::Notes;
use super::outcome::{Outcome, causes};
use super::p1;
use super::program::{LoadError, Program, ProgramFile};
use super::sandbox::State;
use super::stdio::Streams;
use crate::config::Config;
use crate::counters::Counters;
use crate::event::{Event, Level};
use crate::pipe::Pipe;
use crate::record::encode::WireFormat;
use crate::schedule::Schedule;

/// The same failure again is told again only this often.
const REPEAT_FAILURE: Duration = Duration::from_secs(60);

/// What a runner works with.
#[derive(Debug)]
pub struct Job {
    /// The input's name, for its thread.
    pub name: String,
    /// The input's options.
    pub config: Config,
    /// The record format of the host.
    pub wire: WireFormat,
    /// Where records and events go.
    pub pipe: Arc<Pipe>,
    /// What is counted.
    pub counters: Arc<Counters>,
}

/// A guest's thread, seen from the host's.
#[derive(Debug)]
pub struct Runner {
    cancel: Option<oneshot::Sender<()>>,
    /// When it was first told to stop.
    cancelled: Option<Instant>,
    ended: mpsc::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Runner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(job: Job) -> io::Result<Self> {
        let (cancel, cancelled) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        let thread = std::thread::Builder::new().name(job.name.clone()).spawn(move || {
            let pipe = Arc::clone(&job.pipe);
            // A defect of ours must neither end the agent nor stay unsaid.
            if catch_unwind(AssertUnwindSafe(|| run(job, cancelled))).is_err() {
                pipe.post(Event::RunnerFailed { what: "the guest's thread panicked".into() });
            }
            pipe.finish();
            drop(end);
        })?;
        Ok(Self { cancel: Some(cancel), cancelled: None, ended, thread: Some(thread) })
    }

    /// Tells the guest to stop, without waiting for it.
    pub fn cancel(&mut self) {
        // Dropping the sender is the signal.
        self.cancel = None;
        self.cancelled.get_or_insert_with(Instant::now);
    }

    /// Waits for the thread to end, up to `patience` since it was told to; `false` when it hasn't. It then
    /// ends by itself, later. (A host with many inputs tells all of them and then waits for one by one.)
    pub fn join(&mut self, patience: Duration) -> bool {
        let waited = self.cancelled.map_or(Duration::ZERO, |at| at.elapsed());
        if self.ended.recv_timeout(patience.saturating_sub(waited)) == Err(mpsc::RecvTimeoutError::Timeout) {
            return false;
        }
        if let Some(thread) = self.thread.take() {
            // It has ended; a panic was reported through the pipe.
            let _ = thread.join();
        }
        true
    }
}

fn run(job: Job, cancelled: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let engine = GuestEngine::shared(usize::try_from(job.config.stack_bytes).unwrap_or(usize::MAX));
    match (runtime, engine) {
        (Ok(runtime), Ok(engine)) => runtime.block_on(Running::new(job, engine).run(cancelled)),
        (Err(error), _) => fail(&job, &error.to_string()),
        (_, Err(error)) => fail(&job, &causes(&error)),
    }
}

fn fail(job: &Job, reason: &str) {
    job.pipe.post(Event::RunnerFailed { what: format!("the WebAssembly runtime can't start: {reason}") });
}

/// The state of a guest's thread.
struct Running {
    job: Job,
    engine: Arc<GuestEngine>,
    program: ProgramFile,
    schedule: Schedule,
    health: Health,
    notes: Arc<Notes>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.notes.end();
    }
}

impl Running {
    fn new(job: Job, engine: Arc<GuestEngine>) -> Self {
        Self {
            program: ProgramFile::new(&job.config.program),
            schedule: Schedule::new(job.config.rhythm, Instant::now()),
            health: Health::default(),
            notes: Arc::new(Notes::new(&job.pipe, &job.counters)),
            engine,
            job,
        }
    }

    async fn run(mut self, mut cancelled: oneshot::Receiver<()>) {
        while let Some(start) = self.schedule.next_start() {
            tokio::select! {
                biased;
                _ = &mut cancelled => return,
                () = tokio::time::sleep_until(start.into()) => {}
            }
            let loaded = tokio::select! {
                biased;
                _ = &mut cancelled => return,
                loaded = self.program.current(&self.engine, &self.job.pipe) => loaded,
            };
            match loaded {
                Ok(program) => {
                    let begun = Instant::now();
                    let outcome = tokio::select! {
                        biased;
                        _ = &mut cancelled => None,
                        outcome = self.run_once(&program) => Some(outcome),
                    };
                    match outcome {
                        Some(outcome) => self.run_ended(&outcome),
                        None => {
                            let after = begun.elapsed();
                            return self.job.pipe.post(Event::RunStopped { after });
                        }
                    }
                }
                Err(error) => self.not_loaded(&error),
            }
        }
    }

    /// One run; whatever ends it, also being dropped, what the guest had written is handed over.
    fn run_once(&self, program: &Arc<Program>) -> impl Future<Output = Outcome> + use<> {
        let (config, pipe) = (self.job.config.clone(), Arc::clone(&self.job.pipe));
        let streams = Streams::new(&config, self.job.wire, &pipe, &self.notes);
        let (engine, program) = (Arc::clone(&self.engine), Arc::clone(program));
        self.job.counters.runs.add(1);
        async move {
            let streams = FinishOnDrop(streams);
            let state = match State::granted(&config, streams.0.stdout.clone(), streams.0.stderr.clone()) {
                Ok(state) => state,
                Err(reason) => return Outcome::NotStarted { reason },
            };
            let guest = match &*program {
                Program::Module(module) => p1::run(&engine, module, &config, state),
            };
            let guest = engine.interruptible(guest);
            match config.timeout {
                None => guest.await,
                Some(timeout) => match tokio::time::timeout(timeout, guest).await {
                    Ok(outcome) => outcome,
                    Err(_) => Outcome::TimedOut { timeout },
                },
            }
        }
    }

    fn run_ended(&mut self, outcome: &Outcome) {
        let event = if outcome.is_success() {
            self.health.good()
        } else {
            self.job.counters.failed_runs.add(1);
            self.health.bad(outcome.to_string(), outcome.level())
        };
        self.tell(event);
        let ticks = self.schedule.run_ended(Instant::now());
        if ticks > 0 {
            self.job.counters.skipped_runs.add(ticks);
            self.tell(Some(Event::TicksSkipped { ticks }));
        }
    }

    fn not_loaded(&mut self, error: &LoadError) {
        self.job.counters.failed_runs.add(1);
        let event = self.health.bad(error.to_string(), Level::Error);
        self.tell(event);
        self.schedule.run_not_possible(Instant::now());
    }

    fn tell(&self, event: Option<Event>) {
        if let Some(event) = event {
            self.job.pipe.post(event);
        }
    }
}

/// The end of a run, however it comes about.
struct FinishOnDrop(Streams);

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// Keeps a guest that fails at every start from filling the log: a failure is told when it is new, and
/// again now and then.
#[derive(Debug, Default)]
struct Health {
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    what: String,
    times: u64,
    all: u64,
    told: Instant,
}

impl Health {
    fn good(&mut self) -> Option<Event> {
        let failures = self.failure.take()?.all;
        Some(Event::Recovered { failures })
    }

    fn bad(&mut self, what: String, level: Level) -> Option<Event> {
        let now = Instant::now();
        let all = self.failure.as_ref().map_or(0, |failure| failure.all) + 1;
        if let Some(failure) = self.failure.as_mut().filter(|failure| failure.what == what) {
            failure.times += 1;
            failure.all = all;
            if now.duration_since(failure.told) < REPEAT_FAILURE {
                return None;
            }
            failure.told = now;
            let times = failure.times;
            return Some(Event::StillFailing { what, times, level });
        }
        let told = Event::RunFailed { what: what.clone(), level };
        self.failure = Some(Failure { what, times: 1, all, told: now });
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_when_it_is_new_and_its_end_with_the_count() {
        let mut health = Health::default();
        assert!(health.good().is_none());
        assert!(health.bad("a".into(), Level::Error).is_some());
        assert!(health.bad("a".into(), Level::Error).is_none());
        assert!(health.bad("b".into(), Level::Error).is_some());
        assert_eq!(health.good(), Some(Event::Recovered { failures: 3 }));
        assert!(health.good().is_none());
        assert!(health.bad("b".into(), Level::Error).is_some());
    }
}
