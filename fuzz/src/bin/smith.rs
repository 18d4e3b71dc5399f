//! Modules that are valid and otherwise anything, run by the plugin in a host, with limits on.
//!
//! ```text
//! smith HOST LIBRARY ROUNDS [SEED]
//! ```
//!
//! Each round is one host with twenty inputs, each with a module of its own, beside an input that must go
//! on making records. The host must stay alive, and end cleanly when asked. The modules of a round that
//! fails are kept, and said where.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libfuzzer_sys::arbitrary::Unstructured;
use wasm_smith::{Config, Module};

const INPUTS: u64 = 20;

/// What a guest may import.
const IMPORTS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_renumber" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#;

/// What it must export.
const EXPORTS: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// Bytes that look like chance and follow from the seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes
}

fn module(seed: u64) -> Option<Vec<u8>> {
    let mut config = Config::default();
    let options = noise(seed ^ 0xabcd, 8);
    config.available_imports = Some(wat::parse_str(IMPORTS).expect("imports"));
    config.exports = Some(wat::parse_str(EXPORTS).expect("exports"));
    config.max_memories = 1 + usize::from(options[1] % 3);
    config.max_instructions = 100 + 20 * usize::from(options[2]);
    config.max_memory32_bytes = 1 << 32;
    config.allow_start_export = true;
    config.gc_enabled = false;
    config.exceptions_enabled = false;
    config.threads_enabled = false;
    config.compact_imports_enabled = false;
    config.wide_arithmetic_enabled = false;
    // Beside functions they may name things of the host's, which the plugin's runtime does without.
    config.reference_types_enabled = options[5] % 8 == 0;
    config.memory64_enabled = options[3] % 8 == 0;
    config.memory_max_size_required = false;
    config.generate_custom_sections = options[4] % 2 == 0;
    config.min_funcs = 1;
    let bytes = noise(seed, 6000);
    let module = Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    Some(module.to_bytes())
}

/// Runs one round; what went wrong, if anything.
fn round(host: &Path, library: &Path, folder: &Path, seeds: std::ops::Range<u64>) -> Result<String, String> {
    let failed = |what: &str, error: std::io::Error| format!("{what}: {error}");
    std::fs::create_dir_all(folder.join("data")).map_err(|error| failed("a folder", error))?;
    let loadable = folder.join("flb-in_exec_wasi.so");
    if std::fs::hard_link(library, &loadable).is_err() {
        std::fs::copy(library, &loadable).map_err(|error| failed("the library", error))?;
    }
    let log = std::fs::File::create(folder.join("log")).map_err(|error| failed("a log", error))?;
    let mut command = Command::new(host);
    command.arg("-e").arg(&loadable).args(["-i", "dummy", "-p", "rate=10"]);
    for seed in seeds {
        let Some(bytes) = module(seed) else { continue };
        let path = folder.join(format!("{seed}.wasm"));
        std::fs::write(&path, bytes).map_err(|error| failed("a module", error))?;
        command.args(["-i", "exec_wasi", "-p"]).arg(format!("wasi_path={}", path.display()));
        command.args(["-p", "timeout=1", "-p", "memory_limit=64M", "-p", "mem_buf_limit=1M", "-p"]);
        command.arg(format!("accessible_paths={}", folder.join("data").display()));
        command.args(["-p", "interval_sec=0", "-p", "interval_nsec=300000000"]);
    }
    command.args(["-o", "null", "-m", "*", "-f", "1"]).current_dir(folder);
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
    let mut child = command.spawn().map_err(|error| failed("the host", error))?;
    std::thread::sleep(Duration::from_secs(3));
    let alive = child.try_wait().map_err(|error| failed("the host", error))?.is_none();
    if alive {
        let _ = Command::new("kill").arg(child.id().to_string()).status();
    }
    let asked = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| failed("the host", error))? {
            break status;
        }
        if asked.elapsed() > Duration::from_secs(20) {
            let _ = child.kill();
            return Err("it did not stop".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    if !alive || !status.success() || log.contains("panicked") || log.contains("[misuse]") {
        return Err(format!("alive: {alive}, {status}"));
    }
    let count = |text: &str| log.matches(text).count();
    let reason = log.lines().find_map(|line| line.split_once("\": ").filter(|_| line.contains("Can't run")));
    Ok(format!(
        "{} trapped, {} exited, {} timed out, {} not started, {} refused{}",
        count("The guest trapped"),
        count("The guest exited"),
        count("longer than timeout"),
        count("can't start"),
        count("Can't run"),
        reason.map(|(_, reason)| format!(" (first: {reason})")).unwrap_or_default()
    ))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, library, rounds, rest @ ..] = &arguments[..] else {
        eprintln!("usage: smith HOST LIBRARY ROUNDS [SEED]");
        return ExitCode::from(2);
    };
    let (Ok(host), Ok(library)) = (Path::new(host).canonicalize(), Path::new(library).canonicalize()) else {
        eprintln!("no such host or library");
        return ExitCode::from(2);
    };
    let rounds: u64 = rounds.parse().expect("a number of rounds");
    let first: u64 = rest.first().map_or(1, |seed| seed.parse().expect("a seed"));
    let mut bad = false;
    for number in 0..rounds {
        let seed = first + number * INPUTS;
        let folder: PathBuf = std::env::temp_dir().join(format!("smith-{}-{seed}", std::process::id()));
        match round(&host, &library, &folder, seed..seed + INPUTS) {
            Ok(what) => {
                println!("{seed}: {what}");
                let _ = std::fs::remove_dir_all(&folder);
            }
            Err(what) => {
                bad = true;
                println!("{seed}: FAILED: {what}; kept in {}", folder.display());
            }
        }
    }
    if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
