//! Counters that plugins keep in the host (cmetrics in the real one), and how to look at them.

use std::ffi::{c_char, c_int};
use std::pin::Pin;
use std::ptr;
use std::sync::Mutex;

use crate::abi::{cmt, cmt_counter, flb_input_instance, text};
use crate::instance::Instance;
use crate::misuse::check_thread;

/// The counters of one input.
#[derive(Debug, Default)]
pub struct Counters {
    /// Plugins hold pointers to them.
    list: Mutex<Vec<Pin<Box<Counter>>>>,
}

/// One counter with a value for each set of labels.
#[derive(Debug)]
struct Counter {
    name: String,
    labels: Vec<String>,
    values: Mutex<Vec<(Vec<String>, f64)>>,
}

impl Counters {
    /// All values in Prometheus' text form, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for counter in self.list.lock().expect("no panic under it").iter() {
            for (labels, value) in counter.values.lock().expect("no panic under it").iter() {
                let pairs = counter.labels.iter().zip(labels);
                let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}=\"{value}\"")).collect();
                lines.push(format!("{}{{{}}} {value}", counter.name, pairs.join(",")));
            }
        }
        lines
    }
}

/// `flb_input_get_cmt_instance`.
///
/// # Safety
/// An input of this host.
pub unsafe extern "C" fn of_instance(ins: *mut flb_input_instance) -> *mut cmt {
    // SAFETY: the contract of the interface.
    let instance = unsafe { Instance::from_host(ins) };
    ptr::from_ref(&instance.counters).cast_mut().cast()
}

/// `cmt_counter_create`.
///
/// # Safety
/// A context of `of_instance`; strings that end in NUL; as many label keys as said.
pub unsafe extern "C" fn create(
    cmt: *mut cmt,
    namespace: *mut c_char,
    subsystem: *mut c_char,
    name: *mut c_char,
    help: *mut c_char,
    label_count: c_int,
    keys: *mut *mut c_char,
) -> *mut cmt_counter {
    check_thread("cmt_counter_create");
    // SAFETY: the contract.
    let (counters, parts, labels) = unsafe {
        let parts = [text(namespace), text(subsystem), text(name)];
        (&*cmt.cast::<Counters>(), parts, strings(label_count, keys))
    };
    if parts[2].is_empty() || help.is_null() {
        return ptr::null_mut();
    }
    let counter = Box::pin(Counter { name: parts.join("_"), labels, values: Mutex::default() });
    let pointer = ptr::from_ref(&*counter).cast_mut();
    counters.list.lock().expect("no panic under it").push(counter);
    pointer.cast()
}

/// `cmt_counter_set`: -1 if it would go back.
///
/// # Safety
/// A counter of `create`, as many label values as said.
pub unsafe extern "C" fn set(
    counter: *mut cmt_counter,
    _timestamp: u64,
    value: f64,
    label_count: c_int,
    labels: *mut *mut c_char,
) -> c_int {
    // SAFETY: the contract.
    let (counter, labels) = unsafe { (&*counter.cast::<Counter>(), strings(label_count, labels)) };
    if labels.len() != counter.labels.len() {
        return -1;
    }
    let mut values = counter.values.lock().expect("no panic under it");
    match values.iter_mut().find(|(known, _)| *known == labels) {
        Some((_, known)) if *known > value => return -1,
        Some((_, known)) => *known = value,
        None => values.push((labels, value)),
    }
    0
}

/// # Safety
/// `strings` points to `count` strings that end in NUL.
unsafe fn strings(count: c_int, strings: *mut *mut c_char) -> Vec<String> {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: the caller's promise.
    (0..count).map(|at| unsafe { text(*strings.add(at)) }).collect()
}
