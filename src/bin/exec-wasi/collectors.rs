//! The collectors of one input: what its thread's loop watches on the plugin's behalf.

use std::ffi::{c_int, c_long};
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use crate::abi::flb_input_collect_fn;
use crate::events::{EventLoop, Timer};
use crate::log::error;

/// A collector as the loop knows it: instances below 2^31, ids below 2^31.
pub fn token(instance: usize, id: c_int) -> u64 {
    (instance as u64) << 32 | u64::from(id.unsigned_abs())
}

/// The reverse of `token`.
pub fn from_token(token: u64) -> (usize, c_int) {
    let id = c_int::try_from(token & 0xffff_ffff).expect("made by `token`");
    (usize::try_from(token >> 32).expect("made by `token`"), id)
}

type Callback = unsafe extern "C" fn(
    *mut crate::abi::flb_input_instance,
    *mut crate::abi::flb_config,
    *mut std::ffi::c_void,
) -> c_int;

enum Source {
    /// A descriptor of the plugin's.
    Event(RawFd),
    /// A timer, which exists while the collector runs.
    Time { seconds: i64, nanoseconds: c_long, timer: Option<Timer> },
}

struct Collector {
    id: c_int,
    source: Source,
    callback: Callback,
    running: bool,
}

/// All collectors of an input. Numbers follow Fluent Bit: an id, or 0 or -1.
#[derive(Default)]
pub struct Collectors {
    list: Vec<Collector>,
    next_id: c_int,
}

impl Collectors {
    /// A collector that is called while `fd` is readable.
    pub fn add_event(&mut self, fd: RawFd, callback: flb_input_collect_fn) -> c_int {
        if fd < 0 {
            return -1;
        }
        self.add(Source::Event(fd), callback)
    }

    /// A collector that is called from time to time.
    pub fn add_time(&mut self, seconds: i64, nanoseconds: c_long, callback: flb_input_collect_fn) -> c_int {
        if seconds < 0 || nanoseconds < 0 {
            return -1;
        }
        self.add(Source::Time { seconds, nanoseconds, timer: None }, callback)
    }

    fn add(&mut self, source: Source, callback: flb_input_collect_fn) -> c_int {
        let Some(callback) = callback else { return -1 };
        let id = self.next_id;
        self.next_id += 1;
        self.list.push(Collector { id, source, callback, running: false });
        id
    }

    fn find(&mut self, id: c_int) -> Option<&mut Collector> {
        self.list.iter_mut().find(|collector| collector.id == id)
    }

    /// Every id.
    pub fn ids(&self) -> Vec<c_int> {
        self.list.iter().map(|collector| collector.id).collect()
    }

    /// Starts a collector; one that runs already is left as it is.
    pub fn start(&mut self, id: c_int, events: &EventLoop, instance: usize) -> c_int {
        match self.find(id) {
            Some(collector) if collector.running => 0,
            Some(collector) => collector.run(events, instance),
            None => -1,
        }
    }

    /// Resumes a collector; one that runs already is an error.
    pub fn resume(&mut self, id: c_int, events: &EventLoop, instance: usize, name: &str) -> c_int {
        match self.find(id) {
            Some(collector) if collector.running => {
                error!("[input] cannot resume collector {name}:{id}, already running");
                -1
            }
            Some(collector) => collector.run(events, instance),
            None => -1,
        }
    }

    /// Pauses a collector.
    pub fn pause(&mut self, id: c_int, events: &EventLoop) -> c_int {
        self.find(id).map_or(-1, |collector| {
            collector.stop(events);
            0
        })
    }

    /// Removes a collector.
    pub fn delete(&mut self, id: c_int, events: &EventLoop) -> c_int {
        let result = self.pause(id, events);
        self.list.retain(|collector| collector.id != id);
        result
    }

    /// 1 if it runs.
    pub fn running(&mut self, id: c_int) -> c_int {
        self.find(id).map_or(0, |collector| c_int::from(collector.running))
    }

    /// What to call because the loop reported `id`; `None` if it was paused in between.
    pub fn ready(&mut self, id: c_int) -> Option<Callback> {
        let collector = self.find(id).filter(|collector| collector.running)?;
        if let Source::Time { timer: Some(timer), .. } = &collector.source {
            timer.acknowledge();
        }
        Some(collector.callback)
    }

    /// Removes all.
    pub fn clear(&mut self, events: &EventLoop) {
        for collector in &mut self.list {
            collector.stop(events);
        }
        self.list.clear();
    }
}

impl Collector {
    fn run(&mut self, events: &EventLoop, instance: usize) -> c_int {
        let token = token(instance, self.id);
        let watched = match &mut self.source {
            Source::Event(fd) => events.watch(borrow(*fd), token),
            Source::Time { seconds, nanoseconds, timer } => {
                Timer::start(*seconds, *nanoseconds).and_then(|started| {
                    events.watch(started.as_fd(), token)?;
                    *timer = Some(started);
                    Ok(())
                })
            }
        };
        match watched {
            Ok(()) => {
                self.running = true;
                0
            }
            Err(error) => {
                error!("[input] error starting collector #{}: {error}", self.id);
                -1
            }
        }
    }

    fn stop(&mut self, events: &EventLoop) {
        if !self.running {
            return;
        }
        self.running = false;
        let forgotten = match &mut self.source {
            Source::Event(fd) => events.forget(borrow(*fd)),
            // Closing the timer takes it out of the loop.
            Source::Time { timer, .. } => {
                *timer = None;
                Ok(())
            }
        };
        // A plugin that has closed its descriptor already has taken it out thereby.
        if let Err(error) = forgotten {
            crate::log::debug!("[input] collector #{} was gone already: {error}", self.id);
        }
    }
}

fn borrow<'fd>(fd: RawFd) -> BorrowedFd<'fd> {
    // SAFETY: -1 was refused; the plugin keeps it open while its collector exists. Were it not so, the
    // kernel would answer with an error: the number is only passed on.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
