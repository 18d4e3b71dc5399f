//! A child process: started, watched, ended, and what it has cost by the kernel's own account.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a process has cost from its start to its end.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// User and system time of all its threads.
    pub cpu_seconds: f64,
    /// The most memory it had at a time.
    pub peak_rss_mb: f64,
    /// Part of the CPU time: what the threads named `flb-…` had used when it was told to end. Those are the
    /// host's own, and run its inputs unless these have threads themselves.
    pub engine_seconds: f64,
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    pid: libc::pid_t,
    ended: bool,
    /// As it was last seen.
    peak_rss_mb: f64,
    engine_seconds: f64,
}

impl Process {
    /// Starts it, with everything it prints going to the file `log`.
    pub fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        let log = fs::File::create(log)?;
        // A service has it not, and with it every error of wasmtime, like the end of a guest, walks the stack.
        command.env_remove("RUST_BACKTRACE");
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let pid = libc::pid_t::try_from(child.id()).expect("a process number");
        // The child is waited for by `wait4`, which std doesn't have: its handle isn't used any more.
        drop(child);
        Ok(Self { pid, ended: false, peak_rss_mb: 0.0, engine_seconds: 0.0 })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: libc::c_int) {
        if !self.ended {
            // SAFETY: no memory is involved; the process is ours and not yet waited for, so the number is its.
            unsafe { libc::kill(self.pid, signal) };
        }
    }

    /// Notes what can only be seen while it runs.
    pub fn look(&mut self) {
        let folder = format!("/proc/{}", self.pid);
        let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
        // Not the maximum that `wait4` tells: that one remembers the size of who started it.
        if let Some(peak) = field(&status, "VmHWM:") {
            self.peak_rss_mb = peak * 1024.0 / 1e6;
        }
        let threads = fs::read_dir(format!("{folder}/task")).into_iter().flatten().flatten();
        let engine = threads.filter(|thread| {
            fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.starts_with("flb-"))
        });
        let seconds: f64 = engine.filter_map(|thread| cpu_seconds(&thread.path())).sum();
        self.engine_seconds = self.engine_seconds.max(seconds);
    }

    /// What it has cost so far, to the nanosecond.
    pub fn cpu_seconds(&self) -> f64 {
        let mut clock = 0;
        // SAFETY: it writes to a variable that lives until it returns.
        let known = unsafe { libc::clock_getcpuclockid(self.pid, &raw mut clock) } == 0;
        if known { read(clock) } else { f64::NAN }
    }

    /// Whether it has ended by itself. Its cost is then lost; that is a failure anyway.
    pub fn has_ended(&mut self) -> bool {
        self.ended = self.ended || self.wait4(libc::WNOHANG).is_some();
        self.ended
    }

    /// Waits for its end; after `patience` it is killed, and that is an error.
    pub fn wait(mut self, patience: Duration) -> Result<Cost, String> {
        let begun = Instant::now();
        loop {
            if self.ended {
                return Err("it ended too early".into());
            }
            if let Some((status, usage)) = self.wait4(libc::WNOHANG) {
                self.ended = true;
                if status != 0 {
                    return Err(format!("it ended with status {status:#x}"));
                }
                let cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
                let (peak_rss_mb, engine_seconds) = (self.peak_rss_mb, self.engine_seconds);
                return Ok(Cost { cpu_seconds, peak_rss_mb, engine_seconds });
            }
            if begun.elapsed() > patience {
                return Err(format!("it did not end within {patience:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait4(&self, options: libc::c_int) -> Option<(libc::c_int, libc::rusage)> {
        let mut status = 0;
        // SAFETY: plain numbers, for which all zeros is a value.
        let mut usage = unsafe { std::mem::zeroed() };
        // SAFETY: both point to variables that live until it returns.
        let pid = unsafe { libc::wait4(self.pid, &raw mut status, options, &raw mut usage) };
        (pid == self.pid).then_some((status, usage))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            self.signal(libc::SIGKILL);
            self.wait4(0);
        }
    }
}

/// What this process has cost so far, to the nanosecond.
pub fn own_cpu_seconds() -> f64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// The seconds on a clock, or that it can't be read.
fn read(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes to a variable that lives until it returns.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return f64::NAN;
    }
    let nanoseconds = Duration::from_nanos(time.tv_nsec.cast_unsigned());
    Duration::from_secs(time.tv_sec.cast_unsigned()).as_secs_f64() + nanoseconds.as_secs_f64()
}

#[allow(clippy::cast_precision_loss, reason = "seconds of a process are far below 2^52")]
fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What a thread has used so far.
fn cpu_seconds(thread: &Path) -> Option<f64> {
    let text = fs::read_to_string(thread.join("schedstat")).ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}
