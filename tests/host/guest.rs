//! Test guests, written as a list of steps and turned into WebAssembly text.
//!
//! A guest does its steps one after the other in `_start` and returns. Every step that can fail in an
//! expected way prints `errno N` to standard output, so that a test sees it as a record.

use std::fmt::Write;

use super::{async_guest, async_net, net_guest};

/// A guest under construction.
#[derive(Clone, Debug, Default)]
pub struct Guest {
    /// Data segments, beginning at [`DATA`].
    data: Vec<u8>,
    code: String,
    loops: usize,
    /// WASI functions besides the usual ones: name and parameters.
    imports: Vec<(&'static str, &'static str)>,
    /// Whether it has steps of `net_guest.rs`.
    pub(super) network: bool,
    /// Whether some of these are about HTTP, which not every build has.
    pub(super) http: bool,
}

/// The first 64 KiB are scratch memory; data comes behind it.
const DATA: usize = 65536;

impl Guest {
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts bytes into the guest's memory; where, and how many.
    pub fn place(&mut self, bytes: &[u8]) -> (usize, usize) {
        let at = DATA + self.data.len();
        self.data.extend_from_slice(bytes);
        (at, bytes.len())
    }

    /// Writes bytes to standard output, with one call.
    pub fn out(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let (at, len) = self.place(bytes.as_ref());
        let _ = writeln!(self.code, "(call $write (i32.const 1) (i32.const {at}) (i32.const {len}))");
        self
    }

    /// Writes bytes to standard error.
    pub fn err(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let (at, len) = self.place(bytes.as_ref());
        let _ = writeln!(self.code, "(call $write (i32.const 2) (i32.const {at}) (i32.const {len}))");
        self
    }

    /// Sleeps in the host.
    pub fn sleep_ms(self, ms: u64) -> Self {
        self.raw(&format!("(call $sleep (i64.const {ms}))"))
    }

    /// `proc_exit`.
    pub fn exit(self, code: u32) -> Self {
        self.raw(&format!("(call $proc_exit (i32.const {code}))"))
    }

    /// One more WASI function, as `$name`, with these parameters; it returns an errno.
    pub fn import(mut self, name: &'static str, params: &'static str) -> Self {
        if !self.imports.iter().any(|(known, _)| *known == name) {
            self.imports.push((name, params));
        }
        self
    }

    /// Prints `errno N` with what this call returns.
    pub fn errno_of(self, call: &str) -> Self {
        self.raw(&format!("(call $errno {call})"))
    }

    /// Any instructions; the stack must be empty after them.
    pub fn raw(mut self, code: &str) -> Self {
        self.code.push_str(code);
        self.code.push('\n');
        self
    }

    /// Computes for ever.
    pub fn spin(self) -> Self {
        self.raw("(loop $ever (br $ever))")
    }

    /// Does the steps of `body` so many times.
    pub fn repeat(mut self, times: u32, body: impl FnOnce(Self) -> Self) -> Self {
        self.loops += 1;
        let name = self.loops;
        let outer = std::mem::take(&mut self.code);
        self = body(self);
        let inner = std::mem::replace(&mut self.code, outer);
        let _ = write!(
            self.code,
            "(global.set $n{name} (i32.const 0))
             (loop $l{name}
               {inner}
               (global.set $n{name} (i32.add (global.get $n{name}) (i32.const 1)))
               (br_if $l{name} (i32.lt_u (global.get $n{name}) (i32.const {times}))))
             "
        );
        self
    }

    /// Prints lines `prefix 00000000`, counting up, one call each.
    pub fn numbered_lines(mut self, prefix: &str, count: u32) -> Self {
        let text = format!("{prefix} 00000000\n");
        let (at, len) = self.place(text.as_bytes());
        let digits = at + len - 2;
        self.repeat(count, |guest| {
            let write = format!("(call $write (i32.const 1) (i32.const {at}) (i32.const {len}))");
            guest.raw(&write).raw(&format!("(call $count (i32.const {digits}))"))
        })
    }

    /// The same, some thousand lines in each call.
    pub fn numbered_blocks(mut self, prefix: &str, count: u32, lines_per_block: u32) -> Self {
        assert_eq!(count % lines_per_block, 0);
        let text = format!("{prefix} 00000000\n");
        let len = text.len();
        let block = text.repeat(lines_per_block as usize);
        let (at, block_len) = self.place(block.as_bytes());
        let (line, _) = self.place(text.as_bytes());
        let digits = line + len - 2;
        self.repeat(count / lines_per_block, |guest| {
            guest
                .raw(&format!("(global.set $at (i32.const {at}))"))
                .repeat(lines_per_block, |guest| {
                    guest
                        .raw(&format!("(memory.copy (global.get $at) (i32.const {line}) (i32.const {len}))"))
                        .raw(&format!("(global.set $at (i32.add (global.get $at) (i32.const {len})))"))
                        .raw(&format!("(call $count (i32.const {digits}))"))
                })
                .raw(&format!("(call $write (i32.const 1) (i32.const {at}) (i32.const {block_len}))"))
        })
    }

    /// Prints each argument on a line, then each environment variable.
    pub fn print_args_and_env(self) -> Self {
        self.raw("(call $args)").raw("(call $env)")
    }

    /// Prints the content of a file below the preopened directory `fd` (3 is the first), or `errno N`.
    pub fn cat(mut self, fd: u32, path: &str) -> Self {
        let (at, len) = self.place(path.as_bytes());
        self.raw(&format!("(call $cat (i32.const {fd}) (i32.const {at}) (i32.const {len}))"))
    }

    /// Makes a file below the preopened directory `fd` with some content, or prints `errno N`.
    pub fn create(mut self, fd: u32, path: &str, content: &str) -> Self {
        let (at, len) = self.place(path.as_bytes());
        let (content_at, content_len) = self.place(content.as_bytes());
        self.raw(&format!(
            "(call $create (i32.const {fd}) (i32.const {at}) (i32.const {len}) \
             (i32.const {content_at}) (i32.const {content_len}))"
        ))
    }

    /// Prints `errno N` with what `fd_prestat_get` says of the first descriptor that could be a directory.
    pub fn probe_first_preopen(self) -> Self {
        self.raw("(call $errno (call $fd_prestat_get (i32.const 3) (i32.const 0)))")
    }

    /// Reads standard input and prints `read N bytes`-like: `errno E` when reading fails, nothing at its end.
    pub fn cat_stdin(self) -> Self {
        self.raw("(call $copy_out (i32.const 0))")
    }

    /// The guest in the form that `GUESTS_AS` says: a module as text, or a component.
    pub fn program(&self) -> Vec<u8> {
        if super::as_async_components() {
            self.async_component()
        } else if super::as_components() || self.network {
            self.component()
        } else {
            self.wat().into_bytes()
        }
    }

    /// The module as a component of WASI 0.2, by the adapter that toolchains use.
    pub fn component(&self) -> Vec<u8> {
        use wasi_preview1_component_adapter_provider as adapter;
        let mut module = wat::parse_str(self.wat()).expect("the guest is a module");
        if self.network {
            describe(&mut module, net_guest::WIT);
        }
        wit_component::ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .expect("a module")
            .adapter(
                adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
                adapter::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
            )
            .expect("an adapter")
            .encode()
            .expect("the adapter fits the module")
    }

    /// The same steps as a component of WASI 0.3.
    pub fn async_component(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.text(World::Async)).expect("the guest is a module");
        describe(&mut module, async_guest::WIT);
        wit_component::ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .expect("a module")
            .encode()
            .expect("a component")
    }

    /// The module as text.
    pub fn wat(&self) -> String {
        self.text(World::Preview1)
    }

    fn text(&self, world: World) -> String {
        let mut data = String::new();
        for byte in &self.data {
            let _ = write!(data, "\\{byte:02x}");
        }
        let globals: String =
            (1..=self.loops).map(|n| format!("(global $n{n} (mut i32) (i32.const 0))")).collect();
        let mut imports = String::new();
        let mut functions = String::new();
        match world {
            World::Preview1 => {
                imports.push_str(PREVIEW1);
                for (name, params) in &self.imports {
                    let _ = writeln!(
                        imports,
                        "(import \"wasi_snapshot_preview1\" \"{name}\" \
                         (func ${name} (param {params}) (result i32)))"
                    );
                }
                if self.network {
                    imports.push_str(net_guest::IMPORTS);
                    functions += &(net_guest::words(net_guest::WIT) + net_guest::MEMORY);
                    functions += net_guest::COMMON;
                    functions += net_guest::FUNCTIONS;
                }
                if self.http {
                    imports.push_str(net_guest::HTTP_IMPORTS);
                    functions += net_guest::HTTP_COMMON;
                    functions += net_guest::HTTP_FUNCTIONS;
                }
                functions.push_str("(export \"_start\" (func $start))");
            }
            World::Async => {
                imports.push_str(async_guest::IMPORTS);
                functions += async_guest::FUNCTIONS;
                functions += net_guest::MEMORY;
                for (name, params) in &self.imports {
                    functions += &async_guest::unsupported(name, params);
                }
                if self.network {
                    imports.push_str(async_net::IMPORTS);
                    functions += &(net_guest::words(async_guest::WIT) + net_guest::COMMON);
                    functions += async_net::FUNCTIONS;
                }
                if self.http {
                    imports.push_str(async_net::HTTP_IMPORTS);
                    functions += net_guest::HTTP_COMMON;
                    functions += async_net::HTTP_FUNCTIONS;
                }
            }
        }
        let pages = (DATA + self.data.len()) / 65536 + 1;
        let code = &self.code;
        format!(
            r#"(module $guest
  {imports}
  (memory (export "memory") {pages})
  (data (i32.const {DATA}) "{data}")
  (data (i32.const 1000) "errno 00\n")
  {globals}
  (global $at (mut i32) (i32.const 0))
  (type $nothing (func))
  (table $table 4 funcref)

  ;; all of it, however many calls that takes
  (func $write (param $fd i32) (param $at i32) (param $len i32)
    (loop $more
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (local.get $len))
      (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
        (then (call $proc_exit (i32.const 71))))
      (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
      (local.set $len (i32.sub (local.get $len) (i32.load (i32.const 8))))
      (br_if $more (local.get $len))))

  ;; the decimal number that ends at $digit grows by one
  (func $count (param $digit i32)
    (loop $carry
      (if (i32.eq (i32.load8_u (local.get $digit)) (i32.const 57))
        (then
          (i32.store8 (local.get $digit) (i32.const 48))
          (local.set $digit (i32.sub (local.get $digit) (i32.const 1)))
          (br $carry))
        (else
          (i32.store8 (local.get $digit) (i32.add (i32.load8_u (local.get $digit)) (i32.const 1)))))))

  (func $errno (param $errno i32)
    (i32.store8 (i32.const 1006) (i32.add (i32.const 48) (i32.div_u (local.get $errno) (i32.const 10))))
    (i32.store8 (i32.const 1007) (i32.add (i32.const 48) (i32.rem_u (local.get $errno) (i32.const 10))))
    (call $write (i32.const 1) (i32.const 1000) (i32.const 9)))

  ;; one relative clock subscription
  (func $sleep (param $ms i64)
    (memory.fill (i32.const 96) (i32.const 0) (i32.const 48))
    (i32.store (i32.const 112) (i32.const 1))
    (i64.store (i32.const 120) (i64.mul (local.get $ms) (i64.const 1000000)))
    (drop (call $poll_oneoff (i32.const 96) (i32.const 200) (i32.const 1) (i32.const 300))))

  (func $print_strings (param $count i32)
    (local $n i32) (local $at i32) (local $end i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $n) (local.get $count)))
        (local.set $at (i32.load (i32.add (i32.const 2000) (i32.mul (local.get $n) (i32.const 4)))))
        (local.set $end (local.get $at))
        (loop $long
          (if (i32.load8_u (local.get $end))
            (then (local.set $end (i32.add (local.get $end) (i32.const 1))) (br $long))))
        (i32.store8 (local.get $end) (i32.const 10))
        (call $write (i32.const 1) (local.get $at)
          (i32.add (i32.sub (local.get $end) (local.get $at)) (i32.const 1)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next))))

  (func $args
    (drop (call $args_sizes_get (i32.const 400) (i32.const 404)))
    (drop (call $args_get (i32.const 2000) (i32.const 4000)))
    (call $print_strings (i32.load (i32.const 400))))

  (func $env
    (drop (call $environ_sizes_get (i32.const 400) (i32.const 404)))
    (drop (call $environ_get (i32.const 2000) (i32.const 4000)))
    (call $print_strings (i32.load (i32.const 400))))

  ;; everything that can be read from a descriptor
  (func $copy_out (param $fd i32)
    (local $errno i32)
    (loop $more
      (i32.store (i32.const 20) (i32.const 20000))
      (i32.store (i32.const 24) (i32.const 10000))
      (local.set $errno (call $fd_read (local.get $fd) (i32.const 20) (i32.const 1) (i32.const 28)))
      (if (local.get $errno) (then (call $errno (local.get $errno)) (return)))
      (if (i32.load (i32.const 28))
        (then (call $write (i32.const 1) (i32.const 20000) (i32.load (i32.const 28))) (br $more)))))

  (func $cat (param $dir i32) (param $path i32) (param $len i32)
    (local $errno i32)
    (local.set $errno (call $path_open (local.get $dir) (i32.const 0) (local.get $path) (local.get $len)
      (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 500)))
    (if (local.get $errno) (then (call $errno (local.get $errno)) (return)))
    (call $copy_out (i32.load (i32.const 500))))

  (func $create (param $dir i32) (param $path i32) (param $len i32) (param $content i32) (param $size i32)
    (local $errno i32)
    (local.set $errno (call $path_open (local.get $dir) (i32.const 0) (local.get $path) (local.get $len)
      (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 500)))
    (if (local.get $errno) (then (call $errno (local.get $errno)) (return)))
    (call $write (i32.load (i32.const 500)) (local.get $content) (local.get $size)))

  {functions}
  (func $recurse (param i32) (result i32)
    (i32.add (call $recurse (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))

  (func $start
    {code}))
"#
        )
    }
}

/// Which system the steps are made of.
enum World {
    Preview1,
    Async,
}

const PREVIEW1: &str = r#"
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
"#;

/// Tells `wit-component` what a module's imports and exports are: the world of this WIT.
fn describe(module: &mut Vec<u8>, wit: &str) {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("guest.wit", wit).expect("WIT");
    let world = resolve.select_world(&[package], None).expect("one world");
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(module, &resolve, world, utf8).expect("a description");
}
