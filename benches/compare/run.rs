//! One start of the host: until all records are there, or for a time; then it is told to stop.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::host::{Host, Input, Output};
use crate::process::{Cost, Process};

/// When a run of the host is over.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// So many records have come; or none more for a while, which then is told.
    Records(u64),
    /// So long after the first record was seen.
    After(Duration),
}

/// What came of it.
#[derive(Debug)]
pub struct Run {
    pub cost: Cost,
    pub records: u64,
    /// From the start of the host to the time of the first record (only with [`Output::File`]).
    pub first_record_seconds: f64,
    /// The first record as the host wrote it.
    pub first_record: String,
    /// The time after the first record was seen (only with [`Until::After`]).
    pub steady: Steady,
}

/// A stretch of time in which nothing began or ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Steady {
    pub seconds: f64,
    pub cpu_seconds: f64,
    /// Records that were made in it, by their own times.
    pub records: u64,
    /// Its beginning, in seconds since 1970.
    from: f64,
}

/// Longest time without progress; the built-in is silent while its program runs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest time without a further record once there was one.
const QUIET: Duration = Duration::from_secs(4);
/// How often it is looked. Asking costs the host something, though less than can be measured.
const LOOK: Duration = Duration::from_millis(100);
/// Longest time for a shutdown.
const SHUTDOWN: Duration = Duration::from_secs(20);

/// Runs a program in the host, in a folder that is there for nothing else.
pub fn run(host: &Host, folder: &Path, input: &Input, output: Output, until: Until) -> Result<Run, String> {
    let port = free_port().map_err(|error| format!("no free port: {error}"))?;
    let command = host.with(folder, input, output, port);
    let progress = match output {
        Output::File => Progress::File,
        Output::Null if host.is_stand_in => Progress::Dump,
        Output::Null => Progress::Http(port),
    };
    drive(command, folder, progress, until)
}

/// The host alone, with one record of its own.
pub fn run_empty(host: &Host, folder: &Path) -> Result<Run, String> {
    drive(host.empty(folder), folder, Progress::File, Until::After(Duration::from_secs(2)))
}

fn drive(mut command: Command, folder: &Path, progress: Progress, until: Until) -> Result<Run, String> {
    let seen = Seen { log: folder.join("log"), records: folder.join("records"), progress };
    // There from the last run.
    let _ = fs::remove_file(&seen.records);
    let started = now();
    let with_log = |error: String| format!("{error}; the last line of its log: {}", seen.last_of_log());
    let mut process = Process::start(&mut command, &seen.log).map_err(|error| error.to_string())?;
    let mut steady = watch(&mut process, &seen, until).map_err(with_log)?;
    let before_stop = seen.count(&process);
    process.look();
    process.signal(libc::SIGTERM);
    let cost = process.wait(SHUTDOWN).map_err(with_log)?;
    let (records, first_record) = match seen.progress {
        Progress::File => {
            let in_it = |time: f64| time >= steady.from && time < steady.from + steady.seconds;
            steady.records = seen.times().into_iter().filter(|&time| in_it(time)).count() as u64;
            seen.in_file()
        }
        _ => (before_stop, String::new()),
    };
    let first_record_seconds = time_of(&first_record).map_or(f64::NAN, |time| time - started);
    Ok(Run { cost, records, first_record_seconds, first_record, steady })
}

/// Seconds since 1970, as records have them.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(f64::NAN, |time| time.as_secs_f64())
}

fn watch(process: &mut Process, seen: &Seen, until: Until) -> Result<Steady, String> {
    let (mut count, mut changed) = (0, Instant::now());
    let mut first = None;
    loop {
        std::thread::sleep(LOOK);
        if process.has_ended() {
            return Err("the host ended by itself".into());
        }
        let seen_now = seen.count(process);
        if seen_now != count {
            (count, changed) = (seen_now, Instant::now());
            first = first.or(Some((now(), process.cpu_seconds())));
        }
        if let Some((from, cpu_seconds)) = first {
            let seconds = now() - from;
            let done = match until {
                Until::Records(wanted) => count >= wanted || changed.elapsed() >= QUIET,
                Until::After(time) => seconds >= time.as_secs_f64(),
            };
            if done {
                let cpu_seconds = process.cpu_seconds() - cpu_seconds;
                return Ok(Steady { seconds, cpu_seconds, records: 0, from });
            }
        }
        if changed.elapsed() >= PATIENCE {
            return Err("nothing comes from the host".into());
        }
    }
}

/// How it is seen how many records there were.
#[derive(Clone, Copy, Debug)]
enum Progress {
    /// Lines of the output's file.
    File,
    /// The host's metrics at this port.
    Http(u16),
    /// What the stand-in writes to its log on SIGCONT.
    Dump,
}

struct Seen {
    log: PathBuf,
    records: PathBuf,
    progress: Progress,
}

impl Seen {
    fn count(&self, process: &Process) -> u64 {
        match self.progress {
            Progress::File => self.in_file().0,
            Progress::Http(port) => over_http(port).unwrap_or(0),
            Progress::Dump => {
                process.signal(libc::SIGCONT);
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                let last = log.lines().rev().find_map(|line| {
                    line.split_once("[dump] ")?.1.strip_suffix(" records received")?.parse().ok()
                });
                last.unwrap_or(0)
            }
        }
    }

    /// How many records are in the file, and the first of them.
    fn in_file(&self) -> (u64, String) {
        let bytes = fs::read(&self.records).unwrap_or_default();
        let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let count = memchr::memchr_iter(b'\n', &bytes).count();
        (count as u64, String::from_utf8_lossy(first).into_owned())
    }

    /// The time of each record in the file.
    fn times(&self) -> Vec<f64> {
        let text = fs::read_to_string(&self.records).unwrap_or_default();
        text.lines().filter_map(time_of).collect()
    }

    fn last_of_log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.trim_end().lines().last().unwrap_or_default().to_owned()
    }
}

/// The time in `tag: [1700000000.123456789, {…}]`.
fn time_of(record: &str) -> Option<f64> {
    record.split_once(": [")?.1.split_once(',')?.0.parse().ok()
}

fn free_port() -> std::io::Result<u16> {
    // Free again when this returns, and not given to another soon after.
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Records that the output `null` was given, by the host's own count.
fn over_http(port: u16) -> Option<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    stream.write_all(b"GET /api/v1/metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    // A time-out only means that the host keeps the connection open.
    let _ = stream.read_to_end(&mut answer);
    let start = memchr::memchr(b'{', &answer)?;
    let mut values = serde_json::Deserializer::from_slice(&answer[start..]).into_iter();
    let metrics: serde_json::Value = values.next()?.ok()?;
    metrics["output"]["null.0"]["proc_records"].as_u64()
}
