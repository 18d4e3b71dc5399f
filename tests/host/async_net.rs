//! The steps of `net_guest.rs` by the interfaces of WASI 0.3.

pub(super) const IMPORTS: &str = r#"
  (import "wasi:sockets/types@0.3.0" "[static]tcp-socket.create" (func $tcp_create (param i32 i32)))
  (import "wasi:sockets/types@0.3.0" "[method]tcp-socket.bind"
    (func $tcp_bind_to (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi:sockets/types@0.3.0" "[method]tcp-socket.connect"
    (func $tcp_connect_to (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi:sockets/types@0.3.0" "[method]tcp-socket.listen" (func $tcp_start_listen (param i32 i32)))
  (import "wasi:sockets/types@0.3.0" "[async-lower][stream-read-0][method]tcp-socket.listen"
    (func $tcp_take (param i32 i32 i32) (result i32)))
  (import "wasi:sockets/types@0.3.0" "[method]tcp-socket.send"
    (func $tcp_send (param i32 i32) (result i32)))
  (import "wasi:sockets/types@0.3.0" "[async-lower][future-read-1][method]tcp-socket.send"
    (func $tcp_outcome (param i32 i32) (result i32)))
  (import "wasi:sockets/types@0.3.0" "[future-drop-readable-1][method]tcp-socket.send"
    (func $drop_tcp_outcome (param i32)))
  (import "wasi:sockets/types@0.3.0" "[method]tcp-socket.receive" (func $tcp_receive (param i32 i32)))
  (import "wasi:sockets/types@0.3.0" "[method]tcp-socket.get-local-address"
    (func $tcp_local (param i32 i32)))
  (import "wasi:sockets/types@0.3.0" "[resource-drop]tcp-socket" (func $drop_tcp (param i32)))

  (import "wasi:sockets/types@0.3.0" "[static]udp-socket.create" (func $udp_create (param i32 i32)))
  (import "wasi:sockets/types@0.3.0" "[method]udp-socket.bind"
    (func $udp_bind_to (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi:sockets/types@0.3.0" "[method]udp-socket.connect"
    (func $udp_connect_to (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi:sockets/types@0.3.0" "[method]udp-socket.send"
    (func $udp_put (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi:sockets/types@0.3.0" "[method]udp-socket.receive" (func $udp_take (param i32 i32)))
  (import "wasi:sockets/types@0.3.0" "[method]udp-socket.get-local-address"
    (func $udp_local (param i32 i32)))

  (import "wasi:sockets/ip-name-lookup@0.3.0" "resolve-addresses"
    (func $resolve_addresses (param i32 i32 i32)))
"#;

pub(super) const FUNCTIONS: &str = r#"
  (global $sent_outcome (mut i32) (i32.const 0))
  (global $received_outcome (mut i32) (i32.const 0))
  (global $listener (mut i32) (i32.const 0))

  (func $tcp_new (param $family i32) (result i32)
    (call $tcp_create (local.get $family) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return (i32.const 0))))
    (global.set $socket (i32.load offset=4 (global.get $ret)))
    (i32.const 1))

  (func $tcp_connect (param $to i32)
    (if (i32.eqz (call $tcp_new (i32.load8_u (local.get $to)))) (then (return)))
    (call $tcp_connect_to (global.get $socket) (call $address (local.get $to)) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (call $drop_tcp (global.get $socket)) (return)))
    (call $tcp_streams)
    (call $say (global.get $connected)))

  (func $tcp_streams
    (local $ends i64)
    (local.set $ends (call $stream_new))
    (global.set $output (call $writable (local.get $ends)))
    (global.set $sent_outcome (call $tcp_send (global.get $socket) (i32.wrap_i64 (local.get $ends))))
    (call $tcp_receive (global.get $socket) (global.get $ret))
    (global.set $input (i32.load (global.get $ret)))
    (global.set $received_outcome (i32.load offset=4 (global.get $ret))))

  (func $tcp_bind (param $to i32)
    (if (i32.eqz (call $tcp_new (i32.load8_u (local.get $to)))) (then (return)))
    (call $tcp_bind_to (global.get $socket) (call $address (local.get $to)) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return)))
    (call $tcp_local (global.get $socket) (global.get $ret))
    (call $say_bound))

  (func $tcp_listen
    (call $tcp_start_listen (global.get $socket) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return)))
    (global.set $listener (i32.load offset=4 (global.get $ret)))
    (call $say (global.get $listening)))

  (func $tcp_accept
    (if (i32.shr_u
        (call $finished (global.get $listener)
          (call $tcp_take (global.get $listener) (global.get $ret) (i32.const 1)))
        (i32.const 4))
      (then
        (global.set $socket (i32.load (global.get $ret)))
        (call $tcp_streams)
        (call $say (global.get $accepted)))
      (else (call $say (global.get $closed)))))

  (func $tcp_close
    (call $drop_writable (global.get $output))
    (call $drop_readable (global.get $input))
    (call $drop_tcp_outcome (global.get $sent_outcome))
    (call $drop_tcp_outcome (global.get $received_outcome))
    (call $drop_tcp (global.get $socket)))

  ;; whether all of it could be sent
  (func $send (param $output i32) (param $at i32) (param $len i32) (result i32)
    (if (call $pour (local.get $output) (local.get $at) (local.get $len)) (then (return (i32.const 1))))
    (call $stream_end (global.get $sent_outcome))
    (i32.const 0))

  (func $stream_end (param $outcome i32)
    (drop (call $finished (local.get $outcome) (call $tcp_outcome (local.get $outcome) (global.get $ret))))
    (if (i32.eqz (call $went_wrong (i32.const 4))) (then (call $say (global.get $closed)))))

  ;; prints what one read gives; whether there can be more
  (func $receive (result i32)
    (local $status i32)
    (local.set $status (call $print_some (global.get $input)))
    (if (i32.eqz (i32.and (local.get $status) (i32.const 15))) (then (return (i32.const 1))))
    (call $stream_end (global.get $received_outcome))
    (i32.const 0))

  (func $print_some (param $stream i32) (result i32)
    (local $status i32)
    (local.set $status (call $finished (local.get $stream)
      (call $stream_read (local.get $stream) (i32.const 41000) (i32.const 4096))))
    (if (i32.shr_u (local.get $status) (i32.const 4))
      (then (call $write (i32.const 1) (i32.const 41000) (i32.shr_u (local.get $status) (i32.const 4)))))
    (local.get $status))

  (func $udp_new (param $family i32) (result i32)
    (call $udp_create (local.get $family) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return (i32.const 0))))
    (global.set $udp (i32.load offset=4 (global.get $ret)))
    (i32.const 1))

  (func $udp_bind (param $to i32)
    (if (i32.eqz (call $udp_new (i32.load8_u (local.get $to)))) (then (return)))
    (call $udp_bind_to (global.get $udp) (call $address (local.get $to)) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return)))
    (call $udp_local (global.get $udp) (global.get $ret))
    (call $say_bound))

  (func $udp_connect (param $at i32) (param $len i32) (param $to i32)
    (if (i32.eqz (call $udp_new (i32.load8_u (local.get $to)))) (then (return)))
    (call $udp_connect_to (global.get $udp) (call $address (local.get $to)) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return)))
    (call $udp_send (local.get $at) (local.get $len) (i32.const 0)))

  (func $udp_send_to (param $at i32) (param $len i32) (param $to i32)
    (if (i32.eqz (call $udp_new (i32.load8_u (local.get $to)))) (then (return)))
    (call $udp_send (local.get $at) (local.get $len) (local.get $to)))

  ;; one datagram, with an address unless $to is 0
  (func $udp_send (param $at i32) (param $len i32) (param $to i32)
    (call $udp_put (global.get $udp) (local.get $at) (local.get $len)
      (i32.ne (local.get $to) (i32.const 0)) (call $address (local.get $to)) (global.get $ret))
    (if (i32.eqz (call $went_wrong (i32.const 4))) (then (call $say (global.get $sent)))))

  (func $udp_receive
    (call $udp_take (global.get $udp) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return)))
    (call $write (i32.const 1) (i32.load offset=4 (global.get $ret)) (i32.load offset=8 (global.get $ret)))
    (call $say (global.get $newline)))

  (func $resolve (param $name i32) (param $len i32)
    (local $at i32) (local $end i32)
    (call $resolve_addresses (local.get $name) (local.get $len) (global.get $ret))
    (if (i32.load8_u (global.get $ret))
      (then
        (call $say (global.get $error))
        (call $say (i32.add (i32.const 33400)
          (i32.mul (i32.load8_u offset=4 (global.get $ret)) (i32.const 40))))
        (call $say (global.get $newline))
        (return)))
    (local.set $at (i32.load offset=4 (global.get $ret)))
    (local.set $end
      (i32.add (local.get $at) (i32.mul (i32.load offset=8 (global.get $ret)) (i32.const 18))))
    (if (i32.ne (local.get $at) (local.get $end)) (then (call $keep_address (local.get $at))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $at) (local.get $end)))
        (call $say_address (local.get $at))
        (local.set $at (i32.add (local.get $at) (i32.const 18)))
        (br $next)))
    (call $say (global.get $resolved)))
"#;

pub(super) const HTTP_IMPORTS: &str = r#"
  (import "$root" "[subtask-drop]" (func $subtask_drop (param i32)))

  (import "wasi:http/types@0.3.0" "[constructor]fields" (func $fields (result i32)))
  (import "wasi:http/types@0.3.0" "[method]fields.get" (func $field (param i32 i32 i32 i32)))
  (import "wasi:http/types@0.3.0" "[resource-drop]fields" (func $drop_fields (param i32)))
  (import "wasi:http/types@0.3.0" "[static]request.new"
    (func $request_new (param i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi:http/types@0.3.0" "[future-new-1][static]request.new" (func $trailers_new (result i64)))
  (import "wasi:http/types@0.3.0" "[async-lower][future-write-1][static]request.new"
    (func $trailers_write (param i32 i32) (result i32)))
  (import "wasi:http/types@0.3.0" "[method]request.set-method"
    (func $set_method (param i32 i32 i32 i32) (result i32)))
  (import "wasi:http/types@0.3.0" "[method]request.set-path-with-query"
    (func $set_path (param i32 i32 i32 i32) (result i32)))
  (import "wasi:http/types@0.3.0" "[method]request.set-scheme"
    (func $set_scheme (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi:http/types@0.3.0" "[method]request.set-authority"
    (func $set_authority (param i32 i32 i32 i32) (result i32)))
  (import "wasi:http/types@0.3.0" "[method]response.get-status-code"
    (func $response_status (param i32) (result i32)))
  (import "wasi:http/types@0.3.0" "[method]response.get-headers"
    (func $response_headers (param i32) (result i32)))
  (import "wasi:http/types@0.3.0" "[static]response.consume-body"
    (func $consume_body (param i32 i32 i32)))
  (import "wasi:http/types@0.3.0" "[future-new-0][static]response.consume-body"
    (func $consumed_new (result i64)))
  (import "wasi:http/types@0.3.0" "[async-lower][future-write-0][static]response.consume-body"
    (func $consumed_write (param i32 i32) (result i32)))
  (import "wasi:http/types@0.3.0" "[async-lower][future-read-2][static]response.consume-body"
    (func $trailers_read (param i32 i32) (result i32)))
  (import "wasi:http/types@0.3.0" "[resource-drop]response" (func $drop_response (param i32)))
  (import "wasi:http/client@0.3.0" "[async-lower]send" (func $request_send (param i32 i32) (result i32)))
"#;

/// What comes of a request is at $result; a result that says "fine", which is all zeros, at 39000.
pub(super) const HTTP_FUNCTIONS: &str = r#"
  (global $result (mut i32) (i32.const 38400))

  ;; a call that was begun has returned
  (func $returned (param $status i32)
    (local $subtask i32)
    (local.set $subtask (i32.shr_u (local.get $status) (i32.const 4)))
    (if (i32.eqz (local.get $subtask)) (then (return)))
    (loop $not_yet
      (br_if $not_yet (i32.ne (call $event (local.get $subtask)) (i32.const 2))))
    (call $subtask_drop (local.get $subtask)))

  ;; the request goes on, and the next one's result lies elsewhere
  (func $begin (param $status i32)
    (if (i32.and (i32.eq (local.get $status) (i32.const 2)) (i32.load8_u (global.get $result)))
      (then (call $http_error (i32.add (global.get $result) (i32.const 8))) (return)))
    (global.set $result (i32.add (global.get $result) (i32.const 40)))
    (call $say (global.get $begun)))

  (func $http (param $method i32) (param $scheme i32) (param $authority i32) (param $authority_len i32)
    (param $path i32) (param $path_len i32) (param $body i32) (param $body_len i32) (param $then i32)
    (local $ends i64) (local $trailers i64) (local $request i32) (local $status i32) (local $response i32)
    (call $keep_url (local.get $scheme) (local.get $authority) (local.get $authority_len)
      (local.get $path) (local.get $path_len))
    (loop $redirected
      (if (local.get $body_len) (then (local.set $ends (call $stream_new))))
      (local.set $trailers (call $trailers_new))
      (call $request_new (call $fields)
        (i32.ne (local.get $body_len) (i32.const 0)) (i32.wrap_i64 (local.get $ends))
        (i32.wrap_i64 (local.get $trailers)) (i32.const 0) (i32.const 0) (global.get $ret))
      ;; read when the body is at its end, which nobody waits for
      (drop (call $trailers_write (call $writable (local.get $trailers)) (i32.const 39000)))
      (local.set $request (i32.load (global.get $ret)))
      (if (i32.eqz (call $describe_request (local.get $request) (local.get $method))) (then (return)))
      (local.set $status (call $request_send (local.get $request) (global.get $result)))
      (if (i32.eq (local.get $then) (i32.const 2)) (then (call $begin (local.get $status)) (return)))
      (if (local.get $body_len)
        (then
          (drop (call $pour (call $writable (local.get $ends)) (local.get $body) (local.get $body_len)))
          (call $drop_writable (call $writable (local.get $ends)))))
      (call $returned (local.get $status))
      (if (i32.load8_u (global.get $result))
        (then (call $http_error (i32.add (global.get $result) (i32.const 8))) (return)))
      (local.set $response (i32.load offset=8 (global.get $result)))
      (call $say (global.get $status))
      (call $say_number (call $response_status (local.get $response)) (i32.const 10))
      (call $say (global.get $newline))
      (if (local.get $then)
        (then
          (if (call $take_location (call $response_headers (local.get $response)))
            (then (call $drop_response (local.get $response)) (br $redirected))))))
    (call $http_body (local.get $response)))

  (func $http_body (param $response i32)
    (local $consumed i64) (local $stream i32) (local $trailers i32)
    (local.set $consumed (call $consumed_new))
    (call $consume_body (local.get $response) (i32.wrap_i64 (local.get $consumed)) (global.get $ret))
    (local.set $stream (i32.load (global.get $ret)))
    (local.set $trailers (i32.load offset=4 (global.get $ret)))
    (loop $more
      (br_if $more (i32.eqz (i32.and (call $print_some (local.get $stream)) (i32.const 15)))))
    (call $drop_readable (local.get $stream))
    (drop (call $consumed_write (call $writable (local.get $consumed)) (i32.const 39000)))
    (drop (call $finished (local.get $trailers) (call $trailers_read (local.get $trailers) (global.get $result))))
    (if (i32.load8_u (global.get $result))
      (then (call $http_error (i32.add (global.get $result) (i32.const 8))))
      (else (call $say (global.get $end)))))
"#;
