//! What a guest is given. When no option is set, that is:
//!
//! - its program name as the only argument, and an empty environment;
//! - no directory, no network;
//! - standard input that is at its end;
//! - standard output, which becomes records, and standard error (option `stderr`);
//! - clocks and random numbers;
//! - memory up to `memory_limit`.

use std::env::VarError;
use std::path::Path;

use wasmtime::{Memory, WasmBacktrace};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use super::clocks::{Monotonic, Wall};
use super::env_file;
use super::limits::Limits;
use super::outcome::causes;
use super::p1::{Direct, OpenFiles};
use super::stdio::Streams;
use crate::config::{Config, STATE_DIR_OF_GUEST};

/// The data of one run's store, for a core module.
pub struct State {
    /// The system interface.
    pub wasi: WasiP1Ctx,
    /// Its bounds.
    pub limits: Limits,
    /// Standard streams that need no detour.
    pub direct: Direct,
    /// What it has open.
    pub files: OpenFiles,
    /// The guest's memory, once it was looked up.
    pub memory: Option<Memory>,
    /// The backtrace of a guest that isn't running, for an end that needs none.
    pub no_backtrace: Option<WasmBacktrace>,
}

impl State {
    /// Everything one run is granted.
    ///
    /// # Errors
    /// A directory that can't be opened, with the reason.
    pub fn granted(config: &Config, streams: &Streams, files: OpenFiles) -> Result<Self, String> {
        Ok(Self {
            wasi: grants(config, streams)?.build_p1(),
            limits: Limits::of_module(config.memory_limit_bytes),
            direct: Direct::new(streams.stdout.clone(), streams.stderr.clone()),
            files,
            memory: None,
            no_backtrace: None,
        })
    }
}

/// What a guest is given, whatever its form. Directories are opened here, so that one that was replaced
/// since the last run is seen.
///
/// # Errors
/// A directory that can't be opened, with the reason.
pub fn grants(config: &Config, streams: &Streams) -> Result<WasiCtxBuilder, String> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(streams.stdout.clone()).stderr(streams.stderr.clone());
    wasi.wall_clock(Wall).monotonic_clock(Monotonic);
    wasi.arg(program_name(config)).args(&config.args);
    for (name, value) in environment(config)? {
        wasi.env(name, value);
    }
    for preopen in &config.preopens {
        let permissions = if preopen.writable { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        open(&mut wasi, "accessible_paths", &preopen.host, &preopen.guest, permissions)?;
    }
    if let Some(directory) = &config.state_dir {
        open(&mut wasi, "state_dir", directory, STATE_DIR_OF_GUEST, FsPerms::ReadWrite)?;
    }
    Ok(wasi)
}

/// Its variables, each once: what `env` says goes before `env_file`, and that before what is inherited.
fn environment(config: &Config) -> Result<Vec<(String, String)>, String> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let inherited = config.inherit_env.iter().filter_map(|name| inherited(name).transpose());
    let inherited = inherited.collect::<Result<Vec<_>, _>>()?;
    let from_file = config.env_file.as_deref().map(env_file::read).transpose()?;
    let own = config.env.iter().cloned();
    for (name, value) in inherited.into_iter().chain(from_file.into_iter().flatten()).chain(own) {
        match variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => variables.push((name, value)),
        }
    }
    Ok(variables)
}

/// A variable of the host's, if it has it.
fn inherited(name: &str) -> Result<Option<(String, String)>, String> {
    match std::env::var(name) {
        Ok(value) => Ok(Some((name.to_owned(), value))),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!(
            "inherit_env \"{name}\" can't be passed on: its value is not UTF-8, as that of a program's variables must be"
        )),
    }
}

/// `argv[0]`: the name of the program's file.
fn program_name(config: &Config) -> String {
    let name = config.program.file_name().unwrap_or(config.program.as_os_str());
    name.to_string_lossy().into_owned()
}

fn open(
    wasi: &mut WasiCtxBuilder,
    option: &str,
    host: &Path,
    guest: &str,
    permissions: FsPerms,
) -> Result<(), String> {
    let opened = wasi.preopened_dir(host, guest, permissions);
    opened.map(drop).map_err(|error| {
        format!("{option} \"{}\" can't be opened as a directory: {}", host.display(), causes(&error))
    })
}
