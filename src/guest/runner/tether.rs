//! What goes with a guest from thread to thread, and the threads that it goes to.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::last_wish;
use super::running::{Next, Running, run};
use crate::config::AfterRun;
use crate::event::Event;
use crate::guest::outcome::EXIT_DEFECT;
use crate::guest::threads;
use crate::guest::waiting_room::{Outside, Seat};
use crate::panics;
use crate::pipe::Pipe;

/// The thread that the guest has, or the last one that it had.
pub type LastThread = Arc<Mutex<Option<JoinHandle<()>>>>;

pub fn take_thread(thread: &LastThread) -> Option<JoinHandle<()>> {
    // Held for one assignment, so what a panic leaves behind is whole.
    thread.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The guest's side of a [`Runner`](super::Runner), which goes with it from thread to thread. Dropping it is the end.
pub struct Tether {
    pub cancelled: oneshot::Receiver<()>,
    /// Where it waits for a start that is far away.
    pub seat: Option<Seat>,
    /// It has left that for a thread.
    pub outside: Option<Outside>,
    pub thread: LastThread,
    pub pipe: Arc<Pipe>,
    pub after_run: AfterRun,
    /// How the last run ended, as an exit code; `None` when it was cancelled.
    pub status: Option<i32>,
    /// Tells the end. The last of the fields, so that nothing comes after it.
    pub _end: mpsc::SyncSender<()>,
}

/// A thread that waits for its guest.
pub struct NewThread {
    handle: JoinHandle<()>,
    guest: oneshot::Sender<(Tether, Box<Running>)>,
}

impl NewThread {
    /// # Errors
    /// When the system has no thread left.
    pub fn start(name: &str) -> io::Result<Self> {
        let (guest, given) = oneshot::channel::<(Tether, Box<Running>)>();
        let handle = threads::start(name, move || {
            if let Ok((tether, running)) = given.blocking_recv() {
                tether.go_on(running);
            }
        })?;
        Ok(Self { handle, guest })
    }

    pub fn give(self, tether: Tether, running: Box<Running>) {
        *tether.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.handle);
        // It does nothing but wait for this.
        let _ = self.guest.send((tether, running));
    }
}

impl Tether {
    /// All that a thread does.
    fn go_on(mut self, running: Box<Running>) {
        // A defect of ours must neither end the agent nor stay unsaid.
        let next = panics::caught(|| run(running, &mut self.cancelled, self.outside.as_mut()));
        match next {
            Ok(Next::Wait(running)) => {
                let seat = self.seat.clone().expect("only who waits long waits");
                // Once more from there: what waits for an hour then lies beside its like in memory, and not
                // among what this thread has needed for a moment.
                seat.clone().spawn(async move { seat.spawn(self.wait(running)) });
            }
            Ok(Next::Nothing(status)) => self.status = status,
            Err(what) => self.panicked(what),
        }
    }

    /// Until the next start, without a thread.
    pub async fn wait(mut self, mut running: Box<Running>) {
        let seat = self.seat.clone().expect("only who waits long waits here");
        if let Some(thread) = take_thread(&self.thread) {
            // To come here was the last thing it did. Its stack is in use until somebody has waited for its end,
            // which takes a moment even where processors are scarce.
            let _ = thread.join();
        }
        self.outside = None;
        let thread = tokio::select! {
            biased;
            _ = &mut self.cancelled => return,
            (thread, outside) = running.thread_for_next_start(&seat) => {
                self.outside = Some(outside);
                thread
            }
        };
        thread.give(self, running);
    }

    fn panicked(&mut self, what: String) {
        self.pipe.post(Event::RunnerPanicked { what });
        self.status = Some(EXIT_DEFECT);
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // While it waited, on a thread whose executor catches it and tells nobody.
            self.panicked(format!("while it waited{}", panics::place()));
        }
        self.pipe.finish(last_wish(self.after_run, self.status));
    }
}
