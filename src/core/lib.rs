//! What every line and every run of `exec_wasi` passes, from the guest's
//! call to the batch that the host takes, and what it is told to do. Knows neither the host nor where
//! programs come from.
//!
//! A crate of its own for one reason: cargo decides per crate how code is made, and this is made for speed,
//! while what is around it is made for size.

#![forbid(unsafe_code)]

pub mod config;
pub mod counters;
pub mod doorbell;
pub mod event;
pub mod journal;
pub mod panics;
pub mod pipe;
pub mod rarely;
pub mod record;
#[allow(missing_docs, reason = "of use to the plugin only")]
pub mod run;
pub mod schedule;
