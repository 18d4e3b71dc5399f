//! Guests that misuse the interface: every call with odd arguments, clocks, waits, descriptors, sizes.

use std::os::unix::fs::symlink;

use crate::fault::{Fault, Wrote};
use crate::host::Guest;

/// Every function of WASI 0.1: its name, and its parameters, `i` of 32 bits and `I` of 64.
const CALLS: [(&str, &str); 46] = [
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("proc_raise", "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// A guest that opens a file as descriptor 4, prints a line and makes one call, with `first` as its first
/// argument and `others` as all others.
fn calls(name: &str, parameters: &str, first: i64, others: i64) -> String {
    let mut types = String::new();
    let mut arguments = String::new();
    for (number, kind) in parameters.chars().enumerate() {
        let value = if number == 0 { first } else { others };
        let kind = if kind == 'I' { "i64" } else { "i32" };
        types.push_str(&format!(" {kind}"));
        arguments.push_str(&format!("({kind}.const {value}) "));
    }
    let (result, dropped) = if name == "proc_exit" { ("", "nop") } else { ("(result i32)", "drop") };
    format!(
        r#"(module
          (import "wasi_snapshot_preview1" "{name}" (func $call (param {types}) {result}))
          (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 2)
          (data (i32.const 16) "before\n") (data (i32.const 32) "file")
          (data (i32.const 0) "\10\00\00\00\07\00\00\00")
          (func (export "_start")
            (drop (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 0)
              (i64.const 0x1fffffff) (i64.const 0x1fffffff) (i32.const 0) (i32.const 24)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (call $call {arguments}) {dropped}))"#
    )
}

/// Every call at once, each by a guest of its own.
fn every_call(first: i64, others: i64) -> Fault {
    let fault = Fault::of_inputs()
        .option("oneshot", "on")
        .option("timeout", "1")
        .directories("data")
        .file("data/file", "content")
        .meanwhile(|host| {
            crate::fault::wait(host, "all lines", |host| host.lines().len() >= CALLS.len());
        })
        .wrote_lines(&["before"; CALLS.len()]);
    CALLS.iter().fold(fault, |fault, (name, parameters)| {
        fault.input(&format!("{name}.wat"), calls(name, parameters, first, others))
    })
}

/// A `subscription` at 32768 + 48 * `number`. Kind 0 is a clock, 1 a descriptor to read, 2 one to write.
fn subscription(number: u32, kind: u32, subject: u32, nanoseconds: i64, flags: u32) -> String {
    let at = 32768 + 48 * number;
    format!(
        "(i32.store8 (i32.const {}) (i32.const {kind})) (i32.store (i32.const {}) (i32.const {subject}))
         (i64.store (i32.const {}) (i64.const {nanoseconds})) (i32.store16 (i32.const {}) (i32.const {flags}))",
        at + 8,
        at + 16,
        at + 24,
        at + 40
    )
}

fn poll(count: u32) -> String {
    format!("(call $poll_oneoff (i32.const 32768) (i32.const 40000) (i32.const {count}) (i32.const 300))")
}

/// A guest that waits for these, and is stopped while it does.
fn waits(subscriptions: &[String]) -> Fault {
    let count = u32::try_from(subscriptions.len()).expect("a few");
    let guest = Guest::new().out("before\n").raw(&subscriptions.concat()).errno_of(&poll(count));
    Fault::module(&guest).option("timeout", "1").wrote_lines(&["before"]).says("longer than timeout (1 s)")
}

const LONGEST: i64 = -1;

/// Opens `file` of the directory 3 as descriptor 4, with all rights.
fn with_file(guest: Guest) -> Guest {
    let mut guest = guest;
    let (at, len) = guest.place(b"file");
    guest.raw(&format!(
        "(if (call $path_open (i32.const 3) (i32.const 0) (i32.const {at}) (i32.const {len}) (i32.const 0)
               (i64.const 0x1fffffff) (i64.const 0x1fffffff) (i32.const 0) (i32.const 500)) (then unreachable))
         (if (i32.ne (i32.load (i32.const 500)) (i32.const 4)) (then unreachable))"
    ))
}

rows! {
    every_call_with_zeros => every_call(0, 0);

    every_call_with_all_bits => every_call(-1, -1);

    every_call_to_a_directory_with_all_bits => every_call(3, -1);

    every_call_to_a_file_with_all_bits => every_call(4, -1);

    every_call_to_a_file_with_large_numbers => every_call(4, 0x7fff_fff8);

    every_call_to_a_file_with_the_end_of_memory => every_call(4, 131_064);

    every_call_to_standard_output_with_all_bits => every_call(1, -1);

    // ---- clocks and waits ----

    clocks_that_there_are_not => {
        let guest = Guest::new()
            .import("clock_time_get", "i32 i64 i32")
            .import("clock_res_get", "i32 i32")
            .errno_of("(call $clock_time_get (i32.const 2) (i64.const 1) (i32.const 800))")
            .errno_of("(call $clock_time_get (i32.const 3) (i64.const 1) (i32.const 800))")
            .errno_of("(call $clock_res_get (i32.const 3) (i32.const 800))")
            .errno_of("(call $clock_time_get (i32.const 0) (i64.const -1) (i32.const 800))");
        // 8 is EBADF.
        Fault::module(&guest.exit(3))
            .wrote_lines(&["errno 08", "errno 08", "errno 08", "errno 00"])
            .says("exited with code 3")
    };

    a_clock_that_there_is_not_is_waited_for => {
        let guest = Guest::new().raw(&subscription(0, 0, 99, 1_000_000_000, 0)).errno_of(&poll(1));
        Fault::module(&guest.out("alive\n").exit(3)).says("The guest ")
    };

    the_longest_wait_there_is => waits(&[subscription(0, 0, 1, LONGEST, 0)]);

    the_longest_wait_there_is_on_either_clock => waits(&[
        subscription(0, 0, 1, LONGEST, 0),
        subscription(1, 0, 0, LONGEST, 0),
    ]);

    the_latest_time_there_is => waits(&[subscription(0, 0, 1, LONGEST, 1)]);

    the_latest_day_there_is => waits(&[subscription(0, 0, 0, LONGEST, 1)]);

    a_time_that_is_over => {
        let guest = Guest::new().raw(&subscription(0, 0, 0, 1, 1)).errno_of(&poll(1)).exit(3);
        Fault::module(&guest).wrote_lines(&["errno 00"]).says("exited with code 3")
    };

    a_kind_of_wait_that_there_is_not => {
        let guest = Guest::new().raw(&subscription(0, 77, 1, 0, 0)).errno_of(&poll(1)).exit(3);
        // 28 is EINVAL.
        Fault::module(&guest).wrote_lines(&["errno 28"]).says("exited with code 3")
    };

    a_wait_for_nothing => {
        let guest = Guest::new().errno_of(&poll(0)).exit(3);
        // 28 is EINVAL.
        Fault::module(&guest).wrote_lines(&["errno 28"]).says("exited with code 3")
    };

    a_wait_for_a_descriptor_that_there_is_not => {
        let guest = Guest::new().raw(&subscription(0, 1, 77, 0, 0)).errno_of(&poll(1)).exit(3);
        Fault::module(&guest).says("The guest exited with code 3")
    };

    thousands_of_waits_for_the_output => {
        let end = 32768 + 48 * 5000;
        let guest = Guest::new()
            .raw("(drop (memory.grow (i32.const 20)))")
            .raw(&subscription(0, 2, 1, 0, 0))
            .raw(&format!(
                "(global.set $at (i32.const 32816))
                 (loop $more
                   (memory.copy (global.get $at) (i32.const 32768) (i32.const 48))
                   (global.set $at (i32.add (global.get $at) (i32.const 48)))
                   (br_if $more (i32.lt_u (global.get $at) (i32.const {end}))))"
            ))
            .raw("(loop $ever")
            .errno_of("(call $poll_oneoff (i32.const 32768) (i32.const 600000) (i32.const 5000) (i32.const 300))")
            .raw("(br $ever))");
        Fault::module(&guest).option("timeout", "1").wrote(Wrote::Anything).says("longer than timeout (1 s)")
    };

    // The guest waits until it may write; the engine takes nothing meanwhile.
    a_wait_for_room_in_the_output => {
        let guest = Guest::new()
            .raw("(loop $ever")
            .raw(&subscription(0, 2, 1, 0, 0))
            .raw(&format!("(drop {})", poll(1)))
            .numbered_blocks("line", 1000, 100)
            .raw("(br $ever))");
        Fault::module(&guest)
            .option("timeout", "2")
            .option("mem_buf_limit", "100k")
            .option("pipe_size", "100k")
            .wrote(Wrote::Numbered("line"))
            .says("longer than timeout (2 s)")
    };

    input_that_never_comes => {
        let guest = Guest::new().raw(&subscription(0, 1, 0, 0, 0)).errno_of(&poll(1)).cat_stdin().out("end\n");
        Fault::module(&guest.exit(3)).wrote_lines(&["errno 00", "end"]).says("exited with code 3")
    };

    a_million_calls_that_give_way => {
        let guest = Guest::new().import("sched_yield", "").repeat(1_000_000, |guest| {
            guest.raw("(drop (call $sched_yield))")
        });
        Fault::module(&guest.out("end\n").exit(3)).wrote_lines(&["end"]).says("exited with code 3")
    };

    // ---- descriptors ----

    a_file_takes_the_place_of_standard_input => {
        let mut guest = Guest::new().raw("(drop (call $fd_close (i32.const 0)))");
        let (at, len) = guest.place(b"file");
        let guest = guest.raw(&format!(
            "(if (call $path_open (i32.const 3) (i32.const 0) (i32.const {at}) (i32.const {len}) (i32.const 0)
                   (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 500)) (then unreachable))
             (if (i32.load (i32.const 500)) (then unreachable))"
        ));
        Fault::module(&guest.cat_stdin().exit(3))
            .directories("data")
            .file("data/file", "content\n")
            .wrote_lines(&["content"])
            .says("exited with code 3")
    };

    a_directory_takes_the_place_of_standard_input => Fault::module(
        &Guest::new().errno_of("(call $fd_renumber (i32.const 3) (i32.const 0))").cat(0, "file").cat_stdin().exit(3),
    )
    .directories("data")
    .file("data/file", "content\n")
    .says("exited with code 3")
    .afterwards(|ended| assert_eq!(ended.lines()[..2], [b"errno 00".to_vec(), b"content".to_vec()]));

    every_descriptor_closed_twice => {
        let close = "(drop (call $fd_close (global.get $at)))";
        let all = format!(
            "(global.set $at (i32.const 0))
             (loop $more {close} {close}
               (global.set $at (i32.add (global.get $at) (i32.const 1)))
               (br_if $more (i32.lt_u (global.get $at) (i32.const 1000))))"
        );
        let guest = Guest::new().out("before\n").raw(&all);
        Fault::module(&guest.raw("(call $proc_exit (i32.const 3))"))
            .directories("data")
            .wrote_lines(&["before"])
            .says("exited with code 3")
    };

    // Closing what it was given lets a guest open no more than it may.
    closing_makes_no_more_room_than_there_was => {
        let mut guest = Guest::new();
        let (at, len) = guest.place(b"file");
        let open = format!(
            "(call $path_open (i32.const 3) (i32.const 0) (i32.const {at}) (i32.const {len}) (i32.const 0)
               (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 500))"
        );
        let guest = guest.repeat(100, |guest| {
            guest.raw(&format!(
                "(if (i32.eqz {open}) (then (drop (call $fd_renumber (i32.load (i32.const 500)) (i32.load (i32.const 500))))))"
            ))
        });
        Fault::module(&guest.exit(3))
            .option("open_files_limit", "5")
            .directories("data")
            .file("data/file", "content")
            .says("open_files_limit (5)")
    };

    // ---- sizes and positions ----

    a_file_beyond_all_sizes => {
        let guest = with_file(Guest::new())
            .import("fd_filestat_set_size", "i32 i64")
            .import("fd_allocate", "i32 i64 i64")
            .import("fd_seek", "i32 i64 i32 i32")
            .import("fd_pwrite", "i32 i32 i32 i64 i32")
            .import("fd_pread", "i32 i32 i32 i64 i32")
            .raw("(i32.store (i32.const 0) (i32.const 1000)) (i32.store (i32.const 4) (i32.const 5))")
            .errno_of("(call $fd_filestat_set_size (i32.const 4) (i64.const -1))")
            .errno_of("(call $fd_allocate (i32.const 4) (i64.const 0x7fffffffffffffff) (i64.const 0x7fffffffffffffff))")
            .errno_of("(call $fd_seek (i32.const 4) (i64.const -9) (i32.const 0) (i32.const 304))")
            .errno_of("(call $fd_pwrite (i32.const 4) (i32.const 0) (i32.const 1) (i64.const -1) (i32.const 8))");
        Fault::module(&guest.exit(3))
            .directories("data")
            .file("data/file", "content")
            .says("exited with code 3")
            .afterwards(|ended| {
                let lines = ended.lines();
                assert!(lines.len() == 4 && lines.iter().all(|line| line != b"errno 00"), "{lines:?}");
            })
    };

    a_file_larger_than_the_host_may_write => {
        let guest = with_file(Guest::new())
            .import("fd_filestat_set_size", "i32 i64")
            // 22 is EFBIG.
            .errno_of("(call $fd_filestat_set_size (i32.const 4) (i64.const 100000000))")
            .raw("(drop (memory.grow (i32.const 200)))")
            .raw("(i32.store (i32.const 0) (i32.const 200000)) (i32.store (i32.const 4) (i32.const 10000000))")
            .raw("(loop $more (br_if $more (i32.eqz (call $fd_write (i32.const 4) (i32.const 0) (i32.const 1) (i32.const 8)))))")
            .errno_of("(call $fd_write (i32.const 4) (i32.const 0) (i32.const 1) (i32.const 8))")
            .exit(3);
        Fault::module(&guest)
            .directories("data")
            .file("data/file", "")
            .host_limit("-f 8000")
            .wrote_lines(&["errno 22", "errno 22"])
            .says("exited with code 3")
    };

    a_directory_of_thousands_read_in_odd_pieces => {
        let mut fault = Fault::module(
            &Guest::new()
                .import("fd_readdir", "i32 i32 i32 i64 i32")
                .raw("(drop (memory.grow (i32.const 40)))")
                .errno_of("(call $fd_readdir (i32.const 3) (i32.const 200000) (i32.const 1) (i64.const 0) (i32.const 8))")
                .errno_of("(call $fd_readdir (i32.const 3) (i32.const 200000) (i32.const 25) (i64.const 1999) (i32.const 8))")
                .errno_of("(call $fd_readdir (i32.const 3) (i32.const 200000) (i32.const 2000000) (i64.const 0) (i32.const 8))")
                .errno_of("(call $fd_readdir (i32.const 3) (i32.const 200000) (i32.const 2000000) (i64.const 9999999) (i32.const 8))")
                .exit(3),
        )
        .directories("data");
        for number in 0..2000 {
            fault = fault.file(&format!("data/file {number}"), "");
        }
        fault.wrote_lines(&["errno 00"; 4]).says("exited with code 3")
    };

    // ---- races ----

    // The operator, or a second guest, switches a directory for a link out and back, while a guest goes
    // through it. It sees what is inside, or an error, never what is outside.
    a_directory_that_becomes_a_link_and_back => {
        let guest = Guest::new().raw("(loop $ever").cat(3, "way/file").raw("(br $ever))");
        let fault = Fault::module(&guest)
            .option("timeout", "2")
            .directories("inside/way")
            .directories("inside")
            .file("inside/way/file", "inside\n")
            .file("outside/file", "secret\n");
        let folder = fault.scene.path("");
        symlink("../outside", folder.join("inside/link")).expect("a link");
        fault
            .meanwhile(|host| {
                let inside = host.scene.path("inside");
                let begun = std::time::Instant::now();
                while begun.elapsed().as_secs() < 2 {
                    for (from, to) in [("way", "away"), ("link", "way"), ("way", "link"), ("away", "way")] {
                        std::fs::rename(inside.join(from), inside.join(to)).expect("a switch");
                    }
                }
            })
            .says("longer than timeout (2 s)")
            .afterwards(|ended| {
                let lines = ended.lines();
                let seen = lines.iter().filter(|line| *line == b"inside").count();
                assert!(seen > 0 && seen < lines.len(), "{seen} of {}", lines.len());
                let odd = lines.iter().find(|line| *line != b"inside" && !line.starts_with(b"errno "));
                // The last line may have been cut off with the guest.
                assert!(odd.is_none_or(|line| !line.starts_with(b"s")), "{odd:?}");
            })
    };
}
