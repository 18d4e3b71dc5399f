//! Where inputs wait for a start that is far away: one thread for all of them.
//!
//! A thread with its stack, its executor and what the allocator keeps for it is a hundred kilobytes and
//! more. A guest that runs once an hour needs them for milliseconds. And what the allocator once had for a
//! thread it never gives back, but has again for the next; so of a hundred guests that are due at the same
//! moment, as all are at the beginning, a few go at a time, if they are quick.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// Whoever has waited for so long behind others goes beside them.
const PATIENCE: Duration = Duration::from_millis(100);

/// The thread, for as long as somebody has it. Whoever drops it last waits for its end, so those who wait
/// in it only have its handle.
#[derive(Debug)]
pub struct WaitingRoom {
    seat: Seat,
    close: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A guest's place in the room; without it being kept open.
#[derive(Clone, Debug)]
pub struct Seat {
    handle: Handle,
    /// As many as there are processors.
    doors: Arc<Semaphore>,
}

/// A guest has left the room for a thread; to be kept until that is no longer needed.
#[derive(Debug)]
pub struct Outside(
    #[allow(dead_code, reason = "the next one is let out when it is dropped")] Option<OwnedSemaphorePermit>,
);

static WAITING_ROOM: Mutex<Weak<WaitingRoom>> = Mutex::new(Weak::new());

impl WaitingRoom {
    /// The process's one.
    ///
    /// # Errors
    /// When the system has no thread or file descriptor left.
    pub fn shared() -> io::Result<Arc<Self>> {
        // What a panic leaves behind is a whole value.
        let mut known = WAITING_ROOM.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.upgrade() {
            return Ok(known);
        }
        let made = Arc::new(Self::new()?);
        *known = Arc::downgrade(&made);
        Ok(made)
    }

    fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let (close, closed) = oneshot::channel::<()>();
        let handle = runtime.handle().clone();
        let thread = std::thread::Builder::new().name("exec_wasi-wait".into()).spawn(move || {
            // Nothing is ever sent: that the sender is gone is the signal.
            let _ = runtime.block_on(closed);
        })?;
        let doors = Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));
        Ok(Self { seat: Seat { handle, doors }, close: Some(close), thread: Some(thread) })
    }

    /// Where to wait.
    pub fn seat(&self) -> Seat {
        self.seat.clone()
    }
}

impl Seat {
    /// Has `wait` polled by the room's thread.
    pub fn spawn(&self, wait: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(wait);
    }

    /// Waits, for a moment at most, until few others are outside.
    pub async fn leave(&self) -> Outside {
        let permit = timeout(PATIENCE, Arc::clone(&self.doors).acquire_owned()).await;
        // They are never closed.
        Outside(permit.ok().and_then(Result::ok))
    }
}

impl Drop for WaitingRoom {
    fn drop(&mut self) {
        self.close = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was one of somebody who waited, and told by them.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn there_is_one_while_it_is_needed() {
        let one = WaitingRoom::shared().unwrap();
        let two = WaitingRoom::shared().unwrap();
        assert!(Arc::ptr_eq(&one, &two));
        let (done, waited) = std::sync::mpsc::channel();
        one.seat().spawn(async move {
            done.send(std::thread::current().name().map(str::to_owned)).unwrap();
        });
        assert_eq!(waited.recv().unwrap().as_deref(), Some("exec_wasi-wait"));
    }

    #[test]
    fn a_few_leave_at_a_time_and_who_has_waited_goes_too() {
        let room = WaitingRoom::new().unwrap();
        let (left, outside) = std::sync::mpsc::channel();
        let few = room.seat().doors.available_permits();
        for _ in 0..=few {
            let (seat, left) = (room.seat(), left.clone());
            room.seat().spawn(async move { left.send(seat.leave().await).unwrap() });
        }
        let begun = Instant::now();
        let all: Vec<Outside> = (0..=few).map(|_| outside.recv().unwrap()).collect();
        assert!(begun.elapsed() >= PATIENCE / 2, "nobody made room for the last one");
        assert_eq!(all.iter().filter(|outside| outside.0.is_some()).count(), few);
        drop(all);
        assert_eq!(room.seat().doors.available_permits(), few);
    }
}
