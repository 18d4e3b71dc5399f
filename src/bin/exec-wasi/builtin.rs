//! The built-in inputs: `dummy` works, `exec_wasi` refuses as the real one does, others are names only.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use rmpv::Value;

use crate::abi::{flb_config, flb_input_instance};
use crate::api;
use crate::instance::Instance;
use crate::log::{error, info, warning};
use crate::records;

/// State of a `dummy` input: its context.
struct Dummy {
    input: *mut flb_input_instance,
    collector: c_int,
    body: Value,
    /// Records still to be made; `None` never ends.
    left: Option<u64>,
}

/// `cb_init` of `dummy`.
///
/// # Safety
/// Called by the engine with an instance of this host.
pub unsafe extern "C" fn dummy_init(
    ins: *mut flb_input_instance,
    _config: *mut flb_config,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: the engine passes its own instance.
    let instance = unsafe { Instance::from_host(ins) };
    match dummy(instance) {
        Ok((mut dummy, nanoseconds)) => {
            let mut collectors = instance.collectors.lock().expect("no panic under it");
            let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
            dummy.collector = collectors.add_time(seconds, rest, Some(dummy_collect));
            instance.set_context(Box::into_raw(Box::new(dummy)).cast());
            0
        }
        Err(error) => {
            error!("[input:dummy:{}] {error}", instance.label());
            -1
        }
    }
}

fn dummy(instance: &Instance) -> Result<(Dummy, i64), String> {
    let text = property(instance, c"dummy").unwrap_or_else(|| r#"{"message":"dummy"}"#.to_owned());
    let body: Value = serde_json::from_str(&text).map_err(|error| format!("dummy '{text}': {error}"))?;
    if !body.is_map() {
        return Err(format!("dummy '{text}' is no JSON object"));
    }
    let number = |key: &CStr, default: u64| match property(instance, key) {
        Some(text) => text.parse::<u64>().map_err(|error| format!("{key:?} '{text}': {error}")),
        None => Ok(default),
    };
    let rate = i64::try_from(number(c"rate", 1)?.max(1)).map_err(|error| error.to_string())?;
    let samples = number(c"samples", 0)?;
    let left = (samples > 0).then_some(samples);
    Ok((Dummy { input: instance.as_host(), collector: -1, body, left }, 1_000_000_000 / rate))
}

fn property(instance: &Instance, key: &CStr) -> Option<String> {
    let value = instance.properties().first(key);
    // SAFETY: a value of this instance's list.
    (!value.is_null()).then(|| unsafe { crate::abi::text(value) })
}

unsafe extern "C" fn dummy_collect(
    ins: *mut flb_input_instance,
    _config: *mut flb_config,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the loop passes its own instance.
    let instance = unsafe { Instance::from_host(ins) };
    // SAFETY: the context of `dummy_init`; collectors of one instance never run at the same time.
    let dummy = unsafe { &mut *context.cast::<Dummy>() };
    match &mut dummy.left {
        Some(0) => return 0,
        Some(left) => *left -= 1,
        None => {}
    }
    let record = records::encode(&dummy.body, instance.shared.host);
    if let Some(thread) = instance.thread.get() {
        thread.queue(Some(1), None, &record)
    } else {
        instance.append(Some(1), None, &record)
    };
    0
}

/// `cb_pause` of `dummy`.
///
/// # Safety
/// Called by the engine with the context of `dummy_init`.
pub unsafe extern "C" fn dummy_pause(context: *mut c_void, _config: *mut flb_config) {
    // SAFETY: the context is the one that was set.
    let Dummy { input, collector, .. } = unsafe { &*context.cast::<Dummy>() };
    // SAFETY: a dummy ends before its instance.
    unsafe { api::collector_pause(*collector, *input) };
}

/// `cb_resume` of `dummy`.
///
/// # Safety
/// As for `dummy_pause`.
pub unsafe extern "C" fn dummy_resume(context: *mut c_void, _config: *mut flb_config) {
    // SAFETY: the context is the one that was set.
    let Dummy { input, collector, .. } = unsafe { &*context.cast::<Dummy>() };
    // SAFETY: a dummy ends before its instance.
    unsafe { api::collector_resume(*collector, *input) };
}

/// `cb_exit` of `dummy`.
///
/// # Safety
/// Called by the engine, once, with the context of `dummy_init`.
pub unsafe extern "C" fn dummy_exit(context: *mut c_void, _config: *mut flb_config) -> c_int {
    // SAFETY: made by `dummy_init`, not used after this.
    drop(unsafe { Box::from_raw(context.cast::<Dummy>()) });
    0
}

/// `cb_init` of the built-in `exec_wasi`: fails without a program, as the real one does.
///
/// # Safety
/// Called by the engine with an instance of this host.
pub unsafe extern "C" fn exec_wasi_init(
    ins: *mut flb_input_instance,
    _config: *mut flb_config,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: the engine passes its own instance.
    let instance = unsafe { Instance::from_host(ins) };
    let (plugin, label) = (instance.plugin.name(), instance.label());
    let path = instance.properties().first(c"wasi_path");
    if ptr::eq(path, ptr::null()) {
        error!("[input:{plugin}:{label}] no input 'command' was given");
        return -1;
    }
    info!("[input:{plugin}:{label}] this built-in is imitated: it accepts its options and makes no records");
    0
}

/// `cb_init` of built-ins that exist for their registration only.
///
/// # Safety
/// Called by the engine with an instance of this host.
pub unsafe extern "C" fn other_init(
    ins: *mut flb_input_instance,
    _config: *mut flb_config,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: the engine passes its own instance.
    let instance = unsafe { Instance::from_host(ins) };
    warning!("[input:{}] only the name of this built-in is imitated", instance.label());
    -1
}
