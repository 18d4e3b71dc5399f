//! The floor: the same programs in wasmtime with as little around it as possible. What they print is
//! counted and thrown away; there are no lines, no records and no host.
//!
//! It runs in a process of its own (this program once more), so that it is measured as the host is.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use wasmtime::{Caller, Config, Engine, Extern, Linker, Module, Result, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

use crate::process::{Process, own_cpu_seconds};

/// The argument that makes this program the floor.
pub const ARGUMENT: &str = "--floor";

const MODULE: &str = "wasi_snapshot_preview1";
const FD_WRITE: &str = "fd_write";

/// Longest time for a floor.
const PATIENCE: Duration = Duration::from_secs(120);

/// CPU seconds.
pub struct Floor {
    /// Of the whole process.
    pub all: f64,
    /// Of the runs after the first.
    pub further: f64,
}

/// Runs a program so many times in a process of its own, each so many milliseconds after the last.
pub fn run(folder: &Path, program: &Path, runs: u32, every_ms: u32) -> Result<Floor, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this);
    command.arg(ARGUMENT).arg(program).args([runs.to_string(), every_ms.to_string()]);
    let log = folder.join("floor");
    let process = Process::start(&mut command, &log).map_err(|error| error.to_string())?;
    let all = process.wait(PATIENCE)?.cpu_seconds;
    let said = fs::read_to_string(&log).map_err(|error| error.to_string())?;
    let further = said.trim().parse().map_err(|_| said)?;
    Ok(Floor { all, further })
}

/// What that process does; it prints what the runs after the first have cost.
pub fn perform(program: &Path, runs: u32, every_ms: u32) -> Result<()> {
    let mut config = Config::new();
    // As in the plugin: see its `guest::engine`. Nobody asks where a program has ended.
    config.signals_based_traps(false).epoch_interruption(true).wasm_backtrace_max_frames(None);
    let engine = Engine::new(&config)?;
    let mut linker = Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |state: &mut State| {
        state.wasi.as_mut().expect("made where it is imported")
    })?;
    linker.allow_shadowing(true).func_wrap(MODULE, FD_WRITE, fd_write)?;
    let module = Module::from_file(&engine, program)?;
    let needs_wasi = module.imports().any(|import| import.name() != FD_WRITE);
    let program = linker.instantiate_pre(&module)?;
    let mut start = Instant::now();
    let mut after_first = 0.0;
    for run in 0..runs {
        // With the same pauses as in a host: one run right after the other is far cheaper, since the
        // processor neither sleeps nor forgets in between.
        std::thread::sleep(start.saturating_duration_since(Instant::now()));
        start += Duration::from_millis(every_ms.into());
        let wasi = needs_wasi.then(|| WasiCtxBuilder::new().build_p1());
        let mut store = Store::new(&engine, State { printed: 0, wasi });
        store.set_epoch_deadline(1);
        let instance = program.instantiate(&mut store)?;
        let ended = instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ());
        if let Err(error) = ended
            && error.downcast_ref::<I32Exit>().is_none_or(|exit| exit.0 != 0)
        {
            return Err(error);
        }
        assert!(store.data().printed > 0, "it prints something");
        drop(store);
        if run == 0 {
            after_first = own_cpu_seconds();
        }
    }
    println!("{}", own_cpu_seconds() - after_first);
    Ok(())
}

/// What one run has.
struct State {
    /// Bytes.
    printed: u64,
    /// For programs that import more than a function to print with.
    wasi: Option<WasiP1Ctx>,
}

fn fd_write(mut caller: Caller<'_, State>, _fd: i32, vectors: i32, count: i32, written: i32) -> i32 {
    const INVALID: i32 = 28;
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else { return INVALID };
    let (memory, state) = memory.data_and_store_mut(&mut caller);
    let word = |at: i32| {
        let at = at.cast_unsigned() as usize;
        memory.get(at..at + 4).map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")))
    };
    let mut len = 0;
    for vector in 0..count {
        let Some(bytes) = word(vectors + 8 * vector + 4) else { return INVALID };
        len += bytes;
    }
    let at = written.cast_unsigned() as usize;
    let Some(place) = memory.get_mut(at..at + 4) else { return INVALID };
    place.copy_from_slice(&len.to_le_bytes());
    state.printed += u64::from(len);
    0
}
