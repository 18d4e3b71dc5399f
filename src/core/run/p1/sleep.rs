//! `poll_oneoff` with a single relative clock, which is how every language sleeps.
//!
//! wasmtime-wasi has the guest wait for it in a way that is exact but costs a look at every subscription's
//! stream and clock; and where file access may block the thread it puts the whole thread to sleep. Here it
//! is a timer, beside which the thread can be told to stop.

use std::time::Duration;

use wasmtime::{Error, Linker, Result};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as general;

use super::memory::{memory_of, parts, place};
use super::{MODULE, SUCCESS};
use crate::run::sandbox::State;

/// Shorter sleeps are left to wasmtime-wasi: they end soon enough, and more exactly than a timer does.
const SHORT_SLEEP: Duration = Duration::from_millis(5);

/// Puts our answer in front of the one that `linker` has.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.func_wrap_async(
        MODULE,
        "poll_oneoff",
        |mut caller, (subscriptions, events, count, written): (i32, i32, i32, i32)| {
            Box::new(async move {
                let memory = memory_of(&mut caller)?;
                let sleep = Sleep::from_guest(memory.data(&caller), subscriptions, count);
                if let Some(sleep) = sleep {
                    tokio::time::sleep(sleep.time).await;
                    let told = sleep.tell(memory.data_mut(&mut caller), events, written);
                    let no_place = || Error::msg("poll_oneoff: no place in memory for its answer");
                    return told.map(|()| SUCCESS).ok_or_else(no_place);
                }
                let (mut guest, state) = parts(&mut caller)?;
                general::poll_oneoff(&mut state.wasi, &mut guest, subscriptions, events, count, written).await
            })
        },
    )?;
    Ok(())
}

/// A wish to sleep, read from the guest's memory.
///
/// Whether the answer has a place there is looked at only when it is due. A sleep handed on for the sake
/// of a wrong pointer would be one that nothing can end.
#[derive(Debug, PartialEq, Eq)]
struct Sleep {
    time: Duration,
    userdata: u64,
}

// `subscription` and `event` of WASI 0.1: offsets and sizes in bytes.
const SUBSCRIPTION_BYTES: usize = 48;
const SUBSCRIPTION_TAG: usize = 8;
const SUBSCRIPTION_TIMEOUT: usize = 24;
const SUBSCRIPTION_FLAGS: usize = 40;
const EVENT_BYTES: usize = 32;

impl Sleep {
    /// `None` for anything but one relative clock at a well-formed place.
    fn from_guest(memory: &[u8], subscriptions: i32, count: i32) -> Option<Self> {
        let at = place(memory, subscriptions, SUBSCRIPTION_BYTES, 8)?;
        let subscription = &memory[at..at + SUBSCRIPTION_BYTES];
        let number =
            |at: usize| u64::from_le_bytes(subscription[at..at + 8].try_into().expect("eight bytes"));
        let time = Duration::from_nanos(number(SUBSCRIPTION_TIMEOUT));
        let is_relative_clock = subscription[SUBSCRIPTION_TAG] == 0
            && subscription[SUBSCRIPTION_FLAGS..SUBSCRIPTION_FLAGS + 2] == [0, 0];
        (count == 1 && is_relative_clock && time >= SHORT_SLEEP).then(|| Self { time, userdata: number(0) })
    }

    /// The event "the clock has reached its time", without error; `None` where that doesn't fit.
    fn tell(&self, memory: &mut [u8], events: i32, written: i32) -> Option<()> {
        let events = place(memory, events, EVENT_BYTES, 8)?;
        let written = place(memory, written, 4, 4)?;
        let event = &mut memory[events..events + EVENT_BYTES];
        event.fill(0);
        event[..8].copy_from_slice(&self.userdata.to_le_bytes());
        memory[written..written + 4].copy_from_slice(&1u32.to_le_bytes());
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory_with(tag: u8, timeout: u64, flags: u16) -> Vec<u8> {
        let mut memory = vec![0; 200];
        memory[..8].copy_from_slice(&77u64.to_le_bytes());
        memory[8] = tag;
        memory[24..32].copy_from_slice(&timeout.to_le_bytes());
        memory[40..42].copy_from_slice(&flags.to_le_bytes());
        memory
    }

    #[test]
    fn one_relative_clock_is_a_sleep_and_is_answered_with_its_event() {
        let mut memory = memory_with(0, 1_000_000_000, 0);
        let sleep = Sleep::from_guest(&memory, 0, 1).unwrap();
        assert_eq!((sleep.time, sleep.userdata), (Duration::from_secs(1), 77));
        sleep.tell(&mut memory, 48, 100).unwrap();
        assert_eq!(memory[48..56], 77u64.to_le_bytes());
        assert_eq!(memory[56..80], [0; 24]);
        assert_eq!(memory[100..104], [1, 0, 0, 0]);
        for (events, written) in [(52, 100), (176, 100), (-8, 100), (48, 101), (48, 200), (48, -4)] {
            assert_eq!(sleep.tell(&mut memory, events, written), None, "{events}, {written}");
        }
    }

    #[test]
    fn everything_else_is_left_to_the_general_function() {
        let second = 1_000_000_000;
        let good = memory_with(0, second, 0);
        assert!(Sleep::from_guest(&good, 0, 1).is_some());
        assert!(Sleep::from_guest(&good, 0, 2).is_none(), "two subscriptions");
        assert!(Sleep::from_guest(&good, 4, 1).is_none(), "misaligned");
        assert!(Sleep::from_guest(&good, 160, 1).is_none(), "partly out of bounds");
        assert!(Sleep::from_guest(&good, -8, 1).is_none(), "pointer out of bounds");
        assert!(Sleep::from_guest(&memory_with(1, second, 0), 0, 1).is_none(), "a descriptor");
        assert!(Sleep::from_guest(&memory_with(0, second, 1), 0, 1).is_none(), "an absolute time");
        assert!(Sleep::from_guest(&memory_with(0, 1000, 0), 0, 1).is_none(), "a short one");
    }
}
