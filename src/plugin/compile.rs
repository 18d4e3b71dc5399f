//! `exec-wasi compile` asks the plugin itself, by a function it exports beside the registrations: so the
//! file is made by the very library that will run it, and the tool needs no compiler of its own.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::guest::precompile::precompile;
use crate::panics;

/// Compiles the program in the file `input` to the file `output`. Returns 0; or -1, and then `message`,
/// which has room for `message_len` bytes, is a C string with the reason, cut to fit. Starts threads and
/// takes up to half a minute; not for a thread of a host.
///
/// # Safety
/// `input` and `output` are C strings. `message` points to `message_len` bytes, at least one, that nobody
/// else uses during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_wasi_compile(
    input: *const c_char,
    output: *const c_char,
    counts_fuel: c_int,
    message: *mut c_char,
    message_len: usize,
) -> c_int {
    // SAFETY: a C string by the caller's promise.
    let input = unsafe { CStr::from_ptr(input) };
    // SAFETY: as above.
    let output = unsafe { CStr::from_ptr(output) };
    let compiled = panics::caught(|| precompile(path(input), path(output), counts_fuel != 0));
    let reason = match compiled {
        Ok(Ok(_)) => return 0,
        Ok(Err(reason)) => reason,
        Err(what) => format!("the compiler panicked: {what}"),
    };
    // SAFETY: the caller's memory, ours during the call; any byte is a good one.
    let room = unsafe { std::slice::from_raw_parts_mut(message.cast::<u8>(), message_len) };
    let len = reason.len().min(message_len - 1);
    room[..len].copy_from_slice(&reason.as_bytes()[..len]);
    room[len] = 0;
    -1
}

fn path(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}
