//! Which directories guests of this process may write to, so that nothing is taken from there that a guest must not
//! decide.
//!
//! A guest that could write to the cache's folder could leave its sandbox: what lies there is run. The same goes for
//! a precompiled program; and where a directory that is granted lies inside one that may be written to, a guest could
//! put a link in its place that leads out. Inputs say what they grant when they are configured, before any guest of
//! this process runs; who takes something from a file asks first, on a thread that may look at files.
//!
//! Where a directory is, its own input looks up before each of its runs. Others take that, so that of a hundred inputs
//! each run costs its own look only, and a directory on a server that is gone holds up nobody but those who use it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use super::threads;
use crate::config::Config;

static GRANTED: Mutex<Vec<Weak<Vec<Directory>>>> = Mutex::new(Vec::new());

/// How long another input's directory is looked for before its own input has been there; and how long one that wasn't
/// there is not looked for again.
const LOOK: Duration = Duration::from_secs(1);

/// What one input lets its guest write to, known to all for as long as this is there: also when the guest has ended,
/// since what it has left is there.
#[derive(Clone, Debug)]
pub struct Writable(Arc<Vec<Directory>>);

#[derive(Clone, Debug)]
struct Directory {
    as_granted: PathBuf,
    place: Arc<Mutex<Place>>,
}

/// Where a directory is, when it was last looked up. Who could change that between two runs is no guest.
#[derive(Clone, Debug, Default)]
struct Place {
    /// Without links.
    found: Option<PathBuf>,
    /// When another input looked and there was none.
    missed: Option<Instant>,
}

impl Directory {
    fn new(path: &Path) -> Self {
        Self { as_granted: path.to_owned(), place: Arc::default() }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        // Held for one assignment or copy.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) {
        if let Ok(found) = self.as_granted.canonicalize() {
            self.place().found = Some(found);
        }
    }

    /// Where it is, if it is anywhere.
    fn known_place(&self) -> Option<PathBuf> {
        let known = self.place().clone();
        if known.found.is_some() || known.missed.is_some_and(|missed| missed.elapsed() < LOOK) {
            return known.found;
        }
        let (directory, (done, looked)) = (self.clone(), mpsc::channel());
        let look = move || {
            directory.look();
            let _ = done.send(());
        };
        let thread = threads::start("exec_wasi-look", look);
        let answers = thread.is_ok() && looked.recv_timeout(LOOK) != Err(mpsc::RecvTimeoutError::Timeout);
        let mut place = self.place();
        if place.found.is_none() {
            if answers {
                place.missed = Some(Instant::now());
            } else {
                // By its name, until somebody knows better; so nobody else waits for it.
                place.found = std::path::absolute(&self.as_granted).ok();
            }
        }
        place.found.clone()
    }
}

impl Writable {
    /// As the options say; nothing is looked at yet.
    pub fn declare(config: &Config) -> Self {
        let preopens = config.preopens.iter().filter(|preopen| preopen.writable);
        let preopens = preopens.map(|preopen| &preopen.host).chain(&config.state_dir);
        let directories = Arc::new(preopens.map(|path| Directory::new(path)).collect::<Vec<_>>());
        if !directories.is_empty() {
            // Only pushes and removals happen under the lock.
            let mut granted = GRANTED.lock().unwrap_or_else(PoisonError::into_inner);
            granted.retain(|directories| directories.strong_count() > 0);
            granted.push(Arc::downgrade(&directories));
        }
        Self(directories)
    }

    /// Looks up where these directories are. Takes for ever where the system does.
    pub fn look(&self) {
        self.0.iter().for_each(Directory::look);
    }
}

/// A directory that some guest may write to and that an opened folder lies in, or is, if there is one. `path` is how it
/// was opened, which may mean another by now.
pub fn around(folder: &impl AsRawFd, path: &Path) -> Option<PathBuf> {
    let granted = granted();
    if granted.is_empty() {
        return None;
    }
    let opened = fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    let Ok(place) = opened.or_else(|_| path.canonicalize()) else {
        // Nobody can say where it is.
        return Some(path.to_owned());
    };
    granted.into_iter().find(|grant| place.starts_with(&grant.place)).map(|grant| grant.as_granted)
}

/// A directory that some guest may write to and that decides what `path` is: one in which `path`, or a link on the way
/// to it, is looked up.
pub fn decides(path: &Path) -> Option<PathBuf> {
    decides_among(&granted(), path)
}

fn decides_among(granted: &[Grant], path: &Path) -> Option<PathBuf> {
    if granted.is_empty() {
        return None;
    }
    let mut left: VecDeque<OsString> = parts(&std::path::absolute(path).ok()?);
    let mut at = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        if let Some(around) = granted.iter().find(|grant| at.starts_with(&grant.place)) {
            return Some(around.as_granted.clone());
        }
        at.push(part);
        if let Ok(target) = at.read_link() {
            links += 1;
            if links > MOST_LINKS {
                // It can't be opened either.
                return None;
            }
            at.pop();
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            let mut way = parts(&target);
            way.append(&mut left);
            left = way;
        }
    }
    None
}

/// As many links as Linux follows in a path.
const MOST_LINKS: usize = 40;

fn parts(path: &Path) -> VecDeque<OsString> {
    let named = |part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().filter_map(named).collect()
}

/// A directory that a guest may write to.
struct Grant {
    /// Without links.
    place: PathBuf,
    /// As an option says it.
    as_granted: PathBuf,
    by: Writable,
}

/// What the guests of this process may write to.
fn granted() -> Vec<Grant> {
    let declared: Vec<_> = {
        let granted = GRANTED.lock().unwrap_or_else(PoisonError::into_inner);
        granted.iter().filter_map(Weak::upgrade).map(Writable).collect()
    };
    let grants = |by: Writable| {
        let directories = Arc::clone(&by.0);
        let grant = |known: &Directory| {
            Some(Grant { place: known.known_place()?, as_granted: known.as_granted.clone(), by: by.clone() })
        };
        directories.iter().filter_map(grant).collect::<Vec<_>>()
    };
    declared.into_iter().flat_map(grants).collect()
}

/// Whether what the options grant and read is for the operator alone to decide. `own` is what this input lets its guest
/// write to.
///
/// # Errors
/// What lies in a directory that a guest may write to.
pub fn check_grants(config: &Config, own: &Writable) -> Result<(), String> {
    let mut granted = granted();
    let preopens = config.preopens.iter().map(|preopen| ("accessible_paths", &preopen.host));
    let state_dir = config.state_dir.iter().map(|path| ("state_dir", path));
    let env_file = config.env_file.iter().map(|path| ("env_file", path));
    for (option, path) in preopens.chain(state_dir).chain(env_file) {
        if let Some(around) = decides_among(&granted, path) {
            return Err(format!(
                "{option} \"{}\" lies in \"{}\", which a guest may write to: it could put a link in its place that leads anywhere; make that grant :ro, grant one of the two only, or move one",
                path.display(),
                around.display()
            ));
        }
    }
    // A guest that exchanges its own program has what it had before.
    granted.retain(|grant| !Arc::ptr_eq(&grant.by.0, &own.0));
    if let Some(around) = decides_among(&granted, &config.program) {
        return Err(format!(
            "wasi_path \"{}\" lies in \"{}\", which another input's guest may write to: it could put a program of its own there, which would have what this one is granted; make that grant :ro, or move one of them",
            config.program.display(),
            around.display()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::config::{Given, Properties};

    struct Program(PathBuf);

    impl Properties for Program {
        fn values(&self, name: &str) -> Given {
            let is_set = name == "wasi_path";
            let path = is_set.then(|| self.0.as_os_str().as_encoded_bytes().to_vec());
            path.into_iter().collect::<Vec<_>>().into()
        }
    }

    #[test]
    fn a_path_is_decided_where_its_names_and_links_are_looked_up() {
        let root = std::env::temp_dir().join(format!("exec-wasi-writable-{}", std::process::id()));
        fs::create_dir_all(root.join("open/inner/deep")).unwrap();
        fs::create_dir_all(root.join("own")).unwrap();
        symlink("../open/inner", root.join("own/link")).unwrap();
        symlink("open", root.join("alias")).unwrap();
        symlink("/", root.join("open/out")).unwrap();
        symlink("loop", root.join("own/loop")).unwrap();
        let open = root.join("open");
        let writable = Arc::new(vec![Directory::new(&root.join("alias"))]);
        GRANTED.lock().unwrap().push(Arc::downgrade(&writable));
        let granted = Some(root.join("alias"));

        for inside in [
            "open/inner",
            "open/inner/deep",
            "open/missing",
            "own/link",
            "own/../alias/inner",
            "open/out/etc",
        ] {
            assert_eq!(decides(&root.join(inside)), granted, "{inside}");
        }
        for outside in ["open", "alias", "own", "own/missing/open", "open/..", "own/loop"] {
            assert_eq!(decides(&root.join(outside)), None, "{outside}");
        }
        assert_eq!(around(&fs::File::open(&open).unwrap(), Path::new("/elsewhere")), granted);
        let config = |program: &str| Config::from_properties(&Program(root.join(program))).unwrap();
        assert!(check_grants(&config("open/a.wasm"), &Writable(Arc::default())).is_err());
        assert_eq!(check_grants(&config("open/a.wasm"), &Writable(Arc::clone(&writable))), Ok(()));
        assert_eq!(check_grants(&config("own/a.wasm"), &Writable(Arc::default())), Ok(()));
        drop(writable);
        assert_eq!(decides(&root.join("open/inner")), None);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn where_a_directory_is_its_own_input_says() {
        let temporary = std::env::temp_dir().canonicalize().unwrap();
        let root = temporary.join(format!("exec-wasi-place-{}", std::process::id()));
        fs::create_dir_all(root.join("one/inner")).unwrap();
        fs::create_dir_all(root.join("two/inner")).unwrap();
        let link = |target: &str| {
            let _ = fs::remove_file(root.join("link"));
            symlink(target, root.join("link")).unwrap();
        };
        let missing = Directory::new(&root.join("link"));
        assert_eq!(missing.known_place(), None);
        let directory = Directory::new(&root.join("link"));
        link("one");
        // Where there was none, nobody looks again at once.
        assert_eq!(missing.known_place(), None);
        missing.place().missed = Instant::now().checked_sub(LOOK);
        assert_eq!(missing.known_place(), Some(root.join("one")));
        // Others look when it is not known yet, and then not again.
        assert_eq!(directory.known_place(), Some(root.join("one")));
        link("two");
        assert_eq!(directory.known_place(), Some(root.join("one")));
        Writable(Arc::new(vec![directory.clone()])).look();
        assert_eq!(directory.known_place(), Some(root.join("two")));
        fs::remove_dir_all(&root).unwrap();
    }
}
