//! What single steps cost, as far as they can be reached without a host: from a block of a guest's output
//! to a batch in the pipe, in bytes of output per second, with a plain copy of the same bytes as the floor;
//! and what it takes to start a program.
//!
//! `cargo bench --bench parts`; a word after `--` picks the benchmarks that contain it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use flb_in_exec_wasi::config::{Config, Given, Properties};
use flb_in_exec_wasi::counters::Counters;
use flb_in_exec_wasi::doorbell::Doorbell;
use flb_in_exec_wasi::guest::runner::{Job, Runner};
use flb_in_exec_wasi::guest::writable::Writable;
use flb_in_exec_wasi::pipe::Pipe;
use flb_in_exec_wasi::record::encode::{Encoder, Format, WireFormat};
use flb_in_exec_wasi::record::lines::{Lines, LongLines};

fn main() {
    divan::main();
}

/// As much as a guest's write is taken at a time.
const BLOCK_BYTES: usize = 64 * 1024;
/// What one iteration works on; fits into a usual second-level cache together with what is made of it.
const TEXT_BYTES: usize = 8 * BLOCK_BYTES;

/// Text of lines of `line_bytes` each, newline included.
fn text(line_bytes: usize) -> Vec<u8> {
    let mut line = vec![b'x'; line_bytes];
    line[line_bytes - 1] = b'\n';
    line.into_iter().cycle().take(TEXT_BYTES).collect()
}

fn framer() -> Lines {
    Lines::new(1_000_000, LongLines::Split)
}

fn encoder(format: Format) -> Encoder {
    Encoder::new(WireFormat::Metadata, format, "wasi_stdout", None)
}

fn room() -> Vec<u8> {
    Vec::with_capacity(8 * TEXT_BYTES)
}

/// Bytes of output per second, for lines of so many bytes.
mod output {
    use super::*;

    /// Bytes of a line, newline included.
    const LINES: [usize; 3] = [16, 84, 1024];

    /// The floor: each byte is read and written once.
    #[divan::bench(args = LINES)]
    fn a_copy(bencher: Bencher, line_bytes: usize) {
        let (text, mut out) = (text(line_bytes), room());
        bencher.counter(BytesCount::of_slice(&text)).bench_local(|| {
            out.clear();
            out.extend_from_slice(black_box(&text));
            black_box(&mut out);
        });
    }

    /// Blocks into lines, nothing done with them.
    #[divan::bench(args = LINES)]
    fn framing(bencher: Bencher, line_bytes: usize) {
        let (text, mut lines) = (text(line_bytes), framer());
        bencher.counter(BytesCount::of_slice(&text)).bench_local(|| {
            for block in black_box(&text).chunks(BLOCK_BYTES) {
                lines.push(block, |line| {
                    black_box(line);
                });
            }
        });
    }

    /// Lines that are cut already into records.
    #[divan::bench(args = LINES)]
    fn encoding(bencher: Bencher, line_bytes: usize) {
        let (text, encoder, mut out) = (text(line_bytes), encoder(Format::Text), room());
        let lines: Vec<&[u8]> = text.trim_ascii_end().split(|&byte| byte == b'\n').collect();
        bencher.counter(BytesCount::of_slice(&text)).bench_local(|| {
            out.clear();
            for line in black_box(&lines) {
                encoder.record(line, &mut out);
            }
            black_box(&mut out);
        });
    }

    /// Blocks into records in the pipe, and out of it again as batches: all that happens to a guest's
    /// output but for the guest's own call and the host's append.
    #[divan::bench(args = LINES)]
    fn framing_encoding_pipe(bencher: Bencher, line_bytes: usize) {
        let (text, mut lines, mut encoder) = (text(line_bytes), framer(), encoder(Format::Text));
        let pipe = Pipe::new(usize::MAX, Arc::new(Doorbell::new().expect("a descriptor")));
        bencher.counter(BytesCount::of_slice(&text)).bench_local(|| {
            for block in black_box(&text).chunks(BLOCK_BYTES) {
                encoder.set_time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
                pipe.write(|batch| {
                    lines.push(block, |line| {
                        encoder.record(line, &mut batch.bytes);
                        batch.records += 1;
                    });
                });
            }
            while let Some(batch) = pipe.take_batch() {
                pipe.done(black_box(batch));
            }
        });
    }
}

/// Bytes of JSON lines per second (option `format json`).
mod json {
    use super::*;

    /// A line as a service might log it.
    const PLAIN: &str = r#"{"time":1700000000.123,"level":"info","status":200,"path":"/api/v1/items","user":"alice","ms":12.5,"ok":true,"n":1234}"#;
    /// Text with escapes: a stack trace, a quotation, what a program writes that keeps to ASCII.
    const ESCAPES: &str = r#"{"level":"error","msg":"can't open \"a\\b\": no such file","stack":"at f (x.js:1:2)\n\tat g (y.js:3:4)","user":"Andr\u00e9"}"#;
    /// Doubles that were written with all their digits.
    const DOUBLES: &str = r#"{"cpu":0.8444218515250481,"mem":757954402.8940842,"load":[0.04205571580830845,0.25891675029296335],"rate":1.5e-07}"#;
    const LINES: [&str; 3] = [PLAIN, ESCAPES, DOUBLES];

    fn lines(line: &str) -> Vec<&[u8]> {
        vec![line.as_bytes(); TEXT_BYTES / line.len()]
    }

    fn bytes(lines: &[&[u8]]) -> BytesCount {
        BytesCount::new(lines.concat().len())
    }

    /// The floor.
    #[divan::bench]
    fn a_copy(bencher: Bencher) {
        let lines = lines(PLAIN);
        let (text, mut out) = (lines.concat(), room());
        bencher.counter(bytes(&lines)).bench_local(|| {
            out.clear();
            out.extend_from_slice(black_box(&text));
            black_box(&mut out);
        });
    }

    /// Objects into structured records.
    #[divan::bench(args = LINES)]
    fn transcoding(bencher: Bencher, line: &str) {
        let (lines, encoder, mut out) = (lines(line), encoder(Format::Json), room());
        bencher.counter(bytes(&lines)).bench_local(|| {
            out.clear();
            for line in black_box(&lines) {
                encoder.record(line, &mut out);
            }
            black_box(&mut out);
        });
    }
}

/// From the start of an input (option `oneshot`) to the end of its thread. What the steps cost is the
/// difference from one benchmark to the next.
mod start {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Another input has the same program: thread, sandbox, instance, run.
    #[divan::bench]
    fn known_program(bencher: Bencher) {
        let program = File::with(&guest(0));
        let _other = Other::with(&program);
        bencher.bench_local(|| run_once(&program));
    }

    /// Another input has the engine, but not the program: the same and compiling it.
    #[divan::bench]
    fn new_program(bencher: Bencher) {
        let _other = Other::with(&File::with(&guest(0)));
        let mut number = 0;
        let program = || {
            number += 1;
            File::with(&guest(number))
        };
        bencher.with_inputs(program).bench_local_refs(|program| run_once(program));
    }

    /// The first input of the process: the same and making the engine, and taking it down again.
    #[divan::bench]
    fn everything_new(bencher: Bencher) {
        let program = File::with(&guest(0));
        bencher.bench_local(|| run_once(&program));
    }

    /// A tiny program that prints one line; another for each number.
    fn guest(number: u32) -> String {
        format!(
            r#"(module
                 (import "wasi_snapshot_preview1" "fd_write"
                   (func $fd_write (param i32 i32 i32 i32) (result i32)))
                 (memory (export "memory") 1)
                 (data (i32.const 0) "\10\00\00\00\09\00\00\00\00\00\00\00\00\00\00\00{number:08}\0a")
                 (func (export "_start")
                   (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
        )
    }

    fn run_once(program: &File) {
        let (mut runner, _) = program.start(&[("oneshot", "true")]);
        assert!(runner.join(PATIENCE), "a run of a tiny program ends");
    }

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A program's file, removed at the end.
    struct File(PathBuf);

    impl File {
        fn with(guest: &str) -> Self {
            static FILES: AtomicU32 = AtomicU32::new(0);
            let number = FILES.fetch_add(1, Ordering::Relaxed);
            let name = format!("exec-wasi-parts-{}-{number}.wasm", std::process::id());
            let path = std::env::temp_dir().join(name);
            let binary = wat::parse_str(guest).expect("the guest is correct");
            std::fs::write(&path, binary).expect("a file for the guest");
            Self(path)
        }

        fn start(&self, options: &[(&str, &str)]) -> (Runner, Arc<Pipe>) {
            let path = self.0.to_str().expect("a path of ours");
            let options = Options([&[("wasi_path", path)], options].concat());
            let config = Config::from_properties(&options).expect("the options are good");
            let bell = Arc::new(Doorbell::new().expect("a descriptor"));
            let pipe = Arc::new(Pipe::new(config.pipe_bytes, bell));
            let job = Job {
                name: "bench".into(),
                writable: Writable::declare(&config),
                config: Arc::new(config),
                wire: WireFormat::Metadata,
                pipe: Arc::clone(&pipe),
                counters: Arc::new(Counters::default()),
            };
            (Runner::start(Box::new(job)).expect("a thread"), pipe)
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            // Whoever cleans the folder may have been faster.
            let _ = std::fs::remove_file(&self.0);
        }
    }

    struct Options<'a>(Vec<(&'a str, &'a str)>);

    impl Properties for Options<'_> {
        fn values(&self, name: &str) -> Given {
            let given = self.0.iter().filter(|(key, _)| *key == name);
            given.map(|(_, value)| value.as_bytes().to_vec()).collect::<Vec<_>>().into()
        }
    }

    /// An input that has run once and waits, for an hour, for its next start.
    struct Other(Runner);

    impl Other {
        fn with(program: &File) -> Self {
            let (runner, pipe) = program.start(&[("interval_sec", "3600")]);
            while pipe.take_batch().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            Self(runner)
        }
    }

    impl Drop for Other {
        fn drop(&mut self) {
            self.0.cancel();
            self.0.join(PATIENCE);
        }
    }
}
