//! Threads of ours: named, with a stack of a known size, and without the host's signals.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::signals;

/// What Rust gives a thread unless the environment says otherwise (`RUST_MIN_STACK`), which then means another program.
pub const STACK_BYTES: usize = 2 << 20;

/// Starts one. The system shows fifteen characters of its name.
///
/// # Errors
/// When the system has no thread left.
pub fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(move || {
        signals::leave_to_host();
        run();
    })
}

/// Whether the other end, which a thread holds until it ends, is gone; waits for that, up to `patience`.
pub fn has_ended(end: &Receiver<()>, patience: Duration) -> bool {
    end.recv_timeout(patience) != Err(RecvTimeoutError::Timeout)
}
