//! The host's functions as safe Rust: one table of pointers, and handles that use it.
//!
//! The table is filled by name when the library is loaded. A missing mandatory function is a refusal with
//! its name; a missing optional one switches its feature off.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::abi;
use super::symbols::Symbols;
use crate::event::Level;
use crate::record::encode::LAST_SECOND;

/// What came of asking the host to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// It will.
    Asked,
    /// An input has done so before.
    AskedBefore,
    /// It has no function for it, or didn't take the word.
    CantBeAsked,
}

/// The context that was asked to stop, by its address.
static STOPPED: AtomicUsize = AtomicUsize::new(0);

macro_rules! functions {
    (mandatory { $($must:ident: $must_type:ident,)* } optional { $($may:ident: $may_type:ident,)* }) => {
        /// The host's functions.
        pub struct Functions {
            $(pub(super) $must: <abi::$must_type as Known>::Function,)*
            $(pub(super) $may: abi::$may_type,)*
        }

        impl Functions {
            /// Looks every function up; the error is the name of a mandatory one that is missing.
            ///
            /// # Safety
            /// The program must be a Fluent Bit: a function of one of these names has the type that
            /// `include/flb_abi.h` gives it.
            pub unsafe fn look_up(symbols: &Symbols) -> Result<Self, &'static str> {
                Ok(Self {
                    $($must: {
                        let address = symbols.address(as_c_str(concat!(stringify!($must), "\0")));
                        // SAFETY: the caller vouches for the type; a null pointer is `None`.
                        let function: abi::$must_type = unsafe { std::mem::transmute(address) };
                        function.ok_or(stringify!($must))?
                    },)*
                    $($may: {
                        let address = symbols.address(as_c_str(concat!(stringify!($may), "\0")));
                        // SAFETY: as above.
                        unsafe { std::mem::transmute::<Option<NonNull<c_void>>, abi::$may_type>(address) }
                    },)*
                })
            }
        }
    };
}

fn as_c_str(text: &'static str) -> &'static CStr {
    CStr::from_bytes_with_nul(text.as_bytes()).expect("the macro ends each name in NUL")
}

/// Takes the function type out of bindgen's `Option`.
pub(super) trait Known {
    type Function;
}

impl<F> Known for Option<F> {
    type Function = F;
}

functions! {
    mandatory {
        flb_input_get_property: flb_input_get_property_fn,
        flb_input_set_context: flb_input_set_context_fn,
        flb_input_name: flb_input_name_fn,
        flb_input_log_check: flb_input_log_check_fn,
        flb_log_print: flb_log_print_fn,
        flb_input_set_collector_event: flb_input_set_collector_event_fn,
        flb_input_collector_pause: flb_input_collector_fn,
        flb_input_collector_resume: flb_input_collector_fn,
        flb_input_collector_running: flb_input_collector_fn,
        flb_input_log_append: flb_input_log_append_fn,
    }
    optional {
        flb_input_log_append_records: flb_input_log_append_records_fn,
        flb_engine_flush: flb_engine_flush_fn,
        flb_engine_exit_status: flb_engine_exit_status_fn,
        flb_parser_get: flb_parser_get_fn,
        flb_parser_do: flb_parser_do_fn,
        flb_lib_free: flb_lib_free_fn,
        flb_input_get_cmt_instance: flb_input_get_cmt_instance_fn,
        cmt_counter_create: cmt_counter_create_fn,
        cmt_counter_set: cmt_counter_set_fn,
        cmt_encode_text_create: cmt_encode_text_create_fn,
        cmt_encode_text_destroy: cmt_encode_text_destroy_fn,
    }
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Functions")
    }
}

impl Functions {
    /// Writes one line to the host's log (or standard error, as long as it has none).
    pub fn log(&self, level: Level, line: &str) {
        let line = CString::new(one_line(line)).expect("one_line leaves no NUL");
        // SAFETY: file may be null and the format has exactly one string, which outlives the call; what a
        // guest wrote is never a format.
        unsafe { (self.flb_log_print)(host_level(level), ptr::null(), 0, c"%s".as_ptr(), line.as_ptr()) };
    }
}

/// Log lines longer than this are cut, before the host would do so in the middle of something.
const LONGEST_LOG_LINE: usize = 3000;

/// Text that stays one line of a log whatever it came from: control characters are spelled out.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        if line.len() > LONGEST_LOG_LINE {
            line.push('…');
            break;
        }
        match char {
            '\t' => line.push(char),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            control if control.is_control() => {
                line.extend(control.escape_default());
            }
            other => line.push(other),
        }
    }
    line
}

fn host_level(level: Level) -> c_int {
    let level = match level {
        Level::Error => abi::FLB_LOG_ERROR,
        Level::Warn => abi::FLB_LOG_WARN,
        Level::Info => abi::FLB_LOG_INFO,
        Level::Debug => abi::FLB_LOG_DEBUG,
    };
    c_int::try_from(level).expect("log levels are small")
}

/// One configured input of the host. A plain handle; the host owns what it points to.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    raw: NonNull<abi::flb_input_instance>,
    config: *mut abi::flb_config,
    functions: &'static Functions,
}

// SAFETY: a handle holds addresses only. What is called with them is called inside the instance's callbacks, as whoever
// made it has promised, on whichever thread they are and whoever has the handle.
unsafe impl Send for Input {}
// SAFETY: as above; nothing of a handle ever changes.
unsafe impl Sync for Input {}

/// A parser of the host.
#[derive(Clone, Copy, Debug)]
pub struct Parser {
    raw: NonNull<abi::flb_parser>,
    run: <abi::flb_parser_do_fn as Known>::Function,
    free: <abi::flb_lib_free_fn as Known>::Function,
}

// SAFETY: as for `Input`, through which it was found.
unsafe impl Send for Parser {}

/// What can go wrong when asking for a parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoParser {
    /// The host has none of that name.
    Unknown,
    /// This host's parser functions can't be reached.
    Unsupported,
}

/// The host did not take an append; the data is still ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// A collector of ours that the host calls when its descriptor is readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collector(c_int);

impl Input {
    /// A handle for the instance the host gave to a callback.
    ///
    /// # Safety
    /// - `raw` and `config` are the host's, and stay valid until `cb_exit` of this instance returns;
    /// - the handle's methods are called only on the host's threads, inside that instance's callbacks.
    #[must_use]
    pub unsafe fn from_host(
        raw: *mut abi::flb_input_instance,
        config: *mut abi::flb_config,
        functions: &'static Functions,
    ) -> Option<Self> {
        NonNull::new(raw).map(|raw| Self { raw, config, functions })
    }

    /// The host's functions.
    #[must_use]
    pub fn functions(&self) -> &'static Functions {
        self.functions
    }

    /// Address of the host's struct, for scanning it (see [`properties`](super::properties)).
    #[must_use]
    pub fn address(&self) -> usize {
        self.raw.addr().get()
    }

    /// Where the host keeps the first value given for a property; it stays there as long as the instance.
    #[must_use]
    pub fn property(&self, name: &CStr) -> Option<&CStr> {
        // SAFETY: the instance is valid inside a callback.
        let value = unsafe { (self.functions.flb_input_get_property)(name.as_ptr(), self.raw.as_ptr()) };
        if value.is_null() {
            return None;
        }
        // SAFETY: the host's string ends in NUL and lives until the instance is destroyed.
        Some(unsafe { CStr::from_ptr(value) })
    }

    /// `alias`, or `<plugin>.<number>`.
    #[must_use]
    pub fn name(&self) -> String {
        // SAFETY: the instance is valid inside a callback.
        let name = unsafe { (self.functions.flb_input_name)(self.raw.as_ptr()) };
        if name.is_null() {
            return String::from("?");
        }
        // SAFETY: the host's string ends in NUL; it is copied at once.
        unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
    }

    /// Whether the instance's log level lets `level` through.
    #[must_use]
    pub fn logs(&self, level: Level) -> bool {
        // SAFETY: the instance is valid inside a callback.
        unsafe { (self.functions.flb_input_log_check)(self.raw.as_ptr(), host_level(level)) == 1 }
    }

    /// Gives the host what it passes to the callbacks from now on.
    ///
    /// # Safety
    /// It must be what those callbacks take it for, until the last of them has returned.
    pub unsafe fn set_context(&self, context: *mut c_void) {
        // SAFETY: the instance is valid inside a callback; the host only stores the pointer.
        unsafe { (self.functions.flb_input_set_context)(self.raw.as_ptr(), context) };
    }

    /// Registers `call` for whenever `fd` is readable; `None` if the host refuses.
    #[must_use]
    pub fn collect_event(&self, fd: RawFd, call: abi::flb_input_collect_fn) -> Option<Collector> {
        // SAFETY: instance and config are valid inside a callback; the descriptor stays open until
        // `cb_exit`, before which the host stops calling.
        let id = unsafe {
            (self.functions.flb_input_set_collector_event)(self.raw.as_ptr(), call, fd, self.config)
        };
        (id >= 0).then_some(Collector(id))
    }

    /// Whether the host has stopped taking input for good.
    ///
    /// There is no function to ask that, but one that tells: resuming a collector does nothing once
    /// ingestion has ended (`flb_input_collector_resume`, 2.0.14 to 5.1.1), so a collector that is paused
    /// and resumed stays paused. Must not be called from inside an append.
    #[must_use]
    pub fn is_shutting_down(&self, spare: Collector) -> bool {
        // SAFETY: the instance is valid inside a callback and the id came from it.
        let pause = unsafe { (self.functions.flb_input_collector_pause)(spare.0, self.raw.as_ptr()) };
        // SAFETY: as above.
        let resume = unsafe { (self.functions.flb_input_collector_resume)(spare.0, self.raw.as_ptr()) };
        // SAFETY: as above.
        let running = unsafe { (self.functions.flb_input_collector_running)(spare.0, self.raw.as_ptr()) };
        pause == 0 && resume == 0 && running == 0
    }

    /// Offers `records` encoded records to the engine. The host copies them.
    ///
    /// # Errors
    /// [`Refused`] when the engine is paused, or has no room. It took nothing then, unless the input has routes with
    /// conditions: each is an append, and what those before the one that failed have taken stays taken
    /// (`split_and_append_route_payloads`, 4.2 to 5.1.1). [`records_taken`](Self::records_taken) helps to tell.
    pub fn append(&self, records: usize, bytes: &[u8]) -> Result<(), Refused> {
        let (raw, buf, len) = (self.raw.as_ptr(), bytes.as_ptr().cast(), bytes.len());
        let status = match self.functions.flb_input_log_append_records {
            // SAFETY: the buffer is valid for the call, and a null tag means the instance's own. The host
            // may call `cb_pause` before it returns; nothing is borrowed or locked here.
            Some(append) => unsafe { append(raw, records, ptr::null(), 0, buf, len) },
            // SAFETY: as above; without the count the host reads the records to count them.
            None => unsafe { (self.functions.flb_input_log_append)(raw, ptr::null(), 0, buf, len) },
        };
        if status == 0 { Ok(()) } else { Err(Refused) }
    }

    /// How many records the host counts as taken from this input, once for each route, and since 4.2 also those whose
    /// writing failed (`input_chunk_append_raw`); `None` where it doesn't say, or where another thread than this one
    /// may count on.
    #[must_use]
    pub fn records_taken(&self) -> Option<f64> {
        if !self.is_on_engine_thread() {
            return None;
        }
        self.records_taken_at_exit()
    }

    /// The same in the callback that ends the input, for which the engine's thread waits whatever thread that is on
    /// (`flb_input_thread_instance_exit`); nowhere else but on the engine's own thread.
    pub fn records_taken_at_exit(&self) -> Option<f64> {
        let (functions, context) = self.metrics()?;
        let (encode, destroy) = (functions.cmt_encode_text_create?, functions.cmt_encode_text_destroy?);
        // SAFETY: the context is valid as long as the instance, and the thread that counts is this one or waits for it.
        let text = NonNull::new(unsafe { encode(context.as_ptr()) })?;
        // SAFETY: cmetrics ends the text in NUL, and it is ours.
        let counts = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy();
        let taken = records_in(&counts);
        drop(counts);
        // SAFETY: it came from there and isn't used any more.
        unsafe { destroy(text.as_ptr()) };
        taken
    }

    /// Whether this is the engine's own thread, and not one that the host made for a `threaded` input.
    /// Only the thread's name tells: `flb-in-…` for the latter, in every version.
    #[must_use]
    pub fn is_on_engine_thread(&self) -> bool {
        let mut name = [0u8; 16];
        // SAFETY: takes nothing and can't fail.
        let this = unsafe { libc::pthread_self() };
        // SAFETY: the buffer has the size that Linux needs for a thread's name and its NUL.
        let status = unsafe { libc::pthread_getname_np(this, name.as_mut_ptr().cast(), name.len()) };
        status == 0 && !name.starts_with(b"flb-in-")
    }

    /// Has the engine pass what it took on to its outputs now, as `in_serial` and `in_kmsg` do from their
    /// collectors. Only on the engine's thread.
    ///
    /// Up to 4.0.2 a host that stops waits for what its outputs have in hand, and drops what they haven't
    /// been given yet; so the last records are worth a flush of their own.
    pub fn flush_engine(&self) {
        if let Some(flush) = self.functions.flb_engine_flush {
            // SAFETY: the config is valid inside a callback; null stands for all inputs.
            unsafe { flush(self.config, ptr::null_mut()) };
        }
    }

    /// Asks the host to stop, as after a signal, and to exit with `status`; the first time only, since it would take the
    /// last one's word as long as it has not got round to stop.
    pub fn stop_host(&self, status: c_int) -> Stopping {
        let context = self.config.addr();
        if STOPPED.swap(context, Ordering::Relaxed) == context {
            return Stopping::AskedBefore;
        }
        // SAFETY: the config is valid inside a callback; the host writes a message to a pipe of its own.
        let written = self.functions.flb_engine_exit_status.map(|exit| unsafe { exit(self.config, status) });
        if written.is_some_and(|bytes| bytes > 0) {
            return Stopping::Asked;
        }
        self.forget_who_stopped_host();
        Stopping::CantBeAsked
    }

    /// This context ends; another one may come to lie where it lay.
    pub fn forget_who_stopped_host(&self) {
        let _ = STOPPED.compare_exchange(self.config.addr(), 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The host's parser of that name.
    ///
    /// # Errors
    /// When there is none, or this host's parsers can't be used.
    pub fn parser(&self, name: &str) -> Result<Parser, NoParser> {
        let functions = self.functions;
        let (Some(get), Some(run), Some(free)) =
            (functions.flb_parser_get, functions.flb_parser_do, functions.flb_lib_free)
        else {
            return Err(NoParser::Unsupported);
        };
        let name = CString::new(name).map_err(|_| NoParser::Unknown)?;
        // SAFETY: the config is valid inside a callback; the name ends in NUL.
        let raw = unsafe { get(name.as_ptr(), self.config) };
        let raw = NonNull::new(raw).ok_or(NoParser::Unknown)?;
        Ok(Parser { raw, run, free })
    }

    /// The functions of the host, and its metrics of this instance, if it has them.
    pub(super) fn metrics(&self) -> Option<(&'static Functions, NonNull<abi::cmt>)> {
        let get = self.functions.flb_input_get_cmt_instance?;
        // SAFETY: the instance is valid inside a callback.
        Some((self.functions, NonNull::new(unsafe { get(self.raw.as_ptr()) })?))
    }
}

/// A body that the host's parser made of a line.
pub struct Parsed {
    map: NonNull<c_void>,
    len: usize,
    /// The line's own time, counted from the beginning of 1970, where the parser found one.
    pub time: Option<Duration>,
    /// It found one that a record can't be of: before 1970, or after 2106.
    pub has_odd_time: bool,
    free: <abi::flb_lib_free_fn as Known>::Function,
}

impl Parser {
    /// Parses one line; `None` when the parser doesn't match it.
    #[must_use]
    pub fn parse(&self, line: &[u8]) -> Option<Parsed> {
        let mut map: *mut c_void = ptr::null_mut();
        let mut len = 0;
        // SAFETY: all bits zero is a time of zero.
        let mut time: abi::flb_time = unsafe { std::mem::zeroed() };
        // SAFETY: the parser lives as long as the host's configuration, hence as the instance; line and
        // results are valid for the call.
        let status = unsafe {
            (self.run)(
                self.raw.as_ptr(),
                line.as_ptr().cast::<c_char>(),
                line.len(),
                &raw mut map,
                &raw mut len,
                &raw mut time,
            )
        };
        if status < 0 {
            return None;
        }
        let map = NonNull::new(map)?;
        let nanos = u32::try_from(time.tm.tv_nsec).unwrap_or(0).min(999_999_999);
        let is_given = time.tm.tv_sec != 0 || nanos != 0;
        let seconds = u32::try_from(time.tm.tv_sec).ok().filter(|seconds| *seconds <= LAST_SECOND);
        let since = seconds.map(|seconds| Duration::new(seconds.into(), nanos)).filter(|_| is_given);
        Some(Parsed { map, len, time: since, has_odd_time: is_given && since.is_none(), free: self.free })
    }
}

impl Parsed {
    /// The MessagePack map.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        // SAFETY: the parser made this buffer with this length, and it is freed only by `drop`.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), self.len) }
    }
}

impl Drop for Parsed {
    fn drop(&mut self) {
        // SAFETY: the host allocated it, and it is freed once, by the host's own `free`.
        unsafe { (self.free)(self.map.as_ptr()) };
    }
}

/// The records that were taken from an input, in what cmetrics writes of its counters: a line for each, such as
/// `2026-01-01T00:00:00.000000000Z fluentbit_input_records_total{name="exec_wasi.0"} = 5`.
fn records_in(counters: &str) -> Option<f64> {
    let count = counters.lines().find_map(|line| line.split_once(" fluentbit_input_records_total{"));
    count?.1.rsplit_once("} = ")?.1.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_name_whatever_the_inputs_name_is() {
        let text = "2026-01-01T00:00:00.0Z fluentbit_input_bytes_total{name=\"a\"} = 7\n\
                    2026-01-01T00:00:00.0Z fluentbit_input_records_total{name=\"} = 1\"} = 42\n";
        assert_eq!(records_in(text), Some(42.0));
        assert_eq!(records_in("2026-01-01T00:00:00.0Z x{} = 1\n"), None);
    }

    #[test]
    fn whatever_a_guest_writes_stays_one_line_of_the_log() {
        assert_eq!(one_line("a\nb\0\x1b[2Jc\td\u{85}"), "a\\nb\\u{0}\\u{1b}[2Jc\td\\u{85}");
        let long = one_line(&"x".repeat(100_000));
        assert!(long.len() < LONGEST_LOG_LINE + 10 && long.ends_with('…'));
    }
}
