//! Guests that want more of the file system than they were given.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use crate::fault::Fault;
use crate::host::{self, Guest};
use crate::programs::named_pipe;

const RIGHTS: &str = "(i64.const 0x1fffffff) (i64.const 0x1fffffff)";
/// `oflags` of `path_open`.
const CREATE: u32 = 1;
const DIRECTORY: u32 = 2;
const TRUNCATE: u32 = 8;

/// Calls with paths; each prints its errno.
trait Paths {
    fn path(
        self,
        function: &'static str,
        params: &'static str,
        before: &str,
        path: &str,
        after: &str,
    ) -> Self;
    fn open(self, dir: u32, path: &str, flags: u32) -> Self;
    fn open_and_write(self, dir: u32, path: &str, text: &str) -> Self;
    fn make_directory(self, dir: u32, path: &str) -> Self;
    fn remove_directory(self, dir: u32, path: &str) -> Self;
    fn unlink(self, dir: u32, path: &str) -> Self;
    fn set_times(self, dir: u32, path: &str) -> Self;
    fn symlink(self, dir: u32, target: &str, path: &str) -> Self;
    fn rename(self, from: (u32, &str), to: (u32, &str)) -> Self;
    fn link(self, from: (u32, &str), to: (u32, &str)) -> Self;
}

impl Paths for Guest {
    fn path(
        mut self,
        function: &'static str,
        params: &'static str,
        before: &str,
        path: &str,
        after: &str,
    ) -> Self {
        let (at, len) = self.place(path.as_bytes());
        self.import(function, params)
            .errno_of(&format!("(call ${function} {before} (i32.const {at}) (i32.const {len}) {after})"))
    }

    fn open(mut self, dir: u32, path: &str, flags: u32) -> Self {
        let (at, len) = self.place(path.as_bytes());
        self.errno_of(&format!(
            "(call $path_open (i32.const {dir}) (i32.const 1) (i32.const {at}) (i32.const {len})
               (i32.const {flags}) {RIGHTS} (i32.const 0) (i32.const 500))"
        ))
    }

    fn open_and_write(self, dir: u32, path: &str, text: &str) -> Self {
        let mut guest = self.raw("(i32.store (i32.const 500) (i32.const 99))").open(dir, path, 0);
        let (at, len) = guest.place(text.as_bytes());
        guest
            .raw(&format!(
                "(i32.store (i32.const 0) (i32.const {at})) (i32.store (i32.const 4) (i32.const {len}))"
            ))
            .errno_of("(call $fd_write (i32.load (i32.const 500)) (i32.const 0) (i32.const 1) (i32.const 8))")
    }

    fn make_directory(self, dir: u32, path: &str) -> Self {
        self.path("path_create_directory", "i32 i32 i32", &format!("(i32.const {dir})"), path, "")
    }

    fn remove_directory(self, dir: u32, path: &str) -> Self {
        self.path("path_remove_directory", "i32 i32 i32", &format!("(i32.const {dir})"), path, "")
    }

    fn unlink(self, dir: u32, path: &str) -> Self {
        self.path("path_unlink_file", "i32 i32 i32", &format!("(i32.const {dir})"), path, "")
    }

    fn set_times(self, dir: u32, path: &str) -> Self {
        self.path(
            "path_filestat_set_times",
            "i32 i32 i32 i32 i64 i64 i32",
            &format!("(i32.const {dir}) (i32.const 1)"),
            path,
            "(i64.const 1000) (i64.const 1000) (i32.const 5)",
        )
    }

    fn symlink(mut self, dir: u32, target: &str, path: &str) -> Self {
        let (at, len) = self.place(target.as_bytes());
        let before = format!("(i32.const {at}) (i32.const {len}) (i32.const {dir})");
        self.path("path_symlink", "i32 i32 i32 i32 i32", &before, path, "")
    }

    fn rename(mut self, from: (u32, &str), to: (u32, &str)) -> Self {
        let (at, len) = self.place(from.1.as_bytes());
        let before =
            format!("(i32.const {}) (i32.const {at}) (i32.const {len}) (i32.const {})", from.0, to.0);
        self.path("path_rename", "i32 i32 i32 i32 i32 i32", &before, to.1, "")
    }

    fn link(mut self, from: (u32, &str), to: (u32, &str)) -> Self {
        let (at, len) = self.place(from.1.as_bytes());
        let before = format!(
            "(i32.const {}) (i32.const 0) (i32.const {at}) (i32.const {len}) (i32.const {})",
            from.0, to.0
        );
        self.path("path_link", "i32 i32 i32 i32 i32 i32 i32", &before, to.1, "")
    }
}

/// Everything below a folder: name, kind, content or target, times of change.
fn snapshot(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            let about = fs::symlink_metadata(&path).expect("it is there");
            let content = if about.is_symlink() {
                format!("-> {}", fs::read_link(&path).expect("a link").display())
            } else if about.is_dir() {
                left.push(path.clone());
                "folder".to_owned()
            } else {
                fs::read_to_string(&path).expect("text")
            };
            let stamp = format!("{} {} {}", about.mtime(), about.mtime_nsec(), about.nlink());
            all.insert(path.display().to_string(), format!("{content} {stamp}"));
        }
    }
    all
}

/// `errno N` lines, of which none may be 0, and the end.
fn all_refused(fault: Fault, calls: usize) -> Fault {
    fault.says("exited with code 3").afterwards(move |ended| {
        let lines = ended.lines();
        assert_eq!(lines.len(), calls, "{:?}", lines);
        for (number, line) in lines.iter().enumerate() {
            assert!(line.starts_with(b"errno ") && line != b"errno 00", "call {number}: {:?}", shown(line));
        }
        println!("  {:?}", lines.iter().map(|line| shown(line)).collect::<Vec<_>>());
    })
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

/// A row whose guest has the directory `inside` and tries to reach `outside`, beside it.
fn beside_a_secret(guest: Guest, calls: usize, read_only: bool) -> Fault {
    let fault = Fault::guest(&guest.exit(3))
        .directories(if read_only { "inside:ro" } else { "inside" })
        .file("inside/file", "inside\n")
        .file("outside/secret", "secret\n");
    let folder = fault.scene.path("");
    symlink(folder.join("outside/secret"), folder.join("inside/absolute")).expect("a link");
    symlink("../outside/secret", folder.join("inside/relative")).expect("a link");
    symlink("../outside", folder.join("inside/folder")).expect("a link");
    symlink("..", folder.join("inside/up")).expect("a link");
    let before = snapshot(&folder.join("outside"));
    all_refused(fault, calls).leaves(move |folder| assert_eq!(snapshot(&folder.join("outside")), before))
}

/// Ways to `outside/secret`, from the directory `inside`.
const WAYS_OUT: [&str; 17] = [
    "../outside/secret",
    "./../outside/secret",
    "file/../../outside/secret",
    "..//outside///secret",
    "new/../../outside/secret",
    "absolute",
    "relative",
    "folder/secret",
    "./folder/./secret",
    "up/outside/secret",
    "up/inside/up/outside/secret",
    "/etc/passwd",
    "//etc/passwd",
    "/proc/self/root/etc/passwd",
    "",
    "absolute/",
    "..",
];

/// Changes of every kind below the directory `dir`.
fn changes(dir: u32) -> (Guest, usize) {
    let guest = Guest::new()
        .open(dir, "new", CREATE)
        .open(dir, "file", TRUNCATE)
        .open(dir, "file", CREATE | TRUNCATE)
        .open(dir, "sub/new", CREATE)
        .make_directory(dir, "made")
        .remove_directory(dir, "empty")
        .unlink(dir, "file")
        .set_times(dir, "file")
        .symlink(dir, "file", "link")
        .rename((dir, "file"), (dir, "renamed"))
        .rename((dir, "sub"), (dir, "renamed"))
        .link((dir, "file"), (dir, "linked"));
    (guest, 12)
}

rows! {
    no_way_out_for_a_reader => {
        let guest = WAYS_OUT.iter().fold(Guest::new(), |guest, path| guest.open(3, path, 0));
        beside_a_secret(guest, WAYS_OUT.len(), false)
    };

    no_way_out_for_a_reader_that_may_not_write => {
        let guest = WAYS_OUT.iter().fold(Guest::new(), |guest, path| guest.cat(3, path));
        beside_a_secret(guest, WAYS_OUT.len(), true)
    };

    no_way_out_for_a_writer => {
        let guest = WAYS_OUT.iter().fold(Guest::new(), |guest, path| guest.open(3, path, CREATE | TRUNCATE));
        beside_a_secret(guest, WAYS_OUT.len(), false)
    };

    nothing_changed_outside => {
        let guest = Guest::new()
            .make_directory(3, "../made")
            .make_directory(3, "folder/made")
            .remove_directory(3, "../outside")
            .unlink(3, "../outside/secret")
            .unlink(3, "folder/secret")
            .set_times(3, "../outside/secret")
            .set_times(3, "absolute")
            .rename((3, "../outside/secret"), (3, "taken"))
            .rename((3, "folder/secret"), (3, "taken"))
            .rename((3, "file"), (3, "../outside/put"))
            .rename((3, "file"), (3, "folder/put"))
            .link((3, "../outside/secret"), (3, "taken"))
            .link((3, "folder/secret"), (3, "taken"))
            .link((3, "file"), (3, "../outside/put"))
            .link((3, "file"), (3, "folder/put"))
            .symlink(3, "/etc/passwd", "link")
            .symlink(3, "x", "../outside/link")
            .symlink(3, "x", "folder/link");
        beside_a_secret(guest, 18, false)
    };

    // The guest may make such a link, but not follow it.
    a_link_of_its_own_leads_nowhere => {
        let mut guest = Guest::new().import("path_symlink", "i32 i32 i32 i32 i32");
        let (target, target_len) = guest.place(b"../outside/secret");
        let (name, name_len) = guest.place(b"mine");
        let guest = guest.raw(&format!(
            "(drop (call $path_symlink (i32.const {target}) (i32.const {target_len}) (i32.const 3)
               (i32.const {name}) (i32.const {name_len})))"
        ));
        beside_a_secret(guest.open(3, "mine", 0).cat(3, "mine").open(3, "mine", CREATE | TRUNCATE), 3, false)
    };

    a_directory_that_is_read_only_stays_as_it_is => {
        let (guest, calls) = changes(3);
        let fault = Fault::guest(&guest.exit(3))
            .directories("data:ro,data/sub,data/empty")
            .directories("data:ro")
            .file("data/file", "content")
            .file("data/sub/file", "content");
        let before = snapshot(&fault.scene.path("data"));
        all_refused(fault, calls).leaves(move |folder| assert_eq!(snapshot(&folder.join("data")), before))
    };

    a_file_of_a_read_only_directory_can_not_be_written_by_its_descriptor => {
        let guest = Guest::new()
            .raw("(drop (call $path_open (i32.const 3) (i32.const 1) (i32.const 70000) (i32.const 0) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 500)))")
            .import("fd_filestat_set_size", "i32 i64")
            .import("fd_filestat_set_times", "i32 i64 i64 i32")
            .import("fd_allocate", "i32 i64 i64")
            .import("fd_fdstat_set_flags", "i32 i32")
            // Opened for reading, it is given; for writing, it is not.
            .cat(3, "file")
            .errno_of("(call $fd_filestat_set_size (i32.load (i32.const 500)) (i64.const 1))")
            .errno_of("(call $fd_filestat_set_times (i32.load (i32.const 500)) (i64.const 1) (i64.const 1) (i32.const 5))")
            .errno_of("(call $fd_allocate (i32.load (i32.const 500)) (i64.const 0) (i64.const 100))")
            .raw("(i32.store (i32.const 0) (i32.const 1000)) (i32.store (i32.const 4) (i32.const 5))")
            .errno_of("(call $fd_write (i32.load (i32.const 500)) (i32.const 0) (i32.const 1) (i32.const 8))")
            .errno_of("(call $fd_filestat_set_times (i32.const 3) (i64.const 1) (i64.const 1) (i32.const 5))")
            .open_and_write(3, "file", "written");
        let fault = Fault::guest(&guest.exit(3)).directories("data:ro").file("data/file", "content\n");
        let before = snapshot(&fault.scene.path("data"));
        fault
            .says("exited with code 3")
            .leaves(move |folder| assert_eq!(snapshot(&folder.join("data")), before))
            .afterwards(|ended| {
                let lines = ended.lines();
                assert_eq!(shown(&lines[0]), "content");
                assert!(lines[1..].iter().all(|line| line.starts_with(b"errno ")), "{lines:?}");
                println!("  {:?}", lines.iter().map(|line| shown(line)).collect::<Vec<_>>());
            })
    };

    // Hard links and renames between two directories must not lend the rights of one to the other.
    what_is_read_only_is_not_reached_through_a_writable_neighbour => {
        let guest = Guest::new()
            .link((3, "file"), (4, "linked"))
            .open_and_write(4, "linked", "written")
            .rename((3, "file"), (4, "moved"))
            .open_and_write(4, "moved", "written")
            .rename((4, "own"), (3, "file"))
            .link((4, "own"), (3, "put"))
            .open(4, "../data/file", CREATE | TRUNCATE);
        let fault = Fault::guest(&guest.exit(3))
            .directories("data:ro,own")
            .file("data/file", "content")
            .file("own/own", "own");
        let before = snapshot(&fault.scene.path("data"));
        fault
            .says("exited with code 3")
            .leaves(move |folder| assert_eq!(snapshot(&folder.join("data")), before))
            .afterwards(|ended| {
                println!("  {:?}", ended.lines().iter().map(|line| shown(line)).collect::<Vec<_>>());
            })
    };

    a_read_only_directory_inside_a_writable_one => Fault::guest(&Guest::new().out("never\n"))
        .directories("data/sub:ro,data")
        .wrote_lines::<&str>(&[])
        .says("data/sub\" lies in \"");

    paths_that_are_no_paths => {
        let long = "a/".repeat(30_000);
        let paths = ["nul\0inside", long.as_str(), "....", "a/b/c/d", "\u{202e}txt", "file/"];
        let guest = paths.iter().fold(Guest::new(), |guest, path| guest.open(3, path, DIRECTORY));
        // Not UTF-8, out of bounds, endless.
        let guest = ["(i32.const 32768) (i32.const 2)", "(i32.const -4) (i32.const 3)"].iter().fold(
            guest.raw("(i32.store (i32.const 32768) (i32.const -1))"),
            |guest, path| {
                guest.errno_of(&format!(
                    "(call $path_open (i32.const 3) (i32.const 1) {path} (i32.const 0) {RIGHTS} (i32.const 0)
                       (i32.const 500))"
                ))
            },
        );
        Fault::guest(&guest.exit(3)).directories("data").file("data/file", "").says("The guest ").afterwards(
            |ended| {
                let lines = ended.lines();
                // The one that is out of bounds ends it; a component also the one that is no text.
                let answered = if host::as_components() { 6 } else { 7 };
                assert!(lines.len() == answered && lines.iter().all(|line| line != b"errno 00"), "{lines:?}");
            },
        )
    };

    ten_thousand_files_opened => Fault::guest(&opens_files(10_000).exit(3))
        .directories("data")
        .file("data/file", "content")
        .host_limit("-n 300")
        .says("open_files_limit");

    as_many_files_as_the_option_allows_and_no_more => {
        let guest = (0..200).fold(Guest::new(), |guest, _| guest.open(3, "file", 0));
        Fault::guest(&guest.exit(3))
            .directories("data")
            .file("data/file", "content")
            .option("open_files_limit", "100")
            .says("exited with code 3")
            .afterwards(|ended| {
                let lines = ended.lines();
                let opened = lines.iter().take_while(|line| *line == b"errno 00").count();
                // What is granted is open as well.
                assert!(lines.len() == 200 && (90..=100).contains(&opened), "{opened} of {}", lines.len());
            })
    };

    a_state_dir_inside_what_a_guest_may_write_to => Fault::guest(&Guest::new().out("never\n"))
        .directories("data")
        .option("state_dir", "{folder}/data/state")
        .wrote_lines::<&str>(&[])
        .says("data/state\" lies in \"")
        .leaves(|folder| assert!(!folder.join("data/state").exists()));

    // By the time of another run, it could be a program of that guest's.
    a_program_in_what_another_guest_may_write_to => Fault::of_inputs()
        .directory("data")
        .option("oneshot", "on")
        .input("guest.wat", Guest::new().out("before\n").program())
        .option_of_last("accessible_paths", "{folder}/data")
        .input("data/inner.wat", Guest::new().out("never\n").program())
        .wrote_lines(&["before"])
        .says_of(2, "can't start: wasi_path \"", "which another input's guest may write to");

    // By the time that it is opened for another run, it could be a link to anywhere.
    a_directory_inside_what_another_guest_may_write_to => Fault::of_inputs()
        .option("oneshot", "on")
        .input("guest.wat", Guest::new().out("before\n").program())
        .option_of_last("accessible_paths", "{folder}/data")
        .input("inner.wat", Guest::new().out("never\n").program())
        .option_of_last("accessible_paths", "{folder}/data/inner:ro")
        .directory("data/inner")
        .wrote_lines(&["before"])
        .says_of(2, "can't start: accessible_paths \"", "which a guest may write to");

    an_env_file_inside_what_the_guest_may_write_to => Fault::guest(&Guest::new().out("never\n"))
        .directories("data")
        .file("data/env", "A=1")
        .option("env_file", "{folder}/data/env")
        .wrote_lines::<&str>(&[])
        .says("data/env\" lies in \"");

    // As often as there are threads for it, and from then on it is not even started.
    file_access_that_hangs_in_every_run => waits_for_a_pipe(1)
        .every_ms(5000)
        .wrote_lines(&["before"; 4])
        .says("its file access or look-ups of names in earlier runs hang");

    a_named_pipe_opened => waits_for_a_pipe(1).says("this run took longer than timeout (1 s)");

    twenty_named_pipes_opened => waits_for_a_pipe(20).says("this run took longer than timeout (1 s)");

    // Whatever becomes of the guests: the host ends, and in time.
    twenty_guests_stuck_in_a_system_call_when_the_host_stops => waits_for_a_pipe(20)
        .option("timeout", "1h")
        .meanwhile(|host| {
            host.wait_for_lines(20);
        })
        .wrote_lines(&["before"; 20])
        .stops_within(6.0);

    a_stuck_guest_and_a_hot_reload => waits_for_a_pipe(1)
        .option("timeout", "1h")
        .reloads()
        .meanwhile(|host| {
            host.wait_for_lines(1);
            if crate::hosts::reloads() {
                host.signal(1);
                host.wait_for_lines(2);
            }
        })
        // The host waits for the guest's thread before it starts anew.
        .neighbour_may_pause()
        .stops_within(8.0);
}

fn opens_files(count: u32) -> Guest {
    let mut guest = Guest::new();
    let (at, len) = guest.place(b"file");
    guest.repeat(count, |guest| {
        guest.raw(&format!(
            "(drop (call $path_open (i32.const 3) (i32.const 1) (i32.const {at}) (i32.const {len}) (i32.const 0)
               (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 500)))"
        ))
    })
}

/// Guests that open a pipe nobody writes to.
fn waits_for_a_pipe(inputs: usize) -> Fault {
    let guest = Guest::new().out("before\n").cat(3, "pipe");
    let mut fault = Fault::of_inputs().option("oneshot", "on").option("timeout", "1").directories("data");
    named_pipe(&fault, "data/pipe");
    for number in 0..inputs {
        fault = fault.input(&format!("guest{number}.wat"), guest.program());
    }
    fault
}
