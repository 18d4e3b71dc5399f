//! The cache of compiled programs, across starts of the host.

mod host;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use host::{Ended, Guest, ONCE, Scene};

const NAME: &str = "fluent-bit-exec-wasi";

/// A program large enough that what happens to it is said, by a long comment.
fn large(text: &str) -> String {
    format!("{}\n;; {}\n", Guest::new().out(text).wat(), "x".repeat(1_000_000))
}

/// One start of the host with an input that runs `guest.wat` once.
fn start(scene: Scene, options: &[(&str, &str)]) -> Ended {
    let program = scene.path("guest.wat").display().to_string();
    let mut all = vec![("wasi_path", program.as_str()), ONCE];
    all.extend(options);
    let mut host = scene.input("exec_wasi", &all).start();
    host.wait_for_lines(1);
    let ended = host.stop();
    ended.assert_clean();
    ended
}

/// A folder that outlives the scenes of one test, which are removed with their host.
struct Shared(PathBuf);

impl Shared {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("exec-wasi-{name}-{}", std::process::id()));
        fs::create_dir(&path).expect("a folder for the test");
        Self(path)
    }

    fn path(&self) -> String {
        self.0.join("cache").display().to_string()
    }

    fn entries(&self) -> Vec<PathBuf> {
        // None if it was not even made.
        let entries = fs::read_dir(self.path()).into_iter().flatten();
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn scene_with(content: &str) -> Scene {
    let scene = Scene::new();
    scene.file("guest.wat", content);
    scene
}

#[test]
fn a_program_is_compiled_at_the_first_start_and_taken_from_the_cache_at_the_next() {
    let shared = Shared::new("second-start");
    let path = shared.path();
    let options = [("cache_dir", path.as_str())];
    let first = start(scene_with(&large("hello\n")), &options);
    first.assert_logged("Compiling \"").assert_logged("Compiled \"");
    assert!(!first.log.contains("Loaded"), "{}", first.log);
    assert_eq!(shared.entries().len(), 1);

    // Another file with the same content is the same program.
    let second = start(scene_with(&large("hello\n")), &options);
    second.assert_logged("guest.wat\" from the cache in ");
    assert!(!second.log.contains("Compil"), "{}", second.log);
    assert_eq!(second.lines(), [b"hello"]);

    let third = start(scene_with(&large("changed\n")), &options);
    third.assert_logged("Compiled \"");
    assert_eq!(third.lines(), [b"changed"]);
    assert_eq!(shared.entries().len(), 2);
}

#[test]
fn what_compiling_has_needed_is_free_again() {
    let shared = Shared::new("memory");
    let path = shared.path();
    // Functions that are long, for that is what the compiler takes much memory for.
    let hello = Guest::new().out("hello\n").wat();
    let steps = "i32.const 7 i32.mul local.get 0 i32.add ".repeat(2_000);
    let function = format!("(func (param i32) (result i32) local.get 0 {steps})");
    let content = format!("{} {})", hello.trim_end().strip_suffix(')').unwrap(), function.repeat(60));
    let kept = |after: &str| {
        let scene = scene_with(&content);
        let program = scene.path("guest.wat").display().to_string();
        let options = [("wasi_path", program.as_str()), ("cache_dir", &path), ("interval_sec", "3600")];
        let mut host = scene.input("exec_wasi", &options).start();
        host.wait_for_log(after);
        host.wait_for_lines(1);
        // A guest that waits for an hour gives back what it can after a second.
        std::thread::sleep(Duration::from_secs(2));
        let kilobytes = host.memory_kilobytes("RssAnon:");
        host.stop().assert_clean();
        kilobytes
    };
    let (first, second) = (kept("Compiled \""), kept("from the cache"));
    assert!(first < second + 5_000, "{first} kB after compiling, {second} kB without");
}

#[test]
fn by_default_the_cache_is_in_the_users_folder_and_off_is_off() {
    let shared = Shared::new("default");
    let scene = || scene_with(&large("hello\n")).env("XDG_CACHE_HOME", &shared.path());
    start(scene(), &[]).assert_logged("Compiled \"");
    assert_eq!(fs::read_dir(format!("{}/{NAME}", shared.path())).unwrap().count(), 1);
    start(scene(), &[("cache_dir", "off")]).assert_logged("Compiled \"");
    start(scene(), &[]).assert_logged("from the cache");
}

#[test]
fn a_damaged_entry_is_said_and_heals() {
    let shared = Shared::new("damaged");
    let path = shared.path();
    let options = [("cache_dir", path.as_str())];
    start(scene_with(&large("hello\n")), &options);
    let [entry] = &shared.entries()[..] else { panic!("one entry") };
    let good = fs::read(entry).unwrap();
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    for (content, reason) in [(&bad[..], "its checksum is wrong"), (&good[..good.len() / 2], "it is cut off")]
    {
        fs::write(entry, content).unwrap();
        let healed = start(scene_with(&large("hello\n")), &options);
        healed.assert_logged("[ warn] [input:exec_wasi:exec_wasi.0] The entry of \"");
        healed.assert_logged(&format!("is damaged: {reason}; it was removed."));
        healed.assert_logged("Compiled \"");
        assert_eq!(healed.lines(), [b"hello"]);
        start(scene_with(&large("hello\n")), &options).assert_logged("from the cache");
    }
}

#[test]
fn a_folder_that_is_not_safe_is_not_used_and_said_once() {
    let shared = Shared::new("unsafe");
    let path = shared.path();
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let scene = Scene::new();
    let program = scene.file("guest.wat", Guest::new().out("run\n").wat());
    let options = [("wasi_path", program.as_str()), ("cache_dir", &path), ("interval_nsec", "1")];
    let options = [&options[..], &[("interval_sec", "0")]].concat();
    let mut host = scene.input("exec_wasi", &options).start();
    host.wait_for_lines(20);
    // Loaded anew, and nothing new to say about the folder.
    host.scene.replace("guest.wat", Guest::new().out("new\n").wat());
    host.wait_until("the new program", |host| host.lines().contains(&b"new".to_vec()));
    let ended = host.stop();
    let line = format!(
        "[ warn] [input:exec_wasi:exec_wasi.0] Compiled programs are not kept for the next start: the cache folder \"{path}\" can be written to by others (mode 0777): chmod go-w makes it safe."
    );
    assert_eq!(ended.assert_clean().log.matches(&line).count(), 1, "{}", ended.log);
    assert_eq!(shared.entries().len(), 0);
}

#[test]
fn a_folder_that_a_program_may_write_to_is_not_used_by_any() {
    let shared = Shared::new("writable");
    let path = shared.path();
    let parent = std::path::Path::new(&path).parent().unwrap().display().to_string();
    let read_only = format!("{parent}:ro");
    for (directory, used) in [(parent.as_str(), 0), (read_only.as_str(), 1)] {
        let scene = scene_with(&large("hello\n"));
        let program = scene.path("guest.wat").display().to_string();
        let other = scene.file("other.wat", Guest::new().out("hello\n").wat());
        let own = [("wasi_path", program.as_str()), ("cache_dir", &path), ONCE];
        let other =
            [("wasi_path", other.as_str()), ("cache_dir", "off"), ("accessible_paths", directory), ONCE];
        let mut host = scene.input("exec_wasi", &own).input("exec_wasi", &other).start();
        host.wait_for_lines(2);
        let ended = host.stop();
        assert_eq!(
            ended.assert_clean().log.contains("where a program may write"),
            used == 0,
            "{}",
            ended.log
        );
        assert_eq!(shared.entries().len(), used);
    }
}

#[test]
fn without_any_folder_programs_run_and_one_line_says_that_nothing_is_kept() {
    let scene = scene_with(&large("hello\n"));
    let mut host = {
        let program = scene.path("guest.wat").display().to_string();
        let scene = scene.env("XDG_CACHE_HOME", "").env("CACHE_DIRECTORY", "").env("HOME", "");
        scene.input("exec_wasi", &[("wasi_path", &program), ONCE]).start()
    };
    host.wait_for_lines(1);
    host.wait_for_log("[ info] [input:exec_wasi:exec_wasi.0] Compiled programs are not kept for the next start: none of CACHE_DIRECTORY");
    host.stop().assert_clean();
}
