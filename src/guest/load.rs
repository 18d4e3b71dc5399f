//! From a file's bytes to a program that can run, on a thread that may take its time.
//!
//! In this order: a precompiled file is taken as it is, if the operator says so; a program in the cache is
//! mapped; anything else is compiled, put into the cache, and mapped from there, so that the compiler's
//! memory is free again and the first start ends up as small as every later one.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::{ExternType, Module};

use super::cache::{Cache, Found, InputCache};
use super::compiler::{self, Source};
use super::component;
use super::engine::{GuestEngine, VERSION};
use super::native::{self, Code, Image, Trust};
use super::outcome::causes;
use super::program::{Form, Program};
use super::scan::{Scan, digest, read};
use super::writable;
use crate::event::Event;
use crate::host::alloc::release_freed_memory;
use crate::pipe::Pipe;

/// See [`is_large`].
const LARGE_BYTES: usize = 1_000_000;

/// Why there is no program; a clause about the file.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The file holds none that can run here, whenever it is looked at.
    NoProgram(String),
    /// It might work the next time.
    Passing(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NoProgram(reason) | Self::Passing(reason)) = self;
        f.write_str(reason)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Passing(error.to_string())
    }
}

/// What is to be loaded, and what for.
pub struct Load {
    pub engine: Arc<GuestEngine>,
    pub path: PathBuf,
    /// The file as it was when it was looked at.
    pub scan: Scan,
    pub trust: Option<Trust>,
    pub cache: Arc<InputCache>,
    /// Where events go.
    pub pipe: Arc<Pipe>,
}

impl Load {
    /// Does it. Takes up to half a minute. `wanted` is asked when it is about to be compiled, for which it
    /// may have waited: whether anybody still wants it.
    ///
    /// # Errors
    /// Why it is no program.
    pub fn program(&self, wanted: impl Fn() -> bool) -> Result<Program, Failure> {
        let code = if self.scan.is_precompiled() { self.precompiled()? } else { self.compiled(wanted)? };
        ready(&self.engine, &code).map_err(Failure::NoProgram)
    }

    fn precompiled(&self) -> Result<Code, Failure> {
        let trust = self.trust.ok_or_else(|| {
            Failure::NoProgram(
                "it is a precompiled program: native code, which no sandbox confines; if you trust whoever made it, set option precompiled".into(),
            )
        })?;
        if let Some(directory) = writable::decides(&self.path) {
            return Err(Failure::NoProgram(format!(
                "it is a precompiled program in \"{}\", where a program may write: what is run outside the sandbox must not lie there",
                directory.display()
            )));
        }
        // Copied, not mapped: others than us may write to it, and to cut it off while it is mapped would
        // end the whole process.
        let image = Image::trusted(self.content()?, trust);
        image.load(&self.engine.engine).map_err(|error| {
            Failure::NoProgram(format!(
                "it is a precompiled program that does not fit this plugin ({VERSION}) on this machine: {}; compile it again with this version's `exec-wasi compile`",
                causes(&error)
            ))
        })
    }

    fn compiled(&self, wanted: impl Fn() -> bool) -> Result<Code, Failure> {
        let begun = Instant::now();
        let cache = self
            .cache
            .open(|unusable| self.tell(Event::NoCache { why: unusable.why, level: unusable.level }));
        if let Some(cache) = &cache
            && let Some(code) = self.cached(cache)
        {
            self.tell(Event::Loaded { program: self.name(), took: begun.elapsed(), large: self.is_large() });
            return Ok(code);
        }
        let mut turn = compiler::turn(self.is_large());
        if !wanted() {
            return Err(Failure::Passing("it is not wanted any more".into()));
        }
        let content = self.content()?;
        recognise(&content).map_err(Failure::NoProgram)?;
        let source = Source::new(content)?;
        let is_large = self.is_large() || source.is_large();
        if is_large && !self.is_large() {
            turn = turn.of_large();
        }
        source.check_memory()?;
        if is_large {
            self.tell(Event::Compiling { program: self.name(), size_bytes: self.scan.size_bytes });
        }
        let image = source.compile(&self.engine.engine)?;
        turn.end();
        if is_large {
            self.tell(Event::Compiled { program: self.name(), took: begun.elapsed() });
        }
        let kept = cache.and_then(|cache| self.store(&cache, &image));
        let code = kept.map_or_else(|| self.kept_in_memory(&image), Ok);
        drop(image);
        if is_large {
            // The compiler has needed many times what the program does, and won't again.
            release_freed_memory();
        }
        code
    }

    fn kept_in_memory(&self, image: &Image) -> Result<Code, Failure> {
        image.load(&self.engine.engine).map_err(|error| {
            if native::is_too_large(&error) {
                Failure::NoProgram(format!("it needs more than a program may have: {}", causes(&error)))
            } else if native::is_forbidden(&error) {
                Failure::NoProgram(format!(
                    "this process may not make memory executable, which native code needs (MemoryDenyWriteExecute of systemd, a rule of SELinux?): {}",
                    causes(&error)
                ))
            } else {
                Failure::Passing(format!("its code can't be loaded: {}", causes(&error)))
            }
        })
    }

    fn cached(&self, cache: &Cache) -> Option<Code> {
        match cache.find(&self.engine.engine, &self.scan.digest) {
            Found::Program(code) => Some(code),
            Found::Nothing => None,
            Found::Damaged(why) => {
                let folder = cache.path().display().to_string();
                self.tell(Event::CacheEntryDamaged { program: self.name(), folder, why });
                None
            }
        }
    }

    /// Puts code into the cache and takes it from there: those pages are the file's, not this process's.
    #[cfg(feature = "compiler")]
    fn store(&self, cache: &Cache, image: &Image) -> Option<Code> {
        match cache.store(&self.engine.engine, &self.scan.digest, image) {
            Ok(()) => self.cached(cache),
            Err(error) => {
                let folder = cache.path().display().to_string();
                self.tell(Event::NotKept { program: self.name(), folder, why: error.to_string() });
                None
            }
        }
    }

    #[cfg(not(feature = "compiler"))]
    #[allow(clippy::unused_self, reason = "as with a compiler")]
    fn store(&self, _cache: &Cache, _image: &Image) -> Option<Code> {
        None
    }

    /// The file's bytes, as they were scanned.
    fn content(&self) -> Result<Vec<u8>, Failure> {
        let content = read(&self.path)?;
        if digest(&content) == self.scan.digest {
            Ok(content)
        } else {
            Err(Failure::Passing("it changed while it was read".into()))
        }
    }

    fn is_large(&self) -> bool {
        is_large(self.scan.size_bytes)
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn tell(&self, event: Event) {
        self.pipe.post(event);
    }
}

/// Whether compiling a program of this size takes a moment, so that a log line is worth it.
pub fn is_large(size_bytes: usize) -> bool {
    size_bytes >= LARGE_BYTES
}

/// Makes compiled code ready to run, if it is a program.
///
/// # Errors
/// Why it is none; a clause.
pub fn ready(engine: &Arc<GuestEngine>, code: &Code) -> Result<Program, String> {
    let form = match code {
        Code::Module(module) => module_ready(engine, module)?,
        Code::Component(component) => Form::Component(component::prepare(engine, component)?),
    };
    Ok(Program { engine: Arc::clone(engine), form })
}

fn module_ready(engine: &GuestEngine, module: &Module) -> Result<Form, String> {
    check_start(module)?;
    let module = engine
        .linker
        .instantiate_pre(module)
        .map_err(|error| format!("it asks for what WASI 0.1 does not have: {}", causes(&error)))?;
    Ok(Form::Module(module))
}

/// The first bytes tell a module, a component, text and everything else apart.
pub fn recognise(content: &[u8]) -> Result<(), String> {
    match content {
        [] => Err("the file is empty".into()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] | [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
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
#[cfg(feature = "compiler")]
mod tests {
    use super::*;
    use crate::guest::engine::Traits;

    #[test]
    fn the_first_bytes_tell_what_a_file_is() {
        for module in [&b"\0asm\x01\0\0\0"[..], b"\0asm\x0d\0\x01\0", b"(module)", b"\n ;; text\n(module)"] {
            assert_eq!(recognise(module), Ok(()));
        }
        for (bytes, reason) in [
            (&b""[..], "empty"),
            (b"\0asm", "cut off"),
            (b"\0asm\x02\0\0\0", "unknown WebAssembly version"),
            (b"\x7fELF", "no WebAssembly"),
            (b"#!/bin/sh", "no WebAssembly"),
        ] {
            assert!(recognise(bytes).unwrap_err().contains(reason), "{reason}");
        }
    }

    #[test]
    fn what_can_not_run_is_refused_with_the_reason() {
        let engine = GuestEngine::berth(Traits::default()).unwrap();
        let built = |content: &[u8]| {
            let source = Source::new(content.to_vec());
            let image = source.and_then(|source| source.compile(&engine.engine));
            let image = image.map_err(|failure| failure.to_string())?;
            ready(&engine, &image.load(&engine.engine).unwrap())
        };
        let start = "(func (export \"_start\"))";
        for (text, reason) in [
            ("(module".to_owned(), "not valid WebAssembly"),
            ("(component)".to_owned(), "no command: it exports nothing"),
            ("(module)".to_owned(), "built as a library, not"),
            ("(module (func (export \"_initialize\")))".to_owned(), "reactor"),
            ("(module (func (export \"_start\") (param i32)))".to_owned(), "without parameters"),
            ("(module (memory (export \"_start\") 1))".to_owned(), "without parameters"),
            (format!("(module (import \"env\" \"f\" (func)) {start})"), "env::f"),
            (format!("(module (memory 1 1 shared) {start})"), "not valid"),
        ] {
            let error = built(text.as_bytes()).err().expect(&text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(built(format!("(module {start})").as_bytes()).is_ok());
    }
}
