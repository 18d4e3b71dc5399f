//! Running WASI programs. Knows wasmtime and nothing of Fluent Bit.
//!
//! The rest of the crate sees [`runner::Runner`]: a thread that starts a program when the schedule says so
//! and turns what it prints into records in the pipe.

mod backtrace;
mod component;
mod engine;
mod env_file;
mod limits;
mod outcome;
mod p1;
mod program;
mod rarely;
pub mod runner;
mod sandbox;
mod state_dir;
mod stdio;
