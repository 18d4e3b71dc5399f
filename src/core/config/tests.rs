use super::reader::{parse_size, parse_time};
use super::*;

struct Options<'a>(&'a [(&'a str, &'a str)]);

impl Properties for Options<'_> {
    fn values(&self, name: &str) -> Given {
        let same = self.0.iter().filter(|(key, _)| *key == name);
        same.map(|(_, value)| value.as_bytes().to_vec()).collect::<Vec<_>>().into()
    }
}

fn read(given: &[(&str, &str)]) -> Result<Config, String> {
    let mut all = vec![("wasi_path", "/guest.wasm")];
    all.extend(given);
    Config::from_properties(&Options(&all)).map_err(|error| error.to_string())
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
    assert!(config.allow_hosts.is_empty() && config.allow_listen.is_empty() && !config.has_network());
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
    let error = Config::from_properties(&Options(&[])).unwrap_err();
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
        ("inherit_env", "HOME, TOKEN=1", "names are needed"),
        ("interval_sec", "-1", "a time such as"),
        ("interval_sec", "0.5", "a time such as"),
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
        ("allow_hosts", "http://a", "items are a name"),
        ("allow_hosts", "a:0", "items are a name"),
        ("allow_listen", "name:80", "this machine's addresses"),
        ("connections_limit", "many", "a whole number from 0 to 10000"),
        ("request_timeout", "0", "a time such as"),
        ("body_limit", "0", "from 1"),
        ("accessible_paths", "::/x", "host[::guest][:ro]"),
        ("accessible_paths", "/x,/y::/x", "two directories"),
        ("accessible_paths", "/x:RO", "host[::guest][:ro]"),
        ("accessible_paths", "/x::/y:rw", "host[::guest][:ro]"),
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
fn a_line_is_not_given_the_key_of_its_streams_name() {
    let error = read(&[("stderr", "record"), ("message_key", "stream")]).unwrap_err();
    assert!(error.contains("message_key stream"), "{error}");
    assert!(read(&[("message_key", "stream")]).is_ok());
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
    for (text, seconds) in [("5s", 5), ("2m", 120)] {
        let rhythm = read(&[("interval_sec", text)]).unwrap().rhythm;
        assert_eq!(rhythm, Rhythm::Every(Duration::from_secs(seconds)));
    }
}

#[test]
fn a_directory_that_is_granted_twice_in_the_same_way_is_granted() {
    assert_eq!(read(&[("accessible_paths", "/x,/y:ro,/x,/y:ro")]).unwrap().preopens.len(), 2);
    assert!(read(&[("accessible_paths", "/x,/x:ro")]).is_err());
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

#[test]
fn a_value_that_is_no_text_is_refused_with_the_options_name() {
    struct Latin1(&'static str);

    impl Properties for Latin1 {
        fn values(&self, name: &str) -> Given {
            let given = [("wasi_path", b"/guest.wasm".as_slice()), (self.0, b"LANG=\xe4")];
            let same = given.iter().filter(|(key, _)| *key == name);
            same.map(|(_, value)| value.to_vec()).collect::<Vec<_>>().into()
        }
    }

    for option in ["env", "args", "accessible_paths"] {
        let refused = Config::from_properties(&Latin1(option));
        assert_eq!(refused, Err(ConfigError::NotText(option)));
    }
}

#[test]
fn values_that_can_not_be_read_do_not_go_unsaid() {
    struct Forbidden;

    impl Properties for Forbidden {
        fn values(&self, name: &str) -> Given {
            match name {
                "wasi_path" => vec![b"/guest.wasm".to_vec()].into(),
                "env" => Given { values: vec![b"A=1".to_vec()], may_be_more: true },
                _ => Given::default(),
            }
        }
    }

    let config = Config::from_properties(&Forbidden).unwrap();
    assert_eq!(config.env, [("A".to_owned(), "1".to_owned())]);
    assert!(config.notes[0].contains("only the first \"env\""), "{:?}", config.notes);
}
