//! One configured input, from `cb_init` to `cb_exit`.

use std::ffi::c_int;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::collect::{Delivery, log, log_prefix};
use super::gate::{Flow, Gate};
use super::parsing::Parsing;
use crate::config::{AfterRun, Config, ConfigError};
use crate::counters::Counters;
use crate::doorbell::{Alarm, Doorbell};
use crate::event::{Event, Level};
use crate::guest::runner::{Job, RETRY, Runner, no_thread};
use crate::guest::writable::Writable;
use crate::host::abi::flb_input_collect_fn;
use crate::host::api::{Collector, Input, NoParser, Parser};
use crate::pipe::Pipe;
use crate::record::encode::WireFormat;

/// Longest time `cb_exit` waits for the guest's thread, which only a blocking system call of the guest or
/// a compilation can hold up.
const JOIN_TIME: Duration = Duration::from_secs(2);

/// What `cb_init` brings.
pub struct Started {
    pub input: Input,
    pub plugin_name: &'static str,
    pub wire: WireFormat,
    /// Called when the guest's thread has something, and when it is time to look again.
    pub collect: flb_input_collect_fn,
}

/// The context the host keeps for us.
///
/// Its callbacks come from one thread of the host's, one after the other, but for three: an append calls
/// [`pause`](Self::pause) before it returns; up to 2.1.8 the engine's thread calls [`resume`](Self::resume) of a threaded
/// instance; and in 5.1 it calls [`cancel`](Self::cancel). None of these may lock `delivery`.
#[derive(Debug)]
pub struct Instance {
    input: Input,
    gate: Gate,
    delivery: Mutex<Delivery>,
    guest: Mutex<Guest>,
    /// The alarm's; also the spare one that tells whether the host is shutting down.
    alarm_collector: Collector,
}

/// Other threads than the input's own have references to it.
const _: () = {
    const fn is_sync<T: Sync>() {}
    is_sync::<Instance>();
};

#[derive(Debug)]
enum Guest {
    /// Not started, after so many tries.
    Ready(Box<Job>, u64),
    Started(Runner),
    Gone,
}

impl Instance {
    /// Reads the options and prepares everything but the guest; `None` after saying why not.
    pub fn init(started: Started) -> Option<Box<Self>> {
        let input = started.input;
        let prefix = log_prefix(started.plugin_name, &input);
        Self::prepare(started)
            .map_err(|reason| {
                // Not through the instance's level: a start that fails is always explained.
                input.functions().log(Level::Error, &format!("{prefix}{reason}."));
            })
            .ok()
    }

    fn prepare(started: Started) -> Result<Box<Self>, String> {
        let Started { input, plugin_name, wire, collect } = started;
        let config = Config::from_properties(&input).map_err(|error| error.to_string())?;
        let parser = find_parser(&input, config.parser.as_deref())?;
        let prefix = log_prefix(plugin_name, &input);
        for note in &config.notes {
            log(&input, &prefix, &Event::Note { text: note.clone() });
        }

        let descriptor = |error: std::io::Error| format!("can't make a file descriptor: {error}");
        let bell = Arc::new(Doorbell::new().map_err(descriptor)?);
        let alarm = Alarm::new().map_err(descriptor)?;
        let collector = |fd: c_int| {
            let id: Option<Collector> = input.collect_event(fd, collect);
            id.ok_or_else(|| "the host refused to register a collector".to_owned())
        };
        collector(bell.raw_fd())?;
        let alarm_collector = collector(alarm.raw_fd())?;

        let pipe = Arc::new(Pipe::new(config.pipe_bytes, Arc::clone(&bell)));
        let counters = Arc::new(Counters::default());
        let parsing = parser.map(|(name, parser)| Parsing::new(name, parser, wire));
        let delivery = Delivery::new(input, prefix, parsing, Arc::clone(&pipe), alarm, Arc::clone(&counters));
        let writable = Writable::declare(&config);
        let job = Job { name: input.name(), config: Arc::new(config), writable, wire, pipe, counters };
        Ok(Box::new(Self {
            input,
            gate: Gate::new(bell),
            delivery: Mutex::new(delivery),
            guest: Mutex::new(Guest::Ready(Box::new(job), 0)),
            alarm_collector,
        }))
    }

    /// Every plugin is initialised: the guest's thread begins.
    pub fn start(&self) {
        let mut guest = self.lock_guest();
        let (job, failures) = match std::mem::replace(&mut *guest, Guest::Gone) {
            Guest::Ready(job, failures) => (job, failures),
            other => {
                *guest = other;
                return;
            }
        };
        let event = match Runner::start(job) {
            Ok(runner) => {
                *guest = Guest::Started(runner);
                (failures > 0).then_some(Event::Recovered { failures })
            }
            Err((error, job)) => {
                let what = no_thread(&error);
                if job.config.after_run == AfterRun::HostGoesOn {
                    *guest = Guest::Ready(job, failures + 1);
                    self.delivery().look_again(RETRY);
                } else {
                    job.give_up();
                }
                // Once.
                (failures == 0).then_some(Event::RunFailed { what, level: Level::Error })
            }
        };
        drop(guest);
        if let Some(event) = event {
            self.delivery().log(&event);
        }
    }

    /// The bell has rung, or the alarm gone off.
    pub fn collect(&self) {
        if self.gate.flow() == Flow::Paused && self.input.is_shutting_down(self.alarm_collector) {
            // The host does not pause an input again that is paused for a limit.
            if self.input.is_on_engine_thread() {
                self.close();
            } else {
                // What it would put down for the engine, that would not take any more.
                self.cancel();
            }
        }
        self.delivery().collect(&self.gate);
        let failed_before = matches!(&*self.lock_guest(), Guest::Ready(_, failures) if *failures > 0);
        if failed_before {
            self.start();
        }
    }

    /// The engine takes no more records; if that is for good, the guest ends now.
    pub fn pause(&self) {
        // From inside an append it is always a limit that was reached, and no moment to touch collectors.
        if self.gate.is_appending() {
            self.gate.pause();
        } else if self.input.is_shutting_down(self.alarm_collector) {
            self.close();
        } else {
            self.gate.pause();
            self.gate.bell().ring();
        }
    }

    /// The host is shutting down: what the guest has written is handed over as far as the engine takes it.
    fn close(&self) {
        self.gate.close();
        self.cancel();
    }

    /// The engine takes records again.
    pub fn resume(&self) {
        self.gate.resume();
    }

    /// Tells the guest to stop, without waiting for it.
    pub fn cancel(&self) {
        let mut guest = self.lock_guest();
        match &mut *guest {
            Guest::Started(runner) => runner.cancel(),
            Guest::Ready(job, _) => {
                job.give_up();
                *guest = Guest::Gone;
            }
            Guest::Gone => {}
        }
    }

    /// Stops the guest, waits for its thread, and says what could not be delivered.
    pub fn exit(self: Box<Self>) {
        let guest = std::mem::replace(&mut *self.lock_guest(), Guest::Gone);
        if let Guest::Started(mut runner) = guest {
            runner.cancel();
            if !runner.join(JOIN_TIME) {
                self.delivery().log(&Event::GuestDidNotStop { waited: JOIN_TIME });
            }
        }
        self.delivery().close(&self.gate);
        self.input.forget_who_stopped_host();
    }

    fn delivery(&self) -> MutexGuard<'_, Delivery> {
        // What a panic leaves half-done is a batch at most.
        self.delivery.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_guest(&self) -> MutexGuard<'_, Guest> {
        // Only whole values are put in, so what a panic leaves behind is one.
        self.guest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find_parser(input: &Input, name: Option<&str>) -> Result<Option<(String, Parser)>, String> {
    let Some(name) = name else {
        return Ok(None);
    };
    let invalid = |allowed: &str| {
        ConfigError::Invalid { option: "parser", value: name.to_owned(), allowed: allowed.to_owned() }
            .to_string()
    };
    match input.parser(name) {
        Ok(parser) => Ok(Some((name.to_owned(), parser))),
        Err(NoParser::Unknown) => {
            Err(invalid("the host has no parser of that name (case matters; parsers come from parsers_file)"))
        }
        Err(NoParser::Unsupported) => Err(invalid("this host's parsers can't be reached")),
    }
}
