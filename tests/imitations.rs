//! Every layout generation, hosts that lack something, and hosts nobody knows: as the embedded host
//! imitates them. A real host is what it is, so with `FLUENT_BIT` these tests say that they are skipped.

mod host;

use host::{Guest, ONCE, Scene, real_host};

const KNOWN: &[&str] = &["2.0.3", "2.0.14", "2.2.3", "3.2.1", "4.2.8", "5.0.9", "5.1.1"];

fn is_embedded() -> bool {
    let embedded = real_host().is_none();
    if !embedded {
        eprintln!("skipped: FLUENT_BIT names a real host");
    }
    embedded
}

#[test]
fn every_generation_loads_runs_pauses_reloads_and_stops() {
    if !is_embedded() {
        return;
    }
    for version in KNOWN {
        let guest = Guest::new().numbered_blocks("line", 20_000, 100).sleep_ms(3_600_000);
        let options = [ONCE, ("mem_buf_limit", "100k"), ("env", "A=1"), ("env", "B=2")];
        let scene = Scene::new().before(&["--host", version, "-Y"]);
        let mut host = scene.guest(&guest, &options).after(&["-f", "0.1"]).start();
        host.wait_until("all lines", |host| host.lines().len() == 20_000);
        if !version.starts_with("2.0.") {
            host.signal(1);
            host.wait_until("all lines again", |host| host.lines().len() == 40_000);
        }
        let ended = host.stop();
        ended.assert_clean().assert_logged("pausing exec_wasi.0");
        assert!(!ended.log.contains("misuse"), "{version}:\n{}", ended.log);
    }
}

#[test]
fn an_unknown_layout_is_refused_with_one_line_and_the_built_in_goes_on() {
    if !is_embedded() {
        return;
    }
    let scene = Scene::new().before(&["--host", "unknown"]);
    let program = scene.file("guest.wat", Guest::new().out("ours\n").wat());
    let mut host = scene.input("exec_wasi", &[("wasi_path", &program)]).neighbour().start();
    host.wait_for_records(5);
    let ended = host.stop();
    ended.assert_clean().assert_logged("unsupported Fluent Bit: its input plugin struct has [248] bytes");
    assert_eq!(ended.log.matches("unsupported").count(), 1, "{}", ended.log);
    assert!(ended.lines().is_empty());
}

#[test]
fn what_a_host_lacks_switches_off_only_what_needs_it() {
    if !is_embedded() {
        return;
    }
    for missing in ["flb_input_log_append_records", "flb_input_get_cmt_instance", "cmt_counter_create"] {
        let guest = Guest::new().out("ours\n");
        let mut host = Scene::new().before(&["--without", missing]).guest(&guest, &[ONCE]).start();
        host.wait_for_lines(1);
        let ended = host.stop();
        ended.assert_clean();
        assert!(!ended.log.contains("misuse"), "{missing}:\n{}", ended.log);
    }
    let scene = Scene::new().before(&["--without", "flb_parser_do"]);
    let ended = scene.guest(&Guest::new(), &[("parser", "json")]).start().wait();
    assert!(!ended.status.success());
    ended.assert_logged("option \"parser\" can't be \"json\": this host's parsers can't be reached");
}

#[test]
fn a_host_without_a_function_we_need_is_refused_by_its_name() {
    if !is_embedded() {
        return;
    }
    let scene = Scene::new().before(&["--without", "flb_input_set_collector_event"]);
    let mut host = scene.neighbour().start();
    host.wait_for_records(3);
    host.stop().assert_clean().assert_logged("it has no function flb_input_set_collector_event");
}

#[test]
fn without_a_built_in_the_name_is_free_and_one_that_can_not_be_renamed_keeps_it() {
    if !is_embedded() {
        return;
    }
    let guest = Guest::new().out("ours\n");
    let mut host = Scene::new().before(&["--without-builtin"]).guest(&guest, &[ONCE]).start();
    host.wait_for_lines(1);
    host.stop().assert_clean();

    let scene = Scene::new().before(&["--shared-name"]);
    let program = scene.file("guest.wat", guest.wat());
    let mut host = scene.input("wasi", &[("wasi_path", &program), ONCE]).start();
    host.wait_for_lines(1);
    host.stop().assert_clean().assert_logged("use this plugin as \"Name wasi\"");
}
