//! What Fluent Bit sees of us, top-down: option table, callbacks, registrations, and the constructor that
//! fits all of it to the host it finds itself in.
//!
//! Every callback is a shim of one shape: panic guard, safe function, host status. No panic leaves it.

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use super::instance::{Instance, Started};
use crate::config::{Kind, OPTIONS};
use crate::event::Level;
use crate::host::abi::{self, flb_config, flb_input_instance};
use crate::host::api::{Functions, Input};
use crate::host::layout::{self, Detection, Generation, HostLayout};
use crate::host::symbols::{Symbols, image_of};
use crate::host::takeover::{self, Takeover};
use crate::panics;

/// What the constructor learned; read by every callback.
struct Plugin {
    /// The name we are registered under.
    name: &'static str,
    functions: Functions,
    /// Or why we can't serve this host.
    layout: Result<HostLayout, String>,
}

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

// ---- option table ----

/// The option table in the host's form, for a host whose entries lie `stride` bytes apart. Never freed:
/// the host reads it whenever it likes.
fn config_map(stride: usize) -> *const c_void {
    let words_per_entry = stride / size_of::<u64>();
    // One entry more, all zero, ends the table.
    let table = vec![0u64; words_per_entry * (OPTIONS.len() + 1)].leak();
    for (entry, spec) in table.chunks_exact_mut(words_per_entry).zip(OPTIONS) {
        let kind = match spec.kind {
            Kind::Text => abi::FLB_CONFIG_MAP_STR,
            Kind::Integer => abi::FLB_CONFIG_MAP_INT,
            Kind::Boolean => abi::FLB_CONFIG_MAP_BOOL,
            Kind::Size => abi::FLB_CONFIG_MAP_SIZE,
            Kind::Time => abi::FLB_CONFIG_MAP_TIME,
            Kind::List => abi::FLB_CONFIG_MAP_CLIST,
        };
        let head = abi::flb_config_map_head {
            type_: c_int::try_from(kind).expect("types are small"),
            name: c_string(spec.name),
            def_value: spec.default.map_or(ptr::null(), c_string),
            flags: if spec.repeated { c_int::try_from(abi::FLB_CONFIG_MAP_MULT).expect("small") } else { 0 },
            // Nothing is stored for us at an offset: values are asked for.
            set_property: 0,
            offset: 0,
            desc: c_string(spec.help),
        };
        // SAFETY: an entry is at least as long as its head, and aligned to a machine word.
        unsafe { entry.as_mut_ptr().cast::<abi::flb_config_map_head>().write(head) };
    }
    table.as_ptr().cast()
}

/// A copy for the host that lives for ever.
fn c_string(text: &str) -> *const c_char {
    CString::new(text).expect("texts of the option table have no NUL").into_raw()
}

// ---- callbacks ----

/// Runs `body`; a panic is logged and answered with `otherwise`.
fn guard<T>(callback: &str, otherwise: T, body: impl FnOnce() -> T) -> T {
    #[cfg(debug_assertions)]
    let body = || {
        panic_on_purpose(callback);
        body()
    };
    // What a panic may leave half-done is only our own instance, which stops being used with it or keeps
    // its invariants by itself: its locks recover, its counters only grow.
    panics::caught(body).unwrap_or_else(|what| {
        if let Some(plugin) = PLUGIN.get() {
            plugin.functions.log(Level::Error, &format!("[exec_wasi] {callback} panicked: {what}."));
        }
        otherwise
    })
}

/// For the tests: panics in the callback that `EXEC_WASI_PANIC_IN` names. Not in a release build.
#[cfg(debug_assertions)]
fn panic_on_purpose(callback: &str) {
    assert!(std::env::var_os("EXEC_WASI_PANIC_IN").is_none_or(|name| name != callback), "on purpose");
}

/// The host's context pointer for an instance; taken back by [`from_host`] once, in `cb_exit`.
fn into_host(instance: Box<Instance>) -> *mut c_void {
    Box::into_raw(instance).cast()
}

/// # Safety
/// `context` must come from [`into_host`], and no callback of this instance may run any more.
unsafe fn from_host(context: *mut c_void) -> Box<Instance> {
    // SAFETY: the caller's promise.
    unsafe { Box::from_raw(context.cast()) }
}

/// # Safety
/// `context` must come from [`into_host`] and not have been taken back, for as long as `'a`.
unsafe fn borrow<'a>(context: *mut c_void) -> Option<&'a Instance> {
    // SAFETY: the caller's promise. Only shared references are made until `from_host`, and an instance is `Sync`.
    unsafe { context.cast::<Instance>().as_ref() }
}

/// Engine thread, or the instance's own when `threaded`. Reads the options and registers collectors;
/// opens no file. -1 stops the engine's start.
unsafe extern "C" fn cb_init(raw: *mut flb_input_instance, config: *mut flb_config, _: *mut c_void) -> c_int {
    guard("cb_init", -1, || {
        let Some(plugin) = PLUGIN.get() else {
            return -1;
        };
        // SAFETY: the host's pointers, used only inside this instance's callbacks.
        let Some(input) = (unsafe { Input::from_host(raw, config, &plugin.functions) }) else {
            return -1;
        };
        let layout = match &plugin.layout {
            Ok(layout) => layout,
            Err(refusal) => {
                plugin.functions.log(Level::Error, &format!("[input:{}] {refusal}.", plugin.name));
                return -1;
            }
        };
        let call = Started { input, plugin_name: plugin.name, wire: layout.wire, collect: Some(cb_collect) };
        match Instance::init(call) {
            Some(instance) => {
                // SAFETY: what the callbacks expect, and alive until `cb_exit`.
                unsafe { input.set_context(into_host(instance)) };
                0
            }
            None => -1,
        }
    })
}

/// The same thread, when every plugin of the configuration has been initialised: the guest starts.
unsafe extern "C" fn cb_pre_run(
    _: *mut flb_input_instance,
    _: *mut flb_config,
    context: *mut c_void,
) -> c_int {
    guard("cb_pre_run", 0, || {
        // SAFETY: the host passes what `cb_init` gave it, between `cb_init` and `cb_exit`.
        if let Some(instance) = unsafe { borrow(context) } {
            instance.start();
        }
        0
    })
}

/// The same thread, when the guest's thread has rung, or it is time to look again. Always 0. Waits for nothing but what
/// the host's own append waits for: where the input has its own thread and the engine doesn't come for its records, that
/// is a second.
unsafe extern "C" fn cb_collect(
    _: *mut flb_input_instance,
    _: *mut flb_config,
    context: *mut c_void,
) -> c_int {
    guard("cb_collect", 0, || {
        // SAFETY: as in `cb_pre_run`.
        if let Some(instance) = unsafe { borrow(context) } {
            instance.collect();
        }
        0
    })
}

/// The same thread, from inside an append as well. The engine takes no more records for now, or for good.
unsafe extern "C" fn cb_pause(context: *mut c_void, _: *mut flb_config) {
    guard("cb_pause", (), || {
        // SAFETY: as in `cb_pre_run`.
        if let Some(instance) = unsafe { borrow(context) } {
            instance.pause();
        }
    });
}

/// The same thread; up to 2.1.8 the engine's, even when `threaded`. The context may be null up to 5.0.
unsafe extern "C" fn cb_resume(context: *mut c_void, _: *mut flb_config) {
    guard("cb_resume", (), || {
        // SAFETY: as in `cb_pre_run`.
        if let Some(instance) = unsafe { borrow(context) } {
            instance.resume();
        }
    });
}

/// 5.1, the engine's thread, before a threaded instance is told to exit: only interrupts.
unsafe extern "C" fn cb_pre_exit(context: *mut c_void, _: *mut flb_config) {
    guard("cb_pre_exit", (), || {
        // SAFETY: as in `cb_pre_run`.
        if let Some(instance) = unsafe { borrow(context) } {
            instance.cancel();
        }
    });
}

/// The same thread as `cb_init`; the last call. Stops the guest's thread and frees everything.
unsafe extern "C" fn cb_exit(context: *mut c_void, _: *mut flb_config) -> c_int {
    guard("cb_exit", 0, || {
        if !context.is_null() {
            // SAFETY: the host passes what `cb_init` gave it, once, and calls nothing of this instance
            // afterwards.
            unsafe { from_host(context) }.exit();
        }
        0
    })
}

// ---- registrations ----

/// Memory the host copies its registration struct from, by its own idea of the size: far more than any
/// known one, so that a later, larger struct reads zeros.
#[repr(C, align(16))]
pub struct Registration(UnsafeCell<[u64; 512]>);

// SAFETY: written by the constructor only, before the loader's caller can look the symbol up.
unsafe impl Sync for Registration {}

#[allow(non_upper_case_globals, reason = "the host derives this name from the file's")]
#[unsafe(no_mangle)]
/// Found by a host that loads us as `flb-in_exec_wasi.so`.
pub static in_exec_wasi_plugin: Registration = Registration(UnsafeCell::new([0; 512]));

#[allow(non_upper_case_globals, reason = "the host derives this name from the file's")]
#[unsafe(no_mangle)]
/// Found by a host that loads us as `flb-in_wasi.so`.
pub static in_wasi_plugin: Registration = Registration(UnsafeCell::new([0; 512]));

impl Registration {
    /// # Safety
    /// Only for the constructor: nobody else may look at the registration yet.
    unsafe fn fill(&self, name: &'static CStr, layout: Option<&HostLayout>) {
        let description = match layout {
            Some(_) => c"WASI programs: each line of output is a record (wasmtime)",
            None => c"WASI programs: this Fluent Bit is not supported by the plugin that was loaded",
        };
        let stride = layout.map_or(size_of::<abi::flb_config_map_96>(), |known| known.config_map_stride);
        let head = abi::flb_input_plugin_head {
            type_: 0,
            proxy: ptr::null_mut(),
            flags: 0,
            name: name.as_ptr(),
            description: description.as_ptr(),
            config_map: if layout.is_some() { config_map(stride) } else { ptr::null() },
            cb_init: Some(cb_init),
            cb_pre_run: Some(cb_pre_run),
            cb_collect: Some(cb_collect),
        };
        let at = self.0.get();
        // SAFETY: the memory is larger and more aligned than any of the structs, and ours alone by the
        // caller's promise. The head is the beginning of each of them.
        unsafe { at.cast::<abi::flb_input_plugin_head>().write(head) };
        macro_rules! fill {
            ($plugin:ty $(, $extra:ident: $call:expr)*) => {{
                // SAFETY: as above.
                let plugin = unsafe { &mut *at.cast::<$plugin>() };
                plugin.cb_pause = Some(cb_pause);
                plugin.cb_resume = Some(cb_resume);
                plugin.cb_exit = Some(cb_exit);
                $(plugin.$extra = $call;)*
            }};
        }
        match layout.map(|known| known.generation) {
            Some(Generation::A) => fill!(abi::flb_input_plugin_a),
            Some(Generation::B) => fill!(abi::flb_input_plugin_b),
            Some(Generation::C) => fill!(abi::flb_input_plugin_c),
            Some(Generation::D) => fill!(abi::flb_input_plugin_d),
            Some(Generation::E) => fill!(abi::flb_input_plugin_e, cb_pre_exit: Some(cb_pre_exit)),
            // Only the head is known to be where it is.
            None => {}
        }
    }
}

// ---- constructor ----

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = constructor;

/// Runs when the library is mapped, on the thread that loads it; starts no thread, since the host may
/// fork afterwards. In a process that is no Fluent Bit it does nothing.
extern "C" fn constructor() {
    // Whatever comes below, a host that copies a registration finds one it can read and we refuse.
    fill_registrations(UNSUPPORTED, None);
    // A panic here can only come from memory running out or a defect; then that is how it stays.
    let _ = panics::caught(|| {
        if let Some(symbols) = Symbols::of_program() {
            register(&symbols);
        }
    });
}

/// Not a name the built-in may have: it goes on as if we weren't there.
const UNSUPPORTED: &CStr = c"exec_wasi_unsupported";

/// Only for the constructor.
fn fill_registrations(name: &'static CStr, layout: Option<&HostLayout>) {
    for registration in [&in_exec_wasi_plugin, &in_wasi_plugin] {
        // SAFETY: the library is still being loaded.
        unsafe { registration.fill(name, layout) };
    }
}

fn register(symbols: &Symbols) {
    let detection = layout::detect(symbols);
    if detection == Detection::NotAHost {
        return;
    }
    panics::keep_places();
    // SAFETY: the program exports Fluent Bit's functions and built-in plugins.
    let functions = match unsafe { Functions::look_up(symbols) } {
        Ok(functions) => functions,
        Err(missing) => {
            // Its log may be what is missing, so there is only standard error.
            eprintln!(
                "[exec_wasi] unsupported Fluent Bit: it has no function {missing}; use a release of this plugin that knows this host."
            );
            return;
        }
    };
    let (name, layout) = match &detection {
        Detection::Known(layout) => (choose_name(symbols, &functions), Ok(*layout)),
        other => {
            let refusal = other.refusal().unwrap_or_default();
            functions.log(Level::Error, &format!("[exec_wasi] {refusal}."));
            (UNSUPPORTED, Err(refusal))
        }
    };
    fill_registrations(name, layout.as_ref().ok());
    let plugin = Plugin { name: name.to_str().expect("our names are ASCII"), functions, layout };
    // The constructor runs once per mapped library, so the cell is empty.
    let _ = PLUGIN.set(plugin);
}

fn choose_name(symbols: &Symbols, functions: &Functions) -> &'static CStr {
    let ours: *const c_void = (&raw const in_exec_wasi_plugin).cast();
    let file = image_of(ours.addr()).map(|image| image.file).unwrap_or_default();
    match Path::new(&file).file_name().map(OsStr::to_string_lossy).as_deref() {
        Some("flb-in_wasi.so") => return c"wasi",
        Some("flb-in_exec_wasi.so") | None => {}
        // The built-in stays what it is then.
        Some(other) => {
            let what = format!(
                "[exec_wasi] The plugin's file is named \"{other}\", under which Fluent Bit does not find it: name it flb-in_exec_wasi.so."
            );
            functions.log(Level::Error, &what);
            return UNSUPPORTED;
        }
    }
    let kept = if std::env::var_os("EXEC_WASI_KEEP_BUILTIN").is_some_and(|value| value == "1")
        && symbols.address(c"in_exec_wasi_plugin").is_some()
    {
        "EXEC_WASI_KEEP_BUILTIN=1 says so".to_owned()
    } else {
        match takeover::take_name(symbols, ours) {
            Takeover::NoBuiltIn | Takeover::Renamed => return c"exec_wasi",
            Takeover::Kept(reason) => reason,
        }
    };
    functions.log(
        Level::Warn,
        &format!(
            "[exec_wasi] The built-in exec_wasi keeps its name ({kept}); use this plugin as \"Name wasi\"."
        ),
    );
    c"wasi"
}
