//! Native code, and how it gets into this process: the one place in `guest` with unsafe code.
//!
//! wasmtime can load code it has compiled before, but it can't check such code: whoever hands it something
//! else has the process run that. So it is loaded from two types only, and neither can be made from just
//! any bytes: an [`Image`] is what the compiler made in this process, or a file that the operator vouches
//! for; an [`Entry`] is a file in a folder that nobody else can write to, and whole.
//!
//! What wasmtime does check is that the code fits: its version and settings, this machine's processor.

use std::fs::File;
use std::os::fd::AsRawFd;

#[cfg(feature = "compiler")]
use wasmparser::Parser;
use wasmtime::component::Component;
use wasmtime::{Engine, Error, Module, Precompiled};

use super::cache::entry::Entry;

/// The operator's word that precompiled files may be run: the option `precompiled`.
#[derive(Clone, Copy, Debug)]
pub struct Trust(());

impl Trust {
    /// As the option says.
    pub fn of_option(precompiled: bool) -> Option<Self> {
        precompiled.then_some(Self(()))
    }
}

/// A compiled program, in either form.
pub enum Code {
    Module(Module),
    Component(Component),
}

/// Whether code can't be loaded because the program has more, or larger, tables or memories than any may
/// have. wasmtime has no type for that error.
pub fn is_too_large(error: &Error) -> bool {
    error.chain().any(|cause| cause.to_string().contains("pooling allocator requirements"))
}

/// Whether code can't be loaded because this process may not run what it has written, whatever that is. wasmtime has
/// no type for that error either.
pub fn is_forbidden(error: &Error) -> bool {
    error.chain().any(|cause| cause.to_string().contains("unable to make memory executable"))
}

/// Whether native code is a module or a component.
fn known(form: Option<Precompiled>) -> wasmtime::Result<Precompiled> {
    form.ok_or_else(|| Error::msg("it is no native code of wasmtime's"))
}

/// Native code in memory that may be run.
pub struct Image(Vec<u8>);

impl Image {
    /// Compiles a module or component, in binary form. The threads of the pool it is called on do the
    /// work, if the engine compiles in parallel.
    ///
    /// # Errors
    /// When the program isn't valid.
    #[cfg(feature = "compiler")]
    pub fn compiled(engine: &Engine, binary: &[u8]) -> wasmtime::Result<Self> {
        if Parser::is_component(binary) {
            engine.precompile_component(binary).map(Self)
        } else {
            engine.precompile_module(binary).map(Self)
        }
    }

    /// A precompiled file's content.
    pub fn trusted(content: Vec<u8>, _: Trust) -> Self {
        Self(content)
    }

    /// The code as it is kept in files.
    #[cfg(feature = "compiler")]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same; they can't become an image again.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A copy of the code, ready to run.
    ///
    /// # Errors
    /// When it was compiled by another version, with other settings or for another processor.
    pub fn load(&self, engine: &Engine) -> wasmtime::Result<Code> {
        match known(Engine::detect_precompiled(&self.0))? {
            // SAFETY: the bytes are the compiler's by the two ways an image comes about: this process's
            // compiler made them, or the operator vouches for whoever did. They are copied, so nothing
            // that happens to a file afterwards matters.
            Precompiled::Module => unsafe { Module::deserialize(engine, &self.0) }.map(Code::Module),
            Precompiled::Component => {
                // SAFETY: as above.
                unsafe { Component::deserialize(engine, &self.0) }.map(Code::Component)
            }
        }
    }
}

/// The code of a cache entry, ready to run and not copied: its pages are read when they are first used,
/// and the kernel may drop them again.
///
/// # Errors
/// As for [`Image::load`], and when the file can't be mapped as code, say on a file system mounted
/// `noexec`.
pub fn map(engine: &Engine, entry: &Entry) -> wasmtime::Result<Code> {
    let file: File = entry.file().try_clone()?;
    // By this name it is the very file that is open.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    if let Precompiled::Component = known(Engine::detect_precompiled_file(&path)?)? {
        // SAFETY: as below.
        return unsafe { Component::deserialize_file(engine, path) }.map(Code::Component);
    }
    // SAFETY: that the file holds what the compiler made, and goes on doing so, is what an `Entry` stands
    // for: only this user (or root) can have written it, its checksum is right, and nobody of ours
    // changes an entry once it has its name; it is only ever unlinked, which keeps a mapping as it is.
    unsafe { Module::deserialize_open_file(engine, file) }.map(Code::Module)
}

/// The code of a cache entry, copied.
///
/// # Errors
/// As for [`Image::load`], and when the file can't be read.
pub fn copy(engine: &Engine, entry: &Entry) -> wasmtime::Result<Code> {
    Image(entry.read()?).load(engine)
}
