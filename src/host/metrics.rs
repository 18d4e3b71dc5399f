//! An input's counters among the host's own metrics (`/api/v2/metrics`), where the host has them.

use std::ffi::CString;

use super::api::{HostCounter, Input, Metrics};
use crate::counters::Counters;

/// The counters of one instance, published.
#[derive(Debug)]
pub struct Published {
    metrics: Metrics,
    instance: CString,
    counters: Vec<(HostCounter, u64)>,
}

impl Published {
    /// Creates every counter, at zero: a label that appears later would be added to a list that older
    /// hosts do not lock. `None` on a host without metrics.
    #[must_use]
    pub fn new(input: &Input) -> Option<Self> {
        let metrics = input.metrics()?;
        let instance = CString::new(input.name()).ok()?;
        let mut counters = Vec::new();
        for (name, help) in Counters::NAMES {
            let name = CString::new(format!("exec_wasi_{name}_total")).ok()?;
            let counter = metrics.counter(&name, &CString::new(*help).ok()?)?;
            metrics.set(counter, &instance, 0);
            counters.push((counter, 0));
        }
        Some(Self { metrics, instance, counters })
    }

    /// Publishes what has changed.
    pub fn update(&mut self, counters: &Counters) {
        for ((counter, shown), value) in self.counters.iter_mut().zip(counters.values()) {
            if *shown != value {
                self.metrics.set(*counter, &self.instance, value);
                *shown = value;
            }
        }
    }
}
