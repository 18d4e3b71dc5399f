//! An input's counters among the host's own metrics (`/api/v2/metrics`), where the host has them.
//!
//! They are one metric with a label that says what was counted: a metric of its own for each would cost
//! every input ten kilobytes a piece.

use std::ffi::{CStr, CString};

use super::api::{HostCounter, Input, Metrics};
use crate::counters::Counters;

const NAME: &CStr = c"exec_wasi_events_total";
const HELP: &CStr = c"What happened to an exec_wasi input, by kind of event.";
const LABELS: [&CStr; 2] = [c"name", c"event"];

/// The counters of one instance, published.
#[derive(Debug)]
pub struct Published {
    metrics: Metrics,
    instance: CString,
    counter: HostCounter,
    /// What the host was told last.
    shown: [u64; Counters::COUNT],
}

impl Published {
    /// Creates every counter, at zero: a label that appears later would be added to a list that older
    /// hosts do not lock. `None` on a host without metrics.
    #[must_use]
    pub fn new(input: &Input) -> Option<Self> {
        let metrics = input.metrics()?;
        let instance = CString::new(input.name()).ok()?;
        let counter = metrics.counter(NAME, HELP, &LABELS)?;
        let published = Self { metrics, instance, counter, shown: [0; Counters::COUNT] };
        for event in Counters::NAMES {
            published.set(event, 0);
        }
        Some(published)
    }

    fn set(&self, event: &CStr, value: u64) {
        self.metrics.set(self.counter, &[&self.instance, event], value);
    }

    /// Publishes what has changed.
    pub fn update(&mut self, counters: &Counters) {
        let values = counters.values();
        for (event, (shown, value)) in Counters::NAMES.iter().zip(self.shown.iter().zip(values)) {
            if *shown != value {
                self.set(event, value);
            }
        }
        self.shown = values;
    }
}
