//! The structs this host shares with its plugins, and the one place that knows a plugin's layout.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::{offset_of, size_of};

use crate::hosts::Layout;

#[rustfmt::skip]
#[path = "../../host/bindings.rs"]
#[allow(
    dead_code,
    non_camel_case_types,
    non_upper_case_globals,
    clippy::allow_attributes_without_reason,
    clippy::pedantic,
    reason = "generated from include/flb_abi.h; not everything in it is needed here"
)]
mod bindings;

pub use bindings::{
    cmt, cmt_counter, flb_config, flb_config_map_head, flb_input_collect_fn, flb_input_context_fn,
    flb_input_exit_fn, flb_input_init_fn, flb_input_instance, flb_kv, flb_parser, flb_time, mk_list,
};
use bindings::{
    flb_input_plugin_a, flb_input_plugin_b, flb_input_plugin_c, flb_input_plugin_d, flb_input_plugin_e,
    flb_input_plugin_head,
};

/// Levels of the host's log.
pub const ERROR: c_int = bindings::FLB_LOG_ERROR as c_int;
pub const WARN: c_int = bindings::FLB_LOG_WARN as c_int;
pub const INFO: c_int = bindings::FLB_LOG_INFO as c_int;
pub const DEBUG: c_int = bindings::FLB_LOG_DEBUG as c_int;
pub const TRACE: c_int = bindings::FLB_LOG_TRACE as c_int;

/// An option may be given more than once.
pub const MULT: c_int = bindings::FLB_CONFIG_MAP_MULT as c_int;

/// `FLB_INPUT_THREADED`: the input gets a thread of its own unless `threaded` says otherwise.
pub const THREADED: c_int = 1024;

/// The layout that plugins don't know, as in surface.c.
#[repr(C)]
#[allow(non_camel_case_types, reason = "named as its siblings are")]
struct flb_input_plugin_unknown {
    head: flb_input_plugin_head,
    cb_unheard_of: [usize; 16],
    cb_pause: flb_input_context_fn,
    cb_resume: flb_input_context_fn,
    cb_exit: flb_input_exit_fn,
    instance: *mut c_void,
    _head: mk_list,
}

/// Bytes of `struct flb_input_plugin` in a host of this layout.
pub const fn plugin_size(layout: Layout) -> usize {
    match layout {
        Layout::A => size_of::<flb_input_plugin_a>(),
        Layout::B => size_of::<flb_input_plugin_b>(),
        Layout::C => size_of::<flb_input_plugin_c>(),
        Layout::D => size_of::<flb_input_plugin_d>(),
        Layout::E => size_of::<flb_input_plugin_e>(),
        Layout::Unknown => size_of::<flb_input_plugin_unknown>(),
    }
}

/// Where the list node is: in every release the last member.
pub const fn plugin_node_offset(layout: Layout) -> usize {
    plugin_size(layout) - size_of::<mk_list>()
}

const _: () = assert!(plugin_node_offset(Layout::A) == offset_of!(flb_input_plugin_a, _head));
const _: () = assert!(plugin_node_offset(Layout::B) == offset_of!(flb_input_plugin_b, _head));
const _: () = assert!(plugin_node_offset(Layout::C) == offset_of!(flb_input_plugin_c, _head));
const _: () = assert!(plugin_node_offset(Layout::D) == offset_of!(flb_input_plugin_d, _head));
const _: () = assert!(plugin_node_offset(Layout::Unknown) == offset_of!(flb_input_plugin_unknown, _head));
const _: () = assert!(plugin_node_offset(Layout::E) == offset_of!(flb_input_plugin_e, _head));

/// A plugin's registration as this host reads it: what the layout calls by name, the rest absent.
#[derive(Clone, Copy)]
pub struct Registration {
    pub name: *const c_char,
    pub description: *const c_char,
    pub config_map: *const c_void,
    pub flags: c_int,
    pub init: flb_input_init_fn,
    pub pre_run: flb_input_collect_fn,
    pub pause: flb_input_context_fn,
    pub resume: flb_input_context_fn,
    pub pre_exit: flb_input_context_fn,
    pub exit: flb_input_exit_fn,
}

// SAFETY: pointers to constants and functions of a plugin that stays loaded as long as its context.
unsafe impl Send for Registration {}
// SAFETY: as above.
unsafe impl Sync for Registration {}

impl Registration {
    /// Reads a registered copy.
    ///
    /// # Safety
    /// `plugin` points to `plugin_size(layout)` readable bytes, aligned to 8, written as that layout.
    pub unsafe fn read(layout: Layout, plugin: *const c_void) -> Self {
        // SAFETY: every layout begins with these members; the caller vouches for the memory.
        let head = unsafe { &*plugin.cast::<flb_input_plugin_head>() };
        let mut read = Self {
            name: head.name,
            description: head.description,
            config_map: head.config_map,
            flags: head.flags,
            init: head.cb_init,
            pre_run: head.cb_pre_run,
            pause: None,
            resume: None,
            pre_exit: None,
            exit: None,
        };
        macro_rules! callbacks {
            ($layout:ty $(, $field:ident = $member:ident)*) => {{
                // SAFETY: the caller says that the memory is of this layout.
                let plugin = unsafe { &*plugin.cast::<$layout>() };
                read.pause = plugin.cb_pause;
                read.resume = plugin.cb_resume;
                read.exit = plugin.cb_exit;
                $(read.$field = plugin.$member;)*
            }};
        }
        match layout {
            Layout::A => callbacks!(flb_input_plugin_a),
            Layout::B => callbacks!(flb_input_plugin_b),
            Layout::C => callbacks!(flb_input_plugin_c),
            Layout::D => callbacks!(flb_input_plugin_d),
            Layout::E => callbacks!(flb_input_plugin_e, pre_exit = cb_pre_exit),
            Layout::Unknown => callbacks!(flb_input_plugin_unknown),
        }
        read
    }

    /// The name a configuration calls the plugin by.
    pub fn name(&self) -> String {
        // SAFETY: registrations name strings that stay as long as their library is loaded.
        unsafe { text(self.name) }
    }

    /// One line for the list of plugins.
    pub fn description(&self) -> String {
        // SAFETY: as for the name.
        unsafe { text(self.description) }
    }
}

/// Copies a C string; null reads as the host would print it.
///
/// # Safety
/// `string` is null or ends in NUL.
pub unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return "(null)".to_owned();
    }
    // SAFETY: the caller vouches for it.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}
