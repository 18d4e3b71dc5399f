//! A guest's stream in the shape that WASI 0.2 wants, where a guest first asks how much it may write.

use bytes::Bytes;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use super::GuestStream;

/// A stream for which the guest has permission to write so much.
pub struct PermittedStream {
    stream: GuestStream,
    /// What it may still write without asking again. A guest that doesn't ask would fill the pipe beyond its limit.
    permitted_bytes: usize,
}

impl PermittedStream {
    pub fn new(stream: GuestStream) -> Self {
        Self { stream, permitted_bytes: 0 }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for PermittedStream {
    async fn ready(&mut self) {
        self.stream.room().await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for PermittedStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let Some(permitted_bytes) = self.permitted_bytes.checked_sub(bytes.len()) else {
            return Err(StreamError::trap(
                "it wrote more to an output stream than check-write had permitted",
            ));
        };
        self.permitted_bytes = permitted_bytes;
        Ok(self.stream.take([&bytes[..]])?)
    }

    fn flush(&mut self) -> StreamResult<()> {
        // What is written is on its way already.
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.permitted_bytes = if self.stream.has_room() { self.stream.block_bytes } else { 0 };
        Ok(self.permitted_bytes)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        Ok(self.stream.write([&bytes[..]]).await?)
    }
}
