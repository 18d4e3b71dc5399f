//! The programs that are run: written as text, turned into binary modules, which is all the built-in reads.
//!
//! The ones that print do nothing else: their lines lie ready in memory, so that moving lines is what is
//! measured. Computing is measured by [`fnv`], which prints one line.

use std::fmt::Write;

/// What each program begins with: a vector for one write at 0, and all that `fd_write` does in `$write`.
const PREFACE: &str = r#"
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  ;; all of it, however many calls that takes
  (func $write (param $at i32) (param $len i32)
    (loop $more
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (local.get $len))
      (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
      (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
      (local.set $len (i32.sub (local.get $len) (i32.load (i32.const 8))))
      (br_if $more (local.get $len))))"#;

/// Where the text of a program lies.
const TEXT: usize = 1024;
/// Bytes of a page of memory.
const PAGE: usize = 65536;

fn module(memory_bytes: usize, rest: &str) -> Vec<u8> {
    let pages = memory_bytes.div_ceil(PAGE);
    let text = format!("(module {PREFACE} (memory (export \"memory\") {pages}) {rest})");
    wat::parse_str(text).expect("the program is correct")
}

fn data(bytes: &[u8]) -> String {
    let mut text = format!("(data (i32.const {TEXT}) \"");
    for byte in bytes {
        let _ = write!(text, "\\{byte:02x}");
    }
    text + "\")"
}

/// A line of `bytes` bytes, its newline included.
pub fn line(bytes: usize) -> Vec<u8> {
    let mut line: Vec<u8> = (b'a'..=b'z').cycle().take(bytes).collect();
    line[bytes - 1] = b'\n';
    line
}

/// A line as a service might log it, with its newline.
pub fn json_line() -> Vec<u8> {
    br#"{"time":1700000000.123,"level":"info","status":200,"path":"/api/v1/items","user":"alice","ms":12.5,"ok":true,"n":1234}
"#
    .to_vec()
}

/// Prints `line` so many times, as many lines with a write as make up to 64 KiB.
pub fn in_blocks(line: &[u8], lines: usize) -> Vec<u8> {
    in_writes(line, lines, (PAGE / line.len()).max(1))
}

/// Prints `line` so many times, each with a write of its own.
pub fn line_by_line(line: &[u8], lines: usize) -> Vec<u8> {
    in_writes(line, lines, 1)
}

fn in_writes(line: &[u8], lines: usize, lines_per_write: usize) -> Vec<u8> {
    let block = line.repeat(lines_per_write.min(lines));
    let (writes, rest) = (lines / lines_per_write, lines % lines_per_write * line.len());
    let code = format!(
        "{}
         (func (export \"_start\") (local $n i32)
           (loop $next
             (call $write (i32.const {TEXT}) (i32.const {}))
             (local.set $n (i32.add (local.get $n) (i32.const 1)))
             (br_if $next (i32.lt_u (local.get $n) (i32.const {writes}))))
           (if (i32.const {rest}) (then (call $write (i32.const {TEXT}) (i32.const {rest})))))",
        data(&block),
        block.len()
    );
    module(TEXT + block.len(), &code)
}

/// The same program as a component of WASI 0.2.
pub fn component(module: &[u8]) -> Vec<u8> {
    use wasi_preview1_component_adapter_provider as adapter;
    let encoder = wit_component::ComponentEncoder::default().module(module).expect("the program is a module");
    let encoder = encoder.adapter(
        adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
        adapter::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    );
    encoder.and_then(|mut encoder| encoder.encode()).expect("the adapter fits the program")
}

/// Prints one line.
pub fn tiny() -> Vec<u8> {
    in_writes(&line(16), 1, 1)
}

/// Prints one line, and is of about `bytes` bytes because of functions it never calls.
pub fn of_size(bytes: usize) -> Vec<u8> {
    /// What one of them takes in binary; it is only about.
    const FUNCTION_BYTES: usize = 200;
    let mut functions = String::new();
    for number in 0..bytes / FUNCTION_BYTES {
        let _ = write!(functions, "(func (param $x i32) (result i32) (local $y i32)");
        for step in 0..9 {
            let constant = (number * 9 + step).wrapping_mul(0x9e37_79b9) & 0x07ff_ffff | 0x0400_0000;
            let _ = write!(
                functions,
                "(local.set $y (i32.mul (i32.xor (local.get $x) (i32.const {constant})) (local.get $y)))
                 (if (i32.lt_u (local.get $y) (i32.const {step}))
                   (then (local.set $x (i32.load (local.get $y)))))"
            );
        }
        functions.push_str("(local.get $y))\n");
    }
    let line = line(16);
    let start = format!(
        "{} {functions} (func (export \"_start\") (call $write (i32.const {TEXT}) (i32.const {})))",
        data(&line),
        line.len()
    );
    module(PAGE, &start)
}

/// Takes so many steps of the hash FNV-1a (64 bits) and prints the result in hexadecimal.
pub fn fnv(steps: u64) -> Vec<u8> {
    let code = format!(
        "(func (export \"_start\") (local $n i64) (local $hash i64) (local $at i32) (local $digit i32)
           (local.set $hash (i64.const 0xcbf29ce484222325))
           (loop $next
             (local.set $hash (i64.mul
               (i64.xor (local.get $hash) (i64.and (local.get $n) (i64.const 255)))
               (i64.const 0x100000001b3)))
             (local.set $n (i64.add (local.get $n) (i64.const 1)))
             (br_if $next (i64.lt_u (local.get $n) (i64.const {steps}))))
           (local.set $at (i32.const 15))
           (loop $more
             (local.set $digit (i32.wrap_i64 (i64.and (local.get $hash) (i64.const 15))))
             (i32.store8 offset={TEXT} (local.get $at)
               (select
                 (i32.add (local.get $digit) (i32.const 48))
                 (i32.add (local.get $digit) (i32.const 87))
                 (i32.lt_u (local.get $digit) (i32.const 10))))
             (local.set $hash (i64.shr_u (local.get $hash) (i64.const 4)))
             (local.set $at (i32.sub (local.get $at) (i32.const 1)))
             (br_if $more (i32.ge_s (local.get $at) (i32.const 0))))
           (i32.store8 offset={TEXT} (i32.const 16) (i32.const 10))
           (call $write (i32.const {TEXT}) (i32.const 17)))"
    );
    module(PAGE, &code)
}

/// What [`fnv`] has to print.
pub fn fnv_result(steps: u64) -> String {
    let step = |hash: u64, n: u64| (hash ^ (n & 255)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", (0..steps).fold(0xcbf2_9ce4_8422_2325, step))
}
