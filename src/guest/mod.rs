//! Running WASI programs. Knows wasmtime and nothing of Fluent Bit.
//!
//! The rest of the crate sees [`runner::Runner`]: a thread that starts a program when the schedule says so
//! and turns what it prints into records in the pipe; and [`precompile`], which makes files for it.

mod cache;
#[cfg_attr(not(feature = "compiler"), path = "no_compiler.rs")]
mod compiler;
mod component;
mod engine;
mod listings;
mod load;
mod nap;
#[allow(unsafe_code, reason = "native code is loaded, and only here")]
mod native;
mod network;
pub mod precompile;
mod program;
mod program_file;
pub mod runner;
mod scan;
#[allow(unsafe_code, reason = "no library of ours has the call")]
mod signals;
mod state_dir;
mod threads;
mod ticker;
mod turns;
mod waiting_room;
pub mod writable;

use exec_wasi_core::run::{limits, outcome, p1, sandbox, stdio};
