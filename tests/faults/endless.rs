//! Guests that never end: each is stopped by `timeout`, or by the host's end.

use crate::fault::{Fault, Wrote};
use crate::host::Guest;

const STOPPED: &str = "The guest was stopped: this run took longer than timeout (1 s).";

/// A guest that begins with a line and then does this.
fn begun(code: &str) -> Guest {
    Guest::new().out("before\n").raw(code)
}

fn stopped(guest: &Guest) -> Fault {
    Fault::guest(guest).option("timeout", "1").says(STOPPED)
}

/// The same for what only WASI 0.1 can be asked; the adapter in a component would answer by itself.
fn stopped_module(guest: &Guest) -> Fault {
    Fault::module(guest).option("timeout", "1").says(STOPPED)
}

/// A `subscription` at address 32768 + 48 * `number`: clock 1, `seconds` from now, or `flags` 1: at that time.
fn subscription(number: u32, seconds: u64, flags: u32) -> String {
    let at = 32768 + 48 * number;
    format!(
        "(i32.store (i32.const {}) (i32.const 1))
         (i64.store (i32.const {}) (i64.mul (i64.const {seconds}) (i64.const 1000000000)))
         (i32.store (i32.const {}) (i32.const {flags}))",
        at + 16,
        at + 24,
        at + 40
    )
}

fn poll(events: i64, count: u32, written: i64) -> String {
    format!(
        "(drop (call $poll_oneoff (i32.const 32768) (i32.const {events}) (i32.const {count}) \
         (i32.const {written})))"
    )
}

/// One call that waits for so many clocks, each an hour away.
fn many_sleeps(count: u32) -> String {
    let end = 32768 + 48 * u64::from(count);
    format!(
        "(drop (memory.grow (i32.const 1500)))
         {}
         (global.set $at (i32.const 32816))
         (loop $more
           (memory.copy (global.get $at) (i32.const 32768) (i32.const 48))
           (global.set $at (i32.add (global.get $at) (i32.const 48)))
           (br_if $more (i32.lt_u (global.get $at) (i32.const {end}))))
         {}",
        subscription(0, HOUR, 0),
        poll(50_000_000, count, 300)
    )
}

const HOUR: u64 = 3600;

rows! {
    a_tail_call_to_itself => Fault::program(
        "guest.wat",
        "(module (func $ever (return_call $ever)) (func (export \"_start\") (return_call $ever)))",
    )
    .option("timeout", "1")
    .says(STOPPED);

    a_start_function_that_never_ends => Fault::program(
        "guest.wat",
        "(module (func $ever (loop $l (br $l))) (start $ever) (func (export \"_start\")))",
    )
    .option("timeout", "1")
    .says(STOPPED);

    calls_of_the_host_for_ever => stopped(
        &begun("(loop $ever (drop (call $sched_yield)) (br $ever))").import("sched_yield", ""),
    )
    .wrote_lines(&["before"]);

    writes_of_nothing_for_ever => stopped(&begun(
        "(loop $ever (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8))) (br $ever))",
    ))
    .wrote_lines(&["before"]);

    memory_filled_again_and_again => stopped(&begun(
        "(drop (memory.grow (i32.const 3000)))
         (loop $ever (memory.fill (i32.const 0) (i32.const 1) (i32.const 190000000)) (br $ever))",
    ))
    .wrote_lines(&["before"]);

    // ---- sleeps, in every form the interface has ----

    a_sleep_to_a_time_far_away => stopped(&begun(&format!(
        "{}{}",
        subscription(0, u64::MAX / 2_000_000_000, 1),
        poll(40000, 1, 300)
    )))
    .wrote_lines(&["before"]);

    a_sleep_on_two_clocks => stopped(&begun(&format!(
        "{}{}{}",
        subscription(0, HOUR, 0),
        subscription(1, HOUR, 0),
        poll(40000, 2, 300)
    )))
    .wrote_lines(&["before"]);

    a_sleep_whose_answer_has_no_place => stopped_module(&begun(&format!(
        "{}{}",
        subscription(0, HOUR, 0),
        poll(0x7fff_fff8, 1, 300)
    )))
    .wrote_lines(&["before"]);

    a_sleep_whose_answer_is_misaligned => stopped_module(&begun(&format!(
        "{}{}",
        subscription(0, HOUR, 0),
        poll(40001, 1, 300)
    )))
    .wrote_lines(&["before"]);

    a_sleep_whose_count_has_no_place => stopped_module(&begun(&format!(
        "{}{}",
        subscription(0, HOUR, 0),
        poll(40000, 1, 0x7fff_fffc)
    )))
    .wrote_lines(&["before"]);

    a_hundred_thousand_sleeps_at_once => stopped_module(&begun(&many_sleeps(100_000)))
        .option("memory_limit", "200M")
        .wrote_lines(&["before"]);

    a_million_sleeps_at_once => Fault::module(&begun(&many_sleeps(1_000_000)))
        .option("memory_limit", "200M")
        .wrote_lines(&["before"])
        .says("resource table has no free keys");

    a_hundred_thousand_questions_answered_at_once => Fault::module(
        &begun(&format!("(drop (memory.grow (i32.const 1500))) {}", poll(50_000_000, 100_000, 300))).exit(3),
    )
    .option("memory_limit", "200M")
    .wrote_lines(&["before"])
    .says("exited with code 3");
}

rows_also_threaded! {
    an_endless_loop_without_fuel => Fault::guest(&Guest::new().out("before\n").spin())
        .option("fuel", "1000000")
        .wrote_lines(&["before"])
        .says("fuel (1000000)");

    lines_without_end_up_to_the_limit => Fault::guest(
        &Guest::new().raw("(loop $ever").numbered_blocks("line", 1000, 100).raw("(br $ever))"),
    )
    .option("output_limit", "100k")
    .wrote(Wrote::Numbered("line"))
    .says("output_limit (100000)")
    .afterwards(|ended| {
        let bytes: usize = ended.lines().iter().map(|line| line.len() + 1).sum();
        // The last line was cut off.
        assert!((99_999..=100_001).contains(&bytes), "{bytes}");
    });

    an_endless_loop => stopped(&Guest::new().out("before\n").spin()).wrote_lines(&["before"]);

    a_sleep_without_end => stopped(&Guest::new().out("before\n").sleep_ms(3_600_000))
        .wrote_lines(&["before"]);

    standard_error_without_end => stopped(
        &Guest::new().out("before\n").raw("(loop $ever").err("noise\n").raw("(br $ever))"),
    )
    .wrote_lines(&["before"])
    .says("more lines of the guest's stderr: too many in one second");

    standard_error_without_end_and_without_a_newline => stopped(
        &Guest::new().out("before\n").raw("(loop $ever").err("n".repeat(60_000)).raw("(br $ever))"),
    )
    .wrote_lines(&["before"]);

    lines_without_end => stopped(
        &Guest::new().raw("(loop $ever").numbered_blocks("line", 1000, 100).raw("(br $ever))"),
    )
    .option("mem_buf_limit", "5M")
    .wrote(Wrote::Numbered("line"));

    lines_without_end_while_the_engine_takes_none => stopped(
        &Guest::new().raw("(loop $ever").numbered_blocks("line", 1000, 100).raw("(br $ever))"),
    )
    .option("mem_buf_limit", "500k")
    .host_args(&["-f", "5"])
    .wrote(Wrote::Numbered("line"));

    lines_until_the_host_stops => Fault::guest(
        &Guest::new().raw("(loop $ever").numbered_blocks("line", 1000, 100).raw("(br $ever))"),
    )
    .option("mem_buf_limit", "5M")
    .wrote(Wrote::Numbered("line"))
    .says_at_stop("Stopped the running guest after");
}
