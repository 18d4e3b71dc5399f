//! An input's runs, one after the other.

use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use wasmtime::InstancePre;

use super::health::Health;
use super::tether::NewThread;
use super::{Job, RETRY, no_thread, runs_often, waits_long};
use crate::config::AfterRun;
use crate::event::{Event, Level};
use crate::guest::component::{self, Command};
use crate::guest::engine::{Berth, GuestEngine, Traits};
use crate::guest::nap;
use crate::guest::network::Reach;
use crate::guest::network::names::MOST_LOOK_UPS;
use crate::guest::outcome::{EXIT_NOT_STARTED, Outcome, causes};
use crate::guest::p1::{self, OpenFiles};
use crate::guest::program::{Form, Program};
use crate::guest::program_file::ProgramFile;
use crate::guest::sandbox::State;
use crate::guest::state_dir::StateDir;
use crate::guest::stdio::Streams;
use crate::guest::threads::STACK_BYTES;
use crate::guest::ticker::Computing;
use crate::guest::turns::Share;
use crate::guest::waiting_room::{Outside, Seat};
use crate::guest::writable;
use crate::host::alloc::release_thread_cache;
use crate::panics;
use crate::rarely::Rarely;
use crate::schedule::{Schedule, Turnout};

/// How often the program's file is looked at while a guest that failed waits for its next start.
const LOOK_FOR_CHANGE: Duration = Duration::from_secs(1);
/// A thread that waits this long for its next start gives back what the allocator keeps for it.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// For a wait this long, what the last run has needed goes back to the system.
const VERY_FAR: Duration = Duration::from_secs(60);
/// How old a published counter may be while the guest runs or fails without a word.
const PUBLISH_EVERY: Duration = Duration::from_secs(5);
/// Threads for a guest's file access. It makes one at a time; a further one is needed when the last run
/// was stopped in the middle of one that takes for ever. Look-ups of names have as many more as there may be, so that
/// a name server that does not answer holds up no file.
const FILE_THREADS: usize = 4;
/// Handles that an open listing takes at least, in WASI 0.3. It holds a thread until it has been read, so there are
/// enough of them for all the listings that the guest's handles let it have, unless it may have very many.
const HANDLES_PER_LISTING: usize = 3;
const MOST_LISTINGS: usize = 100;
/// Tasks that go on before the guest does. All that it begins and gives up at once, such as HTTP requests, have to be
/// gone when it goes on to begin more; it begins far fewer in the time that it computes in one go.
const TASKS_BEFORE_GUEST: u32 = 10_000;
/// How much lower than the host's a guest's priority is; the host's gets ten times as much processor time.
const NICE: i32 = 10;
const MAX_NICE: i32 = 19;
/// How long a file access may go on when everything else has ended.
const FILE_PATIENCE: Duration = Duration::from_millis(100);
/// How long idle threads may take to end, on a machine that has much else to do, and how often it is looked whether
/// they have.
const IDLE_PATIENCE: Duration = Duration::from_secs(1);
const IDLE_LOOK: Duration = Duration::from_millis(5);

/// What a thread ends with.
pub enum Next {
    /// The next start of this one is far.
    Wait(Box<Running>),
    /// There is none. How the last run ended, as an exit code; `None` when it was cancelled.
    Nothing(Option<i32>),
}

/// Why the runs of a thread pause.
enum Pause {
    NextStartIsFar,
    /// There are so many that all may hang. Whether they do shows when their runtime, and with it those that are idle,
    /// is gone.
    FileThreadsMayHang,
}

/// Runs the guest until there is nothing for this thread to do.
pub fn run(
    mut running: Box<Running>,
    cancelled: &mut oneshot::Receiver<()>,
    mut outside: Option<&mut Outside>,
) -> Next {
    let share = Rc::default();
    let mut has_given_way = false;
    loop {
        let (runtime, engine) = match running.equipment() {
            Ok(equipment) => equipment,
            Err(why) => match running.without_equipment(&why, cancelled) {
                ControlFlow::Continue(same) => {
                    running = same;
                    continue;
                }
                ControlFlow::Break(next) => return next,
            },
        };
        if !has_given_way {
            has_given_way = true;
            give_way_to_host();
        }
        let end = runtime.block_on(running.run(&engine, &share, cancelled, outside.as_deref_mut()));
        match end {
            ControlFlow::Break(status) => {
                runtime.shutdown_timeout(FILE_PATIENCE);
                return Next::Nothing(status);
            }
            ControlFlow::Continue(Pause::NextStartIsFar) => {
                runtime.shutdown_timeout(FILE_PATIENCE);
                running.streams.release();
                return Next::Wait(running);
            }
            ControlFlow::Continue(Pause::FileThreadsMayHang) => {
                runtime.shutdown_background();
                if running.wait_for_idle_threads(cancelled).is_break() {
                    return Next::Nothing(None);
                }
            }
        }
    }
}

/// Lowers the priority of this thread, and of those it will start for compiling and for files: where
/// processors are scarce, the host's threads come first. The engine's ticker runs by now, and keeps its own.
fn give_way_to_host() {
    let nice = getpriority_process(None).unwrap_or(0);
    // Lowering it is always allowed; if it fails all the same, nothing is lost but that.
    let _ = setpriority_process(None, nice.saturating_add(NICE).min(MAX_NICE));
}

/// The state of a guest's thread.
pub struct Running {
    job: Job,
    /// Since the first run.
    engine: Option<Berth>,
    program: ProgramFile,
    schedule: Schedule,
    health: Health,
    streams: Arc<Streams>,
    files_refused: Arc<Rarely>,
    reach: Arc<Reach>,
    state_dir: Option<StateDir>,
    /// When the host's thread was last woken for counters only.
    published: Option<Instant>,
    /// The threads of its file access that haven't ended.
    file_threads: Arc<AtomicUsize>,
    /// What there is to say of it has been said.
    told_of: Weak<Program>,
}

impl Running {
    /// Everything that takes no time and lasts as long as the input. On the host's thread, so that it lies
    /// together in memory.
    pub fn new(job: Job) -> Self {
        Self {
            program: ProgramFile::new(&job.config),
            schedule: Schedule::new(job.config.rhythm, job.config.backoff_max, Instant::now()),
            health: Health::default(),
            streams: Arc::new(Streams::new(&job.config, job.wire, &job.pipe, &job.counters)),
            files_refused: Arc::default(),
            reach: Arc::new(Reach::new(&job.config, Arc::clone(&job.pipe), Arc::clone(&job.counters))),
            state_dir: None,
            published: None,
            file_threads: Arc::default(),
            told_of: Weak::new(),
            engine: None,
            job,
        }
    }

    /// What a thread needs to run the guest, or why that can't be had.
    fn equipment(&mut self) -> Result<(Runtime, Berth), String> {
        let cant_start = |why| format!("the WebAssembly runtime can't start: {why}");
        if self.file_threads_may_all_hang() {
            return Err("the guest can't be started: its file access or look-ups of names in earlier runs hang (a named pipe without a writer, a server that is gone, a name server that does not answer?); it can be when they have returned, and after a reload".into());
        }
        let runtime = self.runtime().map_err(|error| cant_start(error.to_string()))?;
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => GuestEngine::berth(Traits {
                stack_bytes: usize::try_from(self.job.config.stack_bytes).unwrap_or(usize::MAX),
                counts_fuel: self.job.config.fuel.is_some(),
                runs_often: runs_often(&self.job.config),
                ..Traits::default()
            })
            .map_err(|error| cant_start(causes(&error)))?,
        };
        self.engine = Some(engine.clone());
        Ok((runtime, engine))
    }

    /// What is missing now, a descriptor or a thread, may be there when the next start is due, which is waited for.
    fn without_equipment(
        mut self: Box<Self>,
        why: &str,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> ControlFlow<Next, Box<Self>> {
        self.not_loaded(why);
        if self.job.config.after_run != AfterRun::HostGoesOn {
            return ControlFlow::Break(Next::Nothing(Some(EXIT_NOT_STARTED)));
        }
        if waits_long(&self.job.config) {
            return ControlFlow::Break(Next::Wait(self));
        }
        match self.schedule.next_start() {
            Some(start) if nap::without_executor(start, cancelled).is_break() => {
                ControlFlow::Break(Next::Nothing(None))
            }
            _ => ControlFlow::Continue(self),
        }
    }

    /// The idle threads of a runtime that is gone end, which takes a moment, and longer where there is much else to do.
    fn wait_for_idle_threads(&self, cancelled: &mut oneshot::Receiver<()>) -> ControlFlow<()> {
        let begun = Instant::now();
        while self.file_threads_may_all_hang() && begun.elapsed() < IDLE_PATIENCE {
            nap::without_executor(Instant::now() + IDLE_LOOK, cancelled)?;
        }
        ControlFlow::Continue(())
    }

    /// Threads for calls of the system that can't be interrupted; if so many have outlived their runs, they hang.
    fn blocking_threads(&self) -> usize {
        FILE_THREADS + if self.job.config.has_network() { MOST_LOOK_UPS } else { 0 }
    }

    /// Whether there are so many that none may be left for the next run. Of those of a runtime that is gone all hang.
    fn file_threads_may_all_hang(&self) -> bool {
        self.file_threads.load(Ordering::Relaxed) >= self.blocking_threads()
    }

    fn runtime(&self) -> io::Result<Runtime> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let listings = (component::most_handles(&self.job.config) / HANDLES_PER_LISTING).min(MOST_LISTINGS);
        let threads = self.blocking_threads() + listings;
        runtime.enable_time().max_blocking_threads(threads).thread_name("exec_wasi-file");
        runtime.event_interval(TASKS_BEFORE_GUEST).thread_stack_size(STACK_BYTES);
        // A thread that hangs outlives its runtime, of which there may be one for each run.
        let (begun, ended) = (Arc::clone(&self.file_threads), Arc::clone(&self.file_threads));
        runtime.on_thread_start(move || {
            begun.fetch_add(1, Ordering::Relaxed);
        });
        runtime.on_thread_stop(move || {
            ended.fetch_sub(1, Ordering::Relaxed);
        });
        if self.job.config.has_network() {
            // Some descriptors, which most inputs can do without.
            runtime.enable_io();
        }
        runtime.build()
    }

    /// Until the last run, which is what is returned, or until there is a reason to pause.
    async fn run(
        &mut self,
        engine: &Berth,
        share: &Rc<Share>,
        cancelled: &mut oneshot::Receiver<()>,
        mut outside: Option<&mut Outside>,
    ) -> ControlFlow<Option<i32>, Pause> {
        const CANCELLED: ControlFlow<Option<i32>, Pause> = ControlFlow::Break(None);
        let mut status = None;
        while self.schedule.next_start().is_some() {
            if self.has_long_wait() {
                return ControlFlow::Continue(Pause::NextStartIsFar);
            }
            if let Some(outside) = &mut outside
                && self.schedule.backoff().is_some()
            {
                // It stays on its thread, for longer than anybody should wait for it.
                outside.give_back();
            }
            if self.next_start(engine, cancelled).await.is_break() {
                return CANCELLED;
            }
            if self.file_threads_may_all_hang() {
                return ControlFlow::Continue(Pause::FileThreadsMayHang);
            }
            let mut call = Some(engine.calling(&self.job.pipe));
            let loaded = tokio::select! {
                biased;
                _ = &mut *cancelled => return CANCELLED,
                loaded = self.program.current(engine, &self.job.pipe, &mut call) => loaded,
            };
            if let Some(outside) = &mut outside {
                call = None;
                // Others may have waited for the same compilation, and all would go on together.
                tokio::select! {
                    biased;
                    _ = &mut *cancelled => return CANCELLED,
                    () = outside.queue() => {}
                }
            }
            match loaded {
                Ok(program) => {
                    self.tell_of_program(&program);
                    let begun = Instant::now();
                    let call = call.unwrap_or_else(|| engine.calling(&self.job.pipe));
                    let outcome = match self.hold_directories() {
                        Ok(()) => tokio::select! {
                            biased;
                            _ = &mut *cancelled => None,
                            outcome = Outside::of(outside.as_deref_mut(), self.run_once(share, &program, call)) => Some(outcome),
                        },
                        Err(reason) => Some(Outcome::NotStarted { reason }),
                    };
                    let Some(outcome) = outcome else {
                        self.tell(Event::RunStopped { after: begun.elapsed() });
                        return CANCELLED;
                    };
                    status = Some(outcome.exit_status());
                    self.run_ended(&outcome);
                }
                Err(error) => {
                    status = Some(EXIT_NOT_STARTED);
                    self.not_loaded(&error.to_string());
                }
            }
            if self.job.config.after_run != AfterRun::HostGoesOn {
                break;
            }
        }
        ControlFlow::Break(status)
    }

    /// Whether the next start is so far away that this thread is not needed until then. It is while the
    /// guest fails, to look for a change of its file.
    fn has_long_wait(&self) -> bool {
        let wait = self.schedule.next_start().map(|start| start.saturating_duration_since(Instant::now()));
        waits_long(&self.job.config)
            && wait.is_some_and(|wait| wait >= LONG_WAIT)
            && self.schedule.backoff().is_none()
    }

    /// Waits for the next start on another thread than one's own, and gets that one.
    pub async fn thread_for_next_start(&mut self, seat: &Seat) -> (NewThread, Outside) {
        if let Some(start) = self.schedule.next_start() {
            if start.saturating_duration_since(Instant::now()) >= VERY_FAR {
                seat.tidy_up().await;
            }
            tokio::time::sleep_until(start.into()).await;
        }
        let outside = seat.leave().await;
        loop {
            match NewThread::start(&self.job.name) {
                Ok(thread) => return (thread, outside),
                Err(error) => {
                    let event = self.health.bad(no_thread(&error), None, Level::Error);
                    self.tell_of_health(event);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Makes sure that what is granted is what was meant, and that the input's own directory is there and nobody
    /// else's.
    fn hold_directories(&mut self) -> Result<(), String> {
        self.job.writable.look();
        writable::check_grants(&self.job.config, &self.job.writable)?;
        if let Some(path) = &self.job.config.state_dir
            && self.state_dir.as_ref().is_none_or(|held| !held.is_at(path))
        {
            self.state_dir = None;
            self.state_dir = Some(StateDir::hold(path)?);
        }
        Ok(())
    }

    /// Waits for the next start; breaks off when it is cancelled. While it is held back because the guest failed, a
    /// change of the program's file is a reason to start at once.
    async fn next_start(&mut self, engine: &Berth, cancelled: &mut oneshot::Receiver<()>) -> ControlFlow<()> {
        while let Some(start) = self.schedule.next_start() {
            let now = Instant::now();
            let held_back = self.schedule.backoff().is_some();
            if held_back {
                let call = engine.calling(&self.job.pipe);
                let has_changed = self.program.has_changed();
                drop(call);
                if has_changed {
                    self.schedule.forgive(now);
                    break;
                }
            }
            if start.saturating_duration_since(now) >= LONG_WAIT {
                release_thread_cache();
            }
            let look = if held_back { start.min(now + LOOK_FOR_CHANGE) } else { start };
            nap::until(look, cancelled).await?;
            if look == start {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    /// One run; whatever ends it, also being dropped, what the guest had written is handed over.
    fn run_once(
        &self,
        share: &Rc<Share>,
        program: &Arc<Program>,
        call: Computing,
    ) -> Caught<impl Future<Output = Outcome> + use<>> {
        let config = Arc::clone(&self.job.config);
        let program = Arc::clone(program);
        let streams = EndRunOnDrop(Arc::clone(&self.streams));
        let share = Rc::clone(share);
        let files = OpenFiles::new(
            config.open_files_limit,
            Arc::clone(&self.job.pipe),
            Arc::clone(&self.files_refused),
        );
        let (reach, pipe) = (Arc::clone(&self.reach), Arc::clone(&self.job.pipe));
        self.job.counters.runs.add(1);
        Caught(Box::pin(async move {
            streams.0.begin_run();
            let engine = &program.engine;
            // Not when it is the guest's turn to compute: a directory may be on a server that does not answer.
            let granted = match &program.form {
                Form::Module(module) => State::granted(&config, &streams.0, files)
                    .map(|state| Granted::Module(module, Box::new(state))),
                Form::Component(command) => component::State::granted(&config, &streams.0, &reach)
                    .map(|state| Granted::Component(command, Box::new(state))),
            };
            let granted = match granted {
                Ok(granted) => granted,
                Err(reason) => return Outcome::NotStarted { reason },
            };
            let guest = async {
                match granted {
                    Granted::Module(module, state) => p1::run(&engine.engine, module, &config, *state).await,
                    Granted::Component(command, state) => {
                        component::run(engine, command, &config, &streams.0, *state).await
                    }
                }
            };
            let guest = engine.interruptible(guest, share, pipe, call);
            match config.timeout {
                None => guest.await,
                Some(timeout) => match tokio::time::timeout(timeout, guest).await {
                    Ok(outcome) => outcome,
                    Err(_) => Outcome::TimedOut { timeout },
                },
            }
        }))
    }

    /// Says, once of each program, what its operator should know.
    fn tell_of_program(&mut self, program: &Arc<Program>) {
        if std::ptr::eq(self.told_of.as_ptr(), Arc::as_ptr(program)) {
            return;
        }
        self.told_of = Arc::downgrade(program);
        let name = || self.job.config.program.display().to_string();
        if !program.missing.is_empty() {
            self.tell(Event::MissingFunctions { program: name(), names: program.missing.clone() });
        }
        if self.job.config.has_network() && matches!(program.form, Form::Module(_)) {
            self.tell(Event::NoNetwork { program: name() });
        }
    }

    fn run_ended(&mut self, outcome: &Outcome) {
        let skipped = self.schedule.run_ended(outcome.turnout(), Instant::now());
        let event = if outcome.is_success() {
            self.health.good()
        } else {
            self.job.counters.failed_runs.add(1);
            self.health.bad(outcome.to_string(), self.schedule.backoff(), outcome.level())
        };
        self.after_run(event, skipped);
    }

    /// Counters are published when the host's thread comes by, which it does for records and events only.
    fn publish(&mut self) {
        if self.published.is_none_or(|last| last.elapsed() >= PUBLISH_EVERY) {
            self.published = Some(Instant::now());
            self.job.pipe.nudge();
        }
    }

    fn not_loaded(&mut self, why: &str) {
        self.job.counters.failed_runs.add(1);
        let skipped = self.schedule.run_ended(Turnout::NoGuest, Instant::now());
        let event = self.health.bad(why.to_owned(), self.schedule.backoff(), Level::Error);
        self.after_run(event, skipped);
    }

    /// What is told and counted of a run that is over, or could not begin; `skipped` starts were due meanwhile.
    fn after_run(&mut self, event: Option<Event>, skipped: u64) {
        self.tell_of_health(event);
        self.publish();
        if skipped > 0 {
            self.job.counters.skipped_runs.add(skipped);
            self.tell(Event::TicksSkipped { ticks: skipped });
        }
    }

    fn tell_of_health(&mut self, event: Option<Event>) {
        if let Some(event) = event
            && !self.job.pipe.post(event)
        {
            self.health.was_left_out();
        }
    }

    fn tell(&self, event: Event) {
        self.job.pipe.post(event);
    }
}

impl Drop for Running {
    /// The input has ended, here or while it waited: what its streams have still to tell.
    fn drop(&mut self) {
        self.streams.end();
    }
}

/// A guest's program, with all that it is granted.
enum Granted<'a> {
    Module(&'a InstancePre<State>, Box<State>),
    Component(&'a Command, Box<component::State>),
}

/// A run that panics has failed, and costs no more than that: wasmtime-wasi does so where the system has no
/// thread left for a guest's file access.
struct Caught<F>(Pin<Box<F>>);

impl<F: Future<Output = Outcome>> Future for Caught<F> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        // What it leaves behind is dropped, and nothing else looks at it.
        panics::caught(|| self.0.as_mut().poll(context))
            .unwrap_or_else(|reason| Poll::Ready(Outcome::Broken { reason }))
    }
}

/// The end of a run, however it comes about.
struct EndRunOnDrop(Arc<Streams>);

impl Drop for EndRunOnDrop {
    fn drop(&mut self) {
        self.0.end_run();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_panics_has_failed() {
        let run = Caught(Box::pin(async { panic!("no thread {}", 5) }));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let Outcome::Broken { reason } = runtime.block_on(run) else { panic!("it has not failed") };
        assert!(reason.starts_with("no thread 5"), "{reason}");
    }
}
