//! One input's program: the file, what it holds, and noticing when that changes.
//!
//! A file is looked at before every run, by its metadata only; it is read again when those have changed,
//! and loaded again when its content has. Loaded programs are shared by content: two inputs with the same
//! program, even from different files, load it once for the engine that they share. Loading takes from milliseconds to half a minute, so
//! it happens on a thread of its own, which ends with it.

use std::collections::HashMap;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::timeout;
use wasmtime::InstancePre;

use super::cache::{Digest, InputCache};
use super::component::{Command, RUN_OF_P3, is_concurrent};
use super::engine::{Berth, GuestEngine};
use super::load::{Failure, Load, is_large, recognise};
use super::native::Trust;
use super::outcome::causes;
use super::sandbox::State;
use crate::config::Config;
use crate::event::Event;
use crate::pipe::Pipe;

/// Read at a time: a program may have tens of megabytes, and with a cache only its digest is needed.
const CHUNK_BYTES: usize = 64 * 1024;

/// Longer than most programs take to load, so an operator may wonder.
const LONG_LOAD: Duration = Duration::from_secs(15);

/// Far more than any program has; a file beyond it is a mistake.
const MAX_PROGRAM_BYTES: u64 = 500_000_000;

/// Something that can be run.
pub struct Program {
    /// What it was compiled for.
    pub engine: Arc<GuestEngine>,
    pub form: Form,
}

/// What a program is.
pub enum Form {
    /// A core module of WASI 0.1.
    Module(InstancePre<State>),
    /// A component of WASI 0.2 or 0.3.
    Component(Command),
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

/// What a program's file held when it was read.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    stamp: Stamp,
    /// Of the whole content.
    pub digest: Digest,
    /// As many bytes as were read.
    pub size_bytes: usize,
    /// The first bytes; zero where the file has fewer.
    head: [u8; 8],
    /// See [`is_concurrent`].
    concurrent: bool,
}

impl Scan {
    /// Whether the file claims to be native code of wasmtime's: an ELF image of its own kind
    /// (`ELFOSABI_WASMTIME`).
    pub fn is_precompiled(&self) -> bool {
        is_precompiled(&self.head)
    }
}

/// As [`Scan::is_precompiled`], by the first bytes.
pub fn is_precompiled(content: &[u8]) -> bool {
    content.starts_with(b"\x7fELF") && content.get(7) == Some(&200)
}

type Loaded = Result<Arc<Program>, Failure>;

/// A program that is, or is being, loaded: at most once at a time, on a thread that whoever needs it first
/// has started. The thread holds the slot, so when an input is gone and comes back, as at a hot reload, it
/// waits for the load that is going on and starts no second one beside it.
#[derive(Default)]
struct Slot(Mutex<Option<watch::Receiver<Option<Loaded>>>>);

impl Slot {
    /// What is, or will be, in it; and whether somebody else is about to put it there. `start` starts
    /// loading.
    fn join(
        self: &Arc<Self>,
        start: impl FnOnce(Arc<Self>, watch::Sender<Option<Loaded>>) -> io::Result<()>,
    ) -> io::Result<(watch::Receiver<Option<Loaded>>, bool)> {
        // A thread is started under the lock, and nothing waited for.
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = &*slot {
            return Ok((loaded.clone(), loaded.borrow().is_none()));
        }
        let (done, loaded) = watch::channel(None);
        start(Arc::clone(self), done)?;
        *slot = Some(loaded.clone());
        Ok((loaded, false))
    }

    /// What was to come through `done` is not to be had: the next one who needs it is to try again.
    fn clear(&self, done: &watch::Sender<Option<Loaded>>) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It may be another load's by now.
        slot.take_if(|loaded| loaded.same_channel(&done.subscribe()));
    }

    /// Whether anybody waits for it. If not, whoever comes next is to try again.
    fn is_wanted(&self, done: &watch::Sender<Option<Loaded>>) -> bool {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One receiver is the slot's own.
        let wanted = done.receiver_count() > 1;
        if !wanted {
            *slot = None;
        }
        wanted
    }
}

/// Content, engine, and whether native code is trusted.
type Key = (Digest, usize, bool);

static PROGRAMS: Mutex<Option<HashMap<Key, Weak<Slot>>>> = Mutex::new(None);

/// The program of one input, kept up to date with its file.
pub struct ProgramFile {
    path: PathBuf,
    trust: Option<Trust>,
    cache: Arc<InputCache>,
    /// The file as it was last looked at; `None` if it wasn't there.
    seen: Option<Stamp>,
    /// The file as it was last read, what it held, and the engine for that.
    last: Option<(Scan, Berth, Arc<Slot>)>,
}

impl ProgramFile {
    /// The program that an input's options name; nothing is opened yet.
    pub fn new(config: &Config) -> Self {
        Self {
            path: config.program.clone(),
            trust: Trust::of_option(config.precompiled),
            cache: Arc::new(InputCache::new(config.cache.clone())),
            seen: None,
            last: None,
        }
    }

    /// The program as the file holds it now. Waits while it is loaded.
    ///
    /// # Errors
    /// When the file can't be read, or holds no program that can run here.
    pub async fn current(&mut self, engine: &Berth, pipe: &Arc<Pipe>) -> Result<Arc<Program>, LoadError> {
        let (scan, engine, slot) = match self.refresh(engine) {
            Ok(found) => found,
            Err(error) => return Err(self.error(&error.to_string())),
        };
        let load = Load {
            engine: Arc::clone(&engine),
            path: self.path.clone(),
            scan,
            trust: self.trust,
            cache: Arc::clone(&self.cache),
            pipe: Arc::clone(pipe),
        };
        let joined = slot.join(|slot, done| load_on_a_thread(load, slot, done));
        let loaded = match joined {
            Ok((mut loaded, is_under_way)) => {
                if is_under_way && is_large(scan.size_bytes) {
                    pipe.post(Event::BeingLoaded { program: self.path.display().to_string() });
                }
                if timeout(LONG_LOAD, loaded.wait_for(Option::is_some)).await.is_err() {
                    pipe.post(Event::StillLoading {
                        program: self.path.display().to_string(),
                        after: LONG_LOAD,
                    });
                }
                let done = loaded.wait_for(Option::is_some).await.map(|loaded| loaded.clone());
                done.ok().flatten().unwrap_or_else(|| Err(Failure::NoProgram("the compiler panicked".into())))
            }
            Err(error) => Err(Failure::Passing(format!("no thread to load it: {error}"))),
        };
        loaded.map_err(|failure| {
            if let Failure::Passing(_) = failure {
                // Nothing was learned about this content, so the file is read again the next time.
                self.last = None;
            }
            self.error(&failure.to_string())
        })
    }

    /// What the file holds now, the engine for that, and its slot.
    fn refresh(&mut self, engine: &Berth) -> io::Result<(Scan, Berth, Arc<Slot>)> {
        let stamp = self.look();
        self.seen = stamp.as_ref().ok().copied();
        let stamp = stamp?;
        if let Some(last) = &self.last
            && last.0.stamp == stamp
        {
            return Ok(last.clone());
        }
        let scan = scan(&self.path)?;
        let engine = if !scan.concurrent {
            engine.clone()
        } else if let Some((last, engine, _)) = &self.last
            && last.concurrent
        {
            engine.clone()
        } else {
            engine.concurrent().map_err(|error| io::Error::other(causes(&error)))?
        };
        let slot = slot_for(&scan.digest, &engine, self.trust.is_some());
        Ok(self.last.insert((scan, engine, slot)).clone())
    }

    /// Whether the file is another than when [`current`](Self::current) last looked at it.
    pub fn has_changed(&self) -> bool {
        self.look().ok() != self.seen
    }

    fn look(&self) -> io::Result<Stamp> {
        Ok(Stamp::of(&std::fs::metadata(&self.path)?))
    }

    fn error(&self, reason: &str) -> LoadError {
        LoadError(format!("can't run wasi_path \"{}\": {reason}", self.path.display()))
    }
}

/// Loads without blocking the caller. When nobody waits any more, since the input has stopped meanwhile,
/// the thread ends by itself, and what it compiled is in the cache.
fn load_on_a_thread(load: Load, slot: Arc<Slot>, done: watch::Sender<Option<Loaded>>) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("exec_wasi-load".into());
    let thread = thread.spawn(move || {
        let loaded = load.program(|| slot.is_wanted(&done)).map(Arc::new);
        if let Err(Failure::Passing(_)) = loaded {
            slot.clear(&done);
        }
        // Fails when nobody waits.
        let _ = done.send(Some(loaded));
    });
    thread.map(drop)
}

/// Reads a whole file for its digest, and its stamp from before. A write that comes during the read
/// changes the stamp, so the next look sees it.
fn scan(path: &Path) -> io::Result<Scan> {
    let (mut file, metadata) = open(path)?;
    let mut digest = Sha256::new();
    // Before what is read, the end of what was read before: a name may lie across.
    let mut chunk = vec![0; RUN_OF_P3.len() + CHUNK_BYTES];
    let (mut size_bytes, mut head, mut concurrent) = (0, Vec::new(), false);
    loop {
        let len = match file.read(&mut chunk[RUN_OF_P3.len()..]) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = &chunk[RUN_OF_P3.len()..][..len];
        // The rest of something else, a log or a disk image, is of no use.
        if size_bytes == 0 && !is_precompiled(read) {
            recognise(read).map_err(io::Error::other)?;
        }
        digest.update(read);
        size_bytes += read.len();
        head.extend(read.iter().take(8_usize.saturating_sub(head.len())));
        concurrent = concurrent || is_concurrent(&chunk[..RUN_OF_P3.len() + len]);
        chunk.copy_within(len..len + RUN_OF_P3.len(), 0);
    }
    head.resize(8, 0);
    let head = head.try_into().expect("eight bytes");
    Ok(Scan { stamp: Stamp::of(&metadata), digest: digest.finalize().into(), size_bytes, head, concurrent })
}

/// The whole content of the file at `path`, if it is one.
///
/// # Errors
/// When it isn't a regular file, or can't be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let (file, _) = open(path)?;
    let mut content = Vec::new();
    // It may be growing; a part of it is no program.
    file.take(MAX_PROGRAM_BYTES).read_to_end(&mut content)?;
    Ok(content)
}

fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // Without NONBLOCK, opening a named pipe would wait for a writer.
    let file: File = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        return Err(io::Error::other(format!("it is {what}")));
    }
    if metadata.len() > MAX_PROGRAM_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_PROGRAM_BYTES} bytes")));
    }
    Ok((file, metadata))
}

/// What tells this content from any other.
pub fn digest(content: &[u8]) -> Digest {
    Sha256::digest(content).into()
}

fn slot_for(digest: &Digest, engine: &GuestEngine, trusted: bool) -> Arc<Slot> {
    let key: Key = (*digest, std::ptr::from_ref(engine).addr(), trusted);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::engine::Traits;

    #[test]
    fn the_same_content_is_the_same_program_to_those_who_trust_it_alike() {
        let engine = GuestEngine::berth(Traits::default()).unwrap();
        let [a, b] = [digest(b"a"), digest(b"b")];
        let (one, two) = (slot_for(&a, &engine, false), slot_for(&a, &engine, false));
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &slot_for(&b, &engine, false)));
        assert!(!Arc::ptr_eq(&one, &slot_for(&a, &engine, true)));
    }

    #[test]
    fn a_scan_sees_all_of_a_file_and_what_it_claims_to_be() {
        let path = std::env::temp_dir().join(format!("exec-wasi-scan-{}", std::process::id()));
        let native = [b"\x7fELF\x02\x01\x01\xc8".as_slice(), &[7; 3 * CHUNK_BYTES]].concat();
        let text = [b"(module)".as_slice(), &[b' '; 3 * CHUNK_BYTES]].concat();
        for (content, precompiled) in [(&native[..], true), (&text, false), (b"", false)] {
            std::fs::write(&path, content).unwrap();
            let scan = scan(&path).unwrap();
            assert_eq!(scan.digest, digest(content));
            assert_eq!((scan.size_bytes, scan.is_precompiled()), (content.len(), precompiled));
            assert!(!scan.concurrent);
        }
        for at in [8, CHUNK_BYTES - 5, CHUNK_BYTES, 2 * CHUNK_BYTES - RUN_OF_P3.len()] {
            let mut content = text.clone();
            content[at..at + RUN_OF_P3.len()].copy_from_slice(RUN_OF_P3.as_bytes());
            std::fs::write(&path, content).unwrap();
            assert!(scan(&path).unwrap().concurrent, "{at}");
        }
        for content in [&native[..7], &native[1..], b"\0asm"] {
            std::fs::write(&path, content).unwrap();
            assert!(scan(&path).is_err());
        }
        std::fs::remove_file(&path).unwrap();
    }
}
