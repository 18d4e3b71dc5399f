//! The input plugin itself: what the host calls, and what that makes happen.

mod collect;
#[allow(unsafe_code, reason = "called by the tool")]
pub mod compile;
#[allow(unsafe_code, reason = "called by the host")]
pub mod exports;
mod gate;
mod instance;
mod offers;
mod parsing;
mod stuck;
mod witness;
