//! From a file's bytes to a program that can run, on a thread that may take its time.
//!
//! In this order: a precompiled file is taken as it is, if the operator says so; a program in the cache is
//! mapped; anything else is compiled, put into the cache, and mapped from there, so that the compiler's
//! memory is free again and the first start ends up as small as every later one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::cache::{Cache, Found, InputCache, entry};
use super::compiler::{self, Source};
use super::engine::{GuestEngine, VERSION};
use super::native::{self, Code, Image, Trust};
use super::outcome::causes;
use super::program::{Failure, Program, ready};
use super::scan::{Scan, digest, read, recognise};
use crate::event::Event;
use crate::host::alloc::release_freed_memory;
use crate::pipe::Pipe;

/// See [`is_large`].
const LARGE_BYTES: usize = 1_000_000;

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
        // Copied, not mapped: others than us may write to it, and to cut it off while it is mapped would
        // end the whole process.
        let unfit = |why: String| {
            Failure::NoProgram(format!(
                "it is a precompiled program that does not fit this plugin ({VERSION}) on this machine: {why}; compile it again with this version's `exec-wasi compile`, with --fuel for an input that has option fuel and only for one",
            ))
        };
        let code = entry::unsealed(self.content()?).map_err(|flaw| unfit(flaw.to_string()))?;
        Image::trusted(code, trust).load(&self.engine.engine).map_err(|error| {
            if native::is_forbidden(&error) { forbidden(&error) } else { unfit(causes(&error)) }
        })
    }

    fn compiled(&self, wanted: impl Fn() -> bool) -> Result<Code, Failure> {
        let begun = Instant::now();
        let cache = self
            .cache
            .open(|unusable| self.tell(Event::NoCache { why: unusable.why, level: unusable.level }));
        if let Some(cache) = &cache
            && let Some(code) = self.cached(cache)?
        {
            self.tell(Event::Loaded { program: self.name(), took: begun.elapsed(), large: self.is_large() });
            return Ok(code);
        }
        let mut turn = compiler::turn(self.is_large());
        if !wanted() {
            return Err(Failure::Passing("it is not wanted any more".into()));
        }
        compiler::check_file(self.scan.size_bytes, self.scan.is_text())?;
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
        let kept = cache.map_or(Ok(None), |cache| self.store(&cache, &image));
        let code = kept.and_then(|kept| kept.map_or_else(|| self.kept_in_memory(&image), Ok));
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
                forbidden(&error)
            } else {
                Failure::Passing(format!("its code can't be loaded: {}", causes(&error)))
            }
        })
    }

    fn cached(&self, cache: &Cache) -> Result<Option<Code>, Failure> {
        match cache.find(&self.engine.engine, &self.scan.digest) {
            Found::Program(code) => Ok(Some(code)),
            Found::Nothing => Ok(None),
            Found::Damaged(why) => {
                let folder = cache.path().display().to_string();
                self.tell(Event::CacheEntryDamaged { program: self.name(), folder, why });
                Ok(None)
            }
            Found::Forbidden(error) => Err(forbidden(&error)),
        }
    }

    /// Puts code into the cache and takes it from there: those pages are the file's, not this process's.
    #[cfg(feature = "compiler")]
    fn store(&self, cache: &Cache, image: &Image) -> Result<Option<Code>, Failure> {
        match cache.store(&self.engine.engine, &self.scan.digest, image) {
            Ok(()) => self.cached(cache),
            Err(error) => {
                let folder = cache.path().display().to_string();
                self.tell(Event::NotKept { program: self.name(), folder, why: error.to_string() });
                Ok(None)
            }
        }
    }

    #[cfg(not(feature = "compiler"))]
    #[allow(clippy::unused_self, reason = "as with a compiler")]
    fn store(&self, _cache: &Cache, _image: &Image) -> Result<Option<Code>, Failure> {
        Ok(None)
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

fn forbidden(error: &wasmtime::Error) -> Failure {
    Failure::NoProgram(format!(
        "this process may not make memory executable, which native code needs (MemoryDenyWriteExecute of systemd, a rule of SELinux?): {}",
        error.root_cause()
    ))
}

/// Whether compiling a program of this size takes a moment, so that a log line is worth it.
pub fn is_large(size_bytes: usize) -> bool {
    size_bytes >= LARGE_BYTES
}

#[cfg(test)]
#[cfg(feature = "compiler")]
mod tests {
    use super::*;
    use crate::guest::engine::Traits;

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
            (format!("(module (import \"env\" \"m\" (memory 1)) {start})"), "env::m"),
            (
                format!("(module (import \"wasi_unstable\" \"fd_write\" (func)) {start})"),
                "wasi_unstable::fd_write",
            ),
            (
                format!(
                    "(module {} {start})",
                    (0..101).map(|n| format!("(import \"e\" \"{n}\" (func))")).collect::<String>()
                ),
                "e::100",
            ),
            (format!("(module (memory 1 1 shared) {start})"), "not valid"),
        ] {
            let error = built(text.as_bytes()).err().expect(&text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(built(format!("(module {start})").as_bytes()).is_ok());
    }
}
