//! Guests that want too much: memory, stack, tables, names, numbers; and all ways to end.

use crate::fault::Fault;
use crate::host::Guest;

const GROW_AND_TOUCH: &str = "
    (loop $more
      (global.set $at (memory.grow (i32.const 16)))
      (if (i32.ne (global.get $at) (i32.const -1))
        (then
          (memory.fill (i32.mul (global.get $at) (i32.const 65536)) (i32.const 1) (i32.const 1048576))
          (br $more))))";

fn before(code: &str) -> Guest {
    Guest::new().out("before\n").raw(code)
}

/// A guest that traps after a line.
fn traps(guest: &Guest, reason: &str) -> Fault {
    Fault::guest(guest).wrote_lines(&["before"]).says(&format!("The guest trapped: {reason}"))
}

/// A module with `functions`, of which `_start` calls `$f`; told apart from the builder's, which has names.
fn module(functions: &str) -> String {
    format!("(module {functions} (func (export \"_start\") (call $f)))")
}

/// A name in the way C++ compilers write them, in which each of `depth` types has the one before it twice:
/// a few hundred bytes that stand for gigabytes.
fn doubling_name(depth: u32) -> String {
    let mut name = "_Z1f1AIiiE".to_owned();
    for number in 0..depth {
        let number = char::from_digit(number % 36, 36).expect("a digit").to_ascii_uppercase();
        name.push_str(&format!("S_IS{number}_S{number}_E"));
    }
    name
}

/// A function whose name stands for half a gigabyte.
fn named_bomb(id: &str, body: &str) -> String {
    format!("(func {id} (@name \"{}\") {body})", doubling_name(24))
}

rows! {
    // ---- ends ----

    every_exit_code => {
        let codes: [(u32, &str); 7] = [
            (1, "1"), (42, "42"), (125, "125"), (126, "126"), (255, "255"), (256, "256"), (u32::MAX, "4294967295"),
        ];
        let mut fault = Fault::of_inputs().option("oneshot", "on").wrote_lines(&["before"; 8]);
        for (number, (code, told)) in codes.iter().enumerate() {
            let guest = Guest::new().out("before\n").exit(*code).out("never\n");
            fault = fault.input(&format!("guest{number}.wat"), guest.program());
            fault = fault.says_of(number + 1, "The guest exited with code ", &format!(" {told}."));
        }
        // And one that is no failure.
        fault.input("guest.wat", Guest::new().out("before\n").exit(0).program()).never_says("exec_wasi.8] The guest")
    };

    every_kind_of_trap => {
        let kinds = [
            ("unreachable", "`unreachable` instruction"),
            ("(drop (i32.load (i32.const 0x7ffffff0)))", "out of bounds memory access"),
            ("(i64.store offset=0xfffffff8 (i32.const -1) (i64.const 1))", "out of bounds memory access"),
            ("(memory.fill (i32.const 0) (i32.const 1) (i32.const -1))", "out of bounds memory access"),
            ("(drop (i32.div_u (i32.const 1) (i32.load (i32.const 900))))", "divide by zero"),
            ("(drop (i64.rem_s (i64.const 1) (i64.load (i32.const 900))))", "divide by zero"),
            ("(drop (i32.trunc_f64_u (f64.const inf)))", "integer overflow"),
            ("(drop (i32.trunc_f32_s (f32.const nan)))", "invalid conversion to integer"),
            ("(drop (call $recurse (i32.const 0)))", "call stack exhausted"),
            ("(call_indirect (type $nothing) (i32.const 1))", "uninitialized element"),
            ("(call_indirect (type $nothing) (i32.const -1))", "undefined element"),
            ("(drop (table.get $table (i32.const 4)))", "out of bounds table access"),
        ];
        let mut fault = Fault::of_inputs().option("oneshot", "on").wrote_lines(&vec!["before"; kinds.len()]);
        for (number, (code, reason)) in kinds.iter().enumerate() {
            fault = fault.input(&format!("guest{number}.wat"), before(code).program());
            fault = fault.says_of(number + 1, "The guest trapped: ", reason);
        }
        fault
    };

    // ---- memory, tables, stack ----

    a_memory_that_does_not_fit => Fault::program("guest.wat", "(module (memory 65536) (func (export \"_start\")))")
        .says("needs more than memory_limit (256000000 bytes) allows");

    a_table_that_does_not_fit => Fault::program(
        "guest.wat",
        "(module (table 4000000000 funcref) (func (export \"_start\")))",
    )
    .says("it needs more than a program may have: module table does not fit");

    more_memories_than_there_may_be => Fault::program(
        "guest.wat",
        format!("(module {} (func (export \"_start\")))", "(memory 1)".repeat(90)),
    )
    .says("it needs more than a program may have: module memory does not fit");

    a_table_grown_until_refused => traps(
        &before(
            "(loop $more
               (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))))
             unreachable",
        ),
        "wasm trap: wasm `unreachable` instruction executed; it had reached the size of tables",
    );

    a_deep_recursion_with_large_frames => {
        let locals = "(local v128) ".repeat(1000);
        let sets: String = (0..1000).map(|n| format!("(local.set {n} (v128.const i64x2 {n} 1))")).collect();
        let adds: String =
            (0..1000).map(|n| format!("(drop (i64x2.add (local.get {n}) (local.get {n})))")).collect();
        Fault::program("guest.wat", module(&format!("(func $f {locals} {sets} (call $f) {adds})")))
            .says("call stack exhausted; it had reached wasm_stack_size")
    };

    a_recursion_through_the_largest_stack => traps(
        &before("(drop (call $recurse (i32.const 0)))"),
        "wasm trap: call stack exhausted",
    )
    .option("wasm_stack_size", "256M");

    // ---- what is said about it ----

    names_that_stand_for_gigabytes => {
        // Each function is a frame of the backtrace.
        let functions: String = (1..8).map(|n| named_bomb(&format!("$f{n}"), &format!("(call $f{})", n + 1))).collect();
        let text = module(&format!("{} {functions} {}", named_bomb("$f", "(call $f1)"), named_bomb("$f8", "unreachable")));
        Fault::program("guest.wat", text)
            .says("The guest trapped: wasm trap: wasm `unreachable` instruction executed; in ")
            .leaves_memory_below(200_000)
    };

    names_that_stand_for_gigabytes_where_a_host_function_fails => Fault::program(
        "guest.wat",
        module(&format!(
            "(import \"wasi_snapshot_preview1\" \"fd_write\"
               (func $fd_write (param i32 i32 i32 i32) (result i32)))
             (memory (export \"memory\") 1) {}",
            named_bomb(
                "$f",
                "(drop (call $fd_write (i32.const 1) (i32.const -4) (i32.const 1) (i32.const 0)))"
            )
        )),
    )
    .says("The guest trapped: Pointer ")
    .leaves_memory_below(200_000);

    names_as_long_as_they_may_be => {
        let name = "n".repeat(99_999);
        Fault::program(
            "guest.wat",
            format!(
                "(module (@name \"{name}\") (func $f (@name \"{name}\") (call $g))
                   (func $g (@name \"{name}g\") unreachable) (func (export \"_start\") (call $f)))"
            ),
        )
        .says("The guest trapped: wasm trap: wasm `unreachable` instruction executed; in ")
    };

    names_that_would_forge_log_lines => Fault::program(
        "guest.wat",
        module("(func $f (@name \"x\\0a[2026/01/01 00:00:00] [error] forged\\1b[31m\") unreachable)"),
    )
    .says("The guest trapped: wasm trap: wasm `unreachable` instruction executed; in ")
    .never_says("\n[2026/01/01")
    .never_says("\u{1b}");

    // ---- numbers ----

    four_gibibytes_of_random_bytes => traps(
        &before("(drop (call $random_get (i32.const 0) (i32.const -1)))").import("random_get", "i32 i32"),
        "failed to call `get-random-bytes`",
    );

    random_bytes_beyond_the_memory => Fault::module(
        &before("(drop (call $random_get (i32.const -100) (i32.const 1000)))").import("random_get", "i32 i32"),
    )
    .wrote_lines(&["before"])
    .says("The guest trapped: Pointer out of bounds");

    a_directory_read_into_nothing => Fault::module(
        &Guest::new()
            .import("fd_readdir", "i32 i32 i32 i64 i32")
            .errno_of("(call $fd_readdir (i32.const 3) (i32.const 32768) (i32.const 0) (i64.const -1) (i32.const 8))")
            .errno_of("(call $fd_readdir (i32.const 3) (i32.const 32768) (i32.const 100) (i64.const 7) (i32.const 8))")
            .exit(3),
    )
    .directories("data")
    .wrote_lines(&["errno 00", "errno 00"])
    .says("exited with code 3");

    arguments_and_variables_of_many_kilobytes => {
        // A module: the adapter in a component has room for some kilobytes only.
        let mut fault = Fault::module(&Guest::new().print_args_and_env().out("end\n").exit(3))
            .option("args", &"argument ".repeat(200))
            .says("exited with code 3");
        for number in 0..300 {
            fault = fault.option_again("env", &format!("VARIABLE{number}={}", "v".repeat(80)));
        }
        fault.afterwards(|ended| {
            let lines = ended.lines();
            assert_eq!(lines.len(), 1 + 200 + 300 + 1);
            assert_eq!(lines.last().map(Vec::as_slice), Some(&b"end"[..]));
        })
    };

    // Without room for them, as a C library would find out; 4000 is where they would begin.
    arguments_that_do_not_fit => Fault::guest(&before(
        "(drop (call $args_sizes_get (i32.const 400) (i32.const 404)))
         (drop (call $args_get (i32.const 2000) (i32.sub (i32.const 131072) (i32.const 1000))))",
    ))
    .option("args", &"a".repeat(100_000))
    .wrote_lines(&["before"])
    .says("The guest trapped: ");

    // ---- places that are none ----

    variables_from_what_is_no_file => {
        let mut fault = Fault::guest(&before("")).option("env_file", "{folder}/pipe");
        crate::programs::named_pipe(&fault, "pipe");
        fault = fault.says("pipe\" is not a regular file");
        fault
    };

    a_cache_where_none_can_be => Fault::guest(&before("")).option("cache_dir", "/proc/nowhere/cache")
        .wrote_lines(&["before"])
        .says("the cache folder \"/proc/nowhere/cache\" can't be created");

    a_file_where_the_cache_should_be => Fault::guest(&before(""))
        .option("cache_dir", "{folder}/file/cache")
        .file("file", "")
        .wrote_lines(&["before"])
        .says("file/cache\" can't be created: Not a directory");

    a_state_dir_that_is_a_file => Fault::guest(&before(""))
        .option("state_dir", "{folder}/file")
        .file("file", "")
        .says("The guest can't start: state_dir \"");

    a_directory_that_is_a_named_pipe => {
        let fault = Fault::guest(&before("")).option("accessible_paths", "{folder}/pipe");
        crate::programs::named_pipe(&fault, "pipe");
        fault.says("pipe\" can't be opened as a directory")
    };

    // What is compiled is larger than the host may write.
    a_cache_that_is_full => Fault::program("guest.wat", module(&format!(
        "(memory 1) (func $f) (data (i32.const 0) \"{}\")", "x".repeat(60_000))))
        .host_limit("-f 100")
        .option("cache_dir", "{folder}/own-cache")
        .says("is not kept for the next start: it can't be written to the cache folder");

    memory_grown_and_touched_until_refused => Fault::guest(&before(GROW_AND_TOUCH).raw("unreachable"))
        .wrote_lines(&["before"])
        .says("it had reached memory_limit (256000000 bytes)");
}
