//! Running WASI programs. Knows wasmtime and nothing of Fluent Bit.
//!
//! The rest of the crate sees [`runner::Runner`]: a thread that starts a program when the schedule says so
//! and turns what it prints into records in the pipe; and [`precompile`], which makes files for it.

mod cache;
mod compiler;
mod engine;
mod limits;
mod load;
#[allow(unsafe_code, reason = "native code is loaded, and only here")]
mod native;
mod outcome;
mod p1;
mod p1_calls;
pub mod precompile;
mod program;
pub mod runner;
mod sandbox;
mod stdio;
