//! The host: which one it is, and how it is started for a work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whose input runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The host's own `exec_wasi`, in a host that has loaded nothing.
    BuiltIn,
    /// This plugin.
    Ours,
}

/// Where records go, and how it is seen that they are all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Nowhere; the host is asked how many there were.
    Null,
    /// To a file. Costs something per record, so it is for works with few of them.
    File,
}

/// The host under test.
#[derive(Debug)]
pub struct Host {
    program: PathBuf,
    /// The stand-in for Fluent Bit that comes with the plugin.
    pub is_stand_in: bool,
    /// As it calls itself.
    pub version: String,
    /// The built-in's option for a single run, if there is a built-in.
    builtin_oneshot: Option<&'static str>,
    library: PathBuf,
    /// The plugin can keep compiled programs across starts.
    pub has_cache: bool,
}

/// When the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    Once,
    EveryMs(u32),
}

/// The input of one start of the host.
#[derive(Clone, Debug)]
pub struct Input {
    pub side: Side,
    pub program: PathBuf,
    pub rhythm: Rhythm,
    /// Further options.
    pub options: Vec<(&'static str, String)>,
    /// A file with the host's parsers.
    pub parsers: Option<PathBuf>,
    /// Where the plugin may keep compiled programs; nowhere by default.
    pub cache: Option<PathBuf>,
}

impl Host {
    /// The host that the environment variable `FLUENT_BIT` names, or else the stand-in.
    pub fn find(folder: &Path) -> Result<Self, String> {
        let stand_in = PathBuf::from(env!("CARGO_BIN_EXE_exec-wasi"));
        let named = std::env::var_os("FLUENT_BIT").map(PathBuf::from);
        let mut host = Self {
            is_stand_in: named.is_none(),
            version: String::new(),
            builtin_oneshot: None,
            library: library(&stand_in, folder)?,
            has_cache: false,
            program: named.unwrap_or(stand_in),
        };
        let version = host.ask(&["--version"])?;
        host.version = version.lines().next().unwrap_or_default().trim().to_owned();
        if !host.is_stand_in {
            // The stand-in only claims to have one.
            let help = host.ask(&["-i", "exec_wasi", "-h"])?;
            let oneshot = if help.contains("oneshot") { "oneshot" } else { "bool" };
            host.builtin_oneshot = help.contains("wasi_path").then_some(oneshot);
        }
        let library = host.library.display().to_string();
        let help = host.ask(&["-e", &library, "-i", "exec_wasi", "-h"])?;
        if !help.contains("memory_limit") {
            return Err(format!("the host does not take the plugin:\n{help}"));
        }
        host.has_cache = help.contains("cache_dir");
        Ok(host)
    }

    fn ask(&self, args: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.program).args(args).output();
        let output = output.map_err(|error| format!("{}: {error}", self.program.display()))?;
        let text = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The sides that can be compared in it.
    pub fn sides(&self) -> &'static [Side] {
        match self.builtin_oneshot {
            Some(_) => &[Side::BuiltIn, Side::Ours],
            None => &[Side::Ours],
        }
    }

    /// The host with an input that makes one record and nothing more, and no plugin loaded.
    pub fn empty(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-i", "dummy", "-p", if self.is_stand_in { "rate=1" } else { "samples=1" }]);
        write_to(&mut command, folder, Output::File);
        command
    }

    /// The host with this input. `port` is where it tells how far it is.
    pub fn with(&self, folder: &Path, input: &Input, output: Output, port: u16) -> Command {
        let mut command = Command::new(&self.program);
        if input.side == Side::Ours {
            command.arg("-e").arg(&self.library);
        }
        if output == Output::Null && !self.is_stand_in {
            command.args(["-H", "-L", "127.0.0.1", "-P", &port.to_string()]);
        }
        if let Some(parsers) = &input.parsers {
            command.arg("-R").arg(parsers);
        }
        command.args(["-i", "exec_wasi", "-p"]).arg(format!("wasi_path={}", input.program.display()));
        match input.rhythm {
            Rhythm::Once => {
                let oneshot = if input.side == Side::Ours {
                    "oneshot"
                } else {
                    self.builtin_oneshot.unwrap_or("oneshot")
                };
                command.args(["-p", &format!("{oneshot}=true")]);
            }
            Rhythm::EveryMs(ms) => {
                command.args(["-p", &format!("interval_sec={}", ms / 1000)]);
                command.args(["-p", &format!("interval_nsec={}", ms % 1000 * 1_000_000)]);
            }
        }
        for (key, value) in &input.options {
            command.args(["-p", &format!("{key}={value}")]);
        }
        if input.side == Side::Ours && self.has_cache {
            let cache = input.cache.as_ref().map_or("off".into(), |folder| folder.display().to_string());
            command.args(["-p", &format!("cache_dir={cache}")]);
        }
        write_to(&mut command, folder, output);
        command
    }
}

fn write_to(command: &mut Command, folder: &Path, output: Output) {
    command.current_dir(folder);
    match output {
        Output::Null => command.args(["-o", "null"]),
        Output::File => {
            let path = format!("path={}", folder.display());
            command.args(["-o", "file", "-p", &path, "-p", "file=records"])
        }
    };
    command.args(["-m", "*"]);
}

/// The plugin's library as cargo built it, or as the environment variable `EXEC_WASI_SO` says, in `folder`
/// under its loadable name.
fn library(stand_in: &Path, folder: &Path) -> Result<PathBuf, String> {
    let beside = stand_in.parent().expect("a program lies in a folder");
    // Which of the two is written depends on what cargo was told to build.
    let names = ["deps/libflb_in_exec_wasi.so", "libflb_in_exec_wasi.so"];
    let built = names.iter().map(|name| beside.join(name)).filter(|path| path.exists());
    let built = built.max_by_key(|path| path.metadata().and_then(|metadata| metadata.modified()).ok());
    let built = std::env::var_os("EXEC_WASI_SO").map(PathBuf::from).or(built);
    let built = built.ok_or("cargo built no library")?;
    let path = folder.join("flb-in_exec_wasi.so");
    fs::copy(&built, &path).map_err(|error| format!("{}: {error}", built.display()))?;
    Ok(path)
}
