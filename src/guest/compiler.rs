//! From WebAssembly to native code.
//!
//! A build without the feature `compiler` has none of it, and is the smaller by far for it: it runs what
//! was compiled elsewhere.

#[cfg(feature = "compiler")]
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
#[cfg(feature = "compiler")]
use std::time::{Duration, Instant};

#[cfg(feature = "compiler")]
use wasmparser::{BinaryReaderError, ElementItems, Parser, Payload};
use wasmtime::Engine;
#[cfg(feature = "compiler")]
use wasmtime::InstanceAllocationStrategy;

#[cfg(feature = "compiler")]
use super::free_memory;
use super::load::Failure;
use super::native::Image;
#[cfg(feature = "compiler")]
use super::nesting;
#[cfg(feature = "compiler")]
use super::outcome::causes;
#[cfg(feature = "compiler")]
use super::tangle;

/// Programs that wait to be compiled: of small ones a few go at a time, of large ones a single one. All but the
/// smallest use every processor anyway, and a compilation takes memory in proportion to the program, so a hundred of
/// them side by side would be no sooner ready and all the heavier; and a small one is not behind a large one.
///
/// Nor is any behind one that takes for ever, as there are: where nothing moves for a while, one goes beside it.
#[cfg(feature = "compiler")]
struct Lane {
    state: Mutex<LaneState>,
    left: Condvar,
}

#[cfg(feature = "compiler")]
struct LaneState {
    /// Below zero while some have lost their patience.
    free: i64,
    /// When one last entered or left; all who wait begin to count anew.
    moved: Option<Instant>,
}

#[cfg(feature = "compiler")]
const LANE_PATIENCE: Duration = Duration::from_secs(60);

#[cfg(feature = "compiler")]
static SMALL: Lane = Lane::for_so_many(2);
#[cfg(feature = "compiler")]
static LARGE: Lane = Lane::for_so_many(1);

#[cfg(feature = "compiler")]
impl Lane {
    const fn for_so_many(free: i64) -> Self {
        Self { state: Mutex::new(LaneState { free, moved: None }), left: Condvar::new() }
    }

    /// Waits for its turn, which lasts as long as the result.
    fn enter(&'static self, patience: Duration) -> InLane {
        let mut state = self.state();
        loop {
            let stood_still = state.moved.map_or(Duration::ZERO, |moved| moved.elapsed());
            if state.free > 0 || stood_still >= patience {
                state.free -= 1;
                state.moved = Some(Instant::now());
                return InLane(self);
            }
            let waited = self.left.wait_timeout(state, patience - stood_still);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, LaneState> {
        // Numbers are always whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A compilation may go on.
#[cfg(feature = "compiler")]
pub struct InLane(&'static Lane);

#[cfg(feature = "compiler")]
impl Drop for InLane {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.free += 1;
        state.moved = Some(Instant::now());
        self.0.left.notify_one();
    }
}

#[cfg(feature = "compiler")]
impl InLane {
    /// Gives this turn back and waits for one of a large program.
    pub fn of_large(self) -> Self {
        drop(self);
        turn(true)
    }
}

/// Waits until a program of this kind may be compiled; it may be until the result is dropped.
#[cfg(feature = "compiler")]
pub fn turn(large: bool) -> InLane {
    if large { LARGE.enter(LANE_PATIENCE) } else { SMALL.enter(LANE_PATIENCE) }
}

/// A build without a compiler has nothing to wait for.
#[cfg(not(feature = "compiler"))]
pub struct InLane(());

#[cfg(not(feature = "compiler"))]
impl InLane {
    /// As above.
    pub fn of_large(self) -> Self {
        self
    }
}

/// As above.
#[cfg(not(feature = "compiler"))]
pub fn turn(_large: bool) -> InLane {
    InLane(())
}

/// Compiles a module or component, binary or text; why it can't be, otherwise.
#[cfg(feature = "compiler")]
pub fn compile(engine: &Engine, content: &[u8]) -> Result<Image, Failure> {
    // To say what is wrong with text that can't be read is the compiler's affair.
    let binary = wat::parse_bytes(content);
    let content = binary.as_deref().unwrap_or(content);
    if tangle::is_in(content) {
        return Err(Failure::NoProgram(
            "to compile it would take hours or more memory than there is: its functions have too many variables that change in too many nested loops, or too many values for too many branches and calls".into(),
        ));
    }
    if nesting::is_in(content) {
        return Err(Failure::NoProgram(
            "to compile it would take hours or more memory than there is: its components are made of each other too many times over".into(),
        ));
    }
    let threads = threads_for(content);
    let compiling = like(engine, threads)?;
    let image = if threads == 0 {
        Image::compiled(&compiling, content)
    } else {
        pool(threads)?.install(|| Image::compiled(&compiling, content))
    };
    image.map_err(|error| Failure::NoProgram(format!("it is not valid WebAssembly: {}", causes(&error))))
}

/// A program smaller than this is compiled by the thread that loads it: it takes milliseconds, and threads with
/// what the allocator has for each take some as well.
#[cfg(feature = "compiler")]
const ALONE_BYTES: usize = 32 << 10;

/// Threads that the compilation of a program starts.
#[cfg(feature = "compiler")]
fn threads_for(content: &[u8]) -> usize {
    if content.len() < ALONE_BYTES {
        return 0;
    }
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// An engine that makes the same code as `engine` and has no place to run it. An engine keeps what its compiler has
/// needed, several megabytes for each thread, for the next compilation; this one is gone with it.
#[cfg(feature = "compiler")]
fn like(engine: &Engine, threads: usize) -> Result<Engine, Failure> {
    let mut config = engine.config().clone();
    config.parallel_compilation(threads > 0).allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).map_err(|error| Failure::Passing(format!("no compiler for it: {}", causes(&error))))
}

/// Threads for a compilation. wasmtime compiles functions in parallel on the pool it finds itself in. Its own global
/// one would keep a thread per core inside the agent for ever; this one ends with it.
#[cfg(feature = "compiler")]
fn pool(threads: usize) -> Result<rayon::ThreadPool, Failure> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("exec_wasi-comp{number}"))
        .build()
        .map_err(|error| Failure::Passing(format!("no threads to compile it: {error}")))
}

/// Memory the compiler takes for each byte of a program's functions; and as much again for the first of them, until each
/// of its threads has what it needs for one. It was 120 MB for 1.5 MB of functions, and 1070 for 19.
/// To refuse what would just have fitted costs an input, and to begin what does not fit the whole agent, at each start.
#[cfg(feature = "compiler")]
const MEMORY_BYTES_PER_CODE_BYTE: u64 = 54;
#[cfg(feature = "compiler")]
const MEMORY_BYTES_AT_FIRST: u64 = 38_000_000;
/// What it takes for each function, whatever is in it, where that is more; and as much again for each that can be
/// called from elsewhere or by its number in a table. It was 5600 and 5300.
#[cfg(feature = "compiler")]
const MEMORY_BYTES_PER_FUNCTION: u64 = 6000;

/// Addresses that a thread takes whatever it does: its stack, and as glibc's malloc reserves them.
#[cfg(feature = "compiler")]
const THREAD_ADDRESSES: u64 = 72 << 20;

/// Whether this process can get the memory that it takes to compile a program (see [`memory_bytes_for`]). It would be
/// killed otherwise, and again at each start.
#[cfg(feature = "compiler")]
pub fn check_memory_for(content: &[u8], needed: u64) -> Result<(), Failure> {
    let address_space =
        needed.saturating_add(needed / 3).saturating_add(THREAD_ADDRESSES * threads_for(content) as u64);
    if free_memory::bytes().is_none_or(|free| needed <= free)
        && free_memory::address_space().is_none_or(|free| address_space <= free)
    {
        return Ok(());
    }
    // Without the figure of what is free, which is another one each time: the same failure is told once.
    Err(Failure::Passing(format!(
        "to compile it takes at least {} MB of memory, more than this process can get (the machine, its control group, ulimit -v, for which it is {} MB of addresses): compile it with `exec-wasi compile` where there is more, and set option precompiled",
        needed / 1_000_000,
        address_space / 1_000_000
    )))
}

/// Memory that it takes at least to compile a program; none for what is no program, of which the compiler will say what
/// is wrong.
#[cfg(feature = "compiler")]
pub fn memory_bytes_for(content: &[u8]) -> u64 {
    let binary = wat::parse_bytes(content);
    binary.ok().and_then(|binary| Functions::of(&binary).ok()).map_or(0, |functions| functions.memory_bytes())
}

/// A build without a compiler takes none.
#[cfg(not(feature = "compiler"))]
pub fn memory_bytes_for(_content: &[u8]) -> u64 {
    0
}

/// The functions of a program, in its binary form.
#[cfg(feature = "compiler")]
#[derive(Default)]
struct Functions {
    count: u64,
    bytes: u64,
    /// Places where one is exported, or stands in a table's elements.
    declared: u64,
}

#[cfg(feature = "compiler")]
impl Functions {
    fn of(binary: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut functions = Self::default();
        // To the end, since what a section says of its size is only true if that is there.
        for payload in Parser::new(0).parse_all(binary) {
            match payload? {
                Payload::CodeSectionStart { count, size, .. } => {
                    functions.count += u64::from(count);
                    functions.bytes += u64::from(size);
                }
                Payload::ExportSection(exports) => functions.declared += u64::from(exports.count()),
                Payload::ElementSection(elements) => {
                    for element in elements {
                        let count = match element?.items {
                            ElementItems::Functions(items) => items.count(),
                            ElementItems::Expressions(_, items) => items.count(),
                        };
                        functions.declared += u64::from(count);
                    }
                }
                _ => {}
            }
        }
        Ok(functions)
    }

    fn memory_bytes(&self) -> u64 {
        let functions = self.count + self.declared.min(self.count);
        let for_functions = functions.saturating_mul(MEMORY_BYTES_PER_FUNCTION);
        let for_code = self.bytes.saturating_mul(MEMORY_BYTES_PER_CODE_BYTE);
        for_functions.max(for_code.saturating_add(for_code.min(MEMORY_BYTES_AT_FIRST)))
    }
}

/// A build without a compiler takes no memory for it.
#[cfg(not(feature = "compiler"))]
pub fn check_memory_for(_content: &[u8], _needed: u64) -> Result<(), Failure> {
    Ok(())
}

/// What a build without a compiler says.
#[cfg(not(feature = "compiler"))]
pub fn compile(_engine: &Engine, _content: &[u8]) -> Result<Image, Failure> {
    Err(Failure::NoProgram("it has to be compiled, and this build of the plugin has no compiler: compile it with `exec-wasi compile` of a full build of the same version, and set option precompiled".into()))
}

#[cfg(test)]
#[cfg(feature = "compiler")]
mod tests {
    use super::*;

    #[test]
    fn behind_one_that_takes_for_ever_they_go_one_by_one() {
        static LANE: Lane = Lane::for_so_many(1);
        const PATIENCE: Duration = Duration::from_millis(100);
        let begun = Instant::now();
        let for_ever = LANE.enter(PATIENCE);
        let waiting = [(); 3].map(|()| std::thread::spawn(|| (LANE.enter(PATIENCE), Instant::now())));
        let mut entered = waiting.map(|thread| thread.join().unwrap().1.duration_since(begun));
        entered.sort();
        for (number, after) in (1..).zip(entered) {
            assert!(after >= PATIENCE * number, "{entered:?}");
        }
        drop(for_ever);
    }

    #[test]
    fn many_small_functions_take_memory_as_well() {
        let functions = |count: usize, more: &str| {
            let text = format!("(module {} {more})", "(func)".repeat(count));
            memory_bytes_for(text.as_bytes())
        };
        assert_eq!(functions(1000, ""), 1000 * MEMORY_BYTES_PER_FUNCTION);
        // One that stands in several places is one.
        let places = "(table 2000 funcref) (elem (i32.const 0) func 0 1 1 1) (export \"f\" (func 0))";
        assert_eq!(functions(1000, places), 1005 * MEMORY_BYTES_PER_FUNCTION);
        assert_eq!(functions(2, places), 4 * MEMORY_BYTES_PER_FUNCTION);
        let code = format!("(module (func {}))", "i32.const 1 drop ".repeat(10_000));
        assert!(memory_bytes_for(code.as_bytes()) > 60_000 * MEMORY_BYTES_PER_CODE_BYTE);
        assert_eq!(memory_bytes_for(b"(module"), 0);
    }
}
