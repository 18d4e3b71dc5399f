//! Test guests as components of WASI 0.3: the steps are the same, the system below them is another one.
//! Whatever can take a while is asked for asynchronously and waited for, as toolchains do it.
//!
//! Functions of WASI 0.1 are made of those of 0.3 as far as the steps need them: a file is read or written once,
//! from its beginning, and its descriptor is 1000 and that of 0.3.

/// The interfaces of WASI 0.3 that the guests import, and the one they export.
pub(super) const WIT: &str = include_str!("async.wit");

/// A function of WASI 0.1 that is not there: it returns `ENOTSUP`.
pub(super) fn unsupported(name: &str, params: &str) -> String {
    format!("(func ${name} (param {params}) (result i32) (i32.const 58))\n")
}

pub(super) const IMPORTS: &str = r#"
  (import "$root" "[waitable-set-new]" (func $waitable_set_new (result i32)))
  (import "$root" "[waitable-set-wait]" (func $waitable_set_wait (param i32 i32) (result i32)))
  (import "$root" "[waitable-join]" (func $waitable_join (param i32 i32)))

  (import "wasi:cli/environment@0.3.0" "get-arguments" (func $get_arguments (param i32)))
  (import "wasi:cli/environment@0.3.0" "get-environment" (func $get_environment (param i32)))
  (import "wasi:cli/exit@0.3.0" "exit-with-code" (func $exit (param i32)))
  (import "wasi:clocks/monotonic-clock@0.3.0" "wait-for" (func $wait_for (param i64)))

  (import "wasi:filesystem/preopens@0.3.0" "get-directories" (func $get_directories (param i32)))
  (import "wasi:filesystem/types@0.3.0" "[method]descriptor.open-at"
    (func $open_at (param i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi:filesystem/types@0.3.0" "[method]descriptor.read-via-stream"
    (func $read_file (param i32 i64 i32)))
  (import "wasi:filesystem/types@0.3.0" "[method]descriptor.write-via-stream"
    (func $write_file (param i32 i32 i64) (result i32)))
  (import "wasi:filesystem/types@0.3.0" "[async-lower][future-read-1][method]descriptor.write-via-stream"
    (func $file_outcome (param i32 i32) (result i32)))
  (import "wasi:filesystem/types@0.3.0" "[future-drop-readable-1][method]descriptor.write-via-stream"
    (func $drop_file_outcome (param i32)))
  (import "wasi:filesystem/types@0.3.0" "[resource-drop]descriptor" (func $drop_descriptor (param i32)))

  (import "wasi:cli/stdin@0.3.0" "read-via-stream" (func $read_stdin (param i32)))
  (import "wasi:cli/stdout@0.3.0" "write-via-stream" (func $write_stdout (param i32) (result i32)))
  (import "wasi:cli/stderr@0.3.0" "write-via-stream" (func $write_stderr (param i32) (result i32)))
  ;; of every stream of bytes, wherever it is from
  (import "wasi:cli/stdout@0.3.0" "[stream-new-0]write-via-stream" (func $stream_new (result i64)))
  (import "wasi:cli/stdout@0.3.0" "[async-lower][stream-write-0]write-via-stream"
    (func $stream_write (param i32 i32 i32) (result i32)))
  (import "wasi:cli/stdout@0.3.0" "[async-lower][stream-read-0]write-via-stream"
    (func $stream_read (param i32 i32 i32) (result i32)))
  (import "wasi:cli/stdout@0.3.0" "[stream-drop-writable-0]write-via-stream"
    (func $drop_writable (param i32)))
  (import "wasi:cli/stdout@0.3.0" "[stream-drop-readable-0]write-via-stream"
    (func $drop_readable (param i32)))
  (import "wasi:cli/stdout@0.3.0" "[async-lower][future-read-1]write-via-stream"
    (func $written_read (param i32 i32) (result i32)))
"#;

/// The event of a waitable is at 38000, what functions return at 38008, and preopened directories are from
/// 39200 on.
pub(super) const FUNCTIONS: &str = r#"
  (global $set (mut i32) (i32.const 0))
  (global $known_directories (mut i32) (i32.const -1))
  ;; what is read at the moment
  (global $source (mut i32) (i32.const 0))
  (global $source_outcome (mut i32) (i32.const 0))
  (global $source_ended (mut i32) (i32.const 0))
  (global $stdout (mut i32) (i32.const 0))
  (global $stdout_written (mut i32) (i32.const 0))
  (global $stderr (mut i32) (i32.const 0))
  (global $stderr_written (mut i32) (i32.const 0))

  ;; what became of a waitable, once something has
  (func $event (param $waitable i32) (result i32)
    (if (i32.eqz (global.get $set)) (then (global.set $set (call $waitable_set_new))))
    (call $waitable_join (local.get $waitable) (global.get $set))
    (drop (call $waitable_set_wait (global.get $set) (i32.const 38000)))
    (call $waitable_join (local.get $waitable) (i32.const 0))
    (i32.load (i32.const 38004)))

  ;; the result of a read or write: how many items, shifted by four, and whether the other end is gone
  (func $finished (param $waitable i32) (param $status i32) (result i32)
    (if (result i32) (i32.eq (local.get $status) (i32.const -1))
      (then (call $event (local.get $waitable)))
      (else (local.get $status))))

  ;; a stream's two ends: the readable one, and what is to become of the writable one
  (func $writable (param $ends i64) (result i32) (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))

  (func $open_outputs
    (local $ends i64)
    (local.set $ends (call $stream_new))
    (global.set $stdout (call $writable (local.get $ends)))
    (global.set $stdout_written (call $write_stdout (i32.wrap_i64 (local.get $ends))))
    (local.set $ends (call $stream_new))
    (global.set $stderr (call $writable (local.get $ends)))
    (global.set $stderr_written (call $write_stderr (i32.wrap_i64 (local.get $ends)))))

  ;; all that was written has arrived
  (func $close_outputs
    (call $drop_writable (global.get $stdout))
    (drop (call $finished (global.get $stdout_written)
      (call $written_read (global.get $stdout_written) (i32.const 38008))))
    (call $drop_writable (global.get $stderr))
    (drop (call $finished (global.get $stderr_written)
      (call $written_read (global.get $stderr_written) (i32.const 38008)))))

  ;; codes that 0.3 doesn't have become its largest one
  (func $proc_exit (param $code i32)
    (call $exit (select (local.get $code) (i32.const 255) (i32.lt_u (local.get $code) (i32.const 255)))))

  ;; of one buffer, or none
  (func $fd_write (param $fd i32) (param $iovec i32) (param $buffers i32) (param $written i32) (result i32)
    (local $status i32) (local $stream i32)
    (if (i32.eqz (local.get $buffers))
      (then (i64.store (i32.const 38032) (i64.const 0)) (local.set $iovec (i32.const 38032))))
    (if (i32.ge_u (local.get $fd) (i32.const 1000))
      (then
        (i32.store (local.get $written) (i32.load offset=4 (local.get $iovec)))
        (return (call $fill_file (i32.sub (local.get $fd) (i32.const 1000))
          (i32.load (local.get $iovec)) (i32.load offset=4 (local.get $iovec))))))
    (local.set $stream
      (select (global.get $stdout) (global.get $stderr) (i32.eq (local.get $fd) (i32.const 1))))
    (local.set $status (call $finished (local.get $stream)
      (call $stream_write (local.get $stream)
        (i32.load (local.get $iovec)) (i32.load offset=4 (local.get $iovec)))))
    (i32.store (local.get $written) (i32.shr_u (local.get $status) (i32.const 4)))
    ;; EPIPE: nobody reads it
    (select (i32.const 64) (i32.const 0) (i32.eq (local.get $status) (i32.const 1))))

  ;; whether a stream took all of it
  (func $pour (param $stream i32) (param $at i32) (param $len i32) (result i32)
    (local $status i32)
    (loop $more
      (local.set $status (call $finished (local.get $stream)
        (call $stream_write (local.get $stream) (local.get $at) (local.get $len))))
      (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $status) (i32.const 4))))
      (local.set $len (i32.sub (local.get $len) (i32.shr_u (local.get $status) (i32.const 4))))
      (br_if $more (i32.and
        (i32.ne (local.get $len) (i32.const 0))
        (i32.eqz (i32.and (local.get $status) (i32.const 15))))))
    (i32.eqz (local.get $len)))

  ;; the errno of what became of a stream of a file
  (func $file_errno (param $outcome i32) (result i32)
    (drop (call $finished (local.get $outcome) (call $file_outcome (local.get $outcome) (i32.const 38008))))
    (call $drop_file_outcome (local.get $outcome))
    (call $errno_at (i32.const 38008)))

  ;; the errno of a result: EACCES, EBADF, ENOENT, EPERM, EROFS, and EIO for all else
  (func $errno_at (param $result i32) (result i32)
    (local $code i32)
    (if (i32.eqz (i32.load8_u (local.get $result))) (then (return (i32.const 0))))
    (local.set $code (i32.load8_u offset=4 (local.get $result)))
    (if (i32.eq (local.get $code) (i32.const 0)) (then (return (i32.const 2))))
    (if (i32.eq (local.get $code) (i32.const 2)) (then (return (i32.const 8))))
    (if (i32.eq (local.get $code) (i32.const 19)) (then (return (i32.const 44))))
    (if (i32.eq (local.get $code) (i32.const 30)) (then (return (i32.const 63))))
    (if (i32.eq (local.get $code) (i32.const 32)) (then (return (i32.const 69))))
    (i32.const 29))

  (func $fill_file (param $file i32) (param $at i32) (param $len i32) (result i32)
    (local $ends i64) (local $outcome i32)
    (local.set $ends (call $stream_new))
    (local.set $outcome
      (call $write_file (local.get $file) (i32.wrap_i64 (local.get $ends)) (i64.const 0)))
    (drop (call $pour (call $writable (local.get $ends)) (local.get $at) (local.get $len)))
    (call $drop_writable (call $writable (local.get $ends)))
    (call $file_errno (local.get $outcome)))

  ;; how many directories are preopened; asked for once, since each answer has handles of its own
  (func $directories (result i32)
    (local $n i32)
    (if (i32.ge_s (global.get $known_directories) (i32.const 0))
      (then (return (global.get $known_directories))))
    (call $forget)
    (call $get_directories (i32.const 38008))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $n) (i32.load (i32.const 38012))))
        (i32.store offset=39200 (i32.shl (local.get $n) (i32.const 2))
          (i32.load (i32.add (i32.load (i32.const 38008)) (i32.mul (local.get $n) (i32.const 12)))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (global.set $known_directories (local.get $n))
    (local.get $n))

  (func $fd_prestat_get (param $fd i32) (param i32) (result i32)
    (select (i32.const 0) (i32.const 8)
      (i32.lt_u (i32.sub (local.get $fd) (i32.const 3)) (call $directories))))

  (func $path_open (param $dir i32) (param $path_flags i32) (param $path i32) (param $len i32)
    (param $open_flags i32) (param $rights i64) (param i64 i32) (param $fd i32) (result i32)
    (local.set $dir (i32.sub (local.get $dir) (i32.const 3)))
    (if (i32.ge_u (local.get $dir) (call $directories)) (then (return (i32.const 8))))
    (call $open_at (i32.load offset=39200 (i32.shl (local.get $dir) (i32.const 2)))
      (local.get $path_flags) (local.get $path) (local.get $len) (local.get $open_flags)
      (select (i32.const 2) (i32.const 1) (i64.ne (i64.and (local.get $rights) (i64.const 64)) (i64.const 0)))
      (i32.const 38008))
    (i32.store (local.get $fd) (i32.add (i32.load (i32.const 38012)) (i32.const 1000)))
    (call $errno_at (i32.const 38008)))

  (func $fd_close (param $fd i32) (result i32)
    (call $drop_descriptor (i32.sub (local.get $fd) (i32.const 1000)))
    (i32.const 0))

  (func $fd_read (param $fd i32) (param $iovec i32) (param i32) (param $read i32) (result i32)
    (local $status i32)
    (i32.store (local.get $read) (i32.const 0))
    (if (i32.eqz (global.get $source))
      (then
        (if (local.get $fd)
          (then (call $read_file (i32.sub (local.get $fd) (i32.const 1000)) (i64.const 0) (i32.const 38008)))
          (else (call $read_stdin (i32.const 38008))))
        (global.set $source (i32.load (i32.const 38008)))
        (global.set $source_outcome (i32.load (i32.const 38012)))
        (global.set $source_ended (i32.const 0))))
    (if (i32.eqz (global.get $source_ended))
      (then
        (local.set $status (call $finished (global.get $source)
          (call $stream_read (global.get $source)
            (i32.load (local.get $iovec)) (i32.load offset=4 (local.get $iovec)))))
        (i32.store (local.get $read) (i32.shr_u (local.get $status) (i32.const 4)))
        (global.set $source_ended (i32.and (local.get $status) (i32.const 15)))))
    (if (i32.load (local.get $read)) (then (return (i32.const 0))))
    (call $drop_readable (global.get $source))
    (global.set $source (i32.const 0))
    ;; of the standard input nobody asks
    (if (i32.eqz (local.get $fd)) (then (return (i32.const 0))))
    (call $file_errno (global.get $source_outcome)))

  ;; the time is that of a relative subscription to a clock
  (func $poll_oneoff (param $subscription i32) (param i32 i32 i32) (result i32)
    (call $wait_for (i64.load offset=24 (local.get $subscription)))
    (i32.const 0))

  (func $args_sizes_get (param $count i32) (param i32) (result i32)
    (call $forget)
    (call $get_arguments (i32.const 38008))
    (i32.store (local.get $count) (i32.load (i32.const 38012)))
    (i32.const 0))

  (func $args_get (param $argv i32) (param $to i32) (result i32)
    (local $at i32) (local $end i32)
    (local.set $at (i32.load (i32.const 38008)))
    (local.set $end (i32.add (local.get $at) (i32.shl (i32.load (i32.const 38012)) (i32.const 3))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (i32.store (local.get $argv) (local.get $to))
        (local.set $to (call $copy_string (local.get $to) (local.get $at)))
        (local.set $to (call $put (local.get $to) (i32.const 0)))
        (local.set $argv (i32.add (local.get $argv) (i32.const 4)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $next)))
    (i32.const 0))

  (func $environ_sizes_get (param $count i32) (param i32) (result i32)
    (call $forget)
    (call $get_environment (i32.const 38008))
    (i32.store (local.get $count) (i32.load (i32.const 38012)))
    (i32.const 0))

  (func $environ_get (param $environ i32) (param $to i32) (result i32)
    (local $at i32) (local $end i32)
    (local.set $at (i32.load (i32.const 38008)))
    (local.set $end (i32.add (local.get $at) (i32.shl (i32.load (i32.const 38012)) (i32.const 4))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (i32.store (local.get $environ) (local.get $to))
        (local.set $to (call $copy_string (local.get $to) (local.get $at)))
        (local.set $to (call $put (local.get $to) (i32.const 61)))
        (local.set $to (call $copy_string (local.get $to) (i32.add (local.get $at) (i32.const 8))))
        (local.set $to (call $put (local.get $to) (i32.const 0)))
        (local.set $environ (i32.add (local.get $environ) (i32.const 4)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    (i32.const 0))

  ;; copies the string that is described at $at; where the next one goes
  (func $copy_string (param $to i32) (param $at i32) (result i32)
    (memory.copy (local.get $to) (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
    (i32.add (local.get $to) (i32.load offset=4 (local.get $at))))

  (func $put (param $to i32) (param $byte i32) (result i32)
    (i32.store8 (local.get $to) (local.get $byte))
    (i32.add (local.get $to) (i32.const 1)))

  (func (export "wasi:cli/run@0.3.0#run") (result i32)
    (call $open_outputs)
    (call $start)
    (call $close_outputs)
    (i32.const 0))
"#;
