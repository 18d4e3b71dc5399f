//! The library fits the host it finds itself in, takes the built-in's name, and refuses what it can't serve.

mod host;

use std::process::Command;

use host::{Guest, ONCE, Scene};

#[test]
fn a_panic_in_any_callback_costs_a_log_line_and_not_the_host() {
    if std::env::var_os("EXEC_WASI_SO").is_some() {
        eprintln!("skipped: only the library of a debug build panics on purpose");
        return;
    }
    let callbacks = ["cb_pre_run", "cb_collect", "cb_pause", "cb_resume", "cb_exit"];
    for callback in callbacks {
        // So much that the engine pauses and resumes it.
        let guest = Guest::new().out("line\n".repeat(1000));
        let options = [("interval_sec", "0"), ("interval_nsec", "2000000"), ("mem_buf_limit", "10k")];
        let scene = Scene::new().env("EXEC_WASI_PANIC_IN", callback).guest(&guest, &options);
        let mut host = scene.neighbour().start();
        // The neighbour is heard all the time.
        host.wait_until("the neighbour", |host| {
            host.records().iter().filter(|record| record.bytes("message").is_some()).count() >= 15
        });
        let ended = host.stop();
        assert!(ended.status.success(), "{callback}: {:?}\n{}", ended.status, ended.log);
        ended.assert_logged(&format!("[exec_wasi] {callback} panicked: on purpose (at "));
    }
    // A start that panics is a start that fails.
    let guest = Guest::new().out("line\n");
    let scene = Scene::new().env("EXEC_WASI_PANIC_IN", "cb_init").guest(&guest, &[]);
    let ended = scene.start().wait();
    assert!(!ended.status.success());
    ended.assert_logged("[exec_wasi] cb_init panicked: on purpose (at ");
}

#[test]
fn the_host_shows_our_name_and_options() {
    let scene = Scene::new();
    let library = scene.path("flb-in_exec_wasi.so").display().to_string();
    let help = |args: &[&str]| {
        let output = Command::new(host::host_program()).args(["-e", &library]).args(args).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let list = help(&["-h"]);
    assert!(
        list.contains("exec_wasi") && list.contains("each line of output is a record (wasmtime)"),
        "{list}"
    );
    let options = help(&["-i", "exec_wasi", "-h"]);
    for spec in flb_in_exec_wasi::config::OPTIONS {
        assert!(options.contains(spec.name), "{} is missing in:\n{options}", spec.name);
    }
}

#[test]
fn the_built_in_steps_aside_and_still_answers_to_its_new_name() {
    let mut host = Scene::new().guest(&Guest::new().out("ours\n"), &[ONCE]).neighbour().start();
    assert_eq!(host.wait_for_lines(1), [b"ours"]);
    host.stop().assert_clean();
    if !host::has_builtin() {
        return;
    }
    let scene = Scene::new();
    let program = scene.file("guest.wasm", wat::parse_str(Guest::new().out("its\n").wat()).unwrap());
    let scene = scene.guest(&Guest::new().out("ours\n"), &[ONCE]);
    let mut host = scene.input("exec_wamr", &[("wasi_path", &program)]).start();
    if host::real_host().is_some() {
        host.wait_until("both", |host| {
            ["ours", "its"].iter().all(|line| host.lines().iter().any(|seen| seen == line.as_bytes()))
        });
    } else {
        // The stand-in's makes no records.
        host.wait_for_log("[input:exec_wamr:exec_wamr.1] this built-in is imitated");
    }
    host.stop().assert_clean();
}

#[test]
fn under_its_other_file_name_the_library_is_wasi_and_touches_nothing() {
    let scene = Scene::new();
    std::fs::remove_file(scene.path("flb-in_exec_wasi.so")).unwrap();
    let other = scene.path("flb-in_wasi.so");
    std::fs::copy(host::library(), &other).unwrap();
    let program = scene.file("guest.wat", Guest::new().out("ours\n").wat());
    let mut command = Command::new(host::host_program());
    command.arg("-e").arg(&other).args(["-i", "wasi", "-p"]).arg(format!("wasi_path={program}"));
    command.args(["-p", "oneshot=on", "-o", "file", "-p", "format=msgpack", "-p", "file=records", "-p"]);
    command.arg(format!("path={}", scene.path("").display())).args(["-m", "*", "-f", "1"]);
    let mut host = scene.start_command(command);
    assert_eq!(host.wait_for_lines(1), [b"ours"]);
    host.stop().assert_clean();
}

#[test]
fn under_a_name_that_the_host_does_not_know_the_library_touches_nothing_and_says_why() {
    let Some(program) = host::real_host() else {
        eprintln!("skipped: the stand-in has a word for such names itself");
        return;
    };
    let scene = Scene::new();
    let library = scene.library_as("libflb_in_exec_wasi.so");
    let guest = scene.file("guest.wasm", Guest::new().out("its\n").program());
    let mut command = Command::new(program);
    command.args(["-e", &library, "-i", "exec_wasi", "-p"]).arg(format!("wasi_path={guest}"));
    command.args(["-o", "null", "-m", "*"]);
    let host = scene.start_command(command);
    // The built-in is what it always is; without it there is nobody of that name.
    let ended = if host::has_builtin() {
        std::thread::sleep(std::time::Duration::from_secs(2));
        host.stop()
    } else {
        host.wait()
    };
    assert_eq!(ended.status.success(), host::has_builtin(), "{}", ended.log);
    ended.assert_logged("The plugin's file is named \"libflb_in_exec_wasi.so\"");
    ended.assert_logged("name it flb-in_exec_wasi.so.");
}

#[test]
fn the_built_in_keeps_its_name_when_the_operator_says_so() {
    let scene = Scene::new().env("EXEC_WASI_KEEP_BUILTIN", "1");
    let program = scene.file("guest.wat", Guest::new().out("ours\n").wat());
    let builtin = host::has_builtin();
    // Where there is none, there is nothing to keep.
    let name = if builtin { "wasi" } else { "exec_wasi" };
    let mut host = scene.input(name, &[("wasi_path", &program), ONCE]).start();
    assert_eq!(host.wait_for_lines(1), [b"ours"]);
    let ended = host.stop();
    let said = "The built-in exec_wasi keeps its name (EXEC_WASI_KEEP_BUILTIN=1 says so)";
    assert_eq!(ended.log.contains(said), builtin, "{}", ended.log);
}

#[test]
fn a_missing_or_bad_option_stops_the_start_and_says_what_is_allowed() {
    let program = Scene::new().file("guest.wat", Guest::new().wat());
    let program = ("wasi_path", program.as_str());
    for (options, message) in [
        (vec![], "option \"wasi_path\" is not set: it names the WebAssembly program to run"),
        (
            vec![program, ("timeout", "soon")],
            "option \"timeout\" can't be \"soon\": a time such as 30, 30s, 5m, 1h or 1d is needed.",
        ),
        (
            vec![program, ("format", "xml")],
            "option \"format\" can't be \"xml\": allowed are \"text\", \"json\".",
        ),
        (
            vec![program, ("parser", "none")],
            "option \"parser\" can't be \"none\": the host has no parser of that name",
        ),
    ] {
        let ended = Scene::new().input("exec_wasi", &options).start().wait();
        assert!(!ended.status.success());
        ended.assert_logged(&format!("[error] [input:exec_wasi:exec_wasi.0] {message}"));
    }
    let ended = Scene::new().input("exec_wasi", &[program, ("memory", "1M")]).start().wait();
    assert!(!ended.status.success());
    ended.assert_logged("memory");
}

#[test]
fn loading_into_a_process_that_is_no_fluent_bit_does_no_harm() {
    let script = "import ctypes, sys; ctypes.CDLL(sys.argv[1]); print('fine')";
    let Ok(output) = Command::new("python3").args(["-c", script]).arg(host::library()).output() else {
        eprintln!("skipped: there is no python3 to load the library into");
        return;
    };
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "fine\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn two_copies_of_the_library_do_not_disturb_each_other() {
    let scene = Scene::new();
    let other = scene.path("flb-in_wasi.so");
    std::fs::copy(host::library(), &other).unwrap();
    let program = scene.file("guest.wat", Guest::new().out("ours\n").wat());
    let options = [("wasi_path", program.as_str()), ONCE];
    let other = other.display().to_string();
    let mut host = scene.before(&["-e", &other]).input("exec_wasi", &options).input("wasi", &options).start();
    assert_eq!(host.wait_for_lines(2), [b"ours", b"ours"]);
    host.stop().assert_clean();
}

#[test]
fn loaded_twice_it_says_so() {
    let scene = Scene::new();
    let again = scene.path("flb-in_exec_wasi.so").display().to_string();
    let program = scene.file("guest.wat", Guest::new().wat());
    let ended = scene.before(&["-e", &again]).input("exec_wasi", &[("wasi_path", &program)]).start().wait();
    assert!(!ended.status.success());
    ended.assert_logged("if your configuration sets it, this plugin is loaded twice");
}
