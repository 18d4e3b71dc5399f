//! What this plugin costs in a host, beside the host's own `exec_wasi` and a bare wasmtime.
//!
//! ```sh
//! FLUENT_BIT=/path/to/fluent-bit cargo bench --bench compare -- --write
//! ```
//!
//! The same host runs the same programs through either input in turn. What counts is CPU time of the whole
//! host process, from its start to its end, less that of a host with nothing to do: wall time would flatter
//! an input with a thread of its own. Without `FLUENT_BIT` it is the stand-in that runs them, and there is
//! no built-in to compare with.
//!
//! - `works` says what is compared, with the programs of `guest`;
//! - `lab` measures a work, by starts of the host (`host`, `run`, `process`) and of the floor (`floor`);
//! - `stats`, `table`, `plot` and `report` say what came out.

mod floor;
mod guest;
mod host;
mod lab;
mod plot;
mod process;
mod report;
mod run;
mod stats;
mod table;
mod works;

use std::path::PathBuf;
use std::process::ExitCode;

use lab::Lab;
use lexopt::prelude::{Long, Value, ValueExt};
use report::Report;

/// What the command line says.
struct Args {
    /// Measurements of each.
    runs: usize,
    /// Letters of works, and `p` for the plots.
    only: Option<String>,
    /// Changes the README and the plots of the repository.
    write: bool,
    /// A program of the user's, for the work `g`.
    file: Option<PathBuf>,
}

/// Measurements for each point of a plot, where a line through many points evens them out.
const PLOT_RUNS: usize = 3;

const USAGE: &str = "\
usage: [FLUENT_BIT=PROGRAM] cargo bench --bench compare -- [OPTION] [PROGRAM.wasm]

  --runs=N        measurements of each (default: 5)
  --only=LETTERS  of these works only: a, b lines; h components; c JSON; d, e runs; f computing; g PROGRAM.wasm; p plots
  --write         put the results into README.md and benches/*.svg";

fn parse() -> Result<Option<Args>, lexopt::Error> {
    let mut args = Args { runs: 5, only: None, write: false, file: None };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            // cargo says so to every benchmark.
            Long("bench") => {}
            Long("runs") => args.runs = parser.value()?.parse()?,
            Long("only") => args.only = Some(parser.value()?.string()?),
            Long("write") => args.write = true,
            Long("floor") => {
                let program: PathBuf = parser.value()?.into();
                let (runs, every_ms) = (parser.value()?.parse()?, parser.value()?.parse()?);
                floor::perform(&program, runs, every_ms).map_err(|error| error.to_string())?;
                return Ok(None);
            }
            Value(file) => {
                let file = PathBuf::from(file);
                if !file.is_file() {
                    // Said now, and not a quarter of an hour later.
                    return Err(format!("{}: no such file", file.display()).into());
                }
                args.file = Some(file);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(args))
}

fn main() -> ExitCode {
    let done = match parse() {
        Ok(Some(args)) => compare(&args),
        Ok(None) => Ok(()),
        Err(error) => Err(format!("{error}\n\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(args: &Args) -> Result<(), String> {
    let mut lab = Lab::new(args.runs)?;
    let result = measure(&mut lab, args);
    lab.clean_up();
    let report = result?;
    println!("{}", report.text());
    if args.write { report.write() } else { Ok(()) }
}

fn measure(lab: &mut Lab, args: &Args) -> Result<Report, String> {
    let mut report = Report::new(lab);
    let is_wanted = |letter| args.only.as_ref().is_none_or(|only| only.contains(letter));
    for letter in works::ALL.chars().filter(|&letter| is_wanted(letter)) {
        report.rows.extend(works::measure(lab, letter, args.file.as_deref())?);
    }
    // Without a built-in there is nothing to compare, only on demand.
    if is_wanted('p') && (args.only.is_some() || !lab.host.is_stand_in) {
        lab.runs = lab.runs.min(PLOT_RUNS);
        report.plots =
            vec![("throughput.svg", works::throughput(lab)), ("run-cost.svg", works::run_cost(lab))];
    }
    report.notes = std::mem::take(&mut lab.notes);
    Ok(report)
}
