//! Putting a program into the cache: a temporary file, written, then renamed.

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, fchmod, openat, renameat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use super::prune::{TEMPORARY, prune};
use super::{Cache, Digest, SUFFIX, entry, hex};
use crate::guest::native::Image;

/// All entries together take at most so much.
const LIMIT_BYTES: u64 = 1_000_000_000;

impl Cache {
    /// Keeps a program's code, and makes room for it.
    ///
    /// # Errors
    /// When it can't be written, or is larger than the whole cache may be. Then nothing has changed.
    pub fn store(&self, engine: &Engine, program: &Digest, code: &Image) -> io::Result<()> {
        self.store_within(LIMIT_BYTES, engine, program, code)
    }

    pub(super) fn store_within(
        &self,
        limit_bytes: u64,
        engine: &Engine,
        program: &Digest,
        code: &Image,
    ) -> io::Result<()> {
        let size_bytes = entry::size_bytes(code.bytes());
        if size_bytes > limit_bytes {
            let why = format!("it has {size_bytes} bytes, the cache at most {limit_bytes}");
            return Err(io::Error::other(why));
        }
        let name = entry_name(program, engine);
        let (temporary, file) = self.create()?;
        let written = entry::write(&file, code.bytes())
            // Whatever the umask took away.
            .and_then(|()| Ok(fchmod(&file, entry::MODE)?))
            .and_then(|()| Ok(renameat(&self.folder.fd, &temporary, &self.folder.fd, &name)?));
        if let Err(error) = written {
            // Should that fail as well, `prune` removes it some day.
            let _ = unlinkat(&self.folder.fd, &temporary, AtFlags::empty());
            return Err(error);
        }
        prune(&self.folder, &name, limit_bytes);
        Ok(())
    }

    /// A new, empty file that nobody else has.
    fn create(&self) -> io::Result<(String, File)> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            // Containers that share the folder may share process numbers; then the next one is free.
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{TEMPORARY}{}-{number}", std::process::id());
            match openat(&self.folder.fd, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => return Ok((name, file.into())),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The name of a program's entry, compiled as `engine` does it.
pub fn entry_name(program: &Digest, engine: &Engine) -> String {
    let mut settings = Digesting(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut settings);
    let settings: Digest = settings.0.finalize().into();
    format!("{}-{}{SUFFIX}", hex(program), hex(&settings[..16]))
}

/// Whatever can be hashed, by a hash that is the same tomorrow.
struct Digesting(Sha256);

impl Hasher for Digesting {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // Part of the interface, and never asked for.
        0
    }
}
