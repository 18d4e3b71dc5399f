//! Every limit of a run, obeyed and violated: what came before is kept, and the log names the option.

mod host;

use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, Instant};

use host::{Guest, ONCE, Scene, run_until_logged, text};

const EVERY_50_MS: [(&str, &str); 2] = [("interval_sec", "0"), ("interval_nsec", "50000000")];

#[test]
fn fuel_ends_a_run_that_computes_too_much() {
    let guest = Guest::new().out("before\n").spin();
    let message = "The guest was stopped: this run reached fuel (1000000).";
    assert_eq!(run_until_logged(&guest, &[("fuel", "1M")], message), ["before"]);
    let little = Guest::new().numbered_lines("line", 100);
    let mut host = Scene::new().guest(&little, &[ONCE, ("fuel", "1M")]).start();
    host.wait_for_lines(100);
    assert!(!host.stop().log.contains("fuel"));
}

#[test]
fn output_limit_ends_a_run_that_writes_too_much_and_keeps_what_it_may() {
    let message = "The guest was stopped: this run reached output_limit (1000).";
    let lines = Guest::new().numbered_lines("line", 1000);
    // A line has 14 bytes.
    let kept = run_until_logged(&lines, &[("output_limit", "1000")], message);
    assert_eq!((kept.len(), kept[70].as_str(), kept[71].as_str()), (72, "line 00000070", "line 0"));

    let both = Guest::new().out("x".repeat(900)).err("y".repeat(200)).out("never\n");
    let kept = run_until_logged(&both, &[("output_limit", "1000"), ("stderr", "discard")], message);
    assert_eq!(kept, ["x".repeat(900)]);

    // Each run has it anew, and may use all of it.
    let fits = Guest::new().out("x".repeat(999)).out("\n");
    let options = [EVERY_50_MS[0], EVERY_50_MS[1], ("output_limit", "1000")];
    let mut host = Scene::new().guest(&fits, &options).start();
    host.wait_for_lines(3);
    assert!(!host.stop().log.contains("output_limit"));
}

#[test]
fn a_guest_has_only_so_many_files_open() {
    let scene = Scene::new();
    let data = scene.path("data").display().to_string();
    scene.file("data/in", "content\n");
    // `cat` never closes what it opens; 33 is EMFILE.
    let guest = Guest::new().repeat(12, |guest| guest.cat(3, "in"));
    let options = [ONCE, ("accessible_paths", &data), ("open_files_limit", "10")];
    let mut host = scene.guest(&guest, &options).start();
    let lines = text(&host.wait_for_lines(12));
    assert_eq!(lines[..10], ["content"; 10]);
    assert_eq!(lines[10..], ["errno 33"; 2]);
    host.wait_for_log("refused more open files than open_files_limit (10)");
    assert_eq!(host.stop().log.matches("open_files_limit").count(), 1);
}

#[test]
fn a_host_with_little_address_space_runs_guests_all_the_same() {
    let guest = Guest::new().numbered_lines("line", 100);
    let scene = Scene::new().guest(&guest, &[ONCE]);
    let plain = scene.command();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -v 3000000 && exec \"$0\" \"$@\""]);
    limited.arg(plain.get_program()).args(plain.get_args());
    limited.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
    limited.current_dir(plain.get_current_dir().expect("the scene's folder"));
    let mut host = scene.start_command(limited);
    host.wait_for_lines(100);
    host.stop().assert_clean();
}

#[test]
fn closing_a_file_makes_room_for_the_next() {
    let scene = Scene::new();
    let data = scene.path("data").display().to_string();
    scene.file("data/in", "content\n");
    let close = "(drop (call $fd_close (i32.load (i32.const 500))))";
    let guest = Guest::new().repeat(500, |guest| guest.cat(3, "in").raw(close));
    let options = [ONCE, ("accessible_paths", &data), ("open_files_limit", "1")];
    let mut host = scene.guest(&guest, &options).start();
    assert_eq!(text(&host.wait_for_lines(500)), ["content"; 500]);
}

#[test]
fn a_file_access_that_takes_for_ever_ends_with_the_timeout() {
    let scene = Scene::new();
    let data = scene.path("data").display().to_string();
    scene.file("data/in", "content\n");
    let made = Command::new("mkfifo").arg(scene.path("data/pipe")).status().expect("mkfifo can be run");
    assert!(made.success());
    let guest = Guest::new().cat(3, "in").cat(3, "pipe").out("never\n");
    let options = [("accessible_paths", data.as_str()), ("timeout", "1")];
    let mut host = scene.guest(&guest, &options).neighbour().start();
    host.wait_for_log("The guest was stopped: this run took longer than timeout (1 s).");
    // Not only once: what is stuck does not stand in the way of the next run.
    host.wait_for_lines(2);
    let ended = host.stop();
    ended.assert_clean();
    assert!(ended.took < Duration::from_secs(8), "{:?}", ended.took);
}

#[test]
fn an_input_whose_file_access_hangs_waits_until_it_no_longer_does() {
    let scene = Scene::new();
    let data = scene.path("data").display().to_string();
    scene.file("data/other", "");
    let pipe = scene.path("data/pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo can be run").success());
    let guest = Guest::new().cat(3, "pipe").out("no more\n");
    let options = [
        ("accessible_paths", data.as_str()),
        ("timeout", "1"),
        ("interval_sec", "0"),
        ("interval_nsec", "1000000"),
        ("backoff_max", "1"),
    ];
    let (other, mut host) = (scene.path("data/other"), scene.guest(&guest, &options).start());
    host.wait_for_log(
        "The guest can't be started: its file access or look-ups of names in earlier runs hang",
    );
    let threads = host.our_threads().iter().filter(|name| *name == "exec_wasi-file").count();
    assert!((1..=4).contains(&threads), "{:?}", host.our_threads());
    // Whoever waits for a writer has had one, and the next one finds a file.
    drop(File::options().write(true).open(&pipe).expect("it has readers"));
    fs::rename(other, &pipe).expect("it is there");
    assert_eq!(host.wait_for_lines(5)[4], b"no more");
    host.stop().assert_clean();
}

#[test]
fn a_single_call_that_writes_for_minutes_ends_with_the_timeout() {
    let scene = Scene::new();
    // Four thousand million lines of standard error, all the same 64 MiB.
    let program = scene.file(
        "guest.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1100)
            (func (export "_start") (local $at i32)
                (memory.fill (i32.const 65536) (i32.const 10) (i32.const 0x4000000))
                (loop $vectors
                    (i32.store (local.get $at) (i32.const 65536))
                    (i32.store offset=4 (local.get $at) (i32.const 0x4000000))
                    (local.set $at (i32.add (local.get $at) (i32.const 8)))
                    (br_if $vectors (i32.lt_u (local.get $at) (i32.const 504))))
                (drop (call $write (i32.const 2) (i32.const 0) (i32.const 63) (i32.const 60000)))))"#,
    );
    let options = [("wasi_path", program.as_str()), ("timeout", "1")];
    let mut host = scene.input("exec_wasi", &options).neighbour().start();
    host.wait_for_log("The guest was stopped: this run took longer than timeout (1 s).");
    let ended = host.stop();
    ended.assert_clean();
    assert!(ended.took < Duration::from_secs(8), "{:?}", ended.took);
}

#[test]
fn a_guest_that_keeps_failing_is_started_less_often_until_its_file_changes() {
    let scene = Scene::new();
    let program = scene.file("guest.wat", Guest::new().out("run\n").raw("unreachable").wat());
    let options = [("wasi_path", program.as_str()), EVERY_50_MS[0], EVERY_50_MS[1], ("backoff_max", "1h")];
    let mut host = scene.input("exec_wasi", &options).start();
    host.wait_for_lines(1);
    std::thread::sleep(Duration::from_secs(3));
    // Starts at 0, 50, 150, 350, 750, 1550, 3150 ms; sixty without holding back.
    let runs = host.lines().len();
    assert!((4..10).contains(&runs), "{runs}");

    // By now the next start is far off, but for the new file.
    let replaced = Instant::now();
    host.scene.replace("guest.wat", Guest::new().out("good\n").wat());
    host.wait_until("good", |host| host.lines().iter().filter(|line| *line == b"good").count() >= 3);
    assert!(replaced.elapsed() < Duration::from_secs(10));
    let ended = host.stop();
    assert_eq!(ended.log.matches("unreachable").count(), 1, "{}", ended.log);
    ended.assert_logged("The guest runs again, after");
}

#[test]
fn the_only_run_may_end_the_host_with_its_exit_code() {
    let exit = ("exit_after_oneshot", "true");
    let propagate = ("propagate_exit_code", "true");
    let out = || Guest::new().numbered_lines("line", 1000);
    for (guest, options, status) in [
        (out(), vec![exit], 0),
        (out().exit(7), vec![exit], 0),
        (out().exit(7), vec![exit, propagate], 7),
        (out().exit(256), vec![exit, propagate], 255),
        (out().raw("unreachable"), vec![exit, propagate], 134),
        (out().spin(), vec![exit, propagate, ("timeout", "1")], 124),
    ] {
        let ended = Scene::new().guest(&guest, &options).start().wait();
        assert_eq!(ended.status.code(), Some(status), "{options:?}\n{}", ended.log);
        assert_eq!(ended.lines().len(), 1000, "{options:?}");
        ended.assert_logged(&format!("stopping the host with exit code {status}"));
    }
    let options = [("wasi_path", "/no/such/file"), exit, propagate];
    let ended = Scene::new().input("exec_wasi", &options).start().wait();
    assert_eq!(ended.status.code(), Some(126), "{}", ended.log);
}

#[test]
fn of_several_runs_that_may_end_the_host_the_first_to_end_gives_the_exit_code() {
    let ends = [("exit_after_oneshot", "true"), ("propagate_exit_code", "true")];
    let first = Guest::new().sleep_ms(500).out("first\n").exit(3);
    let second = Guest::new().out("second\n").sleep_ms(3_600_000).exit(4);
    let ended = Scene::new().guest(&second, &ends).guest(&first, &ends).start().wait();
    assert_eq!(ended.status.code(), Some(3), "{}", ended.log);
    // What the other had written by then is kept.
    let mut lines = host::text(&ended.lines());
    lines.sort_unstable();
    assert_eq!(lines, ["first", "second"]);

    // Also if all end before the host has got round to stop.
    let mut scene = Scene::new();
    for _ in 0..10 {
        scene = scene.guest(&Guest::new().exit(3), &ends).guest(&Guest::new().exit(4), &ends);
    }
    let ended = scene.start().wait();
    assert_eq!(ended.log.matches("stopping the host with exit code").count(), 1, "{}", ended.log);
    let code = ended.status.code().expect("it exits");
    ended.assert_logged(&format!("stopping the host with exit code {code}"));
}

#[test]
fn open_listings_keep_no_component_from_its_files() {
    let scene = Scene::new();
    for number in 0..10 {
        scene.file(&format!("data/{number}"), "");
    }
    let grant = format!("{}::/data", scene.path("data").display());
    let program = scene.file("guest.wat", include_str!("host/listings.wat"));
    let options = [
        ("wasi_path", program.as_str()),
        ("accessible_paths", &grant),
        ("timeout", "20"),
        ("exit_after_oneshot", "true"),
        ("propagate_exit_code", "true"),
    ];
    let ended = scene.input("exec_wasi", &options).start().wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
}

#[test]
fn no_guest_floods_the_log_however_short_its_runs_are() {
    let chatty = Guest::new().err("noise\n").out("run\n");
    let options = [("interval_sec", "0"), ("interval_nsec", "1000000")];
    let mut host = Scene::new().guest(&chatty, &options).start();
    let begun = Instant::now();
    host.wait_for_lines(500);
    let seconds = begun.elapsed().as_secs_f64().ceil() + 1.0;
    let ended = host.stop();
    let lines = ended.log.matches("Guest stderr: noise").count() as f64;
    assert!(lines <= 20.0 * seconds, "{lines} lines in {seconds} s");
    ended.assert_logged("more lines of the guest's stderr");

    // Long lines are told of now and then, not in every run.
    let long = Guest::new().out("x".repeat(100)).out("\n");
    let options = [("interval_sec", "0"), ("interval_nsec", "1000000"), ("buf_size", "10")];
    let mut host = Scene::new().guest(&long, &options).start();
    host.wait_for_lines(5000);
    let ended = host.stop();
    let reports = ended.log.matches("longer than buf_size").count();
    assert!((1..=2).contains(&reports), "{reports}");
}
