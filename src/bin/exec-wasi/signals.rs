//! Signals, and the mailbox in which the main thread finds them.
//!
//! The handlers for faults are part of the imitation: Fluent Bit has its own and installs them again on
//! every SIGHUP and SIGCONT, which takes away those that a plugin may have put in their place.

use std::ffi::c_int;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

/// Writing end of the mailbox, a pipe.
static MAILBOX: AtomicI32 = AtomicI32::new(-1);

/// What the main thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    Signal(c_int),
    /// An engine's thread has ended.
    Ended,
}

/// The reading end.
#[derive(Debug)]
pub struct Mailbox(c_int);

/// Creates the mailbox and installs all handlers.
pub fn install() -> io::Result<Mailbox> {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    MAILBOX.store(ends[1], Ordering::Relaxed);
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGCONT] {
        handle(signal, deliver);
    }
    install_fault_handlers();
    Ok(Mailbox(ends[0]))
}

/// Takes SIGSEGV and SIGFPE, from whoever has them.
pub fn install_fault_handlers() {
    handle(libc::SIGSEGV, fault);
    handle(libc::SIGFPE, fault);
}

/// Says that an engine's thread has ended.
pub fn post_ended() {
    post(0);
}

impl Mailbox {
    /// Waits for the next message.
    pub fn wait(&self) -> io::Result<Message> {
        loop {
            let mut byte = 0u8;
            // SAFETY: room for the one byte that is asked for.
            match unsafe { libc::read(self.0, (&raw mut byte).cast(), 1) } {
                1 if byte == 0 => return Ok(Message::Ended),
                1 => return Ok(Message::Signal(c_int::from(byte))),
                _ => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }
}

fn post(byte: u8) {
    // SAFETY: one byte of ours; allowed in a signal handler. A full pipe can't be: messages are few.
    unsafe { libc::write(MAILBOX.load(Ordering::Relaxed), (&raw const byte).cast(), 1) };
}

fn handle(signal: c_int, handler: extern "C" fn(c_int)) {
    // SAFETY: all-zero is a value of this plain struct.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handlers below do only what a handler may.
    let result = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    assert_eq!(result, 0, "sigaction with valid arguments");
}

extern "C" fn deliver(signal: c_int) {
    // SAFETY: the address of this thread's errno, which an interrupted call may still want to read.
    let errno = unsafe { &mut *libc::__errno_location() };
    let kept = *errno;
    post(u8::try_from(signal).unwrap_or(u8::MAX));
    *errno = kept;
}

extern "C" fn fault(signal: c_int) {
    let text: &[u8] = if signal == libc::SIGFPE {
        b"[engine] caught signal (SIGFPE)\n"
    } else {
        b"[engine] caught signal (SIGSEGV)\n"
    };
    // SAFETY: bytes of ours; allowed in a signal handler, as `abort` is.
    unsafe {
        libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        libc::abort();
    }
}
