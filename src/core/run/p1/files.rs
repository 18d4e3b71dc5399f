//! `path_open` within the option `open_files_limit`, and the calls that end what it began.
//!
//! Each open file is a descriptor of the host's process, which has only so many for all its inputs and
//! outputs. wasmtime-wasi has no bound for that, so what is open is counted here.

use std::sync::Arc;

use wasmtime::{Linker, Result};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as general;

use super::memory::parts;
use super::{EMFILE, MODULE, SUCCESS};
use crate::event::Event;
use crate::pipe::Pipe;
use crate::rarely::Rarely;
use crate::run::sandbox::State;

/// What one run has open.
pub struct OpenFiles {
    limit: u32,
    open: u32,
    pipe: Arc<Pipe>,
    told: Arc<Rarely>,
}

impl OpenFiles {
    /// At most `limit` at a time, besides what the guest is given. A refusal is told to `pipe`, now and
    /// then.
    pub fn new(limit: u32, pipe: Arc<Pipe>, told: Arc<Rarely>) -> Self {
        Self { limit, open: 0, pipe, told }
    }

    fn may_open(&self) -> bool {
        if self.open < self.limit {
            return true;
        }
        if self.told.now() {
            self.pipe.post(Event::OpenFilesLimit { limit: self.limit });
        }
        false
    }
}

/// Puts our answers in front of those that `linker` has.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    type PathOpen = (i32, i32, i32, i32, i32, i64, i64, i32, i32);
    linker.func_wrap_async(
        MODULE,
        "path_open",
        |mut caller, (dir, lookup, path, len, how, rights, inherited, flags, opened): PathOpen| {
            Box::new(async move {
                let (mut memory, state) = parts(&mut caller)?;
                if !state.files.may_open() {
                    return Ok(EMFILE);
                }
                let (wasi, memory) = (&mut state.wasi, &mut memory);
                let result = general::path_open(
                    wasi, memory, dir, lookup, path, len, how, rights, inherited, flags, opened,
                );
                let result = result.await?;
                state.files.open += u32::from(result == SUCCESS);
                Ok(result)
            })
        },
    )?;
    linker.func_wrap_async(MODULE, "fd_close", |mut caller, (descriptor,): (i32,)| {
        Box::new(async move {
            let (mut memory, state) = parts(&mut caller)?;
            state.direct.forget(descriptor);
            let result = general::fd_close(&mut state.wasi, &mut memory, descriptor).await?;
            state.files.open = state.files.open.saturating_sub(u32::from(result == SUCCESS));
            Ok(result)
        })
    })?;
    linker.func_wrap_async(MODULE, "fd_renumber", |mut caller, (from, to): (i32, i32)| {
        Box::new(async move {
            let (mut memory, state) = parts(&mut caller)?;
            state.direct.forget(from);
            state.direct.forget(to);
            let result = general::fd_renumber(&mut state.wasi, &mut memory, from, to).await?;
            // What was behind `to` is closed.
            state.files.open = state.files.open.saturating_sub(u32::from(result == SUCCESS && from != to));
            Ok(result)
        })
    })?;
    Ok(())
}
