//! Inputs with `threaded on`: their callbacks run on a thread of their own, their records are queued.

use std::collections::VecDeque;
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use std::sync::atomic::Ordering;

use crate::collectors::from_token;
use crate::context::Context;
use crate::events::{BELL, EventLoop};
use crate::instance::Instance;
use crate::log::{error, info};
use crate::misuse;

/// Appends that may wait for the engine, and when the engine is woken for them.
const RING_ENTRIES: usize = 1024;
const RING_WINDOW: usize = 51;
/// A full ring is tried again so often before the records are dropped.
const TRIES: u32 = 10;
const TRY_EVERY: Duration = Duration::from_millis(100);

/// From this release on, queued records wait while the input is paused, and `cb_resume` runs on the
/// input's thread; before, they were lost, and it ran on the engine's.
pub const FIXED_IN: u32 = 20_109;

enum Command {
    Begin,
    Pause,
    Resume,
    Exit,
}

struct Entry {
    records: Option<usize>,
    tag: Option<String>,
    bytes: Vec<u8>,
}

/// The engine's end of such a thread.
pub struct InputThread {
    /// The thread's own loop; its bell announces commands.
    events: Arc<EventLoop>,
    engine: Arc<EventLoop>,
    commands: Mutex<VecDeque<Command>>,
    /// Written by the input's thread, emptied by the engine's.
    ring: Mutex<VecDeque<Entry>>,
    room: Condvar,
    handle: Mutex<Option<JoinHandle<()>>>,
}

/// Starts an instance's thread and waits for its `cb_init`.
pub fn start(context: &Arc<Context>, at: usize) -> Result<(), ()> {
    let instance = &context.instances()[at];
    let events = Arc::new(EventLoop::new().map_err(|error| error!("[input] event loop: {error}"))?);
    instance.attach(context.as_host(), &events);
    let thread = InputThread {
        events,
        engine: Arc::clone(&context.shared.events),
        commands: Mutex::default(),
        ring: Mutex::default(),
        room: Condvar::new(),
        handle: Mutex::default(),
    };
    assert!(instance.thread.set(thread).is_ok(), "a thread is started once");
    let (report, initialised) = channel();
    let own = Arc::clone(context);
    // The kernel keeps 15 bytes of it.
    let handle = thread::Builder::new().name(format!("flb-in-{}", instance.name)).spawn(move || {
        misuse::enter_host_thread();
        let instance = &own.instances()[at];
        let result = instance.init();
        let failed = result.is_err();
        // The engine waits for it.
        let _ = report.send(result);
        if !failed {
            serve(instance);
        }
    });
    let handle = handle.map_err(|error| error!("[input] starting a thread: {error}"))?;
    let thread = instance.thread.get().expect("set above");
    *thread.handle.lock().expect("no panic under it") = Some(handle);
    initialised.recv().unwrap_or(Err(()))
}

/// The thread's loop: collectors and, between them, commands.
fn serve(instance: &Instance) {
    let thread = instance.thread.get().expect("set before the thread was started");
    loop {
        for token in thread.events.wait(None) {
            if token != BELL {
                instance.collect(from_token(token).1);
                continue;
            }
            while let Some(command) = thread.next_command() {
                match command {
                    Command::Begin => {
                        instance.start_collectors();
                        instance.pre_run();
                    }
                    Command::Pause => {
                        info!("[input] pausing {}", instance.label());
                        instance.call_pause();
                    }
                    Command::Resume => {
                        info!("[input] resume {}", instance.label());
                        instance.call_resume();
                    }
                    Command::Exit => {
                        instance.call_exit();
                        return;
                    }
                }
            }
        }
    }
}

/// Moves queued records of a threaded instance into its chunks; on the engine's thread.
pub fn drain(instance: &Instance) {
    let Some(thread) = instance.thread.get() else { return };
    let waits = instance.shared.host.version >= FIXED_IN;
    while !(waits && instance.buffer_paused.load(Ordering::Relaxed)) {
        let entry = thread.ring.lock().expect("no panic under it").pop_front();
        let Some(entry) = entry else { return };
        thread.room.notify_one();
        instance.append(entry.records, entry.tag.as_deref(), &entry.bytes);
    }
}

impl InputThread {
    fn next_command(&self) -> Option<Command> {
        self.commands.lock().expect("no panic under it").pop_front()
    }

    fn send(&self, command: Command) {
        self.commands.lock().expect("no panic under it").push_back(command);
        self.events.ring();
    }

    /// Collectors may start.
    pub fn begin(&self) {
        self.send(Command::Begin);
    }

    pub fn pause(&self) {
        self.send(Command::Pause);
    }

    pub fn resume(&self) {
        self.send(Command::Resume);
    }

    /// Ends the thread after `cb_exit`; waits as long as that takes.
    pub fn exit_and_join(&self) {
        self.send(Command::Exit);
        let handle = self.handle.lock().expect("no panic under it").take();
        if handle.is_some_and(|handle| handle.join().is_err()) {
            error!("[input] a thread of an input panicked");
        }
    }

    /// An append on the input's thread: 0 when it is queued. With the queue full it waits for up to a
    /// second; then the records are dropped.
    pub fn queue(&self, records: Option<usize>, tag: Option<&str>, bytes: &[u8]) -> i32 {
        let mut ring = self.ring.lock().expect("no panic under it");
        for _ in 0..TRIES {
            if ring.len() < RING_ENTRIES {
                let (tag, bytes) = (tag.map(str::to_owned), bytes.to_vec());
                ring.push_back(Entry { records, tag, bytes });
                if ring.len() >= RING_WINDOW {
                    self.engine.ring();
                }
                return 0;
            }
            ring = self.room.wait_timeout(ring, TRY_EVERY).expect("no panic under it").0;
        }
        error!("[input] could not enqueue records into the ring buffer");
        -1
    }
}
