//! A guest's standard output and error: bytes become lines, lines become records or log lines.
//!
//! Everything happens on the guest's thread, inside the guest's own write. A stream that feeds the pipe
//! lets the guest wait while the pipe is full.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::notes::Notes;
use crate::config::{Config, StderrTo};
use crate::pipe::{Pipe, RecordEnd};
use crate::record::encode::{Encoder, WireFormat};
use crate::record::lines::{Lines, LongLines};

/// Most bytes taken from one write at a time; bounds what goes into the pipe beyond its limit.
const BLOCK_BYTES: usize = 64 * 1024;
/// Longest line of standard error in the log; the rest of it is cut off.
const STDERR_LINE_BYTES: usize = 2000;

/// One stream of the guest; clones write to the same place.
#[derive(Clone)]
pub struct GuestStream {
    sink: Arc<Mutex<Sink>>,
    pipe: Arc<Pipe>,
    /// The sink feeds the pipe, so a full pipe holds the writer up.
    waits: bool,
}

enum Sink {
    Records(Records),
    Log(LogLines),
    Nothing,
}

/// Lines that become records.
struct Records {
    name: &'static str,
    lines: Lines,
    limit_bytes: usize,
    encoder: Encoder,
    /// Where lines end is noted, for a parser.
    parsed_later: bool,
    /// Where they end must be noted, but a parser doesn't read them.
    ends_noted: bool,
    notes: Arc<Notes>,
}

/// Lines that become lines of the host's log, a few a second.
struct LogLines {
    lines: Lines,
    notes: Arc<Notes>,
}

/// Both streams of one run.
pub struct Streams {
    pub stdout: GuestStream,
    pub stderr: GuestStream,
    notes: Arc<Notes>,
}

impl Streams {
    pub fn new(config: &Config, wire: WireFormat, pipe: &Arc<Pipe>, notes: &Arc<Notes>) -> Self {
        let named = config.stderr == StderrTo::Record;
        let records = |name: &'static str, parsed_later| {
            Sink::Records(Records {
                name,
                lines: Lines::new(config.line_limit_bytes, config.long_lines),
                limit_bytes: config.line_limit_bytes,
                encoder: Encoder::new(wire, config.format, &config.message_key, named.then_some(name)),
                parsed_later,
                ends_noted: config.parser.is_some(),
                notes: Arc::clone(notes),
            })
        };
        let stderr = match config.stderr {
            StderrTo::Record => records("stderr", false),
            StderrTo::Log => Sink::Log(LogLines {
                lines: Lines::new(STDERR_LINE_BYTES, LongLines::Truncate),
                notes: Arc::clone(notes),
            }),
            StderrTo::Discard => Sink::Nothing,
        };
        Self {
            stdout: GuestStream::new(records("stdout", config.parser.is_some()), pipe),
            stderr: GuestStream::new(stderr, pipe),
            notes: Arc::clone(notes),
        }
    }

    /// The run is over: last lines without newline, and what is to be said about the others.
    pub fn finish(&self) {
        self.stdout.finish();
        self.stderr.finish();
        self.notes.run_ended();
    }
}

impl GuestStream {
    fn new(sink: Sink, pipe: &Arc<Pipe>) -> Self {
        Self {
            waits: matches!(sink, Sink::Records(_)),
            sink: Arc::new(Mutex::new(sink)),
            pipe: Arc::clone(pipe),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sink> {
        // Only the guest's thread ever locks it; a panic there ends the run.
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a block the guest has written.
    fn take(&self, block: &[u8]) {
        match &mut *self.lock() {
            Sink::Records(records) => records.push(&self.pipe, Some(block)),
            Sink::Log(log) => log.push(block),
            Sink::Nothing => {}
        }
    }

    fn finish(&self) {
        match &mut *self.lock() {
            Sink::Records(records) => records.push(&self.pipe, None),
            Sink::Log(log) => log.finish(),
            Sink::Nothing => {}
        }
    }

    fn has_room(&self) -> bool {
        !self.waits || self.pipe.has_room()
    }

    async fn room(&self) {
        if self.waits {
            self.pipe.room().await;
        }
    }
}

impl Records {
    /// A block of the stream, or its end.
    fn push(&mut self, pipe: &Pipe, block: Option<&[u8]>) {
        self.encoder.set_time(SystemTime::now());
        let (encoder, parsed_later, ends_noted) = (&self.encoder, self.parsed_later, self.ends_noted);
        let lines = &mut self.lines;
        pipe.write(|batch| {
            let emit = |line: &[u8]| {
                encoder.record(line, &mut batch.bytes);
                batch.records += 1;
                if ends_noted {
                    batch.ends.push(RecordEnd {
                        end: batch.bytes.len(),
                        line_len: parsed_later.then_some(line.len()),
                    });
                }
            };
            match block {
                Some(block) => lines.push(block, emit),
                None => lines.finish(emit),
            }
        });
        self.notes.long_lines(self.name, self.limit_bytes, self.lines.take_counts());
    }
}

impl LogLines {
    fn push(&mut self, block: &[u8]) {
        let notes = &self.notes;
        self.lines.push(block, |line| notes.stderr_line(line, false));
    }

    fn finish(&mut self) {
        let notes = &self.notes;
        self.lines.finish(|line| notes.stderr_line(line, true));
    }
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(AsyncGuestStream { stream: self.clone(), waiting: None })
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {
        self.room().await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        // What is written is on its way already.
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(if self.has_room() { BLOCK_BYTES } else { 0 })
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        for block in bytes.chunks(BLOCK_BYTES) {
            self.room().await;
            self.take(block);
        }
        Ok(())
    }
}

/// The same stream in the shape that WASI 0.3 wants.
struct AsyncGuestStream {
    stream: GuestStream,
    /// Resolves when there is room again.
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl AsyncWrite for AsyncGuestStream {
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
        let block = &bytes[..bytes.len().min(BLOCK_BYTES)];
        self.stream.take(block);
        Poll::Ready(Ok(block.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
