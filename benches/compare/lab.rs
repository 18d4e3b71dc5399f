//! How a work is measured: each side in turn, so often, in the same host.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::floor::{self, Floor};
use crate::host::{Host, Input, Output, Rhythm, Side};
use crate::run::{Run, Steady, Until, run, run_empty};
use crate::stats::Sample;
use crate::table::Row;

/// How long a program is run again and again.
const STEADY: Duration = Duration::from_secs(4);

/// Where measurements are made.
pub struct Lab {
    pub host: Host,
    /// For programs, records and logs; removed at the end.
    pub folder: PathBuf,
    /// Measurements of each.
    pub runs: usize,
    /// What the host costs with nothing to do, in CPU seconds. It is not in the results.
    pub empty: Sample,
    /// The same while it runs, for each second.
    idle: Sample,
    /// What must not go unsaid beside the numbers.
    pub notes: Vec<String>,
}

/// A program with what the two sides are told beyond its path.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// The module.
    pub program: Vec<u8>,
    /// Options of the built-in.
    pub builtin: Vec<(&'static str, String)>,
    /// Options of ours.
    pub ours: Vec<(&'static str, String)>,
    /// Content of a file with parsers.
    pub parsers: Option<&'static str>,
    /// The built-in can't run it.
    pub only_ours: bool,
}

impl Task {
    pub fn new(program: Vec<u8>) -> Self {
        Self { program, ..Self::default() }
    }
}

impl Lab {
    pub fn new(runs: usize) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("exec-wasi-compare-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let host = Host::find(&folder)?;
        let mut lab =
            Self { host, folder, runs, empty: Sample::default(), idle: Sample::default(), notes: Vec::new() };
        for _ in 0..runs {
            let run = run_empty(&lab.host, &lab.folder)?;
            lab.empty.push(run.cost.cpu_seconds);
            lab.idle.push(run.steady.cpu_seconds / run.steady.seconds);
        }
        Ok(lab)
    }

    /// CPU seconds and memory of the host for a program that prints so many lines, once; and how much of it
    /// is spent on the host's own threads, where records are only handed over, taken in and thrown away.
    pub fn stream(&mut self, work: &str, task: &Task, lines: u64, with_floor: bool) -> [Row; 3] {
        let mut cpu = Row { work: work.into(), measure: "CPU s", ..Row::default() };
        let mut memory = Row { measure: "peak RSS, MB", ..Row::default() };
        let mut engine = Row { measure: "of these, the host's own threads", ..Row::default() };
        for round in 0..self.runs {
            for side in self.sides(round, task) {
                let input = self.input(side, task, Rhythm::Once);
                let result = run(&self.host, &self.folder, &input, Output::Null, Until::Records(lines));
                let Some(run) = self.noted(work, side, result) else { continue };
                self.check_count(work, side, &run, lines);
                cpu.side(side).push(self.net(&run));
                memory.side(side).push(run.cost.peak_rss_mb);
                // The built-in runs its program on them.
                if side == Side::Ours {
                    engine.ours.push(run.cost.engine_seconds);
                }
            }
            if with_floor {
                self.floor(task, 1, 0).into_iter().for_each(|floor| cpu.floor.push(floor.all));
            }
        }
        [cpu, engine, memory]
    }

    /// CPU seconds of the host for a program that computes and then prints `result`.
    pub fn computation(&mut self, work: &str, task: &Task, result: &str) -> [Row; 1] {
        let mut cpu = Row { work: work.into(), measure: "CPU s", ..Row::default() };
        for round in 0..self.runs {
            for side in self.sides(round, task) {
                let Some(run) = self.once(work, side, task) else { continue };
                if !run.first_record.contains(result) {
                    self.note(format!("{work}: wrong result with {side:?}: {}", run.first_record));
                }
                cpu.side(side).push(self.net(&run));
            }
            self.floor(task, 1, 0).into_iter().for_each(|floor| cpu.floor.push(floor.all));
        }
        [cpu]
    }

    /// CPU of the first run of a program, and of each further one.
    pub fn repeated(&mut self, work: &str, task: &Task, every_ms: u32) -> [Row; 2] {
        let mut first = Row { work: work.into(), measure: "first run, CPU ms", ..Row::default() };
        let mut each = Row { measure: "each further run, CPU ms", ..Row::default() };
        for round in 0..self.runs {
            for side in self.sides(round, task) {
                let Some(once) = self.once(work, side, task) else { continue };
                first.side(side).push(1e3 * self.net(&once));
                let input = self.input(side, task, Rhythm::EveryMs(every_ms));
                let result = run(&self.host, &self.folder, &input, Output::File, Until::After(STEADY));
                let Some(many) = self.noted(work, side, result) else { continue };
                let Steady { seconds, cpu_seconds, records, .. } = many.steady;
                let cpu_seconds = cpu_seconds - seconds * self.idle.median();
                each.side(side).push(1e3 * cpu_seconds / float(records));
            }
            let runs = 1 + u32::try_from(STEADY.as_millis()).expect("some thousands") / every_ms;
            if let (Some(once), Some(many)) = (self.floor(task, 1, 0), self.floor(task, runs, every_ms)) {
                first.floor.push(1e3 * once.all);
                each.floor.push(1e3 * many.further / f64::from(runs - 1));
            }
        }
        [first, each]
    }

    /// Time, CPU and memory from the start of the host to the first record of somebody's program: with
    /// nothing kept from before, and once more.
    pub fn arrival(&mut self, work: &str, task: &Task) -> [Row; 5] {
        let measures = [
            "first start: s to first record",
            "the same, CPU s",
            "second start: s to first record",
            "the same, CPU s",
            "peak RSS, MB",
        ];
        let mut rows = measures.map(|measure| Row { measure, ..Row::default() });
        rows[0].work = work.into();
        for round in 0..self.runs {
            for side in self.sides(round, task) {
                let cache = self.folder.join("cache");
                // There from the last round.
                let _ = fs::remove_dir_all(&cache);
                for start in 0..2 {
                    let mut input = self.input(side, task, Rhythm::Once);
                    input.cache = Some(cache.clone());
                    let result = run(&self.host, &self.folder, &input, Output::File, Until::Records(1));
                    let Some(run) = self.noted(work, side, result) else { continue };
                    rows[2 * start].side(side).push(run.first_record_seconds);
                    rows[2 * start + 1].side(side).push(self.net(&run));
                    rows[4].side(side).push(run.cost.peak_rss_mb);
                }
            }
        }
        if !self.host.has_cache {
            self.note(format!("{work}: this build keeps no compiled programs; both starts compile"));
        }
        rows
    }

    fn once(&mut self, work: &str, side: Side, task: &Task) -> Option<Run> {
        let input = self.input(side, task, Rhythm::Once);
        let result = run(&self.host, &self.folder, &input, Output::File, Until::Records(1));
        self.noted(work, side, result)
    }

    /// In turn, and not always the same one first.
    fn sides(&self, round: usize, task: &Task) -> Vec<Side> {
        if task.only_ours {
            return vec![Side::Ours];
        }
        let mut sides = self.host.sides().to_vec();
        if round % 2 == 1 {
            sides.reverse();
        }
        sides
    }

    fn input(&self, side: Side, task: &Task, rhythm: Rhythm) -> Input {
        Input {
            side,
            program: self.file("program.wasm", &task.program),
            rhythm,
            options: if side == Side::Ours { task.ours.clone() } else { task.builtin.clone() },
            parsers: task.parsers.map(|parsers| self.file("parsers.conf", parsers.as_bytes())),
            cache: None,
        }
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, content).expect("a file in a folder of ours");
        path
    }

    fn floor(&mut self, task: &Task, runs: u32, every_ms: u32) -> Option<Floor> {
        let program = self.file("program.wasm", &task.program);
        match floor::run(&self.folder, &program, runs, every_ms) {
            Ok(floor) => Some(floor),
            Err(error) => {
                self.note(format!("no floor: {error}"));
                None
            }
        }
    }

    /// CPU seconds without those of a host with nothing to do.
    fn net(&self, run: &Run) -> f64 {
        (run.cost.cpu_seconds - self.empty.median()).max(0.0)
    }

    fn noted(&mut self, work: &str, side: Side, result: Result<Run, String>) -> Option<Run> {
        match result {
            Ok(run) => {
                eprintln!("{work}: {side:?} {:.3} CPU s, {} records", run.cost.cpu_seconds, run.records);
                Some(run)
            }
            Err(error) => {
                self.note(format!("{work}: {side:?} failed: {error}"));
                None
            }
        }
    }

    fn check_count(&mut self, work: &str, side: Side, run: &Run, expected: u64) {
        if run.records != expected {
            self.note(format!("{work}: {side:?} delivered {} records of {expected}", run.records));
        }
    }

    fn note(&mut self, note: String) {
        eprintln!("{note}");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Removes what was put into the folder.
    pub fn clean_up(&self) {
        remove(&self.folder);
    }
}

#[allow(clippy::cast_precision_loss, reason = "records that were counted one by one are below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        eprintln!("{}: {error}", folder.display());
    }
}

impl Row {
    fn side(&mut self, side: Side) -> &mut Sample {
        match side {
            Side::BuiltIn => &mut self.builtin,
            Side::Ours => &mut self.ours,
        }
    }
}
