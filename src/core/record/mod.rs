//! From bytes to records: framing, encoding, JSON. Pure: no I/O, no thread, no host.

pub mod encode;
pub mod json;
pub mod lines;
pub mod skip;
