//! What is said at the end: on standard output, and on demand in the repository.

use std::fs;
use std::path::Path;

use crate::lab::Lab;
use crate::plot::Plot;
use crate::table::{self, Row};

/// Where the README has the results.
const BEGIN: &str = "<!-- results of benches/compare begin -->\n";
const END: &str = "<!-- results of benches/compare end -->";

/// Everything that was measured, and where.
pub struct Report {
    conditions: String,
    pub rows: Vec<Row>,
    pub plots: Vec<(&'static str, Plot)>,
    pub notes: Vec<String>,
}

impl Report {
    pub fn new(lab: &Lab) -> Self {
        let (host, runs, empty) = (&lab.host.version, lab.runs, &lab.empty);
        let conditions = format!(
            "{host} on {}. Median (least–most) of {runs} measurements of each, in turn. A host with nothing \
             to do costs {empty} CPU s; that is subtracted.",
            machine()
        );
        Self { conditions, rows: Vec::new(), plots: Vec::new(), notes: Vec::new() }
    }

    /// Conditions, table and notes.
    pub fn text(&self) -> String {
        let notes: String = self.notes.iter().map(|note| format!("\n- {note}")).collect();
        format!("{}\n\n{}{notes}", self.conditions, table::table(&self.rows))
    }

    /// Replaces the results in the repository.
    pub fn write(&self) -> Result<(), String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let failed = |path: &Path, error| format!("{}: {error}", path.display());
        if !self.rows.is_empty() {
            let path = root.join("README.md");
            let readme = fs::read_to_string(&path).map_err(|error| failed(&path, error))?;
            let parts = readme
                .split_once(BEGIN)
                .and_then(|(before, rest)| rest.split_once(END).map(|(_, after)| (before, after)));
            let (before, after) = parts.ok_or("README.md has no place for the results")?;
            let readme = format!("{before}{BEGIN}{}\n{END}{after}", self.text());
            fs::write(&path, readme).map_err(|error| failed(&path, error))?;
        }
        for (name, plot) in &self.plots {
            let path = root.join("benches").join(name);
            fs::write(&path, plot.svg()).map_err(|error| failed(&path, error))?;
        }
        Ok(())
    }
}

/// The processor and how many of it, as the kernel sees them.
fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model);
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?");
    let noun = if count == 1 { "core" } else { "cores" };
    format!("{model}, {count} {noun} (load average at the start: {load})")
}
