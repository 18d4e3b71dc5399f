//! `exec-wasi compile`: native code for the plugin's option `precompiled`.
//!
//! The plugin does it (`exec_wasi_compile`, which it exports): what compiles a file is what will run it.

use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lexopt::prelude::{Long, Short, Value};

use crate::demo;
use crate::surface::last_dl_error;

const USAGE: &str = "\
Usage: exec-wasi compile FILE [-o FILE] [--fuel] [-e PLUGIN]

Compiles a WebAssembly program to native code, for inputs with precompiled=true. The result runs with the
very version of the plugin that compiled it, on processors that can do what this one can.

  -o, --output=FILE        where it goes (default: the program's name, ending in .cwasm)
      --fuel               for inputs with option fuel, and only for those
  -e, --plugin=FILE        the plugin that is to run it (default: the one beside this program)
  -h, --help               this help";

/// As the plugin declares it.
type Compile = unsafe extern "C" fn(*const c_char, *const c_char, c_int, *mut c_char, usize) -> c_int;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Job {
    input: PathBuf,
    output: PathBuf,
    fuel: bool,
    plugin: Option<PathBuf>,
}

/// Does what the words behind `compile` say.
pub fn run(words: impl IntoIterator<Item = OsString>) -> Result<(), String> {
    let Some(job) = parse(lexopt::Parser::from_args(words)).map_err(|error| error.to_string())? else {
        println!("{USAGE}");
        return Ok(());
    };
    let plugin = match &job.plugin {
        Some(plugin) => plugin.clone(),
        None => demo::find_plugin()?,
    };
    compile(&plugin, &job)?;
    println!("compiled {} to {}", job.input.display(), job.output.display());
    Ok(())
}

/// `None`: help is wanted.
fn parse(mut words: lexopt::Parser) -> Result<Option<Job>, lexopt::Error> {
    let (mut input, mut output, mut fuel, mut plugin) = (None, None, false, None);
    while let Some(word) = words.next()? {
        match word {
            Short('o') | Long("output") => output = Some(PathBuf::from(words.value()?)),
            Long("fuel") => fuel = true,
            Short('e') | Long("plugin") => plugin = Some(PathBuf::from(words.value()?)),
            Short('h') | Long("help") => return Ok(None),
            Value(file) if input.is_none() => input = Some(PathBuf::from(file)),
            other => return Err(other.unexpected()),
        }
    }
    let input = input.ok_or("there is no program to compile: exec-wasi compile FILE")?;
    let output = output.unwrap_or_else(|| input.with_extension("cwasm"));
    Ok(Some(Job { input, output, fuel, plugin }))
}

fn compile(plugin: &Path, job: &Job) -> Result<(), String> {
    // With a slash, or the loader would search its own folders.
    let plugin = std::path::absolute(plugin).map_err(|error| format!("{}: {error}", plugin.display()))?;
    let file = c_string(&plugin)?;
    // SAFETY: running the plugin's constructors is what was asked for; outside a host they do nothing.
    let library = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_NOW) };
    if library.is_null() {
        return Err(format!("loading the plugin: {}", last_dl_error()));
    }
    // SAFETY: the library is loaded, and stays so.
    let function = unsafe { libc::dlsym(library, c"exec_wasi_compile".as_ptr()) };
    if function.is_null() {
        return Err(format!("{} is not this plugin, or one too old to compile files", plugin.display()));
    }
    // SAFETY: the plugin declares its function of that name so.
    let function = unsafe { std::mem::transmute::<*mut libc::c_void, Compile>(function) };
    let (input, output) = (c_string(&job.input)?, c_string(&job.output)?);
    let mut message: [c_char; 4096] = [0; 4096];
    // SAFETY: two C strings, and memory of this length.
    let status = unsafe {
        function(input.as_ptr(), output.as_ptr(), c_int::from(job.fuel), message.as_mut_ptr(), message.len())
    };
    if status == 0 {
        return Ok(());
    }
    // SAFETY: it is all zero, or the function has ended it with one.
    let reason = unsafe { CStr::from_ptr(message.as_ptr()) };
    Err(reason.to_string_lossy().into_owned())
}

fn c_string(path: &Path) -> Result<CString, String> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| format!("'{}' has a NUL in it", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Job>, String> {
        let words = line.split_whitespace().map(OsString::from);
        parse(lexopt::Parser::from_args(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_output_is_named_after_the_program_unless_it_is_given() {
        let job = |output: &str, plugin: Option<&str>| {
            Some(Job {
                input: "a/b.wasm".into(),
                output: output.into(),
                fuel: plugin.is_some(),
                plugin: plugin.map(PathBuf::from),
            })
        };
        assert_eq!(parsed("a/b.wasm").expect("a line"), job("a/b.cwasm", None));
        assert_eq!(parsed("-o c a/b.wasm --fuel -e p.so").expect("a line"), job("c", Some("p.so")));
        assert_eq!(parsed("a --help").expect("a line"), None);
        for (line, part) in [("", "no program"), ("a b", "\"b\""), ("a -o", "argument"), ("a -x", "-x")] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
