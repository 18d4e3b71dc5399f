//! From a file to a compiled program, and noticing when the file changes.
//!
//! A file is looked at before every run, by its metadata only; it is read again when those have changed,
//! and compiled again when its content has. Compiled programs are shared by content: two inputs with the
//! same program, even from different files, compile it once. Compiling takes from milliseconds to half a
//! minute, so it happens on threads of its own, which end with it.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, oneshot};
use wasmtime::{ExternType, InstancePre, Module};

use super::engine::GuestEngine;
use super::outcome::causes;
use super::sandbox::State;
use crate::event::Event;
use crate::pipe::Pipe;

/// A program from this size on is worth a log line when it is compiled: it takes a moment.
const WORTH_MENTIONING_BYTES: usize = 1_000_000;

/// Far more than any program has; a file beyond it is a mistake.
const MAX_PROGRAM_BYTES: u64 = 500_000_000;

/// By so much of it, a program is recognised as one.
const HEAD_BYTES: u64 = 64 * 1024;

/// Something that can be run.
pub enum Program {
    /// A core module of WASI 0.1.
    Module(InstancePre<State>),
}

/// Why a file is no program; a clause that begins with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError(String);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What tells, without reading it, that a file is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

type Compiled = Result<Arc<Program>, String>;

/// A program that is, or is being, compiled; whoever needs it first does it.
#[derive(Default)]
struct Slot(OnceCell<Compiled>);

/// Content and engine.
type Key = ([u8; 32], usize);

static PROGRAMS: Mutex<Option<HashMap<Key, Weak<Slot>>>> = Mutex::new(None);

/// The program of one input, kept up to date with its file.
pub struct ProgramFile {
    path: PathBuf,
    /// The file as it was last read, and what it held.
    last: Option<(Stamp, Arc<Slot>)>,
}

impl ProgramFile {
    /// The program in the file at `path`; nothing is opened yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), last: None }
    }

    /// The program as the file holds it now. Waits while it is compiled.
    ///
    /// # Errors
    /// When the file can't be read, or holds no program that can run here.
    pub async fn current(
        &mut self,
        engine: &Arc<GuestEngine>,
        pipe: &Pipe,
    ) -> Result<Arc<Program>, LoadError> {
        let slot = match self.refresh(engine) {
            Ok(slot) => slot,
            Err(error) => return Err(self.error(&error.to_string())),
        };
        let (slot, content) = slot;
        let compiled = slot.0.get_or_init(|| async {
            // A slot that is empty was either filled with this content just now, or its compilation was
            // given up half-way by an input that stopped; then the file is read once more.
            match content.map_or_else(|| read(&self.path).map(|(_, content)| content), Ok) {
                Ok(content) => compile(engine, &self.path, content, pipe).await,
                Err(error) => Err(error.to_string()),
            }
        });
        compiled.await.clone().map_err(|reason| self.error(&reason))
    }

    /// The slot for what the file holds now, and its content if it was just read.
    fn refresh(&mut self, engine: &GuestEngine) -> io::Result<(Arc<Slot>, Option<Vec<u8>>)> {
        let stamp = Stamp::of(&std::fs::metadata(&self.path)?);
        if let Some((last, slot)) = &self.last
            && *last == stamp
        {
            return Ok((Arc::clone(slot), None));
        }
        let (stamp, content) = read(&self.path)?;
        let slot = slot_for(&content, engine);
        self.last = Some((stamp, Arc::clone(&slot)));
        Ok((slot, Some(content)))
    }

    fn error(&self, reason: &str) -> LoadError {
        LoadError(format!("can't run wasi_path \"{}\": {reason}", self.path.display()))
    }
}

/// Reads a whole file, and its stamp from before. A write that comes during the read changes the stamp, so
/// the next look sees it.
fn read(path: &Path) -> io::Result<(Stamp, Vec<u8>)> {
    // Without NONBLOCK, opening a named pipe would wait for a writer.
    let mut file: File = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        return Err(io::Error::other(format!("it is {what}")));
    }
    let mut content = Vec::new();
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut content)?;
    // The rest of something else, a log or a disk image, is of no use and may not fit in memory.
    if recognise(&content).is_ok() {
        let too_large = || io::Error::other(format!("it is larger than {MAX_PROGRAM_BYTES} bytes"));
        if metadata.len() > MAX_PROGRAM_BYTES {
            return Err(too_large());
        }
        // It may be growing.
        file.take(MAX_PROGRAM_BYTES + 1 - HEAD_BYTES).read_to_end(&mut content)?;
        if content.len() as u64 > MAX_PROGRAM_BYTES {
            return Err(too_large());
        }
    }
    Ok((Stamp::of(&metadata), content))
}

fn slot_for(content: &[u8], engine: &GuestEngine) -> Arc<Slot> {
    let key: Key = (Sha256::digest(content).into(), std::ptr::from_ref(engine).addr());
    // Only look-ups and insertions happen under the lock.
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let programs = programs.get_or_insert_default();
    if let Some(slot) = programs.get(&key).and_then(Weak::upgrade) {
        return slot;
    }
    programs.retain(|_, slot| slot.strong_count() > 0);
    let slot = Arc::new(Slot::default());
    programs.insert(key, Arc::downgrade(&slot));
    slot
}

/// Compiles on threads of its own, and waits for them without blocking.
async fn compile(engine: &Arc<GuestEngine>, path: &Path, content: Vec<u8>, pipe: &Pipe) -> Compiled {
    let program = path.display().to_string();
    let mentioned = content.len() >= WORTH_MENTIONING_BYTES;
    if mentioned {
        pipe.post(Event::Compiling { program: program.clone(), size_bytes: content.len() });
    }
    let begun = Instant::now();
    let (done, result) = oneshot::channel();
    let engine = Arc::clone(engine);
    let thread = std::thread::Builder::new().name("exec_wasi-compile".into()).spawn(move || {
        // Nobody waits any more when the input has stopped meanwhile.
        let _ = done.send(build(&engine, &content));
    });
    thread.map_err(|error| format!("no thread to compile it: {error}"))?;
    let compiled = result.await.unwrap_or_else(|_| Err("the compiler panicked".into()))?;
    if mentioned {
        let took: Duration = begun.elapsed();
        pipe.post(Event::Compiled { program, took });
    }
    Ok(Arc::new(compiled))
}

/// Decides once what the bytes are, and makes it ready to run.
fn build(engine: &GuestEngine, content: &[u8]) -> Result<Program, String> {
    recognise(content)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // wasmtime compiles functions in parallel on the pool it finds itself in. Its own global one would
    // keep a thread per core inside the agent for ever; this one ends here.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("exec_wasi-comp{number}"))
        .build()
        .map_err(|error| format!("no threads to compile it: {error}"))?;
    let module = pool
        .install(|| Module::new(&engine.engine, content))
        .map_err(|error| format!("it is not a valid WebAssembly module: {}", causes(&error)))?;
    check_start(&module)?;
    let module = engine
        .linker
        .instantiate_pre(&module)
        .map_err(|error| format!("it asks for what WASI 0.1 does not have: {}", causes(&error)))?;
    Ok(Program::Module(module))
}

/// The first bytes tell a module, a component, text and everything else apart.
fn recognise(content: &[u8]) -> Result<(), String> {
    match content {
        [] => Err("the file is empty".into()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => {
            Err("it is a component (WASI 0.2 or later); this plugin runs core modules (WASI 0.1)".into())
        }
        [0, b'a', b's', b'm', ..] => Err("it is cut off or of an unknown WebAssembly version".into()),
        text if matches!(text.trim_ascii_start(), [b'(' | b';', ..]) => Ok(()),
        _ => Err("it is no WebAssembly: neither binary (.wasm) nor text (.wat)".into()),
    }
}

fn check_start(module: &Module) -> Result<(), String> {
    match module.get_export("_start") {
        Some(ExternType::Func(start)) if start.params().len() == 0 && start.results().len() == 0 => Ok(()),
        Some(_) => Err("its export \"_start\" is not a function without parameters and results".into()),
        None if module.get_export("_initialize").is_some() => Err(
            "it has no function \"_start\" but \"_initialize\": it was built as a library (reactor), not as a program (command)".into(),
        ),
        None => Err("it has no function \"_start\": it was built as a library, not as a program".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_a_file_is() {
        for module in [&b"\0asm\x01\0\0\0"[..], b"(module)", b"\n ;; text\n(module)"] {
            assert_eq!(recognise(module), Ok(()));
        }
        for (bytes, reason) in [
            (&b""[..], "empty"),
            (b"\0asm", "cut off"),
            (b"\0asm\x02\0\0\0", "unknown WebAssembly version"),
            (b"\0asm\x0d\0\x01\0", "component"),
            (b"\x7fELF", "no WebAssembly"),
            (b"#!/bin/sh", "no WebAssembly"),
        ] {
            assert!(recognise(bytes).unwrap_err().contains(reason), "{reason}");
        }
    }

    #[test]
    fn what_can_not_run_is_refused_with_the_reason() {
        let engine = GuestEngine::shared(1_000_000).unwrap();
        let start = "(func (export \"_start\"))";
        for (text, reason) in [
            ("(module".to_owned(), "not a valid WebAssembly module"),
            ("(module)".to_owned(), "built as a library, not"),
            ("(module (func (export \"_initialize\")))".to_owned(), "reactor"),
            ("(module (func (export \"_start\") (param i32)))".to_owned(), "without parameters"),
            ("(module (memory (export \"_start\") 1))".to_owned(), "without parameters"),
            (format!("(module (import \"env\" \"f\" (func)) {start})"), "env::f"),
            (format!("(module (memory 1 1 shared) {start})"), "not a valid"),
        ] {
            let error = build(&engine, text.as_bytes()).err().expect(&text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(build(&engine, format!("(module {start})").as_bytes()).is_ok());
    }

    #[test]
    fn the_same_content_is_the_same_program() {
        let engine = GuestEngine::shared(1_000_000).unwrap();
        let (one, two) = (slot_for(b"a", &engine), slot_for(b"a", &engine));
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &slot_for(b"b", &engine)));
    }
}
