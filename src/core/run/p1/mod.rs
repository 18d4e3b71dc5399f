//! WASI 0.1: core modules that import `wasi_snapshot_preview1` and export `_start`.
//!
//! The functions are wasmtime-wasi's, but for a few cases of some of them that are answered here: writing to
//! standard output and error (`write`), opening files (`files`) and exit codes (`exit`). Every other case goes to
//! wasmtime-wasi's own function with the arguments untouched, so what is exact there stays exact. That function is
//! reached by the path its generated code has, which is no promised interface: a new version of wasmtime-wasi is a
//! moment to look here.

mod exit;
mod files;
mod memory;
mod write;

use wasmtime::{Engine, InstancePre, Linker, Store, WasmBacktrace};

pub use files::OpenFiles;
pub use write::Direct;

use super::limits::bound;
use super::outcome::{Outcome, causes};
use super::sandbox::State;
use crate::config::Config;

/// The name under which modules import WASI 0.1.
const MODULE: &str = "wasi_snapshot_preview1";

// Results of its functions.
const SUCCESS: i32 = 0;
/// Too many open files.
const EMFILE: i32 = 33;

/// Puts our answers in front of wasmtime-wasi's own, which `linker` has.
///
/// # Errors
/// Only if its types were no longer those of WASI 0.1.
pub fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    exit::add_to_linker(linker)?;
    write::add_to_linker(linker)?;
    files::add_to_linker(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Runs a module's `_start` to its end. Dropping the future ends the guest.
pub async fn run(engine: &Engine, module: &InstancePre<State>, config: &Config, state: State) -> Outcome {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limits);
    bound(&mut store, config);
    store.data_mut().no_backtrace = Some(WasmBacktrace::capture(&store));
    let instance = match module.instantiate_async(&mut store).await {
        Ok(instance) => instance,
        Err(error) => return Outcome::of_failed_start(&error, &store.data().limits, config),
    };
    let start = match instance.get_typed_func::<(), ()>(&mut store, "_start") {
        Ok(start) => start,
        Err(error) => return Outcome::NotStarted { reason: causes(&error) },
    };
    match start.call_async(&mut store, ()).await {
        Ok(()) => Outcome::Exited { code: 0 },
        Err(error) => Outcome::of_error(&error, &store.data().limits, config),
    }
}
