//! The list of input plugins: built-ins first, then what is loaded.
//!
//! Kept as Fluent Bit keeps it, because plugins have been seen to look: each registration is copied into
//! memory from `malloc` by the *host's* size of the struct, and the copies hang in an intrusive list whose
//! head lies in the context.

use std::cell::UnsafeCell;
use std::ffi::{CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::Mutex;

use crate::abi::{Registration, mk_list, plugin_node_offset, plugin_size};
use crate::hosts::Layout;
use crate::log::error;
use crate::surface::last_dl_error;

/// See the module's documentation. `link` has to be called once the struct has its final place.
#[repr(C)]
pub struct Plugins {
    head: UnsafeCell<mk_list>,
    layout: Layout,
    libraries: Mutex<Vec<NonNull<c_void>>>,
}

// SAFETY: the list is written by the main thread, before the context is given to any other.
unsafe impl Send for Plugins {}
// SAFETY: as above.
unsafe impl Sync for Plugins {}

impl Plugins {
    /// No plugins yet, and not to be used before `link`.
    pub fn new(layout: Layout) -> Self {
        let head = mk_list { prev: ptr::null_mut(), next: ptr::null_mut() };
        Self { head: UnsafeCell::new(head), layout, libraries: Mutex::default() }
    }

    /// Makes the list an empty one.
    pub fn link(&self) {
        let head = self.head.get();
        // SAFETY: only this thread has the list.
        unsafe { head.write(mk_list { prev: head, next: head }) };
    }

    /// Copies a registration to the end of the list.
    ///
    /// # Safety
    /// `symbol` points to at least as many bytes as this host's struct has.
    pub unsafe fn register(&self, symbol: NonNull<c_void>) {
        let size = plugin_size(self.layout);
        // SAFETY: a plain allocation.
        let copy = unsafe { libc::malloc(size) };
        assert!(!copy.is_null(), "out of memory");
        // SAFETY: the caller vouches for the source; the copy is new and as large.
        unsafe { ptr::copy_nonoverlapping(symbol.as_ptr().cast::<u8>(), copy.cast::<u8>(), size) };
        // SAFETY: the node's offset lies within the copy.
        let node = unsafe { copy.byte_add(plugin_node_offset(self.layout)) }.cast::<mk_list>();
        let head = self.head.get();
        // SAFETY: node, head and last node are all ours, linked in a ring, and only this thread's.
        unsafe {
            let last = (*head).prev;
            node.write(mk_list { prev: last, next: head });
            (*last).next = node;
            (*head).prev = node;
        }
    }

    /// Loads a shared object and registers the plugin that its file name promises.
    pub fn load(&self, path: &Path) -> Result<(), ()> {
        let file = CString::new(path.as_os_str().as_bytes()).map_err(|_| ())?;
        // SAFETY: running the plugin's constructors is what was asked for.
        let library = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_LAZY) };
        let Some(library) = NonNull::new(library) else {
            error!("[plugin] dlopen() {}", last_dl_error());
            return Err(());
        };
        // From here on dropping the list closes it.
        self.libraries.lock().expect("no panic under it").push(library);
        let symbol = registration_symbol(path)?;
        let name = CString::new(symbol.clone()).map_err(|_| ())?;
        // SAFETY: the library is loaded.
        let found = unsafe { libc::dlsym(library.as_ptr(), name.as_ptr()) };
        let Some(found) = NonNull::new(found) else {
            let path = path.display();
            error!("[plugin] cannot load plugin '{path}', registration structure is missing '{symbol}'");
            return Err(());
        };
        // SAFETY: a plugin reserves room for the registration of any host; that is the contract.
        unsafe { self.register(found) };
        Ok(())
    }

    /// All registrations, in order.
    pub fn all(&self) -> Vec<Registration> {
        let mut found = Vec::new();
        let head = self.head.get();
        // SAFETY: the list was linked.
        let mut node = unsafe { (*head).next };
        while !ptr::eq(node, head) {
            // SAFETY: every node but the head is in a copy made by `register`, at this offset.
            let copy = unsafe { node.byte_sub(plugin_node_offset(self.layout)) };
            // SAFETY: copies have this host's size and layout.
            found.push(unsafe { Registration::read(self.layout, copy.cast::<c_void>()) });
            // SAFETY: as above.
            node = unsafe { (*node).next };
        }
        found
    }
}

impl Drop for Plugins {
    /// As the host does it: first the libraries are closed, then the copies freed.
    fn drop(&mut self) {
        for library in self.libraries.get_mut().expect("no panic under it").iter() {
            // SAFETY: opened by `load`, closed once. The last callback has returned.
            unsafe { libc::dlclose(library.as_ptr()) };
        }
        let head = self.head.get();
        // SAFETY: only this thread has the list.
        let mut node = unsafe { (*head).next };
        while !node.is_null() && !ptr::eq(node, head) {
            // SAFETY: as in `all`; the next node is read before the memory goes.
            let (copy, next) = unsafe { (node.byte_sub(plugin_node_offset(self.layout)), (*node).next) };
            // SAFETY: allocated by `register`, freed once.
            unsafe { libc::free(copy.cast()) };
            node = next;
        }
    }
}

/// `flb-in_NAME.so` registers `in_NAME_plugin`.
fn registration_symbol(path: &Path) -> Result<String, ()> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let Some(rest) = file.strip_prefix("flb-") else {
        error!("[plugin] invalid plugin prefix: {file}");
        return Err(());
    };
    let Some(name) = rest.strip_suffix(".so") else {
        error!("[plugin] invalid plugin extension: {file}");
        return Err(());
    };
    if !name.starts_with("in_") {
        error!("[plugin] invalid plugin type: {name}");
        return Err(());
    }
    Ok(format!("{name}_plugin"))
}
