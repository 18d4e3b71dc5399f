//! Which directories guests of this process may write to, so that no native code is taken from there.
//!
//! A guest that could write to the cache's folder could leave its sandbox: what lies there is run. Inputs say
//! what they grant when they are configured, before any guest of this process runs; the cache asks when it
//! opens its folder, on a thread that may look at files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::config::Config;

static GRANTED: Mutex<Vec<Weak<Vec<PathBuf>>>> = Mutex::new(Vec::new());

/// What one input lets its guest write to, known to all for as long as this is there.
#[derive(Debug)]
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

/// A directory that some guest may write to and that `folder` lies in, if there is one.
pub fn around(folder: &Path) -> Option<PathBuf> {
    let granted: Vec<_> = {
        let granted = GRANTED.lock().unwrap_or_else(PoisonError::into_inner);
        granted.iter().filter_map(Weak::upgrade).collect()
    };
    let folder = folder.canonicalize().ok()?;
    let holds = |directory: &&PathBuf| directory.canonicalize().is_ok_and(|path| folder.starts_with(path));
    granted.iter().flat_map(|directories| directories.iter()).find(holds).cloned()
}
