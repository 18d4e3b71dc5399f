//! A guest's standard output and error: bytes become lines, lines become records or log lines.
//!
//! Everything happens on the guest's thread, inside the guest's own write. A stream that feeds the pipe
//! lets the guest wait while the pipe is full.

mod async_stream;
mod permitted;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;
use tokio::io::AsyncWrite;
use tokio::sync::Notify;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, StreamError};

use self::async_stream::AsyncStream;
use self::permitted::PermittedStream;
use crate::config::{Config, StderrTo};
use crate::counters::Counters;
use crate::event::Event;
use crate::pipe::{Pipe, RecordEnd};
use crate::rarely::Tally;
use crate::record::encode::{Encoder, WireFormat};
use crate::record::lines::{Lines, LongLineCounts, LongLines};

/// Most bytes taken from one write at a time.
const BLOCK_BYTES: usize = 64 * 1024;
/// The same where a parser reads the lines, which may all be empty: the host's thread has it read all of a block at a
/// time.
const PARSED_BLOCK_BYTES: usize = 8 * 1024;
/// Most bytes of records that are made of them, if each is an empty line; bounds what goes into the pipe beyond its
/// limit.
const BLOCK_RECORD_BYTES: usize = 4 << 20;
/// As long as a guest computes at a time. A single call of it may have thousands of millions of lines.
const AT_A_TIME: Duration = Duration::from_millis(10);
/// Longest line of standard error in the log; a longer one comes in pieces.
const STDERR_LINE_BYTES: usize = 2000;

/// The guest wrote more than the option `output_limit` lets one run write.
#[derive(Debug, Error)]
#[error("the guest wrote more than output_limit allows")]
pub struct OutputLimitReached;

impl From<OutputLimitReached> for StreamError {
    fn from(error: OutputLimitReached) -> Self {
        // Not an error that the guest could read and ignore: the run is over.
        Self::Trap(error.into())
    }
}

/// Both streams of an input's guest; the same for all runs.
pub struct Streams {
    pub stdout: GuestStream,
    pub stderr: GuestStream,
    output_limit_bytes: Option<u64>,
}

/// One stream of the guest; clones write to the same place.
#[derive(Clone)]
pub struct GuestStream {
    sink: Arc<Mutex<Sink>>,
    pipe: Arc<Pipe>,
    /// The sink feeds the pipe, so a full pipe holds the writer up.
    waits: bool,
    /// Most bytes taken at a time.
    block_bytes: usize,
    quota: Arc<Quota>,
}

/// What the run may still write, to both streams together.
#[derive(Default)]
struct Quota {
    left_bytes: AtomicU64,
    /// The run was to write more.
    is_reached: AtomicBool,
    /// Tells that, where a stream can't end the run itself. It may be left from an earlier run.
    reached: Notify,
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
    /// What happened to long lines.
    long: Tally<LongLineCounts>,
    counters: Arc<Counters>,
}

/// Lines that become lines of the host's log.
struct LogLines {
    lines: Lines,
    counters: Arc<Counters>,
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
                long: Tally::default(),
                counters: Arc::clone(counters),
            })
        };
        let stderr = match config.stderr {
            StderrTo::Record => records("stderr", false),
            StderrTo::Log => Sink::Log(LogLines {
                lines: Lines::new(STDERR_LINE_BYTES, LongLines::Split),
                counters: Arc::clone(counters),
            }),
            StderrTo::Discard => Sink::Nothing,
        };
        let quota = Arc::new(Quota::default());
        Self {
            stdout: GuestStream::new(records("stdout", config.parser.is_some()), pipe, &quota),
            stderr: GuestStream::new(stderr, pipe, &quota),
            output_limit_bytes: config.output_limit_bytes,
        }
    }

    /// A run begins.
    pub fn begin_run(&self) {
        let quota = &self.stdout.quota;
        quota.left_bytes.store(self.output_limit_bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
        quota.is_reached.store(false, Ordering::Relaxed);
    }

    /// Whether this run was to write more than it may.
    pub fn is_limit_reached(&self) -> bool {
        self.stdout.quota.is_reached.load(Ordering::Relaxed)
    }

    /// Resolves when a stream of WASI 0.3 was to take more than the run may write.
    pub async fn limit_reached(&self) {
        while !self.is_limit_reached() {
            self.stdout.quota.reached.notified().await;
        }
    }

    /// The run is over: last lines without newline, and what is to be said about the others.
    pub fn end_run(&self) {
        for stream in [&self.stdout, &self.stderr] {
            stream.end_run();
        }
    }

    /// There will be no further run for long: memory that is kept for it is free.
    pub fn release(&self) {
        for stream in [&self.stdout, &self.stderr] {
            if let Sink::Records(Records { lines, .. }) | Sink::Log(LogLines { lines, .. }) =
                &mut *stream.lock()
            {
                lines.release();
            }
        }
        self.stdout.pipe.release();
    }

    /// There will be no further run: what hasn't been said yet is said now.
    pub fn end(&self) {
        for stream in [&self.stdout, &self.stderr] {
            if let Sink::Records(records) = &mut *stream.lock()
                && let Some(counts) = records.long.rest()
            {
                records.report(&stream.pipe, counts);
            }
        }
    }
}

impl Quota {
    /// Takes up to `wanted` bytes. Only the guest's thread takes.
    fn take(&self, wanted: usize) -> usize {
        let left = self.left_bytes.load(Ordering::Relaxed);
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(wanted);
        self.left_bytes.store(left - taken as u64, Ordering::Relaxed);
        taken
    }
}

impl GuestStream {
    fn new(sink: Sink, pipe: &Arc<Pipe>, quota: &Arc<Quota>) -> Self {
        let (waits, block_bytes) = match &sink {
            Sink::Records(records) => {
                let most = if records.parsed_later { PARSED_BLOCK_BYTES } else { BLOCK_BYTES };
                (true, most.min(BLOCK_RECORD_BYTES / records.encoder.empty_record_len()))
            }
            Sink::Log(_) | Sink::Nothing => (false, BLOCK_BYTES),
        };
        Self {
            waits,
            block_bytes: block_bytes.max(1),
            sink: Arc::new(Mutex::new(sink)),
            pipe: Arc::clone(pipe),
            quota: Arc::clone(quota),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sink> {
        // Only the guest's thread ever locks it; a panic there ends the run.
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what one call of the guest wrote, `total` bytes, if it is little and the pipe has room for it.
    /// `false` if it was not taken.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub fn write_at_once<'a>(
        &self,
        buffers: impl IntoIterator<Item = &'a [u8]>,
        total: u32,
    ) -> Result<bool, OutputLimitReached> {
        let may = total as usize <= self.block_bytes && self.has_room();
        if may {
            self.take_block(&mut Buffers::new(buffers))?;
        }
        Ok(may)
    }

    /// Takes what one call of the guest wrote, waiting while the pipe is full.
    ///
    /// # Errors
    /// When the run must write no more. What was allowed is taken.
    pub async fn write<'a>(
        &self,
        buffers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), OutputLimitReached> {
        let mut buffers = Buffers::new(buffers);
        let mut since = Instant::now();
        while buffers.have_more() {
            self.room().await;
            self.take_block(&mut buffers)?;
            if since.elapsed() >= AT_A_TIME {
                // Others have their turn, and the run may have to end.
                tokio::task::yield_now().await;
                since = Instant::now();
            }
        }
        Ok(())
    }

    /// Takes as much as goes into the pipe at a time.
    fn take_block<'a>(
        &self,
        buffers: &mut Buffers<'a, impl Iterator<Item = &'a [u8]>>,
    ) -> Result<(), OutputLimitReached> {
        let mut room = self.block_bytes;
        self.take(std::iter::from_fn(|| buffers.next_block(&mut room)))
    }

    /// Takes blocks the guest has written, without waiting.
    fn take<'a>(&self, blocks: impl IntoIterator<Item = &'a [u8]>) -> Result<(), OutputLimitReached> {
        let mut over_limit = false;
        let allowed = blocks.into_iter().map_while(|block| {
            let allowed = self.quota.take(block.len());
            let cut = over_limit;
            over_limit |= allowed < block.len();
            (!cut).then(|| &block[..allowed])
        });
        match &mut *self.lock() {
            Sink::Records(records) => records.push(&self.pipe, allowed),
            Sink::Log(log) => log.push(&self.pipe, allowed),
            // Counted all the same.
            Sink::Nothing => allowed.for_each(drop),
        }
        if over_limit {
            self.quota.is_reached.store(true, Ordering::Relaxed);
            return Err(OutputLimitReached);
        }
        Ok(())
    }

    fn end_run(&self) {
        match &mut *self.lock() {
            Sink::Records(records) => records.end_run(&self.pipe),
            Sink::Log(log) => log.end_run(&self.pipe),
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

/// The buffers of one call, cut where as much has been taken as goes into the pipe at a time. A call may
/// have thousands of a few bytes, or one of gigabytes.
struct Buffers<'a, I> {
    rest: &'a [u8],
    following: I,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Buffers<'a, I> {
    fn new(buffers: impl IntoIterator<IntoIter = I>) -> Self {
        Self { rest: &[], following: buffers.into_iter() }
    }

    fn have_more(&mut self) -> bool {
        while self.rest.is_empty() {
            match self.following.next() {
                Some(buffer) => self.rest = buffer,
                None => return false,
            }
        }
        true
    }

    fn next_block(&mut self, room: &mut usize) -> Option<&'a [u8]> {
        if *room == 0 || !self.have_more() {
            return None;
        }
        let (block, rest) = self.rest.split_at(self.rest.len().min(*room));
        *room -= block.len();
        self.rest = rest;
        Some(block)
    }
}

impl Records {
    /// Blocks of the stream.
    fn push<'a>(&mut self, pipe: &Pipe, blocks: impl Iterator<Item = &'a [u8]>) {
        self.with_lines(pipe, |lines, emit| blocks.for_each(|block| lines.push(block, &mut *emit)));
        self.count_long_lines(pipe);
    }

    fn end_run(&mut self, pipe: &Pipe) {
        self.with_lines(pipe, |lines, emit| lines.finish(emit));
        self.count_long_lines(pipe);
    }

    /// Lets `feed` find lines, which go into the pipe as records.
    fn with_lines(&mut self, pipe: &Pipe, feed: impl FnOnce(&mut Lines, &mut dyn FnMut(&[u8]))) {
        self.encoder.set_time(now());
        let (encoder, parsed_later, ends_noted) = (&self.encoder, self.parsed_later, self.ends_noted);
        let lines = &mut self.lines;
        pipe.write(|batch| {
            feed(lines, &mut |line| {
                encoder.record(line, &mut batch.bytes);
                batch.records += 1;
                if ends_noted {
                    batch.ends.push(RecordEnd {
                        end: batch.bytes.len(),
                        line_len: parsed_later.then_some(line.len()),
                    });
                }
            });
        });
    }

    fn count_long_lines(&mut self, pipe: &Pipe) {
        let counts = self.lines.take_counts();
        if counts != LongLineCounts::default() {
            self.counters.long_lines.add(counts.lines);
            self.counters.long_line_lost_bytes.add(counts.lost_bytes);
            if let Some(counts) = self.long.add(counts) {
                self.report(pipe, counts);
            }
        }
    }

    /// Says what became of lines that were too long.
    fn report(&self, pipe: &Pipe, counts: LongLineCounts) {
        pipe.post(Event::LongLines { stream: self.name, limit_bytes: self.limit_bytes, counts });
    }
}

/// The time since the beginning of 1970. `SystemTime` says the same, and with its arithmetic takes half as long
/// again; this is asked for each write of a guest.
fn now() -> Duration {
    let now = clock_gettime(ClockId::Realtime);
    // A clock before 1970 can't be said in a record.
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

impl LogLines {
    fn push<'a>(&mut self, pipe: &Pipe, blocks: impl Iterator<Item = &'a [u8]>) {
        let counters = &self.counters;
        for block in blocks {
            self.lines.push(block, |line| post_stderr(pipe, counters, line));
        }
    }

    fn end_run(&mut self, pipe: &Pipe) {
        let counters = &self.counters;
        self.lines.finish(|line| post_stderr(pipe, counters, line));
        pipe.post_stderr_left_out();
    }
}

fn post_stderr(pipe: &Pipe, counters: &Counters, line: &[u8]) {
    let line = String::from_utf8_lossy(line).into_owned();
    if !pipe.post(Event::GuestStderr { line }) {
        counters.stderr_left_out_lines.add(1);
    }
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(AsyncStream::new(self.clone()))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(PermittedStream::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::Context;

    use super::*;
    use crate::config::{Given, Properties};
    use crate::doorbell::Doorbell;

    /// An input with this `output_limit`.
    struct Limit(&'static str);

    impl Properties for Limit {
        fn values(&self, name: &str) -> Given {
            match name {
                "wasi_path" => vec![b"/guest.wasm".to_vec()].into(),
                "output_limit" => vec![self.0.as_bytes().to_vec()].into(),
                _ => Given::default(),
            }
        }
    }

    #[test]
    fn a_limit_that_one_run_has_reached_is_not_the_next_ones() {
        let config = Config::from_properties(&Limit("10")).unwrap();
        let pipe = Arc::new(Pipe::new(1000, Arc::new(Doorbell::new().unwrap())));
        let streams = Streams::new(&config, WireFormat::Metadata, &pipe, &Arc::default());
        let mut context = Context::from_waker(std::task::Waker::noop());
        streams.begin_run();
        let mut stream = Box::into_pin(streams.stdout.async_stream());
        assert!(stream.as_mut().poll_write(&mut context, &[b'x'; 11]).is_pending());
        assert!(streams.is_limit_reached());
        assert!(Box::pin(streams.limit_reached()).as_mut().poll(&mut context).is_ready());
        // Once more, and nobody looks.
        assert!(stream.as_mut().poll_write(&mut context, b"x").is_pending());
        streams.end_run();
        streams.begin_run();
        assert!(!streams.is_limit_reached());
        assert!(Box::pin(streams.limit_reached()).as_mut().poll(&mut context).is_pending());
    }
}
