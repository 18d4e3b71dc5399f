//! A guest's memory, as the host sees it.

use wasmtime::{Caller, Error, Extern, Memory, Result};

use crate::guest::sandbox::State;

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

/// Where a guest's pointer points, if the thing there is aligned and lies in memory as a whole.
pub fn place(memory: &[u8], pointer: i32, len: usize, align: usize) -> Option<usize> {
    let at = usize::try_from(pointer.cast_unsigned()).ok()?;
    (at.is_multiple_of(align) && at.checked_add(len)? <= memory.len()).then_some(at)
}
