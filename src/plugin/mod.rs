//! The input plugin itself: what the host calls, and what that makes happen.

mod collect;
pub mod compile;
pub mod exports;
mod instance;
mod stuck;
mod witness;
