//! The ticker that keeps a busy guest interruptible.
//!
//! Compiled code looks at a counter, the engine's epoch, in every loop and function, and gives way when it has
//! changed. The ticker changes it every [`TICK`] while some guest computes.
//!
//! Most runs are over long before the first tick, and a guest that waits, for time or for the engine, needs none.
//! So nobody is woken when a guest begins: a timer is set, which is stopped when no guest computes any more, and
//! the ticker's thread sleeps until it goes off. An input that runs now and then costs no wake-ups, and one that
//! runs every millisecond has only the timer set.

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

/// Longest time a computing guest goes on before it looks whether it should stop.
const TICK: Duration = Duration::from_millis(10);
/// "At once", for a timer: zero would stop it.
const AT_ONCE: Duration = Duration::from_nanos(1);

/// A thread that does something every [`TICK`] while anybody computes.
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// Guests that compute right now. The timer is set and stopped under the lock, so it runs exactly while this
    /// is above zero.
    computing: Mutex<usize>,
    /// Goes off every tick.
    timer: OwnedFd,
    /// The thread shall end.
    stop: AtomicBool,
}

impl Ticker {
    /// A ticker that calls `tick`, from a thread of its own.
    ///
    /// # Errors
    /// When the process may have no further descriptor or thread.
    pub fn start(tick: impl Fn() + Send + 'static) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        let shared = Arc::new(Shared { computing: Mutex::new(0), timer, stop: AtomicBool::new(false) });
        let ticking = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("exec_wasi-epoch".into()).spawn(move || ticking.run(tick))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A guest computes until what this returns is dropped.
    pub fn computing(&self) -> Computing<'_> {
        let mut computing = self.shared.lock();
        *computing += 1;
        if *computing == 1 {
            self.shared.set(TICK);
        }
        Computing(&self.shared)
    }
}

/// See [`Ticker::computing`].
pub struct Computing<'a>(&'a Shared);

impl Drop for Computing<'_> {
    fn drop(&mut self) {
        let mut computing = self.0.lock();
        *computing -= 1;
        if *computing == 0 {
            self.0.set(Duration::ZERO);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, usize> {
        // Nothing under the lock can panic but the timer, and that only by a mistake of ours.
        self.computing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the timer go off after `first`, and then every tick; stops it if that is zero.
    fn set(&self, first: Duration) {
        let timespec = |time: Duration| Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        let time = Itimerspec { it_interval: timespec(TICK), it_value: timespec(first) };
        timerfd_settime(self.timer.as_fd(), TimerfdTimerFlags::empty(), &time)
            .expect("the descriptor is a timer and the time is in range");
    }

    fn run(&self, tick: impl Fn()) {
        loop {
            match rustix::io::read(self.timer.as_fd(), &mut [0u8; 8]) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => unreachable!("the descriptor is a timer that waits"),
            }
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            tick();
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
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

    fn counting() -> (Ticker, Arc<AtomicUsize>) {
        let ticks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ticks);
        let ticker = Ticker::start(move || _ = counted.fetch_add(1, Ordering::Relaxed)).unwrap();
        (ticker, ticks)
    }

    fn wait_for(ticks: &AtomicUsize, wanted: usize) {
        let begun = Instant::now();
        while ticks.load(Ordering::Relaxed) < wanted {
            assert!(begun.elapsed() < Duration::from_secs(20), "it doesn't tick");
            std::thread::sleep(TICK / 10);
        }
    }

    #[test]
    fn it_ticks_while_anybody_computes_and_only_then() {
        let (ticker, ticks) = counting();
        std::thread::sleep(5 * TICK);
        assert_eq!(ticks.load(Ordering::Relaxed), 0);
        let one = ticker.computing();
        let other = ticker.computing();
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
        let (ticker, ticks) = counting();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| drop(ticker.computing())));
            }
        });
        let _computing = ticker.computing();
        let so_far = ticks.load(Ordering::Relaxed);
        wait_for(&ticks, so_far + 3);
    }
}
