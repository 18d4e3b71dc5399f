//! Looking at memory of this process that may not be there.
//!
//! The kernel copies it for us and answers with an error where a plain load would be a fault.

use std::io::{self, Read};
use std::os::fd::AsRawFd;

/// Copies `buf.len()` bytes from `address`, or as many as are readable before the first hole. The answer
/// is how many.
pub fn read(address: usize, buf: &mut [u8]) -> usize {
    // The kernel checks readability page by page, so the whole is cut at page edges: then a hole ends the copy
    // instead of refusing it whole.
    const PAGE: usize = 4096;
    let mut done = 0;
    while done < buf.len() {
        let Some(at) = address.checked_add(done) else {
            break;
        };
        let len = (PAGE - at % PAGE).min(buf.len() - done);
        let part = &mut buf[done..done + len];
        if let Err(error) = by_call(at, part)
            && (error.raw_os_error() == Some(libc::EFAULT) || by_pipe(at, part).is_err())
        {
            break;
        }
        done += len;
    }
    done
}

/// By the call that is made for it.
fn by_call(address: usize, part: &mut [u8]) -> io::Result<()> {
    let local = libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: part.len() };
    // SAFETY: takes nothing and can't fail.
    let this = unsafe { libc::getpid() };
    // SAFETY: the local vector is `part`; the remote one is only read, by the kernel, which answers EFAULT where
    // nothing is mapped.
    let copied = unsafe { libc::process_vm_readv(this, &raw const local, 1, &raw const remote, 1, 0) };
    whole(copied, part)
}

/// By what nobody forbids (a seccomp profile may forbid the other, and emulators don't know it).
fn by_pipe(address: usize, part: &mut [u8]) -> io::Result<()> {
    let (mut reader, writer) = io::pipe()?;
    // SAFETY: as above; and what is written is no more than every pipe holds, so this waits for nobody.
    let copied = unsafe { libc::write(writer.as_raw_fd(), address as *const libc::c_void, part.len()) };
    whole(copied, part)?;
    reader.read_exact(part)
}

/// Whether a call that has copied so much, or failed, has copied all.
fn whole(copied: isize, part: &[u8]) -> io::Result<()> {
    match usize::try_from(copied) {
        Ok(copied) if copied == part.len() => Ok(()),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// The `N` machine words at `address`, if all of them are readable.
#[must_use]
pub fn words<const N: usize>(address: usize) -> Option<[usize; N]> {
    let mut words = [0; N];
    let mut bytes = vec![0u8; N * size_of::<usize>()];
    if read(address, &mut bytes) != bytes.len() {
        return None;
    }
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(size_of::<usize>())) {
        *word = usize::from_ne_bytes(bytes.try_into().ok()?);
    }
    Some(words)
}

/// The text at `address` up to its NUL, if that comes within `max` readable bytes.
#[must_use]
pub fn text(address: usize, max: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0u8; max];
    let len = read(address, &mut bytes);
    let end = bytes[..len].iter().position(|&byte| byte == 0)?;
    bytes.truncate(end);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_read_and_what_is_not_is_not() {
        let numbers = [7usize, 8, 9];
        assert_eq!(words(numbers.as_ptr() as usize), Some(numbers));
        assert_eq!(words::<1>(8), None);
        assert_eq!(read(usize::MAX - 3, &mut [0; 16]), 0);
        assert_eq!(text(c"abc".as_ptr() as usize, 4), Some(b"abc".to_vec()));
        assert_eq!(text(c"abc".as_ptr() as usize, 3), None);
    }

    #[test]
    fn both_ways_read_the_same() {
        let bytes: Vec<u8> = (0..=255).cycle().take(4096).collect();
        let reads_right = |way: fn(usize, &mut [u8]) -> io::Result<()>| {
            let mut seen = vec![0; bytes.len()];
            way(bytes.as_ptr().addr(), &mut seen).unwrap();
            assert_eq!(seen, bytes);
        };
        let hole =
            |way: fn(usize, &mut [u8]) -> io::Result<()>| way(8, &mut [0; 8]).unwrap_err().raw_os_error();
        assert_eq!(hole(by_pipe), Some(libc::EFAULT));
        reads_right(by_pipe);
        // This one may be forbidden here, or unknown.
        if hole(by_call) == Some(libc::EFAULT) {
            reads_right(by_call);
        }
    }
}
