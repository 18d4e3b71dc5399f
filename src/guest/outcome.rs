//! How a run ended, told apart by type; log level and wording follow from that.

use std::fmt::{self, Write};
use std::time::Duration;

use cpp_demangle::DemangleOptions;
use wasmtime::{Error, FrameInfo, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::limits::Limits;
use crate::event::Level;

/// Frames of a backtrace that are shown.
const MAX_FRAMES: usize = 12;
/// Bytes of a name that are shown.
const MAX_NAME_BYTES: usize = 300;
/// Names longer than this are shown as they are: real ones are shorter, and reading one takes time.
const MAX_MANGLED_BYTES: usize = 4000;

/// The end of a run.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `_start` returned, or called `proc_exit`.
    Exited {
        /// 0 when it returned.
        code: i32,
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
    /// It was stopped because of the option `timeout`.
    TimedOut {
        /// The option's value.
        timeout: Duration,
    },
}

impl Outcome {
    /// What an error of a running guest means.
    pub fn of_error(error: &Error, limits: &Limits, memory_limit_bytes: u64) -> Self {
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Self::Exited { code: exit.0 };
        }
        let backtrace = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
        let reason = match error.downcast_ref::<Trap>() {
            Some(trap) => trap.to_string(),
            None => causes(error),
        };
        let limit = if error.downcast_ref() == Some(&Trap::StackOverflow) {
            Some("wasm_stack_size".to_owned())
        } else if limits.memory_refused {
            Some(format!("memory_limit ({memory_limit_bytes} bytes)"))
        } else if limits.table_refused {
            Some("the size of tables (1000000 elements)".to_owned())
        } else {
            None
        };
        Self::Trapped { reason, backtrace, limit }
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

/// Function names, innermost first.
fn frames(backtrace: &WasmBacktrace) -> Vec<String> {
    let names = backtrace.frames().iter().map(name_of);
    let mut frames: Vec<(String, usize)> = Vec::new();
    for name in names {
        match frames.last_mut() {
            // A recursion is one entry, however deep.
            Some((last, times)) if *last == name => *times += 1,
            _ => frames.push((name, 1)),
        }
    }
    let shown = frames.into_iter().take(MAX_FRAMES);
    shown.map(|(name, times)| if times == 1 { name } else { format!("{name} ({times} times)") }).collect()
}

fn name_of(frame: &FrameInfo) -> String {
    let function = match frame.func_name() {
        Some(name) => demangled(name),
        None => format!("<wasm function {}>", frame.func_index()),
    };
    match frame.module().name() {
        Some(module) => format!("{}!{function}", Short::of(module)),
        None => function,
    }
}

/// A function's name as its language writes it, cut off where it gets long.
///
/// Names are the guest's, and a few hundred bytes in the mangling of C++ can stand for gigabytes: each of
/// its types may contain an earlier one twice. wasmtime's own text of a backtrace writes them out, so it is
/// never asked for; here, writing ends when enough is written.
fn demangled(name: &str) -> String {
    let mut short = Short::default();
    let written = if name.len() > MAX_MANGLED_BYTES {
        Err(fmt::Error)
    } else if let Ok(rust) = rustc_demangle::try_demangle(name) {
        write!(short, "{rust}")
    } else if let Ok(symbol) = cpp_demangle::Symbol::new(name) {
        symbol.structured_demangle(&mut short, &DemangleOptions::default())
    } else {
        Err(fmt::Error)
    };
    if written.is_ok() || short.is_cut { short.to_string() } else { Short::of(name).to_string() }
}

/// Text of at most [`MAX_NAME_BYTES`]; what is beyond is an ellipsis, and ends whoever writes it.
#[derive(Default)]
struct Short {
    text: String,
    is_cut: bool,
}

impl Short {
    fn of(text: &str) -> Self {
        let mut short = Self::default();
        // An error says that it was cut, which it knows itself.
        let _ = short.write_str(text);
        short
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_NAME_BYTES - self.text.len();
        if text.len() <= room {
            self.text.push_str(text);
            return Ok(());
        }
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
        self.is_cut = true;
        Err(fmt::Error)
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.is_cut { f.write_str("…") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_demangled() {
        assert_eq!(demangled("_ZN3foo3barE"), "foo::bar");
        assert_eq!(
            demangled("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"),
            "core::fmt::Write::write_fmt::h0123456789abcdef"
        );
        assert_eq!(demangled("_RNvC6_123foo3bar"), "123foo::bar");
        assert_eq!(demangled("_Z1fi"), "f(int)");
        for plain in ["main", "", "_Znonsense", "é"] {
            assert_eq!(demangled(plain), plain);
        }
    }

    #[test]
    fn a_name_that_stands_for_gigabytes_is_cut_off() {
        let mut name = "_Z1f1AIiiE".to_owned();
        for digit in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".chars() {
            name.push_str(&format!("S_IS{digit}_S{digit}_E"));
        }
        for name in [name, "é".repeat(100_000)] {
            let shown = demangled(&name);
            assert!(shown.ends_with('…') && shown.len() <= MAX_NAME_BYTES + '…'.len_utf8(), "{shown}");
        }
    }

    #[test]
    fn an_error_is_told_without_its_backtrace_wherever_that_is() {
        let engine = wasmtime::Engine::default();
        let text = "(module (func $inner (import \"\" \"\")) (func $outer (export \"f\") (call $inner)))";
        let module = wasmtime::Module::new(&engine, text).unwrap();
        let mut store = wasmtime::Store::new(&engine, ());
        let inner = wasmtime::Func::wrap(&mut store, || -> wasmtime::Result<()> {
            Err(Error::msg("the cause").context("what was tried"))
        });
        let instance = wasmtime::Instance::new(&mut store, &module, &[inner.into()]).unwrap();
        let outer = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        let error = outer.call(&mut store, ()).unwrap_err();
        assert_eq!(causes(&error), "what was tried: the cause");
        assert_eq!(frames(error.downcast_ref().expect("a backtrace")), ["outer"]);
        assert_eq!(causes(&error.context("around")), "around: what was tried: the cause");
    }
}
