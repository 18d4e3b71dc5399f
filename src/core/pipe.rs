//! The pipe between a guest's thread and the host's: batches of encoded records, and events.
//!
//! The **writer** is the guest's thread. It appends to the open batch and waits, asynchronously, while
//! `limit_bytes` or more are on their way. The **reader** is the host's thread. It never waits: it takes
//! what is there, and says afterwards what the engine has accepted; only that makes room. So the bound
//! covers everything that is not yet the engine's.
//!
//! Both sides hold the lock for a few instructions: the writer *takes* the open batch out, fills it
//! without the lock, and puts it back.
//!
//! The reader is woken by ringing its [`Doorbell`]. How often is the reader's choice ([`Attention`]): at
//! once while it has nothing to do; only when much has come, while it looks by itself every few
//! milliseconds; and not for records at all, while the engine has paused it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::doorbell::Doorbell;
use crate::event::Event;
use crate::journal::Journal;

/// A batch of this size or more is closed and a new one begun. The host's chunks close at about 2 MB, so
/// two of these make a chunk; the fixed cost of an append is nothing against one. And it is what a paused
/// engine takes when it resumes: a host with a small `mem_buf_limit` takes one batch per flush.
const BATCH_BYTES: usize = 1_000_000;

/// The memory of a batch that is larger is not used again: one line, or one write of empty lines, made it so.
const KEPT_BYTES: usize = 4 * BATCH_BYTES;
/// Nor is it where so much more of it was there than needed. Of a hundred inputs each may have printed much once.
const KEPT_FACTOR: usize = 8;
/// So much is nothing.
const KEPT_ANYWAY_BYTES: usize = 64 << 10;

/// The same for an input whose lines the host parses: a batch is parsed in one go, on the host's thread.
const PARSED_BATCH_BYTES: usize = 64 * 1024;

/// Where a record ends in a batch, for a parser to find its line again.
#[derive(Clone, Copy, Debug)]
pub struct RecordEnd {
    /// Offset just behind the record.
    pub end: usize,
    /// Length of the line that the record ends with; `None` if it isn't for the parser.
    pub line_len: Option<usize>,
}

/// Encoded records, one behind the other.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records.
    pub bytes: Vec<u8>,
    /// How many they are, but for those that the engine has taken.
    pub records: usize,
    /// Where each ends; filled only for an input with a parser, emptied when it has parsed them.
    pub ends: Vec<RecordEnd>,
    /// Bytes of its beginning that the engine has taken.
    taken_bytes: usize,
    /// Bytes it holds of the pipe's limit: what was written, whatever a parser made of it since.
    weight_bytes: usize,
}

impl Batch {
    fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
        self.ends.clear();
        self.taken_bytes = 0;
        self.weight_bytes = 0;
    }

    /// The records that the engine hasn't taken.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.taken_bytes..]
    }

    /// The engine has taken so many of the rest.
    pub fn take(&mut self, records: usize, bytes: usize) {
        self.records -= records;
        self.taken_bytes += bytes;
    }
}

/// What the reader wants to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// Everything: it has nothing else to do.
    Any,
    /// Events, and records once they are many: it will look by itself soon.
    Much,
    /// Events only: the engine takes no records.
    Events,
}

#[derive(Debug)]
struct State {
    /// What the writer adds to; `None` while the writer has it in hand. Boxed, since it goes from hand to hand
    /// at each write.
    open: Option<Box<Batch>>,
    /// Full batches, oldest first.
    full: VecDeque<Box<Batch>>,
    /// An emptied batch whose memory is used again.
    spare: Option<Box<Batch>>,
    /// Nothing will be written for long: no memory is kept for it.
    released: bool,
    journal: Journal,
    attention: Attention,
    /// The bell has rung and the reader hasn't come yet.
    rung: bool,
    /// The writer is gone.
    finished: bool,
    /// Its last wish: that the host stops with this exit code.
    host_status: Option<i32>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Pipe {
    limit_bytes: usize,
    /// Bytes written and not yet accepted by the engine, those in the reader's hands included. Changed under
    /// the lock, and looked at without: that is done for each write of a guest.
    unaccepted_bytes: AtomicUsize,
    state: Mutex<State>,
    /// Rung by the reader when it made room.
    room: Notify,
    bell: Arc<Doorbell>,
}

impl Pipe {
    /// A pipe that lets `limit_bytes` wait for the engine and wakes the reader by `bell`.
    #[must_use]
    pub fn new(limit_bytes: usize, bell: Arc<Doorbell>) -> Self {
        Self {
            limit_bytes,
            unaccepted_bytes: AtomicUsize::new(0),
            state: Mutex::new(State {
                open: Some(Box::default()),
                full: VecDeque::new(),
                spare: None,
                released: false,
                journal: Journal::default(),
                attention: Attention::Any,
                rung: false,
                finished: false,
                host_status: None,
            }),
            room: Notify::new(),
            bell,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the writer's side ----

    /// Whether less than the limit is on its way.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.unaccepted_bytes() < self.limit_bytes
    }

    /// Waits until [`has_room`](Self::has_room).
    pub async fn room(&self) {
        // A permit is kept when the reader makes room between the look and the wait.
        let mut has_waited = false;
        while !self.has_room() {
            self.room.notified().await;
            has_waited = true;
        }
        if has_waited {
            // The guest's other stream may wait as well, and the reader tells one.
            self.room.notify_one();
        }
    }

    /// Lets `fill` add records to the open batch.
    pub fn write(&self, fill: impl FnOnce(&mut Batch)) {
        let mut batch = {
            let mut state = self.lock();
            state.released = false;
            match state.open.take() {
                Some(batch) => batch,
                None => state.spare.take().unwrap_or_default(),
            }
        };
        let before = batch.bytes.len();
        fill(&mut batch);
        let added = batch.bytes.len() - before;
        batch.weight_bytes += added;

        let mut state = self.lock();
        let unaccepted_bytes = self.unaccepted_bytes() + added;
        self.unaccepted_bytes.store(unaccepted_bytes, Ordering::Relaxed);
        let limit = if batch.ends.is_empty() { BATCH_BYTES } else { PARSED_BATCH_BYTES };
        if batch.bytes.len() >= limit {
            state.full.push_back(batch);
            let next = state.spare.take().unwrap_or_default();
            state.open = Some(next);
        } else {
            state.open = Some(batch);
        }
        let wanted = match state.attention {
            Attention::Any => true,
            Attention::Much => unaccepted_bytes >= BATCH_BYTES.min(self.limit_bytes / 2),
            Attention::Events => false,
        };
        self.ring(state, wanted && added > 0);
    }

    /// Nothing will be written for long: until then, the memory for it is free.
    pub fn release(&self) {
        let mut state = self.lock();
        state.released = true;
        let (spare, open) = (state.spare.take(), state.open.take_if(|open| open.bytes.is_empty()));
        drop(state);
        drop((spare, open));
    }

    /// Something for the log. `false` if it was left out, because there is too much already; that is said
    /// in its place.
    pub fn post(&self, event: Event) -> bool {
        let mut state = self.lock();
        let added = state.journal.add(event, Instant::now());
        self.ring(state, added);
        added
    }

    /// Lets the log say how many lines of the guest's standard error were left out, if any were.
    pub fn post_stderr_left_out(&self) {
        let mut state = self.lock();
        let added = state.journal.add_stderr_left_out(Instant::now());
        self.ring(state, added);
    }

    /// The writer's last word: nothing will come any more. With `host_status` the host shall stop with
    /// this exit code, once the engine has everything.
    pub fn finish(&self, host_status: Option<i32>) {
        let mut state = self.lock();
        state.finished = true;
        state.host_status = host_status;
        self.ring(state, true);
    }

    fn ring(&self, mut state: MutexGuard<'_, State>, wanted: bool) {
        let ring = wanted && !state.rung;
        state.rung |= ring;
        drop(state);
        if ring {
            self.bell.ring();
        }
    }

    /// The reader has something to look at that isn't in the pipe.
    pub fn nudge(&self) {
        self.ring(self.lock(), true);
    }

    // ---- the reader's side ----

    /// The reader has come: from now on the bell rings again for what `attention` says.
    pub fn attend(&self, attention: Attention) {
        self.bell.clear();
        let mut state = self.lock();
        state.rung = false;
        state.attention = attention;
    }

    /// The oldest batch, if any.
    pub fn take_batch(&self) -> Option<Box<Batch>> {
        let mut state = self.lock();
        if let Some(batch) = state.full.pop_front() {
            return Some(batch);
        }
        if state.open.as_ref().is_none_or(|open| open.records == 0) {
            return None;
        }
        let next = state.spare.take().unwrap_or_default();
        state.open.replace(next)
    }

    /// The engine has accepted a batch, or the reader gave it up: its room is free, its memory used again.
    pub fn done(&self, mut batch: Box<Batch>) {
        let weight_bytes = batch.weight_bytes;
        let most_bytes = (KEPT_FACTOR * batch.bytes.len()).clamp(KEPT_ANYWAY_BYTES, KEPT_BYTES);
        batch.clear();
        {
            let mut state = self.lock();
            self.unaccepted_bytes.store(self.unaccepted_bytes() - weight_bytes, Ordering::Relaxed);
            if state.spare.is_none() && !state.released && batch.bytes.capacity() <= most_bytes {
                state.spare = Some(batch);
            }
        }
        self.room.notify_one();
    }

    /// The events that wait, oldest first.
    pub fn take_events(&self) -> Vec<Event> {
        self.lock().journal.take()
    }

    /// The same for the last time: also what was left out and not said yet.
    pub fn take_last_events(&self) -> Vec<Event> {
        self.lock().journal.take_last()
    }

    /// Whether the writer is gone. What it wrote before may still wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.lock().finished
    }

    /// Whether the host shall stop, and nothing waits any more.
    #[must_use]
    pub fn wants_host_stopped(&self) -> bool {
        self.unaccepted_bytes() == 0 && self.lock().host_status.is_some()
    }

    /// The exit code with which the host shall stop, if that is wanted and nothing waits any more. Told
    /// once.
    #[must_use]
    pub fn take_host_status(&self) -> Option<i32> {
        let mut state = self.lock();
        if self.unaccepted_bytes() > 0 { None } else { state.host_status.take() }
    }

    /// Bytes written and not yet accepted.
    #[must_use]
    pub fn unaccepted_bytes(&self) -> usize {
        self.unaccepted_bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn pipe(limit_bytes: usize) -> Pipe {
        Pipe::new(limit_bytes, Arc::new(Doorbell::new().unwrap()))
    }

    fn write(pipe: &Pipe, len: usize) {
        pipe.write(|batch| {
            batch.bytes.resize(batch.bytes.len() + len, 0);
            batch.records += 1;
        });
    }

    fn kept_bytes(pipe: &Pipe) -> usize {
        let state = pipe.lock();
        [&state.open, &state.spare].into_iter().flatten().map(|batch| batch.bytes.capacity()).sum()
    }

    #[test]
    fn both_streams_of_a_guest_go_on_when_there_is_room() {
        let pipe = pipe(10);
        write(&pipe, 10);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let reader = async {
                tokio::task::yield_now().await;
                pipe.done(pipe.take_batch().unwrap());
            };
            let all = async { tokio::join!(pipe.room(), pipe.room(), reader) };
            timeout(Duration::from_secs(10), all).await.expect("one of them was not told");
        });
    }

    #[test]
    fn who_once_had_much_does_not_keep_it() {
        let pipe = pipe(usize::MAX);
        for _ in 0..3 {
            write(&pipe, BATCH_BYTES);
        }
        while let Some(batch) = pipe.take_batch() {
            pipe.done(batch);
        }
        assert!(kept_bytes(&pipe) >= BATCH_BYTES);
        for _ in 0..2 {
            write(&pipe, 100);
            pipe.done(pipe.take_batch().unwrap());
        }
        assert!(kept_bytes(&pipe) < 2 * KEPT_ANYWAY_BYTES, "{}", kept_bytes(&pipe));
    }

    #[test]
    fn memory_is_used_again_but_not_kept_for_a_long_wait_nor_when_it_is_very_much() {
        let pipe = pipe(usize::MAX);
        for (len, kept) in [(1000, true), (2 * BATCH_BYTES, true), (5 * BATCH_BYTES, false)] {
            write(&pipe, len);
            pipe.done(pipe.take_batch().unwrap());
            assert_eq!(kept_bytes(&pipe) >= len, kept, "{len}");
        }
        write(&pipe, 1000);
        let batch = pipe.take_batch().unwrap();
        pipe.release();
        pipe.done(batch);
        assert_eq!(kept_bytes(&pipe), 0);
        // As if it had never waited.
        write(&pipe, 1000);
        pipe.done(pipe.take_batch().unwrap());
        assert!(kept_bytes(&pipe) >= 1000);
        // What waits for the engine stays.
        write(&pipe, 1000);
        pipe.release();
        assert_eq!(pipe.take_batch().unwrap().records, 1);
    }
}
