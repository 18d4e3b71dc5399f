//! From WebAssembly to native code.
//!
//! A build without the feature `compiler` has none of it, and is the smaller by far for it: it runs what
//! was compiled elsewhere.

use wasmtime::Engine;

use super::native::Image;
#[cfg(feature = "compiler")]
use super::outcome::causes;

/// Compiles a module or component, binary or text; a clause about the program when that can't be done.
#[cfg(feature = "compiler")]
pub fn compile(engine: &Engine, content: &[u8]) -> Result<Image, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // wasmtime compiles functions in parallel on the pool it finds itself in. Its own global one would
    // keep a thread per core inside the agent for ever; this one ends here.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("exec_wasi-comp{number}"))
        .build()
        .map_err(|error| format!("no threads to compile it: {error}"))?;
    pool.install(|| Image::compiled(engine, content))
        .map_err(|error| format!("it is not valid WebAssembly: {}", causes(&error)))
}

/// What a build without a compiler says.
#[cfg(not(feature = "compiler"))]
pub fn compile(_engine: &Engine, _content: &[u8]) -> Result<Image, String> {
    Err("it has to be compiled, and this build of the plugin has no compiler: compile it with `exec-wasi compile` of a full build of the same version, and set option precompiled".into())
}
