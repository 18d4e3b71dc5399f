//! The guest's thread: waits for the next start, loads the program, runs it, tells how it ended.
//!
//! One thread per input, with a small executor that only this thread drives. Everything that can take
//! time is a future on it, so one `select!` ends a guest that computes, sleeps or waits for the engine.
//! File access of the guest is made on a few further threads, since it can take for ever as well (a named
//! pipe that nobody writes to, a server that is gone) and can't be interrupted.
//! The thread ends by itself after a single run (option `oneshot`), or when it is cancelled. It also ends
//! when the next start is far away: the input then waits in the waiting room, and gets a new thread when
//! the time has come.

use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{getpriority_process, setpriority_process};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::component;
use super::engine::{Berth, GuestEngine, Traits};
use super::nap;
use super::network::Reach;
use super::network::names::MOST_LOOK_UPS;
use super::outcome::{EXIT_DEFECT, EXIT_NOT_STARTED, Outcome, causes};
use super::p1::{self, OpenFiles};
use super::program::{Form, Program, ProgramFile};
use super::sandbox::State;
use super::signals;
use super::state_dir::StateDir;
use super::stdio::Streams;
use super::turns::Share;
use super::waiting_room::{Outside, Seat, WaitingRoom};
use super::writable::{self, Writable};
use crate::config::{AfterRun, Config};
use crate::counters::Counters;
use crate::event::{Event, Level};
use crate::host::alloc::{release_freed_memory, release_thread_cache};
use crate::pipe::Pipe;
use crate::rarely::{Rarely, TELL_EVERY};
use crate::record::encode::WireFormat;
use crate::schedule::{Rhythm, Schedule, Turnout};

/// How often the program's file is looked at while a guest that failed waits for its next start.
const LOOK_FOR_CHANGE: Duration = Duration::from_secs(1);
/// A thread that waits this long for its next start keeps no memory for it.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// Where starts are so far apart no thread is kept between them: a new one costs less than a thousandth of a
/// second.
const FAR: Duration = Duration::from_secs(5);
/// For a wait this long, what the last run has needed goes back to the system.
const VERY_FAR: Duration = Duration::from_secs(60);
/// How old a published counter may be while the guest runs or fails without a word.
const PUBLISH_EVERY: Duration = Duration::from_secs(5);
/// How soon a thread is asked for again when there was none.
pub const RETRY: Duration = Duration::from_secs(1);
/// Threads for a guest's file access. It makes one at a time; a further one is needed when the last run
/// was stopped in the middle of one that takes for ever. Look-ups of names have as many more as there may be, so that
/// a name server that does not answer holds up no file.
const FILE_THREADS: usize = 4;
/// Tasks that go on before the guest does. All that it begins and gives up at once, such as HTTP requests, have to be
/// gone when it goes on to begin more; it begins far fewer in the time that it computes in one go.
const TASKS_BEFORE_GUEST: u32 = 10_000;
/// How much lower than the host's a guest's priority is; the host's gets ten times as much processor time.
const NICE: i32 = 10;
const MAX_NICE: i32 = 19;
/// How long a file access may go on when everything else has ended.
const FILE_PATIENCE: Duration = Duration::from_millis(100);

/// What a runner works with.
#[derive(Debug)]
pub struct Job {
    /// The input's name, for its thread.
    pub name: String,
    /// The input's options.
    pub config: Config,
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

/// The thread that the guest has, or the last one that it had.
type LastThread = Arc<Mutex<Option<JoinHandle<()>>>>;

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
        let (end, ended) = mpsc::channel();
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
        if self.ended.recv_timeout(patience.saturating_sub(waited)) == Err(mpsc::RecvTimeoutError::Timeout) {
            return false;
        }
        if let Some(thread) = take_thread(&self.thread) {
            // It has ended; a panic was reported through the pipe.
            let _ = thread.join();
        }
        true
    }
}

fn take_thread(thread: &LastThread) -> Option<JoinHandle<()>> {
    // Held for one assignment, so what a panic leaves behind is whole.
    thread.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn waits_long(config: &Config) -> bool {
    matches!(config.rhythm, Rhythm::Every(interval) if interval >= FAR)
}

fn runs_often(config: &Config) -> bool {
    matches!(config.rhythm, Rhythm::Every(interval) if interval < FAR)
}

/// The guest's side of a [`Runner`], which goes with it from thread to thread. Dropping it is the end.
struct Tether {
    cancelled: oneshot::Receiver<()>,
    /// Where it waits for a start that is far away.
    seat: Option<Seat>,
    /// It has left that for a thread.
    outside: Option<Outside>,
    thread: LastThread,
    pipe: Arc<Pipe>,
    after_run: AfterRun,
    /// How the last run ended, as an exit code; `None` when it was cancelled.
    status: Option<i32>,
    /// Tells the end. The last of the fields, so that nothing comes after it.
    _end: mpsc::Sender<()>,
}

/// What a thread ends with.
enum Next {
    /// The next start of this one is far.
    Wait(Box<Running>),
    /// There is none. How the last run ended, as an exit code; `None` when it was cancelled.
    Nothing(Option<i32>),
}

/// A thread that waits for its guest.
struct NewThread {
    handle: JoinHandle<()>,
    guest: mpsc::Sender<(Tether, Box<Running>)>,
}

impl NewThread {
    fn start(name: &str) -> io::Result<Self> {
        let (guest, given) = mpsc::channel::<(Tether, Box<Running>)>();
        let handle = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            if let Ok((tether, running)) = given.recv() {
                tether.go_on(running);
            }
        })?;
        Ok(Self { handle, guest })
    }

    fn give(self, tether: Tether, running: Box<Running>) {
        *tether.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.handle);
        // It does nothing but wait for this.
        let _ = self.guest.send((tether, running));
    }
}

impl Tether {
    /// All that a thread does.
    fn go_on(mut self, running: Box<Running>) {
        // A defect of ours must neither end the agent nor stay unsaid.
        let next =
            catch_unwind(AssertUnwindSafe(|| run(running, &mut self.cancelled, self.outside.as_mut())));
        match next {
            Ok(Next::Wait(running)) => {
                let seat = self.seat.clone().expect("only who waits long waits");
                // Once more from there: what waits for an hour then lies beside its like in memory, and not
                // among what this thread has needed for a moment.
                seat.clone().spawn(async move { seat.spawn(self.wait(running)) });
            }
            Ok(Next::Nothing(status)) => self.status = status,
            Err(_panic) => {
                self.pipe.post(Event::RunnerPanicked);
                self.status = Some(EXIT_DEFECT);
            }
        }
    }

    /// Until the next start, without a thread.
    async fn wait(mut self, mut running: Box<Running>) {
        let seat = self.seat.clone().expect("only who waits long waits here");
        if let Some(thread) = take_thread(&self.thread) {
            // To come here was the last thing it did. Its stack is in use until somebody has waited for its end,
            // which takes a moment even where processors are scarce.
            let _ = thread.join();
        }
        self.outside = None;
        let thread = tokio::select! {
            biased;
            _ = &mut self.cancelled => return,
            (thread, outside) = running.thread_for_next_start(&seat) => {
                self.outside = Some(outside);
                thread
            }
        };
        thread.give(self, running);
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        self.pipe.finish(last_wish(self.after_run, self.status));
    }
}

/// Runs the guest until there is nothing for this thread to do.
fn run(
    mut running: Box<Running>,
    cancelled: &mut oneshot::Receiver<()>,
    outside: Option<&mut Outside>,
) -> Next {
    signals::leave_to_host();
    let (runtime, engine) = loop {
        match running.equipment() {
            Ok(equipment) => break equipment,
            // What is missing now, a descriptor or a thread, may be there when the next start is due.
            Err(why) => running.not_loaded(&why),
        }
        if running.job.config.after_run != AfterRun::HostGoesOn {
            return Next::Nothing(Some(EXIT_NOT_STARTED));
        }
        if waits_long(&running.job.config) {
            return Next::Wait(running);
        }
        if let Some(start) = running.schedule.next_start()
            && nap::without_executor(start, cancelled).is_break()
        {
            return Next::Nothing(None);
        }
    };
    give_way_to_host();
    let end = runtime.block_on(running.run(&engine, &Rc::default(), cancelled, outside));
    if end.is_break() {
        running.streams.end();
    }
    runtime.shutdown_timeout(FILE_PATIENCE);
    match end {
        ControlFlow::Continue(()) => {
            running.streams.release();
            Next::Wait(running)
        }
        ControlFlow::Break(status) => Next::Nothing(status),
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
struct Running {
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
}

impl Running {
    /// Everything that takes no time and lasts as long as the input. On the host's thread, so that it lies
    /// together in memory.
    fn new(job: Job) -> Self {
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
            engine: None,
            job,
        }
    }

    /// What a thread needs to run the guest, or why that can't be had.
    fn equipment(&mut self) -> Result<(Runtime, Berth), String> {
        let cant_start = |why| format!("the WebAssembly runtime can't start: {why}");
        if self.file_threads.load(Ordering::Relaxed) >= self.blocking_threads() {
            return Err("the guest can't be started: its file access or look-ups of names in earlier runs hang (a named pipe without a writer, a server that is gone, a name server that does not answer?)".into());
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

    /// Threads for calls of the system that can't be interrupted.
    fn blocking_threads(&self) -> usize {
        FILE_THREADS + if self.job.config.has_network() { MOST_LOOK_UPS } else { 0 }
    }

    fn runtime(&self) -> io::Result<Runtime> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_time().max_blocking_threads(self.blocking_threads()).thread_name("exec_wasi-file");
        runtime.event_interval(TASKS_BEFORE_GUEST);
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

    /// Until the last run, which is what is returned, or until the next one is far away.
    async fn run(
        &mut self,
        engine: &Berth,
        share: &Rc<Share>,
        cancelled: &mut oneshot::Receiver<()>,
        mut outside: Option<&mut Outside>,
    ) -> ControlFlow<Option<i32>> {
        const CANCELLED: ControlFlow<Option<i32>> = ControlFlow::Break(None);
        let mut status = None;
        while self.schedule.next_start().is_some() {
            if self.has_long_wait() {
                return ControlFlow::Continue(());
            }
            if let Some(outside) = &mut outside
                && self.schedule.backoff().is_some()
            {
                // It stays on its thread, for longer than anybody should wait for it.
                outside.give_back();
            }
            if self.next_start(cancelled).await.is_break() {
                return CANCELLED;
            }
            let loaded = tokio::select! {
                biased;
                _ = &mut *cancelled => return CANCELLED,
                loaded = self.program.current(engine, &self.job.pipe) => loaded,
            };
            if let Some(outside) = &mut outside {
                // Others may have waited for the same compilation, and all would go on together.
                tokio::select! {
                    biased;
                    _ = &mut *cancelled => return CANCELLED,
                    () = outside.queue() => {}
                }
            }
            match loaded {
                Ok(program) => {
                    let begun = Instant::now();
                    let outcome = match self.hold_directories() {
                        Ok(()) => tokio::select! {
                            biased;
                            _ = &mut *cancelled => None,
                            outcome = Outside::of(outside.as_deref_mut(), self.run_once(share, &program)) => Some(outcome),
                        },
                        Err(reason) => Some(Outcome::NotStarted { reason }),
                    };
                    let Some(outcome) = outcome else {
                        self.tell(Some(Event::RunStopped { after: begun.elapsed() }));
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
    async fn thread_for_next_start(&mut self, seat: &Seat) -> (NewThread, Outside) {
        if let Some(start) = self.schedule.next_start() {
            if start.saturating_duration_since(Instant::now()) >= VERY_FAR {
                // By then, what others needed that were due at the same time is free as well.
                tokio::time::sleep(LONG_WAIT).await;
                release_freed_memory();
            }
            tokio::time::sleep_until(start.into()).await;
        }
        let outside = seat.leave().await;
        loop {
            match NewThread::start(&self.job.name) {
                Ok(thread) => return (thread, outside),
                Err(error) => {
                    let event = self.health.bad(no_thread(&error), None, Level::Error);
                    self.tell(event);
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
    async fn next_start(&mut self, cancelled: &mut oneshot::Receiver<()>) -> ControlFlow<()> {
        while let Some(start) = self.schedule.next_start() {
            let now = Instant::now();
            let held_back = self.schedule.backoff().is_some();
            if held_back && self.program.has_changed() {
                self.schedule.forgive(now);
                break;
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
    ) -> Caught<impl Future<Output = Outcome> + use<>> {
        let config = self.job.config.clone();
        let program = Arc::clone(program);
        let streams = EndRunOnDrop(Arc::clone(&self.streams));
        let share = Rc::clone(share);
        let files = OpenFiles::new(
            config.open_files_limit,
            Arc::clone(&self.job.pipe),
            Arc::clone(&self.files_refused),
        );
        let reach = Arc::clone(&self.reach);
        self.job.counters.runs.add(1);
        Caught(Box::pin(async move {
            streams.0.begin_run();
            let guest = async {
                match &program.form {
                    Form::Module(module) => match State::granted(&config, &streams.0, files) {
                        Ok(state) => p1::run(&program.engine.engine, module, &config, state).await,
                        Err(reason) => Outcome::NotStarted { reason },
                    },
                    Form::Component(command) => {
                        match component::State::granted(&config, &streams.0, &reach) {
                            Ok(state) => {
                                component::run(&program.engine, command, &config, &streams.0, state).await
                            }
                            Err(reason) => Outcome::NotStarted { reason },
                        }
                    }
                }
            };
            let guest = program.engine.interruptible(guest, share);
            match config.timeout {
                None => guest.await,
                Some(timeout) => match tokio::time::timeout(timeout, guest).await {
                    Ok(outcome) => outcome,
                    Err(_) => Outcome::TimedOut { timeout },
                },
            }
        }))
    }

    fn run_ended(&mut self, outcome: &Outcome) {
        let skipped = self.schedule.run_ended(outcome.turnout(), Instant::now());
        let event = if outcome.is_success() {
            self.health.good()
        } else {
            self.job.counters.failed_runs.add(1);
            self.health.bad(outcome.to_string(), self.schedule.backoff(), outcome.level())
        };
        self.tell(event);
        self.publish();
        if skipped > 0 {
            self.job.counters.skipped_runs.add(skipped);
            self.tell(Some(Event::TicksSkipped { ticks: skipped }));
        }
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
        self.schedule.run_ended(Turnout::NoGuest, Instant::now());
        let event = self.health.bad(why.to_owned(), self.schedule.backoff(), Level::Error);
        self.tell(event);
        self.publish();
    }

    fn tell(&self, event: Option<Event>) {
        if let Some(event) = event {
            self.job.pipe.post(event);
        }
    }
}

/// A run that panics has failed, and costs no more than that: wasmtime-wasi does so where the system has no
/// thread left for a guest's file access.
struct Caught<F>(Pin<Box<F>>);

impl<F: Future<Output = Outcome>> Future for Caught<F> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        // What it leaves behind is dropped, and nothing else looks at it.
        catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let reason = text.or_else(|| panic.downcast_ref().copied()).unwrap_or("a panic without words");
            Poll::Ready(Outcome::Broken { reason: reason.to_owned() })
        })
    }
}

/// The end of a run, however it comes about.
struct EndRunOnDrop(Arc<Streams>);

impl Drop for EndRunOnDrop {
    fn drop(&mut self) {
        self.0.end_run();
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

    fn bad(&mut self, what: String, backoff: Option<Duration>, level: Level) -> Option<Event> {
        let now = Instant::now();
        let all = self.failure.as_ref().map_or(0, |failure| failure.all) + 1;
        if let Some(failure) = self.failure.as_mut().filter(|failure| failure.what == what) {
            failure.times += 1;
            failure.all = all;
            if now.duration_since(failure.told) < TELL_EVERY {
                return None;
            }
            failure.told = now;
            let times = failure.times;
            return Some(Event::StillFailing { what, times, backoff, level });
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
    fn a_run_that_panics_has_failed() {
        let run = Caught(Box::pin(async { panic!("no thread {}", 5) }));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(run), Outcome::Broken { reason: "no thread 5".into() });
    }

    #[test]
    fn a_failure_is_told_when_it_is_new_and_its_end_with_the_count() {
        let mut health = Health::default();
        assert!(health.good().is_none());
        assert!(health.bad("a".into(), None, Level::Error).is_some());
        assert!(health.bad("a".into(), None, Level::Error).is_none());
        assert!(health.bad("b".into(), None, Level::Error).is_some());
        assert_eq!(health.good(), Some(Event::Recovered { failures: 3 }));
        assert!(health.good().is_none());
        assert!(health.bad("b".into(), None, Level::Error).is_some());
    }
}
