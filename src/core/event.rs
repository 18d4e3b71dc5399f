//! Everything an operator may be told, in one place: wording and level are decided here and nowhere else.
//!
//! ERROR: data is lost or somebody must act. WARN: odd, nothing lost. INFO: started, stopped, changed.
//! DEBUG: for a look at one input's rhythm, never once per record.
//!
//! Events are made on the guest's thread and logged by the host's, so they own what they say.

use std::fmt;
use std::time::Duration;

use crate::record::lines::LongLineCounts;

/// The host's log levels, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Data is lost, or an operator must act.
    Error,
    /// Odd, but nothing is lost.
    Warn,
    /// Something started, stopped or changed.
    Info,
    /// Details for someone who looks for them.
    Debug,
}

/// Something worth a line in the host's log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the sentences below say what each is")]
pub enum Event {
    Compiling {
        program: String,
        size_bytes: usize,
    },
    Compiled {
        program: String,
        took: Duration,
    },
    /// Another input has begun it, perhaps before a reload.
    BeingLoaded {
        program: String,
    },
    StillLoading {
        program: String,
        after: Duration,
    },
    /// Taken from the cache.
    Loaded {
        program: String,
        took: Duration,
        /// Large enough for an operator to wonder.
        large: bool,
    },
    /// Nothing is kept across starts; `why` is a clause.
    NoCache {
        why: String,
        level: Level,
    },
    CacheEntryDamaged {
        program: String,
        folder: String,
        why: String,
    },
    NotKept {
        program: String,
        folder: String,
        why: String,
    },
    /// A run that didn't happen or didn't end well; `what` is a whole clause.
    RunFailed {
        what: String,
        level: Level,
    },
    /// The same as the last time, told again only now and then.
    StillFailing {
        what: String,
        times: u64,
        backoff: Option<Duration>,
        level: Level,
    },
    Recovered {
        failures: u64,
    },
    RunStopped {
        after: Duration,
    },
    /// The guest's thread is in a call of the system that doesn't return.
    Hangs {
        after: Duration,
    },
    TicksSkipped {
        ticks: u64,
    },
    LongLines {
        stream: &'static str,
        limit_bytes: usize,
        counts: LongLineCounts,
    },
    GuestStderr {
        line: String,
    },
    GuestStderrLeftOut {
        lines: u64,
    },
    OpenFilesLimit {
        limit: u32,
    },
    /// `what` the guest wanted, and why it didn't get it. After the `last` one no others are told.
    NetworkRefused {
        what: String,
        why: String,
        last: bool,
    },
    /// Functions that it imports and nobody has.
    MissingFunctions {
        program: String,
        names: Vec<String>,
    },
    /// A network is granted to what can't use one.
    NoNetwork {
        program: String,
    },
    Unparsed {
        parser: String,
        lines: u64,
    },
    Refused {
        records: usize,
    },
    /// It has not taken even the least that could be offered, for so long, and hasn't paused the input.
    Stuck {
        records: usize,
        bytes: usize,
        waited: Duration,
    },
    /// The parser found times that no record can be of.
    OddTimes {
        parser: String,
        records: u64,
    },
    /// The engine held records for an input with a thread of its own, and won't take them any more.
    LostInRing {
        records: u64,
    },
    /// The engine took some of the records for some of their routes, and won't be offered them again.
    TakenInPart {
        records: u64,
    },
    HostStops {
        status: i32,
    },
    HostDidNotStop,
    LostAtStop {
        records: usize,
        bytes: usize,
    },
    GuestDidNotStop {
        waited: Duration,
    },
    EventsLeftOut {
        events: u64,
    },
    RunnerPanicked {
        what: String,
    },
    Note {
        text: String,
    },
}

impl Event {
    /// How urgent it is.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::RunFailed { level, .. }
            | Self::StillFailing { level, .. }
            | Self::NoCache { level, .. } => *level,
            Self::TakenInPart { .. }
            | Self::LostAtStop { .. }
            | Self::LostInRing { .. }
            | Self::HostDidNotStop
            | Self::Hangs { .. }
            | Self::RunnerPanicked { .. } => Level::Error,
            Self::LongLines { counts, .. } if counts.lost_bytes > 0 => Level::Error,
            Self::LongLines { .. }
            | Self::GuestStderrLeftOut { .. }
            | Self::OpenFilesLimit { .. }
            | Self::StillLoading { .. }
            | Self::NetworkRefused { .. }
            | Self::Unparsed { .. }
            | Self::OddTimes { .. }
            | Self::Stuck { .. }
            | Self::EventsLeftOut { .. }
            | Self::GuestDidNotStop { .. }
            | Self::CacheEntryDamaged { .. }
            | Self::NotKept { .. }
            | Self::NoNetwork { .. }
            | Self::MissingFunctions { .. }
            | Self::Note { .. } => Level::Warn,
            Self::Compiling { .. }
            | Self::BeingLoaded { .. }
            | Self::Compiled { .. }
            | Self::Loaded { large: true, .. }
            | Self::Recovered { .. }
            | Self::RunStopped { .. }
            | Self::HostStops { .. }
            | Self::GuestStderr { .. } => Level::Info,
            Self::Loaded { large: false, .. } | Self::TicksSkipped { .. } | Self::Refused { .. } => {
                Level::Debug
            }
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compiling { program, size_bytes } => {
                write!(f, "Compiling \"{program}\" ({size_bytes} bytes).")
            }
            Self::Compiled { program, took } => {
                write!(f, "Compiled \"{program}\" in {took:.1?}.")
            }
            Self::BeingLoaded { program } => {
                write!(f, "Waiting for \"{program}\", which is being loaded already.")
            }
            Self::StillLoading { program, after } => {
                write!(
                    f,
                    "Program \"{program}\" is still being compiled, or waits for its turn to be, after {after:.0?}; the guest starts when that is done."
                )
            }
            Self::Loaded { program, took, .. } => {
                write!(f, "Loaded \"{program}\" from the cache in {took:.1?}.")
            }
            Self::NoCache { why, .. } => {
                write!(f, "Compiled programs are not kept for the next start: {why}.")
            }
            Self::CacheEntryDamaged { program, folder, why } => {
                write!(f, "The entry of \"{program}\" in the cache folder \"{folder}\" is damaged: {why}.")
            }
            Self::NotKept { program, folder, why } => write!(
                f,
                "Compiled \"{program}\" is not kept for the next start: it can't be written to the cache folder \"{folder}\": {why}."
            ),
            Self::RunFailed { what, .. } => write!(f, "{}.", Capital(what)),
            Self::StillFailing { what, times, backoff: None, .. } => {
                write!(f, "{}; {times} times in a row now.", Capital(what))
            }
            Self::StillFailing { what, times, backoff: Some(wait), .. } => {
                write!(f, "{}; {times} times in a row now, the next start is in {wait:.0?}.", Capital(what))
            }
            Self::Recovered { failures: 1 } => write!(f, "The guest runs again, after one failed run."),
            Self::Recovered { failures } => {
                write!(f, "The guest runs again, after {failures} failed runs.")
            }
            Self::RunStopped { after } => {
                write!(f, "Stopped the running guest after {after:.1?}, as the host stops the input.")
            }
            Self::Hangs { after } => write!(
                f,
                "The guest's thread has been in a single call of the system for {after:.0?}, and until that returns nothing of this input goes on, timeout included: wasi_path, env_file, or a file or directory that is granted may be on a server or device that does not answer."
            ),
            Self::TicksSkipped { ticks } => {
                write!(f, "Skipped {ticks} starts: the guest was still running, or being compiled.")
            }
            Self::LongLines { stream, limit_bytes, counts } => {
                match counts.lines {
                    // Its beginning was told before.
                    0 => write!(f, "The guest went on with a line to its {stream} that was")?,
                    lines => write!(f, "The guest wrote {lines} lines to its {stream} that were")?,
                }
                write!(f, " longer than buf_size ({limit_bytes} bytes); ")?;
                match counts.lost_bytes {
                    0 => write!(f, "they were split."),
                    lost => write!(f, "{lost} bytes of them are lost, as long_lines says."),
                }
            }
            Self::GuestStderr { line } => write!(f, "Guest stderr: {line}"),
            Self::GuestStderrLeftOut { lines } => {
                write!(f, "Left out {lines} more lines of the guest's stderr: too many in one second.")
            }
            Self::OpenFilesLimit { limit } => write!(
                f,
                "The guest was refused more open files than open_files_limit ({limit}); it sees the error EMFILE."
            ),
            Self::NetworkRefused { what, why, last } => {
                let others = if *last { "; further targets are only counted" } else { "" };
                write!(f, "The guest was refused {what}: {why}{others}.")
            }
            Self::MissingFunctions { program, names } => {
                let shown = &names[..names.len().min(SHOWN_NAMES)];
                let more = if shown.len() < names.len() { ", …" } else { "" };
                write!(
                    f,
                    "\"{program}\" imports functions that WASI 0.1 does not have, and will trap where it calls one: {}{more} ({} in all).",
                    shown.join(", "),
                    names.len()
                )
            }
            Self::NoNetwork { program } => write!(
                f,
                "Options allow_hosts and allow_listen have no effect on \"{program}\": it is a core module, which has no network. Build it as a component for that."
            ),
            Self::Unparsed { parser, lines } => {
                write!(f, "Parser \"{parser}\" did not match {lines} lines; they were kept as text.")
            }
            Self::Refused { records } => {
                write!(f, "The engine did not take {records} records; they wait and will be offered again.")
            }
            Self::Stuck { records, bytes, waited } => write!(
                f,
                "The engine has not taken {records} records ({bytes} bytes) for {}s, although it has not paused this input: its storage or the disk is full, storage.total_limit_size of an output is too small, or it is busy with something else. They are offered again and again, and what comes behind them waits.",
                waited.as_secs()
            ),
            Self::OddTimes { parser, records } => write!(
                f,
                "Parser \"{parser}\" found times before 1970 or after 2106 in {records} records, which a record can't be of; they have the time at which they were written. (Is the time in milliseconds, and Time_Format for seconds?)"
            ),
            Self::LostInRing { records } => write!(
                f,
                "Up to {records} records were lost: they had been handed over to the engine, which takes none of an input with threaded on that is paused when it stops. Without threaded it would; the program has a thread of its own anyway."
            ),
            Self::TakenInPart { records } => write!(
                f,
                "Up to {records} records were lost on some routes: with routes that have conditions, the engine makes several appends of one, and refused one of them after it had taken others. A larger mem_buf_limit, and a larger storage.total_limit_size of its outputs, make that rare."
            ),
            Self::HostStops { status } => {
                write!(
                    f,
                    "There is no further run; stopping the host with exit code {status}, as exit_after_oneshot says."
                )
            }
            Self::HostDidNotStop => {
                write!(
                    f,
                    "The host can't be stopped as exit_after_oneshot says: it has no function for that, or it failed."
                )
            }
            Self::LostAtStop { records, bytes } => write!(
                f,
                "Lost {records} records ({bytes} bytes): the guest had written them, but the engine took no more before it stopped."
            ),
            Self::GuestDidNotStop { waited } => write!(
                f,
                "The guest's thread is still busy {waited:.1?} after it was told to stop; it ends by itself."
            ),
            Self::EventsLeftOut { events } => {
                write!(f, "Left out {events} log lines of this input: too many at once.")
            }
            Self::RunnerPanicked { what } => write!(
                f,
                "A defect of this plugin has ended the guest's thread, and this input delivers no more until the host starts again; please report it: {what}."
            ),
            Self::Note { text } => write!(f, "{}.", Capital(text)),
        }
    }
}

/// Most names in one line.
const SHOWN_NAMES: usize = 5;

/// A clause as the beginning of a sentence.
struct Capital<'a>(&'a str);

impl fmt::Display for Capital<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        match chars.next() {
            Some(first) => write!(f, "{}{}", first.to_uppercase(), chars.as_str()),
            None => Ok(()),
        }
    }
}
