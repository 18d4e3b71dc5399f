//! What a guest may have of the host's memory, which wasmtime asks for before it gives; and of its time.

use wasmtime::{ResourceLimiter, Result, Store};

use crate::config::Config;

/// Entries of all tables together: function pointers, 8 bytes each. Large programs have tens of thousands.
const MAX_TABLE_ELEMENTS: usize = 1_000_000;
/// A WASI program has one memory; proposals allow a few more, and a component may be made of several programs.
pub const MAX_MEMORIES: usize = 8;
/// As for memories.
pub const MAX_TABLES: usize = 16;
/// Components have a handful: the program, adapters, shared libraries.
pub const MAX_COMPONENT_INSTANCES: usize = 100;

/// The limits of one run, and what was refused because of them.
#[derive(Debug)]
pub struct Limits {
    memory_limit_bytes: usize,
    memory_bytes: usize,
    table_elements: usize,
    max_instances: usize,
    /// A memory was refused to grow.
    pub memory_refused: bool,
    /// A table was refused to grow.
    pub table_refused: bool,
}

impl Limits {
    /// For a core module, with at most `memory_limit_bytes` in all linear memories together.
    pub fn of_module(memory_limit_bytes: u64) -> Self {
        Self::new(memory_limit_bytes, 1)
    }

    /// The same for a component, which is made of several modules.
    pub fn of_component(memory_limit_bytes: u64) -> Self {
        Self::new(memory_limit_bytes, MAX_COMPONENT_INSTANCES)
    }

    fn new(memory_limit_bytes: u64, max_instances: usize) -> Self {
        Self {
            max_instances,
            memory_limit_bytes: usize::try_from(memory_limit_bytes).unwrap_or(usize::MAX),
            memory_bytes: 0,
            table_elements: 0,
            memory_refused: false,
            table_refused: false,
        }
    }
}

/// The total after one part has grown from `current` to `desired`, if it stays within `limit`.
fn grown(total: usize, current: usize, desired: usize, limit: usize) -> Option<usize> {
    let grown = total.checked_sub(current)?.checked_add(desired)?;
    (grown <= limit).then_some(grown)
}

/// Whether it is not for `limit` to refuse it: wasmtime asks before it looks at what the program itself lets a memory or
/// table become.
fn is_beyond_own(desired: usize, maximum: Option<usize>, limit: usize) -> bool {
    maximum.is_some_and(|maximum| desired > maximum && maximum < limit)
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if is_beyond_own(desired, maximum, self.memory_limit_bytes) {
            return Ok(false);
        }
        match grown(self.memory_bytes, current, desired, self.memory_limit_bytes) {
            Some(total) => {
                self.memory_bytes = total;
                Ok(true)
            }
            None => {
                self.memory_refused = true;
                Ok(false)
            }
        }
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if is_beyond_own(desired, maximum, MAX_TABLE_ELEMENTS) {
            return Ok(false);
        }
        match grown(self.table_elements, current, desired, MAX_TABLE_ELEMENTS) {
            Some(total) => {
                self.table_elements = total;
                Ok(true)
            }
            None => {
                self.table_refused = true;
                Ok(false)
            }
        }
    }

    fn instances(&self) -> usize {
        self.max_instances
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

/// Makes a run end at its `fuel`, and give way at every tick of the engine.
///
/// # Panics
/// With `fuel`, on an engine that doesn't count it.
pub fn bound<T: 'static>(store: &mut Store<T>, config: &Config) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    if let Some(fuel) = config.fuel {
        store.set_fuel(fuel).expect("an engine for a config with fuel counts it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_together_stay_within_the_limit() {
        let mut limits = Limits::of_module(1000);
        assert!(limits.memory_growing(0, 600, None).unwrap());
        assert!(limits.memory_growing(0, 400, None).unwrap());
        assert!(!limits.memory_refused);
        assert!(!limits.memory_growing(400, 401, None).unwrap());
        assert!(limits.memory_refused);
        // Refused once is not refused for ever: another memory may still be small.
        assert!(limits.memory_growing(600, 600, None).unwrap());
        assert!(!limits.memory_growing(0, usize::MAX, None).unwrap());
    }

    #[test]
    fn what_a_memory_may_not_become_by_itself_does_not_count() {
        let mut limits = Limits::of_module(1000);
        for _ in 0..10 {
            assert!(!limits.memory_growing(100, 300, Some(200)).unwrap());
            assert!(!limits.table_growing(0, MAX_TABLE_ELEMENTS, Some(1)).unwrap());
        }
        assert!(!limits.memory_refused && !limits.table_refused);
        assert!(!limits.table_growing(0, MAX_TABLE_ELEMENTS + 1, Some(MAX_TABLE_ELEMENTS)).unwrap());
        assert!(limits.table_refused);
        assert!(limits.memory_growing(0, 1000, Some(1000)).unwrap());
    }

    #[test]
    fn tables_are_bounded_too() {
        let mut limits = Limits::of_module(1000);
        assert!(limits.table_growing(0, MAX_TABLE_ELEMENTS, None).unwrap());
        assert!(!limits.table_growing(0, 1, None).unwrap());
        assert!(limits.table_refused);
    }
}
