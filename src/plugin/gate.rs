//! What the engine lets an input do. The only part of an input that pausing, resuming and delivering share; it is
//! all that another thread than the input's own may touch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::{self, ThreadId};

use crate::doorbell::Doorbell;

/// What the engine lets us do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It takes records.
    Open,
    /// It takes none until it resumes us.
    Paused,
    /// It is stopping and takes what is there, for a short while.
    Closing,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Gate {
    /// One of the states below.
    state: AtomicU8,
    bell: Arc<Doorbell>,
    /// The thread of the input's callbacks, but for some calls to resume.
    thread: ThreadId,
    /// The engine is being offered something.
    appending: AtomicBool,
    /// And has paused us meanwhile.
    paused_within: AtomicBool,
    /// It was stopping, and has paused us once more.
    paused_closing: AtomicBool,
}

const OPEN: u8 = 0;
const PAUSED: u8 = 1;
const CLOSING: u8 = 2;
/// Open, and the next pause is the one that has been taken back already: up to 2.1.8 the engine's thread resumes a
/// threaded input directly, and pauses it by a message that may come later.
const RESUMED_EARLY: u8 = 3;

impl Gate {
    /// Open; for the thread that this is called on. The bell is rung when more can be done than before.
    pub fn new(bell: Arc<Doorbell>) -> Self {
        Self {
            state: AtomicU8::new(OPEN),
            bell,
            thread: thread::current().id(),
            appending: AtomicBool::new(false),
            paused_within: AtomicBool::new(false),
            paused_closing: AtomicBool::new(false),
        }
    }

    pub fn flow(&self) -> Flow {
        match self.state.load(Ordering::Acquire) {
            PAUSED => Flow::Paused,
            CLOSING => Flow::Closing,
            _ => Flow::Open,
        }
    }

    pub fn bell(&self) -> &Doorbell {
        &self.bell
    }

    /// Offers something to the engine by `append`. With its result, whether the engine has paused us within it.
    pub fn during_append<T>(&self, append: impl FnOnce() -> T) -> (T, bool) {
        self.appending.store(true, Ordering::Relaxed);
        let result = append();
        self.appending.store(false, Ordering::Relaxed);
        (result, self.paused_within.swap(false, Ordering::Relaxed))
    }

    pub fn is_appending(&self) -> bool {
        self.appending.load(Ordering::Relaxed)
    }

    /// The engine takes no more records until it resumes us.
    pub fn pause(&self) {
        if self.is_appending() {
            self.paused_within.store(true, Ordering::Relaxed);
        }
        self.change(|state| if state == RESUMED_EARLY { OPEN } else { PAUSED });
    }

    /// The engine takes records again.
    pub fn resume(&self) {
        let is_early = thread::current().id() != self.thread;
        self.change(|state| if state == OPEN && is_early { RESUMED_EARLY } else { OPEN });
        self.bell.ring();
    }

    /// The engine stops; what it takes until then is all that it ever will.
    pub fn close(&self) {
        if self.flow() == Flow::Closing {
            self.paused_closing.store(true, Ordering::Relaxed);
        }
        self.change(|_| CLOSING);
        self.bell.ring();
    }

    /// Whether the engine may have been at its limit when it stopped. It pauses its inputs then, too, so one pause means
    /// nothing.
    pub fn was_at_limit(&self) -> bool {
        self.flow() == Flow::Paused || self.paused_closing.load(Ordering::Relaxed)
    }

    fn change(&self, next: impl Fn(u8) -> u8) {
        let changed = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| Some(next(state)));
        changed.expect("there is always a next state");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate::new(Arc::new(Doorbell::new().unwrap()))
    }

    #[test]
    fn a_pause_that_comes_after_its_end_is_none() {
        let gate = gate();
        // In order, again and again; to resume twice means nothing.
        for _ in 0..2 {
            gate.pause();
            assert_eq!(gate.flow(), Flow::Paused);
            gate.resume();
            gate.resume();
            assert_eq!(gate.flow(), Flow::Open);
        }
        // From another thread, and before the pause it belongs to.
        std::thread::scope(|scope| scope.spawn(|| gate.resume()).join().unwrap());
        assert_eq!(gate.flow(), Flow::Open);
        gate.pause();
        assert_eq!(gate.flow(), Flow::Open);
        gate.pause();
        assert_eq!(gate.flow(), Flow::Paused);
        std::thread::scope(|scope| scope.spawn(|| gate.resume()).join().unwrap());
        assert_eq!(gate.flow(), Flow::Open);
    }

    #[test]
    fn a_pause_within_an_append_is_known_to_it() {
        let gate = gate();
        assert_eq!(gate.during_append(|| gate.pause()), ((), true));
        assert_eq!(gate.during_append(|| gate.is_appending()), (true, false));
        assert!(!gate.is_appending());
    }
}
