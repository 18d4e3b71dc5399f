//! What only a real Fluent Bit can show: its configuration files, storage, metrics, threads, network
//! outputs, and the built-in under its new name. Without `FLUENT_BIT` these tests say that they are skipped.

mod host;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use host::{Guest, ONCE, PATIENCE, Record, Running, Scene, host_version, real_host};

fn is_real() -> bool {
    let real = real_host().is_some();
    if !real {
        eprintln!("skipped: FLUENT_BIT names no real host");
    }
    real
}

/// A port of this machine that is free now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number").port()
}

/// Starts Fluent Bit with a configuration file; `{folder}` and `{library}` in it are filled in.
fn start_with(scene: Scene, file: &str, config: &str) -> Running {
    let folder = scene.path("").display().to_string();
    let library = scene.path("flb-in_exec_wasi.so").display().to_string();
    let config = config.replace("{folder}", &folder).replace("{library}", &library);
    let config = scene.file(file, config);
    let mut command = Command::new(host::host_program());
    command.args(["-c", &config]).current_dir(&folder);
    scene.start_command(command)
}

/// The same for a classic file, which can't name us; the command line does.
fn start_loaded(scene: Scene, config: &str) -> Running {
    let library = scene.path("flb-in_exec_wasi.so").display().to_string();
    let folder = scene.path("").display().to_string();
    let config = scene.file("fluent-bit.conf", config.replace("{folder}", &folder));
    let mut command = Command::new(host::host_program());
    command.args(["-e", &library, "-c", &config]);
    scene.start_command(command)
}

/// Runs a guest once, with the forward protocol's output to this port of this machine, which tries for ever.
fn start_with_forward(guest: &Guest, options: &[(&str, &str)], port: u16) -> Running {
    let scene = Scene::new();
    let mut command = Command::new(host::host_program());
    command.arg("-e").arg(scene.path("flb-in_exec_wasi.so")).args(["-i", "exec_wasi"]);
    let program = scene.file("guest.wat", guest.wat());
    for (key, value) in [&[("wasi_path", program.as_str()), ONCE], options].concat() {
        command.arg("-p").arg(format!("{key}={value}"));
    }
    command.args(["-o", "forward", "-p", "host=127.0.0.1", "-p", &format!("port={port}")]);
    command.args(["-p", "retry_limit=no_limits", "-m", "*", "-f", "0.2"]);
    scene.start_command(command)
}

const OUTPUT: &str = "
[OUTPUT]
    Name file
    Match *
    path {folder}
    file records
    format msgpack
";

#[test]
fn a_plugins_file_loads_us() {
    if !is_real() {
        return;
    }
    let scene = Scene::new();
    scene.file("guest.wat", Guest::new().out("ours\n").wat());
    scene.file(
        "plugins.conf",
        format!("[PLUGINS]\n    Path {}\n", scene.path("flb-in_exec_wasi.so").display()),
    );
    let config = format!(
        "[SERVICE]\n    flush 1\n    plugins_file plugins.conf\n\
         [INPUT]\n    Name exec_wasi\n    wasi_path {{folder}}/guest.wat\n    oneshot on\n{OUTPUT}"
    );
    let mut host = start_with(scene, "fluent-bit.conf", &config);
    assert_eq!(host.wait_for_lines(1), [b"ours"]);
    host.stop().assert_clean();
}

#[test]
fn yaml_loads_us_and_gives_a_list_of_variables() {
    if !is_real() || host_version() < (3, 2, 0) {
        return;
    }
    let scene = Scene::new();
    scene.file("guest.wat", Guest::new().print_args_and_env().wat());
    let config = "
service:
  flush: 1
plugins:
  - {library}
pipeline:
  inputs:
    - name: exec_wasi
      wasi_path: {folder}/guest.wat
      oneshot: true
      args: one 'two three'
      env:
        - A=1
        - B=2,3
  outputs:
    - name: file
      match: '*'
      path: {folder}
      file: records
      format: msgpack
";
    let mut host = start_with(scene, "fluent-bit.yaml", config);
    assert_eq!(host.wait_for_lines(5), [&b"guest.wat"[..], b"one", b"two three", b"A=1", b"B=2,3"]);
    host.stop().assert_clean();
}

#[test]
fn the_built_in_answers_to_exec_wamr_beside_ours() {
    if !is_real() || !host::has_builtin() {
        return;
    }
    let scene = Scene::new();
    // The built-in reads binaries only, and up to 4.0.2 nothing of a program that calls proc_exit.
    let binary = wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\10\00\00\00\08\00\00\00") (data (i32.const 16) "theirs!\n")
            (func (export "_start")
              (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    );
    let program = scene.file("theirs.wasm", binary.expect("a module"));
    let folder = scene.path("").display().to_string();
    let options = [("wasi_path", program.as_str()), ("accessible_paths", folder.as_str())];
    let mut host = scene.input("exec_wamr", &options).guest(&Guest::new().out("ours\n"), &[ONCE]).start();
    let has = |host: &Running, line: &[u8]| host.lines().iter().any(|seen| seen == line);
    host.wait_until("both", |host| has(host, b"ours") && has(host, b"theirs!"));
    host.stop().assert_clean();
}

#[test]
fn a_threaded_input_delivers_everything_and_stops_in_time() {
    if !is_real() {
        return;
    }
    let guest = Guest::new().numbered_blocks("line", 200_000, 100).sleep_ms(3_600_000);
    let mut host = Scene::new().guest(&guest, &[ONCE, ("threaded", "on")]).neighbour().start();
    host.wait_until("all lines", |host| host.lines().len() == 200_000);
    let ended = host.stop();
    ended.assert_clean().assert_logged("Stopped the running guest after");
    let lines = ended.lines();
    assert!(lines.iter().enumerate().all(|(n, line)| *line == format!("line {n:08}").into_bytes()));
    assert!(ended.took < Duration::from_secs(6), "{:?}", ended.took);
}

#[test]
fn a_threaded_input_that_ends_the_host_waits_until_the_engine_has_its_records() {
    // A few, which the engine would read a moment too late; and more than it takes at a time.
    for (lines, options) in [(10, &[][..]), (20_000, &[("mem_buf_limit", "200k")][..])] {
        let mut all = vec![("threaded", "on"), ("exit_after_oneshot", "true")];
        all.extend(options);
        let guest = Guest::new().numbered_lines("some text of usual length", lines);
        let ended = Scene::new().guest(&guest, &all).start().wait();
        ended.assert_clean();
        assert_eq!(ended.lines().len(), lines as usize, "{}", ended.log);
    }
}

#[test]
fn what_a_threaded_input_has_lost_because_it_was_paused_at_the_stop_is_said() {
    if !is_real() {
        return;
    }
    let guest = Guest::new().numbered_lines("some text of usual length", 20_000);
    // Nobody listens there, so nothing is ever taken off the input.
    let mut host = start_with_forward(&guest, &[("threaded", "on"), ("mem_buf_limit", "200k")], free_port());
    host.wait_for_log("overlimit");
    std::thread::sleep(Duration::from_secs(2));
    let ended = host.stop();
    let lost: usize = ended
        .log
        .lines()
        .filter(|line| {
            line.contains("records were lost: they had been handed over") || line.contains("Lost ")
        })
        .flat_map(|line| line.split_whitespace().find_map(|word| word.parse::<usize>().ok()))
        .sum();
    assert!(lost > 0 && lost < 20_000, "{lost}: {}", ended.log);
}

/// One batch is more than this storage may ever hold. (Fluent Bit 2.2 ends itself when it is offered such a one.)
#[test]
fn a_storage_smaller_than_a_batch_takes_it_in_pieces() {
    if !is_real() || host_version() < (4, 0, 0) {
        return;
    }
    let scene = Scene::new();
    let guest =
        Guest::new().numbered_blocks("record of some length, so that it is not too quick", 10_000, 100);
    scene.file("guest.wat", guest.wat());
    let config = format!(
        "[SERVICE]\n    flush 0.2\n    storage.path {{folder}}/storage\n\
         [INPUT]\n    Name exec_wasi\n    wasi_path {{folder}}/guest.wat\n    oneshot on\n    storage.type filesystem\n\
         {OUTPUT}    storage.total_limit_size 400K\n"
    );
    let mut host = start_loaded(scene, &config);
    host.wait_until("the last line", |host| {
        host.lines().last().is_some_and(|line| line.ends_with(b"00009999"))
    });
    host.stop().assert_clean();
}

/// How many lines an output of files has written so far, and how many different ones.
fn lines_of(host: &Running, file: &str) -> (usize, usize) {
    let written = std::fs::read_to_string(host.scene.path(file)).unwrap_or_default();
    let different: std::collections::HashSet<&str> = written.lines().collect();
    (written.lines().count(), different.len())
}

/// The engine makes an append for each route, and stops taking between two of them.
#[test]
fn routes_with_conditions_get_no_record_twice() {
    if !is_real() || host_version() < (5, 0, 0) {
        return;
    }
    let scene = Scene::new();
    scene.file("guest.wat", Guest::new().numbered_blocks("line", 8_000, 100).wat());
    let config = "
service: {flush: 0.2}
plugins: ['{library}']
pipeline:
  inputs:
    - name: exec_wasi
      tag: t
      mem_buf_limit: 100K
      wasi_path: '{folder}/guest.wat'
      oneshot: on
      routes:
        logs:
          - name: even
            condition: {op: and, rules: [{field: $wasi_stdout, op: regex, value: '[02468]$'}]}
            to: {outputs: [even]}
          - name: odd
            condition: {default: true}
            to: {outputs: [odd]}
  outputs:
    - {name: file, alias: even, path: '{folder}', file: even, format: plain}
    - {name: file, alias: odd, path: '{folder}', file: odd, format: plain}
";
    let mut host = start_with(scene, "fluent-bit.yaml", config);
    host.wait_for_log("records were lost on some routes");
    std::thread::sleep(Duration::from_secs(2));
    let (all, different) = lines_of(&host, "even");
    host.stop();
    assert!(all > 0 && different == all, "{all} records, {different} of them different");
}

/// The same where one route has no room, and so refuses without a pause.
#[test]
fn what_one_route_refuses_the_others_do_not_get_again_and_again() {
    if !is_real() || host_version() < (5, 0, 0) {
        return;
    }
    let scene = Scene::new();
    // One route has no room for any of these blocks, whenever they come.
    scene.file("guest.wat", Guest::new().numbered_blocks(&"x".repeat(200), 8_000, 100).wat());
    let config = "
service: {flush: 1, storage.path: '{folder}/storage'}
plugins: ['{library}']
pipeline:
  inputs:
    - name: exec_wasi
      tag: t
      storage.type: filesystem
      wasi_path: '{folder}/guest.wat'
      oneshot: on
      routes:
        logs:
          - name: one
            condition: {op: and, rules: [{field: $wasi_stdout, op: regex, value: 'x'}]}
            to: {outputs: [one]}
          - name: two
            condition: {op: and, rules: [{field: $wasi_stdout, op: regex, value: 'x'}]}
            to: {outputs: [two]}
  outputs:
    - {name: file, alias: one, path: '{folder}', file: one, format: plain}
    - {name: http, alias: two, host: 127.0.0.1, port: 1, retry_limit: no_limits, storage.total_limit_size: 1k}
";
    let mut host = start_with(scene, "fluent-bit.yaml", config);
    host.wait_for_log("records were lost on some routes");
    // More than three flushes.
    std::thread::sleep(Duration::from_secs(4));
    let (all, different) = lines_of(&host, "one");
    host.stop();
    // What was offered first, when nobody knew of the routes yet, it may have got twice.
    assert!(different == 8_000 && all <= 2 * different, "{all} records, {different} of them different");
}

#[test]
fn file_storage_that_pauses_its_input_loses_nothing() {
    if !is_real() {
        return;
    }
    let scene = Scene::new();
    scene.file("guest.wat", Guest::new().numbered_blocks("line", 200_000, 100).wat());
    let config = format!(
        "[SERVICE]\n    flush 0.3\n    storage.path {{folder}}/storage\n    storage.max_chunks_up 2\n\
         [INPUT]\n    Name exec_wasi\n    wasi_path {{folder}}/guest.wat\n    oneshot on\n    \
         storage.type filesystem\n    storage.pause_on_chunks_overlimit on\n{OUTPUT}"
    );
    let mut host = start_loaded(scene, &config);
    host.wait_until("all lines", |host| host.lines().len() >= 200_000);
    let ended = host.stop();
    let mut lines = ended.assert_clean().lines();
    // Chunks of a file storage may be flushed in another order than they were filled.
    lines.sort_unstable();
    assert_eq!(lines.len(), 200_000);
    assert!(lines.iter().enumerate().all(|(n, line)| *line == format!("line {n:08}").into_bytes()));
}

#[test]
fn the_guest_of_a_paused_input_stops_when_the_host_begins_to() {
    if !is_real() {
        return;
    }
    for threaded in ["off", "on"] {
        let scene = Scene::new();
        let guest = Guest::new().raw("(loop $ever").out("line\n").sleep_ms(50).raw("(br $ever))");
        scene.file("guest.wat", guest.wat());
        // Nobody takes the records, so the host waits for its time of grace.
        let config = format!(
            "[SERVICE]\n    flush 0.2\n    grace 8\n\
             [INPUT]\n    Name exec_wasi\n    wasi_path {{folder}}/guest.wat\n    oneshot on\n    \
             threaded {threaded}\n    mem_buf_limit 100\n\
             [OUTPUT]\n    Name tcp\n    Match *\n    host 127.0.0.1\n    port {}\n    \
             retry_limit no_limits\n",
            free_port()
        );
        let mut host = start_loaded(scene, &config);
        host.wait_for_log("exec_wasi.0 paused (mem buf overlimit");
        host.signal(15);
        let signalled = Instant::now();
        host.wait_for_log("service will shutdown in max 8 seconds");
        // The guest's thread is gone long before the host is.
        host.wait_until("no guest", |host| !host.our_threads().contains(&"exec_wasi.0".to_owned()));
        assert!(signalled.elapsed() < Duration::from_secs(4), "{:?}", signalled.elapsed());
        assert!(host.is_alive(), "it has not waited");
        host.wait().assert_logged("Stopped the running guest after");
    }
}

#[test]
fn the_counts_are_among_the_hosts_metrics() {
    if !is_real() {
        return;
    }
    let port = free_port();
    // 29 characters, of which 10 are kept; 100 lines of standard error, of which the log gets 20.
    let guest =
        Guest::new().out("a line of more than ten bytes\n").repeat(100, |guest| guest.err("noise\n")).exit(3);
    let port_text = port.to_string();
    let http = ["-H", "-P", &port_text];
    let options = [ONCE, ("buf_size", "10"), ("long_lines", "truncate")];
    let mut host = Scene::new().guest(&guest, &options).before(&http).start();
    host.wait_for_log("exited with code 3");
    let line_of = |name: &str, value: u32| {
        format!("fluentbit_input_exec_wasi_events_total{{name=\"exec_wasi.0\",event=\"{name}\"}} {value}")
    };
    // The host shows what it has collected up to a second before.
    let mut text = String::new();
    host.wait_until("the run to be counted", |_| {
        text = get(port, "/api/v2/metrics/prometheus");
        text.contains(&line_of("stderr_left_out_lines", 80))
    });
    for (name, value) in [
        ("runs", 1),
        ("failed_runs", 1),
        ("skipped_runs", 0),
        ("long_lines", 1),
        ("long_line_lost_bytes", 19),
        ("refused_connections", 0),
        ("unparsed_lines", 0),
        ("refused_appends", 0),
        ("lost_records", 0),
        ("stderr_left_out_lines", 80),
    ] {
        let line = line_of(name, value);
        assert!(text.contains(&line), "no {line} in:\n{text}");
    }
    host.stop().assert_clean();
}

fn get(port: u16, path: &str) -> String {
    let begun = Instant::now();
    loop {
        let answer = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            let mut bytes = Vec::new();
            // Some hosts leave the connection open all the same; then the time-out ends the answer.
            let ended = stream.read_to_end(&mut bytes);
            if bytes.is_empty() {
                ended?;
            }
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        });
        match answer {
            Ok(text) if text.contains("exec_wasi") => return text,
            answer => assert!(begun.elapsed() < PATIENCE, "{answer:?}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn reload_by_http_works_as_by_signal() {
    if !is_real() || host_version() < (2, 1, 0) {
        return;
    }
    let port = free_port();
    let port_text = port.to_string();
    let guest = Guest::new().out("started\n").sleep_ms(3_600_000);
    let mut host = Scene::new().guest(&guest, &[ONCE]).before(&["-Y", "-H", "-P", &port_text]).start();
    host.wait_for_lines(1);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the host listens");
    write!(stream, "POST /api/v2/reload HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").unwrap();
    host.wait_for_lines(2);
    host.stop().assert_clean();
}

#[test]
fn an_instances_log_level_holds() {
    if !is_real() {
        return;
    }
    let guest = Guest::new().err("words\n").out("line\n").exit(3);
    let mut host = Scene::new().guest(&guest, &[ONCE, ("log_level", "error")]).start();
    host.wait_for_lines(1);
    std::thread::sleep(Duration::from_millis(500));
    let ended = host.stop();
    assert!(!ended.log.contains("words") && !ended.log.contains("exited"), "{}", ended.log);
}

#[test]
fn an_output_that_is_down_for_five_seconds_costs_nothing() {
    if !is_real() {
        return;
    }
    let port = free_port();
    let guest = Guest::new().numbered_blocks("some text of usual length", 1_000_000, 1000);
    let mut host = start_with_forward(&guest, &[("mem_buf_limit", "5M")], port);
    std::thread::sleep(Duration::from_secs(5));
    let lines = receive_forward(&mut host, port, 1_000_000);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(*line, format!("some text of usual length {number:08}").into_bytes());
    }
    host.stop().assert_clean();
}

/// Starts a host with these arguments which can make no file larger than half a megabyte. To whoever writes one that is as
/// good as a full disk; and the signal that comes with it is none, as on a full disk.
fn start_on_a_full_disk(scene: Scene, arguments: &[&str]) -> Running {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\""]).arg(host::host_program());
    command.args(arguments);
    scene.start_command(command)
}

/// All lines come once the disk is free, which is soon: nothing but what is delivered fills it.
fn assert_nothing_is_lost(mut host: Running, port: u16) {
    host.wait_for_log("The engine did not take");
    let lines = receive_forward(&mut host, port, 50_000);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(*line, format!("some text of usual length {number:08}").into_bytes());
    }
    let ended = host.stop();
    ended.assert_clean();
    assert!(!ended.log.contains("lost"), "{}", ended.log);
}

#[test]
fn what_a_full_disk_refuses_waits_and_is_neither_lost_nor_doubled() {
    if !is_real() {
        return;
    }
    let (scene, port) = (Scene::new(), free_port().to_string());
    let guest = Guest::new().numbered_blocks("some text of usual length", 50_000, 500);
    let program = format!("wasi_path={}", scene.file("guest.wat", guest.wat()));
    let library = scene.path("flb-in_exec_wasi.so").display().to_string();
    let storage = scene.path("storage").display().to_string();
    let to = format!("port={port}");
    #[rustfmt::skip]
    let host = start_on_a_full_disk(scene, &[
        "-e", &library, "-b", &storage,
        "-i", "exec_wasi", "-p", "oneshot=on", "-p", "log_level=debug", "-p", "storage.type=filesystem", "-p", &program,
        "-o", "forward", "-p", "host=127.0.0.1", "-p", &to, "-p", "retry_limit=no_limits", "-m", "*", "-f", "0.5",
    ]);
    assert_nothing_is_lost(host, port.parse().expect("a port"));
}

#[test]
fn a_full_disk_loses_nothing_of_an_input_with_a_processor_either() {
    if !is_real() || host_version() < (4, 2, 0) {
        return;
    }
    let (scene, port) = (Scene::new(), free_port());
    // The processor drops some, so the host counts fewer than it is given.
    let guest = Guest::new().out("dropped\n".repeat(500));
    scene.file("guest.wat", guest.numbered_blocks("some text of usual length", 50_000, 500).wat());
    let config = "
service:
  flush: 0.5
  storage.path: {folder}/storage
plugins:
  - {library}
pipeline:
  inputs:
    - name: exec_wasi
      wasi_path: {folder}/guest.wat
      oneshot: true
      log_level: debug
      storage.type: filesystem
      processors:
        logs:
          - name: grep
            regex: wasi_stdout text
  outputs:
    - name: forward
      match: '*'
      host: 127.0.0.1
      port: {port}
      retry_limit: no_limits
";
    let folder = scene.path("").display().to_string();
    let library = scene.path("flb-in_exec_wasi.so").display().to_string();
    let config = config.replace("{folder}", &folder).replace("{library}", &library);
    let config = scene.file("fluent-bit.yaml", config.replace("{port}", &port.to_string()));
    let host = start_on_a_full_disk(scene, &["-c", &config]);
    assert_nothing_is_lost(host, port);
}

/// So many lines, as they come by the forward protocol at this port; sorted, as a retried chunk may overtake a younger
/// one.
fn receive_forward(host: &mut Running, port: u16, count: usize) -> Vec<Vec<u8>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is still free");
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let send = send.clone();
            std::thread::spawn(move || read_forward(stream.expect("a connection"), &send));
        }
    });
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let begun = Instant::now();
    // Until all are there, and then until no more come: none comes twice.
    loop {
        match receive.recv_timeout(Duration::from_secs(2)) {
            Ok(records) => {
                lines.extend(records.iter().map(|record: &Record| record.line().expect("a line").to_vec()));
            }
            Err(_) if lines.len() >= count => break,
            Err(_) => {}
        }
        assert!(begun.elapsed() < 8 * PATIENCE && host.is_alive(), "{} lines; {}", lines.len(), host.log());
    }
    lines.sort_unstable();
    assert_eq!(lines.len(), count);
    lines
}

/// The forward protocol, as far as Fluent Bit speaks it by default: `[tag, records, options]`.
fn read_forward(mut stream: TcpStream, send: &std::sync::mpsc::Sender<Vec<Record>>) {
    while let Ok(message) = rmpv::decode::read_value(&mut stream) {
        let parts = message.as_array().expect("a message is an array");
        let records = match &parts[1] {
            rmpv::Value::Binary(bytes) => host::records_of(bytes),
            rmpv::Value::String(text) => host::records_of(text.as_bytes()),
            rmpv::Value::Array(entries) => entries.iter().cloned().map(host::record_of).collect(),
            other => panic!("unexpected entries {other}"),
        };
        if send.send(records).is_err() {
            return;
        }
    }
}
