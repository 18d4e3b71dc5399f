//! The values a user gave for an option, all of them where it may be repeated.
//!
//! `flb_input_get_property` tells the first value only, and no function tells the others. But the pointer
//! it returns is the `val` of a `struct flb_kv`, which stands in the instance's list of properties; so the
//! instance is searched for a list that has a node with exactly this pointer. No offset is assumed, and
//! every look goes through [`memory`], so a wrong guess is an error of a system call, not a fault. Where
//! the kernel forbids such looks, or a value is longer than anyone's, the first is all that is known.

use std::ffi::{CStr, CString};
use std::mem::offset_of;

use super::abi::{flb_kv, mk_list};
use super::api::Input;
use super::memory;
use crate::config::{Given, OPTIONS, Properties};

/// How far an instance's list of properties may lie behind its beginning (2.0 to 5.1: below 1 KB).
const INSTANCE_BYTES: usize = 4096;
/// More properties than anyone writes; ends a walk that went astray.
const MAX_PROPERTIES: usize = 4096;
/// Longest property looked at.
const MAX_VALUE_BYTES: usize = 1 << 16;

const WORD: usize = size_of::<usize>();
const NODE_IN_KV: usize = offset_of!(flb_kv, _head);
const _: () = assert!(offset_of!(flb_kv, key) == 0 && offset_of!(flb_kv, val) == WORD);
const _: () = assert!(offset_of!(mk_list, prev) == 0 && offset_of!(mk_list, next) == WORD);

impl Properties for Input {
    fn values(&self, name: &str) -> Given {
        let key = CString::new(name).expect("option names have no NUL");
        let Some(first) = self.property(&key) else {
            return Given::default();
        };
        let repeated = OPTIONS.iter().any(|spec| spec.name == name && spec.repeated);
        let all = repeated.then(|| all_values(self.address(), &key, first)).flatten();
        all.map_or_else(
            || Given { values: vec![first.to_bytes().to_vec()], may_be_more: repeated },
            Given::from,
        )
    }
}

/// Every value of `key` in the list of properties in which `first` is a value.
fn all_values(instance: usize, key: &CStr, first: &CStr) -> Option<Vec<Vec<u8>>> {
    let mut bytes = vec![0u8; INSTANCE_BYTES];
    let readable = memory::read(instance, &mut bytes);
    let word_at = |at: usize| Some(usize::from_ne_bytes(bytes.get(at..at + WORD)?.try_into().ok()?));
    (0..readable.saturating_sub(2 * WORD))
        .step_by(WORD)
        .filter_map(|at| {
            let (prev, next) = (word_at(at)?, word_at(at + WORD)?);
            list_with(instance + at, prev, next, first.as_ptr().addr())
        })
        .next()
        .and_then(|properties| {
            let same_key = properties.iter().filter(|(name, _)| {
                memory::text(*name, key.count_bytes() + 1)
                    .is_some_and(|name| name.eq_ignore_ascii_case(key.to_bytes()))
            });
            same_key.map(|(_, value)| memory::text(*value, MAX_VALUE_BYTES)).collect()
        })
}

/// The (key, value) addresses of the circular list whose head is at `head`, if it is one, through and
/// through, and one of its values is `wanted`.
fn list_with(head: usize, prev: usize, next: usize, wanted: usize) -> Option<Vec<(usize, usize)>> {
    let mut properties = Vec::new();
    let mut found = false;
    let (mut before, mut node) = (head, next);
    while node != head {
        if properties.len() == MAX_PROPERTIES || node < NODE_IN_KV || !node.is_multiple_of(WORD) {
            return None;
        }
        let [key, val, node_prev, node_next] = memory::words::<4>(node - NODE_IN_KV)?;
        if node_prev != before {
            return None;
        }
        found |= val == wanted;
        properties.push((key, val));
        (before, node) = (node, node_next);
    }
    (found && prev == before).then_some(properties)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    /// An instance as the host has it: something, the list's head, something else.
    #[repr(C)]
    struct Instance {
        noise: [usize; 7],
        properties: mk_list,
        more: [usize; 9],
    }

    fn with_properties<T>(given: &[(&CStr, &CStr)], check: impl FnOnce(usize, &[flb_kv]) -> T) -> T {
        let mut instance = Box::new(Instance {
            noise: [0x1000, 8, usize::MAX, 3, 0, 1, 2],
            properties: mk_list { prev: ptr::null_mut(), next: ptr::null_mut() },
            more: [5; 9],
        });
        let mut pairs: Vec<flb_kv> = given
            .iter()
            .map(|(key, val)| flb_kv {
                key: key.as_ptr().cast_mut(),
                val: val.as_ptr().cast_mut(),
                _head: mk_list { prev: ptr::null_mut(), next: ptr::null_mut() },
            })
            .collect();
        let head = &raw mut instance.properties;
        let mut nodes = vec![head];
        nodes.extend(pairs.iter_mut().map(|pair| &raw mut pair._head));
        nodes.push(head);
        for pair in nodes.windows(2) {
            // SAFETY: the nodes are fields of `instance` and `pairs`, alive and used by nobody else.
            unsafe { (*pair[0]).next = pair[1] };
            // SAFETY: as above.
            unsafe { (*pair[1]).prev = pair[0] };
        }
        check(&raw const *instance as usize, &pairs)
    }

    #[test]
    fn every_value_of_a_repeated_key_is_found_in_order() {
        let given = [(c"wasi_path", c"x"), (c"env", c"A=1"), (c"tag", c"t"), (c"ENV", c"B=2,3")];
        with_properties(&given, |instance, pairs| {
            // SAFETY: the value is a literal.
            let first = unsafe { CStr::from_ptr(pairs[1].val) };
            let values = all_values(instance, c"env", first);
            assert_eq!(values, Some(vec![b"A=1".to_vec(), b"B=2,3".to_vec()]));
            assert_eq!(all_values(instance, c"env", c"another pointer"), None);
        });
    }

    #[test]
    fn a_list_that_does_not_close_is_not_a_list() {
        let given = [(c"env", c"A=1"), (c"env", c"B=2")];
        with_properties(&given, |instance, pairs| {
            // SAFETY: the value is a literal.
            let first = unsafe { CStr::from_ptr(pairs[0].val) };
            let node = (&raw const pairs[0]._head).cast_mut();
            // SAFETY: the node is alive and used by nobody else.
            unsafe { (*node).prev = ptr::dangling_mut::<mk_list>() };
            assert_eq!(all_values(instance, c"env", first), None);
        });
    }
}
