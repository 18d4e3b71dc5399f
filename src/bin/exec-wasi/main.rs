//! `exec-wasi`: a stand-in for Fluent Bit that loads the plugin through the very C interface.
//!
//! For trying the plugin without a Fluent Bit, and for tests: it can pose as any layout the plugin has to
//! cope with, and it notices misuse of the interface. It shares no code with the plugin's library, so that
//! a mistake in one isn't repeated in the other. And `exec-wasi compile` has the plugin compile a program
//! to a file.
//!
//! How it is built up:
//! - what a plugin sees: `hosts` (the releases), `surface.c` and `surface` (exported symbols), `api`,
//!   `counters` (functions), `abi` (structs), `plugins`, `instance`, `properties` (what lies in memory);
//! - what runs: `engine` (thread `flb-pipeline`), `shared`, `threaded` (threads of inputs), `events`, `collectors`,
//!   `signals` (main thread);
//! - where records go: `ingest`, `chunks`, `output` (threads `flb-out-…`), `sink`, `records`;
//! - apart from all that: `compile`.

#![deny(unsafe_op_in_unsafe_fn)]

mod abi;
mod api;
mod args;
mod builtin;
mod chunks;
mod collectors;
mod compile;
mod context;
mod counters;
mod demo;
mod engine;
mod events;
mod help;
mod hosts;
mod ingest;
mod instance;
mod log;
mod misuse;
mod options;
mod output;
mod parsers;
mod plugins;
mod properties;
mod records;
mod settings;
mod shared;
mod signals;
mod sink;
mod surface;
mod threaded;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use args::{Args, Task};
use context::{Context, NOT_STARTED};
use engine::Engine;
use log::{error, info};
use signals::Message;
use surface::Surface;

/// Exit code for a command line that can't be understood.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    misuse::enter_host_thread();
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if words.first().is_some_and(|word| word == "compile") {
        return compile(words);
    }
    let prepared = if words.is_empty() { demo::prepare() } else { args::parse(words).and_then(complete) };
    let args = match prepared {
        Ok(args) => args,
        Err(error) => {
            eprintln!("exec-wasi: {error}");
            demo::clean_up();
            return ExitCode::from(USAGE);
        }
    };
    log::set_level(args.log_level);
    let status = match args.task {
        Task::ListHosts => printed(help::list_hosts(&mut io::stdout())),
        Task::Version => printed(help::version(&mut io::stdout(), args.host.name)),
        Task::Help | Task::Run => perform(&args).unwrap_or_else(|status| status),
    };
    demo::clean_up();
    let status = if status == 0 && misuse::seen() { misuse::EXIT_CODE } else { status };
    // As a shell sees it: -1 is 255.
    ExitCode::from(u8::try_from(status & 0xff).expect("masked"))
}

/// The exit code of what only prints. Who reads it may have read enough.
fn printed(done: io::Result<()>) -> i32 {
    match done {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("exec-wasi: {error}");
            NOT_STARTED
        }
        _ => 0,
    }
}

/// `exec-wasi compile`.
fn compile(words: Vec<OsString>) -> ExitCode {
    let done = compile::run(words.into_iter().skip(1));
    demo::clean_up();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("exec-wasi compile: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Fills in what the command line left open.
fn complete(mut args: Args) -> Result<Args, String> {
    let loads = matches!(args.task, Task::Run | Task::Help);
    if loads && args.plugins.is_empty() {
        args.plugins.push(demo::find_plugin()?);
    }
    Ok(args)
}

/// Loads everything and runs it, or prints help. The error is an exit code; the log has the reason.
fn perform(args: &Args) -> Result<i32, i32> {
    let refused = |error: String| {
        eprintln!("exec-wasi: {error}");
        NOT_STARTED
    };
    let surface = Surface::load(args).map_err(refused)?;
    if args.task == Task::Help {
        let context = Context::with_plugins(&surface, args)?;
        return Ok(printed(help::print(&mut io::stdout(), &surface, args, &context)));
    }
    let mailbox = signals::install().map_err(|error| refused(error.to_string()))?;
    let (version, pid) = (args.host.name, std::process::id());
    info!("[fluent bit] version={version} (imitated by exec-wasi), pid={pid}");
    let context = Context::new(&surface, args)?;
    let mut engine = Engine::start(context)?;
    loop {
        match mailbox.wait().map_err(|error| refused(error.to_string()))? {
            // The message may come from an engine that a reload has ended.
            Message::Ended if engine.context.shared.has_ended() => return Ok(engine.join()),
            Message::Ended => {}
            Message::Signal(libc::SIGHUP) if surface.host.can_reload() => {
                signals::install_fault_handlers();
                engine = reload(&surface, args, engine)?;
            }
            Message::Signal(libc::SIGCONT) => {
                dump(&engine.context);
                if surface.host.can_reload() {
                    signals::install_fault_handlers();
                }
            }
            Message::Signal(signal) => {
                info!("[engine] caught signal ({signal})");
                engine.context.shared.request_stop();
            }
        }
    }
}

/// Replaces the running context by a new one. If the new one can't be built the old one goes on; if it
/// can't be *started*, the program ends: the old one is gone by then.
fn reload(surface: &Surface, args: &Args, engine: Engine) -> Result<Engine, i32> {
    if !args.hot_reload {
        log::warning!("[reload] hot reloading is not enabled");
        return Ok(engine);
    }
    info!("reloading instance pid={}", std::process::id());
    let next = match Context::new(surface, args) {
        Ok(next) if next.check_properties().is_ok() => next,
        _ => {
            error!("[reload] reloaded config is invalid. Reloading is halted");
            return Ok(engine);
        }
    };
    info!("[reload] stop everything of the old context");
    engine.stop();
    info!("[reload] start everything");
    let engine = Engine::start(next).inspect_err(|_| {
        error!("[reload] loaded configuration contains error(s). Reloading is aborted");
    })?;
    info!("[reload] successful reload done.");
    Ok(engine)
}

/// What SIGCONT prints: where the records are, and the plugins' counters.
fn dump(context: &Context) {
    info!("[dump] {} records received", context.shared.records());
    for instance in context.instances() {
        let (chunks, bytes) = {
            let chunks = instance.chunks.lock().expect("no panic under it");
            (chunks.count(), chunks.bytes())
        };
        let paused = instance.buffer_paused.load(std::sync::atomic::Ordering::Relaxed);
        let label = instance.label();
        info!("[dump] input {label}: chunks={chunks} bytes={bytes} overlimit={paused}");
        for line in instance.counters.lines() {
            info!("[dump] {line}");
        }
    }
}
