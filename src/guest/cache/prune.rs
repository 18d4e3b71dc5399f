//! Keeps the folder small: the entries used longest ago go first, and what writers left behind.
//!
//! Only files with names of ours are looked at. Another process may do the same at the same time; a file
//! that is gone already is as good as removed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, statat, unlinkat};

use super::folder::Folder;
use super::is_entry_name;

/// How the names of files begin that are being written.
pub const TEMPORARY: &str = "tmp-";

/// A temporary file of this age has no writer any more: writing one takes seconds.
const STALE: Duration = Duration::from_secs(3600);

struct Found {
    name: String,
    size_bytes: u64,
    modified: SystemTime,
}

/// Removes entries, the one used longest ago first, until all of them together have at most
/// `limit_bytes`; never the one named `keep`.
pub fn prune(folder: &Folder, keep: &str, limit_bytes: u64) {
    let mut entries = Vec::new();
    for found in list(folder) {
        if found.name.starts_with(TEMPORARY) {
            if found.modified.elapsed().is_ok_and(|age| age > STALE) {
                remove(folder, &found.name);
            }
        } else if is_entry_name(&found.name) {
            entries.push(found);
        }
    }
    entries.sort_by_key(|entry| entry.modified);
    let mut total: u64 = entries.iter().map(|entry| entry.size_bytes).sum();
    for entry in entries.iter().filter(|entry| entry.name != keep) {
        if total <= limit_bytes {
            return;
        }
        remove(folder, &entry.name);
        total -= entry.size_bytes;
    }
}

fn list(folder: &Folder) -> impl Iterator<Item = Found> + '_ {
    folder.names().filter_map(|name| {
        let stat = statat(&folder.fd, &name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let modified = UNIX_EPOCH + Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
        Some(Found { name, size_bytes: u64::try_from(stat.st_size).unwrap_or(0), modified })
    })
}

fn remove(folder: &Folder, name: &str) {
    // Most likely somebody was faster; if it really can't go, the next store tries again.
    let _ = unlinkat(&folder.fd, name, AtFlags::empty());
}
