//! The plugin's pure modules, compiled by themselves: fuzzing them needs no WebAssembly runtime, whose
//! build with a sanitizer takes a quarter of an hour.

#![allow(dead_code, reason = "only a part of each module is fuzzed")]

#[path = "../../src/core/config/mod.rs"]
pub mod config;
#[path = "../../src/core/record/mod.rs"]
pub mod record;
#[path = "../../src/core/schedule.rs"]
pub mod schedule;
