//! One configured input, from `cb_init` to `cb_exit`.

use std::ffi::c_int;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::collect::{Delivery, Parts, log, log_prefix};
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
    /// Called when the guest's thread has something.
    pub on_bell: flb_input_collect_fn,
    /// Called when it is time to look again.
    pub on_alarm: flb_input_collect_fn,
}

/// The context the host keeps for us.
#[derive(Debug)]
pub struct Instance {
    delivery: Delivery,
    guest: Mutex<Guest>,
}

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
        let Started { input, plugin_name, wire, on_bell, on_alarm } = started;
        let config = Config::from_properties(&input).map_err(|error| error.to_string())?;
        let parser = find_parser(&input, config.parser.as_deref())?;
        let prefix = log_prefix(plugin_name, &input);
        for note in &config.notes {
            log(&input, &prefix, &Event::Note { text: note.clone() });
        }

        let descriptor = |error: std::io::Error| format!("can't make a file descriptor: {error}");
        let bell = Arc::new(Doorbell::new().map_err(descriptor)?);
        let alarm = Alarm::new().map_err(descriptor)?;
        let collector = |fd: c_int, call| {
            let id: Option<Collector> = input.collect_event(fd, call);
            id.ok_or_else(|| "the host refused to register a collector".to_owned())
        };
        collector(bell.raw_fd(), on_bell)?;
        let alarm_collector = collector(alarm.raw_fd(), on_alarm)?;

        let pipe = Arc::new(Pipe::new(config.pipe_bytes, Arc::clone(&bell)));
        let counters = Arc::new(Counters::default());
        let delivery = Delivery::new(Parts {
            input,
            plugin_name,
            wire,
            parser,
            pipe: Arc::clone(&pipe),
            bell,
            alarm,
            alarm_collector: Some(alarm_collector),
            counters: Arc::clone(&counters),
        });
        let writable = Writable::declare(&config);
        let job = Job { name: input.name(), config: Arc::new(config), writable, wire, pipe, counters };
        Ok(Box::new(Self { delivery, guest: Mutex::new(Guest::Ready(Box::new(job), 0)) }))
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
                    self.delivery.look_again(RETRY);
                } else {
                    job.give_up();
                }
                // Once.
                (failures == 0).then_some(Event::RunFailed { what, level: Level::Error })
            }
        };
        drop(guest);
        if let Some(event) = event {
            self.delivery.log(&event);
        }
    }

    /// The bell has rung.
    pub fn collect(&self) {
        self.delivery.collect();
    }

    /// The alarm has gone off.
    pub fn alarm(&self) {
        self.delivery.collect();
        // If it has not been possible yet.
        self.start();
    }

    /// The engine takes no more records; if that is for good, the guest ends now.
    pub fn pause(&self) {
        if self.delivery.pause() {
            self.cancel();
        }
    }

    /// The engine takes records again.
    pub fn resume(&self) {
        self.delivery.resume();
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
                self.delivery.log(&Event::GuestDidNotStop { waited: JOIN_TIME });
            }
        }
        self.delivery.close();
    }

    fn lock_guest(&self) -> std::sync::MutexGuard<'_, Guest> {
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
