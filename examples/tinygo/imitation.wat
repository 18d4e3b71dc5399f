;; Does what main.go does, and ends as TinyGo's modules do: _start doesn't return but calls proc_exit(0).
;; Written by hand, so that this ending is tested where there is no TinyGo.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  ;; From 0: how many strings, and their bytes; from 16: what fd_write reads and answers;
  ;; from 64: words; from 1024: the addresses of the strings; from 8192: the strings.
  (memory (export "memory") 1)
  (data (i32.const 64) "argument variable ")

  (func $write (param $text i32) (param $bytes i32)
    (i32.store (i32.const 16) (local.get $text))
    (i32.store (i32.const 20) (local.get $bytes))
    (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24))))

  ;; Prints each string from number $next on, behind a word of nine bytes.
  (func $print_strings (param $next i32) (param $word i32)
    (local $string i32) (local $end i32)
    (block $done
      (loop $more
        (br_if $done (i32.ge_u (local.get $next) (i32.load (i32.const 0))))
        (local.set $string
          (i32.load (i32.add (i32.const 1024) (i32.mul (local.get $next) (i32.const 4)))))
        (local.set $end (local.get $string))
        (loop $to_nul
          (if (i32.load8_u (local.get $end))
            (then
              (local.set $end (i32.add (local.get $end) (i32.const 1)))
              (br $to_nul))))
        (i32.store8 (local.get $end) (i32.const 10)) ;; the line's end instead of NUL
        (call $write (local.get $word) (i32.const 9))
        (call $write (local.get $string)
          (i32.sub (i32.add (local.get $end) (i32.const 1)) (local.get $string)))
        (local.set $next (i32.add (local.get $next) (i32.const 1)))
        (br $more))))

  (func (export "_start")
    ;; Argument 0 is the program's name.
    (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $args_get (i32.const 1024) (i32.const 8192)))
    (call $print_strings (i32.const 1) (i32.const 64))

    (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $environ_get (i32.const 1024) (i32.const 8192)))
    (call $print_strings (i32.const 0) (i32.const 73))

    (call $proc_exit (i32.const 0))))
