//! Looking at memory of this process that may not be there.
//!
//! The kernel copies it for us and answers with an error where a plain load would be a fault.

/// Copies `buf.len()` bytes from `address`, or as many as are readable before the first hole. The answer
/// is how many; 0 also where the kernel forbids the call (a seccomp profile may).
pub fn read(address: usize, buf: &mut [u8]) -> usize {
    // The kernel checks readability page by page of the remote vector, so it is cut at page edges: then
    // a hole ends the copy instead of refusing it whole.
    const PAGE: usize = 4096;
    let mut done = 0;
    while done < buf.len() {
        let Some(at) = address.checked_add(done) else {
            break;
        };
        let len = (PAGE - at % PAGE).min(buf.len() - done);
        let local = libc::iovec { iov_base: buf[done..].as_mut_ptr().cast(), iov_len: len };
        let remote = libc::iovec { iov_base: at as *mut libc::c_void, iov_len: len };
        // SAFETY: takes nothing and can't fail.
        let this = unsafe { libc::getpid() };
        // SAFETY: the local vector lies within `buf`; the remote one is only read, by the kernel, which
        // answers EFAULT where nothing is mapped.
        let copied = unsafe { libc::process_vm_readv(this, &raw const local, 1, &raw const remote, 1, 0) };
        match usize::try_from(copied) {
            Ok(copied) if copied == len => done += len,
            Ok(copied) => return done + copied,
            Err(_) => return done,
        }
    }
    done
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
}
