//! Components that want memory of the host by what WASI 0.2 lets them begin, keep and give up again: none of it is
//! theirs, so `memory_limit` does not see it. And what else only components can do.

use crate::fault::Fault;

/// A host function as a core module imports it: its name there, its core type, and what it is made from. `MEMORY` in
/// that stands for the guest's memory.
struct Import<'a>(&'a str, &'a str, &'a str);

/// A component whose `run` is `body`, with `imports` of instances and the functions it takes from them. Its memory
/// has `pages`, with `data` at 1000.
fn component(imports: &str, functions: &[Import], pages: u32, data: &str, body: &str) -> String {
    let mut lowered = String::new();
    let mut taken = String::new();
    let mut given = String::new();
    for Import(name, core_type, from) in functions {
        let from = from
            .replace("MEMORY", "(memory (core memory $m \"memory\")) (realloc (core func $m \"realloc\"))");
        lowered.push_str(&format!("(core func ${name} (canon {from}))\n"));
        taken.push_str(&format!("(import \"host\" \"{name}\" (func ${name} {core_type}))\n"));
        given.push_str(&format!("(export \"{name}\" (func ${name}))\n"));
    }
    format!(
        r#"(component
          {imports}
          (core module $memory (memory (export "memory") {pages}) (data (i32.const 1000) "{data}")
            (global $free (mut i32) (i32.const 70000))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
              (global.get $free)
              (global.set $free
                (i32.add (global.get $free) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -8))))))
          (core instance $m (instantiate $memory))
          {lowered}
          (core module $main
            {taken}
            (import "m" "memory" (memory 1))
            (func (export "run") (result i32) (local $a i32) (local $b i32) {body} (i32.const 0)))
          (core instance $i (instantiate $main (with "host" (instance {given})) (with "m" (instance $m))))
          (func $run (result (result)) (canon lift (core func $i "run")))
          (instance $exported (export "run" (func $run)))
          (export "wasi:cli/run@0.2.3" (instance $exported)))"#
    )
}

const STDOUT: &str = r#"
  (import "wasi:io/error@0.2.3" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/streams@0.2.3" (instance $streams
    (export "output-stream" (type $stream (sub resource)))
    (alias outer 1 $error (type $e)) (export "error" (type $error (eq $e)))
    (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.write" (func
      (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.3" (instance $stdout
    (alias outer 1 $stream (type $s)) (export "output-stream" (type $stream (eq $s)))
    (export "get-stdout" (func (result (own $stream))))))"#;

const FILES: &str = r#"
  (import "wasi:filesystem/types@0.2.3" (instance $files
    (export "descriptor" (type $descriptor (sub resource)))
    (export "directory-entry-stream" (type $listing (sub resource)))
    (type $code (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist"
      "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop"
      "too-many-links" "message-size" "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory"
      "insufficient-space" "not-directory" "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device"
      "overflow" "not-permitted" "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $error-code (eq $code)))
    (export "[method]descriptor.read-directory" (func
      (param "self" (borrow $descriptor)) (result (result (own $listing) (error $error-code)))))))
  (alias export $files "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.3" (instance $preopens
    (alias outer 1 $descriptor (type $d)) (export "descriptor" (type $descriptor (eq $d)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))"#;

const NAMES: &str = r#"
  (import "wasi:sockets/network@0.2.3" (instance $network
    (export "network" (type (sub resource)))
    (type $code (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
      "address-not-bindable" "address-in-use" "remote-unreachable" "connection-refused" "connection-reset"
      "connection-aborted" "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
      "permanent-resolver-failure"))
    (export "error-code" (type (eq $code)))))
  (alias export $network "network" (type $network))
  (alias export $network "error-code" (type $error-code))
  (import "wasi:sockets/instance-network@0.2.3" (instance $instance
    (alias outer 1 $network (type $n)) (export "network" (type $network (eq $n)))
    (export "instance-network" (func (result (own $network))))))
  (import "wasi:sockets/ip-name-lookup@0.2.3" (instance $names
    (alias outer 1 $network (type $n)) (export "network" (type $network (eq $n)))
    (alias outer 1 $error-code (type $e)) (export "error-code" (type $error-code (eq $e)))
    (export "resolve-address-stream" (type $addresses (sub resource)))
    (export "resolve-addresses" (func (param "network" (borrow $network)) (param "name" string)
      (result (result (own $addresses) (error $error-code)))))))
  (alias export $names "resolve-address-stream" (type $addresses))"#;

const HTTP: &str = r#"
  (import "wasi:http/types@0.2.3" (instance $types
    (export "fields" (type $fields (sub resource)))
    (export "outgoing-request" (type $request (sub resource)))
    (export "request-options" (type $options (sub resource)))
    (export "future-incoming-response" (type $response (sub resource)))
    (type $dns (record (field "rcode" (option string)) (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dnsx (eq $dns)))
    (type $tls (record (field "alert-id" (option u8)) (field "alert-message" (option string)))) (export
      "TLS-alert-received-payload" (type $tlsx (eq $tls)))
    (type $fsp (record (field "field-name" (option string)) (field "field-size" (option u32)))) (export
      "field-size-payload" (type $fspx (eq $fsp)))
    (type $ec (variant (case "DNS-timeout") (case "DNS-error" $dnsx) (case "destination-not-found") (case
      "destination-unavailable") (case "destination-IP-prohibited") (case "destination-IP-unroutable") (case
      "connection-refused") (case "connection-terminated") (case "connection-timeout") (case
      "connection-read-timeout") (case "connection-write-timeout") (case "connection-limit-reached") (case
      "TLS-protocol-error") (case "TLS-certificate-error") (case "TLS-alert-received" $tlsx) (case
      "HTTP-request-denied") (case "HTTP-request-length-required") (case "HTTP-request-body-size" (option
      u64)) (case "HTTP-request-method-invalid") (case "HTTP-request-URI-invalid") (case
      "HTTP-request-URI-too-long") (case "HTTP-request-header-section-size" (option u32)) (case
      "HTTP-request-header-size" (option $fspx)) (case "HTTP-request-trailer-section-size" (option u32))
      (case "HTTP-request-trailer-size" $fspx) (case "HTTP-response-incomplete") (case
      "HTTP-response-header-section-size" (option u32)) (case "HTTP-response-header-size" $fspx) (case
      "HTTP-response-body-size" (option u64)) (case "HTTP-response-trailer-section-size" (option u32)) (case
      "HTTP-response-trailer-size" $fspx) (case "HTTP-response-transfer-coding" (option string)) (case
      "HTTP-response-content-coding" (option string)) (case "HTTP-response-timeout") (case
      "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected") (case
      "configuration-error") (case "internal-error" (option string))))
    (export "error-code" (type $error-code (eq $ec)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[constructor]outgoing-request" (func (param "headers" (own $fields)) (result (own $request))))
    (type $method (variant (case "get") (case "head") (case "post") (case "put") (case "delete") (case "connect")
      (case "options") (case "trace") (case "patch") (case "other" string)))
    (export "method" (type $methodx (eq $method)))
    (export "[method]outgoing-request.set-method" (func
      (param "self" (borrow $request)) (param "method" $methodx) (result (result))))
    (export "[method]outgoing-request.set-authority" (func
      (param "self" (borrow $request)) (param "authority" (option string)) (result (result))))
    (export "[method]outgoing-request.set-path-with-query" (func
      (param "self" (borrow $request)) (param "path-with-query" (option string)) (result (result))))))
  (alias export $types "outgoing-request" (type $request))
  (alias export $types "request-options" (type $options))
  (alias export $types "future-incoming-response" (type $response))
  (alias export $types "error-code" (type $error-code))
  (import "wasi:http/outgoing-handler@0.2.3" (instance $handler
    (alias outer 1 $request (type $a)) (export "outgoing-request" (type $request (eq $a)))
    (alias outer 1 $options (type $b)) (export "request-options" (type $options (eq $b)))
    (alias outer 1 $response (type $c)) (export "future-incoming-response" (type $response (eq $c)))
    (alias outer 1 $error-code (type $d)) (export "error-code" (type $error-code (eq $d)))
    (export "handle" (func (param "request" (own $request)) (param "options" (option (own $options)))
      (result (result (own $response) (error $error-code)))))))"#;

const NEW_FIELDS: Import = Import("fields", "(result i32)", "lower (func $types \"[constructor]fields\")");
const NEW_REQUEST: Import =
    Import("request", "(param i32) (result i32)", "lower (func $types \"[constructor]outgoing-request\")");

/// Of WASI 0.3: begins to write 3000 bytes to a stream, and returns.
const LEAVES_3000_BYTES: &str = r#"
(component
  (import "wasi:cli/types@0.3.0" (instance $types
    (type $code (enum "io" "illegal-byte-sequence" "pipe")) (export "error-code" (type (eq $code)))))
  (alias export $types "error-code" (type $error-code))
  (type $bytes (stream u8))
  (import "wasi:cli/stdout@0.3.0" (instance $stdout
    (alias outer 1 $error-code (type $e)) (export "error-code" (type $code (eq $e)))
    (type $contents (stream u8)) (type $ended (result (error $code))) (type $end (future $ended))
    (export "write-via-stream" (func (param "data" $contents) (result $end)))))
  (core module $memory (memory (export "memory") 1))
  (core instance $m (instantiate $memory))
  (core func $new (canon stream.new $bytes))
  (core func $write (canon stream.write $bytes async (memory (core memory $m "memory"))))
  (core func $print (canon lower (func $stdout "write-via-stream")))
  (type $done (result))
  (core func $return (canon task.return (result $done)))
  (core module $main
    (import "m" "memory" (memory 1))
    (import "host" "new" (func $new (result i64)))
    (import "host" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "host" "print" (func $print (param i32) (result i32)))
    (import "host" "return" (func $return (param i32)))
    (func (export "run") (result i32) (local $ends i64)
      (memory.fill (i32.const 0) (i32.const 120) (i32.const 3000))
      (local.set $ends (call $new))
      (drop (call $print (i32.wrap_i64 (local.get $ends))))
      (drop (call $write
        (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))) (i32.const 0) (i32.const 3000)))
      (call $return (i32.const 0))
      (i32.const 0))
    (func (export "go-on") (param i32 i32 i32) (result i32) unreachable))
  (core instance $i (instantiate $main (with "m" (instance $m)) (with "host" (instance
    (export "new" (func $new)) (export "write" (func $write)) (export "print" (func $print))
    (export "return" (func $return))))))
  (func $run async (result $done) (canon lift (core func $i "run") async (callback (core func $i "go-on"))))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.3.0" (instance $exported)))"#;

/// Far more than the host and one of these guests need, and far less than one would take in two seconds.
const BELOW_KB: u64 = 250_000;

fn two_seconds_of(component: &str) -> Fault {
    Fault::program("guest.wat", component)
        .option("timeout", "2")
        .says("this run took longer than timeout (2 s)")
        .leaves_memory_below(BELOW_KB)
}

/// Requests that are kept, each with something of three megabytes that the host holds.
fn requests_with(what: &str, case: &str) -> Fault {
    let set = format!("lower (func $types \"[method]outgoing-request.set-{what}\") MEMORY");
    let guest = component(
        HTTP,
        &[NEW_FIELDS, NEW_REQUEST, Import("set", "(param i32 i32 i32 i32) (result i32)", &set)],
        60,
        "",
        &format!(
            "(memory.fill (i32.const 100000) (i32.const 65) (i32.const 3000000))
             (loop $more
               (drop (call $set (call $request (call $fields)) {case} (i32.const 100000) (i32.const 3000000)))
               (local.set $b (i32.add (local.get $b) (i32.const 1)))
               (br_if $more (i32.lt_u (local.get $b) (i32.const 150))))
             (loop $ever (br $ever))"
        ),
    );
    two_seconds_of(&guest).option("memory_limit", "4M")
}

rows! {
    a_component_that_writes_without_asking => Fault::program("guest.wat", component(
        STDOUT,
        &[
            Import("get", "(result i32)", "lower (func $stdout \"get-stdout\")"),
            Import("write", "(param i32 i32 i32 i32)", "lower (func $streams \"[method]output-stream.write\") MEMORY"),
        ],
        20,
        "",
        "(local.set $a (call $get))
         (loop $more (call $write (local.get $a) (i32.const 65536) (i32.const 1000000) (i32.const 16)) (br $more))",
    ))
        .says("it wrote more to an output stream than check-write had permitted")
        .leaves_memory_below(BELOW_KB);

    requests_begun_and_given_up => two_seconds_of(&component(
        HTTP,
        &[
            NEW_FIELDS,
            NEW_REQUEST,
            Import(
                "authority",
                "(param i32 i32 i32 i32) (result i32)",
                "lower (func $types \"[method]outgoing-request.set-authority\") MEMORY",
            ),
            Import(
                "path",
                "(param i32 i32 i32 i32) (result i32)",
                "lower (func $types \"[method]outgoing-request.set-path-with-query\") MEMORY",
            ),
            Import("handle", "(param i32 i32 i32 i32)", "lower (func $handler \"handle\") MEMORY"),
            Import("drop", "(param i32)", "resource.drop $response"),
        ],
        10,
        "example.org",
        "(memory.fill (i32.const 300000) (i32.const 97) (i32.const 8000))
         (i32.store8 (i32.const 300000) (i32.const 47))
         (loop $more
           (local.set $a (call $request (call $fields)))
           (drop (call $authority (local.get $a) (i32.const 1) (i32.const 1000) (i32.const 11)))
           (drop (call $path (local.get $a) (i32.const 1) (i32.const 300000) (i32.const 8000)))
           (call $handle (local.get $a) (i32.const 0) (i32.const 0) (i32.const 16))
           (if (i32.load8_u (i32.const 16)) (then unreachable))
           (call $drop (i32.load (i32.const 24)))
           (br $more))",
    ));

    methods_as_long_as_the_memory => requests_with(
        "method",
        // other(…)
        "(i32.const 9)",
    );

    hosts_as_long_as_the_memory => requests_with(
        "authority",
        // some(…)
        "(i32.const 1)",
    );

    names_looked_up_and_given_up => two_seconds_of(&component(
        NAMES,
        &[
            Import("network", "(result i32)", "lower (func $instance \"instance-network\")"),
            Import("resolve", "(param i32 i32 i32 i32)", "lower (func $names \"resolve-addresses\") MEMORY"),
            Import("drop", "(param i32)", "resource.drop $addresses"),
        ],
        2,
        "a-name-that-nobody-has.example.org",
        "(local.set $a (call $network))
         (loop $more
           (call $resolve (local.get $a) (i32.const 1000) (i32.const 34) (i32.const 16))
           (if (i32.eqz (i32.load8_u (i32.const 16))) (then (call $drop (i32.load (i32.const 20)))))
           (br $more))",
    ))
        .option("allow_hosts", "*.example.org");

    listings_begun_and_kept => {
        let fault = two_seconds_of(&component(
            FILES,
            &[
                Import("directories", "(param i32)", "lower (func $preopens \"get-directories\") MEMORY"),
                Import("read", "(param i32 i32)", "lower (func $files \"[method]descriptor.read-directory\") MEMORY"),
            ],
            2,
            "",
            "(call $directories (i32.const 16))
             (local.set $a (i32.load (i32.load (i32.const 16))))
             (loop $more
               (call $read (local.get $a) (i32.const 64))
               (br_if $more (i32.eqz (i32.load8_u (i32.const 64)))))
             ;; insufficient-memory
             (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 22)) (then unreachable))
             (loop $ever (br $ever))",
        ))
        .directories("data:ro");
        for number in 0..2_000 {
            fault.scene.file(&format!("data/a-file-with-quite-a-long-name-{number}"), "");
        }
        fault
    };

    // What it has written beyond the limit is not there, so the run was none that did what it should.
    a_stream_that_is_left_with_more_than_may_be_written => Fault::program("guest.wat", LEAVES_3000_BYTES)
        .option("output_limit", "1000")
        .says("this run reached output_limit (1000)");

    // Its neighbours need some as well.
    a_component_of_very_many_instances => Fault::program("guest.wat", component(
        &format!("(core module $empty) {}", "(core instance (instantiate $empty))".repeat(200)), &[], 1, "", ""
    ))
        .says("instance count too high");
}
