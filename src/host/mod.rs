//! What the rest of the crate may see of Fluent Bit. Knows no wasmtime.
//!
//! The host is an unmodified executable that loads us; nothing of it is linked. Its functions are looked
//! up by name ([`api`]), its struct layouts learned at load time ([`layout`]), and its structs written
//! only where they are ours to give (the registration) or, once, to take its built-in's name
//! ([`takeover`]).

pub mod abi;
pub mod alloc;
pub mod api;
pub mod layout;
pub mod memory;
pub mod metrics;
pub mod properties;
pub mod symbols;
pub mod takeover;
