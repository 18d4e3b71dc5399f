//! What an input counts. Written by the guest's thread and the host's, published by the host's.

use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};

const fn c_name(name: &str) -> &CStr {
    match CStr::from_bytes_with_nul(name.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("a name ends with its only NUL"),
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one input; each only ever grows.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl Counters {
            /// The counters' names, in the order of [`values`](Self::values).
            pub const NAMES: [&'static CStr; Self::COUNT] = [$(c_name(concat!(stringify!($name), "\0")),)*];

            /// How many there are.
            pub const COUNT: usize = [$(stringify!($name),)*].len();

            /// Each counter's value now, in the order of [`NAMES`](Self::NAMES).
            #[must_use]
            pub fn values(&self) -> [u64; Self::COUNT] {
                [$(self.$name.get(),)*]
            }
        }
    };
}

counters! {
    /// Runs that were started.
    runs,
    /// Runs that could not start, trapped, timed out, reached a limit or exited with an error.
    failed_runs,
    /// Starts that found a run still going.
    skipped_runs,
    /// Lines longer than `buf_size`.
    long_lines,
    /// Bytes cut off or dropped by `long_lines`.
    long_line_lost_bytes,
    /// Connections, look-ups and requests that the options don't allow, and requests to who can't prove who he is.
    refused_connections,
    /// Lines the host's parser didn't match.
    unparsed_lines,
    /// Appends the engine refused; the records were offered again.
    refused_appends,
    /// Records that were waiting when the host stopped, or that not all of their routes got.
    lost_records,
    /// Lines of the guest's stderr that the log didn't get.
    stderr_left_out_lines,
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
