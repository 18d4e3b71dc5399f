//! Files that are no program, or a hostile one: each costs a log line with the reason, and heals.

use std::fs;
use std::os::unix::fs::symlink;

use crate::fault::{Fault, Wrote, wait};
use crate::host::{Guest, Running};

/// A module of some forty kilobytes with every section a compiler writes.
fn large_module() -> Vec<u8> {
    let functions: String = (0..400)
        .map(|n| {
            format!(
                "(func $f{n} (export \"f{n}\") (param i32) (result i32)
                   (if (result i32) (local.get 0)
                     (then (call $f{} (i32.sub (local.get 0) (i32.const {n}))))
                     (else (i32.load offset={n} (local.get 0)))))",
                (n * 7 + 1) % 400
            )
        })
        .collect();
    let text = format!(
        "(module {functions} (memory (export \"memory\") 1) (table 400 funcref)
           (elem (i32.const 0) func $f1 $f2 $f3) (global (mut i64) (i64.const 5))
           (data (i32.const 0) \"{}\") (func (export \"_start\")))",
        "x".repeat(10_000)
    );
    wat::parse_str(text).expect("a module")
}

/// A module of so many functions of a million bytes that do nothing, in binary form.
fn of_functions(count: usize) -> Vec<u8> {
    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        [&[id], &leb(content.len())[..], content].concat()
    }
    fn leb(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }
    const BODY_BYTES: usize = 1_000_000;
    // No locals, and nothing but `nop` before the `end`.
    let body = [&leb(BODY_BYTES)[..], &[0], &vec![1; BODY_BYTES - 2], &[0x0b]].concat();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 0, 0]),
        section(3, &[leb(count), vec![0; count]].concat()),
        section(7, b"\x01\x06_start\0\0"),
        section(10, &[leb(count), body.repeat(count)].concat()),
    ]
    .concat()
}

/// Bytes that look like chance and are the same each time.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

fn refused(name: &str, content: impl AsRef<[u8]>, reason: &str) -> Fault {
    Fault::program(name, content).says_of(1, "Can't run wasi_path \"", reason)
}

fn wat(body: &str) -> String {
    format!("(module {body})")
}

const START: &str = "(func (export \"_start\"))";
/// One that says so.
const ENDS: &str = "(func (export \"_start\") unreachable)";
const RAN: &str = "The guest trapped: wasm trap: wasm `unreachable` instruction executed";

/// A guest that prints one line, as a module.
fn prints(line: &str) -> String {
    Guest::new().out(format!("{line}\n")).wat()
}

fn has(host: &Running, line: &str) -> bool {
    host.lines().iter().any(|seen| seen == line.as_bytes())
}

/// A guest that runs many times a second, whose file is changed meanwhile.
fn changing() -> Fault {
    Fault::program("guest.wat", prints("old"))
        .every_ms(20)
        .meanwhile(|host| wait(host, "old", |host| has(host, "old")))
}

rows! {
    // ---- no program ----

    a_file_that_is_not_there => Fault::of_inputs()
        .input_at("/no/such/folder/guest.wasm")
        .says("guest.wasm\": No such file or directory");

    a_directory => Fault::of_inputs().input_at("/tmp").says("\"/tmp\": it is a directory");

    a_device => Fault::of_inputs().input_at("/dev/zero").says("\"/dev/zero\": it is not a regular file");

    standard_input => Fault::of_inputs().input_at("/dev/stdin").says("\"/dev/stdin\": it is not a regular file");

    for_the_built_in => refused("guest.aot", b"\0aot\x05\0\0\0", "it was compiled for the built-in (by wamrc)");

    one_with_threads => refused(
        "guest.wat",
        wat("(memory 1 1 shared)"),
        "or of a kind that is not supported: failed to parse WebAssembly module: threads must be enabled",
    );

    // A regular file by its kind, and endless by its content.
    the_hosts_own_memory => Fault::of_inputs().input_at("/proc/self/mem").says("Can't run wasi_path \"/proc/self/mem\"");

    the_host_itself => Fault::of_inputs()
        .input_at("/proc/self/exe")
        .says("\"/proc/self/exe\": it is no WebAssembly: neither binary (.wasm) nor text (.wat)");

    a_file_without_permission => {
        let fault = Fault::program("guest.wat", prints("read all the same"));
        let path = fault.scene.path("guest.wat");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o0)).expect("permissions");
        // The superuser may read it.
        if fs::read(&path).is_ok() {
            fault.wrote_lines(&["read all the same"])
        } else {
            fault.says("Permission denied")
        }
    };

    an_empty_file => refused("guest.wasm", "", "the file is empty");

    a_named_pipe => {
        let fault = Fault::of_inputs();
        let path = named_pipe(&fault, "guest.wasm");
        fault.input_at(path).says("it is not a regular file")
    };

    a_link_in_a_circle => {
        let fault = Fault::of_inputs();
        let path = fault.scene.path("guest.wasm");
        symlink(&path, &path).expect("a link");
        fault.input_at(path.display().to_string()).says("Too many levels of symbolic links")
    };

    // Of something else, only the beginning is read.
    a_large_file_that_is_no_program => {
        let fault = Fault::of_inputs();
        let path = fault.scene.path("guest.wasm");
        let file = fs::File::create(&path).expect("a file");
        file.set_len(400_000_000).expect("a sparse file");
        fault
            .input_at(path.display().to_string())
            .says_of(1, "Can't run wasi_path", "neither binary")
            .leaves_memory_below(150_000)
    };

    a_terabyte_that_begins_like_a_module => {
        let fault = Fault::of_inputs();
        let path = fault.scene.file("guest.wasm", b"\0asm\x01\0\0\0");
        let file = fs::File::options().write(true).open(&path).expect("a file");
        file.set_len(1 << 40).expect("a sparse file");
        fault.input_at(path).says_of(1, "Can't run wasi_path", "larger than")
    };

    // The compiler would take what the host may not have, which would be the host's end.
    a_program_that_takes_more_memory_to_compile_than_there_is => {
        Fault::program("guest.wasm", of_functions(40))
            .host_limit("-v 1500000")
            .says_of(1, "Can't run wasi_path", "to compile it takes about 2198 MB of memory, more than this process can get")
            .never_says("Compiling")
            .says("compile it with `exec-wasi compile` where there is more, and set option precompiled")
    };

    a_text_that_takes_more_memory_to_read_than_there_is => {
        Fault::program("guest.wat", format!("(module {})", "(func)".repeat(3_300_000)))
            .host_limit("-v 1500000")
            .says_of(1, "Can't run wasi_path", "to read its text takes up to 1584 MB of memory, more than this process can get")
            .leaves_memory_below(100_000)
    };

    // A few kilobytes, and minutes or gigabytes for the compiler.
    a_function_of_too_many_loops => refused("guest.wat", wat(&format!("(func {}) {START}", "(loop)".repeat(25_000))), "too many loops");

    a_function_of_too_much_that_may_trap => refused(
        "guest.wat",
        wat(&format!("(type $t (func)) (table 1 funcref) (func (param i32) {}) {START}", "(call_indirect (type $t) (local.get 0))".repeat(100_000))),
        "too much in one that may trap",
    );

    cut_off_at_every_kilobyte => {
        let module = large_module();
        let mut fault = Fault::of_inputs().option("oneshot", "on");
        let cuts = module.len().div_ceil(1024);
        assert!(cuts >= 25, "{cuts}");
        for cut in 0..cuts {
            fault = fault.input(&format!("cut{cut}.wasm"), &module[..cut * 1024]);
            fault = fault.says(&format!("/cut{cut}.wasm\": "));
        }
        // The whole is one.
        fault.input("whole.wasm", &module).never_says("whole.wasm")
    };

    random_bytes => {
        let mut fault = Fault::of_inputs().option("oneshot", "on");
        for seed in 1..=20u64 {
            let header: &[u8] = if seed % 2 == 0 { b"\0asm\x01\0\0\0" } else { b"" };
            let content = [header, &noise(seed, 3000)].concat();
            fault = fault.input(&format!("noise{seed}.wasm"), content);
            fault = fault.says(&format!("/noise{seed}.wasm\": "));
        }
        fault
    };

    a_module_with_flipped_bytes => {
        let module = large_module();
        let mut fault = Fault::of_inputs().option("oneshot", "on");
        for seed in 1..=20u64 {
            let mut broken = module.clone();
            for at in noise(seed, 40).chunks_exact(2) {
                let at = usize::from(u16::from_le_bytes([at[0], at[1]])) % broken.len();
                broken[at.max(8)] ^= 0x55;
            }
            // Some of them may still be programs; then they have nothing to say.
            fault = fault.input(&format!("flipped{seed}.wasm"), broken);
        }
        fault
    };

    // Programs without interface calls may have one; those calls trap.
    a_module_for_64_bit_memory => Fault::program(
        "guest.wat",
        wat("(import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))
             (memory (export \"memory\") i64 1)
             (func (export \"_start\")
               (i32.store (i64.const 4) (i32.const 9))
               (if (i64.ne (memory.grow (i64.const 0x1000000)) (i64.const -1)) (then unreachable))
               (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
               unreachable)"),
    )
    .says("The guest trapped: ");

    a_module_with_shared_memory => refused(
        "guest.wat",
        wat(&format!("(memory (export \"memory\") 1 1 shared) {START}")),
        "it is not valid WebAssembly",
    );

    an_import_nobody_knows => Fault::program(
        "guest.wat",
        wat(&format!("(import \"env\" \"fork\\0a[error] forged\" (func)) {ENDS}")),
    )
    .says_of(1, "imports functions that WASI 0.1 does not have", "calls one: env::fork\\n[error] forged (1 in all).")
    .says(RAN);

    an_import_that_wasi_has_not => refused(
        "guest.wat",
        wat(&format!("(import \"wasi_snapshot_preview1\" \"sock_open\" (func)) {START}")),
        "it asks for what WASI 0.1 does not have",
    );

    an_import_of_another_type => refused(
        "guest.wat",
        wat(&format!("(import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i64))) {START}")),
        "it asks for what WASI 0.1 does not have",
    );

    no_start => refused("guest.wat", wat("(func (export \"main\"))"), "it has no function \"_start\"");

    a_start_that_is_a_memory => refused("guest.wat", wat("(memory (export \"_start\") 1)"), "\"_start\" is not a function");

    a_start_that_wants_something => refused(
        "guest.wat",
        wat("(func (export \"_start\") (param i32))"),
        "without parameters",
    );

    a_reactor => refused("guest.wat", wat("(func (export \"_initialize\"))"), "reactor");

    a_start_function_that_traps => Fault::program(
        "guest.wat",
        wat(&format!("(func $trap unreachable) (start $trap) {START}")),
    )
    .says("The guest trapped: wasm trap: wasm `unreachable` instruction executed; in trap.");

    a_start_function_that_prints => Fault::program(
        "guest.wat",
        wat("(import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))
             (memory (export \"memory\") 1)
             (data (i32.const 0) \"\\10\\00\\00\\00\\07\\00\\00\\00\") (data (i32.const 16) \"before\\n\")
             (func $print (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
             (start $print)
             (func (export \"_start\") (call $print) unreachable)"),
    )
    .wrote_lines(&["before", "before"])
    .says("The guest trapped: wasm trap: wasm `unreachable` instruction executed; in ");

    what_a_later_webassembly_may_have => {
        let later = [
            "(tag $e) (func (export \"_start\") (throw $e))",
            "(type $a (array i8)) (func (export \"_start\") (drop (array.new_default $a (i32.const 9))))",
            "(type $f (func)) (type $c (cont $f)) (elem declare func $s) (func $s (export \"_start\")
               (drop (cont.new $c (ref.func $s))))",
        ];
        let mut fault = Fault::of_inputs().option("oneshot", "on");
        for (number, text) in later.iter().enumerate() {
            fault = fault.input(&format!("guest{number}.wat"), wat(text));
            fault = fault.says_of(number + 1, "Can't run wasi_path \"", "it is not valid WebAssembly");
        }
        fault
    };

    data_that_does_not_fit_its_memory => Fault::program(
        "guest.wat",
        wat(&format!("(memory 1) (data (i32.const 65530) \"seven bytes\") {START}")),
    )
    .says("The guest trapped: wasm trap: out of bounds memory access");

    a_memory_that_is_not_exported => Fault::program(
        "guest.wat",
        wat("(import \"wasi_snapshot_preview1\" \"fd_write\" (func $w (param i32 i32 i32 i32) (result i32)))
             (memory 1)
             (func (export \"_start\")
               (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"),
    )
    .says("The guest trapped: missing required memory export");

    a_function_by_the_name_of_memory => Fault::program(
        "guest.wat",
        wat("(import \"wasi_snapshot_preview1\" \"poll_oneoff\" (func $p (param i32 i32 i32 i32) (result i32)))
             (func (export \"memory\"))
             (func (export \"_start\")
               (drop (call $p (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))))"),
    )
    .says("The guest trapped: missing required memory export");

    a_component_that_is_none => Fault::program("guest.wasm", b"\0asm\x0d\0\x01\0\x01\x02\x03")
        .says("Can't run wasi_path");

    // ---- programs that are hard to compile: each is and then run to its end, or refused at once ----

    thousands_of_nested_blocks => {
        // Written as bytes: the text format has a limit of its own.
        let mut body = vec![0u8];
        body.extend([0x02, 0x40].repeat(50_000));
        body.extend([0x0b].repeat(50_000));
        Fault::program("guest.wasm", module_of_body(&ended(body))).says(RAN)
    };

    a_sum_of_a_hundred_thousand_terms => {
        let mut body = vec![1, 1, 0x7f];
        body.extend([0x20, 0].repeat(100_000));
        body.extend([0x6a].repeat(99_999));
        body.push(0x1a);
        Fault::program("guest.wasm", module_of_body(&ended(body))).says(RAN)
    };

    a_jump_table_of_a_hundred_thousand_ways => {
        let mut body = vec![0, 0x02, 0x40, 0x41, 0, 0x0e];
        body.extend(leb(100_000));
        body.extend([0].repeat(100_001));
        body.push(0x0b);
        Fault::program("guest.wasm", module_of_body(&ended(body))).says("`br_table` has 100000 targets")
    };

    fifty_thousand_variables => {
        let mut body = vec![1];
        body.extend(leb(49_999));
        body.push(0x7e);
        for number in 0..49_999u32 {
            body.extend([&[0x20][..], &leb(number), &[0x42, 1, 0x7c, 0x21], &leb(number)].concat());
        }
        Fault::program("guest.wasm", module_of_body(&ended(body))).says(RAN)
    };

    thirty_thousand_functions => {
        let functions: String = (0..30_000).map(|n| format!("(func (export \"f{n}\"))")).collect();
        Fault::program("guest.wat", wat(&format!("{functions} {ENDS}"))).says(RAN)
    };

    ninety_thousand_pieces_of_data => {
        let pieces: String = (0..90_000).map(|n| format!("(data (i32.const {}) \"x\")", n % 65_536)).collect();
        Fault::program("guest.wat", wat(&format!("(memory 1) {pieces} {ENDS}"))).says(RAN)
    };

    data_of_many_megabytes_far_apart => {
        let far = "(data (i32.const 0) \"x\") (data (i32.const 190000000) \"x\")";
        let much = format!("(data (i32.const 1000000) \"{}\")", "x".repeat(20_000_000));
        let guest = wat(&format!("(memory (export \"memory\") 3000) {far} {much} {ENDS}"));
        Fault::program("guest.wat", guest).says(RAN).leaves_memory_below(400_000)
    };

    // A few kilobytes that would take hours: each of many variables changes in each of many nested loops.
    a_program_that_would_take_for_ever_to_compile => Fault::program("guest.wasm", nested_loops(5000, 2000))
        .says_of(1, "Can't run wasi_path \"", "to compile it would take hours");

    // Just within that limit it takes half a minute, and others need not wait for it.
    a_program_that_takes_long_to_compile => Fault::program("guest.wasm", nested_loops(4900, 100))
        .input("other.wat", prints("other"))
        .meanwhile(|host| wait(host, "the other", |host| has(host, "other")))
        .stops_within(6.0);

    a_hundred_programs_to_compile_at_once => {
        let mut fault = Fault::of_inputs().option("oneshot", "on").wrote(Wrote::Count(100));
        for number in 0..100 {
            let functions: String = (0..50)
                .map(|n| format!("(func (export \"f{n}\") (param i32) (result i32) {} (local.get 0))",
                    format!("(local.set 0 (i32.mul (local.get 0) (i32.const {number})))").repeat(40)))
                .collect();
            let text = Guest::new().out("line\n").wat();
            let text = text.trim_end().strip_suffix(')').expect("a module");
            fault = fault.input(&format!("guest{number}.wat"), format!("{text} {functions})"));
        }
        fault.meanwhile(|host| wait(host, "all lines", |host| host.lines().len() == 100))
    };

    // ---- a file that changes while its guest runs ----

    written_over_in_place => changing()
        .meanwhile(|host| {
            // Cut off, half, whole: as a copy over the file does.
            let text = prints("new");
            for part in [0, text.len() / 2, text.len()] {
                fs::write(host.scene.path("guest.wat"), &text[..part]).expect("a write");
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            wait(host, "new", |host| has(host, "new"));
        });

    replaced_by_another_file => changing().host_args(&["-f", "0.2"]).meanwhile(|host| {
        for round in 0..20 {
            let line = format!("round {round}");
            host.scene.replace("guest.wat", prints(&line));
            wait(host, &line, |host| has(host, &line));
        }
    });

    replaced_by_garbage_and_back => changing()
        .meanwhile(|host| {
            host.scene.replace("guest.wat", noise(7, 5000));
            host.wait_for_log("neither binary (.wasm) nor text (.wat)");
            host.scene.replace("guest.wat", prints("new"));
            wait(host, "new", |host| has(host, "new"));
        })
        .says("The guest runs again, after")
        .afterwards(|ended| {
            assert_eq!(ended.log.matches("neither binary").count(), 1, "{}", ended.log);
        });

    switched_by_a_link => changing().meanwhile(|host| {
        let (new, path) = (host.scene.file("new.wat", prints("new")), host.scene.path("guest.wat"));
        let link = host.scene.path("link");
        symlink(new, &link).expect("a link");
        fs::rename(link, path).expect("the switch");
        wait(host, "new", |host| has(host, "new"));
    });

    removed_and_brought_back => changing()
        .meanwhile(|host| {
            fs::remove_file(host.scene.path("guest.wat")).expect("the file");
            host.wait_for_log("No such file");
            host.scene.replace("guest.wat", prints("new"));
            wait(host, "new", |host| has(host, "new"));
        })
        .says("The guest runs again, after");

    replaced_by_a_directory_a_pipe_and_a_device_and_back => changing()
        .meanwhile(|host| {
            let path = host.scene.path("guest.wat");
            fs::remove_file(&path).expect("the file");
            fs::create_dir(&path).expect("a directory");
            host.wait_for_log("guest.wat\": it is a directory");
            fs::remove_dir(&path).expect("the directory");
            make_pipe(&path.display().to_string());
            host.wait_until("the pipe", |host| host.log().matches("it is not a regular file").count() == 1);
            fs::remove_file(&path).expect("the pipe");
            symlink("/dev/zero", &path).expect("a link");
            // The same words as before, so they are not said again.
            std::thread::sleep(std::time::Duration::from_millis(1200));
            host.scene.replace("guest.wat", prints("new"));
            wait(host, "new", |host| has(host, "new"));
        })
        .says("The guest runs again, after");

    gone_while_its_guest_runs => Fault::guest(&Guest::new().out("before\n").sleep_ms(1000).out("after\n"))
        .meanwhile(|host| {
            host.wait_for_lines(1);
            fs::write(host.scene.path("guest.wat"), noise(3, 100)).expect("a write");
            fs::remove_file(host.scene.path("guest.wat")).expect("the file");
            host.wait_for_lines(2);
        })
        .wrote_lines(&["before", "after"]);
}

fn leb(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("seven bits");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A module with so many variables that change in each of so many nested loops.
fn nested_loops(variables: u32, loops: usize) -> Vec<u8> {
    let mut body = [&[1][..], &leb(variables), &[0x7e]].concat();
    body.extend([0x03, 0x40].repeat(loops));
    for number in 0..variables {
        body.extend([&[0x20][..], &leb(number), &[0x42, 1, 0x7c, 0x21], &leb(number)].concat());
    }
    body.extend([0x20, 0, 0x50, 0x0d, 0, 0x0b].repeat(loops));
    body.push(0x0b);
    module_of_body(&body)
}

/// A module whose `_start` has this body: declarations of variables and instructions.
fn module_of_body(body: &[u8]) -> Vec<u8> {
    let len = |bytes: &[u8]| leb(u32::try_from(bytes.len()).expect("a small module"));
    let code = [&[1][..], &len(body), body].concat();
    [
        &b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x0a\x01\x06_start\0\0\x0a"[..],
        &len(&code),
        &code,
    ]
    .concat()
}

/// A function's body, with an end that says so.
fn ended(mut body: Vec<u8>) -> Vec<u8> {
    body.extend([0x00, 0x0b]);
    body
}

/// Makes a named pipe in the row's folder.
pub fn named_pipe(fault: &Fault, name: &str) -> String {
    let path = fault.scene.path(name).display().to_string();
    make_pipe(&path);
    path
}

/// By a program, so that these tests need no unsafe code.
fn make_pipe(path: &str) {
    let status = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo can be run");
    assert!(status.success());
}
