//! An input's properties, kept as the host keeps them: a list of key and value that plugins may search.

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char};
use std::ptr;

use crate::abi::{flb_kv, mk_list};

/// The list's head and, behind it, what it links. `link` has to be called at its final place.
#[repr(C)]
pub struct Properties {
    head: UnsafeCell<mk_list>,
    entries: Vec<Entry>,
}

struct Entry {
    key: CString,
    value: CString,
    /// On the heap, so that it stays where the list says it is.
    kv: Box<UnsafeCell<flb_kv>>,
}

// SAFETY: written by `link` only, before the instance is given to any other thread.
unsafe impl Send for Properties {}
// SAFETY: as above.
unsafe impl Sync for Properties {}

impl Properties {
    /// Takes the properties in the order in which they were given. `${NAME}` in a value stands for an
    /// environment variable.
    pub fn new(pairs: &[(String, String)]) -> Result<Self, String> {
        let empty = mk_list { prev: ptr::null_mut(), next: ptr::null_mut() };
        let entry = |(key, value): &(String, String)| {
            let c_string =
                |text: String| CString::new(text).map_err(|_| format!("property '{key}' contains a NUL"));
            let kv = flb_kv { key: ptr::null_mut(), val: ptr::null_mut(), _head: empty };
            Ok(Entry {
                key: c_string(key.clone())?,
                value: c_string(expanded(value))?,
                kv: Box::new(UnsafeCell::new(kv)),
            })
        };
        let entries = pairs.iter().map(entry).collect::<Result<Vec<_>, String>>()?;
        Ok(Self { head: UnsafeCell::new(empty), entries })
    }

    /// Builds the list.
    pub fn link(&self) {
        let head = self.head.get();
        // SAFETY: head and entries are ours and have their final places; nobody else has them yet.
        unsafe { head.write(mk_list { prev: head, next: head }) };
        for entry in &self.entries {
            let kv = entry.kv.get();
            // SAFETY: as above.
            unsafe {
                (*kv).key = entry.key.as_ptr().cast_mut();
                // An empty value counts as none.
                let value = entry.value.as_ptr().cast_mut();
                (*kv).val = if entry.value.is_empty() { ptr::null_mut() } else { value };
                let node = &raw mut (*kv)._head;
                let last = (*head).prev;
                node.write(mk_list { prev: last, next: head });
                (*last).next = node;
                (*head).prev = node;
            }
        }
    }

    /// The first value of `key`, as the host answers it: the pointer that is in the list, or null.
    pub fn first(&self, key: &CStr) -> *const c_char {
        let same = |entry: &&Entry| entry.key.as_bytes().eq_ignore_ascii_case(key.to_bytes());
        self.entries.iter().find(same).map_or(ptr::null(), |entry| {
            // SAFETY: written once, by `link`.
            unsafe { (*entry.kv.get()).val }
        })
    }

    /// Every key, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.to_str().expect("keys were strings"))
    }
}

/// Replaces every `${NAME}` by the environment's value; what isn't set becomes nothing.
fn expanded(value: &str) -> String {
    let mut result = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        result.push_str(before);
        result.push_str(&std::env::var(name).unwrap_or_default());
        rest = after;
    }
    result.push_str(rest);
    result
}
