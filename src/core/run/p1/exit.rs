//! `proc_exit` with any exit code.
//!
//! wasmtime-wasi takes a code of 126 or more for a trap, since a shell could not tell it from a signal.
//! Here a code goes into a log line, and a program that ends with 255 did not crash.

use wasmtime::{Caller, Error, Linker, Result};
use wasmtime_wasi::I32Exit;

use super::MODULE;
use crate::run::sandbox::State;

/// Puts our answer in front of the one that `linker` has.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap(MODULE, "proc_exit", |mut caller: Caller<'_, State>, code: i32| -> Result<()> {
        let exit = Error::from(I32Exit(code));
        // wasmtime takes the guest's backtrace, with names and lines, for an error that has none yet; and nobody
        // asks where a program has ended as it should.
        Err(match caller.data_mut().no_backtrace.take() {
            Some(nothing) => exit.context(nothing),
            None => exit,
        })
    })?;
    Ok(())
}
