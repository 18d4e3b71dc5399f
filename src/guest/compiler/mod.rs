//! From WebAssembly to native code.
//!
//! A build without the feature `compiler` has `no_compiler.rs` in place of this, and is the smaller by far for it: it
//! runs what was compiled elsewhere.

mod free_memory;
mod lane;
mod need;
mod nesting;
mod tangle;

use std::borrow::Cow;

use wasmtime::{Engine, InstanceAllocationStrategy};

use super::native::Image;
use super::outcome::causes;
use super::program::Failure;
use super::threads::STACK_BYTES;

pub use lane::turn;

/// A program for whose compilation it takes this much is compiled as a large one: it takes a second or two.
const LARGE_MEMORY_BYTES: u64 = 100_000_000;

/// A program that is to be compiled, in binary form.
pub struct Source {
    binary: Vec<u8>,
    memory_bytes: u64,
}

impl Source {
    /// From a file's content, binary or text.
    ///
    /// # Errors
    /// When the text can't be read as WebAssembly's, or it would take for ever to compile it.
    pub fn new(content: Vec<u8>) -> Result<Self, Failure> {
        let binary = match wat::parse_bytes(&content) {
            Ok(Cow::Borrowed(_)) => content,
            Ok(Cow::Owned(binary)) => binary,
            Err(error) => {
                let why = unreadable(&error.to_string());
                return Err(Failure::NoProgram(format!("it is not valid WebAssembly: {why}")));
            }
        };
        let mut functions = tangle::memory_of_functions(&binary).map_err(|_| Failure::NoProgram(
            "to compile it would take hours or more memory than there is: its functions have too many loops, too many variables that change in too many of them, too many values for too many branches and calls, or too much in one that may trap".into(),
        ))?;
        if nesting::is_in(&binary) {
            return Err(Failure::NoProgram(
                "to compile it would take hours or more memory than there is: its components are made of each other too many times over".into(),
            ));
        }
        functions.sort_unstable_by(|one, other| other.cmp(one));
        let at_a_time = functions.iter().take(threads(binary.len()).max(1)).sum();
        Ok(Self { memory_bytes: need::memory_bytes(&binary, at_a_time), binary })
    }

    /// Whether it takes much to compile it. A small file may have a hundred thousand functions.
    pub fn is_large(&self) -> bool {
        self.memory_bytes >= LARGE_MEMORY_BYTES
    }

    /// Whether this process can get the memory that it takes to compile it. It would be killed otherwise, and again at
    /// each start.
    ///
    /// # Errors
    /// When it can't.
    pub fn check_memory(&self) -> Result<(), Failure> {
        let needed = self.memory_bytes;
        let for_threads = THREAD_ADDRESSES * threads(self.binary.len()) as u64;
        let addresses = needed.saturating_add(needed / 3).saturating_add(for_threads);
        check("to compile it takes about", needed, addresses, ELSEWHERE)
    }

    /// Compiles it for an engine.
    ///
    /// # Errors
    /// When it is no valid program, or there are no threads for it.
    pub fn compile(self, engine: &Engine) -> Result<Image, Failure> {
        let threads = threads(self.binary.len());
        let compiling = like(engine, threads)?;
        let image = if threads == 0 {
            Image::compiled(&compiling, &self.binary)
        } else {
            pool(threads)?.install(|| Image::compiled(&compiling, &self.binary))
        };
        image.map_err(|error| invalid(&causes(&error)))
    }
}

/// Threads that the compilation of a program of this size starts.
fn threads(size_bytes: usize) -> usize {
    if size_bytes < ALONE_BYTES {
        return 0;
    }
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Whether this process can get the memory that it takes to read a file, before anything is known of what is in it.
///
/// # Errors
/// When it can't.
pub fn check_file(size_bytes: usize, is_text: bool) -> Result<(), Failure> {
    let size_bytes = size_bytes as u64;
    if is_text {
        let needed = size_bytes.saturating_mul(BYTES_PER_TEXT_BYTE);
        let advice = "make it binary (`wasm-tools parse`)";
        check("to read its text takes up to", needed, needed, advice)
    } else {
        check("to read it takes", size_bytes, size_bytes, ELSEWHERE)
    }
}

const ELSEWHERE: &str = "compile it with `exec-wasi compile` where there is more, and set option precompiled";

fn check(what: &str, needed: u64, addresses: u64, advice: &str) -> Result<(), Failure> {
    if free_memory::bytes().is_none_or(|free| needed <= free)
        && free_memory::address_space().is_none_or(|free| addresses <= free)
    {
        return Ok(());
    }
    // Without the figure of what is free, which is another one each time: the same failure is told once.
    Err(Failure::Passing(format!(
        "{what} {} MB of memory, more than this process can get (the machine, its control group, ulimit -d, ulimit -v, for which it is {} MB of addresses): {advice}",
        needed / 1_000_000,
        addresses / 1_000_000
    )))
}

/// Memory that it takes to read a byte of text: 75 of `(func)` and 23 of `nop`.
const BYTES_PER_TEXT_BYTE: u64 = 80;

/// A program smaller than this is compiled by the thread that loads it: it takes milliseconds, and threads with
/// what the allocator has for each take some as well.
const ALONE_BYTES: usize = 32 << 10;

/// Addresses that a thread takes whatever it does: its stack, and as glibc's malloc reserves them.
const THREAD_ADDRESSES: u64 = 72 << 20;

fn invalid(why: &str) -> Failure {
    Failure::NoProgram(format!("it is not valid WebAssembly, or of a kind that is not supported: {why}"))
}

/// What is wrong with text, in one line. The reader of text goes on with the line in question and a mark below it.
fn unreadable(error: &str) -> String {
    let mut lines = error.lines().map(str::trim);
    let (message, place) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    match place.strip_prefix("--> <anon>:").and_then(|place| place.split_once(':')) {
        Some((line, column)) => format!("{message} (line {line}, column {column})"),
        None => message.to_owned(),
    }
}

/// An engine that makes the same code as `engine` and has no place to run it. An engine keeps what its compiler has
/// needed, several megabytes for each thread, for the next compilation; this one is gone with it.
fn like(engine: &Engine, threads: usize) -> Result<Engine, Failure> {
    let mut config = engine.config().clone();
    config.parallel_compilation(threads > 0).allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).map_err(|error| Failure::Passing(format!("no compiler for it: {}", causes(&error))))
}

/// Threads for a compilation. wasmtime compiles functions in parallel on the pool it finds itself in. Its own global
/// one would keep a thread per core inside the agent for ever; this one ends with it.
fn pool(threads: usize) -> Result<rayon::ThreadPool, Failure> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(STACK_BYTES)
        .thread_name(|number| format!("exec_wasi-comp{number}"))
        .build()
        .map_err(|error| Failure::Passing(format!("no threads to compile it: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_text_is_said_in_one_line_with_its_place() {
        let error =
            Source::new(b"(module\n  (func (export \"_start\")".to_vec()).err().expect("it is cut off");
        assert_eq!(error.to_string(), "it is not valid WebAssembly: expected `)` (line 2, column 26)");
        assert_eq!(unreadable("input bytes aren't valid utf-8"), "input bytes aren't valid utf-8");
    }
}
