//! Where inputs wait for a start that is far away: one thread for all of them.
//!
//! A thread with its stack, its executor and what the allocator keeps for it is a hundred kilobytes and
//! more. A guest that runs once an hour needs them for milliseconds.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The thread, for as long as somebody has it. Whoever drops it last waits for its end, so those who wait
/// in it only have its handle.
#[derive(Debug)]
pub struct WaitingRoom {
    handle: Handle,
    close: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

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
        Ok(Self { handle, close: Some(close), thread: Some(thread) })
    }

    /// Where to wait.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
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

    #[test]
    fn there_is_one_while_it_is_needed() {
        let one = WaitingRoom::shared().unwrap();
        let two = WaitingRoom::shared().unwrap();
        assert!(Arc::ptr_eq(&one, &two));
        let (done, waited) = std::sync::mpsc::channel();
        one.handle().spawn(async move { done.send(std::thread::current().name().map(str::to_owned)) });
        assert_eq!(waited.recv().unwrap().as_deref(), Some("exec_wasi-wait"));
    }
}
