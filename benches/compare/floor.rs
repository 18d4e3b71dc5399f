//! The floor: the same programs in wasmtime with as little around it as possible. What they print is
//! counted and thrown away; there are no lines, no records and no host.
//!
//! It runs in a process of its own (this program once more), so that it is measured as the host is.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use wasmtime::{Caller, Config, Engine, Extern, Linker, Module, Result, Store};

use crate::process::{Cost, Process};

/// The argument that makes this program the floor.
pub const ARGUMENT: &str = "--floor";

/// Longest time for a floor.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a program so many times in a process of its own, each so many milliseconds after the last.
pub fn run(folder: &Path, program: &Path, runs: u32, every_ms: u64) -> Result<Cost, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this);
    command.arg(ARGUMENT).arg(program).args([runs.to_string(), every_ms.to_string()]);
    let process = Process::start(&mut command, &folder.join("floor")).map_err(|error| error.to_string())?;
    process.wait(PATIENCE)
}

/// What that process does.
pub fn perform(program: &Path, runs: u32, every_ms: u64) -> Result<()> {
    let mut config = Config::new();
    // As in the plugin: see its `guest::engine`.
    config.signals_based_traps(false).epoch_interruption(true);
    let engine = Engine::new(&config)?;
    let mut linker = Linker::new(&engine);
    linker.func_wrap("wasi_snapshot_preview1", "fd_write", fd_write)?;
    let program = linker.instantiate_pre(&Module::from_file(&engine, program)?)?;
    let mut start = Instant::now();
    for _ in 0..runs {
        // With the same pauses as in a host: one run right after the other is far cheaper, since the
        // processor neither sleeps nor forgets in between.
        std::thread::sleep(start.saturating_duration_since(Instant::now()));
        start += Duration::from_millis(every_ms);
        let mut store = Store::new(&engine, 0);
        store.set_epoch_deadline(1);
        let instance = program.instantiate(&mut store)?;
        instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
        assert!(*store.data() > 0, "it prints something");
    }
    Ok(())
}

fn fd_write(mut caller: Caller<'_, u64>, _fd: i32, vectors: i32, count: i32, written: i32) -> i32 {
    const INVALID: i32 = 28;
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else { return INVALID };
    let (memory, printed) = memory.data_and_store_mut(&mut caller);
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
    *printed += u64::from(len);
    0
}
