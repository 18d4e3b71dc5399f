//! A guest's standard output and error: bytes become lines, lines become records or log lines.
//!
//! Everything happens on the guest's thread, inside the guest's own write. A stream that feeds the pipe
//! lets the guest wait while the pipe is full.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::config::{Config, StderrTo};
use crate::counters::Counters;
use crate::event::Event;
use crate::pipe::{Pipe, RecordEnd};
use crate::record::encode::{Encoder, WireFormat};
use crate::record::lines::{Lines, LongLineCounts, LongLines};

/// Most bytes taken from one write at a time; bounds what goes into the pipe beyond its limit.
const BLOCK_BYTES: usize = 64 * 1024;
/// Lines of standard error in the log, each second.
const STDERR_LINES_PER_SECOND: u32 = 20;
/// How often a run that goes on reports lines that were too long.
const REPORT_EVERY: Duration = Duration::from_secs(60);
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
    /// When long lines were last reported.
    reported: Option<Instant>,
    counters: Arc<Counters>,
}

/// Lines that become lines of the host's log, a few a second.
struct LogLines {
    lines: Lines,
    second: Instant,
    in_second: u32,
    left_out: u64,
    counters: Arc<Counters>,
}

/// Both streams of one run.
pub struct Streams {
    pub stdout: GuestStream,
    pub stderr: GuestStream,
}

impl Streams {
    pub fn new(config: &Config, wire: WireFormat, pipe: &Arc<Pipe>, counters: &Arc<Counters>) -> Self {
        let named = config.stderr == StderrTo::Record;
        let records = |name: &'static str, parsed_later| {
            Sink::Records(Records {
                name,
                lines: Lines::new(config.line_limit_bytes, config.long_lines),
                limit_bytes: config.line_limit_bytes,
                encoder: Encoder::new(wire, config.format, &config.message_key, named.then_some(name)),
                parsed_later,
                ends_noted: config.parser.is_some(),
                reported: None,
                counters: Arc::clone(counters),
            })
        };
        let stderr = match config.stderr {
            StderrTo::Record => records("stderr", false),
            StderrTo::Log => Sink::Log(LogLines {
                lines: Lines::new(STDERR_LINE_BYTES, LongLines::Truncate),
                second: Instant::now(),
                in_second: 0,
                left_out: 0,
                counters: Arc::clone(counters),
            }),
            StderrTo::Discard => Sink::Nothing,
        };
        Self {
            stdout: GuestStream::new(records("stdout", config.parser.is_some()), pipe),
            stderr: GuestStream::new(stderr, pipe),
        }
    }

    /// The run is over: last lines without newline, and what is to be said about the others.
    pub fn finish(&self) {
        self.stdout.finish();
        self.stderr.finish();
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
            Sink::Log(log) => log.push(&self.pipe, block),
            Sink::Nothing => {}
        }
    }

    fn finish(&self) {
        match &mut *self.lock() {
            Sink::Records(records) => {
                records.push(&self.pipe, None);
                records.report(&self.pipe);
            }
            Sink::Log(log) => log.finish(&self.pipe),
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
        if self.reported.is_none_or(|last| last.elapsed() >= REPORT_EVERY) {
            self.report(pipe);
        }
    }

    /// Says what became of lines that were too long since the last report.
    fn report(&mut self, pipe: &Pipe) {
        let counts = self.lines.take_counts();
        if counts != LongLineCounts::default() {
            self.reported = Some(Instant::now());
            self.counters.long_lines.add(counts.lines);
            self.counters.long_line_lost_bytes.add(counts.lost_bytes);
            pipe.post(Event::LongLines { stream: self.name, limit_bytes: self.limit_bytes, counts });
        }
    }
}

impl LogLines {
    fn push(&mut self, pipe: &Pipe, block: &[u8]) {
        let now = Instant::now();
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            self.say_left_out(pipe);
            self.second = now;
            self.in_second = 0;
        }
        let Self { lines, in_second, left_out, .. } = self;
        lines.push(block, |line| {
            if *in_second < STDERR_LINES_PER_SECOND {
                *in_second += 1;
                pipe.post(stderr_line(line));
            } else {
                *left_out += 1;
            }
        });
    }

    fn finish(&mut self, pipe: &Pipe) {
        // The last words of a guest are worth a line beyond the limit.
        self.lines.finish(|line| pipe.post(stderr_line(line)));
        self.say_left_out(pipe);
    }

    fn say_left_out(&mut self, pipe: &Pipe) {
        let lines = std::mem::take(&mut self.left_out);
        if lines > 0 {
            self.counters.stderr_left_out_lines.add(lines);
            pipe.post(Event::GuestStderrLeftOut { lines });
        }
    }
}

fn stderr_line(line: &[u8]) -> Event {
    Event::GuestStderr { line: String::from_utf8_lossy(line).into_owned() }
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
