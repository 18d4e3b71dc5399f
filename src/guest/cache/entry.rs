//! One file of the cache, or one that was compiled elsewhere: native code as wasmtime writes it, and a seal behind it.
//!
//! ```text
//! native code (an ELF image, which says itself where it ends) | CRC-32 of it | its length | "EXECWASI"
//!                                                               4 bytes        8            8
//! ```
//!
//! The seal finds accidents: a file cut off when the disk was full or the power went, a bad sector. It is
//! no signature; against other users stands the folder's ownership. CRC-32 because processors compute it
//! as fast as memory delivers (`crc32fast`, which wasmtime's own dependencies bring along), and it comes
//! last, so that the code begins where a page does and can be mapped.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};

use rustix::fs::Mode;

/// Permissions of entries. The folder is none that a guest may write to; should it have been one before, or be one to
/// another process, no file that a guest has made is an entry, since it can make none that may be executed.
pub const MODE: Mode = Mode::RWXU;
const MAGIC: &[u8; 8] = b"EXECWASI";
const SEAL_BYTES: usize = 20;
/// Read at a time: an entry may be hundreds of megabytes, and none of it should stay in memory.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why a file is no good entry; a clause.
#[derive(Debug)]
pub enum Flaw {
    /// It could be anything.
    NotAFile,
    /// Its owner's number.
    ForeignOwner(u32),
    /// Its permissions.
    OthersWrote(u32),
    /// It has no seal: cut off, or never ours.
    NoSeal,
    /// The seal is another one's, or bytes have changed.
    BadChecksum,
    /// The disk can't give it back.
    Unreadable(io::Error),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFile => write!(f, "it is not a regular file"),
            Self::ForeignOwner(owner) => write!(f, "it belongs to user {owner}"),
            Self::OthersWrote(mode) => write!(f, "it was not written here (mode {mode:04o})"),
            Self::NoSeal => write!(f, "it is cut off"),
            Self::BadChecksum => write!(f, "its checksum is wrong"),
            Self::Unreadable(error) => write!(f, "it can't be read: {error}"),
        }
    }
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// An entry that is whole, and that only this user or root can have written.
#[derive(Debug)]
pub struct Entry {
    file: File,
    code_bytes: usize,
}

impl Entry {
    /// Checks a file of the cache folder, which must belong to `owner`. Reads all of it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(file: File, owner: u32) -> Result<Self, Flaw> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(Flaw::NotAFile);
        }
        if metadata.uid() != owner {
            return Err(Flaw::ForeignOwner(metadata.uid()));
        }
        if metadata.mode() & 0o7777 != MODE.bits() {
            return Err(Flaw::OthersWrote(metadata.mode() & 0o7777));
        }
        let size = usize::try_from(metadata.len()).map_err(|_| Flaw::NoSeal)?;
        let code_bytes = size.checked_sub(SEAL_BYTES).ok_or(Flaw::NoSeal)?;
        let mut found = [0; SEAL_BYTES];
        file.read_exact_at(&mut found, code_bytes as u64)?;
        check(&found, code_bytes, || checksum(&file, code_bytes))?;
        Ok(Self { file, code_bytes })
    }

    /// The file, with the seal behind the code.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The code.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut code = vec![0; self.code_bytes];
        self.file.read_exact_at(&mut code, 0)?;
        Ok(code)
    }
}

/// The code in the content of a file that was compiled elsewhere.
///
/// # Errors
/// What is wrong with it.
pub fn unsealed(mut content: Vec<u8>) -> Result<Vec<u8>, Flaw> {
    let code_bytes = content.len().checked_sub(SEAL_BYTES).ok_or(Flaw::NoSeal)?;
    let (code, found) = content.split_at(code_bytes);
    check(found, code_bytes, || Ok(crc32fast::hash(code)))?;
    content.truncate(code_bytes);
    Ok(content)
}

fn check(found: &[u8], code_bytes: usize, checksum: impl Fn() -> io::Result<u32>) -> Result<(), Flaw> {
    if !found.ends_with(MAGIC) {
        return Err(Flaw::NoSeal);
    }
    if found != seal(checksum()?, code_bytes) {
        return Err(Flaw::BadChecksum);
    }
    Ok(())
}

/// Writes an entry's content.
///
/// # Errors
/// When the disk doesn't take it.
pub fn write(mut file: impl io::Write, code: &[u8]) -> io::Result<()> {
    file.write_all(code)?;
    file.write_all(&seal(crc32fast::hash(code), code.len()))
}

/// What an entry of this much code takes on disk.
#[cfg(feature = "compiler")]
pub fn size_bytes(code: &[u8]) -> u64 {
    (code.len() + SEAL_BYTES) as u64
}

fn seal(checksum: u32, code_bytes: usize) -> [u8; SEAL_BYTES] {
    let mut seal = [0; SEAL_BYTES];
    seal[..4].copy_from_slice(&checksum.to_le_bytes());
    seal[4..12].copy_from_slice(&(code_bytes as u64).to_le_bytes());
    seal[12..].copy_from_slice(MAGIC);
    seal
}

fn checksum(mut file: &File, code_bytes: usize) -> io::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = code_bytes;
    while left > 0 {
        let want = left.min(CHUNK_BYTES);
        file.read_exact(&mut chunk[..want])?;
        hasher.update(&chunk[..want]);
        left -= want;
    }
    Ok(hasher.finalize())
}
