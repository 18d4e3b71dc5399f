//! One input's options: names, defaults, meaning, and what is wrong with them.
//!
//! Plain data, made once from the properties the host hands over; nothing is opened or looked up here.
//! Values are written as everywhere in Fluent Bit: sizes are decimal (`1M` is 1,000,000), times are whole
//! seconds with an optional unit, booleans are on/off words.

mod allow;
mod options;
mod reader;

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use self::allow::{Rules, Target};
pub use self::options::{Kind, OPTIONS, OptionSpec};
use self::reader::Reader;

use crate::record::encode::Format;
use crate::record::lines::LongLines;
use crate::schedule::Rhythm;

const MIN_STACK_BYTES: u64 = 1_000_000;
const MAX_STACK_BYTES: u64 = 256_000_000;
/// A WebAssembly page; with less, no program could have a memory.
const MIN_MEMORY_BYTES: u64 = 65_536;
/// The most a 32-bit memory can have.
const MAX_MEMORY_BYTES: u64 = 1 << 32;
/// Far below what a MessagePack string can hold.
const MAX_LINE_BYTES: u64 = 1_000_000_000;
/// What the guest sees `state_dir` as.
pub const STATE_DIR_OF_GUEST: &str = "/state";
const MAX_PIPE_BYTES: u64 = 10_000_000_000;
/// Far above what a process may have open.
const MAX_OPEN_FILES: u32 = 1_000_000;
/// Each is a descriptor of the host's process.
const MAX_CONNECTIONS: u32 = 10_000;
const MAX_BODY_BYTES: u64 = 1_000_000_000_000;

/// A directory given to the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preopen {
    /// Where it is.
    pub host: PathBuf,
    /// What the guest sees it as.
    pub guest: String,
    /// The guest may change it.
    pub writable: bool,
}

/// What becomes of the guest's standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StderrTo {
    /// The host's log, some lines a second.
    Log,
    /// Records, like standard output; text records then say the stream's name.
    Record,
    /// Nowhere.
    Discard,
}

/// What happens to the host when the only run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRun {
    /// It goes on.
    HostGoesOn,
    /// It stops, with exit code 0.
    HostStops,
    /// It stops, with an exit code that says how the run ended.
    HostStopsWithCode,
}

/// Where compiled programs are kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CachePlace {
    /// Where this user's programs keep such things.
    Default,
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere.
    Off,
}

/// One input's options, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The program's file.
    pub program: PathBuf,
    /// Directories the guest may use.
    pub preopens: Vec<Preopen>,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Environment variables, in the order given.
    pub env: Vec<(String, String)>,
    /// A file with more of them.
    pub env_file: Option<PathBuf>,
    /// Variables of the host to pass on, if set.
    pub inherit_env: Vec<String>,
    /// A directory that only this input may use.
    pub state_dir: Option<PathBuf>,
    /// Whom a component may connect to and what it may look up.
    pub allow_hosts: Rules,
    /// Where a component may wait for others to connect or send.
    pub allow_listen: Rules,
    /// When runs start.
    pub rhythm: Rhythm,
    /// What happens to the host when the only run has ended.
    pub after_run: AfterRun,
    /// Longest time from a failed run to the next.
    pub backoff_max: Duration,
    /// Longest time of a run.
    pub timeout: Option<Duration>,
    /// All linear memories together, in bytes.
    pub memory_limit_bytes: u64,
    /// Instructions of a run.
    pub fuel: Option<u64>,
    /// Bytes that a run may write to its standard output and error together.
    pub output_limit_bytes: Option<u64>,
    /// Files and directories that a run may have open at a time, besides those it is given.
    pub open_files_limit: u32,
    /// Sockets and HTTP requests that a run may have at a time.
    pub connections_limit: u32,
    /// Longest time of an HTTP request, from the connection to the end of the answer.
    pub request_timeout: Duration,
    /// Bytes that the body of an HTTP request or of its answer may have.
    pub body_limit_bytes: u64,
    /// The guest's stack, in bytes.
    pub stack_bytes: u64,
    /// How a line becomes a record's body.
    pub format: Format,
    /// Key of a text record.
    pub message_key: String,
    /// Name of the host's parser for lines.
    pub parser: Option<String>,
    /// Longest line, in bytes.
    pub line_limit_bytes: usize,
    /// What becomes of a longer one.
    pub long_lines: LongLines,
    /// What becomes of standard error.
    pub stderr: StderrTo,
    /// Bytes that may wait for the engine.
    pub pipe_bytes: usize,
    /// Where compiled programs are kept.
    pub cache: CachePlace,
    /// The program's file may hold native code.
    pub precompiled: bool,
    /// Clauses an operator should read once: options that are accepted but do nothing, and the like.
    pub notes: Vec<String>,
}

/// An option that can't be used as it is given.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// `wasi_path` is missing.
    #[error(
        "option \"wasi_path\" is not set: it names the WebAssembly program to run (if your configuration sets it, this plugin is loaded twice: load it once, either with -e or in a plugins file)"
    )]
    NoProgram,
    /// A value that isn't allowed.
    #[error("option \"{option}\" can't be \"{value}\": {allowed}")]
    Invalid {
        /// The option's name.
        option: &'static str,
        /// The value as given.
        value: String,
        /// What would do.
        allowed: String,
    },
    /// A value that can't be told to a guest.
    #[error(
        "option \"{0}\" is not UTF-8, which WASI needs for all names and values: use UTF-8, or a link with such a name"
    )]
    NotText(&'static str),
    /// Two options that can't be used together.
    #[error("options {0} can't be used together: {1}")]
    Conflict(&'static str, &'static str),
}

/// Where property values come from: the host, or a test.
pub trait Properties {
    /// All values given for `name`, in order; the host has expanded variables in them.
    fn values(&self, name: &str) -> Given;
}

/// The values of one option.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// As bytes; they may be no text.
    pub values: Vec<Vec<u8>>,
    /// There may be more, which can't be read.
    pub may_be_more: bool,
}

impl From<Vec<Vec<u8>>> for Given {
    fn from(values: Vec<Vec<u8>>) -> Self {
        Self { values, may_be_more: false }
    }
}

impl Config {
    /// Whether a component may use the network at all.
    #[must_use]
    pub fn has_network(&self) -> bool {
        !self.allow_hosts.is_empty() || !self.allow_listen.is_empty()
    }

    /// Reads and checks every option.
    ///
    /// # Errors
    /// The first option that is missing or can't be used, with its value and what is allowed.
    pub fn from_properties(properties: &impl Properties) -> Result<Self, ConfigError> {
        let reader = Reader::new(properties)?;
        let mut notes = Vec::new();
        let program = reader.text("wasi_path").ok_or(ConfigError::NoProgram)?;
        if reader.text("wasm_heap_size").is_some() {
            notes.push(
                "option \"wasm_heap_size\" has no effect here; memory_limit bounds the guest's memory".into(),
            );
        }
        if reader.may_have_more("env") {
            notes.push(
                "only the first \"env\" can be read, since one is too long, or this process may not look at its own memory; if there are more, put them into a file for option env_file".into(),
            );
        }
        let format = reader.choice("format", &[("text", Format::Text), ("json", Format::Json)])?;
        let parser = reader.text("parser");
        if parser.is_some() && format == Format::Json {
            return Err(ConfigError::Conflict(
                "\"parser\" and \"format json\"",
                "a line is read by one of them",
            ));
        }
        if reader.text("stderr").as_deref() == Some("record")
            && reader.text("message_key").as_deref() == Some("stream")
        {
            return Err(ConfigError::Conflict(
                "\"stderr record\" and \"message_key stream\"",
                "the stream's name has that key",
            ));
        }
        let preopens = reader.preopens()?;
        Ok(Self {
            program: program.into(),
            args: reader.args()?,
            env: reader.env()?,
            env_file: reader.text("env_file").map(PathBuf::from),
            inherit_env: reader.inherit_env()?,
            state_dir: reader.state_dir(&preopens)?,
            allow_hosts: reader.allow_hosts()?,
            allow_listen: reader.allow_listen()?,
            preopens,
            rhythm: reader.rhythm()?,
            after_run: reader.after_run()?,
            backoff_max: reader.time("backoff_max")?.unwrap_or_default(),
            timeout: reader.time("timeout")?,
            memory_limit_bytes: reader.size("memory_limit", MIN_MEMORY_BYTES, MAX_MEMORY_BYTES)?,
            fuel: reader.limit("fuel")?,
            output_limit_bytes: reader.limit("output_limit")?,
            open_files_limit: reader.small_number("open_files_limit", MAX_OPEN_FILES)?,
            connections_limit: reader.small_number("connections_limit", MAX_CONNECTIONS)?,
            request_timeout: reader.time("request_timeout")?.unwrap_or_default(),
            body_limit_bytes: reader.size("body_limit", 1, MAX_BODY_BYTES)?,
            // As the built-in does with its own minimum of 8192 bytes.
            stack_bytes: reader.size("wasm_stack_size", 0, MAX_STACK_BYTES)?.max(MIN_STACK_BYTES),
            format,
            message_key: reader.text("message_key").unwrap_or_default(),
            parser,
            line_limit_bytes: reader.length("buf_size", 1, MAX_LINE_BYTES)?,
            long_lines: reader.choice(
                "long_lines",
                &[("split", LongLines::Split), ("truncate", LongLines::Truncate), ("drop", LongLines::Drop)],
            )?,
            stderr: reader.choice(
                "stderr",
                &[("log", StderrTo::Log), ("record", StderrTo::Record), ("discard", StderrTo::Discard)],
            )?,
            pipe_bytes: reader.length("pipe_size", 1, MAX_PIPE_BYTES)?,
            cache: reader.cache()?,
            precompiled: reader.boolean("precompiled")?,
            notes,
        })
    }
}

#[cfg(test)]
mod tests;
