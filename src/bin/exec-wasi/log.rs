//! Log lines on standard error, in Fluent Bit's form.

use std::ffi::c_int;
use std::fmt::Arguments;
use std::io::Write;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::abi::{DEBUG, ERROR, INFO, TRACE, WARN};

/// The service's level: what isn't as urgent is left out.
static LEVEL: AtomicI32 = AtomicI32::new(INFO);

/// Sets the service's level; 0 is silence.
pub fn set_level(level: c_int) {
    LEVEL.store(level, Ordering::Relaxed);
}

/// The service's level.
pub fn level() -> c_int {
    LEVEL.load(Ordering::Relaxed)
}

/// One line, if the service's level lets it pass.
pub fn line(level: c_int, text: Arguments<'_>) {
    if level <= self::level() {
        print(level, text);
    }
}

/// One line, whatever the level.
pub fn print(level: c_int, text: Arguments<'_>) {
    let label = match level {
        ERROR => "error",
        WARN => " warn",
        INFO => " info",
        DEBUG => "debug",
        TRACE => "trace",
        _ => "?????",
    };
    let line = format!("[{}] [{label}] {text}\n", now());
    // One write, so that lines of several threads don't mix. With standard error gone there is
    // nobody left to tell.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Local time as `2026/11/23 08:15:56`.
fn now() -> String {
    // SAFETY: a null pointer asks for the result only.
    let seconds = unsafe { libc::time(std::ptr::null_mut()) };
    // SAFETY: all-zero is a value of this plain struct.
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both point to variables of ours that outlive the call.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut time) };
    let (year, month) = (time.tm_year + 1900, time.tm_mon + 1);
    let (day, hour, minute, second) = (time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec);
    format!("{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}")
}

macro_rules! error {
    ($($arg:tt)*) => { $crate::log::line($crate::abi::ERROR, format_args!($($arg)*)) };
}
macro_rules! warning {
    ($($arg:tt)*) => { $crate::log::line($crate::abi::WARN, format_args!($($arg)*)) };
}
macro_rules! info {
    ($($arg:tt)*) => { $crate::log::line($crate::abi::INFO, format_args!($($arg)*)) };
}
macro_rules! debug {
    ($($arg:tt)*) => { $crate::log::line($crate::abi::DEBUG, format_args!($($arg)*)) };
}
pub(crate) use {debug, error, info, warning};
