//! The functions a plugin finds in the host, behind the C surface.
//!
//! Safety of all of them rests on the interface's contract: pointers to inputs, contexts, parsers and
//! counters are those the host gave, strings end in NUL, lengths are true. A plugin that breaks it is
//! what this host is there to find, with a crash if need be.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::ptr;
use std::sync::MutexGuard;

use crate::abi::{flb_config, flb_input_collect_fn, flb_input_instance, flb_parser, flb_time, text};
use crate::collectors::Collectors;
use crate::context::Context;
use crate::instance::Instance;
use crate::misuse::{self, check_thread};
use crate::parsers::Parser;

/// # Safety
/// See the module: true of every function here.
pub unsafe extern "C" fn get_property(key: *const c_char, ins: *mut flb_input_instance) -> *const c_char {
    // SAFETY: the contract.
    let (instance, key) = unsafe { (Instance::from_host(ins), CStr::from_ptr(key)) };
    instance.properties().first(key)
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn set_context(ins: *mut flb_input_instance, context: *mut c_void) {
    check_thread("flb_input_set_context");
    // SAFETY: the contract.
    unsafe { Instance::from_host(ins) }.set_context(context);
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn name(ins: *mut flb_input_instance) -> *const c_char {
    // SAFETY: the contract.
    unsafe { Instance::from_host(ins) }.shown().as_ptr()
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn log_check(ins: *mut flb_input_instance, level: c_int) -> c_int {
    // SAFETY: the contract.
    let instance = unsafe { Instance::from_host(ins) };
    c_int::from(level <= instance.log_level())
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn log(level: c_int, line: *const c_char) {
    check_thread("flb_log_print");
    // SAFETY: the surface formatted the line into a buffer of its own.
    let line = unsafe { text(line) };
    crate::log::print(level, format_args!("{line}"));
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn set_collector_event(
    ins: *mut flb_input_instance,
    callback: flb_input_collect_fn,
    fd: c_int,
    _config: *mut flb_config,
) -> c_int {
    // SAFETY: the contract.
    let instance = unsafe { Instance::from_host(ins) };
    collectors(instance, "flb_input_set_collector_event").add_event(fd, callback)
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn set_collector_time(
    ins: *mut flb_input_instance,
    callback: flb_input_collect_fn,
    seconds: i64,
    nanoseconds: c_long,
    _config: *mut flb_config,
) -> c_int {
    // SAFETY: the contract.
    let instance = unsafe { Instance::from_host(ins) };
    collectors(instance, "flb_input_set_collector_time").add_time(seconds, nanoseconds, callback)
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn collector_start(id: c_int, ins: *mut flb_input_instance) -> c_int {
    // SAFETY: the contract.
    let instance = unsafe { Instance::from_host(ins) };
    collectors(instance, "flb_input_collector_start").start(id, instance.events(), instance.id)
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn collector_pause(id: c_int, ins: *mut flb_input_instance) -> c_int {
    // SAFETY: the contract.
    let instance = unsafe { Instance::from_host(ins) };
    collectors(instance, "flb_input_collector_pause").pause(id, instance.events())
}

/// Once the engine is shutting down this does nothing and answers 0.
///
/// # Safety
/// See the module.
pub unsafe extern "C" fn collector_resume(id: c_int, ins: *mut flb_input_instance) -> c_int {
    // SAFETY: the contract.
    let instance = unsafe { Instance::from_host(ins) };
    let mut collectors = collectors(instance, "flb_input_collector_resume");
    let idle = collectors.running(id) == 0 && collectors.ids().contains(&id);
    if idle && !instance.shared.is_ingesting() {
        return 0;
    }
    collectors.resume(id, instance.events(), instance.id, &instance.name)
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn collector_delete(id: c_int, ins: *mut flb_input_instance) -> c_int {
    // SAFETY: the contract.
    let instance = unsafe { Instance::from_host(ins) };
    collectors(instance, "flb_input_collector_delete").delete(id, instance.events())
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn collector_running(id: c_int, ins: *mut flb_input_instance) -> c_int {
    // SAFETY: the contract.
    let instance = unsafe { Instance::from_host(ins) };
    collectors(instance, "flb_input_collector_running").running(id)
}

fn collectors<'i>(instance: &'i Instance, function: &str) -> MutexGuard<'i, Collectors> {
    check_thread(function);
    instance.collectors.lock().expect("no panic under it")
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn log_append(
    ins: *mut flb_input_instance,
    tag: *const c_char,
    tag_len: usize,
    buf: *const c_void,
    len: usize,
) -> c_int {
    check_thread("flb_input_log_append");
    // SAFETY: the contract.
    unsafe { append(ins, None, (tag, tag_len), (buf, len)) }
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn log_append_records(
    ins: *mut flb_input_instance,
    records: usize,
    tag: *const c_char,
    tag_len: usize,
    buf: *const c_void,
    len: usize,
) -> c_int {
    check_thread("flb_input_log_append_records");
    // SAFETY: the contract.
    unsafe { append(ins, Some(records), (tag, tag_len), (buf, len)) }
}

/// # Safety
/// See the module.
unsafe fn append(
    ins: *mut flb_input_instance,
    records: Option<usize>,
    (tag, tag_len): (*const c_char, usize),
    (buf, len): (*const c_void, usize),
) -> c_int {
    // SAFETY: the contract.
    let instance = unsafe { Instance::from_host(ins) };
    if buf.is_null() || len == 0 {
        return -1;
    }
    // SAFETY: the plugin vouches for its buffer until this returns.
    let bytes = unsafe { std::slice::from_raw_parts(buf.cast::<u8>(), len) };
    let tag = (!tag.is_null() && tag_len > 0).then(|| {
        // SAFETY: as for the buffer.
        let tag = unsafe { std::slice::from_raw_parts(tag.cast::<u8>(), tag_len) };
        String::from_utf8_lossy(tag)
    });
    match instance.thread.get() {
        Some(thread) => thread.queue(records, tag.as_deref(), bytes),
        None => instance.append(records, tag.as_deref(), bytes),
    }
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn parser_get(name: *const c_char, config: *mut flb_config) -> *mut flb_parser {
    check_thread("flb_parser_get");
    // SAFETY: the contract.
    let (context, name) = unsafe { (Context::from_host(config), CStr::from_ptr(name)) };
    context.parser(name).map_or(ptr::null_mut(), |parser| ptr::from_ref(parser).cast_mut().cast())
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn parser_do(
    parser: *mut flb_parser,
    buf: *const c_char,
    len: usize,
    out: *mut *mut c_void,
    out_len: *mut usize,
    time: *mut flb_time,
) -> c_int {
    check_thread("flb_parser_do");
    // SAFETY: the contract; a null buffer comes with no length.
    let line = match len {
        0 => &[],
        // SAFETY: the contract.
        len => unsafe { std::slice::from_raw_parts(buf.cast::<u8>(), len) },
    };
    // SAFETY: `parser_get` handed it out.
    let parser = unsafe { &*parser.cast::<Parser>() };
    let Some(map) = parser.parse(line) else { return -1 };
    // SAFETY: a plain allocation; the plugin gives it back through `flb_lib_free`.
    let copy = unsafe { libc::malloc(map.len()) };
    assert!(!copy.is_null(), "out of memory");
    // SAFETY: the copy is new and as large; the three results are variables of the plugin's.
    unsafe {
        ptr::copy_nonoverlapping(map.as_ptr(), copy.cast::<u8>(), map.len());
        *out = copy;
        *out_len = map.len();
        // No parser here finds a time.
        time.cast::<[i64; 2]>().write([0, 0]);
    }
    c_int::try_from(len).unwrap_or(c_int::MAX)
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn lib_free(data: *mut c_void) -> c_int {
    if data.is_null() {
        return -1;
    }
    // SAFETY: the contract: what the host allocated with `malloc`.
    unsafe { libc::free(data) };
    0
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn time_get(time: *mut flb_time) -> c_int {
    // SAFETY: the same layout, and the caller's variable.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, time.cast()) }
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn engine_exit(config: *mut flb_config) -> c_int {
    // SAFETY: the contract.
    unsafe { Context::from_host(config) }.shared.request_stop();
    // The number of bytes that the real one writes to a pipe.
    8
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn engine_exit_status(config: *mut flb_config, status: c_int) -> c_int {
    // SAFETY: the contract.
    let context = unsafe { Context::from_host(config) };
    context.shared.set_exit_status(status);
    context.shared.request_stop();
    8
}

/// # Safety
/// See the module.
pub unsafe extern "C" fn not_imitated(function: *const c_char) -> c_int {
    // SAFETY: a constant of the surface.
    let function = unsafe { text(function) };
    misuse::report(format_args!("{function} was called, which this host doesn't imitate"));
    -1
}
