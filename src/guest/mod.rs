//! Running WASI programs. Knows wasmtime and nothing of Fluent Bit.
//!
//! The rest of the crate sees [`runner::Runner`]: a thread that starts a program when the schedule says so
//! and turns what it prints into records in the pipe.

mod engine;
mod limits;
mod notes;
mod outcome;
mod p1;
mod p1_calls;
mod program;
pub mod runner;
mod sandbox;
mod stdio;
