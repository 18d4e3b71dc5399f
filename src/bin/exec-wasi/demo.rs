//! The demonstration that runs without arguments, and the search for the plugin it needs.

use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use crate::args::{Args, Section};

/// The guest that is shown: text that wasmtime compiles when it is loaded.
const GUEST: &str = include_str!("demo.wat");

/// Cargo's name of the plugin; a host wants it to be called `flb-in_exec_wasi.so`.
const LIBRARY: &str = "libflb_in_exec_wasi.so";
const PLUGIN: &str = "flb-in_exec_wasi.so";

/// Where guest and plugin are put.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Writes guest and plugin to a temporary folder and returns the command line that shows them.
pub fn prepare() -> Result<Args, String> {
    let folder = temporary_folder()?;
    let guest = folder.join("hello.wat");
    std::fs::write(&guest, GUEST).map_err(|error| format!("writing {}: {error}", guest.display()))?;
    let plugin = find_plugin()?;
    explain(&plugin);
    let guest = guest.to_str().ok_or("the temporary folder's name is not UTF-8")?;
    // A demonstration leaves nothing behind.
    let pairs = [("wasi_path", guest), ("oneshot", "true"), ("cache_dir", "off"), ("tag", "demo")];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut output = Section::new("stdout");
    output.properties.push(("format".to_owned(), "json_lines".to_owned()));
    Ok(Args {
        plugins: vec![plugin],
        inputs: vec![Section { name: "exec_wasi".to_owned(), properties: pairs.to_vec() }],
        outputs: vec![output],
        flush: Duration::from_millis(200),
        exit_when_idle: Some(Duration::from_millis(500)),
        give_up_after: Some(Duration::from_secs(60)),
        ..Args::default()
    })
}

/// The plugin that was built with this program, under the name that a host accepts.
pub fn find_plugin() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| format!("finding this program: {error}"))?;
    let beside = program.parent().unwrap_or(Path::new("."));
    // `cargo run` puts libraries beside the program, `cargo test` and `cargo build --bin` into `deps`.
    let built = [beside.join(LIBRARY), beside.join("deps").join(LIBRARY)];
    let newest = built.iter().filter_map(|path| Some((modified(path)?, path))).max();
    let (_, library) = newest.ok_or_else(|| {
        format!("there is no {LIBRARY} in {}: run `cargo build`, or name one with -e", beside.display())
    })?;
    let plugin = temporary_folder()?.join(PLUGIN);
    symlink(library, &plugin).map_err(|error| format!("linking {}: {error}", plugin.display()))?;
    Ok(plugin)
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// How to have the same without this program.
fn explain(plugin: &Path) {
    let library = std::fs::read_link(plugin).unwrap_or_else(|_| plugin.to_owned());
    let (plugin, library) = (PLUGIN, library.display());
    eprintln!(
        "\
This is a demonstration in a stand-in for Fluent Bit: a small WebAssembly program
prints three lines, and each becomes a record. The same with a real Fluent Bit:

  cp {library} ./{plugin}
  fluent-bit -e ./{plugin} -i exec_wasi -p wasi_path=hello.wasm -p oneshot=true -o stdout

and here with a program of yours (--help tells more):

  exec-wasi -i exec_wasi -p wasi_path=hello.wasm -p oneshot=true -o stdout
"
    );
}

/// A folder of this process, made when it is first asked for.
fn temporary_folder() -> Result<&'static Path, String> {
    if FOLDER.get().is_none() {
        let folder = std::env::temp_dir().join(format!("exec-wasi-{}", std::process::id()));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| format!("creating {}: {error}", folder.display()))?;
        FOLDER.set(folder).expect("only the main thread asks");
    }
    Ok(FOLDER.get().expect("set above"))
}

/// Removes what was written.
pub fn clean_up() {
    if let Some(folder) = FOLDER.get()
        && let Err(error) = std::fs::remove_dir_all(folder)
    {
        eprintln!("exec-wasi: removing {}: {error}", folder.display());
    }
}
