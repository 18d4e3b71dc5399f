//! One row of the table, and the checks that are the same for all.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::host::{self, Ended, Guest, Running, Scene, neighbours_largest_gap};

/// Longest silence of the neighbour. Alone on a machine it is below 0.25 s (the figure is printed); this
/// bound leaves room for a machine that does other things as well.
const STALL_SECONDS: f64 = 1.0;

/// The neighbour's records that a row waits for at least: the guest has had its time.
const NEIGHBOUR_RECORDS: usize = 10;

/// How long a row may take; far more than the slowest needs.
const PATIENCE: Duration = Duration::from_secs(40);

/// From the wish to stop to the host's end: its own second or two of grace, and the two that an input waits
/// for a guest's thread that does not end.
const STOP_SECONDS: f64 = 10.0;

/// What a guest wrote, and so what the records and the counts of losses must add up to.
pub enum Wrote {
    /// These lines, in this order.
    Lines(Vec<Vec<u8>>),
    /// So many lines, whatever is in them.
    Count(u64),
    /// So many bytes without the newlines, in any number of records.
    Bytes(u64),
    /// So many lines, each of so many times this byte.
    Same { count: usize, len: usize, byte: u8 },
    /// `prefix 00000000` and on, counting up for as long as it lived.
    Numbered(&'static str),
    /// The row looks for itself, or can't know.
    Anything,
}

type Step = Box<dyn FnOnce(&mut Running)>;
type Look = Box<dyn FnOnce(&Ended)>;

/// A row: one or more inputs, what is done meanwhile, and what must be seen.
pub struct Fault {
    pub scene: Scene,
    inputs: Vec<(String, Vec<(String, String)>)>,
    options: Vec<(String, String)>,
    before: Vec<String>,
    after: Vec<&'static str>,
    limits: Vec<String>,
    wrote: Wrote,
    says: Vec<String>,
    says_of: Vec<(String, String, String)>,
    says_at_stop: Vec<String>,
    never_says: Vec<String>,
    meanwhile: Vec<Step>,
    at_end: Vec<Step>,
    afterwards: Vec<Look>,
    /// Its guest is a module, whatever others are.
    is_module: bool,
    stop_seconds: f64,
    end_signals: &'static [i32],
    /// Longest silence of the neighbour, if anything is asked of it.
    stall_seconds: Option<f64>,
}

impl Fault {
    /// A row without an input yet.
    pub fn of_inputs() -> Self {
        Self {
            scene: Scene::new(),
            inputs: Vec::new(),
            options: Vec::new(),
            before: Vec::new(),
            after: Vec::new(),
            limits: Vec::new(),
            wrote: Wrote::Anything,
            says: Vec::new(),
            says_of: Vec::new(),
            says_at_stop: Vec::new(),
            never_says: Vec::new(),
            meanwhile: Vec::new(),
            at_end: Vec::new(),
            afterwards: Vec::new(),
            is_module: false,
            stop_seconds: STOP_SECONDS,
            end_signals: &[],
            stall_seconds: Some(STALL_SECONDS),
        }
    }

    /// A row with one guest that is about WASI 0.1 itself, and so a module whatever others are.
    pub fn module(guest: &Guest) -> Self {
        Self { is_module: true, ..Self::program("guest.wat", guest.wat()) }
    }

    /// A row with one guest, run once.
    pub fn guest(guest: &Guest) -> Self {
        Self::program("guest.wat", guest.program())
    }

    /// A row with one program, run once.
    pub fn program(name: &str, content: impl AsRef<[u8]>) -> Self {
        Self::of_inputs().input(name, content).option("oneshot", "true")
    }

    /// One more input, with a program of its own.
    pub fn input(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.scene.file(name, content);
        self.inputs.push((path, Vec::new()));
        self
    }

    /// One more input, for a path at which the row itself puts what it likes.
    pub fn input_at(mut self, path: impl Into<String>) -> Self {
        self.inputs.push((path.into(), Vec::new()));
        self
    }

    /// An option of every input; `{folder}` in it is the row's folder.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.retain(|(known, _)| known != name);
        self.options.push((name.to_owned(), value.to_owned()));
        self
    }

    /// An option of the last input only.
    pub fn option_of_last(mut self, name: &str, value: &str) -> Self {
        let (_, own) = self.inputs.last_mut().expect("an input before its options");
        own.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more value of an option that may be repeated.
    pub fn option_again(mut self, name: &str, value: &str) -> Self {
        self.options.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A run every so many milliseconds instead of one.
    pub fn every_ms(self, ms: u64) -> Self {
        self.option("oneshot", "false")
            .option("interval_sec", &(ms / 1000).to_string())
            .option("interval_nsec", &(ms % 1000 * 1_000_000).to_string())
    }

    /// The directories the guest gets; they are made if they aren't there.
    pub fn directories(self, list: &str) -> Self {
        for item in list.split(',') {
            let name = item.split("::").next().unwrap_or(item).trim_end_matches(":ro");
            std::fs::create_dir_all(self.scene.path(name)).expect("a folder of the row");
        }
        let items: Vec<String> = list.split(',').map(|item| format!("{{folder}}/{item}")).collect();
        self.option("accessible_paths", &items.join(","))
    }

    /// A directory of the row's folder.
    pub fn directory(self, name: &str) -> Self {
        std::fs::create_dir_all(self.scene.path(name)).expect("a folder of the row");
        self
    }

    /// A file of the row's folder.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.scene.file(name, content);
        self
    }

    /// Hot reload is on, where the host has it.
    pub fn reloads(mut self) -> Self {
        if crate::hosts::reloads() {
            self.before.push("-Y".to_owned());
        }
        self
    }

    /// A file with parsers.
    pub fn parsers(mut self, content: &str) -> Self {
        let path = self.scene.file("parsers.conf", content);
        self.before.extend(["-R".to_owned(), path]);
        self
    }

    /// Arguments of the host behind all others.
    pub fn host_args(mut self, args: &[&'static str]) -> Self {
        self.after.extend(args);
        self
    }

    /// What the host's process may have, in the words of the shell's `ulimit`.
    pub fn host_limit(mut self, limit: &str) -> Self {
        self.limits.push(format!("ulimit {limit}; "));
        self
    }

    pub fn wrote(mut self, wrote: Wrote) -> Self {
        self.wrote = wrote;
        self
    }

    pub fn wrote_lines<L: AsRef<[u8]>>(self, lines: &[L]) -> Self {
        self.wrote(Wrote::Lines(lines.iter().map(|line| line.as_ref().to_vec()).collect()))
    }

    /// The log names the cause with these words.
    pub fn says(mut self, words: &str) -> Self {
        const EXITED: &str = "exited with code ";
        let words = match words.split_once(EXITED) {
            // To a component of WASI 0.2 there is success and failure.
            Some((before, code)) if host::as_components() && !self.is_module => {
                format!("{before}{EXITED}1{}", code.trim_start_matches(|digit: char| digit.is_ascii_digit()))
            }
            _ => words.to_owned(),
        };
        self.says.push(words);
        self
    }

    /// One log line of `exec_wasi.<number>` has both of these.
    pub fn says_of(mut self, number: usize, words: &str, more: &str) -> Self {
        self.says_of.push((format!(":exec_wasi.{number}] "), words.to_owned(), more.to_owned()));
        self
    }

    /// The same for what it says only when the host stops.
    pub fn says_at_stop(mut self, words: &str) -> Self {
        self.says_at_stop.push(words.to_owned());
        self
    }

    pub fn never_says(mut self, words: &str) -> Self {
        self.never_says.push(words.to_owned());
        self
    }

    /// Done while it runs, before the log is looked at.
    pub fn meanwhile(mut self, step: impl FnOnce(&mut Running) + 'static) -> Self {
        self.meanwhile.push(Box::new(step));
        self
    }

    /// Looked at when the host has ended.
    pub fn afterwards(mut self, look: impl FnOnce(&Ended) + 'static) -> Self {
        self.afterwards.push(Box::new(look));
        self
    }

    /// The row's folder, looked at when the log has said everything.
    pub fn leaves(self, look: impl FnOnce(&Path) + 'static) -> Self {
        self.meanwhile_at_end(move |host| look(&host.scene.path("")))
    }

    fn meanwhile_at_end(mut self, step: impl FnOnce(&mut Running) + 'static) -> Self {
        self.at_end.push(Box::new(step));
        self
    }

    /// The host's memory never was more than this.
    pub fn leaves_memory_below(self, kilobytes: u64) -> Self {
        self.meanwhile_at_end(move |host| {
            let most = host.memory_kilobytes("VmHWM:");
            assert!(most < kilobytes, "{most} kB");
        })
    }

    /// The host takes this long to stop at most.
    pub fn stops_within(mut self, seconds: f64) -> Self {
        self.stop_seconds = seconds;
        self
    }

    /// These signals, one right after the other, end the host.
    pub fn ends_by(mut self, signals: &'static [i32]) -> Self {
        self.end_signals = signals;
        self
    }

    /// The neighbour may be silent for longer than usual: where the host itself stops all inputs, as a
    /// reload does.
    pub fn neighbour_may_pause(mut self) -> Self {
        self.stall_seconds = Some(5.0);
        self
    }

    /// The neighbour's records don't come out either.
    pub fn neighbour_may_be_silent(mut self) -> Self {
        self.stall_seconds = None;
        self
    }

    /// Starts the host, waits for what must happen, stops it and checks.
    #[track_caller]
    pub fn check(mut self, name: &str) {
        let wrote = std::mem::replace(&mut self.wrote, Wrote::Anything);
        let (stop_seconds, stall_seconds) = (self.stop_seconds, self.stall_seconds);
        let end_signals = self.end_signals;
        let says = std::mem::take(&mut self.says);
        let says_of = std::mem::take(&mut self.says_of);
        let says_at_stop = std::mem::take(&mut self.says_at_stop);
        let never_says = std::mem::take(&mut self.never_says);
        let meanwhile = std::mem::take(&mut self.meanwhile);
        let at_end = std::mem::take(&mut self.at_end);
        let afterwards = std::mem::take(&mut self.afterwards);
        let begun = Instant::now();
        let mut host = self.start();
        for step in meanwhile {
            step(&mut host);
        }
        for words in &says {
            wait(&mut host, &format!("log line {words:?}"), |host| host.log().contains(words));
        }
        for (input, words, more) in &says_of {
            wait(&mut host, &format!("log line of {input:?} with {words:?} and {more:?}"), |host| {
                let log = host.log();
                log.lines().any(|line| line.contains(input) && line.contains(words) && line.contains(more))
            });
        }
        wait(&mut host, "the neighbour", |host| {
            heard(host) >= NEIGHBOUR_RECORDS || begun.elapsed() > Duration::from_secs(3)
        });
        for step in at_end {
            step(&mut host);
        }
        for &signal in end_signals {
            host.signal(signal);
        }
        let ended = if end_signals.is_empty() { host.stop() } else { host.wait() };

        assert!(ended.status.success(), "{:?}; log:\n{}", ended.status, ended.log);
        for words in &says_at_stop {
            ended.assert_logged(words);
        }
        for words in never_says.iter().map(String::as_str).chain(["panicked", "[misuse]"]) {
            assert!(!ended.log.contains(words), "{words:?} in:\n{}", ended.log);
        }
        let (took, all) = (ended.took.as_secs_f64(), begun.elapsed().as_secs_f64());
        let gap = stall_seconds.map(|_| neighbours_largest_gap(&ended.records)).unwrap_or_default();
        println!(
            "{name}: neighbour's largest gap {gap:.3} s, {} records, stopped in {took:.1} s, {all:.1} s in all",
            ended.records.len()
        );
        assert!(
            gap < stall_seconds.unwrap_or(f64::MAX),
            "the neighbour stood still for {gap} s; log:\n{}",
            ended.log
        );
        assert!(took < stop_seconds, "the host took {took} s to stop; log:\n{}", ended.log);
        wrote.check(&ended);
        for look in afterwards {
            look(&ended);
        }
    }

    fn start(self) -> Running {
        let Self { scene, inputs, options, before, after, limits, .. } = self;
        let folder = scene.path("").display().to_string();
        let folder = folder.trim_end_matches('/').to_owned();
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let mut scene = scene.before(&before).after(&after).neighbour();
        for (path, own) in &inputs {
            let all: Vec<(&str, String)> = std::iter::once(("wasi_path", path.clone()))
                .chain(
                    own.iter()
                        .chain(&options)
                        .map(|(name, value)| (name.as_str(), value.replace("{folder}", &folder))),
                )
                .collect();
            let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
            scene = scene.input("exec_wasi", &all);
        }
        let command = scene.command();
        if limits.is_empty() {
            return scene.start_command(command);
        }
        let mut limited = std::process::Command::new("sh");
        limited.args(["-c", &format!("{}exec \"$@\"", limits.concat()), "sh"]);
        limited.arg(command.get_program()).args(command.get_args()).current_dir(&folder);
        scene.start_command(limited)
    }
}

/// As [`Running::wait_until`], with more patience and fewer looks: some rows write much.
#[track_caller]
pub fn wait(host: &mut Running, what: &str, mut done: impl FnMut(&Running) -> bool) {
    let begun = Instant::now();
    while !done(host) {
        let alive = host.is_alive();
        assert!(
            alive && begun.elapsed() < PATIENCE,
            "{what} did not come (host alive: {alive}); log:\n{}",
            host.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Records of the neighbour so far; none where the file is too long to be read again and again.
fn heard(host: &Running) -> usize {
    let len = std::fs::metadata(host.scene.path("records")).map_or(0, |file| file.len());
    if len > 5_000_000 {
        return 0;
    }
    host.records().iter().filter(|record| record.bytes("message").is_some()).count()
}

impl Wrote {
    #[track_caller]
    fn check(&self, ended: &Ended) {
        let lines = ended.lines();
        let lost = number_behind(&ended.log, "Lost ", " records");
        match self {
            Self::Lines(expected) => {
                assert!(
                    lines == *expected,
                    "records {:?} instead of {:?}; log:\n{}",
                    shown(&lines),
                    shown(expected),
                    ended.log
                );
            }
            Self::Count(count) => {
                assert_eq!(lines.len() as u64 + lost, *count, "{lost} lost; log:\n{}", ended.log);
            }
            Self::Bytes(bytes) => {
                let cut = number_behind(&ended.log, "; ", " bytes of them");
                let kept: u64 = lines.iter().map(|line| line.len() as u64).sum();
                assert_eq!(kept + cut, *bytes, "{kept} kept, {cut} lost; log:\n{}", ended.log);
            }
            Self::Same { count, len, byte } => {
                assert_eq!(lines.len(), *count);
                let same = |line: &Vec<u8>| line.len() == *len && line.iter().all(|each| each == byte);
                assert!(lines.iter().all(same), "{} bytes first", lines[0].len());
            }
            Self::Numbered(prefix) => {
                for (number, line) in lines.iter().enumerate() {
                    let expected = format!("{prefix} {number:08}");
                    // The last one may have been cut off with the guest.
                    let is_last = number + 1 == lines.len();
                    assert!(
                        *line == expected.as_bytes() || is_last && expected.as_bytes().starts_with(line),
                        "{:?} instead of {expected}",
                        String::from_utf8_lossy(line)
                    );
                }
                assert!(!lines.is_empty(), "nothing came; log:\n{}", ended.log);
            }
            Self::Anything => {}
        }
    }
}

fn shown(lines: &[Vec<u8>]) -> Vec<String> {
    lines.iter().take(30).map(|line| String::from_utf8_lossy(&line[..line.len().min(80)]).into()).collect()
}

/// `count` lines of `len` times `byte`.
pub fn rows_of_bytes(count: usize, len: usize, byte: u8) -> Wrote {
    Wrote::Same { count, len, byte }
}

/// The sum of all numbers between these words of log lines.
pub fn number_behind(log: &str, before: &str, after: &str) -> u64 {
    let numbers = log.split(before).skip(1).filter_map(|rest| rest.split_once(after)?.0.parse::<u64>().ok());
    numbers.sum()
}

/// Whether a threaded input of this host delivers everything (see the README).
pub fn threads_are_lossless() -> bool {
    host::host_version() >= (4, 0, 3)
}

/// Rows as tests: a name that is a sentence, and the row.
macro_rules! rows {
    ($($(#[$attr:meta])* $name:ident => $row:expr;)*) => {
        $(
            #[test]
            $(#[$attr])*
            fn $name() {
                $row.check(stringify!($name));
            }
        )*
    };
}

/// Rows that run twice, the second time with `threaded on`.
macro_rules! rows_also_threaded {
    ($($(#[$attr:meta])* $name:ident => $row:expr;)*) => {
        $(
            mod $name {
                use super::*;

                #[test]
                $(#[$attr])*
                fn on_the_engines_thread() {
                    $row.check(stringify!($name));
                }

                #[test]
                $(#[$attr])*
                fn on_a_thread_of_the_host() {
                    if $crate::fault::threads_are_lossless() {
                        $row.option("threaded", "on").check(concat!(stringify!($name), " (threaded)"));
                    }
                }
            }
        )*
    };
}
