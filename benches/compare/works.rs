//! What is compared: the rows of the table and the points of the plots.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::guest;
use crate::lab::{Lab, Task};
use crate::plot::{BUILT_IN, FLOOR, OURS, Plot, Series};
use crate::stats::Sample;
use crate::table::Row;

const LINES: u64 = 1_000_000;
const LINE_BYTES: usize = 84;
const STEPS: u64 = 300_000_000;

/// Lengths of lines in the plot, and how much is printed at most for each.
const LINE_LENGTHS: [usize; 7] = [16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10];
const PLOT_BYTES: usize = 128 << 20;
const PLOT_LINES: usize = 1_000_000;
/// Sizes of modules in the plot.
const MODULE_SIZES: [usize; 5] = [1 << 10, 16 << 10, 128 << 10, 1 << 20, 4 << 20];

/// For lines longer than the built-in's default of 4096 bytes.
const ROOM_FOR_LONG_LINES: &str = "200000";
const JSON_PARSER: &str = "[PARSER]\n    Name    json\n    Format  json\n";

/// The letters of all works.
pub const ALL: &str = "abhcdefg";

/// One work by its letter; `file` is the program of the last one.
pub fn measure(lab: &mut Lab, letter: char, file: Option<&Path>) -> Result<Vec<Row>, String> {
    let lines = usize::try_from(LINES).expect("a million");
    let line = guest::line(LINE_BYTES);
    Ok(match letter {
        'a' => {
            let task = Task::new(guest::in_blocks(&line, lines));
            lab.stream("1 million lines of 84 bytes, written in blocks of 64 KiB", &task, LINES, true).into()
        }
        'b' => {
            let task = Task::new(guest::line_by_line(&line, lines));
            lab.stream("the same, a write for each line", &task, LINES, true).into()
        }
        'h' => components(lab, &line, lines),
        'c' => json(lab, lines),
        'd' => {
            let task = Task::new(guest::tiny());
            lab.repeated("a tiny program, every millisecond", &task, 1).into()
        }
        'e' => {
            let (name, program) = big_program(&lab.folder);
            lab.repeated(&name, &with_stack(program), 100).into()
        }
        'f' => {
            let task = Task::new(guest::fnv(STEPS));
            lab.computation("300 million steps of FNV-1a", &task, &guest::fnv_result(STEPS)).into()
        }
        'g' => {
            let Some(file) = file else { return Ok(Vec::new()) };
            let program = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let size = megabytes(program.len());
            lab.arrival(&format!("{name} ({size})"), &with_stack(program)).into()
        }
        other => return Err(format!("there is no work '{other}', only {ALL}")),
    })
}

/// The same lines from components, which are the same modules with the adapter that toolchains put around
/// them.
fn components(lab: &mut Lab, line: &[u8], lines: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, program) in [
        ("in blocks, from a component", guest::in_blocks(line, lines)),
        ("a write for each, from a component", guest::line_by_line(line, lines)),
    ] {
        let task = Task { only_ours: true, ..Task::new(guest::component(&program)) };
        rows.extend(lab.stream(name, &task, LINES, false));
    }
    rows
}

/// JSON lines as structured records: with what each side is made for, and with the same parser in both.
fn json(lab: &mut Lab, lines: usize) -> Vec<Row> {
    let line = guest::json_line();
    let parser = vec![("parser", "json".to_owned())];
    let mut task = Task {
        program: guest::in_blocks(&line, lines),
        builtin: parser.clone(),
        ours: vec![("format", "json".into())],
        parsers: Some(JSON_PARSER),
        only_ours: false,
    };
    let name = format!("1 million JSON lines of {} bytes, structured", line.len());
    let mut rows = Vec::from(lab.stream(&name, &task, LINES, false));
    task.ours = parser;
    let [same, ..] = lab.stream("the same, by the host's parser in both", &task, LINES, false);
    rows.push(same);
    rows
}

/// The built-in's default stack of 8 KB is too small for many programs; ours is as large by default.
fn with_stack(program: Vec<u8>) -> Task {
    Task { builtin: vec![("wasm_stack_size", "1M".into())], ..Task::new(program) }
}

fn megabytes(bytes: usize) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// A program in Go, if its compiler is here; or one that is as large.
fn big_program(folder: &Path) -> (String, Vec<u8>) {
    match go_program(folder) {
        Some(program) => (format!("a Go program ({}), every 100 ms", megabytes(program.len())), program),
        None => {
            let program = guest::of_size(2_500_000);
            (format!("a program of {}, every 100 ms", megabytes(program.len())), program)
        }
    }
}

fn go_program(folder: &Path) -> Option<Vec<u8>> {
    let (source, module) = (folder.join("main.go"), folder.join("go.wasm"));
    fs::write(&source, "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello from Go\") }\n")
        .ok()?;
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&module).arg(&source).envs([("GOOS", "wasip1"), ("GOARCH", "wasm")]);
    go.status().ok()?.success().then_some(())?;
    fs::read(module).ok()
}

/// Throughput against the length of lines.
#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn throughput(lab: &mut Lab) -> Plot {
    let mut plot = Lines::default();
    for length in LINE_LENGTHS {
        let lines = (PLOT_BYTES / length).min(PLOT_LINES);
        let room = vec![("buf_size", ROOM_FOR_LONG_LINES.to_owned())];
        let task = Task {
            program: guest::in_blocks(&guest::line(length), lines),
            builtin: room.clone(),
            ours: room,
            ..Task::default()
        };
        let work = format!("lines of {length} bytes");
        let [cpu, ..] = lab.stream(&work, &task, lines as u64, true);
        let bytes = (lines * length) as f64;
        plot.add(length, &cpu, |cpu_seconds| bytes / 1e6 / cpu_seconds);
    }
    plot.into_plot(
        "Throughput",
        "length of a line",
        "MB of lines per CPU second of the whole host; more is better",
    )
}

/// Cost of a run against the size of the module.
pub fn run_cost(lab: &mut Lab) -> Plot {
    let mut plot = Lines::default();
    for size in MODULE_SIZES {
        let task = Task::new(guest::of_size(size));
        let [_, each] = lab.repeated(&format!("a module of {size} bytes"), &task, 1);
        plot.add(size, &each, |cpu_ms| cpu_ms);
    }
    plot.into_plot(
        "A run of a program that prints one line",
        "size of the module",
        "CPU ms of the whole host for each run after the first; less is better",
    )
}

/// The lines of a plot while they grow.
#[derive(Default)]
struct Lines {
    builtin: Vec<(f64, f64)>,
    ours: Vec<(f64, f64)>,
    floor: Vec<(f64, f64)>,
}

impl Lines {
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn add(&mut self, x: usize, row: &Row, y: impl Fn(f64) -> f64) {
        let add = |line: &mut Vec<(f64, f64)>, sample: &Sample| {
            let y = y(sample.median());
            // Nothing measured, or nothing left of it after the empty host's part.
            if y.is_finite() && y > 0.0 {
                line.push((x as f64, y));
            }
        };
        add(&mut self.builtin, &row.builtin);
        add(&mut self.ours, &row.ours);
        add(&mut self.floor, &row.floor);
    }

    fn into_plot(self, title: &'static str, x_label: &'static str, y_label: &'static str) -> Plot {
        let series = vec![
            Series { name: "this plugin", colour: OURS, points: self.ours },
            Series { name: "built-in", colour: BUILT_IN, points: self.builtin },
            Series { name: "bare wasmtime", colour: FLOOR, points: self.floor },
        ];
        Plot { title, x_label, y_label, series }
    }
}
