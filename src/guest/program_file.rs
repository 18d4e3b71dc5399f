//! One input's program: the file, what it holds, and noticing when that changes.
//!
//! A file is looked at before every run, by its metadata only; it is read again when those have changed,
//! and loaded again when its content has. Loaded programs are shared by content: two inputs with the same
//! program, even from different files, load it once for the engine that they share. Loading takes from milliseconds to half a minute, so
//! it happens on a thread of its own, which ends with it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::cache::{Digest, InputCache};
use super::engine::{Berth, GuestEngine};
use super::load::{Load, is_large};
use super::native::Trust;
use super::outcome::causes;
use super::program::{Failure, Program};
use super::scan::{Scan, SharedScan, Stamp, look};
use super::threads;
use super::ticker::Computing;
use super::writable;
use crate::config::{CachePlace, Config};
use crate::event::Event;
use crate::panics;
use crate::pipe::Pipe;

/// Longer than most programs take to load, so an operator may wonder.
const LONG_LOAD: Duration = Duration::from_secs(15);

/// Why a file is no program; a clause that begins with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError(String);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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

/// Content, engine, whether native code is trusted, and where compiled code is kept.
type Key = (Digest, usize, bool, CachePlace);

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
    /// The same, for others that have this file.
    shared: Option<Arc<SharedScan>>,
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
            shared: None,
        }
    }

    /// The program as the file holds it now. Waits while it is loaded; a `call` that was under way ends then.
    ///
    /// # Errors
    /// When the file can't be read, or holds no program that can run here.
    pub async fn current(
        &mut self,
        engine: &Berth,
        pipe: &Arc<Pipe>,
        call: &mut Option<Computing>,
    ) -> Result<Arc<Program>, LoadError> {
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
                if loaded.borrow().is_none() {
                    *call = None;
                }
                if timeout(LONG_LOAD, loaded.wait_for(Option::is_some)).await.is_err() {
                    pipe.post(Event::StillLoading {
                        program: self.path.display().to_string(),
                        after: LONG_LOAD,
                    });
                }
                let done = loaded.wait_for(Option::is_some).await.map(|loaded| loaded.clone());
                done.ok()
                    .flatten()
                    .unwrap_or_else(|| Err(Failure::Passing("nobody loads it any more".into())))
            }
            Err(error) => Err(Failure::Passing(format!("no thread to load it: {error}"))),
        };
        loaded.map_err(|failure| {
            if let Failure::Passing(_) = failure {
                // Nothing was learned about this content, so the file is read again the next time.
                self.last = None;
                self.shared.take().into_iter().for_each(|shared| shared.forget());
            }
            self.error(&failure.to_string())
        })
    }

    /// What the file holds now, the engine for that, and its slot.
    fn refresh(&mut self, engine: &Berth) -> io::Result<(Scan, Berth, Arc<Slot>)> {
        let stamp = look(&self.path);
        self.seen = stamp.as_ref().ok().copied();
        let stamp = stamp?;
        if let Some(last) = &self.last
            && last.0.stamp == stamp
        {
            return Ok(last.clone());
        }
        let shared = self.shared.insert(SharedScan::of(stamp));
        let scan = shared.get(&self.path, stamp)?;
        if scan.is_precompiled()
            && let Some(directory) = writable::decides(&self.path)
        {
            // Before it is shared with others: the same content elsewhere may be run.
            return Err(io::Error::other(format!(
                "it is a precompiled program in \"{}\", where a program may write: what is run outside the sandbox must not lie there",
                directory.display()
            )));
        }
        let engine = if !scan.concurrent {
            engine.clone()
        } else if let Some((last, engine, _)) = &self.last
            && last.concurrent
        {
            engine.clone()
        } else {
            engine.concurrent().map_err(|error| io::Error::other(causes(&error)))?
        };
        let slot = slot_for(&scan.digest, &engine, self.trust.is_some(), self.cache.place());
        Ok(self.last.insert((scan, engine, slot)).clone())
    }

    /// Whether the file is another than when [`current`](Self::current) last looked at it.
    pub fn has_changed(&self) -> bool {
        look(&self.path).ok() != self.seen
    }

    fn error(&self, reason: &str) -> LoadError {
        // A host that has gone into the background has also gone to another directory.
        let path = std::path::absolute(&self.path);
        let path = path.as_ref().unwrap_or(&self.path);
        LoadError(format!("can't run wasi_path \"{}\": {reason}", path.display()))
    }
}

/// Loads without blocking the caller. When nobody waits any more, since the input has stopped meanwhile,
/// the thread ends by itself, and what it compiled is in the cache.
fn load_on_a_thread(load: Load, slot: Arc<Slot>, done: watch::Sender<Option<Loaded>>) -> io::Result<()> {
    let thread = threads::start("exec_wasi-load", move || {
        let loaded = panics::caught(|| load.program(|| slot.is_wanted(&done)).map(Arc::new));
        // It would do so each time.
        let loaded = loaded.unwrap_or_else(|what| {
            Err(Failure::NoProgram(format!(
                "a defect of this plugin; please report it: the compiler panicked: {what}"
            )))
        });
        if let Err(Failure::Passing(_)) = loaded {
            slot.clear(&done);
        }
        // Fails when nobody waits.
        let _ = done.send(Some(loaded));
    });
    thread.map(drop)
}

fn slot_for(digest: &Digest, engine: &GuestEngine, trusted: bool, cache: &CachePlace) -> Arc<Slot> {
    let key: Key = (*digest, std::ptr::from_ref(engine).addr(), trusted, cache.clone());
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
    use crate::guest::scan::digest;

    #[test]
    fn the_same_content_is_the_same_program_to_those_who_trust_it_alike() {
        let engine = GuestEngine::berth(Traits::default()).unwrap();
        let [a, b] = [digest(b"a"), digest(b"b")];
        let of = |digest, trusted, cache: &CachePlace| slot_for(digest, &engine, trusted, cache);
        let default = CachePlace::Default;
        let (one, two) = (of(&a, false, &default), of(&a, false, &default));
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &of(&b, false, &default)));
        assert!(!Arc::ptr_eq(&one, &of(&a, true, &default)));
        assert!(!Arc::ptr_eq(&one, &of(&a, false, &CachePlace::Off)));
    }
}
