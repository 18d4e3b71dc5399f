//! Finding the host's symbols, and what the dynamic linker knows about them.
//!
//! All look-ups go to a handle of the main program, never to `RTLD_DEFAULT`: this library is linked
//! `-Bsymbolic`, so the default scope would find our own symbol of a name before the host's.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};

/// The dynamic symbols of the running program.
#[derive(Clone, Copy, Debug)]
pub struct Symbols {
    program: NonNull<c_void>,
}

// SAFETY: a `dlopen` handle is only an identifier; `dlsym` may be called with it from any thread.
unsafe impl Send for Symbols {}
// SAFETY: as above.
unsafe impl Sync for Symbols {}

type Dladdr1 = unsafe extern "C" fn(*const c_void, *mut libc::Dl_info, *mut *mut c_void, c_int) -> c_int;

impl Symbols {
    /// The symbols of the program this library was loaded into.
    #[must_use]
    pub fn of_program() -> Option<Self> {
        // SAFETY: a null name asks for the main program, which is loaded already: nothing is run.
        let handle = unsafe { libc::dlopen(ptr::null(), libc::RTLD_LAZY) };
        NonNull::new(handle).map(|program| Self { program })
    }

    /// The address of `name`, if the program or one of its libraries exports it.
    #[must_use]
    pub fn address(&self, name: &CStr) -> Option<NonNull<c_void>> {
        // SAFETY: the handle came from `dlopen` and is never closed; the name ends in NUL.
        NonNull::new(unsafe { libc::dlsym(self.program.as_ptr(), name.as_ptr()) })
    }

    /// Size in bytes of the exported object at `address`, from its entry in the symbol table.
    ///
    /// Uses glibc's `dladdr1`; `None` where the C library has none, or no symbol begins there.
    #[must_use]
    pub fn size(&self, address: NonNull<c_void>) -> Option<usize> {
        const RTLD_DL_SYMENT: c_int = 1;
        let dladdr1 = self.address(c"dladdr1")?;
        // SAFETY: this is the type that glibc's <dlfcn.h> declares for `dladdr1`.
        let dladdr1: Dladdr1 = unsafe { std::mem::transmute(dladdr1.as_ptr()) };
        let mut info = empty_info();
        let mut entry: *mut c_void = ptr::null_mut();
        // SAFETY: both results point to variables of ours that outlive the call.
        let found = unsafe { dladdr1(address.as_ptr(), &raw mut info, &raw mut entry, RTLD_DL_SYMENT) };
        if found == 0 || entry.is_null() || info.dli_saddr != address.as_ptr() {
            return None;
        }
        // SAFETY: with RTLD_DL_SYMENT the entry points to the symbol's record in the loaded image, which
        // stays mapped as the main program and its libraries do.
        let symbol = unsafe { *entry.cast::<libc::Elf64_Sym>() };
        usize::try_from(symbol.st_size).ok()
    }
}

/// The file that `address` was loaded from and where it begins in memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Image {
    /// Start of the mapping; identifies the image.
    pub base: usize,
    /// Its file, as the dynamic linker names it.
    pub file: String,
}

/// The image that `address` lies in.
#[must_use]
pub fn image_of(address: usize) -> Option<Image> {
    let mut info = empty_info();
    let address = ptr::without_provenance::<c_void>(address);
    // SAFETY: `dladdr` only compares the address; the result is a variable of ours.
    let found = unsafe { libc::dladdr(address, &raw mut info) };
    if found == 0 || info.dli_fbase.is_null() {
        return None;
    }
    let file = if info.dli_fname.is_null() {
        String::new()
    } else {
        // SAFETY: the name belongs to the dynamic linker and ends in NUL; it is copied at once.
        unsafe { CStr::from_ptr(info.dli_fname.cast::<c_char>()) }.to_string_lossy().into_owned()
    };
    Some(Image { base: info.dli_fbase as usize, file })
}

fn empty_info() -> libc::Dl_info {
    libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    }
}
