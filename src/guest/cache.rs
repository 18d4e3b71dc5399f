//! Compiled programs, kept on disk across starts of the host.
//!
//! wasmtime has a cache of its own, and it isn't used: it keeps files compressed, so each start unpacks
//! tens of megabytes into private memory, and it has a thread that recompresses them. Here an entry is
//! just what wasmtime wrote, so it can be mapped: a program of 20 MB is ready in a fraction of a second,
//! only the pages it runs take memory, and the kernel may take them back.
//!
//! An entry's name is `<digest of the program>-<digest of everything else>.cwasm`, where everything else
//! is wasmtime's version, its settings, the processor and our version; so an entry never has to be
//! replaced by a different one. It is written under a temporary name and renamed when it is whole; two
//! writers of the same entry write the same. Nothing is flushed to the disk: what a power cut leaves
//! behind has the wrong checksum, is removed and compiled again.
//!
//! Everything here reads and writes files, so it is for the threads that load programs, never the host's.

use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;
use wasmtime::{Engine, Error};

use self::entry::Entry;
use self::folder::{Folder, Unusable};
use super::native::{self, Code};
use super::outcome::causes;
use crate::config::CachePlace;

pub mod entry;
mod folder;
#[cfg(feature = "compiler")]
mod prune;
#[cfg(feature = "compiler")]
mod store;

const SUFFIX: &str = ".cwasm";

/// What tells one program from another.
pub type Digest = [u8; 32];

/// The cache as one input uses it.
#[derive(Debug)]
pub struct InputCache {
    place: CachePlace,
    /// What was said last about it, so that it isn't said again.
    told: Mutex<Option<Unusable>>,
}

impl InputCache {
    /// The cache at this place; nothing is opened yet.
    pub fn new(place: CachePlace) -> Self {
        Self { place, told: Mutex::default() }
    }

    /// Where it is.
    pub fn place(&self) -> &CachePlace {
        &self.place
    }

    /// Opens the folder. `None` without a cache; `tell` is called if there should be one, and it isn't
    /// what was said before.
    pub fn open(&self, tell: impl FnOnce(Unusable)) -> Option<Cache> {
        let asked_for = matches!(self.place, CachePlace::Folder(_));
        let opened = folder::locate(&self.place, |name| std::env::var_os(name))
            .and_then(|path| path.map(|path| Folder::open(&path, asked_for)).transpose());
        let (cache, unusable) = match opened {
            Ok(folder) => (folder.map(|folder| Cache { folder }), None),
            Err(unusable) => (None, Some(unusable)),
        };
        // Held for this assignment only.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *told, unusable.clone());
        drop(told);
        if let Some(unusable) = unusable.filter(|unusable| before.as_ref() != Some(unusable)) {
            tell(unusable);
        }
        cache
    }
}

/// What a look into the cache came to.
pub enum Found {
    /// The program, ready to run.
    Program(Code),
    Nothing,
    /// There was an entry, and it has been removed; the clause says why.
    Damaged(String),
    /// There is, and this process may run no code that was written.
    Forbidden(Error),
}

/// An open cache.
#[derive(Debug)]
pub struct Cache {
    folder: Folder,
}

impl Cache {
    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.folder.path
    }

    /// Looks for the program with this digest, compiled for `engine`.
    pub fn find(&self, engine: &Engine, program: &Digest) -> Found {
        let mut found = Found::Nothing;
        for name in self.candidates(engine, program) {
            match self.load(engine, &name) {
                Found::Nothing => {}
                found @ (Found::Program(_) | Found::Forbidden(_)) => return found,
                damaged => found = damaged,
            }
        }
        found
    }

    #[cfg(feature = "compiler")]
    #[allow(clippy::unused_self, reason = "the build without a compiler has to look into the folder")]
    fn candidates(&self, engine: &Engine, program: &Digest) -> [String; 1] {
        [store::entry_name(program, engine)]
    }

    /// Only a compiler knows all it would have taken into account. Without one, each entry of this program
    /// is tried: wasmtime refuses what doesn't fit.
    #[cfg(not(feature = "compiler"))]
    fn candidates(&self, _engine: &Engine, program: &Digest) -> Vec<String> {
        let prefix = hex(program);
        self.folder.names().filter(|name| is_entry_name(name) && name.starts_with(&prefix)).collect()
    }

    fn load(&self, engine: &Engine, name: &str) -> Found {
        // NONBLOCK: nothing that isn't a file may make us wait.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match openat(&self.folder.fd, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::LOOP) => return self.damaged(name, "it is a symbolic link".into()),
            Err(error @ Errno::ACCESS) => return self.damaged(name, format!("it can't be opened: {error}")),
            // Mostly there is none. Whatever else it is, say too many open files, is no fault of the entry's.
            Err(_) => return Found::Nothing,
        };
        let entry = match Entry::check(file, self.folder.owner) {
            Ok(entry) => entry,
            Err(flaw) => return self.damaged(name, flaw.to_string()),
        };
        // Where code can't be mapped, say on a `noexec` file system, a copy still does.
        let mapped = self.folder.mappable.then(|| native::map(engine, &entry)).and_then(Result::ok);
        match mapped.map_or_else(|| native::copy(engine, &entry), Ok) {
            Ok(code) => {
                // For `prune`. On a read-only file system nothing is pruned either.
                let _ = entry.file().set_modified(SystemTime::now());
                Found::Program(code)
            }
            Err(error) if native::is_forbidden(&error) => Found::Forbidden(error),
            // Made by a compiler with other settings, and possibly good for that one.
            Err(_) if cfg!(not(feature = "compiler")) => Found::Nothing,
            // Nor does it fit when it is compiled again, which is the moment to say so.
            Err(error) if native::is_too_large(&error) => Found::Nothing,
            Err(error) => self.damaged(name, causes(&error)),
        }
    }

    fn damaged(&self, name: &str, why: String) -> Found {
        match unlinkat(&self.folder.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Found::Damaged(format!("{why}; it was removed")),
            Err(error) => Found::Damaged(format!("{why}; it can't be removed: {error}")),
        }
    }
}

fn is_entry_name(name: &str) -> bool {
    let parts = name.strip_suffix(SUFFIX).and_then(|stem| stem.split_once('-'));
    let is_hex = |part: &str, len| part.len() == len && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.is_some_and(|(program, settings)| is_hex(program, 64) && is_hex(settings, 32))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[cfg(feature = "compiler")]
mod tests;
