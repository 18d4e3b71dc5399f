//! What an input counts. Written by the guest's thread and the host's, published by the host's.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $help:literal,)*) => {
        /// The counters of one input; each only ever grows.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl Counters {
            /// Name and help text of each counter, in the order of [`values`](Self::values).
            pub const NAMES: &'static [(&'static str, &'static str)] =
                &[$((stringify!($name), $help),)*];

            /// Each counter's value now, in the order of [`NAMES`](Self::NAMES).
            #[must_use]
            pub fn values(&self) -> Vec<u64> {
                vec![$(self.$name.get(),)*]
            }
        }
    };
}

counters! {
    /// Runs that began.
    runs: "Runs of the guest that were started.",
    /// Runs that didn't begin or didn't end well.
    failed_runs: "Runs of the guest that could not start, trapped, timed out or exited with an error.",
    /// Starts that found a run still going.
    skipped_runs: "Starts skipped because the guest was still running.",
    /// Lines longer than `buf_size`.
    long_lines: "Lines longer than buf_size.",
    /// Bytes cut off or dropped by `long_lines`.
    long_line_lost_bytes: "Bytes lost from lines longer than buf_size.",
    /// Lines the host's parser didn't match.
    unparsed_lines: "Lines that the parser did not match, kept as text.",
    /// Appends the engine refused; the records were offered again.
    refused_appends: "Appends that the engine refused; the records were offered again.",
    /// Records that were waiting when the host stopped.
    lost_records: "Records lost because the host stopped before it took them.",
    /// Lines of the guest's stderr that the log didn't get.
    stderr_left_out_lines: "Lines of the guest's stderr left out of the log.",
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `more`.
    pub fn add(&self, more: u64) {
        // Nothing is ordered by a counter; it is only read to be shown.
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
