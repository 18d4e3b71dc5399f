//! What happens to the host while guests misbehave: signals, reloads, stops, many inputs, log levels.

use std::time::{Duration, Instant};

use crate::fault::{Fault, Wrote, wait};
use crate::host::{self, Guest, Running};

const TERM: i32 = 15;
const INT: i32 = 2;
const HUP: i32 = 1;
const CONT: i32 = 18;
const STOP: i32 = 19;

/// Whether the host can reload.
pub fn reloads() -> bool {
    host::host_version() >= (2, 1, 0)
}

fn flood() -> Guest {
    Guest::new().raw("(loop $ever").numbered_blocks("line", 1000, 100).raw("(br $ever))")
}

/// A program that takes seconds to compile.
fn slow_to_compile() -> String {
    let functions: String = (0..3000)
        .map(|n| {
            let work =
                "(local.set 0 (i64.add (i64.mul (local.get 0) (i64.const 31)) (local.get 0)))".repeat(60);
            format!("(func $f{n} (export \"f{n}\") (param i64) (result i64) {work} (local.get 0))")
        })
        .collect();
    format!("(module {functions} (func (export \"_start\")))")
}

/// The host's threads of this name.
fn threads(host: &Running, name: &str) -> usize {
    let threads = std::fs::read_dir(format!("/proc/{}/task", host.pid())).expect("it runs");
    let names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|each| each.trim() == name).count()
}

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Five guests that each misbehave in another way, again and again.
fn rabble() -> Fault {
    let guests = [
        Guest::new().out("spins\n").spin(),
        flood(),
        Guest::new().out("sleeps\n").sleep_ms(3_600_000),
        Guest::new().out("traps\n").raw("(drop (i32.load (i32.const 0x7ffffff0)))"),
        Guest::new().out("overflows\n").raw("(drop (call $recurse (i32.const 0)))"),
    ];
    let fault =
        Fault::of_inputs().every_ms(50).option("mem_buf_limit", "50k").option("pipe_size", "50k").reloads();
    guests
        .iter()
        .enumerate()
        .fold(fault, |fault, (number, guest)| fault.input(&format!("guest{number}.wat"), guest.program()))
}

fn has(host: &Running, line: &str) -> bool {
    host.lines().iter().any(|seen| seen == line.as_bytes())
}

/// Sends signals to the rabble's host while all of them are at work.
fn signalled(signals: &'static [i32]) -> Fault {
    rabble().meanwhile(move |host| {
        for line in ["spins", "sleeps", "traps", "overflows"] {
            wait(host, line, |host| has(host, line));
        }
        for &signal in signals {
            if signal != HUP || reloads() {
                host.signal(signal);
            }
            if signal == HUP && reloads() {
                host.wait_for_log("[reload] start everything");
            }
            pause(300);
        }
    })
}

/// Up to 4.0, the host closes the timer of an input with an interval twice when it pauses it
/// (`flb_input_collector_pause`). Whatever another thread opens between the two is closed with it, and what the host
/// opens next may be closed in its place: of fifty reloads one may never end, since its timer is gone.
fn closes_timers_twice() -> bool {
    host::host_version() < (4, 1, 0)
}

/// So many inputs with the same guest.
fn inputs(count: usize, guest: &Guest) -> Fault {
    (0..count)
        .fold(Fault::of_inputs(), |fault, number| fault.input(&format!("guest{number}.wat"), guest.program()))
}

/// Runs a trapping guest at this level; tells whether it and the compilation were logged.
fn at_level(level: &'static str) -> Fault {
    Fault::guest(&Guest::new().err("words\n").out("before\n").raw("unreachable"))
        .option("log_level", level)
        .meanwhile(|host| {
            host.wait_for_lines(1);
            pause(300);
        })
        .wrote_lines(&["before"])
}

rows! {
    terminated_among_the_rabble => signalled(&[]);

    continued_among_the_rabble => signalled(&[CONT, CONT, CONT]);

    reloaded_among_the_rabble => signalled(&[HUP]).neighbour_may_pause().stops_within(15.0);

    continued_and_reloaded_and_continued_among_the_rabble => signalled(&[CONT, HUP, CONT])
        .neighbour_may_pause()
        .stops_within(15.0);

    interrupted_and_terminated_at_once => signalled(&[]).ends_by(&[INT, TERM]);

    terminated_twice => signalled(&[]).ends_by(&[TERM, TERM]);

    reloaded_fifty_times_under_load => Fault::guest(&flood())
        .reloads()
        .option("mem_buf_limit", "1M")
        .host_args(&["-f", "0.2"])
        .meanwhile(|host| {
            if !reloads() || closes_timers_twice() {
                return;
            }
            // Before it has its handlers, the signal would end it.
            host.wait_for_records(1);
            let started = |host: &Running| host.log().matches("[reload] start everything").count();
            for round in 1..=50 {
                // While it still reloads, it ignores the signal: then it gets another.
                while started(host) < round {
                    host.signal(HUP);
                    let sent = Instant::now();
                    while started(host) < round && sent.elapsed() < Duration::from_secs(3) {
                        assert!(host.is_alive(), "{}", host.log());
                        pause(20);
                    }
                }
                // Not always at the same point of its start.
                pause(30 * (round as u64 % 4));
            }
            let threads = std::fs::read_dir(format!("/proc/{}/task", host.pid())).expect("it runs").count();
            assert!(threads < 40, "{threads} threads");
        })
        .neighbour_may_pause()
        .stops_within(15.0);

    a_hundred_inputs => inputs(100, &Guest::new().numbered_lines("line", 100).sleep_ms(3_600_000))
        .option("oneshot", "on")
        .meanwhile(|host| {
            wait(host, "all lines", |host| host.lines().len() == 10_000);
        })
        .wrote(Wrote::Count(10_000));

    a_hundred_inputs_that_spin => inputs(100, &Guest::new().out("before\n").spin())
        .option("oneshot", "on")
        .meanwhile(|host| {
            wait(host, "all lines", |host| host.lines().len() == 100);
        })
        .wrote_lines(&["before"; 100]);

    a_run_that_ends_as_the_host_stops => {
        // Ten inputs with runs of some milliseconds, so that some of them are at every point of a run.
        inputs(10, &Guest::new().out("begin\n").sleep_ms(3).out("end\n"))
            .every_ms(5)
            .meanwhile(|host| pause(host_pid_dependent_ms(host)))
            .afterwards(|ended| {
                let lines = ended.lines();
                let count = |text: &str| lines.iter().filter(|line| *line == text.as_bytes()).count();
                let (begun, finished) = (count("begin"), count("end"));
                assert_eq!(begun + finished, lines.len());
                let open = ended.log.matches("Stopped the running guest after").count();
                assert!(begun >= finished && begun - finished <= open, "{begun} {finished} {open}");
                assert!(!ended.log.contains("Lost"), "{}", ended.log);
            })
            // Skipped starts are a detail: they are neither worth a warning nor hide one.
            .never_says("Left out")
    };

    a_program_still_being_compiled_as_the_host_stops => Fault::program("guest.wat", slow_to_compile())
        .meanwhile(|host| host.wait_for_log("Compiling \""))
        .stops_within(6.0);

    // The load that is going on is waited for; there is no second one beside it.
    reloaded_while_a_program_is_compiled => Fault::program("guest.wat", slow_to_compile())
        .reloads()
        .option("oneshot", "on")
        .meanwhile(|host| {
            host.wait_for_log("Compiling \"");
            if !reloads() {
                return;
            }
            host.signal(HUP);
            host.wait_for_log("which is being loaded already");
            // Whether it still is after these depends on the machine; that it is loaded once does not.
            for _ in 0..2 {
                std::thread::sleep(Duration::from_millis(1500));
                host.signal(HUP);
                assert!(threads(host, "exec_wasi-load") <= 1, "{}", host.log());
            }
            std::thread::sleep(Duration::from_millis(1500));
            assert_eq!(host.log().matches("Compiling \"").count(), 1, "{}", host.log());
        })
        .neighbour_may_pause()
        .stops_within(15.0);

    stopped_for_a_second_and_continued => signalled(&[STOP, CONT, STOP, CONT]).neighbour_may_pause();

    two_hundred_inputs => inputs(200, &Guest::new().numbered_lines("line", 50).sleep_ms(3_600_000))
        .option("oneshot", "on")
        .meanwhile(|host| wait(host, "all lines", |host| host.lines().len() == 10_000))
        .wrote(Wrote::Count(10_000));

    the_least_of_log_levels => at_level("off").never_says("The guest trapped").never_says("words");

    errors_only => at_level("error").says("The guest trapped").never_says("Guest stderr");

    warnings => at_level("warn").says("The guest trapped").never_says("Guest stderr");

    information => at_level("info").says("The guest trapped").says("Guest stderr: words");

    details => at_level("debug").says("The guest trapped").says("Guest stderr: words");

    everything => at_level("trace").says("The guest trapped").says("Guest stderr: words");

    // ---- logs that a guest would fill ----

    a_thousand_noisy_runs_a_second => Fault::guest(
        &Guest::new().repeat(20, |guest| guest.err("noise\n")).err("last words"),
    )
    .every_ms(1)
    .meanwhile(|_| pause(3000))
    .says("more lines of the guest's stderr: too many in one second")
    .afterwards(|ended| quiet(&ended.log));

    a_thousand_runs_with_long_lines_a_second => Fault::guest(&Guest::new().out("x".repeat(100)).out("\n"))
        .every_ms(1)
        .option("buf_size", "10")
        .option("long_lines", "drop")
        .meanwhile(|_| pause(3000))
        .says("longer than buf_size")
        .afterwards(|ended| quiet(&ended.log));

    a_thousand_equal_failures_a_second => Fault::guest(&Guest::new().raw("unreachable"))
        .every_ms(1)
        .meanwhile(|_| pause(3000))
        .says("The guest trapped")
        .afterwards(|ended| assert_eq!(ended.log.matches("trapped").count(), 1));

    a_thousand_different_failures_a_second => Fault::guest(
        // Another code each time: the clock's last digits.
        &Guest::new()
            .import("clock_time_get", "i32 i64 i32")
            .raw("(drop (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 800)))
                  (call $proc_exit (i32.rem_u (i32.load (i32.const 800)) (i32.const 100)))"),
    )
    .every_ms(1)
    .meanwhile(|_| pause(3000))
    .says("The guest exited with code")
    .afterwards(|ended| quiet(&ended.log));
}

rows_also_threaded! {
    a_flood_while_the_output_is_down => Fault::guest(&flood())
        .option("mem_buf_limit", "1M")
        .option("pipe_size", "1M")
        .host_args(&["-f", "60"])
        .meanwhile(|host| {
            host.wait_for_log("exec_wasi.1 paused (mem buf overlimit");
            pause(2000);
            let resident = host.memory_kilobytes("VmRSS:");
            assert!(resident < 150_000, "{resident} kB");
        })
        .neighbour_may_be_silent()
        .wrote(Wrote::Numbered("line"));
}

/// A few log lines a second, over the three seconds and a little that such a row takes.
#[track_caller]
fn quiet(log: &str) {
    let lines = log.lines().filter(|line| line.contains("[input:exec_wasi:")).count();
    assert!(lines < 200, "{lines} lines:\n{}", &log[..log.len().min(5000)]);
}

/// A pause that is another one in each run of the tests.
fn host_pid_dependent_ms(host: &Running) -> u64 {
    1000 + u64::from(host.pid().unsigned_abs() % 50)
}
