//! Which directories guests of this process may write to, so that nothing is taken from there that a guest must not
//! decide.
//!
//! A guest that could write to the cache's folder could leave its sandbox: what lies there is run. The same goes for
//! a precompiled program; and where a directory that is granted lies inside one that may be written to, a guest could
//! put a link in its place that leads out. Inputs say what they grant when they are configured, before any guest of
//! this process runs; who takes something from a file asks first, on a thread that may look at files.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::config::Config;

static GRANTED: Mutex<Vec<Weak<Vec<PathBuf>>>> = Mutex::new(Vec::new());

/// What one input lets its guest write to, known to all for as long as this is there: also when the guest has ended,
/// since what it has left is there.
#[derive(Clone, Debug)]
pub struct Writable(#[allow(dead_code, reason = "others have it by a weak handle")] Arc<Vec<PathBuf>>);

impl Writable {
    /// As the options say; nothing is looked at yet.
    pub fn declare(config: &Config) -> Self {
        let preopens = config.preopens.iter().filter(|preopen| preopen.writable);
        let preopens = preopens.map(|preopen| &preopen.host).chain(&config.state_dir);
        let directories = Arc::new(preopens.cloned().collect::<Vec<_>>());
        if !directories.is_empty() {
            // Only pushes and removals happen under the lock.
            let mut granted = GRANTED.lock().unwrap_or_else(PoisonError::into_inner);
            granted.retain(|directories| directories.strong_count() > 0);
            granted.push(Arc::downgrade(&directories));
        }
        Self(directories)
    }
}

/// A directory that some guest may write to and that `folder` lies in, or is, if there is one.
pub fn around(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let (_, as_granted) = granted().into_iter().find(|(directory, _)| folder.starts_with(directory))?;
    Some(as_granted)
}

/// A directory that some guest may write to and that decides what `path` is: one in which `path`, or a link on the way
/// to it, is looked up.
pub fn decides(path: &Path) -> Option<PathBuf> {
    decides_among(&granted(), path)
}

fn decides_among(granted: &[(PathBuf, PathBuf)], path: &Path) -> Option<PathBuf> {
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
        if let Some((_, as_granted)) = granted.iter().find(|(directory, _)| at.starts_with(directory)) {
            return Some(as_granted.clone());
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

/// What all guests of the process may write to: where it is, and as an option says it.
fn granted() -> Vec<(PathBuf, PathBuf)> {
    let granted: Vec<_> = {
        let granted = GRANTED.lock().unwrap_or_else(PoisonError::into_inner);
        granted.iter().filter_map(Weak::upgrade).collect()
    };
    let directories = granted.iter().flat_map(|directories| directories.iter());
    directories.filter_map(|path| Some((path.canonicalize().ok()?, path.clone()))).collect()
}

/// Whether what the options grant and read is for the operator alone to decide.
///
/// # Errors
/// What lies in a directory that a guest may write to.
pub fn check_grants(config: &Config) -> Result<(), String> {
    let preopens = config.preopens.iter().map(|preopen| ("accessible_paths", &preopen.host));
    let state_dir = config.state_dir.iter().map(|path| ("state_dir", path));
    let env_file = config.env_file.iter().map(|path| ("env_file", path));
    let mut paths = preopens.chain(state_dir).chain(env_file).peekable();
    // Each run asks, and where all of them are takes system calls: not for a guest that is granted nothing, and once.
    let granted = if paths.peek().is_some() { granted() } else { Vec::new() };
    for (option, path) in paths {
        if let Some(around) = decides_among(&granted, path) {
            return Err(format!(
                "{option} \"{}\" lies in \"{}\", which a guest may write to: it could put a link in its place that leads anywhere; grant one of the two only, or move one",
                path.display(),
                around.display()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

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
        let writable = Arc::new(vec![open.clone()]);
        GRANTED.lock().unwrap().push(Arc::downgrade(&writable));

        for inside in [
            "open/inner",
            "open/inner/deep",
            "open/missing",
            "own/link",
            "own/../alias/inner",
            "open/out/etc",
        ] {
            assert_eq!(decides(&root.join(inside)), Some(open.clone()), "{inside}");
        }
        for outside in ["open", "alias", "own", "own/missing/open", "open/..", "own/loop"] {
            assert_eq!(decides(&root.join(outside)), None, "{outside}");
        }
        assert_eq!(around(&open), Some(open.clone()));
        drop(writable);
        assert_eq!(decides(&root.join("open/inner")), None);
        fs::remove_dir_all(&root).unwrap();
    }
}
