//! The host's built-in of our name steps aside.
//!
//! A stock Fluent Bit has an input named `exec_wasi` already, and it makes an instance of *every* plugin
//! of a matching name: loading a second one makes the host fail at start, for the built-in gets no
//! properties. So the built-in is renamed `exec_wamr`, and stays usable under that name.
//!
//! The host's exported registration, every copy of it that is registered and every later copy share one
//! string literal, which nothing else uses. That literal is what changes: nine bytes, same length, in the
//! host's read-only data. Two ways to write there are tried: `/proc/self/mem`, which
//! needs no change of protection, then making the page writable for the moment of the write.
//!
//! Where both are forbidden the built-in keeps its name, and we take another (`wasi`). Changing the name
//! *pointers* instead would mean searching stack and heap of a foreign process for its lists; the hosts
//! that forbid both ways above (a hardened kernel) tend to forbid looking as well.

use std::ffi::{CStr, c_void};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::mem::offset_of;
use std::os::unix::fs::FileExt;

use super::abi::flb_input_plugin_head;
use super::memory;
use super::symbols::{Symbols, image_of};

const BUILT_IN: &CStr = c"in_exec_wasi_plugin";
const OUR_NAME: &[u8; 10] = b"exec_wasi\0";
const NEW_NAME: &[u8; 10] = b"exec_wamr\0";

/// What became of the built-in.
#[derive(Debug)]
pub enum Takeover {
    /// The host has none: the name is free.
    NoBuiltIn,
    /// It is called `exec_wamr` now, or was already.
    Renamed,
    /// It keeps the name; why.
    Kept(String),
}

/// Renames the built-in `exec_wasi`, if the host has it. Runs while the library is loaded, on the thread
/// that loads it; `ours` is the address of our own registration of that name.
#[must_use]
pub fn take_name(symbols: &Symbols, ours: *const c_void) -> Takeover {
    let Some(built_in) = symbols.address(BUILT_IN) else {
        return Takeover::NoBuiltIn;
    };
    if built_in.as_ptr().cast_const() == ours {
        return Takeover::NoBuiltIn;
    }
    match rename(built_in.as_ptr()) {
        Ok(()) => Takeover::Renamed,
        Err(reason) => Takeover::Kept(reason),
    }
}

fn rename(built_in: *const c_void) -> Result<(), String> {
    let name_field = built_in.addr() + offset_of!(flb_input_plugin_head, name);
    let [name] = memory::words::<1>(name_field).ok_or("its registration can't be read")?;
    let image = |address: usize| image_of(address).map(|image| image.base);
    if image(name).is_none() || image(name) != image(built_in.addr()) {
        return Err("its name isn't part of the host's image".into());
    }
    // With the byte before it: a literal that is the tail of a longer one is shared with something else.
    let mut seen = [0u8; 11];
    if memory::read(name - 1, &mut seen) != seen.len() {
        return Err("its name can't be read".into());
    }
    match (seen[0], &seen[1..]) {
        (_, text) if text == NEW_NAME => return Ok(()),
        (0, text) if text == OUR_NAME => {}
        (_, text) if text == OUR_NAME => {
            return Err("its name is the end of a longer text, which something else may use".into());
        }
        _ => return Err("its name is not the expected one".into()),
    }
    let by_kernel = write_by_kernel(name);
    if is_renamed(name) {
        return Ok(());
    }
    let by_protection = write_unprotected(name);
    if is_renamed(name) {
        return Ok(());
    }
    let reason = |result: io::Result<()>| result.err().map_or("no effect".into(), |e| e.to_string());
    Err(format!(
        "its name can't be changed (/proc/self/mem: {}; mprotect: {})",
        reason(by_kernel),
        reason(by_protection)
    ))
}

fn is_renamed(name: usize) -> bool {
    let mut seen = [0u8; NEW_NAME.len()];
    memory::read(name, &mut seen) == seen.len() && &seen == NEW_NAME
}

/// The kernel writes for us, also to pages that are read-only to the process: it makes private copies.
fn write_by_kernel(name: usize) -> io::Result<()> {
    let memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
    memory.write_all_at(NEW_NAME, name as u64)
}

fn write_unprotected(name: usize) -> io::Result<()> {
    // SAFETY: takes nothing but a number and can't fail for this one.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(io::Error::other)?;
    let page_of = |address: usize| address & !(page - 1);
    let pages = page_of(name)..page_of(name + NEW_NAME.len() - 1) + page;
    let protection = protection_of(name)?;
    let protect = |protection| {
        // SAFETY: changes only what may be done with pages of the host's image that hold a literal; the
        // rights it had stay, so running code in a shared segment is not disturbed.
        match unsafe { libc::mprotect(pages.start as *mut c_void, pages.len(), protection) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    protect(protection | libc::PROT_WRITE)?;
    // SAFETY: the ten bytes were just read as the literal and made writable. Nobody else writes them, and
    // the host reads names on this thread only, later.
    unsafe { std::ptr::copy_nonoverlapping(NEW_NAME.as_ptr(), name as *mut u8, NEW_NAME.len()) };
    protect(protection)
}

/// What may be done with the memory at `address`, as mprotect wants it said.
fn protection_of(address: usize) -> io::Result<i32> {
    for line in BufReader::new(File::open("/proc/self/maps")?).lines() {
        if let Some(protection) = parse_mapping(&line?, address) {
            return Ok(protection);
        }
    }
    Err(io::Error::other("the address is in no mapping"))
}

/// One line of `/proc/self/maps`: its protection, if `address` lies in it.
fn parse_mapping(line: &str, address: usize) -> Option<i32> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    if !(start..end).contains(&address) {
        return None;
    }
    let rights = [('r', libc::PROT_READ), ('w', libc::PROT_WRITE), ('x', libc::PROT_EXEC)];
    let given = rest.split(' ').next()?;
    let bits = rights.iter().filter(|(letter, _)| given.contains(*letter));
    Some(bits.fold(0, |all, (_, bit)| all | bit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_tells_its_protection() {
        let line = "55d0c8a00000-55d0c8b00000 r-xp 00000000 08:01 123  /usr/bin/host";
        assert_eq!(parse_mapping(line, 0x55d0_c8a0_0010), Some(libc::PROT_READ | libc::PROT_EXEC));
        assert_eq!(parse_mapping(line, 0x55d0_c8b0_0000), None);
        assert_eq!(parse_mapping("nonsense", 1), None);
    }

    /// A literal of this test's own image stands in for the host's; `static` so that it has an address.
    fn registration(name: &'static [u8]) -> Box<[usize; 9]> {
        let mut head = Box::new([0usize; 9]);
        head[3] = name.as_ptr().addr();
        head
    }

    #[test]
    fn both_ways_of_writing_change_a_read_only_literal() {
        static FIRST: [u8; 11] = *b"\0exec_wasi\0";
        static SECOND: [u8; 11] = *b"\0exec_wasi\0 ".first_chunk().unwrap();
        let first = std::hint::black_box(&FIRST);
        write_by_kernel(first[1..].as_ptr().addr()).unwrap();
        assert!(is_renamed(first[1..].as_ptr().addr()));
        let second = std::hint::black_box(&SECOND);
        let address = second[1..].as_ptr().addr();
        if !is_renamed(address) {
            let before = protection_of(address).unwrap();
            write_unprotected(address).unwrap();
            assert_eq!(protection_of(address).unwrap(), before);
        }
        assert!(is_renamed(address));
    }

    #[test]
    fn a_name_that_is_not_expected_is_left_alone() {
        static OTHER: [u8; 11] = *b"\0exec_wasm\0";
        static TAIL: [u8; 11] = *b"nexec_wasi\0";
        for literal in [&OTHER, &TAIL] {
            let head = registration(&literal[1..]);
            // The registration is on the heap and the name in the image, so this stops at the image check
            // or at the name: either way nothing is written.
            assert!(rename(head.as_ptr().cast()).is_err());
            assert_ne!(&literal[1..], NEW_NAME);
        }
    }
}
