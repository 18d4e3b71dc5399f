//! A guest's stream in the shape that WASI 0.3 wants.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::{GuestStream, OutputLimitReached};

/// A stream that is written to piece by piece.
pub struct AsyncStream {
    stream: GuestStream,
    /// Resolves when there is room again.
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl AsyncStream {
    pub fn new(stream: GuestStream) -> Self {
        Self { stream, waiting: None }
    }
}

impl AsyncWrite for AsyncStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        while !self.stream.has_room() {
            let stream = self.stream.clone();
            let waiting =
                self.waiting.get_or_insert_with(|| Box::pin(async move { stream.pipe.room().await }));
            ready!(waiting.as_mut().poll(context));
            self.waiting = None;
        }
        let block = &bytes[..bytes.len().min(self.stream.block_bytes)];
        match self.stream.take([block]) {
            Ok(()) => Poll::Ready(Ok(block.len())),
            Err(OutputLimitReached) => {
                // An error would be the guest's to read and ignore; so it waits, for its end.
                self.stream.quota.reached.notify_one();
                Poll::Pending
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
