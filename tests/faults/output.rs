//! Guests that misuse their output: too long, too odd, to the wrong place, with wrong pointers.

use crate::fault::{Fault, Wrote, rows_of_bytes};
use crate::host::Guest;

const EXITED: &str = "The guest exited with code 3.";

fn ends(guest: Guest) -> Fault {
    Fault::guest(&guest.exit(3)).says(EXITED)
}

/// `times` megabytes of `x`, without a newline.
fn megabytes(times: u32) -> Guest {
    Guest::new().repeat(times, |guest| guest.out("x".repeat(1_000_000)))
}

/// A call of `fd_write` with the vector at 32768, of `count` entries; prints its errno.
fn write_vector(guest: Guest, fd: u32, count: u32) -> Guest {
    guest.errno_of(&format!(
        "(call $fd_write (i32.const {fd}) (i32.const 32768) (i32.const {count}) (i32.const 8))"
    ))
}

/// Entry `number` of the vector at 32768.
fn entry(guest: Guest, number: u32, at: u32, len: u32) -> Guest {
    guest.raw(&format!(
        "(i32.store (i32.const {}) (i32.const {at})) (i32.store (i32.const {}) (i32.const {len}))",
        32768 + 8 * number,
        32772 + 8 * number
    ))
}

/// Guests that write a line and then do one wrong call each, and the reason that is told.
fn wrong_vectors() -> Vec<(Guest, &'static str)> {
    let one = |at, len| write_vector(entry(Guest::new().out("before\n"), 0, at, len), 1, 1);
    let call = |vector: u32, count: u32, written: u32| {
        Guest::new().out("before\n").errno_of(&format!(
            "(call $fd_write (i32.const 1) (i32.const {vector}) (i32.const {count}) (i32.const {written}))"
        ))
    };
    let beyond = "Pointer out of bounds";
    vec![
        (one(0x7fff_0000, 10), beyond),
        (one(0xffff_ffff, 2), beyond),
        (one(131_070, 3), beyond),
        (call(0xffff_fff8, 2, 8), beyond),
        (call(0x7fff_fff8, 1, 8), beyond),
        (call(32769, 1, 8), "Pointer not aligned"),
        (call(32768, 0, 0x7fff_fffc), beyond),
        (call(32768, 0, 1), "Pointer not aligned"),
    ]
}

rows! {
    // ---- too much ----

    a_hundred_megabytes_without_a_newline => ends(megabytes(100)).wrote(Wrote::Bytes(100_000_000));

    hundreds_of_megabytes_without_a_newline_truncated => ends(megabytes(300))
        .option("long_lines", "truncate")
        .wrote(Wrote::Bytes(300_000_000));

    hundreds_of_megabytes_without_a_newline_dropped => ends(megabytes(300))
        .option("long_lines", "drop")
        .wrote(Wrote::Bytes(300_000_000));

    lines_of_a_mebibyte => ends(
        Guest::new().repeat(20, |guest| guest.out("y".repeat(1 << 20)).out("\n")),
    )
    .option("buf_size", "2M")
    .wrote(rows_of_bytes(20, 1 << 20, b'y'));

    a_line_of_16_mebibytes => ends(Guest::new().repeat(16, |guest| guest.out("y".repeat(1 << 20))).out("\n"))
        .option("buf_size", "20M")
        .wrote(rows_of_bytes(1, 16 << 20, b'y'));

    a_line_of_256_mebibytes => ends(Guest::new().repeat(256, |guest| guest.out("y".repeat(1 << 20))).out("\n"))
        .option("buf_size", "300M")
        .wrote(rows_of_bytes(1, 256 << 20, b'y'));

    #[ignore = "needs six gigabytes of memory"]
    a_line_of_nearly_a_gigabyte => ends(megabytes(1000))
        .option("buf_size", "1G")
        .wrote(rows_of_bytes(1, 1_000_000_000, b'x'));

    a_million_empty_lines => ends(Guest::new().repeat(100, |guest| guest.out("\n".repeat(10_000))))
        .wrote(Wrote::Count(1_000_000));

    a_million_empty_lines_one_by_one => ends(Guest::new().repeat(1_000_000, |guest| guest.out("\n")))
        .wrote(Wrote::Count(1_000_000));

    a_million_empty_lines_as_json => ends(Guest::new().repeat(100, |guest| guest.out("\n".repeat(10_000))))
        .option("format", "json")
        .wrote(Wrote::Count(1_000_000));

    a_million_empty_lines_for_a_parser => ends(Guest::new().repeat(100, |guest| guest.out("\n".repeat(10_000))))
        .parsers("[PARSER]\n    Name my_json\n    Format json\n")
        .option("parser", "my_json")
        .wrote(Wrote::Count(1_000_000));

    // One by one, so that each comes to the host by itself.
    lines_that_no_parser_takes => ends(Guest::new().repeat(300, |guest| guest.out("no JSON\n").sleep_ms(3)))
        .parsers("[PARSER]\n    Name my_json\n    Format json\n")
        .option("parser", "my_json")
        .wrote(Wrote::Count(300))
        .afterwards(|ended| {
            let told = ended.log.split("did not match ").skip(1);
            let told: Vec<u64> = told.filter_map(|rest| rest.split(' ').next()?.parse().ok()).collect();
            assert!(told.len() <= 2 && told.iter().sum::<u64>() == 300, "{told:?}");
        });

    json_of_any_depth => {
        let deep = |open: &str, close: &str| format!("{{\"a\":{}1{}}}\n", open.repeat(2000), close.repeat(2000));
        let lines = [deep("[", "]"), deep("{\"a\":", "}"), format!("{}\n", "{\"a\":".repeat(5000))];
        ends(Guest::new().out(lines.concat()))
            .option("format", "json")
            .wrote(Wrote::Lines(lines.iter().map(|line| line.trim_end().as_bytes().to_vec()).collect()))
    };

    json_of_odd_numbers_and_texts => {
        // Records of their own where they are valid JSON, and text where not; all of them arrive.
        let long = format!("{{\"n\":{}}}", "9".repeat(100_000));
        let many: String = (0..20_000).map(|n| format!("\"k{n}\":{n},")).collect();
        let many = format!("{{{many}\"end\":0}}");
        let lines = [
            r#"{"n":1e999}"#, r#"{"n":-1e-999}"#, r#"{"n":18446744073709551616}"#, r#"{"n":-9223372036854775809}"#,
            r#"{"n":-0}"#, r#"{"n":00}"#, r#"{"n":NaN}"#, r#"{"s":"\ud800"}"#, r#"{"s":"\udc00\ud800"}"#,
            r#"{"s":"\u0000"}"#, r#"{"a":1,"a":2}"#, r#"{"":{}}"#, "{}", "{", "[]", "null", "\u{feff}{}", "{} {}",
            long.as_str(), many.as_str(),
        ];
        ends(Guest::new().out(lines.join("\n") + "\n"))
            .option("format", "json")
            .afterwards(move |ended| {
                let records = ended.records.iter().filter(|record| record.bytes("message").is_none()).count();
                assert_eq!(records, 20, "{}", ended.log);
            })
    };

    // ---- odd bytes ----

    nul_and_invalid_utf8 => {
        let odd: Vec<u8> = (0..=255).rev().filter(|&byte| byte != b'\n').collect();
        let lines: [&[u8]; 6] = [b"\0", b"\0\0\0", b"\xff\xfe", b"\xc3", b"a\0b\r", &odd];
        ends(Guest::new().out(lines.join(&b'\n')))
            .wrote(Wrote::Lines(lines.iter().map(|line| line.to_vec()).collect()))
    };

    nul_and_invalid_utf8_where_json_is_expected => {
        let lines: [&[u8]; 4] = [b"\0", b"{\"a\":\"\xff\"}", b"{\"a\":1}\0", b"{\0}"];
        ends(Guest::new().out(lines.join(&b'\n')))
            .option("format", "json")
            .wrote(Wrote::Lines(lines.iter().map(|line| line.to_vec()).collect()))
    };

    bytes_for_the_terminal_on_standard_error => ends(
        Guest::new().err(b"\x1b[2J\x07\x00\xff\r[2026/01/01] forged\n").out("line\n"),
    )
    .wrote_lines(&["line"])
    .says("Guest stderr: \\u{1b}[2J\\u{7}\\u{0}\u{fffd}\\r[2026/01/01] forged");

    // ---- descriptors ----

    standard_output_closed => Fault::guest(
        &Guest::new().out("before\n").raw("(drop (call $fd_close (i32.const 1)))").out("lost\n"),
    )
    .wrote_lines(&["before"])
    // What the guest does when its write fails.
    .says("The guest exited with code 71.");

    both_outputs_closed_twice => ends(
        Guest::new()
            .out("before\n")
            .raw("(drop (call $fd_close (i32.const 2)))")
            .errno_of("(call $fd_close (i32.const 2))")
            .raw("(drop (call $fd_close (i32.const 1))) (drop (call $fd_close (i32.const 1)))"),
    )
    .wrote_lines(&["before", "errno 08"]);

    output_becomes_error => ends(
        Guest::new()
            .out("before\n")
            .errno_of("(call $fd_renumber (i32.const 2) (i32.const 1))")
            .out("moved\n"),
    )
    .wrote_lines(&["before"])
    .says("Guest stderr: errno 00")
    .says("Guest stderr: moved");

    error_becomes_output => ends(
        Guest::new()
            .out("before\n")
            .raw("(drop (call $fd_renumber (i32.const 1) (i32.const 2)))")
            .err("as error\n")
            .raw("(if (i32.ne (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (i32.const 8))
                    (then unreachable))"),
    )
    .wrote_lines(&["before", "as error"])
    .never_says("Guest stderr");

    output_becomes_itself => ends(
        Guest::new().errno_of("(call $fd_renumber (i32.const 1) (i32.const 1))").out("after\n"),
    )
    .wrote_lines(&["errno 00", "after"]);

    output_becomes_what_is_not_there => ends(
        Guest::new()
            .errno_of("(call $fd_renumber (i32.const 99) (i32.const 1))")
            .errno_of("(call $fd_renumber (i32.const 1) (i32.const 99))")
            .out("after\n"),
    )
    .wrote_lines(&["errno 08", "errno 08", "after"]);

    a_file_takes_the_place_of_standard_output => {
        let mut guest = Guest::new().out("before\n").raw("(drop (call $fd_close (i32.const 1)))");
        let (at, len) = guest.place(b"taken");
        // The lowest free number is 1 now.
        let guest = guest.raw(&format!(
            "(if (call $path_open (i32.const 3) (i32.const 0) (i32.const {at}) (i32.const {len})
                   (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 500)) (then unreachable))
             (if (i32.ne (i32.load (i32.const 500)) (i32.const 1)) (then unreachable))"
        ));
        ends(guest.out("into the file\n")).directories("data").wrote_lines(&["before"]).leaves(
            |folder| {
                let taken = std::fs::read_to_string(folder.join("data/taken")).expect("the guest's file");
                assert_eq!(taken, "into the file\n");
            },
        )
    };

    standard_output_takes_the_place_of_a_directory => ends(
        Guest::new()
            .out("before\n")
            .raw("(drop (call $fd_renumber (i32.const 1) (i32.const 3)))")
            .raw("(call $write (i32.const 3) (i32.const 1000) (i32.const 9))"),
    )
    .directories("data")
    .wrote_lines(&["before", "errno 00"]);

    positions_of_standard_output => {
        let guest = Guest::new()
            .import("fd_seek", "i32 i64 i32 i32")
            .import("fd_pwrite", "i32 i32 i32 i64 i32")
            .import("fd_filestat_set_size", "i32 i64")
            .errno_of("(call $fd_seek (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 8))")
            .errno_of("(call $fd_pwrite (i32.const 1) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 8))")
            .errno_of("(call $fd_filestat_set_size (i32.const 1) (i64.const 0))")
            .errno_of("(call $fd_read (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))");
        // 70 is ESPIPE, 8 is EBADF.
        ends(guest).wrote_lines(&["errno 70", "errno 70", "errno 08", "errno 08"])
    };

    // ---- vectors ----

    thousands_of_entries_most_of_them_empty => Fault::program("guest.wat", thousands_of_entries())
        .wrote(Wrote::Lines(vec![vec![b'x'; 1365]]));

    vectors_of_nothing => {
        let guest = write_vector(Guest::new(), 1, 0);
        let guest = entry(entry(entry(guest, 0, 70000, 0), 1, 0xffff_ffff, 0), 2, 0, 0);
        ends(write_vector(guest, 1, 3).out("alive\n")).wrote_lines(&["errno 00", "errno 00", "alive"])
    };

    vectors_too_long_to_be_read => {
        // Each is more than the host copies for a guest in one call; 48 is ENOMEM.
        let guest = write_vector(entry(Guest::new(), 0, 0, 0xffff_ffff), 1, 1);
        ends(write_vector(guest, 1, 0x1fff_ffff).out("alive\n")).wrote_lines(&["errno 48", "errno 48", "alive"])
    };

    vectors_that_are_wrong => {
        let guests = wrong_vectors();
        let mut fault = Fault::of_inputs().option("oneshot", "on").wrote_lines(&vec!["before"; guests.len()]);
        for (number, (guest, reason)) in guests.iter().enumerate() {
            fault = fault.input(&format!("guest{number}.wat"), guest.program());
            // The first input is the neighbour.
            fault = fault.says_of(number + 1, "The guest trapped: ", reason);
        }
        fault
    };

    the_same_megabytes_in_thousands_of_entries => {
        let mut guest = Guest::new().out("before\n").raw("(drop (memory.grow (i32.const 2000)))");
        for number in 0..4096 {
            guest = entry(guest, number, 0, 130_000_000);
        }
        // Half a terabyte in one call, as far as anybody is willing to read.
        let ever = "(loop $ever (drop (call $fd_write (i32.const 2) (i32.const 32768) (i32.const 4096) \
                    (i32.const 8))) (br $ever))";
        Fault::guest(&guest.raw(ever))
            .option("timeout", "2")
            .option("stderr", "discard")
            .wrote_lines(&["before"])
            .says("this run took longer than timeout (2 s)")
    };
}

/// Writes 4096 entries, one byte in each third and the others empty, as far as each call takes them.
fn thousands_of_entries() -> &'static str {
    r#"(module
      (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 2)
      (func (export "_start") (local $n i32) (local $at i32) (local $taken i32)
        (memory.fill (i32.const 60000) (i32.const 120) (i32.const 8))
        ;; entries at 4096: empty, empty, one byte
        (local.set $at (i32.const 4096))
        (loop $fill
          (i32.store (local.get $at) (i32.const 60000))
          (i32.store offset=4 (local.get $at)
            (i32.eq (i32.rem_u (local.get $n) (i32.const 3)) (i32.const 2)))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $fill (i32.lt_u (local.get $n) (i32.const 4096))))
        (local.set $at (i32.const 4096))
        (loop $more
          (if (call $fd_write (i32.const 1) (local.get $at) (local.get $n) (i32.const 0)) (then unreachable))
          (local.set $taken (i32.load (i32.const 0)))
          ;; past the entries that were taken
          (block $done
            (loop $skip
              (br_if $done (i32.eqz (local.get $n)))
              (br_if $done (i32.gt_u (i32.load offset=4 (local.get $at)) (local.get $taken)))
              (local.set $taken (i32.sub (local.get $taken) (i32.load offset=4 (local.get $at))))
              (local.set $at (i32.add (local.get $at) (i32.const 8)))
              (local.set $n (i32.sub (local.get $n) (i32.const 1)))
              (br_if $skip (i32.or (local.get $taken) (i32.eqz (i32.load offset=4 (local.get $at)))))))
          (br_if $more (local.get $n)))))"#
}
