//! One run of a guest: what it is given, what bounds it, where its output goes, how it ended. For core
//! modules ([`p1`]) that is all there is; what components need besides is in the plugin, made for size.

pub mod backtrace;
mod clocks;
pub mod env_file;
pub mod limits;
pub mod outcome;
pub mod p1;
pub mod sandbox;
pub mod stdio;
