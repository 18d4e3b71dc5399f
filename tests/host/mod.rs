//! Drives a host, as a user would from a shell: the embedded one, or with `FLUENT_BIT=/path/to/fluent-bit`
//! a real one. Both get the same arguments and write records to a file as raw MessagePack, so a test sees
//! every byte and every time stamp.

#![allow(dead_code, reason = "each test program uses its part")]

mod async_guest;
mod async_net;
pub mod guest;
mod net_guest;
pub mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub use guest::Guest;

/// How long a test waits for what must happen; far beyond what it takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Option of an input that runs its guest once.
pub const ONCE: (&str, &str) = ("oneshot", "true");

/// The program under test as the host.
pub fn host_program() -> PathBuf {
    real_host().unwrap_or_else(|| env!("CARGO_BIN_EXE_exec-wasi").into())
}

/// A real Fluent Bit, if the environment names one.
pub fn real_host() -> Option<PathBuf> {
    std::env::var_os("FLUENT_BIT").map(PathBuf::from)
}

/// The version of a real host, as (major, minor, patch); the embedded host imitates 5.1.1 by default.
pub fn host_version() -> (u32, u32, u32) {
    let Some(program) = real_host() else {
        return (5, 1, 1);
    };
    let output = Command::new(program).arg("--version").output().expect("FLUENT_BIT can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version =
        text.split_whitespace().find_map(|word| word.strip_prefix('v')).expect("it says its version");
    let mut numbers = version.split('.').map(|number| number.parse().expect("a number"));
    let mut next = || numbers.next().expect("three numbers");
    (next(), next(), next())
}

/// Whether every guest is to be a component of WASI 0.2: `GUESTS_AS=component`.
pub fn as_components() -> bool {
    std::env::var_os("GUESTS_AS").is_some_and(|form| form == "component")
}

/// Whether every guest is to be a component of WASI 0.3: `GUESTS_AS=async-component`.
pub fn as_async_components() -> bool {
    std::env::var_os("GUESTS_AS").is_some_and(|form| form == "async-component")
}

/// Whether the host has an `exec_wasi` of its own. The embedded host imitates one.
pub fn has_builtin() -> bool {
    let Some(program) = real_host() else {
        return true;
    };
    let help = Command::new(program).args(["-i", "exec_wasi", "-h"]).output().expect("FLUENT_BIT can be run");
    String::from_utf8_lossy(&help.stdout).contains("wasi_path")
}

/// The library under test, as cargo built it for these tests.
pub fn library() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_exec-wasi")).parent().expect("a folder");
    let names = ["deps/libflb_in_exec_wasi.so", "libflb_in_exec_wasi.so"];
    let library = names.iter().map(|name| beside.join(name)).find(|path| path.exists());
    std::env::var_os("EXEC_WASI_SO").map(PathBuf::from).or(library).expect("cargo built the library")
}

/// A folder for one test, with the library in it under its loadable name; removed at the end.
pub struct Scene {
    folder: PathBuf,
    before_input: Vec<String>,
    inputs: Vec<String>,
    output: Vec<String>,
    after: Vec<String>,
    env: Vec<(String, String)>,
}

static SCENES: AtomicU32 = AtomicU32::new(0);

impl Scene {
    pub fn new() -> Self {
        let number = SCENES.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("exec-wasi-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the test");
        let scene = Self {
            before_input: Vec::new(),
            inputs: Vec::new(),
            output: Vec::new(),
            after: Vec::new(),
            env: Vec::new(),
            folder,
        };
        scene.library_as("flb-in_exec_wasi.so");
        scene
    }

    /// The library in the scene's folder, under this name.
    pub fn library_as(&self, name: &str) -> String {
        let path = self.path(name);
        // Another name for the same file where the file system allows it: the library is large.
        if fs::hard_link(library(), &path).is_err() {
            fs::copy(library(), &path).expect("the library can be copied");
        }
        path.display().to_string()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders for a file");
        fs::write(&path, content).expect("a file of the test");
        path.display().to_string()
    }

    /// Replaces a file at once, as a careful deployment would.
    pub fn replace(&self, name: &str, content: impl AsRef<[u8]>) {
        let fresh = self.file(&format!("{name}.new"), content);
        fs::rename(fresh, self.path(name)).expect("the file can be replaced");
    }

    /// An argument before everything else.
    pub fn before(mut self, args: &[&str]) -> Self {
        self.before_input.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// An argument behind everything else.
    pub fn after(mut self, args: &[&str]) -> Self {
        self.after.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    pub fn output_option(mut self, key: &str, value: &str) -> Self {
        self.output.extend(["-p".into(), format!("{key}={value}")]);
        self
    }

    /// An input with its options.
    pub fn input(mut self, name: &str, options: &[(&str, &str)]) -> Self {
        self.inputs.extend(["-i".into(), name.into()]);
        for (key, value) in options {
            self.inputs.extend(["-p".into(), format!("{key}={value}")]);
        }
        self
    }

    /// An `exec_wasi` input that runs this guest.
    pub fn guest(self, guest: &Guest, options: &[(&str, &str)]) -> Self {
        let number = self.inputs.iter().filter(|arg| *arg == "-i").count();
        let name = format!("guest{number}.wat");
        let program = self.file(&name, guest.program());
        let mut all = vec![("wasi_path", program.as_str())];
        all.extend(options);
        self.input("exec_wasi", &all)
    }

    /// A neighbour that makes a record ten times a second.
    pub fn neighbour(self) -> Self {
        self.input("dummy", &[("rate", "10")])
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(host_program());
        let library = self.path("flb-in_exec_wasi.so").display().to_string();
        command.args(["-e", &library]).args(&self.before_input).args(&self.inputs);
        command.args(["-o", "file", "-p", "format=msgpack", "-p", "file=records"]);
        command.arg("-p").arg(format!("path={}", self.folder.display()));
        command.args(&self.output).args(["-m", "*", "-f", "1"]).args(&self.after);
        command.envs(self.env.iter().cloned()).current_dir(&self.folder);
        command
    }

    /// Starts the host.
    pub fn start(self) -> Running {
        let command = self.command();
        self.start_command(command)
    }

    /// Starts a command that was put together otherwise.
    pub fn start_command(self, mut command: Command) -> Running {
        // Compiled programs are kept in the scene, not in the developer's home, unless the test says where.
        let caches = ["CACHE_DIRECTORY", "XDG_CACHE_HOME"];
        if !command.get_envs().any(|(key, _)| caches.iter().any(|name| key == *name)) {
            command.env_remove(caches[0]).env(caches[1], self.path("cache"));
        }
        let log = fs::File::create(self.path("log")).expect("a log file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(log);
        let child = command.spawn().expect("the host can be started");
        Running { scene: self, child, started: Instant::now() }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::env::var_os("KEEP_SCENES").is_none() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A record as the host stored it.
#[derive(Clone, Debug)]
pub struct Record {
    /// Seconds since 1970.
    pub time: f64,
    pub body: rmpv::Value,
}

impl Record {
    /// The bytes of a string field.
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        let pairs = self.body.as_map().expect("a body is a map");
        let (_, value) = pairs.iter().find(|(name, _)| name.as_str() == Some(key))?;
        match value {
            rmpv::Value::String(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The line of a text record.
    pub fn line(&self) -> Option<&[u8]> {
        self.bytes("wasi_stdout")
    }
}

/// A host that runs.
pub struct Running {
    pub scene: Scene,
    child: Child,
    pub started: Instant,
}

/// Runs a guest once until `line` is logged; returns the lines of its records.
#[track_caller]
pub fn run_until_logged(guest: &Guest, options: &[(&str, &str)], line: &str) -> Vec<String> {
    let mut all = vec![ONCE];
    all.extend(options);
    let mut host = Scene::new().guest(guest, &all).start();
    host.wait_for_log(line);
    let ended = host.stop();
    ended.assert_clean();
    text(&ended.lines())
}

/// Lines as text.
pub fn text(lines: &[Vec<u8>]) -> Vec<String> {
    lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

/// A host that has ended.
pub struct Ended {
    pub records: Vec<Record>,
    pub status: ExitStatus,
    pub log: String,
    /// From the signal to its end.
    pub took: Duration,
}

/// What stands behind `key` in a file of `/proc`.
fn value<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
}

impl Running {
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process number")
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_none()
    }

    pub fn signal(&self, signal: i32) {
        // Sent by a program, so that these tests need no unsafe code.
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.pid().to_string()).status();
        assert!(status.expect("kill can be run").success());
    }

    /// Names of its threads that are ours.
    pub fn our_threads(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the host runs");
        let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.map(|name| name.trim().to_owned()).filter(|name| name.starts_with("exec_wasi")).collect()
    }

    /// Kilobytes of its memory: `VmRSS:` now, `VmHWM:` at most so far.
    pub fn memory_kilobytes(&self, which: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let memory = value(&status, which).expect("its memory");
        memory.trim_end_matches(" kB").parse().expect("a number")
    }

    /// How often its threads of this name have waited for something, which is how often they were woken.
    pub fn waits_of(&self, name: &str) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the host runs");
        let status = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
        let named = status.filter(|status| value(status, "Name:") == Some(name));
        named.filter_map(|status| value(&status, "voluntary_ctxt_switches:")?.parse::<u64>().ok()).sum()
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.scene.path("log")).unwrap_or_default()).into_owned()
    }

    /// All whole records so far.
    pub fn records(&self) -> Vec<Record> {
        records_in(&self.scene.path("records"))
    }

    /// The lines of text records so far.
    pub fn lines(&self) -> Vec<Vec<u8>> {
        lines_of(&self.records())
    }

    /// Waits until `done`; fails with the log when that never comes.
    pub fn wait_until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            let alive = self.is_alive();
            assert!(
                alive && begun.elapsed() < PATIENCE,
                "{what} did not come (host alive: {alive}); records: {}; log:\n{}",
                self.records().len(),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn wait_for_records(&mut self, count: usize) -> Vec<Record> {
        self.wait_until(&format!("{count} records"), |host| host.records().len() >= count);
        self.records()
    }

    pub fn wait_for_lines(&mut self, count: usize) -> Vec<Vec<u8>> {
        self.wait_until(&format!("{count} lines"), |host| host.lines().len() >= count);
        self.lines()
    }

    pub fn wait_for_log(&mut self, text: &str) {
        self.wait_until(&format!("log line {text:?}"), |host| host.log().contains(text));
    }

    /// Asks the host to stop and waits for it.
    pub fn stop(self) -> Ended {
        let begun = Instant::now();
        self.signal(15);
        self.wait_since(begun)
    }

    /// Waits until the host ends by itself.
    pub fn wait(self) -> Ended {
        self.wait_since(Instant::now())
    }

    fn wait_since(mut self, begun: Instant) -> Ended {
        let waiting = Instant::now();
        while self.is_alive() {
            assert!(waiting.elapsed() < PATIENCE, "the host does not end; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        let took = begun.elapsed();
        let status = self.child.wait().expect("its status");
        Ended { log: self.log(), records: self.records(), status, took }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    pub fn lines(&self) -> Vec<Vec<u8>> {
        lines_of(&self.records)
    }

    #[track_caller]
    pub fn assert_clean(&self) -> &Self {
        assert!(self.status.success(), "{:?}; log:\n{}", self.status, self.log);
        assert!(!self.log.contains("panicked"), "{}", self.log);
        self
    }

    #[track_caller]
    pub fn assert_logged(&self, text: &str) -> &Self {
        assert!(self.log.contains(text), "no {text:?} in:\n{}", self.log);
        self
    }
}

fn lines_of(records: &[Record]) -> Vec<Vec<u8>> {
    records.iter().filter_map(|record| record.line().map(<[u8]>::to_vec)).collect()
}

fn records_in(file: &Path) -> Vec<Record> {
    records_of(&fs::read(file).unwrap_or_default())
}

/// All whole records in these bytes.
pub fn records_of(bytes: &[u8]) -> Vec<Record> {
    let mut rest = bytes;
    let mut records = Vec::new();
    // The host may be in the middle of a write: what is not whole yet comes later.
    while let Ok(value) = rmpv::decode::read_value(&mut rest) {
        records.push(record_of(value));
    }
    records
}

pub fn record_of(value: rmpv::Value) -> Record {
    let rmpv::Value::Array(parts) = value else { panic!("a record is an array: {value}") };
    let [head, body] = <[rmpv::Value; 2]>::try_from(parts).expect("head and body");
    let time = match head {
        // Since 2.1 with metadata.
        rmpv::Value::Array(head) => head.into_iter().next().expect("a time"),
        time => time,
    };
    let rmpv::Value::Ext(0, stamp) = time else { panic!("no time: {time}") };
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("four bytes"));
    let time = f64::from(number(&stamp[..4])) + f64::from(number(&stamp[4..8])) / 1e9;
    Record { time, body }
}

/// The largest gap between records of the neighbour, in seconds, by their own times.
pub fn neighbours_largest_gap(records: &[Record]) -> f64 {
    let times: Vec<f64> =
        records.iter().filter(|record| record.bytes("message") == Some(b"dummy")).map(|r| r.time).collect();
    assert!(times.len() >= 2, "the neighbour was not heard");
    times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max)
}
