//! What a guest prints arrives, byte for byte, as the option table says.

mod host;

use host::{Guest, ONCE, Record, Scene};

/// Runs a guest once with these options and returns its records and the host's log.
fn run(guest: Guest, options: &[(&str, &str)], records: usize) -> (Vec<Record>, String) {
    let mut all = vec![ONCE];
    all.extend(options);
    let mut host = Scene::new().guest(&guest, &all).start();
    host.wait_for_records(records);
    let ended = host.stop();
    ended.assert_clean();
    assert_eq!(ended.records.len(), records, "no more and no less; log:\n{}", ended.log);
    (ended.records, ended.log)
}

fn lines(records: &[Record]) -> Vec<&[u8]> {
    records.iter().map(|record| record.line().expect("a text record")).collect()
}

#[test]
fn every_line_is_a_record_and_the_last_needs_no_newline() {
    let guest = Guest::new().out("one\n").out("tw").out("o\n\nlast");
    let (records, _) = run(guest, &[], 4);
    assert_eq!(lines(&records), [&b"one"[..], b"two", b"", b"last"]);
}

#[test]
fn carriage_returns_nul_and_invalid_utf8_survive() {
    let bytes: Vec<u8> = (0..=255).filter(|&byte| byte != b'\n').collect();
    let guest = Guest::new().out("a\r\n\0b\0\n").out(&bytes);
    let (records, _) = run(guest, &[], 3);
    assert_eq!(lines(&records), [&b"a\r"[..], b"\0b\0", &bytes]);
}

#[test]
fn a_records_time_is_when_the_guest_wrote_it() {
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let before = now();
    let guest = Guest::new().out("one\n").sleep_ms(700).out("two\n");
    let (records, _) = run(guest, &[], 2);
    let apart = records[1].time - records[0].time;
    assert!((0.69..10.0).contains(&apart), "{apart}");
    assert!(records[0].time >= before - 0.001 && records[1].time <= now());
    let nanos = records[0].time.fract() + records[1].time.fract();
    assert!(nanos > 0.0, "times are finer than seconds");
}

#[test]
fn a_line_longer_than_buf_size_is_split_truncated_or_dropped_and_said() {
    let guest = || Guest::new().out(format!("{}\nshort\n{}\n", "x".repeat(25), "y".repeat(10)));
    let options = |policy| [("buf_size", "10"), ("long_lines", policy)];

    let (records, log) = run(guest(), &options("split"), 5);
    let (x, y) = ([b'x'; 10], [b'y'; 10]);
    assert_eq!(lines(&records), [&x[..], &x, b"xxxxx", b"short", &y]);
    assert!(
        log.contains("1 lines to its stdout that were longer than buf_size (10 bytes); they were split"),
        "{log}"
    );

    let (records, log) = run(guest(), &options("truncate"), 3);
    assert_eq!(lines(&records), [&x[..], b"short", &y]);
    assert!(log.contains("15 bytes of them are lost, as long_lines says"), "{log}");

    let (records, log) = run(guest(), &options("drop"), 2);
    assert_eq!(lines(&records), [&b"short"[..], &y]);
    assert!(log.contains("25 bytes of them are lost, as long_lines says"), "{log}");
}

#[test]
fn a_line_of_sixteen_megabytes_is_one_record_when_buf_size_allows() {
    let guest = Guest::new().repeat(16, |guest| guest.out("z".repeat(1 << 20))).out("\nend\n");
    let (records, _) = run(guest, &[("buf_size", "20M")], 2);
    assert!(records[0].line().unwrap() == vec![b'z'; 16 << 20]);
    assert_eq!(records[1].line().unwrap(), b"end");
}

#[test]
fn message_key_names_the_line() {
    let (records, _) = run(Guest::new().out("x\n"), &[("message_key", "log")], 1);
    assert_eq!(records[0].bytes("log"), Some(&b"x"[..]));
    assert_eq!(records[0].body.as_map().unwrap().len(), 1);
}

#[test]
fn json_objects_are_records_and_other_lines_stay_text() {
    let guest = Guest::new()
        .out("{\"z\":1,\"a\":[true,null,-2.5],\"n\":18446744073709551615}\nplain\n{\"open\":\n[1]\n");
    let (records, _) = run(guest, &[("format", "json")], 4);
    assert_eq!(records[0].body.to_string(), r#"{"z": 1, "a": [true, nil, -2.5], "n": 18446744073709551615}"#);
    assert_eq!(lines(&records[1..]), [&b"plain"[..], b"{\"open\":", b"[1]"]);
}

#[test]
fn the_hosts_parser_reads_lines_and_what_it_can_not_read_is_kept() {
    let scene = Scene::new();
    let parsers = scene.file("parsers.conf", "[PARSER]\n    Name my_json\n    Format json\n");
    let guest = Guest::new().out("{\"a\":1,\"b\":\"x\"}\nplain\n{\"a\":2}\n");
    let mut host = scene.before(&["-R", &parsers]).guest(&guest, &[ONCE, ("parser", "my_json")]).start();
    host.wait_for_records(3);
    let ended = host.stop();
    ended.assert_clean();
    let bodies: Vec<String> = ended.records.iter().map(|record| record.body.to_string()).collect();
    assert_eq!(bodies, [r#"{"a": 1, "b": "x"}"#, r#"{"wasi_stdout": "plain"}"#, r#"{"a": 2}"#]);
    ended.assert_logged("Parser \"my_json\" did not match 1 lines; they were kept as text.");
}

#[test]
fn a_line_that_the_hosts_parser_makes_too_deep_is_kept_as_text_and_takes_nothing_with_it() {
    let scene = Scene::new();
    let parsers = scene.file("parsers.conf", "[PARSER]\n    Name my_json\n    Format json\n");
    let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let (fits, too_deep) = (nested(31), nested(32));
    let guest = Guest::new().out(format!("{fits}\n{too_deep}\n{}\n{{\"last\":1}}\n", nested(100)));
    let mut host = scene.before(&["-R", &parsers]).guest(&guest, &[ONCE, ("parser", "my_json")]).start();
    let records = host.wait_for_records(4);
    assert_eq!(records[0].body.to_string().replace(' ', ""), fits);
    assert_eq!(lines(&records[1..3]), [too_deep.as_bytes(), nested(100).as_bytes()]);
    assert_eq!(records[3].body.to_string(), r#"{"last": 1}"#);
    host.wait_for_log("Parser \"my_json\" did not match 2 lines; they were kept as text.");
    host.stop().assert_clean();
}

#[test]
fn standard_error_goes_to_the_log_to_records_or_nowhere() {
    let guest = || Guest::new().err("trouble \x1b[31m\n").out("fine\n");
    let (records, log) = run(guest(), &[], 1);
    assert_eq!(lines(&records), [b"fine"]);
    assert!(log.contains("[input:exec_wasi:exec_wasi.0] Guest stderr: trouble \\u{1b}[31m"), "{log}");

    let (records, log) = run(guest(), &[("stderr", "record")], 2);
    assert_eq!(records[0].body.to_string(), r#"{"stream": "stderr", "wasi_stdout": "trouble \u{1b}[31m"}"#);
    assert_eq!(records[1].body.to_string(), r#"{"stream": "stdout", "wasi_stdout": "fine"}"#);
    assert!(!log.contains("trouble"), "{log}");

    let (_, log) = run(guest(), &[("stderr", "discard")], 1);
    assert!(!log.contains("trouble"), "{log}");
}

#[test]
fn a_long_line_of_standard_error_comes_in_pieces() {
    let (first, rest) = ("a".repeat(2000), "b".repeat(500));
    let (_, log) = run(Guest::new().err(format!("{first}{rest}\n")).out("done\n"), &[], 1);
    for piece in [&first, &rest] {
        assert!(log.contains(&format!("Guest stderr: {piece}\n")), "{log}");
    }
}

#[test]
fn a_guest_can_not_flood_the_log() {
    let guest = Guest::new().repeat(500, |guest| guest.err("noise\n")).out("done\n");
    let (_, log) = run(guest, &[], 1);
    let noise = log.lines().filter(|line| line.ends_with("Guest stderr: noise")).count();
    assert!((1..=60).contains(&noise), "{noise} lines");
    assert!(log.contains("more lines of the guest's stderr: too many in one second."), "{log}");
}
