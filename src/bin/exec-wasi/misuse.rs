//! Notices when a plugin breaks the rules of the interface, where a real host would suffer in silence.
//!
//! Each case is an error line that begins with `[misuse]`, and the program ends with its own exit code,
//! so that no test can overlook it.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::abi::ERROR;

/// Exit code of a run in which a rule was broken (`EX_SOFTWARE`).
pub const EXIT_CODE: i32 = 70;

static SEEN: AtomicBool = AtomicBool::new(false);

thread_local! {
    static IS_HOST_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Says that the calling thread is one of the host's.
pub fn enter_host_thread() {
    IS_HOST_THREAD.set(true);
}

/// A function was called that only a host's thread may call.
pub fn check_thread(function: &str) {
    if !IS_HOST_THREAD.get() {
        let thread = std::thread::current();
        report(format_args!("{function} was called from a foreign thread ({:?})", thread.name()));
    }
}

/// A rule was broken.
pub fn report(what: std::fmt::Arguments<'_>) {
    SEEN.store(true, Ordering::Relaxed);
    // Whatever the level: silence must not hide this.
    crate::log::print(ERROR, format_args!("[misuse] {what}"));
}

/// Was any rule broken so far?
pub fn seen() -> bool {
    SEEN.load(Ordering::Relaxed)
}
