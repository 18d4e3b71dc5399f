// Made by bindgen from include/flb_abi.h; see build.rs. Not edited by hand.

pub type __time_t = ::core::ffi::c_long;
pub type __syscall_slong_t = ::core::ffi::c_long;
#[repr(C)]
#[derive(Copy, Clone)]
pub struct timespec {
    pub tv_sec: __time_t,
    pub tv_nsec: __syscall_slong_t,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of timespec"][::core::mem::size_of::<timespec>() - 16usize];
    ["Alignment of timespec"][::core::mem::align_of::<timespec>() - 8usize];
    ["Offset of field: timespec::tv_sec"][::core::mem::offset_of!(timespec, tv_sec) - 0usize];
    ["Offset of field: timespec::tv_nsec"][::core::mem::offset_of!(timespec, tv_nsec) - 8usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_input_instance {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_config {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_parser {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct cmt {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct cmt_counter {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Copy, Clone)]
pub struct mk_list {
    pub prev: *mut mk_list,
    pub next: *mut mk_list,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of mk_list"][::core::mem::size_of::<mk_list>() - 16usize];
    ["Alignment of mk_list"][::core::mem::align_of::<mk_list>() - 8usize];
    ["Offset of field: mk_list::prev"][::core::mem::offset_of!(mk_list, prev) - 0usize];
    ["Offset of field: mk_list::next"][::core::mem::offset_of!(mk_list, next) - 8usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_kv {
    pub key: *mut ::core::ffi::c_char,
    pub val: *mut ::core::ffi::c_char,
    pub _head: mk_list,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_kv"][::core::mem::size_of::<flb_kv>() - 32usize];
    ["Alignment of flb_kv"][::core::mem::align_of::<flb_kv>() - 8usize];
    ["Offset of field: flb_kv::key"][::core::mem::offset_of!(flb_kv, key) - 0usize];
    ["Offset of field: flb_kv::val"][::core::mem::offset_of!(flb_kv, val) - 8usize];
    ["Offset of field: flb_kv::_head"][::core::mem::offset_of!(flb_kv, _head) - 16usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_time {
    pub tm: timespec,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_time"][::core::mem::size_of::<flb_time>() - 16usize];
    ["Alignment of flb_time"][::core::mem::align_of::<flb_time>() - 8usize];
    ["Offset of field: flb_time::tm"][::core::mem::offset_of!(flb_time, tm) - 0usize];
};
pub const FLB_LOG_ERROR: _bindgen_ty_1 = 1;
pub const FLB_LOG_WARN: _bindgen_ty_1 = 2;
pub const FLB_LOG_INFO: _bindgen_ty_1 = 3;
pub const FLB_LOG_DEBUG: _bindgen_ty_1 = 4;
pub const FLB_LOG_TRACE: _bindgen_ty_1 = 5;
pub type _bindgen_ty_1 = ::core::ffi::c_uint;
pub type flb_input_init_fn = ::core::option::Option<
    unsafe extern "C" fn(
        arg1: *mut flb_input_instance,
        arg2: *mut flb_config,
        arg3: *mut ::core::ffi::c_void,
    ) -> ::core::ffi::c_int,
>;
pub type flb_input_collect_fn = ::core::option::Option<
    unsafe extern "C" fn(
        arg1: *mut flb_input_instance,
        arg2: *mut flb_config,
        arg3: *mut ::core::ffi::c_void,
    ) -> ::core::ffi::c_int,
>;
pub type flb_input_context_fn =
    ::core::option::Option<unsafe extern "C" fn(arg1: *mut ::core::ffi::c_void, arg2: *mut flb_config)>;
pub type flb_input_exit_fn = ::core::option::Option<
    unsafe extern "C" fn(arg1: *mut ::core::ffi::c_void, arg2: *mut flb_config) -> ::core::ffi::c_int,
>;
pub type flb_unused_fn = ::core::option::Option<unsafe extern "C" fn()>;
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_input_plugin_head {
    pub type_: ::core::ffi::c_int,
    pub proxy: *mut ::core::ffi::c_void,
    pub flags: ::core::ffi::c_int,
    pub name: *const ::core::ffi::c_char,
    pub description: *const ::core::ffi::c_char,
    pub config_map: *const ::core::ffi::c_void,
    pub cb_init: flb_input_init_fn,
    pub cb_pre_run: flb_input_collect_fn,
    pub cb_collect: flb_input_collect_fn,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_input_plugin_head"][::core::mem::size_of::<flb_input_plugin_head>() - 72usize];
    ["Alignment of flb_input_plugin_head"][::core::mem::align_of::<flb_input_plugin_head>() - 8usize];
    ["Offset of field: flb_input_plugin_head::type_"]
        [::core::mem::offset_of!(flb_input_plugin_head, type_) - 0usize];
    ["Offset of field: flb_input_plugin_head::proxy"]
        [::core::mem::offset_of!(flb_input_plugin_head, proxy) - 8usize];
    ["Offset of field: flb_input_plugin_head::flags"]
        [::core::mem::offset_of!(flb_input_plugin_head, flags) - 16usize];
    ["Offset of field: flb_input_plugin_head::name"]
        [::core::mem::offset_of!(flb_input_plugin_head, name) - 24usize];
    ["Offset of field: flb_input_plugin_head::description"]
        [::core::mem::offset_of!(flb_input_plugin_head, description) - 32usize];
    ["Offset of field: flb_input_plugin_head::config_map"]
        [::core::mem::offset_of!(flb_input_plugin_head, config_map) - 40usize];
    ["Offset of field: flb_input_plugin_head::cb_init"]
        [::core::mem::offset_of!(flb_input_plugin_head, cb_init) - 48usize];
    ["Offset of field: flb_input_plugin_head::cb_pre_run"]
        [::core::mem::offset_of!(flb_input_plugin_head, cb_pre_run) - 56usize];
    ["Offset of field: flb_input_plugin_head::cb_collect"]
        [::core::mem::offset_of!(flb_input_plugin_head, cb_collect) - 64usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_input_plugin_a {
    pub type_: ::core::ffi::c_int,
    pub proxy: *mut ::core::ffi::c_void,
    pub flags: ::core::ffi::c_int,
    pub name: *const ::core::ffi::c_char,
    pub description: *const ::core::ffi::c_char,
    pub config_map: *const ::core::ffi::c_void,
    pub cb_init: flb_input_init_fn,
    pub cb_pre_run: flb_input_collect_fn,
    pub cb_collect: flb_input_collect_fn,
    pub cb_flush_buf: flb_unused_fn,
    pub cb_flush_end: flb_unused_fn,
    pub cb_pause: flb_input_context_fn,
    pub cb_resume: flb_input_context_fn,
    pub cb_ingest: flb_unused_fn,
    pub cb_exit: flb_input_exit_fn,
    pub instance: *mut ::core::ffi::c_void,
    pub _head: mk_list,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_input_plugin_a"][::core::mem::size_of::<flb_input_plugin_a>() - 144usize];
    ["Alignment of flb_input_plugin_a"][::core::mem::align_of::<flb_input_plugin_a>() - 8usize];
    ["Offset of field: flb_input_plugin_a::type_"]
        [::core::mem::offset_of!(flb_input_plugin_a, type_) - 0usize];
    ["Offset of field: flb_input_plugin_a::proxy"]
        [::core::mem::offset_of!(flb_input_plugin_a, proxy) - 8usize];
    ["Offset of field: flb_input_plugin_a::flags"]
        [::core::mem::offset_of!(flb_input_plugin_a, flags) - 16usize];
    ["Offset of field: flb_input_plugin_a::name"]
        [::core::mem::offset_of!(flb_input_plugin_a, name) - 24usize];
    ["Offset of field: flb_input_plugin_a::description"]
        [::core::mem::offset_of!(flb_input_plugin_a, description) - 32usize];
    ["Offset of field: flb_input_plugin_a::config_map"]
        [::core::mem::offset_of!(flb_input_plugin_a, config_map) - 40usize];
    ["Offset of field: flb_input_plugin_a::cb_init"]
        [::core::mem::offset_of!(flb_input_plugin_a, cb_init) - 48usize];
    ["Offset of field: flb_input_plugin_a::cb_pre_run"]
        [::core::mem::offset_of!(flb_input_plugin_a, cb_pre_run) - 56usize];
    ["Offset of field: flb_input_plugin_a::cb_collect"]
        [::core::mem::offset_of!(flb_input_plugin_a, cb_collect) - 64usize];
    ["Offset of field: flb_input_plugin_a::cb_flush_buf"]
        [::core::mem::offset_of!(flb_input_plugin_a, cb_flush_buf) - 72usize];
    ["Offset of field: flb_input_plugin_a::cb_flush_end"]
        [::core::mem::offset_of!(flb_input_plugin_a, cb_flush_end) - 80usize];
    ["Offset of field: flb_input_plugin_a::cb_pause"]
        [::core::mem::offset_of!(flb_input_plugin_a, cb_pause) - 88usize];
    ["Offset of field: flb_input_plugin_a::cb_resume"]
        [::core::mem::offset_of!(flb_input_plugin_a, cb_resume) - 96usize];
    ["Offset of field: flb_input_plugin_a::cb_ingest"]
        [::core::mem::offset_of!(flb_input_plugin_a, cb_ingest) - 104usize];
    ["Offset of field: flb_input_plugin_a::cb_exit"]
        [::core::mem::offset_of!(flb_input_plugin_a, cb_exit) - 112usize];
    ["Offset of field: flb_input_plugin_a::instance"]
        [::core::mem::offset_of!(flb_input_plugin_a, instance) - 120usize];
    ["Offset of field: flb_input_plugin_a::_head"]
        [::core::mem::offset_of!(flb_input_plugin_a, _head) - 128usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_input_plugin_b {
    pub type_: ::core::ffi::c_int,
    pub proxy: *mut ::core::ffi::c_void,
    pub flags: ::core::ffi::c_int,
    pub name: *const ::core::ffi::c_char,
    pub description: *const ::core::ffi::c_char,
    pub config_map: *const ::core::ffi::c_void,
    pub cb_init: flb_input_init_fn,
    pub cb_pre_run: flb_input_collect_fn,
    pub cb_collect: flb_input_collect_fn,
    pub cb_flush_buf: flb_unused_fn,
    pub cb_flush_end: flb_unused_fn,
    pub cb_pause: flb_input_context_fn,
    pub cb_resume: flb_input_context_fn,
    pub cb_ingest: flb_unused_fn,
    pub cb_exit: flb_input_exit_fn,
    pub cb_destroy: flb_unused_fn,
    pub instance: *mut ::core::ffi::c_void,
    pub _head: mk_list,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_input_plugin_b"][::core::mem::size_of::<flb_input_plugin_b>() - 152usize];
    ["Alignment of flb_input_plugin_b"][::core::mem::align_of::<flb_input_plugin_b>() - 8usize];
    ["Offset of field: flb_input_plugin_b::type_"]
        [::core::mem::offset_of!(flb_input_plugin_b, type_) - 0usize];
    ["Offset of field: flb_input_plugin_b::proxy"]
        [::core::mem::offset_of!(flb_input_plugin_b, proxy) - 8usize];
    ["Offset of field: flb_input_plugin_b::flags"]
        [::core::mem::offset_of!(flb_input_plugin_b, flags) - 16usize];
    ["Offset of field: flb_input_plugin_b::name"]
        [::core::mem::offset_of!(flb_input_plugin_b, name) - 24usize];
    ["Offset of field: flb_input_plugin_b::description"]
        [::core::mem::offset_of!(flb_input_plugin_b, description) - 32usize];
    ["Offset of field: flb_input_plugin_b::config_map"]
        [::core::mem::offset_of!(flb_input_plugin_b, config_map) - 40usize];
    ["Offset of field: flb_input_plugin_b::cb_init"]
        [::core::mem::offset_of!(flb_input_plugin_b, cb_init) - 48usize];
    ["Offset of field: flb_input_plugin_b::cb_pre_run"]
        [::core::mem::offset_of!(flb_input_plugin_b, cb_pre_run) - 56usize];
    ["Offset of field: flb_input_plugin_b::cb_collect"]
        [::core::mem::offset_of!(flb_input_plugin_b, cb_collect) - 64usize];
    ["Offset of field: flb_input_plugin_b::cb_flush_buf"]
        [::core::mem::offset_of!(flb_input_plugin_b, cb_flush_buf) - 72usize];
    ["Offset of field: flb_input_plugin_b::cb_flush_end"]
        [::core::mem::offset_of!(flb_input_plugin_b, cb_flush_end) - 80usize];
    ["Offset of field: flb_input_plugin_b::cb_pause"]
        [::core::mem::offset_of!(flb_input_plugin_b, cb_pause) - 88usize];
    ["Offset of field: flb_input_plugin_b::cb_resume"]
        [::core::mem::offset_of!(flb_input_plugin_b, cb_resume) - 96usize];
    ["Offset of field: flb_input_plugin_b::cb_ingest"]
        [::core::mem::offset_of!(flb_input_plugin_b, cb_ingest) - 104usize];
    ["Offset of field: flb_input_plugin_b::cb_exit"]
        [::core::mem::offset_of!(flb_input_plugin_b, cb_exit) - 112usize];
    ["Offset of field: flb_input_plugin_b::cb_destroy"]
        [::core::mem::offset_of!(flb_input_plugin_b, cb_destroy) - 120usize];
    ["Offset of field: flb_input_plugin_b::instance"]
        [::core::mem::offset_of!(flb_input_plugin_b, instance) - 128usize];
    ["Offset of field: flb_input_plugin_b::_head"]
        [::core::mem::offset_of!(flb_input_plugin_b, _head) - 136usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_input_plugin_c {
    pub type_: ::core::ffi::c_int,
    pub proxy: *mut ::core::ffi::c_void,
    pub flags: ::core::ffi::c_int,
    pub name: *const ::core::ffi::c_char,
    pub description: *const ::core::ffi::c_char,
    pub config_map: *const ::core::ffi::c_void,
    pub cb_init: flb_input_init_fn,
    pub cb_pre_run: flb_input_collect_fn,
    pub cb_collect: flb_input_collect_fn,
    pub cb_notification: flb_unused_fn,
    pub cb_flush_buf: flb_unused_fn,
    pub cb_flush_end: flb_unused_fn,
    pub cb_pause: flb_input_context_fn,
    pub cb_resume: flb_input_context_fn,
    pub cb_ingest: flb_unused_fn,
    pub cb_exit: flb_input_exit_fn,
    pub cb_destroy: flb_unused_fn,
    pub instance: *mut ::core::ffi::c_void,
    pub _head: mk_list,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_input_plugin_c"][::core::mem::size_of::<flb_input_plugin_c>() - 160usize];
    ["Alignment of flb_input_plugin_c"][::core::mem::align_of::<flb_input_plugin_c>() - 8usize];
    ["Offset of field: flb_input_plugin_c::type_"]
        [::core::mem::offset_of!(flb_input_plugin_c, type_) - 0usize];
    ["Offset of field: flb_input_plugin_c::proxy"]
        [::core::mem::offset_of!(flb_input_plugin_c, proxy) - 8usize];
    ["Offset of field: flb_input_plugin_c::flags"]
        [::core::mem::offset_of!(flb_input_plugin_c, flags) - 16usize];
    ["Offset of field: flb_input_plugin_c::name"]
        [::core::mem::offset_of!(flb_input_plugin_c, name) - 24usize];
    ["Offset of field: flb_input_plugin_c::description"]
        [::core::mem::offset_of!(flb_input_plugin_c, description) - 32usize];
    ["Offset of field: flb_input_plugin_c::config_map"]
        [::core::mem::offset_of!(flb_input_plugin_c, config_map) - 40usize];
    ["Offset of field: flb_input_plugin_c::cb_init"]
        [::core::mem::offset_of!(flb_input_plugin_c, cb_init) - 48usize];
    ["Offset of field: flb_input_plugin_c::cb_pre_run"]
        [::core::mem::offset_of!(flb_input_plugin_c, cb_pre_run) - 56usize];
    ["Offset of field: flb_input_plugin_c::cb_collect"]
        [::core::mem::offset_of!(flb_input_plugin_c, cb_collect) - 64usize];
    ["Offset of field: flb_input_plugin_c::cb_notification"]
        [::core::mem::offset_of!(flb_input_plugin_c, cb_notification) - 72usize];
    ["Offset of field: flb_input_plugin_c::cb_flush_buf"]
        [::core::mem::offset_of!(flb_input_plugin_c, cb_flush_buf) - 80usize];
    ["Offset of field: flb_input_plugin_c::cb_flush_end"]
        [::core::mem::offset_of!(flb_input_plugin_c, cb_flush_end) - 88usize];
    ["Offset of field: flb_input_plugin_c::cb_pause"]
        [::core::mem::offset_of!(flb_input_plugin_c, cb_pause) - 96usize];
    ["Offset of field: flb_input_plugin_c::cb_resume"]
        [::core::mem::offset_of!(flb_input_plugin_c, cb_resume) - 104usize];
    ["Offset of field: flb_input_plugin_c::cb_ingest"]
        [::core::mem::offset_of!(flb_input_plugin_c, cb_ingest) - 112usize];
    ["Offset of field: flb_input_plugin_c::cb_exit"]
        [::core::mem::offset_of!(flb_input_plugin_c, cb_exit) - 120usize];
    ["Offset of field: flb_input_plugin_c::cb_destroy"]
        [::core::mem::offset_of!(flb_input_plugin_c, cb_destroy) - 128usize];
    ["Offset of field: flb_input_plugin_c::instance"]
        [::core::mem::offset_of!(flb_input_plugin_c, instance) - 136usize];
    ["Offset of field: flb_input_plugin_c::_head"]
        [::core::mem::offset_of!(flb_input_plugin_c, _head) - 144usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_test_in_formatter {
    pub opaque: [u64; 6usize],
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_test_in_formatter"][::core::mem::size_of::<flb_test_in_formatter>() - 48usize];
    ["Alignment of flb_test_in_formatter"][::core::mem::align_of::<flb_test_in_formatter>() - 8usize];
    ["Offset of field: flb_test_in_formatter::opaque"]
        [::core::mem::offset_of!(flb_test_in_formatter, opaque) - 0usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_input_plugin_d {
    pub type_: ::core::ffi::c_int,
    pub proxy: *mut ::core::ffi::c_void,
    pub flags: ::core::ffi::c_int,
    pub name: *const ::core::ffi::c_char,
    pub description: *const ::core::ffi::c_char,
    pub config_map: *const ::core::ffi::c_void,
    pub cb_init: flb_input_init_fn,
    pub cb_pre_run: flb_input_collect_fn,
    pub cb_collect: flb_input_collect_fn,
    pub cb_notification: flb_unused_fn,
    pub cb_flush_buf: flb_unused_fn,
    pub cb_flush_end: flb_unused_fn,
    pub cb_pause: flb_input_context_fn,
    pub cb_resume: flb_input_context_fn,
    pub cb_ingest: flb_unused_fn,
    pub cb_exit: flb_input_exit_fn,
    pub cb_destroy: flb_unused_fn,
    pub test_formatter: flb_test_in_formatter,
    pub instance: *mut ::core::ffi::c_void,
    pub _head: mk_list,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_input_plugin_d"][::core::mem::size_of::<flb_input_plugin_d>() - 208usize];
    ["Alignment of flb_input_plugin_d"][::core::mem::align_of::<flb_input_plugin_d>() - 8usize];
    ["Offset of field: flb_input_plugin_d::type_"]
        [::core::mem::offset_of!(flb_input_plugin_d, type_) - 0usize];
    ["Offset of field: flb_input_plugin_d::proxy"]
        [::core::mem::offset_of!(flb_input_plugin_d, proxy) - 8usize];
    ["Offset of field: flb_input_plugin_d::flags"]
        [::core::mem::offset_of!(flb_input_plugin_d, flags) - 16usize];
    ["Offset of field: flb_input_plugin_d::name"]
        [::core::mem::offset_of!(flb_input_plugin_d, name) - 24usize];
    ["Offset of field: flb_input_plugin_d::description"]
        [::core::mem::offset_of!(flb_input_plugin_d, description) - 32usize];
    ["Offset of field: flb_input_plugin_d::config_map"]
        [::core::mem::offset_of!(flb_input_plugin_d, config_map) - 40usize];
    ["Offset of field: flb_input_plugin_d::cb_init"]
        [::core::mem::offset_of!(flb_input_plugin_d, cb_init) - 48usize];
    ["Offset of field: flb_input_plugin_d::cb_pre_run"]
        [::core::mem::offset_of!(flb_input_plugin_d, cb_pre_run) - 56usize];
    ["Offset of field: flb_input_plugin_d::cb_collect"]
        [::core::mem::offset_of!(flb_input_plugin_d, cb_collect) - 64usize];
    ["Offset of field: flb_input_plugin_d::cb_notification"]
        [::core::mem::offset_of!(flb_input_plugin_d, cb_notification) - 72usize];
    ["Offset of field: flb_input_plugin_d::cb_flush_buf"]
        [::core::mem::offset_of!(flb_input_plugin_d, cb_flush_buf) - 80usize];
    ["Offset of field: flb_input_plugin_d::cb_flush_end"]
        [::core::mem::offset_of!(flb_input_plugin_d, cb_flush_end) - 88usize];
    ["Offset of field: flb_input_plugin_d::cb_pause"]
        [::core::mem::offset_of!(flb_input_plugin_d, cb_pause) - 96usize];
    ["Offset of field: flb_input_plugin_d::cb_resume"]
        [::core::mem::offset_of!(flb_input_plugin_d, cb_resume) - 104usize];
    ["Offset of field: flb_input_plugin_d::cb_ingest"]
        [::core::mem::offset_of!(flb_input_plugin_d, cb_ingest) - 112usize];
    ["Offset of field: flb_input_plugin_d::cb_exit"]
        [::core::mem::offset_of!(flb_input_plugin_d, cb_exit) - 120usize];
    ["Offset of field: flb_input_plugin_d::cb_destroy"]
        [::core::mem::offset_of!(flb_input_plugin_d, cb_destroy) - 128usize];
    ["Offset of field: flb_input_plugin_d::test_formatter"]
        [::core::mem::offset_of!(flb_input_plugin_d, test_formatter) - 136usize];
    ["Offset of field: flb_input_plugin_d::instance"]
        [::core::mem::offset_of!(flb_input_plugin_d, instance) - 184usize];
    ["Offset of field: flb_input_plugin_d::_head"]
        [::core::mem::offset_of!(flb_input_plugin_d, _head) - 192usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_input_plugin_e {
    pub type_: ::core::ffi::c_int,
    pub proxy: *mut ::core::ffi::c_void,
    pub flags: ::core::ffi::c_int,
    pub name: *const ::core::ffi::c_char,
    pub description: *const ::core::ffi::c_char,
    pub config_map: *const ::core::ffi::c_void,
    pub cb_init: flb_input_init_fn,
    pub cb_pre_run: flb_input_collect_fn,
    pub cb_collect: flb_input_collect_fn,
    pub cb_notification: flb_unused_fn,
    pub cb_flush_buf: flb_unused_fn,
    pub cb_flush_end: flb_unused_fn,
    pub cb_pause: flb_input_context_fn,
    pub cb_resume: flb_input_context_fn,
    pub cb_pause_checked: flb_unused_fn,
    pub cb_resume_checked: flb_unused_fn,
    pub cb_ingest: flb_unused_fn,
    pub cb_pre_exit: flb_input_context_fn,
    pub cb_exit: flb_input_exit_fn,
    pub cb_destroy: flb_unused_fn,
    pub test_formatter: flb_test_in_formatter,
    pub instance: *mut ::core::ffi::c_void,
    pub _head: mk_list,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_input_plugin_e"][::core::mem::size_of::<flb_input_plugin_e>() - 232usize];
    ["Alignment of flb_input_plugin_e"][::core::mem::align_of::<flb_input_plugin_e>() - 8usize];
    ["Offset of field: flb_input_plugin_e::type_"]
        [::core::mem::offset_of!(flb_input_plugin_e, type_) - 0usize];
    ["Offset of field: flb_input_plugin_e::proxy"]
        [::core::mem::offset_of!(flb_input_plugin_e, proxy) - 8usize];
    ["Offset of field: flb_input_plugin_e::flags"]
        [::core::mem::offset_of!(flb_input_plugin_e, flags) - 16usize];
    ["Offset of field: flb_input_plugin_e::name"]
        [::core::mem::offset_of!(flb_input_plugin_e, name) - 24usize];
    ["Offset of field: flb_input_plugin_e::description"]
        [::core::mem::offset_of!(flb_input_plugin_e, description) - 32usize];
    ["Offset of field: flb_input_plugin_e::config_map"]
        [::core::mem::offset_of!(flb_input_plugin_e, config_map) - 40usize];
    ["Offset of field: flb_input_plugin_e::cb_init"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_init) - 48usize];
    ["Offset of field: flb_input_plugin_e::cb_pre_run"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_pre_run) - 56usize];
    ["Offset of field: flb_input_plugin_e::cb_collect"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_collect) - 64usize];
    ["Offset of field: flb_input_plugin_e::cb_notification"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_notification) - 72usize];
    ["Offset of field: flb_input_plugin_e::cb_flush_buf"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_flush_buf) - 80usize];
    ["Offset of field: flb_input_plugin_e::cb_flush_end"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_flush_end) - 88usize];
    ["Offset of field: flb_input_plugin_e::cb_pause"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_pause) - 96usize];
    ["Offset of field: flb_input_plugin_e::cb_resume"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_resume) - 104usize];
    ["Offset of field: flb_input_plugin_e::cb_pause_checked"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_pause_checked) - 112usize];
    ["Offset of field: flb_input_plugin_e::cb_resume_checked"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_resume_checked) - 120usize];
    ["Offset of field: flb_input_plugin_e::cb_ingest"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_ingest) - 128usize];
    ["Offset of field: flb_input_plugin_e::cb_pre_exit"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_pre_exit) - 136usize];
    ["Offset of field: flb_input_plugin_e::cb_exit"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_exit) - 144usize];
    ["Offset of field: flb_input_plugin_e::cb_destroy"]
        [::core::mem::offset_of!(flb_input_plugin_e, cb_destroy) - 152usize];
    ["Offset of field: flb_input_plugin_e::test_formatter"]
        [::core::mem::offset_of!(flb_input_plugin_e, test_formatter) - 160usize];
    ["Offset of field: flb_input_plugin_e::instance"]
        [::core::mem::offset_of!(flb_input_plugin_e, instance) - 208usize];
    ["Offset of field: flb_input_plugin_e::_head"]
        [::core::mem::offset_of!(flb_input_plugin_e, _head) - 216usize];
};
pub const FLB_CONFIG_MAP_STR: _bindgen_ty_2 = 0;
pub const FLB_CONFIG_MAP_INT: _bindgen_ty_2 = 2;
pub const FLB_CONFIG_MAP_BOOL: _bindgen_ty_2 = 3;
pub const FLB_CONFIG_MAP_SIZE: _bindgen_ty_2 = 5;
pub const FLB_CONFIG_MAP_TIME: _bindgen_ty_2 = 6;
pub const FLB_CONFIG_MAP_CLIST: _bindgen_ty_2 = 30;
pub type _bindgen_ty_2 = ::core::ffi::c_uint;
pub const FLB_CONFIG_MAP_MULT: _bindgen_ty_3 = 1;
pub type _bindgen_ty_3 = ::core::ffi::c_uint;
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_config_map_head {
    pub type_: ::core::ffi::c_int,
    pub name: *const ::core::ffi::c_char,
    pub def_value: *const ::core::ffi::c_char,
    pub flags: ::core::ffi::c_int,
    pub set_property: ::core::ffi::c_int,
    pub offset: usize,
    pub desc: *const ::core::ffi::c_char,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_config_map_head"][::core::mem::size_of::<flb_config_map_head>() - 48usize];
    ["Alignment of flb_config_map_head"][::core::mem::align_of::<flb_config_map_head>() - 8usize];
    ["Offset of field: flb_config_map_head::type_"]
        [::core::mem::offset_of!(flb_config_map_head, type_) - 0usize];
    ["Offset of field: flb_config_map_head::name"]
        [::core::mem::offset_of!(flb_config_map_head, name) - 8usize];
    ["Offset of field: flb_config_map_head::def_value"]
        [::core::mem::offset_of!(flb_config_map_head, def_value) - 16usize];
    ["Offset of field: flb_config_map_head::flags"]
        [::core::mem::offset_of!(flb_config_map_head, flags) - 24usize];
    ["Offset of field: flb_config_map_head::set_property"]
        [::core::mem::offset_of!(flb_config_map_head, set_property) - 28usize];
    ["Offset of field: flb_config_map_head::offset"]
        [::core::mem::offset_of!(flb_config_map_head, offset) - 32usize];
    ["Offset of field: flb_config_map_head::desc"]
        [::core::mem::offset_of!(flb_config_map_head, desc) - 40usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_config_map_96 {
    pub type_: ::core::ffi::c_int,
    pub name: *const ::core::ffi::c_char,
    pub def_value: *const ::core::ffi::c_char,
    pub flags: ::core::ffi::c_int,
    pub set_property: ::core::ffi::c_int,
    pub offset: usize,
    pub desc: *const ::core::ffi::c_char,
    pub value: [u64; 4usize],
    pub _head: mk_list,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_config_map_96"][::core::mem::size_of::<flb_config_map_96>() - 96usize];
    ["Alignment of flb_config_map_96"][::core::mem::align_of::<flb_config_map_96>() - 8usize];
    ["Offset of field: flb_config_map_96::type_"][::core::mem::offset_of!(flb_config_map_96, type_) - 0usize];
    ["Offset of field: flb_config_map_96::name"][::core::mem::offset_of!(flb_config_map_96, name) - 8usize];
    ["Offset of field: flb_config_map_96::def_value"]
        [::core::mem::offset_of!(flb_config_map_96, def_value) - 16usize];
    ["Offset of field: flb_config_map_96::flags"]
        [::core::mem::offset_of!(flb_config_map_96, flags) - 24usize];
    ["Offset of field: flb_config_map_96::set_property"]
        [::core::mem::offset_of!(flb_config_map_96, set_property) - 28usize];
    ["Offset of field: flb_config_map_96::offset"]
        [::core::mem::offset_of!(flb_config_map_96, offset) - 32usize];
    ["Offset of field: flb_config_map_96::desc"][::core::mem::offset_of!(flb_config_map_96, desc) - 40usize];
    ["Offset of field: flb_config_map_96::value"]
        [::core::mem::offset_of!(flb_config_map_96, value) - 48usize];
    ["Offset of field: flb_config_map_96::_head"]
        [::core::mem::offset_of!(flb_config_map_96, _head) - 80usize];
};
#[repr(C)]
#[derive(Copy, Clone)]
pub struct flb_config_map_104 {
    pub type_: ::core::ffi::c_int,
    pub name: *const ::core::ffi::c_char,
    pub def_value: *const ::core::ffi::c_char,
    pub flags: ::core::ffi::c_int,
    pub set_property: ::core::ffi::c_int,
    pub offset: usize,
    pub desc: *const ::core::ffi::c_char,
    pub value: [u64; 5usize],
    pub _head: mk_list,
}
#[allow(clippy::unnecessary_operation, clippy::identity_op)]
const _: () = {
    ["Size of flb_config_map_104"][::core::mem::size_of::<flb_config_map_104>() - 104usize];
    ["Alignment of flb_config_map_104"][::core::mem::align_of::<flb_config_map_104>() - 8usize];
    ["Offset of field: flb_config_map_104::type_"]
        [::core::mem::offset_of!(flb_config_map_104, type_) - 0usize];
    ["Offset of field: flb_config_map_104::name"][::core::mem::offset_of!(flb_config_map_104, name) - 8usize];
    ["Offset of field: flb_config_map_104::def_value"]
        [::core::mem::offset_of!(flb_config_map_104, def_value) - 16usize];
    ["Offset of field: flb_config_map_104::flags"]
        [::core::mem::offset_of!(flb_config_map_104, flags) - 24usize];
    ["Offset of field: flb_config_map_104::set_property"]
        [::core::mem::offset_of!(flb_config_map_104, set_property) - 28usize];
    ["Offset of field: flb_config_map_104::offset"]
        [::core::mem::offset_of!(flb_config_map_104, offset) - 32usize];
    ["Offset of field: flb_config_map_104::desc"]
        [::core::mem::offset_of!(flb_config_map_104, desc) - 40usize];
    ["Offset of field: flb_config_map_104::value"]
        [::core::mem::offset_of!(flb_config_map_104, value) - 48usize];
    ["Offset of field: flb_config_map_104::_head"]
        [::core::mem::offset_of!(flb_config_map_104, _head) - 88usize];
};
pub type flb_input_get_property_fn = ::core::option::Option<
    unsafe extern "C" fn(
        arg1: *const ::core::ffi::c_char,
        arg2: *mut flb_input_instance,
    ) -> *const ::core::ffi::c_char,
>;
pub type flb_input_set_context_fn = ::core::option::Option<
    unsafe extern "C" fn(arg1: *mut flb_input_instance, arg2: *mut ::core::ffi::c_void),
>;
pub type flb_input_name_fn =
    ::core::option::Option<unsafe extern "C" fn(arg1: *mut flb_input_instance) -> *const ::core::ffi::c_char>;
pub type flb_input_log_check_fn = ::core::option::Option<
    unsafe extern "C" fn(arg1: *mut flb_input_instance, arg2: ::core::ffi::c_int) -> ::core::ffi::c_int,
>;
pub type flb_log_print_fn = ::core::option::Option<
    unsafe extern "C" fn(
        arg1: ::core::ffi::c_int,
        arg2: *const ::core::ffi::c_char,
        arg3: ::core::ffi::c_int,
        arg4: *const ::core::ffi::c_char,
        ...
    ),
>;
pub type flb_input_set_collector_event_fn = ::core::option::Option<
    unsafe extern "C" fn(
        arg1: *mut flb_input_instance,
        arg2: flb_input_collect_fn,
        arg3: ::core::ffi::c_int,
        arg4: *mut flb_config,
    ) -> ::core::ffi::c_int,
>;
pub type flb_input_collector_fn = ::core::option::Option<
    unsafe extern "C" fn(arg1: ::core::ffi::c_int, arg2: *mut flb_input_instance) -> ::core::ffi::c_int,
>;
pub type flb_input_log_append_fn = ::core::option::Option<
    unsafe extern "C" fn(
        arg1: *mut flb_input_instance,
        arg2: *const ::core::ffi::c_char,
        arg3: usize,
        arg4: *const ::core::ffi::c_void,
        arg5: usize,
    ) -> ::core::ffi::c_int,
>;
pub type flb_input_log_append_records_fn = ::core::option::Option<
    unsafe extern "C" fn(
        arg1: *mut flb_input_instance,
        arg2: usize,
        arg3: *const ::core::ffi::c_char,
        arg4: usize,
        arg5: *const ::core::ffi::c_void,
        arg6: usize,
    ) -> ::core::ffi::c_int,
>;
pub type flb_engine_exit_status_fn = ::core::option::Option<
    unsafe extern "C" fn(arg1: *mut flb_config, arg2: ::core::ffi::c_int) -> ::core::ffi::c_int,
>;
pub type flb_engine_flush_fn = ::core::option::Option<
    unsafe extern "C" fn(arg1: *mut flb_config, arg2: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
>;
pub type flb_parser_get_fn = ::core::option::Option<
    unsafe extern "C" fn(arg1: *const ::core::ffi::c_char, arg2: *mut flb_config) -> *mut flb_parser,
>;
pub type flb_parser_do_fn = ::core::option::Option<
    unsafe extern "C" fn(
        arg1: *mut flb_parser,
        arg2: *const ::core::ffi::c_char,
        arg3: usize,
        arg4: *mut *mut ::core::ffi::c_void,
        arg5: *mut usize,
        arg6: *mut flb_time,
    ) -> ::core::ffi::c_int,
>;
pub type flb_lib_free_fn =
    ::core::option::Option<unsafe extern "C" fn(arg1: *mut ::core::ffi::c_void) -> ::core::ffi::c_int>;
pub type flb_input_get_cmt_instance_fn =
    ::core::option::Option<unsafe extern "C" fn(arg1: *mut flb_input_instance) -> *mut cmt>;
pub type cmt_counter_create_fn = ::core::option::Option<
    unsafe extern "C" fn(
        arg1: *mut cmt,
        arg2: *mut ::core::ffi::c_char,
        arg3: *mut ::core::ffi::c_char,
        arg4: *mut ::core::ffi::c_char,
        arg5: *mut ::core::ffi::c_char,
        arg6: ::core::ffi::c_int,
        arg7: *mut *mut ::core::ffi::c_char,
    ) -> *mut cmt_counter,
>;
pub type cmt_counter_set_fn = ::core::option::Option<
    unsafe extern "C" fn(
        arg1: *mut cmt_counter,
        arg2: u64,
        arg3: f64,
        arg4: ::core::ffi::c_int,
        arg5: *mut *mut ::core::ffi::c_char,
    ) -> ::core::ffi::c_int,
>;
pub type cmt_encode_text_create_fn =
    ::core::option::Option<unsafe extern "C" fn(arg1: *mut cmt) -> *mut ::core::ffi::c_char>;
pub type cmt_encode_text_destroy_fn =
    ::core::option::Option<unsafe extern "C" fn(arg1: *mut ::core::ffi::c_char)>;
