//! The event loop of a thread: what it waits for, timers, and a bell that other threads ring.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{self, Errno};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// What `wait` answers when the bell was rung.
pub const BELL: u64 = u64::MAX;

/// Waits for descriptors, each known by a number. Watching and forgetting is allowed from any thread.
#[derive(Debug)]
pub struct EventLoop {
    epoll: OwnedFd,
    bell: OwnedFd,
}

impl EventLoop {
    pub fn new() -> io::Result<Self> {
        let events = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        };
        events.watch(events.bell.as_fd(), BELL)?;
        Ok(events)
    }

    /// Reports `token` as long as `fd` is readable.
    pub fn watch(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        epoll::add(&self.epoll, fd, EventData::new_u64(token), EventFlags::IN)
    }

    /// Ends what `watch` began.
    pub fn forget(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        epoll::delete(&self.epoll, fd)
    }

    /// Wakes the thread that waits.
    pub fn ring(&self) {
        match io::write(&self.bell, &1u64.to_ne_bytes()) {
            // A full counter wakes as well.
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => panic!("writing to an event descriptor: {error}"),
        }
    }

    /// What has happened; empty after `timeout`.
    pub fn wait(&self, timeout: Option<Duration>) -> Vec<u64> {
        let timeout =
            timeout.map(|timeout| Timespec::try_from(timeout).expect("a time-out of less than centuries"));
        let mut ready = Vec::with_capacity(16);
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("waiting for events: {error}"),
        }
        let tokens: Vec<u64> = ready.iter().map(|event| { event.data }.u64()).collect();
        if tokens.contains(&BELL) {
            drain(&self.bell);
        }
        tokens
    }
}

/// A periodic timer as a descriptor.
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl Timer {
    /// Ticks every `seconds` and `nanoseconds`. As in the real host the first tick comes `seconds` after
    /// the running second *began*; without whole seconds that is at once. 0 and 0 tick once.
    pub fn start(seconds: i64, nanoseconds: i64) -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        // Not rustix's: its way to the clock faults under valgrind.
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the result is a variable of ours.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        assert_eq!(result, 0, "there is a monotonic clock");
        let timing = Itimerspec {
            it_interval: Timespec { tv_sec: seconds, tv_nsec: nanoseconds },
            it_value: Timespec { tv_sec: now.tv_sec + seconds, tv_nsec: 0 },
        };
        timerfd_settime(&fd, TimerfdTimerFlags::ABSTIME, &timing)?;
        Ok(Self(fd))
    }

    /// Acknowledges the ticks so far.
    pub fn acknowledge(&self) {
        drain(&self.0);
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sets an event or timer descriptor back to "nothing happened".
fn drain(fd: &OwnedFd) {
    match io::read(fd, &mut [0u8; 8]) {
        Ok(_) | Err(Errno::AGAIN) => {}
        Err(error) => panic!("reading an event descriptor: {error}"),
    }
}
