//! The table of options: what the host, its help text and the README know of each.

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
        "The WASI program: a WebAssembly module or component, binary (.wasm) or text (.wat); with 'precompiled' also a .cwasm file. Required.",
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
    option(
        "allow_hosts",
        Kind::List,
        None,
        "Whom a component may connect to, look up or ask by HTTP: a comma list of name, *.name, address or range, each with or without :port. Nobody by default.",
    ),
    option(
        "allow_listen",
        Kind::List,
        None,
        "Addresses of this machine at which a component may wait for others, each with or without :port. None by default.",
    ),
    option("interval_sec", Kind::Time, Some("1"), "Seconds from one start of the program to the next."),
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
        "connections_limit",
        Kind::Integer,
        Some("16"),
        "Most sockets and HTTP requests that a component may have at a time.",
    ),
    option(
        "request_timeout",
        Kind::Time,
        Some("60"),
        "Longest time of an HTTP request of a component, until the end of the answer.",
    ),
    option(
        "body_limit",
        Kind::Size,
        Some("64M"),
        "Most bytes that the body of an HTTP request or answer may have.",
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
