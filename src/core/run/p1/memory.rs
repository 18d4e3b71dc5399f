//! A guest's memory, as the host sees it.

use wasmtime::{AsContextMut, Caller, Error, Extern, Memory, Result};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::GuestMemory;

use crate::run::sandbox::State;

/// The memory that a calling guest exports.
///
/// # Errors
/// A guest that has none can't be given anything; wasmtime-wasi words it the same way.
pub fn memory_of(caller: &mut Caller<'_, State>) -> Result<Memory> {
    if let Some(memory) = caller.data().memory {
        return Ok(memory);
    }
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => {
            caller.data_mut().memory = Some(memory);
            Ok(memory)
        }
        _ => Err(Error::msg("missing required memory export")),
    }
}

/// What wasmtime-wasi's own function for a call works with.
///
/// # Errors
/// As for [`memory_of`].
pub fn parts<'a>(caller: &'a mut Caller<'_, State>) -> Result<(GuestMemory<'a>, &'a mut State)> {
    let memory = memory_of(caller)?;
    let fuel = caller.as_context_mut().hostcall_fuel();
    let (bytes, state) = memory.data_and_store_mut(caller);
    state.wasi.set_hostcall_fuel(fuel);
    Ok((GuestMemory::Unshared(bytes), state))
}

/// Where a guest's pointer points, if the thing there is aligned and lies in memory as a whole.
pub fn place(memory: &[u8], pointer: i32, len: usize, align: usize) -> Option<usize> {
    let at = usize::try_from(pointer.cast_unsigned()).ok()?;
    (at.is_multiple_of(align) && at.checked_add(len)? <= memory.len()).then_some(at)
}
