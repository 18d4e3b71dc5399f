//! wasmtime's engine, and what makes a busy guest interruptible.
//!
//! One engine serves all inputs of the process that want the same of what wasmtime fixes per engine: the size
//! of the stack, whether instructions are counted (option `fuel`), whether functions run beside each other
//! (components of WASI 0.3), and how much memory is kept from one run to the next. Each takes a [`Berth`] on it;
//! when all are taken, there is a further engine.
//!
//! **Traps without signals.** wasmtime usually catches a guest's bad access with a signal handler of its
//! own. Fluent Bit re-installs its handlers on every SIGHUP and SIGCONT, after which such an access would
//! end the agent. So the compiler is told to check explicitly, and no handler is ever installed.
//!
//! **Epochs.** Compiled code looks at a counter in every loop and function and gives way when it has changed.
//! The [`ticker`](super::ticker) changes it.

use std::future::Future;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};

use wasmtime::{
    Enabled, Engine, InstanceAllocationStrategy, Linker, ModuleVersionStrategy, PoolingAllocationConfig,
    component,
};

use super::limits::{MAX_COMPONENT_INSTANCES, MAX_MEMORIES, MAX_TABLES};
use super::sandbox::State;
use super::ticker::{Computing, Ticker};
use super::turns::{Place, Share};
use super::{component as components, p1};
use crate::pipe::Pipe;

/// What compiled code must have been made by to be run here. wasmtime itself would take code of any release
/// of its line; but a later one may have been made because of what the compiler of an earlier one did.
pub const VERSION: &str =
    concat!("exec-wasi ", env!("CARGO_PKG_VERSION"), ", wasmtime ", env!("EXEC_WASI_WASMTIME_VERSION"));

/// Stack for what runs on the guest's stack besides the guest: host functions.
const HOST_STACK_BYTES: usize = 1 << 20;

/// An engine with everything that is the same for every program on it.
pub struct GuestEngine {
    /// wasmtime's own.
    pub engine: Engine,
    /// The functions core modules may import.
    pub linker: Linker<State>,
    /// The functions components may import, once there is one.
    component_linker: OnceLock<component::Linker<components::State>>,
    traits: Traits,
    ticker: Ticker,
    /// How many have a berth.
    taken: AtomicU32,
}

/// An input's right to run a guest on an engine, one at a time: the engine's pool has a place for each. An input
/// with a program of WASI 0.3 has one on each kind of engine.
#[derive(Clone)]
pub struct Berth(Arc<Held>);

/// Given up when its last clone is dropped.
struct Held(Arc<GuestEngine>);

impl Deref for Berth {
    type Target = Arc<GuestEngine>;

    fn deref(&self) -> &Self::Target {
        &self.0.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What wasmtime fixes per engine and inputs may want differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// The guest's stack.
    pub stack_bytes: usize,
    /// Instructions are counted.
    pub counts_fuel: bool,
    /// Functions of a guest may run beside each other, as those of WASI 0.3 do. Where it is on, each call
    /// from a component to the host costs half as much again.
    pub concurrent: bool,
    /// Memory stays with a run's place in the pool for the next run, which comes soon.
    pub runs_often: bool,
}

impl Default for Traits {
    /// Without options.
    fn default() -> Self {
        Self { stack_bytes: 1_000_000, counts_fuel: false, concurrent: false, runs_often: false }
    }
}

static ENGINES: Mutex<Vec<Weak<GuestEngine>>> = Mutex::new(Vec::new());

impl GuestEngine {
    /// A berth on one of the process's engines for guests of this kind. An engine is made when there is no berth
    /// on another, and gone when the last input that uses it is.
    ///
    /// # Errors
    /// When wasmtime refuses the settings on this machine, or no thread can be started.
    pub fn berth(traits: Traits) -> wasmtime::Result<Berth> {
        // Whoever else needs one waits until it is made, and then shares it.
        let mut engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
        engines.retain(|engine| engine.strong_count() > 0);
        let mut known = engines.iter().filter_map(Weak::upgrade);
        // They are only taken under this lock.
        let is_free = |known: &GuestEngine| known.taken.load(Ordering::Relaxed) < BERTHS;
        let free = known.find(|known| known.traits == traits && is_free(known));
        let engine = match free {
            Some(engine) => engine,
            None => {
                let made = Arc::new(Self::new(traits)?);
                engines.push(Arc::downgrade(&made));
                made
            }
        };
        engine.taken.fetch_add(1, Ordering::Relaxed);
        Ok(Berth(Arc::new(Held(engine))))
    }

    fn new(traits: Traits) -> wasmtime::Result<Self> {
        let engine = engine(traits)?;
        Ok(Self {
            linker: module_linker(&engine)?,
            component_linker: OnceLock::new(),
            ticker: ticker(&engine)?,
            taken: AtomicU32::new(0),
            engine,
            traits,
        })
    }

    /// A berth on an engine that differs from this one only in that its guests may be of WASI 0.3.
    ///
    /// # Errors
    /// As for [`berth`](Self::berth).
    pub fn concurrent(&self) -> wasmtime::Result<Berth> {
        Self::berth(Traits { concurrent: true, ..self.traits })
    }

    /// The functions components may import.
    ///
    /// # Errors
    /// Only if wasmtime-wasi defined a name twice.
    pub fn component_linker(&self) -> wasmtime::Result<&component::Linker<components::State>> {
        if let Some(linker) = self.component_linker.get() {
            return Ok(linker);
        }
        let linker = components::linker(&self.engine, self.traits.concurrent)?;
        Ok(self.component_linker.get_or_init(|| linker))
    }

    /// Runs a guest's future so that it can be interrupted whenever it computes, and when it is its turn.
    /// `call` is what [`calling`](Self::calling) returned, until the guest begins.
    pub fn interruptible<F: Future>(
        &self,
        guest: F,
        share: Rc<Share>,
        pipe: Arc<Pipe>,
        call: Computing,
    ) -> Interruptible<'_, F> {
        let guest = Box::pin(guest);
        Interruptible { guest, ticker: &self.ticker, share, pipe, call: Some(call), place: Place::default() }
    }

    /// The guest's thread makes calls of the system until what this returns is dropped. Should one hang, it is said.
    pub fn calling(&self, pipe: &Arc<Pipe>) -> Computing {
        self.ticker.computing(pipe)
    }
}

/// What advances an engine's epoch.
fn ticker(engine: &Engine) -> std::io::Result<Ticker> {
    let engine = engine.clone();
    Ticker::start(move || engine.increment_epoch())
}

/// The functions core modules may import.
///
/// wasmtime-wasi's are added here and ours by [`p1`], so that only ours are made for speed: they are what lines
/// pass, and the others are many.
fn module_linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p1::add_to_linker_async(&mut linker, |state: &mut State| &mut state.wasi)?;
    p1::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Inputs that share an engine; the pool has a stack for each. A stack and the page that guards it cost system
/// calls when the engine is made and when it goes: of a thousand that is some five milliseconds.
const BERTHS: u32 = 128;
/// A component of WASI 0.3 may have functions that run beside each other on stacks of their own.
const STACKS_OF_CONCURRENT: u32 = 1000;
/// Other places in the pool: as many as all guests may have together, so that none takes another's.
const MEMORIES: u32 = BERTHS * MAX_MEMORIES as u32;
const TABLES: u32 = BERTHS * MAX_TABLES as u32;
const INSTANCES: u32 = BERTHS * MAX_COMPONENT_INSTANCES as u32;
/// Bytes of a guest's memory that stay with their slot when a run has ended: enough for a small program's next
/// run, and little for a hundred inputs that wait.
const KEPT_BYTES: usize = 16 << 10;
/// The same, and bytes of its tables, for guests that run often: enough for a program of a language with a
/// runtime of its own, for which having them mapped anew is half of what a run costs. Only where the kernel
/// tells which pages were written (Linux 6.7); else they would all have to be set back.
const KEPT_OFTEN_BYTES: usize = 4 << 20;
const KEPT_OFTEN_TABLE_BYTES: usize = 128 << 10;

/// Address space that a growing memory gets beyond what it needs, where there is little.
const GROWTH_BYTES: u64 = 1 << 20;

/// An engine that takes memory and stacks from a pool of address space (terabytes, which cost nothing), or,
/// where the process may not have that (`ulimit -v`), maps for each run just what it needs.
fn engine(traits: Traits) -> wasmtime::Result<Engine> {
    let mut config = settings(traits)?;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_stacks(if traits.concurrent { STACKS_OF_CONCURRENT } else { BERTHS })
        .total_memories(MEMORIES)
        .total_tables(TABLES)
        .total_core_instances(INSTANCES)
        .total_component_instances(INSTANCES)
        .max_memories_per_module(MAX_MEMORIES as u32)
        .max_tables_per_module(MAX_TABLES as u32)
        .max_memory_size(4 << 30)
        .table_elements(1_000_000)
        .max_core_instance_size(64 << 20)
        .max_component_instance_size(64 << 20)
        .linear_memory_keep_resident(KEPT_BYTES);
    if traits.runs_often && PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Auto)
            .linear_memory_keep_resident(KEPT_OFTEN_BYTES)
            .table_keep_resident(KEPT_OFTEN_TABLE_BYTES);
    }
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).or_else(|_| {
        let mut config = settings(traits)?;
        config.memory_reservation(0).memory_reservation_for_growth(GROWTH_BYTES);
        Engine::new(&config)
    })
}

/// All that decides what code is compiled, and what code is taken: the cache and precompiled files hold
/// what these settings made, and wasmtime refuses the rest.
fn settings(traits: Traits) -> wasmtime::Result<wasmtime::Config> {
    let mut config = wasmtime::Config::new();
    config
        .module_version(ModuleVersionStrategy::Custom(VERSION.to_owned()))?
        .signals_based_traps(false)
        // With accesses checked, nothing needs inaccessible pages behind a memory. Without them, what one run's
        // memory grew to stays mapped in its place in the pool: to take that away, and to give it to the next run
        // once more, are system calls that make every processor forget addresses, the host's too.
        .memory_guard_size(0)
        .epoch_interruption(true)
        .consume_fuel(traits.counts_fuel)
        .concurrency_support(traits.concurrent)
        .max_wasm_stack(traits.stack_bytes)
        .async_stack_size(traits.stack_bytes + HOST_STACK_BYTES)
        // Enough to see through a recursion to who began it.
        .wasm_backtrace_max_frames(NonZeroUsize::new(50))
        // wasmtime finds its way through frames without the tables a debugger would need; and with them,
        // all of the host would meet our guests in its list of things to unwind.
        .native_unwind_info(false);
    Ok(config)
}

/// A guest's future; see [`GuestEngine::interruptible`].
pub struct Interruptible<'a, F> {
    guest: Pin<Box<F>>,
    ticker: &'a Ticker,
    share: Rc<Share>,
    pipe: Arc<Pipe>,
    /// Given up with the first turn or the wait for it, so that the timer runs on from one to the other.
    call: Option<Computing>,
    place: Place,
}

impl<F: Future> Future for Interruptible<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { guest, ticker, share, pipe, call, place } = &mut *self;
        let call = call.take();
        place.poll(share, context, |context| {
            let _computing = ticker.computing(pipe);
            drop(call);
            guest.as_mut().poll(context)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_of_the_same_kind_share_an_engine() {
        let plain = Traits::default();
        let one = GuestEngine::berth(plain).unwrap();
        let two = GuestEngine::berth(plain).unwrap();
        assert!(Arc::ptr_eq(&one, &two));
        for other in [
            Traits { stack_bytes: 2_000_000, ..plain },
            Traits { counts_fuel: true, ..plain },
            Traits { concurrent: true, ..plain },
            Traits { runs_often: true, ..plain },
        ] {
            assert!(!Arc::ptr_eq(&one, &GuestEngine::berth(other).unwrap()));
        }
    }

    #[test]
    fn there_is_an_engine_for_so_many_inputs_and_a_free_berth_is_taken_first() {
        // Of a kind that no other test has.
        let traits = Traits { stack_bytes: 1_234_567, ..Traits::default() };
        let mut first: Vec<_> = (0..BERTHS).map(|_| GuestEngine::berth(traits).unwrap()).collect();
        // An input has more than one hold on its berth.
        let clones = first.clone();
        assert!(first.iter().all(|berth| Arc::ptr_eq(berth, &first[0])));
        let further = GuestEngine::berth(traits).unwrap();
        assert!(!Arc::ptr_eq(&further, &first[0]));
        first.pop();
        drop(clones);
        assert!(Arc::ptr_eq(&GuestEngine::berth(traits).unwrap(), &first[0]));
    }
}
