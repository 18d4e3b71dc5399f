//! What a guest wrote is delivered, completely and in order, while the engine never waits for it.

mod host;

use std::time::{Duration, Instant};

use host::{Guest, ONCE, Scene, neighbours_largest_gap};

/// Largest gap in the neighbour's ten records a second that doesn't count as a stall.
const STALL: f64 = 0.25;

#[track_caller]
fn assert_numbered(lines: &[Vec<u8>], prefix: &str, count: usize) {
    assert_eq!(lines.len(), count);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line, format!("{prefix} {number:08}").as_bytes());
    }
}

#[test]
fn a_line_is_out_while_the_guest_still_sleeps() {
    let guest = Guest::new().repeat(50, |guest| guest.out("tick\n").sleep_ms(100)).sleep_ms(3_600_000);
    let mut host = Scene::new().guest(&guest, &[ONCE]).start();
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let mut seen = 0;
    let mut latest = 0f64;
    let begun = Instant::now();
    while seen < 50 {
        let records = host.records();
        // Not there at the look before, there now: its age is at most this.
        latest = records[seen..].iter().map(|record| now() - record.time).fold(latest, f64::max);
        seen = records.len();
        assert!(begun.elapsed() < host::PATIENCE && host.is_alive(), "{}", host.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    // `flush 1` and a little.
    assert!(latest < 1.2, "the latest line was out after {latest} s");
}

#[test]
fn a_million_lines_arrive_complete_and_in_order() {
    let prefix = "some text of a usual length, ";
    for guest in [
        Guest::new().numbered_blocks(prefix, 1_000_000, 1000),
        Guest::new().numbered_lines(prefix, 1_000_000),
    ] {
        let mut host = Scene::new().guest(&guest, &[ONCE]).neighbour().start();
        host.wait_until("a million lines", |host| {
            file_len(host) > 60_000_000 && host.lines().len() == 1_000_000
        });
        let ended = host.stop();
        ended.assert_clean();
        assert_numbered(&ended.lines(), prefix, 1_000_000);
        assert!(!ended.log.contains("Lost"), "{}", ended.log);
    }
}

fn file_len(host: &host::Running) -> u64 {
    std::fs::metadata(host.scene.path("records")).map_or(0, |file| file.len())
}

#[test]
fn a_paused_input_loses_nothing() {
    let guest = Guest::new().numbered_blocks("line", 100_000, 100);
    let mut host =
        Scene::new().guest(&guest, &[ONCE, ("mem_buf_limit", "100k")]).after(&["-f", "0.2"]).start();
    // Each flush makes room for one more append of up to pipe_size.
    host.wait_until("all lines", |host| host.lines().len() >= 100_000);
    host.wait_for_log("pausing exec_wasi.0");
    let ended = host.stop();
    assert_numbered(&ended.assert_clean().lines(), "line", 100_000);
}

#[test]
fn neither_a_guest_that_computes_for_ever_nor_one_that_floods_stalls_the_engine() {
    for guest in [
        Guest::new().out("spinning\n").spin(),
        Guest::new().raw("(loop $flood").numbered_lines("flood", 1000).raw("(br $flood))"),
        Guest::new().raw("(loop $flood").out("x".repeat(60_000)).raw("(br $flood))"),
        Guest::new().sleep_ms(3_600_000),
    ] {
        let mut host = Scene::new().guest(&guest, &[("mem_buf_limit", "5M")]).neighbour().start();
        let messages = |host: &host::Running| {
            let heard = host.records().iter().filter(|record| record.bytes("message").is_some()).count();
            heard >= 40
        };
        host.wait_until("the neighbour", messages);
        let ended = host.stop();
        ended.assert_clean();
        let gap = neighbours_largest_gap(&ended.records);
        assert!(gap < STALL, "the neighbour stood still for {gap} s");
        assert!(ended.took < Duration::from_secs(6), "the host took {:?} to stop", ended.took);
    }
}

#[test]
fn a_guest_waits_when_the_pipe_is_full() {
    // Without a bound this guest would fill the memory while the engine takes nothing.
    let guest = Guest::new().raw("(loop $flood").out("x".repeat(60_000)).out("\n").raw("(br $flood))");
    let options = [("mem_buf_limit", "100k"), ("pipe_size", "200k"), ("log_level", "info")];
    let mut host = Scene::new().guest(&guest, &options).after(&["-f", "20"]).start();
    host.wait_for_log("pausing exec_wasi.0");
    std::thread::sleep(Duration::from_secs(2));
    let kilobytes = host.memory_kilobytes("VmRSS:");
    assert!(kilobytes < 120_000, "{kilobytes} kB resident");
    host.stop().assert_clean();
}

#[test]
fn what_a_guest_had_written_when_the_host_stops_is_handed_over() {
    let guest = Guest::new().numbered_lines("line", 1000).out("half a line").sleep_ms(3_600_000);
    let mut host = Scene::new().guest(&guest, &[ONCE]).after(&["-f", "1"]).start();
    host.wait_until("some lines", |host| !host.records().is_empty());
    let ended = host.stop();
    ended.assert_clean().assert_logged("Stopped the running guest after");
    let lines = ended.lines();
    assert_numbered(&lines[..1000], "line", 1000);
    assert_eq!(lines[1000], b"half a line");
    assert!(!ended.log.contains("Lost"), "{}", ended.log);
}
