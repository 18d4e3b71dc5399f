//! One input's options: names, defaults, meaning, and what is wrong with them.
//!
//! Plain data, made once from the properties the host hands over; nothing is opened or looked up here.
//! Values are written as everywhere in Fluent Bit: sizes are decimal (`1M` is 1,000,000), times are whole
//! seconds with an optional unit, booleans are on/off words.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::record::encode::Format;
use crate::record::lines::LongLines;
use crate::schedule::Rhythm;

/// How the host shows an option's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// true/on/yes, false/off/no.
    Boolean,
    /// Bytes: a number with an optional K, M or G (decimal).
    Size,
    /// Seconds, or a number with s, m, h or d.
    Time,
    /// Items between commas.
    List,
}

/// An option as the host, its help text and the README know it.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Its name, without regard to case.
    pub name: &'static str,
    /// What a value looks like.
    pub kind: Kind,
    /// The value that holds when none is given, as text.
    pub default: Option<&'static str>,
    /// May be given several times.
    pub repeated: bool,
    /// One sentence for `fluent-bit -i exec_wasi -h`.
    pub help: &'static str,
}

const fn option(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    help: &'static str,
) -> OptionSpec {
    OptionSpec { name, kind, default, repeated: false, help }
}

/// Every option, in the order of the README's table.
pub const OPTIONS: &[OptionSpec] = &[
    option(
        "wasi_path",
        Kind::Text,
        None,
        "The WASI program: a WebAssembly module, binary (.wasm) or text (.wat); with 'precompiled' also a .cwasm file. Required.",
    ),
    option(
        "accessible_paths",
        Kind::List,
        None,
        "Directories the program may use: a comma list of host[::guest][:ro]. None by default.",
    ),
    option(
        "args",
        Kind::Text,
        None,
        "Arguments after the program's name, split as a shell would split them.",
    ),
    OptionSpec {
        repeated: true,
        ..option(
            "env",
            Kind::Text,
            None,
            "An environment variable for the program, KEY=VALUE. May be given several times.",
        )
    },
    option(
        "env_file",
        Kind::Text,
        None,
        "A file of lines KEY=VALUE with more variables, such as tokens; refused if all users may read it.",
    ),
    option(
        "inherit_env",
        Kind::List,
        None,
        "Names of the host's environment variables that the program may see, a comma list.",
    ),
    option(
        "state_dir",
        Kind::Text,
        None,
        "A directory for this input alone, which the program sees as /state; made if it isn't there.",
    ),
    option("interval_sec", Kind::Integer, Some("1"), "Seconds from one start of the program to the next."),
    option("interval_nsec", Kind::Integer, Some("0"), "Nanoseconds added to interval_sec."),
    option("oneshot", Kind::Boolean, Some("false"), "Run the program only once."),
    option("bool", Kind::Boolean, Some("false"), "The name of 'oneshot' in Fluent Bit up to 4.2.0."),
    option(
        "exit_after_oneshot",
        Kind::Boolean,
        Some("false"),
        "Stop Fluent Bit when the one run has ended and its records are delivered. Implies 'oneshot'.",
    ),
    option(
        "propagate_exit_code",
        Kind::Boolean,
        Some("false"),
        "With 'exit_after_oneshot': Fluent Bit exits with the program's exit code.",
    ),
    option(
        "backoff_max",
        Kind::Time,
        Some("60"),
        "A program that fails again and again is started less often, down to once in this time.",
    ),
    option(
        "timeout",
        Kind::Time,
        None,
        "Longest time for one run, waiting included; then it is stopped. No limit by default.",
    ),
    option("memory_limit", Kind::Size, Some("256M"), "Most memory the program may have."),
    option(
        "fuel",
        Kind::Size,
        None,
        "Most WebAssembly instructions for one run, about; then it is stopped. No limit by default.",
    ),
    option(
        "output_limit",
        Kind::Size,
        None,
        "Most bytes one run may write to its standard output and error; then it is stopped. No limit by default.",
    ),
    option(
        "open_files_limit",
        Kind::Integer,
        Some("64"),
        "Most files and directories the program may have open.",
    ),
    option(
        "wasm_stack_size",
        Kind::Size,
        Some("1M"),
        "The program's stack; smaller values are raised to 1M.",
    ),
    option(
        "wasm_heap_size",
        Kind::Size,
        None,
        "Accepted for compatibility, without effect: see memory_limit.",
    ),
    option(
        "format",
        Kind::Text,
        Some("text"),
        "'text': a line is the value of message_key. 'json': a line that is a JSON object is the record, any other is kept as text.",
    ),
    option("message_key", Kind::Text, Some("wasi_stdout"), "Key of a text record."),
    option(
        "parser",
        Kind::Text,
        None,
        "Name of a parser for each line; a line it does not match is kept as text.",
    ),
    option("buf_size", Kind::Size, Some("1M"), "Longest line, in bytes."),
    option(
        "long_lines",
        Kind::Text,
        Some("split"),
        "What becomes of a longer line: 'split' into several records, 'truncate' or 'drop'.",
    ),
    option(
        "stderr",
        Kind::Text,
        Some("log"),
        "What becomes of the program's standard error: 'log' (some lines a second), 'record' (with the key 'stream') or 'discard'.",
    ),
    option(
        "pipe_size",
        Kind::Size,
        Some("1M"),
        "Bytes of records that may wait for the engine before the program has to.",
    ),
    option(
        "cache_dir",
        Kind::Text,
        None,
        "Folder where compiled programs are kept for the next start, or 'off'. By default in the service's or user's cache folder.",
    ),
    option(
        "precompiled",
        Kind::Boolean,
        Some("false"),
        "wasi_path may be a file made by 'exec-wasi compile': native code that no sandbox confines.",
    ),
];

const MIN_STACK_BYTES: u64 = 1_000_000;
const MAX_STACK_BYTES: u64 = 256_000_000;
/// A WebAssembly page; with less, no program could have a memory.
const MIN_MEMORY_BYTES: u64 = 65_536;
/// The most a 32-bit memory can have.
const MAX_MEMORY_BYTES: u64 = 1 << 32;
/// Far below what a MessagePack string can hold.
const MAX_LINE_BYTES: u64 = 1_000_000_000;
/// What the guest sees `state_dir` as.
pub const STATE_DIR_OF_GUEST: &str = "/state";
const MAX_PIPE_BYTES: u64 = 10_000_000_000;
/// Far above what a process may have open.
const MAX_OPEN_FILES: u64 = 1_000_000;

/// A directory given to the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preopen {
    /// Where it is.
    pub host: PathBuf,
    /// What the guest sees it as.
    pub guest: String,
    /// The guest may change it.
    pub writable: bool,
}

/// What becomes of the guest's standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StderrTo {
    /// The host's log, some lines a second.
    Log,
    /// Records, like standard output; text records then say the stream's name.
    Record,
    /// Nowhere.
    Discard,
}

/// What happens to the host when the only run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRun {
    /// It goes on.
    HostGoesOn,
    /// It stops, with exit code 0.
    HostStops,
    /// It stops, with an exit code that says how the run ended.
    HostStopsWithCode,
}

/// Where compiled programs are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CachePlace {
    /// Where this user's programs keep such things.
    Default,
    /// In this folder.
    Folder(PathBuf),
    /// Nowhere.
    Off,
}

/// One input's options, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The program's file.
    pub program: PathBuf,
    /// Directories the guest may use.
    pub preopens: Vec<Preopen>,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Environment variables, in the order given.
    pub env: Vec<(String, String)>,
    /// A file with more of them.
    pub env_file: Option<PathBuf>,
    /// Variables of the host to pass on, if set.
    pub inherit_env: Vec<String>,
    /// A directory that only this input may use.
    pub state_dir: Option<PathBuf>,
    /// When runs start.
    pub rhythm: Rhythm,
    /// What happens to the host when the only run has ended.
    pub after_run: AfterRun,
    /// Longest time from a failed run to the next.
    pub backoff_max: Duration,
    /// Longest time of a run.
    pub timeout: Option<Duration>,
    /// All linear memories together, in bytes.
    pub memory_limit_bytes: u64,
    /// Instructions of a run.
    pub fuel: Option<u64>,
    /// Bytes that a run may write to its standard output and error together.
    pub output_limit_bytes: Option<u64>,
    /// Files and directories that a run may have open at a time, besides those it is given.
    pub open_files_limit: u32,
    /// The guest's stack, in bytes.
    pub stack_bytes: u64,
    /// How a line becomes a record's body.
    pub format: Format,
    /// Key of a text record.
    pub message_key: String,
    /// Name of the host's parser for lines.
    pub parser: Option<String>,
    /// Longest line, in bytes.
    pub line_limit_bytes: usize,
    /// What becomes of a longer one.
    pub long_lines: LongLines,
    /// What becomes of standard error.
    pub stderr: StderrTo,
    /// Bytes that may wait for the engine.
    pub pipe_bytes: usize,
    /// Where compiled programs are kept.
    pub cache: CachePlace,
    /// The program's file may hold native code.
    pub precompiled: bool,
    /// Clauses an operator should read once: options that are accepted but do nothing, and the like.
    pub notes: Vec<String>,
}

/// An option that can't be used as it is given.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// `wasi_path` is missing.
    #[error(
        "option \"wasi_path\" is not set: it names the WebAssembly program to run (if your configuration sets it, this plugin is loaded twice: load it once, either with -e or in a plugins file)"
    )]
    NoProgram,
    /// A value that isn't allowed.
    #[error("option \"{option}\" can't be \"{value}\": {allowed}")]
    Invalid {
        /// The option's name.
        option: &'static str,
        /// The value as given.
        value: String,
        /// What would do.
        allowed: String,
    },
    /// Two options that can't be used together.
    #[error("options {0} can't be used together: {1}")]
    Conflict(&'static str, &'static str),
}

/// Where property values come from: the host, or a test.
pub trait Properties {
    /// All values given for `name`, in order; the host has expanded variables in them.
    fn values(&self, name: &str) -> Vec<String>;
}

impl Config {
    /// Reads and checks every option.
    ///
    /// # Errors
    /// The first option that is missing or can't be used, with its value and what is allowed.
    pub fn from_properties(properties: &impl Properties) -> Result<Self, ConfigError> {
        let reader = Reader(properties);
        let mut notes = Vec::new();
        let program = reader.text("wasi_path").ok_or(ConfigError::NoProgram)?;
        if reader.text("wasm_heap_size").is_some() {
            notes.push(
                "option \"wasm_heap_size\" has no effect here; memory_limit bounds the guest's memory".into(),
            );
        }
        let format = reader.choice("format", &[("text", Format::Text), ("json", Format::Json)])?;
        let parser = reader.text("parser");
        if parser.is_some() && format == Format::Json {
            return Err(ConfigError::Conflict(
                "\"parser\" and \"format json\"",
                "a line is read by one of them",
            ));
        }
        let preopens = reader.preopens()?;
        Ok(Self {
            program: program.into(),
            args: reader.args()?,
            env: reader.env()?,
            env_file: reader.text("env_file").map(PathBuf::from),
            inherit_env: reader.list("inherit_env"),
            state_dir: reader.state_dir(&preopens)?,
            preopens,
            rhythm: reader.rhythm()?,
            after_run: reader.after_run()?,
            backoff_max: reader.time("backoff_max")?.unwrap_or_default(),
            timeout: reader.time("timeout")?,
            memory_limit_bytes: reader.size("memory_limit", MIN_MEMORY_BYTES, MAX_MEMORY_BYTES)?,
            fuel: reader.limit("fuel")?,
            output_limit_bytes: reader.limit("output_limit")?,
            open_files_limit: reader.open_files()?,
            // As the built-in does with its own minimum of 8192 bytes.
            stack_bytes: reader.size("wasm_stack_size", 0, MAX_STACK_BYTES)?.max(MIN_STACK_BYTES),
            format,
            message_key: reader.text("message_key").unwrap_or_default(),
            parser,
            line_limit_bytes: reader.length("buf_size", 1, MAX_LINE_BYTES)?,
            long_lines: reader.choice(
                "long_lines",
                &[("split", LongLines::Split), ("truncate", LongLines::Truncate), ("drop", LongLines::Drop)],
            )?,
            stderr: reader.choice(
                "stderr",
                &[("log", StderrTo::Log), ("record", StderrTo::Record), ("discard", StderrTo::Discard)],
            )?,
            pipe_bytes: reader.length("pipe_size", 1, MAX_PIPE_BYTES)?,
            cache: reader.cache()?,
            precompiled: reader.boolean("precompiled")?,
            notes,
        })
    }
}

struct Reader<'a, P>(&'a P);

impl<P: Properties> Reader<'_, P> {
    fn given(&self, name: &'static str) -> Option<String> {
        let value = self.0.values(name).into_iter().next()?;
        (!value.is_empty()).then_some(value)
    }

    /// The value given, or the default of the option table.
    fn text(&self, name: &'static str) -> Option<String> {
        debug_assert!(OPTIONS.iter().any(|spec| spec.name == name), "{name}");
        self.given(name).or_else(|| {
            let spec = OPTIONS.iter().find(|spec| spec.name == name)?;
            spec.default.map(str::to_owned)
        })
    }

    fn list(&self, name: &'static str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        let items = text.split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn choice<T: Copy>(&self, name: &'static str, choices: &[(&'static str, T)]) -> Result<T, ConfigError> {
        let value = self.text(name).unwrap_or_default();
        let found = choices.iter().find(|(word, _)| value.eq_ignore_ascii_case(word));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            invalid(name, value, format!("allowed are {}", words.join(", ")))
        })
    }

    fn boolean(&self, name: &'static str) -> Result<bool, ConfigError> {
        let words =
            [("true", true), ("on", true), ("yes", true), ("false", false), ("off", false), ("no", false)];
        self.choice(name, &words)
    }

    fn number(&self, name: &'static str, max: u64) -> Result<u64, ConfigError> {
        let value = self.text(name).unwrap_or_default();
        match value.parse() {
            Ok(number) if number <= max => Ok(number),
            _ => Err(invalid(name, value, format!("a whole number from 0 to {max} is needed"))),
        }
    }

    fn size(&self, name: &'static str, min: u64, max: u64) -> Result<u64, ConfigError> {
        let value = self.text(name).unwrap_or_default();
        match parse_size(&value) {
            Some(bytes) if (min..=max).contains(&bytes) => Ok(bytes),
            _ => Err(invalid(
                name,
                value,
                format!("a size such as 65536, 512K, 1.5M or 1G is needed, from {min} to {max} bytes"),
            )),
        }
    }

    /// A size that may be left out: then there is no limit.
    fn limit(&self, name: &'static str) -> Result<Option<u64>, ConfigError> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        match parse_size(&value) {
            Some(limit) if limit > 0 => Ok(Some(limit)),
            _ => Err(invalid(name, value, "a number such as 65536, 512K or 1.5M is needed, above 0".into())),
        }
    }

    fn open_files(&self) -> Result<u32, ConfigError> {
        let number = self.number("open_files_limit", MAX_OPEN_FILES)?;
        Ok(u32::try_from(number).expect("the limit is small"))
    }

    fn length(&self, name: &'static str, min: u64, max: u64) -> Result<usize, ConfigError> {
        let bytes = self.size(name, min, max)?;
        Ok(usize::try_from(bytes).expect("the host's layouts are 64-bit"))
    }

    fn time(&self, name: &'static str) -> Result<Option<Duration>, ConfigError> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        match parse_time(&value) {
            Some(time) if !time.is_zero() => Ok(Some(time)),
            _ => Err(invalid(name, value, "a time such as 30, 30s, 5m, 1h or 1d is needed".into())),
        }
    }

    fn rhythm(&self) -> Result<Rhythm, ConfigError> {
        // Both are read, so that a bad value of either is said.
        let (oneshot, old_name) = (self.boolean("oneshot")?, self.boolean("bool")?);
        let seconds = self.number("interval_sec", u64::from(u32::MAX))?;
        let nanos = self.number("interval_nsec", u64::from(u32::MAX))?;
        if oneshot || old_name || self.boolean("exit_after_oneshot")? {
            return Ok(Rhythm::Once);
        }
        let interval = Duration::from_secs(seconds) + Duration::from_nanos(nanos);
        // As the built-in does: no interval at all is the default one.
        Ok(Rhythm::Every(if interval.is_zero() { Duration::from_secs(1) } else { interval }))
    }

    fn after_run(&self) -> Result<AfterRun, ConfigError> {
        match (self.boolean("exit_after_oneshot")?, self.boolean("propagate_exit_code")?) {
            (false, false) => Ok(AfterRun::HostGoesOn),
            (true, false) => Ok(AfterRun::HostStops),
            (true, true) => Ok(AfterRun::HostStopsWithCode),
            (false, true) => Err(ConfigError::Conflict(
                "\"propagate_exit_code\" without \"exit_after_oneshot\"",
                "there is an exit code only if the run ends the host",
            )),
        }
    }

    fn cache(&self) -> Result<CachePlace, ConfigError> {
        match self.text("cache_dir") {
            None => Ok(CachePlace::Default),
            Some(word) if word.eq_ignore_ascii_case("off") => Ok(CachePlace::Off),
            // Not a bare word: "on" or "no" would become a folder of that name.
            Some(path) if path.contains('/') => Ok(CachePlace::Folder(path.into())),
            Some(value) => {
                let allowed = "a folder's path with a / in it is needed, or \"off\"".into();
                Err(invalid("cache_dir", value, allowed))
            }
        }
    }

    fn args(&self) -> Result<Vec<String>, ConfigError> {
        let Some(value) = self.text("args") else {
            return Ok(Vec::new());
        };
        shlex::split(&value)
            .ok_or_else(|| invalid("args", value, "a quotation mark or backslash is left open".into()))
    }

    fn env(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let values = self.0.values("env").into_iter();
        values
            .map(|value| match value.split_once('=') {
                Some((key, text)) if !key.is_empty() => Ok((key.to_owned(), text.to_owned())),
                _ => Err(invalid("env", value, "KEY=VALUE is needed, one variable for each \"env\"".into())),
            })
            .collect()
    }

    fn state_dir(&self, preopens: &[Preopen]) -> Result<Option<PathBuf>, ConfigError> {
        let state_dir = self.text("state_dir").map(PathBuf::from);
        if state_dir.is_some() && preopens.iter().any(|preopen| preopen.guest == STATE_DIR_OF_GUEST) {
            return Err(ConfigError::Conflict(
                "\"state_dir\" and an \"accessible_paths\" item with ::/state",
                "the program sees state_dir as /state",
            ));
        }
        Ok(state_dir)
    }

    fn preopens(&self) -> Result<Vec<Preopen>, ConfigError> {
        let mut preopens: Vec<Preopen> = Vec::new();
        for item in self.list("accessible_paths") {
            let preopen = parse_preopen(&item).ok_or_else(|| {
                invalid("accessible_paths", item.clone(), "items are host[::guest][:ro]".into())
            })?;
            if preopens.iter().any(|other| other.guest == preopen.guest) {
                let allowed = format!("two directories would be \"{}\" to the program", preopen.guest);
                return Err(invalid("accessible_paths", item, allowed));
            }
            preopens.push(preopen);
        }
        Ok(preopens)
    }
}

fn invalid(option: &'static str, value: String, allowed: String) -> ConfigError {
    ConfigError::Invalid { option, value, allowed }
}

/// The host's sizes: decimal, with K, KB, M, MB, G or GB, and fractions (`flb_utils_size_to_bytes`).
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000u64,
        _ => return None,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > 9 {
        return None;
    }
    let bytes = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let part = format!("{fraction:0<9}").parse::<u64>().ok()?;
    let part = u128::from(part) * u128::from(factor) / 1_000_000_000;
    bytes.checked_add(u64::try_from(part).ok()?)
}

/// The host's times: seconds, or a number with m, h or d (`flb_utils_time_to_seconds`); `s` is ours.
fn parse_time(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse::<u64>().ok()?.checked_mul(factor)?;
    // A century: far beyond any run, and safe to add to a clock.
    (seconds <= 100 * 365 * 86_400).then(|| Duration::from_secs(seconds))
}

fn parse_preopen(item: &str) -> Option<Preopen> {
    let (paths, writable) = match item.strip_suffix(":ro") {
        Some(paths) => (paths, false),
        None => (item, true),
    };
    let (host, guest) = paths.split_once("::").unwrap_or((paths, paths));
    if host.is_empty() || guest.is_empty() {
        return None;
    }
    Some(Preopen { host: host.into(), guest: guest.to_owned(), writable })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given<'a>(&'a [(&'a str, &'a str)]);

    impl Properties for Given<'_> {
        fn values(&self, name: &str) -> Vec<String> {
            let same = self.0.iter().filter(|(key, _)| *key == name);
            same.map(|(_, value)| (*value).to_owned()).collect()
        }
    }

    fn read(given: &[(&str, &str)]) -> Result<Config, String> {
        let mut all = vec![("wasi_path", "/guest.wasm")];
        all.extend(given);
        Config::from_properties(&Given(&all)).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_granted_by_default() {
        let config = read(&[]).unwrap();
        assert_eq!(config.program, PathBuf::from("/guest.wasm"));
        assert!(config.preopens.is_empty() && config.args.is_empty());
        assert!(config.env.is_empty() && config.inherit_env.is_empty());
        assert_eq!(config.rhythm, Rhythm::Every(Duration::from_secs(1)));
        assert_eq!(config.after_run, AfterRun::HostGoesOn);
        assert_eq!(config.backoff_max, Duration::from_secs(60));
        assert_eq!((config.timeout, config.fuel, config.output_limit_bytes), (None, None, None));
        assert_eq!((config.memory_limit_bytes, config.open_files_limit), (256_000_000, 64));
        assert_eq!(config.stack_bytes, 1_000_000);
        assert_eq!(config.message_key, "wasi_stdout");
        assert_eq!(config.line_limit_bytes, 1_000_000);
        assert_eq!((config.format, config.long_lines), (Format::Text, LongLines::Split));
        assert_eq!(config.stderr, StderrTo::Log);
        assert_eq!(config.pipe_bytes, 1_000_000);
        assert_eq!((config.cache, config.precompiled), (CachePlace::Default, false));
        assert!(config.notes.is_empty());
    }

    #[test]
    fn a_missing_program_is_said() {
        let error = Config::from_properties(&Given(&[])).unwrap_err();
        assert_eq!(error, ConfigError::NoProgram);
    }

    #[test]
    fn every_default_of_the_table_is_a_value_that_is_allowed() {
        for spec in OPTIONS {
            if let Some(default) = spec.default {
                assert!(read(&[(spec.name, default)]).is_ok(), "{}", spec.name);
            }
        }
    }

    #[test]
    fn a_bad_value_is_named_with_its_option_and_what_is_allowed() {
        for (option, value, allowed) in [
            ("oneshot", "1", "\"true\", \"on\", \"yes\", \"false\", \"off\", \"no\""),
            ("bool", "maybe", "\"true\""),
            ("interval_sec", "-1", "a whole number"),
            ("interval_nsec", "ten", "a whole number"),
            ("timeout", "1.5", "30, 30s, 5m, 1h or 1d"),
            ("timeout", "0", "30, 30s, 5m, 1h or 1d"),
            ("timeout", "5 minutes", "30, 30s, 5m, 1h or 1d"),
            ("memory_limit", "1KiB", "a size such as"),
            ("memory_limit", "10", "from 65536"),
            ("backoff_max", "0", "30, 30s, 5m, 1h or 1d"),
            ("exit_after_oneshot", "1", "\"true\""),
            ("fuel", "0", "above 0"),
            ("output_limit", "much", "a number such as"),
            ("open_files_limit", "-1", "a whole number"),
            ("buf_size", "0", "from 1 "),
            ("buf_size", "-5", "a size such as"),
            ("buf_size", "", ""),
            ("long_lines", "cut", "\"split\", \"truncate\", \"drop\""),
            ("format", "yaml", "\"text\", \"json\""),
            ("stderr", "file", "\"log\", \"record\", \"discard\""),
            ("args", "'open", "left open"),
            ("env", "KEY", "KEY=VALUE"),
            ("env", "=x", "KEY=VALUE"),
            ("cache_dir", "on", "a folder's path with a /"),
            ("precompiled", "1", "\"true\""),
            ("accessible_paths", "::/x", "host[::guest][:ro]"),
            ("accessible_paths", "/x,/y::/x", "two directories"),
        ] {
            match read(&[(option, value)]) {
                // An empty value counts as not given, as in the host.
                Ok(_) => assert_eq!(value, "", "{option}"),
                Err(error) => {
                    assert!(error.contains(&format!("\"{option}\"")), "{error}");
                    assert!(error.contains(&format!("\"{value}\"")) || value.contains(','), "{error}");
                    assert!(error.contains(allowed), "{error}");
                }
            }
        }
    }

    #[test]
    fn sizes_and_times_are_the_hosts() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("8k", 8_000),
            ("8KB", 8_000),
            ("1.5M", 1_500_000),
            ("2mb", 2_000_000),
            ("1G", 1_000_000_000),
            ("0.000000001G", 1),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "M", "1KiB", "-1", "1 M", "1.2.3", "99999999999999999999", "9999999999999G", "1e3"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
        for (text, seconds) in [("30", 30), ("30s", 30), ("5m", 300), ("1H", 3600), ("1d", 86400)] {
            assert_eq!(parse_time(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "1.5", "1w", "-1", "99999999999999999999", "99999999999d"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn directories_may_be_mapped_and_read_only() {
        let preopen =
            |host: &str, guest: &str, writable| Preopen { host: host.into(), guest: guest.into(), writable };
        let config = read(&[("accessible_paths", "/a , ./b::/data,/c:ro,/d::/e:ro,")]).unwrap();
        assert_eq!(
            config.preopens,
            [
                preopen("/a", "/a", true),
                preopen("./b", "/data", true),
                preopen("/c", "/c", false),
                preopen("/d", "/e", false),
            ]
        );
    }

    #[test]
    fn arguments_are_split_as_by_a_shell_and_variables_are_repeated() {
        let config = read(&[
            ("args", r#"--name "two words" 'a"b' x\ y"#),
            ("env", "A=1"),
            ("env", "B=x=y,z"),
            ("env", "C="),
        ])
        .unwrap();
        assert_eq!(config.args, ["--name", "two words", "a\"b", "x y"]);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(config.env, [pair("A", "1"), pair("B", "x=y,z"), pair("C", "")]);
    }

    #[test]
    fn the_cache_is_a_folder_or_off() {
        assert_eq!(read(&[("cache_dir", "Off")]).unwrap().cache, CachePlace::Off);
        for path in ["/var/cache/x", "./off"] {
            assert_eq!(read(&[("cache_dir", path)]).unwrap().cache, CachePlace::Folder(path.into()));
        }
    }

    #[test]
    fn both_names_of_oneshot_work_and_no_interval_is_the_default_one() {
        assert_eq!(read(&[("oneshot", "On")]).unwrap().rhythm, Rhythm::Once);
        assert_eq!(read(&[("bool", "yes")]).unwrap().rhythm, Rhythm::Once);
        let rhythm = read(&[("interval_sec", "0"), ("interval_nsec", "0")]).unwrap().rhythm;
        assert_eq!(rhythm, Rhythm::Every(Duration::from_secs(1)));
        let rhythm = read(&[("interval_sec", "0"), ("interval_nsec", "1000000")]).unwrap().rhythm;
        assert_eq!(rhythm, Rhythm::Every(Duration::from_millis(1)));
    }

    #[test]
    fn a_run_may_end_the_host_which_makes_it_the_only_one() {
        let config = read(&[("exit_after_oneshot", "true")]).unwrap();
        assert_eq!((config.rhythm, config.after_run), (Rhythm::Once, AfterRun::HostStops));
        let config = read(&[("exit_after_oneshot", "true"), ("propagate_exit_code", "true")]).unwrap();
        assert_eq!(config.after_run, AfterRun::HostStopsWithCode);
        let error = read(&[("propagate_exit_code", "true")]).unwrap_err();
        assert!(error.contains("without \"exit_after_oneshot\""), "{error}");
    }

    #[test]
    fn options_without_effect_are_said_and_small_stacks_raised() {
        let config = read(&[("wasm_heap_size", "8192"), ("wasm_stack_size", "8192")]).unwrap();
        assert_eq!(config.stack_bytes, MIN_STACK_BYTES);
        assert!(config.notes[0].contains("wasm_heap_size"));
    }

    #[test]
    fn a_state_dir_takes_its_name() {
        let state = ("state_dir", "/var/lib/x");
        assert_eq!(read(&[state]).unwrap().state_dir, Some("/var/lib/x".into()));
        let error = read(&[state, ("accessible_paths", "/y::/state")]).unwrap_err();
        assert!(error.contains("sees state_dir as /state"), "{error}");
    }

    #[test]
    fn a_parser_and_json_exclude_each_other() {
        let error = read(&[("parser", "json"), ("format", "json")]).unwrap_err();
        assert!(error.contains("\"parser\" and \"format json\""), "{error}");
    }
}
