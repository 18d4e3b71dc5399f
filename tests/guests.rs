//! How a guest runs: what it is given, how its end is told, and what a changed file does.

mod host;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use host::{Guest, ONCE, Scene, run_until_logged, text};

#[test]
fn by_default_a_guest_has_its_name_and_nothing_else() {
    let guest = Guest::new().print_args_and_env().cat_stdin().probe_first_preopen().out("end\n");
    let mut host = Scene::new().guest(&guest, &[ONCE]).start();
    // 8 is EBADF: no directory.
    assert_eq!(text(&host.wait_for_lines(3)), ["guest0.wat", "errno 08", "end"]);
}

#[test]
fn arguments_and_environment_arrive_as_given() {
    let guest = Guest::new().print_args_and_env().out("end\n");
    let options = [
        ONCE,
        ("args", r#"--name "two words" 'a"b'"#),
        ("env", "TOKEN=a=b,c"),
        ("env", "EMPTY="),
        ("inherit_env", "EXEC_WASI_TEST_SEEN, EXEC_WASI_TEST_MISSING"),
    ];
    let scene = Scene::new().env("EXEC_WASI_TEST_SEEN", "yes").env("EXEC_WASI_TEST_HIDDEN", "no");
    let mut host = scene.guest(&guest, &options).start();
    let lines = host.wait_for_lines(8);
    let expected = [
        "guest0.wat",
        "--name",
        "two words",
        "a\"b",
        "EXEC_WASI_TEST_SEEN=yes",
        "TOKEN=a=b,c",
        "EMPTY=",
        "end",
    ];
    assert_eq!(text(&lines), expected);
}

#[test]
fn the_monotonic_clock_is_the_machines() {
    if host::as_async_components() {
        eprintln!("skipped: these guests have no clock to read");
        return;
    }
    // A machine that runs a test has been up for a second. 1 is the monotonic clock.
    let call = "(call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 600))";
    let guest = Guest::new()
        .import("clock_time_get", "i32 i64 i32")
        .raw(&format!("(drop {call})"))
        .raw("(call $errno (i64.lt_u (i64.load (i32.const 600)) (i64.const 1000000000)))");
    let mut host = Scene::new().guest(&guest, &[ONCE]).start();
    assert_eq!(text(&host.wait_for_lines(1)), ["errno 00"]);
}

#[test]
fn a_function_that_nobody_has_is_missed_only_where_it_is_called() {
    let call = "(call $abort (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";
    for (code, calls) in [("", false), (call, true)] {
        let program = format!(
            r#"(module
                (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
                (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
                (memory (export "memory") 1)
                (data (i32.const 0) "\10\00\00\00\07\00\00\00")
                (data (i32.const 16) "before\n")
                (func $gives_up {code})
                (func (export "_start")
                    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                    (call $gives_up)))"#
        );
        let scene = Scene::new();
        let file = scene.file("guest.wat", program);
        let options = [("wasi_path", file.as_str()), ("interval_sec", "0"), ("interval_nsec", "10000000")];
        let mut host = scene.input("exec_wasi", &options).start();
        host.wait_for_lines(2);
        let ended = host.stop();
        let missing = ended.log.matches("will trap where it calls one: env::abort (1 in all).").count();
        assert_eq!(missing, 1, "{}", ended.log);
        assert_eq!(
            ended.log.contains("The guest trapped: it called env::abort, which is not there; in gives_up <"),
            calls,
            "{}",
            ended.log
        );
    }
}

#[test]
fn secrets_come_from_a_file_that_not_everyone_may_read() {
    let scene = Scene::new();
    let file = scene.file("secrets", "# of the test\nTOKEN=secret\n");
    let restrict = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    restrict(0o644);
    let guest = Guest::new().print_args_and_env();
    let mut host = scene.guest(&guest, &[("env_file", &file), ("env", "REGION=eu")]).start();
    host.wait_for_log("is open to all users (mode 0644)");
    restrict(0o600);
    let lines = text(&host.wait_for_lines(3));
    assert_eq!(lines[..3], ["guest0.wat", "TOKEN=secret", "REGION=eu"]);
    assert!(!host.stop().log.contains("secret\n"));
}

#[test]
fn the_same_variable_comes_from_env_before_its_file_before_the_hosts_environment() {
    let scene = Scene::new().env("EXEC_WASI_A", "host").env("EXEC_WASI_B", "host").env("EXEC_WASI_C", "host");
    let file = scene.file("variables", "EXEC_WASI_A=file\nEXEC_WASI_B=file\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let options = [
        ONCE,
        ("env", "EXEC_WASI_A=env"),
        ("env_file", file.as_str()),
        ("inherit_env", "EXEC_WASI_A, EXEC_WASI_B, EXEC_WASI_C"),
    ];
    let guest = Guest::new().print_args_and_env().out("end\n");
    let mut host = scene.guest(&guest, &options).start();
    host.wait_until("the end", |host| host.lines().last().is_some_and(|line| line == b"end"));
    let mut lines = text(&host.lines());
    lines.sort_unstable();
    assert_eq!(lines, ["EXEC_WASI_A=env", "EXEC_WASI_B=file", "EXEC_WASI_C=host", "end", "guest0.wat"]);
}

#[test]
fn a_state_dir_outlasts_the_run_and_is_not_shared() {
    let scene = Scene::new();
    let path = scene.path("state/of/input").display().to_string();
    // 44 is ENOENT; the second run sees what the first one left.
    let guest = Guest::new().cat(3, "cursor").create(3, "cursor", "42\n");
    let options = [("state_dir", path.as_str())];
    let mut host = scene.guest(&guest, &options).guest(&guest, &options).start();
    host.wait_for_log("is used by another input; give each its own");
    assert_eq!(text(&host.wait_for_lines(3))[..3], ["errno 44", "42", "42"]);
    assert_eq!(fs::read_to_string(host.scene.path("state/of/input/cursor")).unwrap(), "42\n");
}

#[test]
fn directories_are_mapped_and_read_only_ones_stay_as_they_are() {
    let scene = Scene::new();
    scene.file("outside", "secret\n");
    scene.file("data/in", "content\n");
    std::os::unix::fs::symlink(scene.path("outside"), scene.path("data/link")).unwrap();
    fs::create_dir(scene.path("out")).unwrap();
    let paths = format!("{}::/data:ro, {}", scene.path("data").display(), scene.path("out").display());
    let guest = Guest::new()
        .cat(3, "in")
        .create(3, "new", "x")
        .cat(3, "../outside")
        .cat(3, "link")
        .create(4, "made", "by the guest")
        .out("end\n");
    let mut host = scene.guest(&guest, &[ONCE, ("accessible_paths", &paths)]).start();
    let lines = text(&host.wait_for_lines(5));
    // 69 is EROFS, 76 is ENOTCAPABLE, 63 is EPERM: the world outside is out of reach, whatever the error.
    assert_eq!(lines[0], "content");
    assert!(
        lines[1].starts_with("errno") && lines[2].starts_with("errno") && lines[3].starts_with("errno"),
        "{lines:?}"
    );
    assert_eq!(lines[4], "end");
    assert_eq!(fs::read_to_string(host.scene.path("out/made")).unwrap(), "by the guest");
    assert!(!host.scene.path("data/new").exists());
}

#[test]
fn a_directory_that_is_not_there_is_said_and_the_guest_starts_once_it_is() {
    let scene = Scene::new();
    let path = scene.path("later").display().to_string();
    let guest = Guest::new().out("ran\n");
    let mut host = scene.guest(&guest, &[("accessible_paths", &path)]).start();
    host.wait_for_log(&format!("The guest can't start: accessible_paths \"{path}\" can't be opened"));
    fs::create_dir(&path).unwrap();
    host.wait_for_lines(1);
    host.wait_for_log("The guest runs again, after");
}

#[test]
fn an_exit_code_is_not_a_failure_of_the_input() {
    let guest = |code| Guest::new().out("before\n").exit(code).out("never\n");
    let exited = |code: u32| {
        // To a component of WASI 0.2 there is success and failure, and 0.3 has a byte.
        let seen = match code {
            _ if host::as_components() => 1,
            _ if host::as_async_components() => code.min(255),
            _ => code,
        };
        format!("[ warn] [input:exec_wasi:exec_wasi.0] The guest exited with code {seen}.")
    };
    let lines = run_until_logged(&guest(3), &[], &exited(3));
    assert_eq!(lines, ["before"]);
    for code in [1, 125, 126, 255, 256, u32::MAX] {
        run_until_logged(&guest(code), &[], &exited(code));
    }
    let mut host = Scene::new().guest(&guest(0), &[ONCE]).start();
    host.wait_for_lines(1);
    let ended = host.stop();
    assert!(!ended.log.contains("exited"), "{}", ended.log);
}

#[test]
fn every_kind_of_trap_is_told_with_where_it_was_and_keeps_what_came_before() {
    for (code, reason) in [
        ("unreachable", "wasm `unreachable` instruction executed"),
        ("(drop (i32.load (i32.const 0x7ffffff0)))", "out of bounds memory access"),
        ("(drop (i32.div_u (i32.const 1) (i32.load (i32.const 900))))", "integer divide by zero"),
        (
            "(drop (i32.div_s (i32.const 0x80000000) (i32.sub (i32.load (i32.const 900)) (i32.const 1))))",
            "integer overflow",
        ),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", "invalid conversion to integer"),
        ("(drop (call $recurse (i32.const 0)))", "call stack exhausted; it had reached wasm_stack_size"),
        ("(call_indirect (type $nothing) (i32.const 1))", "uninitialized element"),
        ("(call_indirect (type $nothing) (i32.const 100))", "undefined element"),
    ] {
        let guest = Guest::new().out("before\npart").raw(code);
        let lines = run_until_logged(&guest, &[], "The guest trapped: ");
        assert_eq!(lines, ["before", "part"], "{code}");
        let mut host = Scene::new().guest(&guest, &[ONCE]).start();
        host.wait_for_log(&format!(
            "[error] [input:exec_wasi:exec_wasi.0] The guest trapped: wasm trap: {reason}"
        ));
        host.wait_for_log(if code.contains("recurse") {
            "in guest!recurse (50 times)."
        } else {
            "in guest!start"
        });
        host.stop().assert_clean();
    }
}

#[test]
fn a_guest_that_takes_too_long_is_stopped_whatever_it_does() {
    let message = "The guest was stopped: this run took longer than timeout (1 s).";
    let guest = Guest::new().out("before\n").spin();
    assert_eq!(run_until_logged(&guest, &[("timeout", "1")], message), ["before"]);
    let guest = Guest::new().out("before\n").sleep_ms(3_600_000).out("never\n");
    assert_eq!(run_until_logged(&guest, &[("timeout", "1s")], message), ["before"]);
}

#[test]
fn a_guest_gets_no_more_memory_than_its_limit() {
    // Grows until it is refused, then traps as allocators do.
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    let guest = Guest::new().out("before\n").raw(grow);
    let message = "it had reached memory_limit (10000000 bytes)";
    assert_eq!(run_until_logged(&guest, &[("memory_limit", "10M")], message), ["before"]);
    let fits = Guest::new()
        .raw("(if (i32.eq (memory.grow (i32.const 140)) (i32.const -1)) (then unreachable))")
        .out("fits\n");
    let mut host = Scene::new().guest(&fits, &[ONCE, ("memory_limit", "10M")]).start();
    host.wait_for_lines(1);
    let guest = "(module (memory 200) (func (export \"_start\")))";
    let scene = Scene::new();
    let path = scene.file("big.wat", guest);
    let mut host = scene.input("exec_wasi", &[("wasi_path", &path), ("memory_limit", "10M")]).start();
    host.wait_for_log("The guest can't start: it needs more than memory_limit (10000000 bytes) allows.");
}

#[test]
fn a_guest_runs_at_its_interval_and_never_twice_at_a_time() {
    let guest = Guest::new().out("run\n");
    let mut host =
        Scene::new().guest(&guest, &[("interval_sec", "0"), ("interval_nsec", "200000000")]).start();
    host.wait_for_lines(6);
    let times: Vec<f64> = host.records().iter().map(|record| record.time).collect();
    // Those at the ends may be late: the program is compiled, and the machine may be busy.
    let apart = (times[5] - times[1]) / 4.0;
    assert!((0.15..0.5).contains(&apart), "{apart}");

    let guest = Guest::new().out("begin\n").sleep_ms(500).out("end\n");
    let mut host =
        Scene::new().guest(&guest, &[("interval_sec", "0"), ("interval_nsec", "100000000")]).start();
    let lines = text(&host.wait_for_lines(6));
    assert_eq!(lines[..6], ["begin", "end", "begin", "end", "begin", "end"]);
}

#[test]
fn starts_a_millisecond_apart_are_not_missed() {
    let options = [("interval_sec", "0"), ("interval_nsec", "1000000")];
    let mut host = Scene::new().guest(&Guest::new().out("run\n"), &options).start();
    // A busy machine misses some, but hardly at any time.
    host.wait_until("fifty starts in a row", |host| {
        let records = host.records();
        records.windows(50).any(|window| window[49].time - window[0].time < 0.060)
    });
    host.stop().assert_clean();
}

#[test]
fn a_file_that_changes_is_picked_up_and_one_that_breaks_is_said_once_and_heals() {
    let scene = Scene::new();
    let program = scene.file("guest.wat", Guest::new().out("old\n").wat());
    let options = [("wasi_path", program.as_str()), ("interval_sec", "0"), ("interval_nsec", "50000000")];
    let mut host = scene.input("exec_wasi", &options).start();
    let has = |host: &host::Running, line: &[u8]| host.lines().iter().any(|seen| seen == line);
    host.wait_until("old", |host| has(host, b"old"));

    host.scene.replace("guest.wat", Guest::new().out("new\n").wat());
    host.wait_until("new", |host| has(host, b"new"));

    fs::remove_file(&program).unwrap();
    host.wait_for_log("guest.wat\": No such file or directory");
    host.scene.replace("guest.wat", "garbage");
    host.wait_for_log("guest.wat\": it is no WebAssembly");
    std::thread::sleep(std::time::Duration::from_millis(500));
    host.scene.replace("guest.wat", Guest::new().out("healed\n").wat());
    host.wait_until("healed", |host| has(host, b"healed"));
    host.wait_for_log("The guest runs again, after");
    let ended = host.stop();
    ended.assert_clean();
    for once in ["No such file", "no WebAssembly", "runs again"] {
        assert_eq!(ended.log.matches(once).count(), 1, "{once}:\n{}", ended.log);
    }
}

#[test]
fn a_program_that_is_not_there_or_no_program_costs_one_line_and_not_the_start() {
    let scene = Scene::new();
    let folder = scene.path("").display().to_string();
    let empty = scene.file("empty.wasm", "");
    let component = scene.file("component.wasm", b"\0asm\x0d\0\x01\0");
    let library = scene.file("library.wat", "(module)");
    let secret = scene.file("secret.wasm", "x");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o0)).unwrap();
    let mut host = scene
        .input("exec_wasi", &[("wasi_path", "/no/such/file.wasm")])
        .input("exec_wasi", &[("wasi_path", &folder)])
        .input("exec_wasi", &[("wasi_path", &empty)])
        .input("exec_wasi", &[("wasi_path", &component)])
        .input("exec_wasi", &[("wasi_path", &library)])
        .neighbour()
        .start();
    for reason in [
        "Can't run wasi_path \"/no/such/file.wasm\": No such file or directory",
        "\": it is a directory",
        "\": the file is empty",
        "\": it is a component but no command: it exports nothing, not wasi:cli/run",
        "\": it has no function \"_start\"",
    ] {
        host.wait_for_log(reason);
    }
    host.wait_for_records(5);
    host.stop().assert_clean();
}
