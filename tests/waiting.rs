//! An input whose guest runs rarely takes next to nothing meanwhile.

mod host;

use std::time::Duration;

use host::{Guest, Running, Scene, text};

const EVERY_HOUR: [(&str, &str); 1] = [("interval_sec", "3600")];
/// The shortest interval that is waited for without a thread.
const EVERY_5_S: [(&str, &str); 1] = [("interval_sec", "5")];

fn has_thread(host: &Running, name: &str) -> bool {
    host.our_threads().iter().any(|thread| thread == name)
}

#[test]
fn it_has_no_thread_until_its_guest_is_due() {
    let mut host = Scene::new().guest(&Guest::new().out("line\n"), &EVERY_5_S).neighbour().start();
    for run in 1..=3 {
        host.wait_for_lines(run);
        host.wait_until("no thread", |host| !has_thread(host, "exec_wasi.0"));
    }
    let ended = host.stop();
    ended.assert_clean();
    assert_eq!(text(&ended.lines()), ["line"; 3]);
}

#[test]
fn all_that_wait_share_a_thread_and_stop_at_once() {
    let guest = Guest::new().out("line\n");
    let mut scene = Scene::new();
    for _ in 0..20 {
        scene = scene.guest(&guest, &EVERY_HOUR);
    }
    let mut host = scene.start();
    host.wait_for_lines(20);
    host.wait_until("two threads", |host| {
        let mut threads = host.our_threads();
        threads.sort_unstable();
        threads == ["exec_wasi-epoch", "exec_wasi-wait"]
    });
    let ended = host.stop();
    ended.assert_clean();
    assert!(ended.took < Duration::from_secs(6), "the host took {:?} to stop", ended.took);
    assert_eq!(ended.lines().len(), 20);
}

#[test]
fn short_runs_wake_nobody_but_their_own_thread() {
    let mut host = Scene::new().guest(&Guest::new().out("line\n"), &[("interval_sec", "1")]).start();
    host.wait_for_lines(2);
    let before = host.waits_of("exec_wasi-epoch");
    assert!(before > 0, "it waits for guests that take long");
    host.wait_for_lines(6);
    let waits = host.waits_of("exec_wasi-epoch") - before;
    // A few, should the machine be so busy that a run takes longer than a tick.
    assert!(waits < 20, "woken {waits} times in four runs");
    host.stop().assert_clean();
}

#[test]
fn a_run_wakes_its_thread_once() {
    let options = [("interval_sec", "0"), ("interval_nsec", "100000000")];
    let mut host = Scene::new().guest(&Guest::new().out("line\n"), &options).start();
    host.wait_for_lines(5);
    let mut before = host.waits_of("exec_wasi.0");
    // It may have to wait for somebody as well, where much else is going on; but hardly at any time.
    host.wait_until("ten starts", |host| {
        std::thread::sleep(Duration::from_secs(1));
        let now = host.waits_of("exec_wasi.0");
        let waits = now - std::mem::replace(&mut before, now);
        (5..15).contains(&waits)
    });
    host.stop().assert_clean();
}

#[test]
fn one_that_fails_is_looked_after_all_the_same() {
    let scene = Scene::new();
    let path = scene.file("guest.wasm", "no program");
    let options = [("wasi_path", path.as_str()), ("interval_sec", "3600")];
    let mut host = scene.input("exec_wasi", &options).start();
    host.wait_for_log("no WebAssembly");
    host.wait_until("no thread", |host| !has_thread(host, "exec_wasi.0"));
    // It is there a second too late for its start, and the next one is an hour away.
    std::fs::write(&path, Guest::new().out("line\n").wat()).expect("the file can be replaced");
    host.wait_for_lines(1);
    host.stop().assert_clean();
}

#[test]
fn what_it_had_still_to_tell_is_told_at_the_end() {
    let guest = Guest::new().out("four\nfour\nfour\n");
    let options = [EVERY_5_S[0], ("buf_size", "3"), ("long_lines", "drop")];
    let mut host = Scene::new().guest(&guest, &options).start();
    host.wait_for_log("longer than buf_size");
    host.wait_until("no thread", |host| !has_thread(host, "exec_wasi.0"));
    let told = |log: &str| -> u64 {
        // "12 bytes"
        let words: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("longer than buf_size"))
            .flat_map(str::split_whitespace)
            .collect();
        words
            .windows(2)
            .filter(|pair| pair[1].starts_with("bytes"))
            .filter_map(|pair| pair[0].parse::<u64>().ok())
            .sum()
    };
    let ended = host.stop();
    assert_eq!(told(&ended.log), 12, "{}", ended.log);
}
