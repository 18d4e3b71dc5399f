//! What a build without a compiler has in its place: a word to who needs one.

use wasmtime::Engine;

use super::native::Image;
use super::program::Failure;

/// A program that is to be compiled: here there is none.
pub enum Source {}

impl Source {
    /// # Errors
    /// Always.
    pub fn new(_content: Vec<u8>) -> Result<Self, Failure> {
        Err(no_compiler())
    }

    pub fn is_large(&self) -> bool {
        match *self {}
    }

    /// # Errors
    /// Never.
    pub fn check_memory(&self) -> Result<(), Failure> {
        match *self {}
    }

    /// # Errors
    /// Never.
    pub fn compile(self, _engine: &Engine) -> Result<Image, Failure> {
        match self {}
    }
}

/// # Errors
/// Always, with what to do.
pub fn check_file(_size_bytes: usize, _is_text: bool) -> Result<(), Failure> {
    Err(no_compiler())
}

fn no_compiler() -> Failure {
    Failure::NoProgram("it has to be compiled, and this build of the plugin has no compiler: compile it with `exec-wasi compile` of a full build of the same version, and set option precompiled".into())
}

/// A turn to compile; there is nothing to wait for.
pub struct InLane(());

impl InLane {
    pub fn of_large(self) -> Self {
        self
    }

    pub fn end(self) {}
}

pub fn turn(_large: bool) -> InLane {
    InLane(())
}
