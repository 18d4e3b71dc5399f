//! The cache's folder: where it is, and whether it may be used.
//!
//! Whoever can write to it has this process run his code. So it must belong to the user this process runs
//! as, and nobody else may write to it. That is looked at on the opened folder, and everything after that
//! goes through the same descriptor: what the path means later does not matter.

use std::ffi::OsString;
use std::fmt;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, Mode, OFlags, fstatfs, open};
use rustix::process::geteuid;

use crate::config::CachePlace;
use crate::event::Level;
use crate::guest::writable;

/// The folder's name where it shares a place with other programs' caches.
const NAME: &str = "fluent-bit-exec-wasi";

/// Why there is no cache; a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// What was tried and why it failed.
    pub why: String,
    /// A folder that nobody asked for may well be missing; anything else is worth a warning.
    pub level: Level,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// Where the cache is to be; `None` if it is off.
pub fn locate(
    place: &CachePlace,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<PathBuf>, Unusable> {
    match place {
        CachePlace::Off => Ok(None),
        CachePlace::Folder(path) => Ok(Some(path.clone())),
        CachePlace::Default => default_folder(env).map(Some).ok_or_else(|| Unusable {
            why: "none of CACHE_DIRECTORY, XDG_CACHE_HOME and HOME names a folder by a path that begins with /; option cache_dir would"
                .into(),
            level: Level::Info,
        }),
    }
}

fn default_folder(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    // systemd's CacheDirectory=; with several, they are joined by colons.
    let service = env("CACHE_DIRECTORY").and_then(|paths| std::env::split_paths(&paths).next());
    let user = || env("XDG_CACHE_HOME").map(PathBuf::from).and_then(absolute);
    let home = || env("HOME").map(PathBuf::from).and_then(absolute).map(|home| home.join(".cache"));
    Some(service.and_then(absolute).or_else(user).or_else(home)?.join(NAME))
}

/// A cache folder, opened and found safe.
#[derive(Debug)]
pub struct Folder {
    /// Its descriptor.
    pub fd: File,
    /// Its path, for log lines.
    pub path: PathBuf,
    /// Its owner, who is also the owner of each good entry.
    pub owner: u32,
    /// Entries may be mapped, not only read.
    pub mappable: bool,
}

impl Folder {
    /// Opens the folder; makes it if it isn't there.
    ///
    /// # Errors
    /// When that fails, or others could write to it. `asked_for`: an operator named it.
    pub fn open(path: &Path, asked_for: bool) -> Result<Self, Unusable> {
        let unusable = |level: Level, why: String| Unusable {
            why: format!("the cache folder \"{}\" {why}", path.display()),
            level,
        };
        let decided_by_a_guest = |directory: PathBuf| {
            unusable(
                Level::Warn,
                format!(
                    "lies in \"{}\", where a program may write: what is kept there is run outside the sandbox; option cache_dir can name another",
                    directory.display()
                ),
            )
        };
        // Before anything is made there.
        if let Some(directory) = writable::decides(path) {
            return Err(decided_by_a_guest(directory));
        }
        let missing = if asked_for { Level::Warn } else { Level::Info };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => unusable(missing, "is not a directory".into()),
            _ => unusable(missing, format!("can't be created: {error}")),
        })?;
        let fd = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| unusable(Level::Warn, format!("can't be opened: {error}")))?;
        let fd = File::from(fd);
        let metadata =
            fd.metadata().map_err(|error| unusable(Level::Warn, format!("can't be looked at: {error}")))?;
        let (user, owner, mode) = (geteuid().as_raw(), metadata.uid(), metadata.mode() & 0o7777);
        if owner != user {
            return Err(unusable(
                Level::Warn,
                format!("belongs to user {owner}, and must belong to {user}, whom Fluent Bit runs as"),
            ));
        }
        if mode & 0o022 != 0 {
            return Err(unusable(
                Level::Warn,
                format!("can be written to by others (mode {mode:04o}): chmod go-w makes it safe"),
            ));
        }
        if let Some(directory) = writable::around(&fd, path) {
            return Err(decided_by_a_guest(directory));
        }
        Ok(Self { mappable: is_local(&fd), fd, path: path.to_owned(), owner })
    }

    /// The names of all files in it.
    pub fn names(&self) -> impl Iterator<Item = String> + use<> {
        // A folder that can't be listed is one without entries: nothing is lost but time.
        let files = Dir::read_from(&self.fd).into_iter().flatten().flatten();
        files.filter_map(|file| file.file_name().to_str().ok().map(str::to_owned))
    }
}

/// Whether a file that another machine deletes stays what it is for us. On a network file system it
/// doesn't: the next access to a mapped page would be a fault that ends the process, so there entries are
/// copied. The same goes for every file system that isn't known here.
pub fn is_local(fd: &File) -> bool {
    // statfs(2): ext2 to ext4, xfs, btrfs, tmpfs, overlayfs, f2fs, zfs, bcachefs.
    const LOCAL: [u32; 8] =
        [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0xf2f5_2010, 0x2fc1_2fc1, 0xca45_1a4e];
    // The numbers have 32 bits; their type differs between machines.
    fstatfs(fd)
        .is_ok_and(|found| LOCAL.iter().any(|&kind| found.f_type as u64 & 0xffff_ffff == u64::from(kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(variables: &[(&str, &str)]) -> Result<Option<PathBuf>, Unusable> {
        locate(&CachePlace::Default, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_default_folder_is_the_services_then_the_users() {
        let all =
            [("CACHE_DIRECTORY", "/var/cache/a:/var/cache/b"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        for (given, expected) in [
            (&all[..], "/var/cache/a/fluent-bit-exec-wasi"),
            (&all[1..], "/x/fluent-bit-exec-wasi"),
            (&all[2..], "/h/.cache/fluent-bit-exec-wasi"),
            (
                &[("CACHE_DIRECTORY", ""), ("XDG_CACHE_HOME", "x"), ("HOME", "/h")],
                "/h/.cache/fluent-bit-exec-wasi",
            ),
        ] {
            assert_eq!(located(given).unwrap(), Some(PathBuf::from(expected)));
        }
        let error = located(&[("HOME", "relative")]).unwrap_err();
        assert!(error.why.contains("cache_dir"), "{error}");
        assert_eq!(error.level, Level::Info);
    }

    #[test]
    fn a_named_folder_is_taken_as_it_is_and_off_is_none() {
        let none = |_: &str| None;
        assert_eq!(locate(&CachePlace::Folder("/c".into()), none).unwrap(), Some("/c".into()));
        assert_eq!(locate(&CachePlace::Off, none).unwrap(), None);
    }
}
