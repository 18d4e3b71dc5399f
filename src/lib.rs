//! `exec_wasi`: WASI programs as a Fluent Bit input.
//!
//! An unmodified Fluent Bit, v2.0 to v5.1, loads this library with `fluent-bit -e flb-in_exec_wasi.so`.
//! Each configured input runs a WASI program under wasmtime; every line it prints becomes a record.
//!
//! ```text
//! config ─ schedule ─ guest (own thread: program → sandbox → instance)
//!                       │ stdout
//!                     record: lines → MessagePack       on the guest's thread
//!                       │ batches
//!                     pipe                               bounded; full = the guest waits
//!    ───────────────────│─────────────────────────────── host's threads below this line
//!                     plugin: collect → append           never waits
//! ```
//!
//! # Modules
//! [`config`], [`schedule`], [`record`], [`pipe`], [`event`], [`journal`], [`counters`], [`rarely`], [`panics`] know
//! neither the host nor wasmtime. [`guest`] knows wasmtime and no Fluent Bit, and so does `run`, which is what it does to run a
//! program. [`host`] knows Fluent Bit and no wasmtime. [`plugin`] is where they meet.
//!
//! Those before [`guest`], and `run`, are the package `exec-wasi-core`: what every line and every run passes.
//!
//! # Threads
//! The host's callbacks run on the host's thread for the input, and only there is the host called. Each
//! input has one thread of its own, for its guest, or waits for a start that is far away on one that all such
//! inputs share (`guest::waiting_room`); of guests that only compute, no more go at a time than
//! there are processors (`guest::turns`). While a guest computes, one more thread per engine
//! (`guest::engine`) advances the epoch; while a program is compiled, some more do that. None is left after
//! `cb_exit` but those that the system or the compiler holds up: they end by themselves, later.
//!
//! # Unsafe code
//! Only in [`host`], whose files are named for what they do, in [`plugin::exports`] and
//! [`plugin::compile`], in `guest::native`, where compiled code is loaded, and in `guest::signals`, which
//! makes a call that has no safe form.

#![deny(unsafe_code, clippy::multiple_unsafe_ops_per_block)]

#[allow(missing_docs, reason = "internal to the crate but for its runner")]
pub mod guest;
#[allow(unsafe_code, reason = "the host's binary interface")]
pub mod host;
pub mod plugin;
pub use exec_wasi_core::{
    config, counters, doorbell, event, journal, panics, pipe, rarely, record, schedule,
};

/// See [`host::alloc`].
#[global_allocator]
static ALLOCATOR: host::alloc::AlignedSystem = host::alloc::AlignedSystem;
