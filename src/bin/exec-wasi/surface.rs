//! Loads the C surface of the release that is imitated, and connects it with this program.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::fs::File;
use std::io::Write;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;
use std::ptr::NonNull;

use crate::abi::{
    cmt, cmt_counter, flb_config, flb_input_collect_fn, flb_input_context_fn, flb_input_exit_fn,
    flb_input_init_fn, flb_input_instance, flb_parser, flb_time,
};
use crate::args::Args;
use crate::hosts::Host;
use crate::{api, builtin, counters};

/// `(name of the host, bytes of its shared object)`, made by the build script.
mod images {
    include!(concat!(env!("OUT_DIR"), "/surfaces.rs"));
}

/// The built-in inputs, in the order in which a host registers them.
const BUILT_IN: [&CStr; 5] =
    [c"in_dummy_plugin", c"in_exec_wasi_plugin", c"in_tail_plugin", c"in_emitter_plugin", c"in_lib_plugin"];

/// The host as its plugins see it; stays loaded until the process ends.
pub struct Surface {
    pub host: &'static Host,
    object: NonNull<c_void>,
}

impl Surface {
    /// Loads the surface that `args` describe and makes it visible.
    pub fn load(args: &Args) -> Result<Self, String> {
        let host = args.host;
        let (_, image) = images::IMAGES
            .iter()
            .find(|(name, _)| *name == host.name)
            .ok_or_else(|| format!("no surface was built for host {}", host.name))?;
        let mut image = image.to_vec();
        for symbol in &args.without {
            hide(&mut image, symbol)?;
        }
        if args.shared_name {
            share_name(&mut image)?;
        }
        let surface = Self { host, object: open(&image)? };
        surface.connect()?;
        Ok(surface)
    }

    /// The registrations of the built-in inputs.
    pub fn built_in(&self) -> impl Iterator<Item = NonNull<c_void>> + '_ {
        BUILT_IN.iter().filter_map(|symbol| self.symbol(symbol))
    }

    /// Lets the exported variable `config` name this context if it is the first one. It goes on doing
    /// so after a reload has freed it, as in the real program.
    pub fn set_config(&self, config: *mut flb_config) {
        let Some(variable) = self.symbol(c"config") else { return };
        let variable = variable.cast::<*mut flb_config>();
        // SAFETY: surface.c defines it as a pointer; only the main thread comes here.
        if unsafe { variable.read() }.is_null() {
            // SAFETY: as above.
            unsafe { variable.write(config) };
        }
    }

    fn symbol(&self, name: &CStr) -> Option<NonNull<c_void>> {
        // SAFETY: the handle came from `dlopen` and is never closed.
        NonNull::new(unsafe { libc::dlsym(self.object.as_ptr(), name.as_ptr()) })
    }

    fn connect(&self) -> Result<(), String> {
        let missing = || "the C surface lacks its table".to_owned();
        let size = self.symbol(c"exec_wasi_surface_size").ok_or_else(missing)?;
        let table = self.symbol(c"exec_wasi_surface").ok_or_else(missing)?;
        // SAFETY: surface.c defines it as a `size_t`.
        if unsafe { size.cast::<usize>().read() } != size_of::<Table>() {
            return Err("the C surface's table has another size than ours".to_owned());
        }
        // SAFETY: surface.c defines it as this struct, and no plugin has been loaded that could read it.
        unsafe { table.cast::<Table>().write(TABLE) };
        Ok(())
    }
}

/// Renames a symbol in a shared object's bytes, so that it can't be found: this host lacks it.
fn hide(image: &mut [u8], symbol: &str) -> Result<(), String> {
    let pattern: Vec<u8> = [b"\0", symbol.as_bytes(), b"\0"].concat();
    let at: Vec<usize> =
        (0..image.len()).filter(|&at| image[at..].starts_with(&pattern)).map(|at| at + 1).collect();
    if at.is_empty() {
        return Err(format!("this host has no symbol {symbol}"));
    }
    for at in at {
        image[at] = b'-';
    }
    Ok(())
}

/// Makes the built-in's name the end of a longer string, which must not be written to.
fn share_name(image: &mut [u8]) -> Result<(), String> {
    // As surface.c lays it out.
    let names = b"\0exec_wasi\0dummy\0";
    let at = image.windows(names.len()).position(|bytes| bytes == names);
    image[at.ok_or("the surface lacks the built-in's name")?] = b'_';
    Ok(())
}

/// Writes the object to memory, or to a temporary file where that fails, and loads it from there.
fn open(image: &[u8]) -> Result<NonNull<c_void>, String> {
    let in_memory = in_memory(image);
    let (path, kept) = match in_memory {
        Ok(file) => (PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())), Some(file)),
        Err(_) => (in_temporary_file(image)?, None),
    };
    let name = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: the object is ours and has no constructors.
    let object = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    let object = NonNull::new(object).ok_or_else(|| format!("loading the C surface: {}", last_dl_error()));
    if kept.is_none() {
        // It is mapped now; leaving it behind would be untidy, not wrong.
        let _ = std::fs::remove_file(&path);
    }
    object
}

fn in_memory(image: &[u8]) -> std::io::Result<File> {
    // SAFETY: the name is a constant that ends in NUL.
    let fd = unsafe { libc::memfd_create(c"exec-wasi-surface".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(image)?;
    Ok(file)
}

fn in_temporary_file(image: &[u8]) -> Result<PathBuf, String> {
    let path = std::env::temp_dir().join(format!("exec-wasi-surface-{}.so", std::process::id()));
    let write = || File::create_new(&path)?.write_all(image);
    write().map_err(|error| format!("writing {}: {error}", path.display()))?;
    Ok(path)
}

/// What `dlopen` or `dlsym` last had to say.
pub fn last_dl_error() -> String {
    // SAFETY: no arguments.
    let error = unsafe { libc::dlerror() };
    // SAFETY: null, or a string of the dynamic linker that stays until the next call.
    unsafe { crate::abi::text(error) }
}

type Ins = *mut flb_input_instance;
type Config = *mut flb_config;
type Collect = flb_input_collect_fn;

/// `struct surface` of surface.c: same members, same order.
#[repr(C)]
struct Table {
    get_property: unsafe extern "C" fn(*const c_char, Ins) -> *const c_char,
    set_context: unsafe extern "C" fn(Ins, *mut c_void),
    name: unsafe extern "C" fn(Ins) -> *const c_char,
    log_check: unsafe extern "C" fn(Ins, c_int) -> c_int,
    log: unsafe extern "C" fn(c_int, *const c_char),
    set_collector_event: unsafe extern "C" fn(Ins, Collect, c_int, Config) -> c_int,
    set_collector_time: unsafe extern "C" fn(Ins, Collect, i64, c_long, Config) -> c_int,
    collector_start: unsafe extern "C" fn(c_int, Ins) -> c_int,
    collector_pause: unsafe extern "C" fn(c_int, Ins) -> c_int,
    collector_resume: unsafe extern "C" fn(c_int, Ins) -> c_int,
    collector_delete: unsafe extern "C" fn(c_int, Ins) -> c_int,
    collector_running: unsafe extern "C" fn(c_int, Ins) -> c_int,
    log_append: unsafe extern "C" fn(Ins, *const c_char, usize, *const c_void, usize) -> c_int,
    log_append_records: unsafe extern "C" fn(Ins, usize, *const c_char, usize, *const c_void, usize) -> c_int,
    parser_get: unsafe extern "C" fn(*const c_char, Config) -> *mut flb_parser,
    parser_do: unsafe extern "C" fn(
        *mut flb_parser,
        *const c_char,
        usize,
        *mut *mut c_void,
        *mut usize,
        *mut flb_time,
    ) -> c_int,
    lib_free: unsafe extern "C" fn(*mut c_void) -> c_int,
    time_get: unsafe extern "C" fn(*mut flb_time) -> c_int,
    engine_exit: unsafe extern "C" fn(Config) -> c_int,
    engine_exit_status: unsafe extern "C" fn(Config, c_int) -> c_int,
    get_cmt_instance: unsafe extern "C" fn(Ins) -> *mut cmt,
    counter_create: unsafe extern "C" fn(
        *mut cmt,
        *mut c_char,
        *mut c_char,
        *mut c_char,
        *mut c_char,
        c_int,
        *mut *mut c_char,
    ) -> *mut cmt_counter,
    counter_set: unsafe extern "C" fn(*mut cmt_counter, u64, f64, c_int, *mut *mut c_char) -> c_int,
    not_imitated: unsafe extern "C" fn(*const c_char) -> c_int,
    dummy_init: flb_input_init_fn,
    dummy_pause: flb_input_context_fn,
    dummy_resume: flb_input_context_fn,
    dummy_exit: flb_input_exit_fn,
    exec_wasi_init: flb_input_init_fn,
    other_init: flb_input_init_fn,
}

const TABLE: Table = Table {
    get_property: api::get_property,
    set_context: api::set_context,
    name: api::name,
    log_check: api::log_check,
    log: api::log,
    set_collector_event: api::set_collector_event,
    set_collector_time: api::set_collector_time,
    collector_start: api::collector_start,
    collector_pause: api::collector_pause,
    collector_resume: api::collector_resume,
    collector_delete: api::collector_delete,
    collector_running: api::collector_running,
    log_append: api::log_append,
    log_append_records: api::log_append_records,
    parser_get: api::parser_get,
    parser_do: api::parser_do,
    lib_free: api::lib_free,
    time_get: api::time_get,
    engine_exit: api::engine_exit,
    engine_exit_status: api::engine_exit_status,
    get_cmt_instance: counters::of_instance,
    counter_create: counters::create,
    counter_set: counters::set,
    not_imitated: api::not_imitated,
    dummy_init: Some(builtin::dummy_init),
    dummy_pause: Some(builtin::dummy_pause),
    dummy_resume: Some(builtin::dummy_resume),
    dummy_exit: Some(builtin::dummy_exit),
    exec_wasi_init: Some(builtin::exec_wasi_init),
    other_init: Some(builtin::other_init),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_symbol_is_renamed_wherever_its_name_stands_alone() {
        let mut image = b"\0flb_a\0flb_a_b\0flb_a\0".to_vec();
        hide(&mut image, "flb_a").expect("it is there");
        assert_eq!(image, b"\0-lb_a\0flb_a_b\0-lb_a\0");
        assert!(hide(&mut image, "flb_a").is_err());
    }
}
