//! The option `state_dir`: a directory of the input's own, so that a program can keep a cursor from run to
//! run. The guest sees it as `/state`.

use std::fs::{DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// The directory, held so that no other input can use it.
#[derive(Debug)]
pub struct StateDir {
    /// The lock ends when it is closed.
    held: File,
}

impl StateDir {
    /// Makes the directory if it isn't there, for its owner only, and holds it.
    ///
    /// # Errors
    /// When it can't be made or opened, or another input, of this process or any other, holds it.
    pub fn hold(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let failed = |error: io::Error| format!("state_dir \"{shown}\" can't be used: {error}");
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("state_dir \"{shown}\" can't be used: it is not a directory")
            }
            _ => failed(error),
        })?;
        let held = File::open(path).map_err(failed)?;
        match flock(&held, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { held }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(format!("state_dir \"{shown}\" is used by another input; give each its own"))
            }
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Whether it is still what is found at `path`, and not removed or replaced.
    pub fn is_at(&self, path: &Path) -> bool {
        let same = |one: &Metadata, other: &Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
        let held = self.held.metadata();
        held.is_ok_and(|held| std::fs::metadata(path).is_ok_and(|found| same(&held, &found)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_for_one_input_at_a_time() {
        let parent = std::env::temp_dir().join(format!("exec-wasi-state-{}", std::process::id()));
        let path = parent.join("input");
        let held = StateDir::hold(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert!(StateDir::hold(&path).unwrap_err().contains("used by another input"));
        assert!(held.is_at(&path));
        std::fs::remove_dir(&path).unwrap();
        assert!(!held.is_at(&path));
        let again = StateDir::hold(&path).unwrap();
        assert!(again.is_at(&path) && !held.is_at(&path));
        drop((held, again));
        assert!(StateDir::hold(&path).is_ok());
        std::fs::remove_dir_all(&parent).unwrap();
        std::fs::write(&parent, "").unwrap();
        assert!(StateDir::hold(&path).unwrap_err().contains("can't be used"));
        std::fs::remove_file(&parent).unwrap();
    }
}
