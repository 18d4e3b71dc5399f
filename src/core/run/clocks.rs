//! The clocks a guest sees: this machine's.
//!
//! wasmtime-wasi's own monotonic clock begins anew with each run, so that a guest that keeps a reading from one run to
//! the next would find that no time has passed; and its wall clock panics before 1970, where a machine without a
//! battery may be when it starts.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// Nanoseconds since the machine was started.
pub struct Monotonic;

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        nanoseconds(clock_getres(ClockId::Monotonic))
    }

    fn now(&self) -> u64 {
        nanoseconds(clock_gettime(ClockId::Monotonic))
    }
}

/// Time since 1970; none before.
pub struct Wall;

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        duration(clock_getres(ClockId::Realtime))
    }

    fn now(&self) -> Duration {
        duration(clock_gettime(ClockId::Realtime))
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    u64::try_from(duration(time).as_nanos()).unwrap_or(u64::MAX)
}

fn duration(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_1970_it_is_1970() {
        assert_eq!(duration(Timespec { tv_sec: -1, tv_nsec: 999_999_999 }), Duration::ZERO);
        assert_eq!(duration(Timespec { tv_sec: 2, tv_nsec: 1 }), Duration::new(2, 1));
    }
}
