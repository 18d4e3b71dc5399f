//! Hot reload and the host's signals leave host and plugin whole.

mod host;

use host::{Guest, ONCE, Scene};

fn reloads() -> bool {
    let has_it = host::host_version() >= (2, 1, 0);
    if !has_it {
        eprintln!("skipped: Fluent Bit 2.0 has no hot reload");
    }
    has_it
}

#[test]
fn a_guests_thread_gives_way_to_the_hosts() {
    let guest = Guest::new().out("line\n").spin();
    let mut host = Scene::new().guest(&guest, &[]).neighbour().start();
    host.wait_for_lines(1);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", host.pid())).expect("the host runs");
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let nice: Vec<(String, i32)> = stats
        .map(|stat| {
            // The name is in parentheses and may have anything in it; nice is the 19th field.
            let (head, rest) = stat.rsplit_once(") ").expect("a name");
            let name = head.split_once('(').expect("a name").1.to_owned();
            (name, rest.split(' ').nth(16).expect("nice").parse().expect("a number"))
        })
        .collect();
    let of = |name: &str| nice.iter().find(|(task, _)| task.starts_with(name)).expect("a thread").1;
    assert_eq!(of("exec_wasi.0"), of("flb-pipeline") + 10, "{nice:?}");
    assert_eq!(of("exec_wasi-epoch"), of("flb-pipeline"), "{nice:?}");
}

/// Descriptors of the kinds that we open. (Some hosts lose pipes of their own at every reload.)
fn open_descriptors(host: &host::Running) -> usize {
    let all = std::fs::read_dir(format!("/proc/{}/fd", host.pid())).expect("the host runs");
    let targets = all.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    let ours =
        targets.filter(|to| to.ends_with("anon_inode:[eventfd]") || to.ends_with("anon_inode:[timerfd]"));
    ours.count()
}

#[test]
fn a_reload_starts_the_guest_anew_any_number_of_times() {
    if !reloads() {
        return;
    }
    let guest = Guest::new().out("started\n").sleep_ms(3_600_000);
    let mut host = Scene::new().before(&["-Y"]).guest(&guest, &[ONCE]).start();
    host.wait_for_lines(1);
    let mut descriptors = 0;
    for round in 2..=6 {
        host.signal(1);
        host.wait_for_lines(round);
        host.wait_until("one guest", |host| {
            host.our_threads().iter().filter(|name| *name == "exec_wasi.0").count() == 1
        });
        if round == 3 {
            descriptors = open_descriptors(&host);
        }
    }
    assert!(open_descriptors(&host) <= descriptors + 2, "descriptors are not left behind");
    let ended = host.stop();
    ended.assert_clean();
    assert_eq!(ended.log.matches("Stopped the running guest after").count(), 6, "{}", ended.log);
}

#[test]
fn no_thread_of_ours_is_left_when_a_single_run_is_over() {
    let mut host = Scene::new().guest(&Guest::new().out("x\n"), &[ONCE]).start();
    host.wait_for_lines(1);
    host.wait_until("no thread", |host| host.our_threads().is_empty());
    host.stop().assert_clean();
}

#[test]
fn after_the_hosts_signals_a_trap_still_costs_only_a_log_line() {
    // The host installs its own handlers for faults on these signals (from 2.1).
    for code in [
        "unreachable",
        "(drop (i32.load (i32.const 0x7ffffff0)))",
        "(drop (i32.div_u (i32.const 1) (i32.load (i32.const 900))))",
        "(drop (call $recurse (i32.const 0)))",
    ] {
        let guest = Guest::new().out("before\n").raw(code);
        let fast = [("interval_sec", "0"), ("interval_nsec", "50000000"), ("backoff_max", "1")];
        let reload: &[&str] = if reloads() { &["-Y"] } else { &[] };
        let mut host = Scene::new().before(reload).guest(&guest, &fast).start();
        host.wait_for_lines(2);
        host.signal(18);
        let seen = host.lines().len();
        host.wait_for_lines(seen + 5);
        if reloads() {
            host.signal(1);
            host.wait_for_log("[reload] start everything");
            let seen = host.lines().len();
            host.wait_for_lines(seen + 5);
        }
        assert!(host.is_alive(), "{code}:\n{}", host.log());
        host.stop().assert_clean();
    }
}
