//! What a program's file holds, as far as its bytes tell without being loaded.
//!
//! A file that several inputs name is read once for all of them: a hundred that do so by themselves, at the start or
//! when it has changed, would keep every processor busy for seconds.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sha2::{Digest as _, Sha256};

use super::cache::Digest;
use super::component::{RUN_OF_P3, is_concurrent};

/// Read at a time: a program may have tens of megabytes, and with a cache only its digest is needed.
const CHUNK_BYTES: usize = 64 * 1024;

/// Far more than any program has; a file beyond it is a mistake.
const MAX_PROGRAM_BYTES: u64 = 500_000_000;

/// What tells, without reading it, that a file is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Of a file.
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
    pub stamp: Stamp,
    /// Of the whole content.
    pub digest: Digest,
    /// As many bytes as were read.
    pub size_bytes: usize,
    /// The first bytes; zero where the file has fewer.
    head: [u8; 8],
    /// See [`is_concurrent`].
    pub concurrent: bool,
}

impl Scan {
    /// Whether the file claims to be native code of wasmtime's: an ELF image of its own kind
    /// (`ELFOSABI_WASMTIME`).
    pub fn is_precompiled(&self) -> bool {
        is_precompiled(&self.head)
    }

    /// Whether it is a program's text, if it is a program at all.
    pub fn is_text(&self) -> bool {
        !self.head.starts_with(b"\0asm")
    }
}

/// As [`Scan::is_precompiled`], by the first bytes.
pub fn is_precompiled(content: &[u8]) -> bool {
    content.starts_with(b"\x7fELF") && content.get(7) == Some(&200)
}

/// Looks at a file without reading it.
///
/// # Errors
/// When it isn't there.
pub fn look(path: &Path) -> io::Result<Stamp> {
    Ok(Stamp::of(&std::fs::metadata(path)?))
}

/// What a file held when it was read, for all who have it; one reads, and others wait for it.
#[derive(Debug, Default)]
pub struct SharedScan(Mutex<Option<Scan>>);

static SCANS: Mutex<Vec<(Stamp, Weak<SharedScan>)>> = Mutex::new(Vec::new());

impl SharedScan {
    /// That of the file with this stamp.
    pub fn of(stamp: Stamp) -> Arc<Self> {
        // Only look-ups and insertions happen under the lock.
        let mut scans = SCANS.lock().unwrap_or_else(PoisonError::into_inner);
        let known = scans.iter().find(|(known, _)| *known == stamp).and_then(|(_, scan)| scan.upgrade());
        known.unwrap_or_else(|| {
            scans.retain(|(_, scan)| scan.strong_count() > 0);
            let scan = Arc::default();
            scans.push((stamp, Arc::downgrade(&scan)));
            scan
        })
    }

    /// What the file at `path` holds, which had this stamp a moment ago.
    ///
    /// # Errors
    /// When it can't be read, or is no program.
    pub fn get(&self, path: &Path, stamp: Stamp) -> io::Result<Scan> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scan) = *shared {
            return Ok(scan);
        }
        let scan = scan(path)?;
        if scan.stamp == stamp {
            *shared = Some(scan);
        }
        Ok(scan)
    }

    /// It has turned out to be wrong: a file can change within the time that its stamp tells apart.
    pub fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
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

/// The first bytes tell a module, a component, text and everything else apart.
pub fn recognise(content: &[u8]) -> Result<(), String> {
    match content {
        [] => Err("the file is empty".into()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] | [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b'o', b't', ..] => {
            Err("it was compiled for the built-in (by wamrc); give the .wasm that it was made from".into())
        }
        [0, b'a', b's', b'm', ..] => Err("it is cut off or of an unknown WebAssembly version".into()),
        text if matches!(text.trim_ascii_start(), [b'(' | b';', ..]) => Ok(()),
        _ => Err("it is no WebAssembly: neither binary (.wasm) nor text (.wat)".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_for_all_who_have_it() {
        let path = std::env::temp_dir().join(format!("exec-wasi-shared-{}", std::process::id()));
        std::fs::write(&path, "(module)").unwrap();
        let stamp = look(&path).unwrap();
        let (one, two) = (SharedScan::of(stamp), SharedScan::of(stamp));
        let scan = one.get(&path, stamp).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(two.get(&path, stamp).unwrap().digest, scan.digest);
        two.forget();
        assert!(one.get(&path, stamp).is_err());
        drop((one, two));
        assert!(SharedScan::of(stamp).get(&path, stamp).is_err());
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

    #[test]
    fn the_first_bytes_tell_what_a_file_is() {
        for module in [&b"\0asm\x01\0\0\0"[..], b"\0asm\x0d\0\x01\0", b"(module)", b"\n ;; text\n(module)"] {
            assert_eq!(recognise(module), Ok(()));
        }
        for (bytes, reason) in [
            (&b""[..], "empty"),
            (b"\0asm", "cut off"),
            (b"\0asm\x02\0\0\0", "unknown WebAssembly version"),
            (b"\x7fELF", "no WebAssembly"),
            (b"#!/bin/sh", "no WebAssembly"),
        ] {
            assert!(recognise(bytes).unwrap_err().contains(reason), "{reason}");
        }
    }
}
