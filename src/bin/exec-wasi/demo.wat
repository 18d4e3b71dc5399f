;; What `exec-wasi` shows when it is started without arguments: a program that
;; prints three lines and ends. WASI 0.1 in its plainest form, as text.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)

  ;; One buffer for fd_write: where the text is and how long.
  (data (i32.const 0) "\10\00\00\00\5d\00\00\00")
  (data (i32.const 16) "Hello from WebAssembly!\n")
  (data (i32.const 40) "Every line a program prints becomes a record.\n")
  (data (i32.const 86) "That was the last one.\n")

  (func (export "_start")
    ;; File 1 is standard output; the number of bytes written goes to address 8.
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
