//! An input's counters among the host's own metrics (`/api/v2/metrics`), where the host has them.
//!
//! They are one metric with a label that says what was counted: a metric of its own for each would cost
//! every input ten kilobytes a piece.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::NonNull;
use std::time::{SystemTime, UNIX_EPOCH};

use super::abi;
use super::api::{Input, Known};
use crate::counters::Counters;

const NAME: &CStr = c"exec_wasi_events_total";
const HELP: &CStr = c"What happened to an exec_wasi input, by kind of event.";
const LABELS: [&CStr; 2] = [c"name", c"event"];

/// The counters of one instance, published.
#[derive(Debug)]
pub struct Published {
    counter: NonNull<abi::cmt_counter>,
    set: <abi::cmt_counter_set_fn as Known>::Function,
    instance: CString,
    /// What the host was told last.
    shown: [u64; Counters::COUNT],
}

// SAFETY: as for `Input`, through which it was found.
unsafe impl Send for Published {}

impl Published {
    /// Creates every counter, at zero: a label that appears later would be added to a list that older
    /// hosts do not lock. `None` on a host without metrics.
    #[must_use]
    pub fn new(input: &Input) -> Option<Self> {
        let (functions, context) = input.metrics()?;
        let (create, set) = (functions.cmt_counter_create?, functions.cmt_counter_set?);
        let instance = CString::new(input.name()).ok()?;
        let text = |text: &CStr| text.as_ptr().cast_mut();
        let mut labels = LABELS.map(text);
        // SAFETY: cmetrics copies all strings; the context is valid inside a callback.
        let counter = unsafe {
            create(
                context.as_ptr(),
                text(c"fluentbit"),
                text(c"input"),
                text(NAME),
                text(HELP),
                labels.len() as c_int,
                labels.as_mut_ptr(),
            )
        };
        let counter = NonNull::new(counter)?;
        let published = Self { counter, set, instance, shown: [0; Counters::COUNT] };
        for event in Counters::NAMES {
            published.set(event, 0);
        }
        Some(published)
    }

    fn set(&self, event: &CStr, value: u64) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let mut labels: [*mut c_char; LABELS.len()] =
            [self.instance.as_ptr().cast_mut(), event.as_ptr().cast_mut()];
        // SAFETY: the counter lives as long as the instance; cmetrics copies the labels, which are as many as it has.
        unsafe {
            (self.set)(self.counter.as_ptr(), now, value as f64, labels.len() as c_int, labels.as_mut_ptr());
        }
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
