//! File descriptors that wake the host's event loop: one rung by hand, one by the clock.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// Readable from the moment it is rung until it is cleared.
#[derive(Debug)]
pub struct Doorbell(OwnedFd);

impl Doorbell {
    /// A bell that hasn't rung.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self(fd))
    }

    /// Makes the descriptor readable.
    pub fn ring(&self) {
        // Can only fail when 2^64 rings wait to be cleared: then it is readable already.
        let _ = rustix::io::write(self.0.as_fd(), &1u64.to_ne_bytes());
    }

    /// Makes the descriptor unreadable.
    pub fn clear(&self) {
        // Fails when it hasn't rung, which is what is wanted.
        let _ = rustix::io::read(self.0.as_fd(), &mut [0u8; 8]);
    }

    /// For the host's event loop; valid as long as the bell.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Readable once, some time after it was set.
#[derive(Debug)]
pub struct Alarm(OwnedFd);

impl Alarm {
    /// An alarm that isn't set.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, flags)?))
    }

    /// Makes the descriptor readable in `delay` (not zero), instead of whenever it was set for before.
    ///
    /// # Errors
    /// When it is no timer any more: up to 4.0 the host closes some of its own descriptors twice, and so may have closed
    /// this one.
    pub fn set(&self, delay: Duration) -> io::Result<()> {
        let none = Timespec { tv_sec: 0, tv_nsec: 0 };
        let time = Itimerspec {
            it_interval: none,
            it_value: Timespec {
                tv_sec: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(delay.subsec_nanos()),
            },
        };
        timerfd_settime(self.0.as_fd(), TimerfdTimerFlags::empty(), &time)?;
        Ok(())
    }

    /// Makes the descriptor unreadable.
    pub fn clear(&self) {
        // Fails when it hasn't gone off, which is what is wanted.
        let _ = rustix::io::read(self.0.as_fd(), &mut [0u8; 8]);
    }

    /// For the host's event loop; valid as long as the alarm.
    #[must_use]
    pub fn raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
