//! The host's binary interface: what bindgen made of `include/flb_abi.h`, and the proof that it fits.

#[allow(
    non_camel_case_types,
    non_snake_case,
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::allow_attributes_without_reason,
    reason = "generated from include/flb_abi.h, with the host's own names"
)]
#[path = "bindings.rs"]
mod bindings;

pub use bindings::*;

/// Offsets of `struct flb_input_plugin` (include/fluent-bit/flb_input.h); the sizes are asserted in
/// the header itself.
const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(flb_input_plugin_head, name) == 24);
    assert!(offset_of!(flb_input_plugin_head, config_map) == 40);
    assert!(offset_of!(flb_input_plugin_head, cb_init) == 48);
    assert!(offset_of!(flb_input_plugin_head, cb_collect) == 64);
    assert!(offset_of!(flb_input_plugin_a, cb_pause) == 88);
    assert!(offset_of!(flb_input_plugin_a, cb_exit) == 112);
    assert!(offset_of!(flb_input_plugin_b, cb_exit) == 112);
    assert!(offset_of!(flb_input_plugin_b, _head) == 136);
    assert!(offset_of!(flb_input_plugin_c, cb_pause) == 96);
    assert!(offset_of!(flb_input_plugin_c, cb_exit) == 120);
    assert!(offset_of!(flb_input_plugin_d, cb_pause) == 96);
    assert!(offset_of!(flb_input_plugin_d, cb_exit) == 120);
    assert!(offset_of!(flb_input_plugin_d, _head) == 192);
    assert!(offset_of!(flb_input_plugin_e, cb_pause) == 96);
    assert!(offset_of!(flb_input_plugin_e, cb_resume) == 104);
    assert!(offset_of!(flb_input_plugin_e, cb_pre_exit) == 136);
    assert!(offset_of!(flb_input_plugin_e, cb_exit) == 144);
    assert!(offset_of!(flb_input_plugin_e, _head) == 216);
    assert!(offset_of!(flb_config_map_head, set_property) == 28);
    assert!(offset_of!(flb_config_map_head, desc) == 40);
};
