//! How a run ended, told apart by type; log level and wording follow from that.

use std::fmt;
use std::time::Duration;

use wasmtime::component::ResourceTableError;
use wasmtime::{Error, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::backtrace::frames;
use super::limits::Limits;
use super::stdio::OutputLimitReached;
use crate::config::Config;
use crate::event::Level;
use crate::schedule::Turnout;

/// Exit code of a process that has found its program but couldn't run it.
pub const EXIT_NOT_STARTED: i32 = 126;

/// Exit code of a process with a defect of ours.
pub const EXIT_DEFECT: i32 = 70;

/// The end of a run.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `_start` returned, or called `proc_exit`.
    Exited {
        /// 0 when it returned.
        code: u32,
    },
    /// The guest did something that can't go on.
    Trapped {
        /// wasmtime's words for it.
        reason: String,
        /// Innermost function first; empty where the guest has no names or wasn't started yet.
        backtrace: Vec<String>,
        /// The option whose limit stood behind it, and its value.
        limit: Option<String>,
    },
    /// It never began.
    NotStarted {
        /// What was tried and why it failed.
        reason: String,
    },
    /// It was stopped because it reached the limit that an option sets.
    OverLimit {
        /// The option's name.
        option: &'static str,
        /// The option's value.
        value: u64,
    },
    /// It was given up because something of ours panicked.
    Broken {
        /// What the panic said.
        reason: String,
    },
    /// It was stopped because of the option `timeout`.
    TimedOut {
        /// The option's value.
        timeout: Duration,
    },
}

impl Outcome {
    /// What an error of a running guest means.
    pub fn of_error(error: &Error, limits: &Limits, config: &Config) -> Self {
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Self::Exited { code: exit.0.cast_unsigned() };
        }
        if error.is::<OutputLimitReached>() {
            return Self::over_output_limit(config);
        }
        if error.downcast_ref() == Some(&Trap::OutOfFuel) {
            return Self::OverLimit { option: "fuel", value: config.fuel.unwrap_or_default() };
        }
        let backtrace = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
        let reason = match error.downcast_ref::<Trap>() {
            Some(trap) => trap.to_string(),
            None => causes(error),
        };
        let limit = if error.downcast_ref() == Some(&Trap::StackOverflow) {
            Some("wasm_stack_size".to_owned())
        } else if limits.memory_refused {
            Some(format!("memory_limit ({} bytes)", config.memory_limit_bytes))
        } else if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
            Some("the most handles it may have; more come with open_files_limit and connections_limit".into())
        } else if limits.table_refused {
            Some("the size of tables (1000000 elements)".to_owned())
        } else {
            None
        };
        Self::Trapped { reason, backtrace, limit }
    }

    /// The run wrote more than `output_limit`.
    pub fn over_output_limit(config: &Config) -> Self {
        Self::OverLimit { option: "output_limit", value: config.output_limit_bytes.unwrap_or_default() }
    }

    /// What an error before `_start` means.
    pub fn of_failed_start(error: &Error, limits: &Limits, config: &Config) -> Self {
        match Self::of_error(error, limits, config) {
            // A start function ran; anything else never got so far.
            outcome @ Self::Trapped { limit: None, .. } if error.is::<Trap>() => outcome,
            Self::Trapped { limit: Some(limit), .. } => {
                Self::NotStarted { reason: format!("it needs more than {limit} allows") }
            }
            Self::Trapped { .. } => Self::NotStarted { reason: causes(error) },
            outcome => outcome,
        }
    }

    /// Whether the run did what it should.
    pub fn is_success(&self) -> bool {
        *self == Self::Exited { code: 0 }
    }

    /// How urgent it is that it did not.
    pub fn level(&self) -> Level {
        match self {
            Self::Exited { code: 0 } => Level::Debug,
            Self::Exited { .. } => Level::Warn,
            _ => Level::Error,
        }
    }

    /// What it means for the next start.
    pub fn turnout(&self) -> Turnout {
        match self {
            Self::Exited { .. } | Self::TimedOut { .. } => Turnout::Ran,
            Self::Trapped { .. } | Self::OverLimit { .. } | Self::Broken { .. } => Turnout::Failed,
            Self::NotStarted { .. } => Turnout::NoGuest,
        }
    }

    /// The exit code of a process that ended so, after the customs of shells and `timeout`.
    pub fn exit_status(&self) -> i32 {
        match self {
            // A code that doesn't fit must not become a success.
            Self::Exited { code } => i32::from(u8::try_from(*code).unwrap_or(u8::MAX)),
            Self::TimedOut { .. } => 124,
            Self::NotStarted { .. } => EXIT_NOT_STARTED,
            Self::Trapped { .. } | Self::OverLimit { .. } => 134,
            Self::Broken { .. } => EXIT_DEFECT,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { code } => write!(f, "the guest exited with code {code}"),
            Self::Trapped { reason, backtrace, limit } => {
                write!(f, "the guest trapped: {reason}")?;
                if let Some(limit) = limit {
                    write!(f, "; it had reached {limit}")?;
                }
                if !backtrace.is_empty() {
                    write!(f, "; in {}", backtrace.join(" < "))?;
                }
                Ok(())
            }
            Self::NotStarted { reason } => write!(f, "the guest can't start: {reason}"),
            Self::Broken { reason } => write!(
                f,
                "the run was given up: the system has too little for it, or the plugin has a defect: {reason}"
            ),
            Self::OverLimit { option, value } => {
                write!(f, "the guest was stopped: this run reached {option} ({value})")
            }
            Self::TimedOut { timeout } => write!(
                f,
                "the guest was stopped: this run took longer than timeout ({} s)",
                timeout.as_secs()
            ),
        }
    }
}

/// An error and everything behind it, in one clause.
pub fn causes(error: &Error) -> String {
    // A backtrace is shown by itself, and never by its own text: see `demangled`. It is known by its place,
    // since the links of an error's chain don't tell their types.
    let backtrace =
        error.downcast_ref::<WasmBacktrace>().map(|backtrace| std::ptr::from_ref(backtrace).addr());
    let is_backtrace = |cause: &(dyn std::error::Error + 'static)| {
        let start = std::ptr::from_ref(cause).cast::<()>().addr();
        backtrace.is_some_and(|at| (start..start + size_of_val(cause)).contains(&at))
    };
    let texts = error.chain().filter(|cause| !is_backtrace(*cause)).map(|cause| cause.to_string());
    texts.map(|text| text.trim_end().replace('\n', " ")).collect::<Vec<_>>().join(": ")
}
