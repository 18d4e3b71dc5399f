//! No guest can hurt the host. A table of faults: what a hostile or broken guest does, or what happens to
//! the host while one runs, and what must be seen then.
//!
//! Each row runs beside a neighbour, an input that makes ten records a second. For every row the host
//! stays alive and stops cleanly when asked, the neighbour is never held up, every line the guest wrote is
//! a record or counted as lost, and the log names the cause. [`fault`] checks that in one place; a row says
//! only what is particular to it. With `--nocapture` each row prints what was measured.

#[path = "../host/mod.rs"]
mod host;

#[macro_use]
mod fault;
mod calls;
mod components;
mod endless;
mod files;
mod hosts;
mod limits;
mod output;
mod programs;
