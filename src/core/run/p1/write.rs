//! `fd_write` to standard output and error, straight from the guest's memory.
//!
//! It is the call that every line passes. wasmtime-wasi takes it through its descriptor table and its
//! stream types, copying at most 4 KiB at a time into buffers of their own; for a guest that writes line by
//! line that would be most of the time of the whole path. Here the guest's buffers are framed in place.
//!
//! It stays exact: as soon as a guest closes descriptor 1 or 2, or puts something else in its place,
//! wasmtime-wasi answers for that descriptor again, and it answers whenever a pointer of the call is not
//! what it should be.

use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use wasmtime::{Caller, Linker, Result};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as general;

use super::memory::{memory_of, parts, place};
use super::{MODULE, SUCCESS};
use crate::run::sandbox::State;
use crate::run::stdio::GuestStream;

/// The streams that are still behind the descriptors they were behind at the start.
pub struct Direct {
    /// Of descriptors 1 and 2.
    streams: [Option<GuestStream>; 2],
}

impl Direct {
    pub fn new(stdout: GuestStream, stderr: GuestStream) -> Self {
        Self { streams: [Some(stdout), Some(stderr)] }
    }

    /// The stream behind a descriptor.
    fn stream(&self, descriptor: i32) -> Option<&GuestStream> {
        let at = usize::try_from(descriptor).ok()?.checked_sub(1)?;
        self.streams.get(at)?.as_ref()
    }

    /// The guest does something to a descriptor, after which it may no longer be what it was.
    pub fn forget(&mut self, descriptor: i32) {
        let at = usize::try_from(descriptor).ok().and_then(|number| number.checked_sub(1));
        if let Some(stream) = at.and_then(|at| self.streams.get_mut(at)) {
            *stream = None;
        }
    }
}

/// Puts our answer in front of the one that `linker` has.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap_async(MODULE, "fd_write", |mut caller, arguments: Arguments| {
        match write_at_once(&mut caller, arguments) {
            Ok(true) => Box::new(Written),
            Ok(false) => Box::new(write(caller, arguments)),
            Err(error) => Box::new(ready(Err(error))),
        }
    })?;
    Ok(())
}

/// The descriptor, the list of buffers, how many they are, and where to put the number of bytes.
type Arguments = (i32, i32, i32, i32);

/// The answer to a call that is done. It has no size, so that a box of it is no allocation.
struct Written;

impl Future for Written {
    type Output = Result<i32>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<i32>> {
        Poll::Ready(Ok(SUCCESS))
    }
}

/// What nearly every call is: one that needn't wait. `false` if it isn't, and nothing has happened.
fn write_at_once(caller: &mut Caller<'_, State>, arguments: Arguments) -> Result<bool> {
    let memory = memory_of(caller)?;
    let (bytes, state) = memory.data_and_store_mut(caller);
    let Some((stream, buffers, count_at)) = direct(bytes, state, arguments) else { return Ok(false) };
    let total = buffers.total_bytes;
    let written = stream.write_at_once(buffers, total)?;
    if written {
        bytes[count_at..count_at + 4].copy_from_slice(&total.to_le_bytes());
    }
    Ok(written)
}

/// Any call.
async fn write(mut caller: Caller<'_, State>, arguments: Arguments) -> Result<i32> {
    let memory = memory_of(&mut caller)?;
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    if let Some((stream, buffers, count_at)) = direct(bytes, state, arguments) {
        let total = buffers.total_bytes;
        stream.write(buffers).await?;
        bytes[count_at..count_at + 4].copy_from_slice(&total.to_le_bytes());
        return Ok(SUCCESS);
    }
    let (mut guest, state) = parts(&mut caller)?;
    let (descriptor, buffers, count, written) = arguments;
    general::fd_write(&mut state.wasi, &mut guest, descriptor, buffers, count, written).await
}

/// The stream, the buffers and the place of their number of bytes; `None` for a call that is wasmtime-wasi's.
fn direct<'a>(
    memory: &'a [u8],
    state: &'a State,
    (descriptor, buffers, count, written): Arguments,
) -> Option<(&'a GuestStream, Buffers<'a>, usize)> {
    let stream = state.direct.stream(descriptor)?;
    let count_at = place(memory, written, 4, 4)?;
    Some((stream, Buffers::from_guest(memory, buffers, count)?, count_at))
}

/// A `ciovec` of WASI 0.1: a pointer and a length, four bytes each.
const CIOVEC_BYTES: usize = 8;

/// The guest's buffers, all known to lie in its memory and to be less than 4 GiB together.
#[derive(Clone, Debug)]
struct Buffers<'a> {
    memory: &'a [u8],
    ciovecs: std::slice::ChunksExact<'a, u8>,
    /// Of all of them, also those that have been taken.
    total_bytes: u32,
}

impl<'a> Buffers<'a> {
    /// `None` if any of them is not what it should be.
    fn from_guest(memory: &'a [u8], buffers: i32, count: i32) -> Option<Self> {
        let len = usize::try_from(count.cast_unsigned()).ok()?.checked_mul(CIOVEC_BYTES)?;
        let at = place(memory, buffers, len, 4)?;
        let ciovecs = memory[at..at + len].chunks_exact(CIOVEC_BYTES);
        let mut total = 0u32;
        for ciovec in ciovecs.clone() {
            let (pointer, len) = pointer_and_len(ciovec);
            total = total.checked_add(len)?;
            place(memory, pointer, usize::try_from(len).ok()?, 1)?;
        }
        Some(Self { memory, ciovecs, total_bytes: total })
    }
}

impl<'a> Iterator for Buffers<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (pointer, len) = pointer_and_len(self.ciovecs.next()?);
        let len = usize::try_from(len).ok()?;
        let at = place(self.memory, pointer, len, 1)?;
        Some(&self.memory[at..at + len])
    }
}

fn pointer_and_len(ciovec: &[u8]) -> (i32, u32) {
    let four = |at: usize| ciovec[at..at + 4].try_into().expect("four bytes");
    (i32::from_le_bytes(four(0)), u32::from_le_bytes(four(4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 bytes of memory that begin with these `ciovec`s.
    fn memory_with(ciovecs: &[(u32, u32)]) -> Vec<u8> {
        let mut memory: Vec<u8> = ciovecs
            .iter()
            .flat_map(|(pointer, len)| [pointer.to_le_bytes(), len.to_le_bytes()].concat())
            .collect();
        memory.resize(200, b'.');
        memory[100..106].copy_from_slice(b"abcdef");
        memory
    }

    fn read(memory: &[u8], at: i32, count: i32) -> Option<Vec<&[u8]>> {
        Buffers::from_guest(memory, at, count).map(Iterator::collect)
    }

    #[test]
    fn buffers_come_in_order_empty_ones_included() {
        let memory = memory_with(&[(103, 3), (0, 0), (100, 3)]);
        assert_eq!(read(&memory, 0, 3), Some(vec![&b"def"[..], b"", b"abc"]));
        assert_eq!(read(&memory, 0, 0), Some(vec![]));
        assert_eq!(read(&memory, 8, 2), Some(vec![&b""[..], b"abc"]));
    }

    #[test]
    fn anything_odd_is_left_to_the_general_function() {
        let memory = memory_with(&[(100, 3), (198, 3), (u32::MAX, 1), (0, u32::MAX)]);
        assert!(read(&memory, 0, 1).is_some());
        assert_eq!(read(&memory, 0, 2), None, "a buffer that ends beyond memory");
        assert_eq!(read(&memory, 16, 1), None, "a buffer that begins beyond memory");
        assert_eq!(read(&memory, 24, 1), None, "a length beyond memory");
        assert_eq!(read(&memory, 2, 1), None, "misaligned");
        assert_eq!(read(&memory, 0, -1), None, "too many");
        assert_eq!(read(&memory, -8, 1), None, "a list beyond memory");
        let halves = memory_with(&[(0, 100); 10]);
        assert!(read(&halves, 0, 10).is_some());
    }
}
