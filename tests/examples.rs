//! Every example does what its README says: the commands there build it, and with its configuration it
//! gives the records in expected.jsonl. Those that speak to a server find one on loopback, at another port
//! than the 8080 of their configurations.
//!
//! Where a compiler is missing, that is said on standard error; with `EXAMPLES_REQUIRED` it is a failure.

mod host;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use host::server::{Server, ok};
use host::{PATIENCE, Running, Scene, host_version, real_host};

#[test]
fn c_gives_its_records() {
    gives_its_records("c");
}

#[test]
fn rust_gives_its_records() {
    gives_its_records("rust");
}

#[test]
fn go_gives_its_records() {
    gives_its_records("go");
}

#[test]
fn tinygo_gives_its_records() {
    gives_its_records("tinygo");
}

#[test]
fn zig_gives_its_records() {
    gives_its_records("zig");
}

#[test]
fn assemblyscript_gives_its_records() {
    gives_its_records("assemblyscript");
}

#[test]
fn c_polls_an_http_server() {
    polls_a_server("c-http", Feed::Lines);
}

#[test]
fn javascript_polls_an_http_server() {
    polls_a_server("javascript-http", Feed::List);
}

#[test]
fn python_polls_an_http_server() {
    polls_a_server("python-http", Feed::List);
}

#[test]
fn python_prints_lines_from_a_tcp_server() {
    let lines = fs::read(folder("python-tcp/feed/lines")).expect("lines");
    let server = Server::tcp(move |mut stream| stream.write_all(&lines).expect("the guest reads"));
    gives_its_records_from("python-tcp", Some(server.port), &[]);
}

/// Its server has two events at most for each request: the first ones behind those that were seen. So the
/// program has to ask twice, and to remember what it has seen.
fn polls_a_server(name: &str, feed: Feed) {
    let events = feed.events(name);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let server = Server::requests(move |head, stream| {
        log.lock().expect("no panic").push(head.to_vec());
        let after = head[0].split_once("?after=").expect("a query").1;
        let after: u64 = after.split(' ').next().expect("a number").parse().expect("a number");
        let fresh: Vec<_> =
            events.iter().filter(|event| event["id"].as_u64() > Some(after)).take(2).collect();
        stream.write_all(ok(&feed.body(&fresh)).as_bytes()).expect("the guest reads");
    });
    if !gives_its_records_from(name, Some(server.port), &[("env", "TOKEN=s3cret")]) {
        return;
    }
    let asked = asked.lock().expect("no panic");
    let path = feed.path();
    assert_eq!(asked[0][0], format!("GET /{path}?after=0 HTTP/1.1"));
    assert_eq!(asked[1][0], format!("GET /{path}?after=2 HTTP/1.1"));
    let token = "authorization: Bearer s3cret";
    assert!(asked[0].iter().any(|line| line.eq_ignore_ascii_case(token)), "{:?}", asked[0]);
}

/// The two forms that the examples read.
#[derive(Clone, Copy)]
enum Feed {
    List,
    Lines,
}

impl Feed {
    fn events(self, name: &str) -> Vec<Value> {
        let events = text(&format!("{name}/feed/{}", self.path()));
        match self {
            Self::List => serde_json::from_str(&events).expect("a list"),
            Self::Lines => events.lines().map(|line| serde_json::from_str(line).expect("an event")).collect(),
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::List => "events.json",
            Self::Lines => "events.ndjson",
        }
    }

    fn body(self, events: &[&Value]) -> String {
        match self {
            Self::List => serde_json::to_string(events).expect("JSON"),
            Self::Lines => events.iter().map(|event| format!("{event}\n")).collect(),
        }
    }
}

const TESTED: [&str; 10] = [
    "assemblyscript",
    "c",
    "c-http",
    "go",
    "javascript-http",
    "python-http",
    "python-tcp",
    "rust",
    "tinygo",
    "zig",
];

#[test]
fn every_example_is_tested_and_in_the_table() {
    let entries = fs::read_dir(folder("")).expect("the examples").map(|entry| entry.expect("an entry"));
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    assert_eq!(names, TESTED);
    let overview = text("README.md");
    for name in TESTED {
        assert!(overview.contains(&format!("\n| [{name}]({name}/README.md) |")), "{name}");
    }
}

#[test]
fn both_forms_of_a_configuration_say_the_same() {
    for name in TESTED {
        let classic = classic_sections(&text(&format!("{name}/fluent-bit.conf")));
        let yaml = yaml_sections(&text(&format!("{name}/fluent-bit.yaml")));
        assert_eq!(classic, yaml, "{name}");
    }
}

fn gives_its_records(name: &str) {
    gives_its_records_from(name, None, &[]);
}

/// Builds an example, then runs it with the options of its configuration and more; in a real host also with
/// the configuration files as they are, but for the server's port. Whether it could be built.
fn gives_its_records_from(name: &str, port: Option<u16>, more: &[(&str, &str)]) -> bool {
    let Some(guest) = build(name) else { return false };
    let expected = expected(name);

    let mut options = input_options(name);
    options.iter_mut().for_each(|(_, value)| *value = with_port(value, port));
    let mut options: Vec<_> = options.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    options.extend(more);
    let mut host = scene_with_guest(name, &guest).input("exec_wasi", &options).start();
    wait_for_all(&mut host, expected.len(), |host| host.records().len());
    let ended = host.stop();
    let bodies = ended.assert_clean().records.iter().map(|record| serde_json::to_value(&record.body));
    assert_eq!(bodies.collect::<Result<Vec<_>, _>>().expect("UTF-8 throughout"), expected);

    if real_host().is_some() {
        gives_them_with("fluent-bit.conf", name, &guest, port, &expected);
    }
    // Lists and plugins as in the README.
    if real_host().is_some() && host_version() >= (3, 2, 0) {
        gives_them_with("fluent-bit.yaml", name, &guest, port, &expected);
    }
    true
}

fn gives_them_with(config: &str, name: &str, guest: &[u8], port: Option<u16>, expected: &[Value]) {
    let scene = scene_with_guest(name, guest);
    scene.file(config, with_port(&text(&format!("{name}/{config}")), port));
    let mut command = Command::new(host::host_program());
    command.arg("-e").arg(scene.path("flb-in_exec_wasi.so")).args(["-c", config]);
    command.current_dir(scene.path(""));
    let mut host = scene.start_command(command);
    wait_for_all(&mut host, expected.len(), |host| printed(&host.log()).len());
    let ended = host.stop();
    assert_eq!(printed(&ended.assert_clean().log), expected, "{config}");
}

/// Where the test's server listens instead of at the 8080 of the examples.
fn with_port(config: &str, port: Option<u16>) -> String {
    port.map_or_else(|| config.to_owned(), |port| config.replace(":8080", &format!(":{port}")))
}

/// Waits longer than other tests: programs with a language's whole runtime in them are many megabytes, and a
/// test build compiles them slowly.
fn wait_for_all(host: &mut Running, expected: usize, count: impl Fn(&Running) -> usize) {
    let begun = Instant::now();
    while count(host) < expected {
        let waits = host.is_alive() && begun.elapsed() < 16 * PATIENCE;
        assert!(waits, "{} of {expected} records came; log:\n{}", count(host), host.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The bodies of the records that the output stdout has printed in its format `json_lines`.
fn printed(log: &str) -> Vec<Value> {
    let records = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records
        .filter_map(|mut record| {
            let is_record = record.as_object_mut()?.remove("date").is_some();
            is_record.then_some(record)
        })
        .collect()
}

/// What the README's build block makes of the example; None if the compiler is missing and may be.
fn build(name: &str) -> Option<Vec<u8>> {
    let scene = scene(name);
    if !sh(&scene, &block(name, "# toolchain")).status.success() {
        return without_toolchain(name);
    }
    let built = sh(&scene, &block(name, "# build"));
    let said = [built.stdout, built.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(built.status.success(), "building {name}: {}\n{}", built.status, said.concat());
    Some(fs::read(scene.path("guest.wasm")).expect("the block builds guest.wasm"))
}

fn without_toolchain(name: &str) -> Option<Vec<u8>> {
    // Unlike eprintln's, these lines are seen in tests that pass.
    let mut stderr = std::io::stderr();
    if name == "tinygo" {
        let _ = writeln!(stderr, "tinygo: the toolchain is not installed: imitation.wat is run instead");
        return Some(wat::parse_str(text("tinygo/imitation.wat")).expect("a module"));
    }
    assert!(std::env::var_os("EXAMPLES_REQUIRED").is_none(), "{name}: the toolchain is not installed");
    let _ = writeln!(stderr, "{name}: skipped: the toolchain is not installed");
    None
}

fn sh(scene: &Scene, block: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-euc", block]).current_dir(scene.path("")).stdin(Stdio::null());
    shell.output().expect("a shell")
}

/// The commands in the example's README behind this title.
fn block(name: &str, title: &str) -> String {
    let readme = text(&format!("{name}/README.md"));
    let mut blocks = readme.split("```sh\n").skip(1);
    let block = blocks.find(|block| block.starts_with(&format!("{title}\n"))).expect(title);
    block.split("```").next().expect("its first part").to_owned()
}

/// A scene whose folder is the example's, before it is built.
fn scene(name: &str) -> Scene {
    let scene = Scene::new();
    copy_sources(&folder(name), &scene.path(""));
    scene
}

fn scene_with_guest(name: &str, guest: &[u8]) -> Scene {
    let scene = scene(name);
    scene.file("guest.wasm", guest);
    scene
}

fn copy_sources(from: &Path, to: &Path) {
    const BUILT: [&str; 8] =
        ["__pycache__", "bindings", "guest.wasm", "module.wasm", "node_modules", "state", "target", "vendor"];
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder of sources") {
        let entry = entry.expect("an entry");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if BUILT.iter().any(|name| entry.file_name() == *name) {
            continue;
        } else if path.is_dir() {
            copy_sources(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a source can be copied");
        }
    }
}

fn expected(name: &str) -> Vec<Value> {
    let lines = text(&format!("{name}/expected.jsonl"));
    lines.lines().map(|line| serde_json::from_str(line).expect("a line is a body")).collect()
}

/// The options of the one input, without its name.
fn input_options(name: &str) -> Vec<(String, String)> {
    let sections = classic_sections(&text(&format!("{name}/fluent-bit.conf")));
    let inputs: Vec<_> = sections.into_iter().filter(|section| section.kind == "input").collect();
    let [input] = <[Section; 1]>::try_from(inputs).expect("one input");
    let (mut names, options): (Vec<_>, Vec<_>) =
        input.options.into_iter().partition(|(key, _)| key == "name");
    assert_eq!(names.pop().expect("a name").1, "exec_wasi");
    options
}

#[derive(Debug, PartialEq)]
struct Section {
    kind: String,
    options: Vec<(String, String)>,
}

impl Section {
    fn new(kind: &str) -> Self {
        Self { kind: kind.to_lowercase(), options: Vec::new() }
    }
}

fn classic_sections(config: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in config.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(kind) = line.strip_prefix('[') {
            sections.push(Section::new(kind.trim_end_matches(']')));
        } else {
            let (key, value) = line.split_once(' ').expect("key and value");
            let options = &mut sections.last_mut().expect("a section").options;
            options.push((key.to_lowercase(), value.trim().to_owned()));
        }
    }
    sections
}

/// Understands as much of YAML as the examples use: sections, lists of sections, lists of values.
fn yaml_sections(config: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut list = "";
    for line in config.lines() {
        let item = line.trim().strip_prefix("- ");
        let (key, value) = match item.unwrap_or(line.trim()).split_once(':') {
            Some((key, value)) if !key.contains('=') => (key, value.trim().trim_matches('\'')),
            _ => (list, item.expect("a value of a list")),
        };
        if value.is_empty() {
            list = key.trim_end_matches('s');
        }
        if key == "service" || item.is_some() && key != list {
            sections.push(Section::new(list));
        }
        if !value.is_empty() {
            let options = &mut sections.last_mut().expect("a section").options;
            options.push((key.to_owned(), value.to_owned()));
        }
    }
    sections
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn text(path: &str) -> String {
    fs::read_to_string(folder(path)).expect(path)
}
