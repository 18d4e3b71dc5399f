//! The input plugin itself: what the host calls, and what that makes happen.

mod collect;
pub mod compile;
pub mod exports;
mod gate;
mod instance;
mod offers;
mod parsing;
mod stuck;
mod witness;
