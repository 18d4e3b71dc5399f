//! The engine: the thread that starts inputs, waits for them, flushes, and shuts everything down.

use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::collectors::from_token;
use crate::context::{Context, NOT_STARTED};
use crate::events::{BELL, Timer};
use crate::instance::Instance;
use crate::log::{error, info, warning};
use crate::misuse;
use crate::shared::Shared;
use crate::signals;
use crate::threaded;

const FLUSH: u64 = BELL - 1;
const SHUTDOWN: u64 = BELL - 2;
/// How often queues of threaded inputs and the limits of a run are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// An engine at work.
pub struct Engine {
    pub context: Arc<Context>,
    thread: JoinHandle<i32>,
}

impl Engine {
    /// Starts a context's engine; the error is the exit code.
    pub fn start(context: Arc<Context>) -> Result<Self, i32> {
        let (report, started) = channel();
        let own = Arc::clone(&context);
        let thread = thread::Builder::new().name("flb-pipeline".to_owned()).spawn(move || {
            misuse::enter_host_thread();
            let _last = SayEnded(Arc::clone(&own.shared));
            run(&own, &report)
        });
        let thread = thread.map_err(|error| {
            error!("[engine] starting a thread: {error}");
            NOT_STARTED
        })?;
        let engine = Self { context, thread };
        match started.recv() {
            Ok(()) => Ok(engine),
            // Dropped without a word: the start failed, and the log says why.
            Err(_) => Err(engine.join()),
        }
    }

    /// Shuts down without a time limit, as a reload does.
    pub fn stop(self) -> i32 {
        self.context.shared.grace_without_limit();
        self.context.shared.request_stop();
        self.join()
    }

    /// Waits for the end and frees the context: plugins are closed.
    pub fn join(self) -> i32 {
        self.thread.join().unwrap_or_else(|_| {
            error!("[engine] the engine's thread panicked");
            NOT_STARTED
        })
    }
}

/// Tells the main thread, when dropped, that the engine has ended: by itself or by a panic.
struct SayEnded(Arc<Shared>);

impl Drop for SayEnded {
    fn drop(&mut self) {
        self.0.note_ended();
        signals::post_ended();
    }
}

/// The engine's thread: reports that it runs, or returns with an error.
fn run(context: &Arc<Context>, report: &Sender<()>) -> i32 {
    let shared = &context.shared;
    let instances = context.instances();
    if start_inputs(context).is_err() {
        error!("[engine] input initialization failed");
        shared.end_ingestion();
        exit_inputs(instances);
        return NOT_STARTED;
    }
    let nanoseconds = i64::from(shared.flush.subsec_nanos());
    let seconds = i64::try_from(shared.flush.as_secs()).unwrap_or(i64::MAX);
    let flush_timer = Timer::start(seconds, nanoseconds).and_then(|timer| {
        shared.events.watch(timer.as_fd(), FLUSH)?;
        Ok(timer)
    });
    let Ok(flush_timer) = flush_timer else {
        error!("[engine] could not initialize flush timer");
        exit_inputs(instances);
        return NOT_STARTED;
    };
    // Nobody waits for it any more if the program is about to end.
    let _ = report.send(());

    let looks = shared.is_limited() || instances.iter().any(|instance| instance.is_threaded());
    let mut shutdown: Option<Shutdown> = None;
    loop {
        for token in shared.events.wait(looks.then_some(LOOK)) {
            match token {
                BELL => {}
                FLUSH => {
                    flush_timer.acknowledge();
                    flush(context);
                }
                SHUTDOWN => {
                    if shutdown.as_mut().is_some_and(|shutdown| shutdown.tick(context)) {
                        exit_inputs(instances);
                        return shared.exit_status();
                    }
                }
                token => {
                    let (instance, id) = from_token(token);
                    instances[instance].collect(id);
                }
            }
        }
        for instance in instances {
            instance.settle();
            threaded::drain(instance);
        }
        if shutdown.is_some() {
            continue;
        }
        if shared.must_stop() {
            match Shutdown::begin(context) {
                Ok(begun) => shutdown = Some(begun),
                Err(error) => {
                    error!("[engine] could not create shutdown timer: {error}");
                    exit_inputs(instances);
                    return NOT_STARTED;
                }
            }
        }
    }
}

/// `cb_init` of all, `cb_pre_run` of all, then their collectors.
fn start_inputs(context: &Arc<Context>) -> Result<(), ()> {
    let instances = context.instances();
    for (at, instance) in instances.iter().enumerate() {
        instance.check_properties()?;
        info!("[input:{}:{}] initializing", instance.plugin.name(), instance.label());
        let initialised = if instance.is_threaded() {
            threaded::start(context, at)
        } else {
            instance.attach(context.as_host(), &context.shared.events);
            instance.init()
        };
        if initialised.is_err() {
            error!("failed initialize input {}", instance.name);
            return Err(());
        }
    }
    let ours = || instances.iter().filter(|instance| !instance.is_threaded());
    ours().for_each(|instance| instance.pre_run());
    ours().for_each(|instance| instance.start_collectors());
    for instance in instances {
        if let Some(thread) = instance.thread.get() {
            thread.begin();
        }
    }
    Ok(())
}

fn flush(context: &Context) {
    let outputs = context.outputs();
    for instance in context.instances() {
        instance.flush(&outputs);
    }
}

fn pause_inputs(instances: &[Pin<Box<Instance>>]) {
    for instance in instances {
        instance.pause();
    }
}

/// The last steps: inputs are paused again, then ended in reverse order.
fn exit_inputs(instances: &[Pin<Box<Instance>>]) {
    pause_inputs(instances);
    for instance in instances.iter().rev().filter(|instance| instance.is_attached()) {
        instance.exit();
    }
}

/// A shutdown under way: once a second it is looked whether everything is out.
struct Shutdown {
    timer: Timer,
    ticks: i32,
}

impl Shutdown {
    fn begin(context: &Context) -> rustix::io::Result<Self> {
        let shared = &context.shared;
        match shared.grace() {
            grace @ 0.. => warning!("[engine] service will shutdown in max {grace} seconds"),
            _ => warning!("[engine] service will shutdown when all remaining tasks are flushed"),
        }
        flush(context);
        shared.end_ingestion();
        info!("[engine] pausing all inputs..");
        pause_inputs(context.instances());
        let timer = Timer::start(1, 0)?;
        shared.events.watch(timer.as_fd(), SHUTDOWN)?;
        Ok(Self { timer, ticks: 0 })
    }

    /// `true` when it is time to end.
    fn tick(&mut self, context: &Context) -> bool {
        self.timer.acknowledge();
        self.ticks += 1;
        let count = |instance: &Pin<Box<Instance>>| {
            let chunks = instance.chunks.lock().expect("no panic under it");
            // Up to 4.0.2 a chunk that no output had been offered yet was forgotten here.
            if context.shared.host.version > 40_002 { chunks.count() } else { chunks.offered() }
        };
        let pending: usize = context.instances().iter().map(count).sum();
        if pending > 0 {
            info!("[engine] pending chunk count: memory={pending}; grace_timer={}", self.ticks);
        }
        let grace = context.shared.grace();
        if pending > 0 && (grace < 0 || self.ticks < grace) {
            flush(context);
            return false;
        }
        info!("[engine] service has stopped ({pending} pending tasks)");
        true
    }
}
