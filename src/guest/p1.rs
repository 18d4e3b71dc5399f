//! WASI 0.1: core modules that import `wasi_snapshot_preview1` and export `_start`.

use wasmtime::{Engine, InstancePre, Linker, Store};
use wasmtime_wasi::p1;

use super::engine::GuestEngine;
use super::outcome::{Outcome, causes};
use super::p1_calls;
use super::sandbox::State;
use crate::config::Config;

/// The functions a core module may import.
///
/// # Errors
/// Only if wasmtime-wasi defined a name twice.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_async(&mut linker, |state: &mut State| &mut state.wasi)?;
    p1_calls::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Runs a module's `_start` to its end. Dropping the future ends the guest.
pub async fn run(
    engine: &GuestEngine,
    module: &InstancePre<State>,
    config: &Config,
    state: State,
) -> Outcome {
    let mut store = Store::new(&engine.engine, state);
    store.limiter(|state| &mut state.limits);
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let instance = match module.instantiate_async(&mut store).await {
        Ok(instance) => instance,
        Err(error) => {
            let limits = &store.data().limits;
            return match Outcome::of_error(&error, limits, config.memory_limit_bytes) {
                // A start function ran; anything else never got so far.
                outcome @ Outcome::Trapped { limit: None, .. } if error.is::<wasmtime::Trap>() => outcome,
                Outcome::Trapped { limit: Some(limit), .. } => {
                    Outcome::NotStarted { reason: format!("it needs more than {limit} allows") }
                }
                Outcome::Trapped { .. } => Outcome::NotStarted { reason: causes(&error) },
                outcome => outcome,
            };
        }
    };
    let start = match instance.get_typed_func::<(), ()>(&mut store, "_start") {
        Ok(start) => start,
        Err(error) => return Outcome::NotStarted { reason: causes(&error) },
    };
    match start.call_async(&mut store, ()).await {
        Ok(()) => Outcome::Exited { code: 0 },
        Err(error) => Outcome::of_error(&error, &store.data().limits, config.memory_limit_bytes),
    }
}
