//! Components: programs that export `wasi:cli/run` of WASI 0.2 or 0.3.
//!
//! They get the same as core modules do, through the same streams and within the same limits, and a network
//! besides, if the options grant one ([`network`](super::network)). Which of the two a component is, its
//! exports say; one that has both is run as the newer.

use std::sync::Arc;

use memchr::memmem;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::p2::bindings::CommandPre as CommandOfP2;
use wasmtime_wasi::p3::bindings::CommandPre as CommandOfP3;
use wasmtime_wasi::sockets::WasiSocketsCtxView;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
#[cfg(feature = "http")]
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::engine::GuestEngine;
use super::limits::{Limits, bound};
use super::listings::{self, Listings};
#[cfg(feature = "http")]
use super::network::http::{self, Client};
use super::network::names::LookUps;
use super::network::{Network, Reach, names, sockets};
use super::outcome::{Outcome, causes};
use super::sandbox;
use super::stdio::Streams;
use crate::config::Config;

/// Handles that a component may hold besides those for files: streams, things to wait for, directories.
const OTHER_HANDLES: usize = 100;
/// An open file is a handle, and reading or writing it one more.
const HANDLES_PER_FILE: usize = 2;
/// A socket is a handle, each of its two streams is, and what waits for one.
const HANDLES_PER_CONNECTION: usize = 4;

/// Bytes that the host copies for one call of a component, which may name the same megabyte again and again. More than
/// anybody hands over at a time; the functions that take much are asked beforehand how much.
const CALL_BYTES: usize = 16 << 20;
/// The same for one whose memory is small.
const CALL_BYTES_AT_LEAST: usize = 1 << 20;

/// The data of one run's store.
pub struct State {
    wasi: WasiCtx,
    handles: ResourceTable,
    limits: Limits,
    /// Whom it may talk to.
    pub network: Network,
    look_ups: LookUps,
    listings: Listings,
    #[cfg(feature = "http")]
    http: WasiHttpCtx,
    #[cfg(feature = "http")]
    client: Client,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.handles }
    }
}

#[cfg(feature = "http")]
impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.client, table: &mut self.handles, ctx: &mut self.http }
    }
}

impl State {
    /// Everything one run is granted; see [`sandbox`].
    ///
    /// # Errors
    /// A directory that can't be opened, with the reason.
    pub fn granted(config: &Config, streams: &Streams, reach: &Arc<Reach>) -> Result<Self, String> {
        let mut handles = ResourceTable::new();
        handles.set_max_capacity(most_handles(config));
        let network = Network::new(reach);
        let mut wasi = sandbox::grants(config, streams)?;
        network.grant(&mut wasi);
        Ok(Self {
            wasi: wasi.build(),
            handles,
            limits: Limits::of_component(config.memory_limit_bytes),
            look_ups: LookUps::default(),
            listings: Listings::default(),
            #[cfg(feature = "http")]
            http: WasiHttpCtx::new(),
            #[cfg(feature = "http")]
            client: Client::new(network.clone()),
            network,
        })
    }

    /// What looking up names works with.
    pub fn look_ups_and_sockets(&mut self) -> (&mut LookUps, WasiSocketsCtxView<'_>) {
        let sockets = WasiSocketsCtxView { ctx: self.wasi.sockets(), table: &mut self.handles };
        (&mut self.look_ups, sockets)
    }

    /// What listing a directory works with.
    pub fn listings_and_files(&mut self) -> (&mut Listings, WasiFilesystemCtxView<'_>) {
        let files = WasiFilesystemCtxView { ctx: self.wasi.filesystem(), table: &mut self.handles };
        (&mut self.listings, files)
    }
}

/// Handles that a component may hold at a time; and of WASI 0.3, tasks, streams and futures. One more ends it: there is
/// no error for that in most interfaces.
pub fn most_handles(config: &Config) -> usize {
    let for_connections = if config.has_network() { config.connections_limit as usize } else { 0 };
    OTHER_HANDLES
        + HANDLES_PER_FILE * config.open_files_limit as usize
        + HANDLES_PER_CONNECTION * for_connections
}

/// A component that is ready to run.
pub enum Command {
    /// Of WASI 0.2.
    P2(CommandOfP2<State>),
    /// Of WASI 0.3.
    P3(CommandOfP3<State>),
}

/// The functions a component may import: of WASI 0.2, and where the engine is for it, of 0.3 as well.
///
/// # Errors
/// Only if wasmtime-wasi defined a name twice.
pub fn linker(engine: &Engine, concurrent: bool) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    #[cfg(feature = "http")]
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    linker.allow_shadowing(true);
    listings::add_to_linker(&mut linker)?;
    names::add_p2_to_linker(&mut linker)?;
    sockets::add_p2_to_linker(&mut linker)?;
    #[cfg(feature = "http")]
    http::add_p2_to_linker(&mut linker)?;
    linker.allow_shadowing(false);
    if concurrent {
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        #[cfg(feature = "http")]
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        linker.allow_shadowing(true);
        names::add_p3_to_linker(&mut linker)?;
        sockets::add_p3_to_linker(&mut linker)?;
        #[cfg(feature = "http")]
        http::add_p3_to_linker(&mut linker)?;
    }
    Ok(linker)
}

/// Whether a program is one of WASI 0.3, as far as its bytes tell: the name of what it exports is somewhere
/// in them, whatever their form. One that has it there for another reason is none, but runs all the same.
pub fn is_concurrent(content: &[u8]) -> bool {
    memmem::find(content, RUN_OF_P3.as_bytes()).is_some()
}

/// What components of WASI 0.3 export, but for the rest of the version.
pub const RUN_OF_P3: &str = "wasi:cli/run@0.3";

/// Makes a compiled component ready to run.
///
/// # Errors
/// What it imports and isn't there, or that it is no command, with what it exports instead.
pub fn prepare(engine: &GuestEngine, component: &Component) -> Result<Command, String> {
    let exports: Vec<String> =
        component.component_type().exports(&engine.engine).map(|(name, _)| name.to_owned()).collect();
    let runs_as = |version| exports.iter().any(|name| name.starts_with(version));
    let (newer, older) = (runs_as(RUN_OF_P3), runs_as("wasi:cli/run@0.2"));
    if !newer && !older {
        let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        return Err(format!("it is a component but no command: it exports {exports}, not wasi:cli/run"));
    }
    let linker = engine.component_linker().map_err(|error| causes(&error))?;
    let instance = linker
        .instantiate_pre(component)
        .map_err(|error| format!("it asks for what is not there: {}", causes(&error)))?;
    let command = if newer {
        CommandOfP3::new(instance).map(Command::P3)
    } else {
        CommandOfP2::new(instance).map(Command::P2)
    };
    command.map_err(|error| causes(&error))
}

/// Runs a component's `run` to its end. Dropping the future ends the guest.
pub async fn run(
    engine: &GuestEngine,
    command: &Command,
    config: &Config,
    streams: &Streams,
    state: State,
) -> Outcome {
    let mut store = Store::new(&engine.engine, state);
    store.limiter(|state| &mut state.limits);
    bound(&mut store, config);
    let memory = usize::try_from(config.memory_limit_bytes).unwrap_or(usize::MAX);
    store.set_hostcall_fuel(CALL_BYTES.min(memory.saturating_add(CALL_BYTES_AT_LEAST)));
    if let Some(tasks) = store.concurrent_resource_table() {
        tasks.set_max_capacity(most_handles(config));
    }
    let ended = match command {
        Command::P2(command) => match command.instantiate_async(&mut store).await {
            Ok(command) => command.wasi_cli_run().call_run(&mut store).await,
            Err(error) => return Outcome::of_failed_start(&error, &store.data().limits, config),
        },
        Command::P3(command) => match command.instantiate_async(&mut store).await {
            Ok(command) => {
                let run = store.run_concurrent(async |store| command.wasi_cli_run().call_run(store).await);
                let ended = tokio::select! {
                    biased;
                    () = streams.limit_reached() => None,
                    ended = run => Some(ended.flatten()),
                };
                match ended {
                    // Also if it has returned without waiting for what it wrote.
                    Some(ended) if !streams.is_limit_reached() => ended,
                    _ => return Outcome::over_output_limit(config),
                }
            }
            Err(error) => return Outcome::of_failed_start(&error, &store.data().limits, config),
        },
    };
    match ended {
        Ok(Ok(())) => Outcome::Exited { code: 0 },
        Ok(Err(())) => Outcome::Exited { code: 1 },
        Err(error) => Outcome::of_error(&error, &store.data().limits, config),
    }
}
