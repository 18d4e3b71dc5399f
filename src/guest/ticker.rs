//! The ticker that keeps a busy guest interruptible.
//!
//! Compiled code looks at a counter, the engine's epoch, in every loop and function, and gives way when it has
//! changed. The ticker changes it every [`TICK`] while some guest computes.
//!
//! Most runs are over long before the first tick, and a guest that waits, for time or for the engine, needs none.
//! So nobody is woken when a guest begins: a timer is set, which is stopped when no guest computes any more, and
//! the ticker's thread sleeps until it goes off. An input that runs now and then costs no wake-ups, and one that
//! runs every millisecond has only the timer set.
//!
//! The ticker is also who notices that a guest's thread hangs: in a call of the system that doesn't return, nothing
//! on that thread can say so, and no time limit there ends it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::threads;
use crate::event::Event;
use crate::pipe::Pipe;

/// Longest time a computing guest goes on before it looks whether it should stop.
const TICK: Duration = Duration::from_millis(10);
/// "At once", for a timer: zero would stop it.
const AT_ONCE: Duration = Duration::from_nanos(1);
/// Who goes on for so many ticks, some fifteen seconds, without giving way hangs. Counted and not timed: while the whole
/// process stands still, nobody hangs.
const HANGS: u32 = 1500;

/// A thread that does something every [`TICK`] while anybody computes.
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// The timer is set and stopped under the lock, so it runs exactly while somebody computes.
    computing: Mutex<Everybody>,
    /// Goes off every tick.
    timer: OwnedFd,
    /// The thread shall end.
    stop: AtomicBool,
}

/// Who computes right now.
#[derive(Default)]
struct Everybody {
    all: Vec<Somebody>,
    /// How many there have been.
    count: u64,
}

struct Somebody {
    number: u64,
    /// Ticks since it began.
    ticks: u32,
    /// Where it is told that this one hangs; until it has been.
    pipe: Option<Arc<Pipe>>,
}

impl Ticker {
    /// A ticker that calls `tick`, from a thread of its own.
    ///
    /// # Errors
    /// When the process may have no further descriptor or thread.
    pub fn start(tick: impl Fn() + Send + 'static) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        let shared = Arc::new(Shared { computing: Mutex::default(), timer, stop: AtomicBool::new(false) });
        let ticking = Arc::clone(&shared);
        let thread = threads::start("exec_wasi-epoch", move || ticking.run(tick))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A guest's thread computes, or is in a call of the system, until what this returns is dropped. Should that
    /// never be, it is said through the pipe.
    pub fn computing(&self, pipe: &Arc<Pipe>) -> Computing {
        let mut computing = self.shared.lock();
        computing.count += 1;
        let number = computing.count;
        computing.all.push(Somebody { number, ticks: 0, pipe: Some(Arc::clone(pipe)) });
        if computing.all.len() == 1 {
            self.shared.set(TICK);
        }
        Computing { shared: Arc::clone(&self.shared), number }
    }
}

/// See [`Ticker::computing`].
pub struct Computing {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Computing {
    fn drop(&mut self) {
        let mut computing = self.shared.lock();
        computing.all.retain(|somebody| somebody.number != self.number);
        if computing.all.is_empty() {
            self.shared.set(Duration::ZERO);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Everybody> {
        // Nothing under the lock can panic.
        self.computing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the timer go off after `first`, and then every tick; stops it if that is zero.
    fn set(&self, first: Duration) {
        let timespec = |time: Duration| Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        let time = Itimerspec { it_interval: timespec(TICK), it_value: timespec(first) };
        // The time is in range. If it is no timer any more, see `run`.
        let _ = timerfd_settime(self.timer.as_fd(), TimerfdTimerFlags::empty(), &time);
    }

    fn run(&self, tick: impl Fn()) {
        loop {
            match rustix::io::read(self.timer.as_fd(), &mut [0u8; 8]) {
                Ok(_) | Err(Errno::INTR) => {}
                // Up to 4.0 the host closes some of its timers twice, so it may have closed ours. A guest has to
                // be interrupted all the same.
                Err(_) => std::thread::sleep(TICK),
            }
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            tick();
            self.tell_who_hangs();
        }
    }

    /// A tick has passed.
    fn tell_who_hangs(&self) {
        let hang = |somebody: &mut Somebody| {
            somebody.ticks = somebody.ticks.saturating_add(1);
            somebody.pipe.take_if(|_| somebody.ticks >= HANGS)
        };
        let hanging: Vec<_> = self.lock().all.iter_mut().filter_map(hang).collect();
        for pipe in hanging {
            pipe.post(Event::Hangs { after: TICK * HANGS });
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.set(AT_ONCE);
        if let Some(thread) = self.thread.take() {
            // It has no way to panic; if it did, it is gone all the same.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doorbell::Doorbell;
    use std::sync::atomic::AtomicUsize;

    fn pipe() -> Arc<Pipe> {
        Arc::new(Pipe::new(usize::MAX, Arc::new(Doorbell::new().unwrap())))
    }

    fn counting() -> (Ticker, Arc<AtomicUsize>) {
        let ticks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ticks);
        let ticker = Ticker::start(move || _ = counted.fetch_add(1, Ordering::Relaxed)).unwrap();
        (ticker, ticks)
    }

    fn wait_for(ticks: &AtomicUsize, wanted: usize) {
        let begun = std::time::Instant::now();
        while ticks.load(Ordering::Relaxed) < wanted {
            assert!(begun.elapsed() < Duration::from_secs(20), "it doesn't tick");
            std::thread::sleep(TICK / 10);
        }
    }

    #[test]
    fn it_ticks_while_anybody_computes_and_only_then() {
        let ((ticker, ticks), pipe) = (counting(), pipe());
        std::thread::sleep(5 * TICK);
        assert_eq!(ticks.load(Ordering::Relaxed), 0);
        let one = ticker.computing(&pipe);
        let other = ticker.computing(&pipe);
        wait_for(&ticks, 3);
        drop(one);
        let so_far = ticks.load(Ordering::Relaxed);
        wait_for(&ticks, so_far + 3);
        drop(other);
        // One may just be on its way.
        std::thread::sleep(10 * TICK);
        let so_far = ticks.load(Ordering::Relaxed);
        std::thread::sleep(5 * TICK);
        assert_eq!(ticks.load(Ordering::Relaxed), so_far);
    }

    #[test]
    fn it_ticks_for_whoever_is_left_of_many_that_come_and_go() {
        let ((ticker, ticks), pipe) = (counting(), pipe());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| drop(ticker.computing(&pipe))));
            }
        });
        let _computing = ticker.computing(&pipe);
        let so_far = ticks.load(Ordering::Relaxed);
        wait_for(&ticks, so_far + 3);
    }

    #[test]
    fn who_hangs_is_told_once_and_who_gives_way_is_not() {
        let ((ticker, _), pipe) = (counting(), pipe());
        let hangs = ticker.computing(&pipe);
        (0..HANGS).for_each(|_| {
            drop(ticker.computing(&pipe));
            ticker.shared.tell_who_hangs();
        });
        // The ticker may have been the one who told it.
        let begun = std::time::Instant::now();
        let mut events = pipe.take_events();
        while events.is_empty() && begun.elapsed() < Duration::from_secs(20) {
            events = pipe.take_events();
        }
        assert!(matches!(*events, [Event::Hangs { .. }]));
        ticker.shared.tell_who_hangs();
        assert_eq!(pipe.take_events(), []);
        drop(hangs);
    }
}
