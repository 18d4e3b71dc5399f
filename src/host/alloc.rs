//! The memory allocator of this library: the host's, asked for the alignment that Rust needs.
//!
//! Fluent Bit's official builds replace `malloc` for the whole process by jemalloc with a quantum of
//! 8 bytes (`--with-lg-quantum=3`), so memory for, say, 40 bytes may be aligned to 8 only. Rust's own
//! system allocator trusts `malloc` up to an alignment of 16, hands out such memory as 16-aligned, and
//! the first vector instruction on it is a fault. Asking explicitly above 8 costs nothing where it isn't
//! needed, and keeps one heap in the process.
//!
//! Large blocks of bytes are mapped, one by one, and so are no business of the host's `malloc`. glibc's would learn from each
//! that is freed to keep twice as much for every thread: after a large program was compiled, tens of megabytes.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::CStr;
use std::ptr;
use std::sync::OnceLock;

/// What every `malloc` that a host may bring promises for any size.
const MALLOC_ALIGN: usize = 8;

/// A block of bytes of this size or more is mapped.
const MAPPED_BYTES: usize = 1 << 20;

/// Large blocks of bytes by `mmap`; others by `malloc` up to an alignment of 8, and by `posix_memalign` above.
#[derive(Debug)]
pub struct AlignedSystem;

/// Whether a block of this layout has a mapping of its own. By the layout alone, which comes with every call. Only blocks
/// of bytes, such as files, code and records: most large ones are, and to look at the size wherever something else is
/// freed would take thirty kilobytes of code.
fn is_mapped(layout: Layout) -> bool {
    layout.size() >= MAPPED_BYTES && layout.align() == 1
}

/// A mapping, all zero; or null.
// Such blocks are rare, and what is allocated is so in thousands of places.
#[cold]
#[inline(never)]
fn map(size: usize) -> *mut u8 {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let mapping = unsafe { libc::mmap(ptr::null_mut(), size, access, kind, -1, 0) };
    if mapping == libc::MAP_FAILED { ptr::null_mut() } else { mapping.cast() }
}

/// # Safety
/// `block` is a mapping of `size` bytes that nobody uses any more.
#[cold]
#[inline(never)]
unsafe fn unmap(block: *mut u8, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(block.cast(), size) };
}

/// The mapping with another size, wherever it is then; or null, and it is as it was.
///
/// # Safety
/// `block` is a mapping of `size` bytes; with another answer than null, nobody uses it any more.
#[cold]
#[inline(never)]
unsafe fn remap(block: *mut u8, size: usize, new_size: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    let moved = unsafe { libc::mremap(block.cast(), size, new_size, libc::MREMAP_MAYMOVE) };
    if moved == libc::MAP_FAILED { ptr::null_mut() } else { moved.cast() }
}

// SAFETY: every block comes with at least the size and alignment asked for from the C library's allocator, to whose
// `free` it goes back, or, as its layout tells, from `map`, and is unmapped. No call panics or allocates elsewhere.
unsafe impl GlobalAlloc for AlignedSystem {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout) {
            return map(layout.size());
        }
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: any size may be asked for; null is our answer as well.
            return unsafe { libc::malloc(layout.size()) }.cast();
        }
        let mut block = ptr::null_mut();
        // SAFETY: alignments of a `Layout` are powers of two, and here multiples of a pointer's size.
        match unsafe { libc::posix_memalign(&raw mut block, layout.align(), layout.size()) } {
            0 => block.cast(),
            _ => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_mapped(layout) {
            // SAFETY: as its layout tells, it came from `map`; and the caller gives it up.
            unsafe { unmap(block, layout.size()) };
            return;
        }
        // SAFETY: the caller got the block from this allocator, so it is `free`'s to take.
        unsafe { libc::free(block.cast()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout) {
            return map(layout.size());
        }
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: as in `alloc`. Fresh pages are zero already, which `calloc` knows.
            return unsafe { libc::calloc(1, layout.size()) }.cast();
        }
        // SAFETY: the caller's layout, handed on.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: the block has at least the size of the layout.
            unsafe { ptr::write_bytes(block, 0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller vouches that the new size is valid with this alignment.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        match (is_mapped(layout), is_mapped(new_layout)) {
            (true, true) => {
                // SAFETY: the block came from `map`, and the caller goes on with what it becomes.
                let moved = unsafe { remap(block, layout.size(), new_size) };
                if !moved.is_null() {
                    return moved;
                }
                // Where that is forbidden, it is copied.
            }
            (false, false) if layout.align() <= MALLOC_ALIGN => {
                // SAFETY: the block came from `malloc`, `calloc` or `realloc`.
                return unsafe { libc::realloc(block.cast(), new_size) }.cast();
            }
            _ => {}
        }
        // SAFETY: the new layout is a valid one of a size above zero, as the caller vouches.
        let new_block = unsafe { self.alloc(new_layout) };
        if !new_block.is_null() {
            let kept = layout.size().min(new_size);
            // SAFETY: both blocks have at least `kept` bytes, and the new one is nobody else's.
            unsafe { ptr::copy_nonoverlapping(block, new_block, kept) };
            // SAFETY: the old block came from this allocator and isn't used any more.
            unsafe { self.dealloc(block, layout) };
        }
        new_block
    }
}

/// Gives back what the allocator keeps for this thread's next allocations, where the host's is jemalloc;
/// that is a hundred kilobytes. For a thread that is going to wait for a while.
pub fn release_thread_cache() {
    jemalloc(c"thread.tcache.flush");
}

/// Gives back to the system what the allocator keeps of the freed memory of all threads. jemalloc would do so
/// by itself, but only where there are further allocations; glibc keeps for good what lies between blocks in
/// use. Costs a few milliseconds where there is much of it, so it is for moments that are rare.
pub fn release_freed_memory() {
    // The number stands for all arenas.
    jemalloc(c"arena.4096.purge");
    #[cfg(target_env = "gnu")]
    // SAFETY: takes any number, and touches free memory only. Where the host's allocator is another, glibc's has none.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Lets jemalloc do something that takes nothing and gives nothing.
fn jemalloc(control: &CStr) {
    type Mallctl = unsafe extern "C" fn(
        *const libc::c_char,
        *mut libc::c_void,
        *mut libc::size_t,
        *mut libc::c_void,
        libc::size_t,
    ) -> libc::c_int;
    static MALLCTL: OnceLock<Option<Mallctl>> = OnceLock::new();
    let mallctl = MALLCTL.get_or_init(|| {
        // SAFETY: looks a name up in what is loaded.
        let function = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"mallctl".as_ptr()) };
        // SAFETY: where a program exports this name, it is jemalloc's function of this type.
        unsafe { std::mem::transmute::<*mut libc::c_void, Option<Mallctl>>(function) }
    });
    if let Some(mallctl) = mallctl {
        let (none, no_len) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: such a control takes nothing and gives nothing; where it isn't known it does nothing.
        unsafe { mallctl(control.as_ptr(), none, no_len, none, 0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_env = "gnu")]
    #[test]
    fn freed_memory_goes_back_to_the_system() {
        let resident_pages = || -> usize {
            let text = std::fs::read_to_string("/proc/self/statm").unwrap();
            text.split(' ').nth(1).unwrap().parse().unwrap()
        };
        // Much more than other tests of this process use meanwhile, in blocks too small to be mapped one by one.
        let mut blocks: Vec<_> = (0..200_000).map(|_| vec![1u8; 1000]).collect();
        let _in_use_behind_them = blocks.pop();
        let before = resident_pages();
        drop(blocks);
        release_freed_memory();
        assert!(resident_pages() + 100_000_000 / 4096 < before, "{} of {before}", resident_pages());
    }

    #[test]
    fn every_alignment_is_kept_through_growing_and_shrinking() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in [1, 8, 17, 24, 33, 40, 49, 56, 1000, 100_000, 400_000, MAPPED_BYTES] {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: the size isn't zero.
                let block = unsafe { AlignedSystem.alloc(layout) };
                assert!(!block.is_null() && block.addr() % align == 0, "{layout:?}");
                // SAFETY: the block has `size` bytes.
                unsafe { block.write_bytes(7, size) };
                // SAFETY: block and layout belong together, and the new size isn't zero.
                let grown = unsafe { AlignedSystem.realloc(block, layout, size * 3) };
                assert!(!grown.is_null() && grown.addr() % align == 0, "{layout:?}");
                // SAFETY: the first `size` bytes were written above.
                assert!(unsafe { std::slice::from_raw_parts(grown, size) }.iter().all(|&b| b == 7));
                let layout = Layout::from_size_align(size * 3, align).unwrap();
                // SAFETY: as above.
                let shrunk = unsafe { AlignedSystem.realloc(grown, layout, 1) };
                assert!(!shrunk.is_null() && shrunk.addr() % align == 0, "{layout:?}");
                // SAFETY: the block was last given this layout.
                unsafe { AlignedSystem.dealloc(shrunk, Layout::from_size_align(1, align).unwrap()) };
                // SAFETY: the size isn't zero.
                let zeroed = unsafe { AlignedSystem.alloc_zeroed(layout) };
                assert!(zeroed.addr() % align == 0);
                // SAFETY: the block has this many bytes, all written.
                assert!(unsafe { std::slice::from_raw_parts(zeroed, size * 3) }.iter().all(|&b| b == 0));
                // SAFETY: block and layout belong together.
                unsafe { AlignedSystem.dealloc(zeroed, layout) };
            }
        }
    }
}
