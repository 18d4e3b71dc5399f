//! WASI 0.2: components that export `wasi:cli/run`.
//!
//! They get the same as core modules do, through the same streams and within the same limits. The
//! interfaces for sockets are there, since programs of some languages import them whether they use them or
//! not, and answer every request with a refusal.

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::engine::GuestEngine;
use super::limits::Limits;
use super::outcome::Outcome;
use super::sandbox;
use super::stdio::Streams;
use crate::config::Config;

/// Handles that a component may hold besides those for files: streams, things to wait for, directories.
const OTHER_HANDLES: usize = 100;
/// An open file is a handle, and reading or writing it one more.
const HANDLES_PER_FILE: usize = 2;

/// The data of one run's store.
pub struct State {
    wasi: WasiCtx,
    handles: ResourceTable,
    limits: Limits,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.handles }
    }
}

impl State {
    /// Everything one run is granted; see [`sandbox`].
    ///
    /// # Errors
    /// A directory that can't be opened, with the reason.
    pub fn granted(config: &Config, streams: &Streams) -> Result<Self, String> {
        let mut handles = ResourceTable::new();
        handles.set_max_capacity(OTHER_HANDLES + HANDLES_PER_FILE * config.open_files_limit as usize);
        Ok(Self {
            wasi: sandbox::grants(config, streams)?.build(),
            handles,
            limits: Limits::of_component(config.memory_limit_bytes),
        })
    }
}

/// The functions a component may import.
///
/// # Errors
/// Only if wasmtime-wasi defined a name twice.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(linker)
}

/// Makes a compiled component ready to run.
///
/// # Errors
/// What it imports and isn't there, or that it is no command, with what it exports instead.
pub fn prepare(engine: &GuestEngine, component: &Component) -> Result<CommandPre<State>, String> {
    let exports: Vec<String> =
        component.component_type().exports(&engine.engine).map(|(name, _)| name.to_owned()).collect();
    if !exports.iter().any(|name| name.starts_with("wasi:cli/run@0.2")) {
        let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        return Err(format!("it is a component but no command: it exports {exports}, not wasi:cli/run@0.2"));
    }
    let linker = engine.component_linker().map_err(|error| super::outcome::causes(&error))?;
    let instance = linker.instantiate_pre(component).map_err(|error| {
        format!("it asks for what WASI 0.2 does not have: {}", super::outcome::causes(&error))
    })?;
    CommandPre::new(instance).map_err(|error| super::outcome::causes(&error))
}

/// Runs a component's `run` to its end. Dropping the future ends the guest.
pub async fn run(
    engine: &GuestEngine,
    command: &CommandPre<State>,
    config: &Config,
    state: State,
) -> Outcome {
    let mut store = Store::new(&engine.engine, state);
    store.limiter(|state| &mut state.limits);
    engine.bound(&mut store, config);
    let command = match command.instantiate_async(&mut store).await {
        Ok(command) => command,
        Err(error) => return Outcome::of_failed_start(&error, &store.data().limits, config),
    };
    match command.wasi_cli_run().call_run(&mut store).await {
        Ok(Ok(())) => Outcome::Exited { code: 0 },
        Ok(Err(())) => Outcome::Exited { code: 1 },
        Err(error) => Outcome::of_error(&error, &store.data().limits, config),
    }
}
