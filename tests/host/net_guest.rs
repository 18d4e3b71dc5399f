//! Steps of test guests that use a network, by the interfaces of WASI 0.2. A guest with such a step is a
//! component, whatever the others are.
//!
//! Each step prints what came of it on a line: `connected`, `sent`, …, or `error` and the name of the error
//! code as WIT has it, such as `error access-denied`. There is one connection at a time to speak of, the
//! last one; connections before it stay open unless they are closed.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use wit_parser::{Resolve, TypeDefKind};

use super::Guest;

/// The interfaces that these steps import.
pub(super) const WIT: &str = include_str!("network.wit");

/// What the steps say, each a global of its name in the guest.
const WORDS: [(&str, &str); 19] = [
    ("accepted", "accepted\n"),
    ("address", "address "),
    ("begun", "begun\n"),
    ("bound", "bound to port "),
    ("closed", "closed\n"),
    ("colon", ":"),
    ("connected", "connected\n"),
    ("dot", "."),
    ("end", "end\n"),
    ("error", "error "),
    ("failed", "failed"),
    ("listening", "listening\n"),
    ("location_name", "location"),
    ("location", "location "),
    ("newline", "\n"),
    ("resolved", "resolved\n"),
    ("sent", "sent\n"),
    ("space", " "),
    ("status", "status "),
];

/// Bytes for each word and name, a NUL behind it included.
const SLOT: usize = 40;

impl Guest {
    /// Connects: `connected` or an error.
    pub fn tcp_connect(self, to: &str) -> Self {
        self.network_step_at("tcp_connect", to)
    }

    /// Connects to the first address of the last [`Guest::resolve`].
    pub fn tcp_connect_found(self, port: u16) -> Self {
        self.network_step(&format!(
            "(call $found_port (i32.const {port})) (call $tcp_connect (i32.const 36800))"
        ))
    }

    /// Binds a new TCP socket: `bound to port N` or an error.
    pub fn tcp_bind(self, to: &str) -> Self {
        self.network_step_at("tcp_bind", to)
    }

    /// Listens on the last TCP socket: `listening` or an error.
    pub fn tcp_listen(self) -> Self {
        self.network_step("(call $tcp_listen)")
    }

    /// Waits for a connection to the listening socket: `accepted` or an error.
    pub fn tcp_accept(self) -> Self {
        self.network_step("(call $tcp_accept)")
    }

    /// Sends over the last connection; says something only if that fails.
    pub fn tcp_send(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let (at, len) = self.place(bytes.as_ref());
        self.network_step(&format!(
            "(drop (call $send (global.get $output) (i32.const {at}) (i32.const {len})))"
        ))
    }

    /// Prints what one read gives, as it is, or `closed`, or `error failed`.
    pub fn tcp_receive(self) -> Self {
        self.network_step("(drop (call $receive))")
    }

    /// Prints all that comes, as it is, then `closed` or `error failed`.
    pub fn tcp_receive_all(self) -> Self {
        self.network_step("(loop $more (br_if $more (call $receive)))")
    }

    /// Closes the last connection.
    pub fn tcp_close(self) -> Self {
        self.network_step("(call $tcp_close)")
    }

    /// Sends a datagram from a new socket connected to this address: `sent` or an error.
    pub fn udp_send(mut self, to: &str, bytes: impl AsRef<[u8]>) -> Self {
        let (at, len) = self.place(bytes.as_ref());
        self.network_step_at(&format!("udp_connect (i32.const {at}) (i32.const {len})"), to)
    }

    /// Sends a datagram from a new socket that is connected to none: `sent` or an error.
    pub fn udp_send_to(mut self, to: &str, bytes: impl AsRef<[u8]>) -> Self {
        let (at, len) = self.place(bytes.as_ref());
        self.network_step_at(&format!("udp_send_to (i32.const {at}) (i32.const {len})"), to)
    }

    /// Binds a new UDP socket: `bound to port N` or an error.
    pub fn udp_bind(self, to: &str) -> Self {
        self.network_step_at("udp_bind", to)
    }

    /// Waits for a datagram to the last UDP socket and prints it with a newline, or an error.
    pub fn udp_receive(self) -> Self {
        self.network_step("(call $udp_receive)")
    }

    /// Looks a name up: `address A` for each address (of IPv6 all eight groups), then `resolved`; or an error.
    pub fn resolve(mut self, name: &str) -> Self {
        let (at, len) = self.place(name.as_bytes());
        self.network_step(&format!("(call $resolve (i32.const {at}) (i32.const {len}))"))
    }

    /// A request: `status N`, the body as it comes, then `end`; or an error, with its text if it has one.
    pub fn http_get(self, url: &str) -> Self {
        self.http(url, 0, b"", 0)
    }

    /// The same, and where the answer has a `Location`, prints `location URL` and goes there, as a guest
    /// has to by itself.
    pub fn http_get_following(self, url: &str) -> Self {
        self.http(url, 0, b"", 1)
    }

    /// A request whose answer nobody waits for: `begun` or an error.
    pub fn http_begin(self, url: &str) -> Self {
        self.http(url, 0, b"", 2)
    }

    /// A request that asks a server to connect to another one.
    pub fn http_connect(self, url: &str) -> Self {
        self.http(url, 5, b"", 0)
    }

    /// A request with a body.
    pub fn http_post(self, url: &str, body: impl AsRef<[u8]>) -> Self {
        self.http(url, 2, body.as_ref(), 0)
    }

    fn http(mut self, url: &str, method: u32, body: &[u8], then: u32) -> Self {
        let (scheme, rest) = url.split_once("://").expect("a scheme");
        let (authority, path) = rest.split_at(rest.find('/').expect("a path"));
        let scheme = u32::from(scheme == "https");
        let parts = [authority.as_bytes(), path.as_bytes(), body].map(|part| self.place(part));
        let mut places = String::new();
        for (at, len) in parts {
            let _ = write!(places, "(i32.const {at}) (i32.const {len}) ");
        }
        self.http = true;
        self.network_step(&format!(
            "(call $http (i32.const {method}) (i32.const {scheme}) {places} (i32.const {then}))"
        ))
    }

    fn network_step_at(mut self, call: &str, address: &str) -> Self {
        let address = address.parse().expect("an address and a port");
        let (at, _) = self.place(&in_memory(address));
        self.network_step(&format!("(call ${call} (i32.const {at}))"))
    }

    fn network_step(mut self, code: &str) -> Self {
        self.network = true;
        self.raw("(call $forget)").raw(code)
    }
}

/// An `ip-socket-address` as it lies in memory.
fn in_memory(address: SocketAddr) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[4..6].copy_from_slice(&address.port().to_le_bytes());
    match address.ip() {
        IpAddr::V4(ip) => bytes[6..10].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => {
            bytes[0] = 1;
            for (n, group) in ip.segments().into_iter().enumerate() {
                bytes[12 + 2 * n..14 + 2 * n].copy_from_slice(&group.to_le_bytes());
            }
        }
    }
    bytes
}

/// Names of error codes and what else the steps say, as data and globals.
pub(super) fn words(wit: &str) -> String {
    let mut resolve = Resolve::default();
    resolve.push_str("guest.wit", wit).expect("WIT");
    let mut text = String::new();
    for (interface, at) in [
        ("wasi:sockets/network", 32768),
        ("wasi:sockets/types", 32768),
        ("wasi:sockets/ip-name-lookup", 33400),
        ("wasi:http/types", 34000),
    ] {
        for (n, name) in error_codes(&resolve, interface).into_iter().flatten().enumerate() {
            let at = at + n * SLOT;
            let _ = writeln!(text, "(data (i32.const {at}) \"{name}\\00\")");
        }
    }
    for (n, (name, word)) in WORDS.iter().enumerate() {
        let at = 36000 + n * SLOT;
        let word = word.replace('\n', "\\0a");
        let _ =
            writeln!(text, "(data (i32.const {at}) \"{word}\\00\") (global ${name} i32 (i32.const {at}))");
    }
    text
}

/// None if this world has no such codes.
fn error_codes(resolve: &Resolve, interface: &str) -> Option<Vec<String>> {
    let has_name = |id: &wit_parser::InterfaceId| {
        resolve.id_of(*id).is_some_and(|name| name.split('@').next() == Some(interface))
    };
    let id = resolve.interfaces.iter().map(|(id, _)| id).find(has_name)?;
    match &resolve.types[*resolve.interfaces[id].types.get("error-code")?].kind {
        TypeDefKind::Enum(codes) => Some(codes.cases.iter().map(|case| case.name.clone()).collect()),
        TypeDefKind::Variant(codes) => Some(codes.cases.iter().map(|case| case.name.clone()).collect()),
        // It is used here and defined elsewhere.
        _ => None,
    }
}

pub(super) const IMPORTS: &str = r#"
  (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:io/poll@0.2.0" "[resource-drop]pollable" (func $drop_pollable (param i32)))
  (import "wasi:io/error@0.2.0" "[resource-drop]error" (func $drop_error (param i32)))
  (import "wasi:io/streams@0.2.0" "[method]input-stream.blocking-read"
    (func $blocking_read (param i32 i64 i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
    (func $blocking_write (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.0" "[resource-drop]input-stream" (func $drop_input (param i32)))
  (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $drop_output (param i32)))

  (import "wasi:sockets/instance-network@0.2.0" "instance-network" (func $instance_network (result i32)))
  (import "wasi:sockets/ip-name-lookup@0.2.0" "resolve-addresses"
    (func $resolve_addresses (param i32 i32 i32 i32)))
  (import "wasi:sockets/ip-name-lookup@0.2.0" "[method]resolve-address-stream.resolve-next-address"
    (func $next_address (param i32 i32)))
  (import "wasi:sockets/ip-name-lookup@0.2.0" "[method]resolve-address-stream.subscribe"
    (func $lookup_ready (param i32) (result i32)))
  (import "wasi:sockets/ip-name-lookup@0.2.0" "[resource-drop]resolve-address-stream"
    (func $drop_lookup (param i32)))

  (import "wasi:sockets/tcp-create-socket@0.2.0" "create-tcp-socket" (func $tcp_create (param i32 i32)))
  (import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.start-bind"
    (func $tcp_start_bind (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.finish-bind" (func $tcp_finish_bind (param i32 i32)))
  (import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.start-connect"
    (func $tcp_start_connect (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.finish-connect"
    (func $tcp_finish_connect (param i32 i32)))
  (import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.start-listen" (func $tcp_start_listen (param i32 i32)))
  (import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.finish-listen"
    (func $tcp_finish_listen (param i32 i32)))
  (import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.accept" (func $tcp_take (param i32 i32)))
  (import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.local-address" (func $tcp_local (param i32 i32)))
  (import "wasi:sockets/tcp@0.2.0" "[method]tcp-socket.subscribe" (func $tcp_ready (param i32) (result i32)))
  (import "wasi:sockets/tcp@0.2.0" "[resource-drop]tcp-socket" (func $drop_tcp (param i32)))

  (import "wasi:sockets/udp-create-socket@0.2.0" "create-udp-socket" (func $udp_create (param i32 i32)))
  (import "wasi:sockets/udp@0.2.0" "[method]udp-socket.start-bind"
    (func $udp_start_bind (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi:sockets/udp@0.2.0" "[method]udp-socket.finish-bind" (func $udp_finish_bind (param i32 i32)))
  (import "wasi:sockets/udp@0.2.0" "[method]udp-socket.stream"
    (func $udp_stream (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi:sockets/udp@0.2.0" "[method]udp-socket.local-address" (func $udp_local (param i32 i32)))
  (import "wasi:sockets/udp@0.2.0" "[resource-drop]udp-socket" (func $drop_udp (param i32)))
  (import "wasi:sockets/udp@0.2.0" "[method]incoming-datagram-stream.receive"
    (func $udp_take (param i32 i64 i32)))
  (import "wasi:sockets/udp@0.2.0" "[method]incoming-datagram-stream.subscribe"
    (func $udp_in_ready (param i32) (result i32)))
  (import "wasi:sockets/udp@0.2.0" "[method]outgoing-datagram-stream.check-send"
    (func $udp_check_send (param i32 i32)))
  (import "wasi:sockets/udp@0.2.0" "[method]outgoing-datagram-stream.send"
    (func $udp_put (param i32 i32 i32 i32)))
  (import "wasi:sockets/udp@0.2.0" "[method]outgoing-datagram-stream.subscribe"
    (func $udp_out_ready (param i32) (result i32)))
"#;

pub(super) const HTTP_IMPORTS: &str = r#"
  (import "wasi:http/types@0.2.0" "[constructor]fields" (func $fields (result i32)))
  (import "wasi:http/types@0.2.0" "[method]fields.get" (func $field (param i32 i32 i32 i32)))
  (import "wasi:http/types@0.2.0" "[resource-drop]fields" (func $drop_fields (param i32)))
  (import "wasi:http/types@0.2.0" "[constructor]outgoing-request"
    (func $outgoing_request (param i32) (result i32)))
  (import "wasi:http/types@0.2.0" "[method]outgoing-request.body" (func $request_body (param i32 i32)))
  (import "wasi:http/types@0.2.0" "[method]outgoing-request.set-method"
    (func $set_method (param i32 i32 i32 i32) (result i32)))
  (import "wasi:http/types@0.2.0" "[method]outgoing-request.set-path-with-query"
    (func $set_path (param i32 i32 i32 i32) (result i32)))
  (import "wasi:http/types@0.2.0" "[method]outgoing-request.set-scheme"
    (func $set_scheme (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi:http/types@0.2.0" "[method]outgoing-request.set-authority"
    (func $set_authority (param i32 i32 i32 i32) (result i32)))
  (import "wasi:http/types@0.2.0" "[method]outgoing-body.write" (func $body_write (param i32 i32)))
  (import "wasi:http/types@0.2.0" "[static]outgoing-body.finish"
    (func $body_finish (param i32 i32 i32 i32)))
  (import "wasi:http/types@0.2.0" "[resource-drop]outgoing-body" (func $drop_outgoing_body (param i32)))
  (import "wasi:http/types@0.2.0" "[method]future-incoming-response.subscribe"
    (func $response_ready (param i32) (result i32)))
  (import "wasi:http/types@0.2.0" "[method]future-incoming-response.get"
    (func $response_get (param i32 i32)))
  (import "wasi:http/types@0.2.0" "[resource-drop]future-incoming-response"
    (func $drop_future_response (param i32)))
  (import "wasi:http/types@0.2.0" "[method]incoming-response.status"
    (func $response_status (param i32) (result i32)))
  (import "wasi:http/types@0.2.0" "[method]incoming-response.headers"
    (func $response_headers (param i32) (result i32)))
  (import "wasi:http/types@0.2.0" "[method]incoming-response.consume"
    (func $response_consume (param i32 i32)))
  (import "wasi:http/types@0.2.0" "[resource-drop]incoming-response" (func $drop_response (param i32)))
  (import "wasi:http/types@0.2.0" "[method]incoming-body.stream" (func $body_stream (param i32 i32)))
  (import "wasi:http/types@0.2.0" "[resource-drop]incoming-body" (func $drop_incoming_body (param i32)))
  (import "wasi:http/types@0.2.0" "http-error-code" (func $http_error_code (param i32 i32)))
  (import "wasi:http/outgoing-handler@0.2.0" "handle" (func $handle (param i32 i32 i32 i32)))
"#;

/// Where the host puts things.
pub(super) const MEMORY: &str = r#"
  (global $free (mut i32) (i32.const 41000))

  ;; what the host has put into memory isn't needed any more
  (func $forget (global.set $free (i32.const 41000)))

  (func (export "cabi_realloc") (param $old i32) (param $was i32) (param $align i32) (param $len i32)
    (result i32)
    (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $len)))
    (if (i32.gt_u (global.get $free) (i32.const 65536)) (then unreachable))
    (local.get $at))
"#;

/// What the steps have in common in all worlds. In the first 64 KiB of memory: names of error codes from
/// 32768, 33400 and 34000, words from 36000, what functions return at $ret, the address that was found at
/// 36800, a decimal number up to 36912, a datagram at 36928, a location at 40000, and from 41000 what the
/// host puts there.
pub(super) const COMMON: &str = r#"
  (global $ret i32 (i32.const 36736))
  (global $socket (mut i32) (i32.const 0))
  (global $input (mut i32) (i32.const 0))
  (global $output (mut i32) (i32.const 0))
  (global $udp (mut i32) (i32.const 0))

  (func $say (param $word i32)
    (local $end i32)
    (local.set $end (local.get $word))
    (loop $long
      (if (i32.load8_u (local.get $end))
        (then (local.set $end (i32.add (local.get $end) (i32.const 1))) (br $long))))
    (call $write (i32.const 1) (local.get $word) (i32.sub (local.get $end) (local.get $word))))

  (func $say_number (param $number i32) (param $base i32)
    (local $at i32) (local $digit i32)
    (local.set $at (i32.const 36912))
    (loop $more
      (local.set $digit (i32.rem_u (local.get $number) (local.get $base)))
      (local.set $number (i32.div_u (local.get $number) (local.get $base)))
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (local.get $digit)
        (select (i32.const 48) (i32.const 87) (i32.lt_u (local.get $digit) (i32.const 10)))))
      (br_if $more (local.get $number)))
    (call $write (i32.const 1) (local.get $at) (i32.sub (i32.const 36912) (local.get $at))))

  (func $socket_error (param $code i32)
    (call $say (global.get $error))
    (call $say (i32.add (i32.const 32768) (i32.mul (local.get $code) (i32.const 40))))
    (call $say (global.get $newline)))

  ;; the socket address in memory at $at, as parameters: which kind, port, and what the kind has
  (func $address (param $at i32) (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)
    (if (result i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (i32.load8_u (local.get $at))
      (then
        (i32.const 1)
        (i32.load16_u offset=4 (local.get $at)) (i32.load offset=8 (local.get $at))
        (i32.load16_u offset=12 (local.get $at)) (i32.load16_u offset=14 (local.get $at))
        (i32.load16_u offset=16 (local.get $at)) (i32.load16_u offset=18 (local.get $at))
        (i32.load16_u offset=20 (local.get $at)) (i32.load16_u offset=22 (local.get $at))
        (i32.load16_u offset=24 (local.get $at)) (i32.load16_u offset=26 (local.get $at))
        (i32.load offset=28 (local.get $at)))
      (else
        (i32.const 0)
        (i32.load16_u offset=4 (local.get $at))
        (i32.load8_u offset=6 (local.get $at)) (i32.load8_u offset=7 (local.get $at))
        (i32.load8_u offset=8 (local.get $at)) (i32.load8_u offset=9 (local.get $at))
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))

  ;; whether the call before it failed, its error code $offset behind $ret; if so, says it
  (func $went_wrong (param $offset i32) (result i32)
    (if (i32.load8_u (global.get $ret))
      (then (call $socket_error (i32.load8_u (i32.add (global.get $ret) (local.get $offset))))))
    (i32.load8_u (global.get $ret)))

  (func $say_bound
    (if (call $went_wrong (i32.const 4)) (then (return)))
    (call $say (global.get $bound))
    (call $say_number (i32.load16_u offset=8 (global.get $ret)) (i32.const 10))
    (call $say (global.get $newline)))

  ;; the `ip-address` in memory at $at becomes the socket address at 36800
  (func $keep_address (param $at i32)
    (memory.fill (i32.const 36800) (i32.const 0) (i32.const 32))
    (if (i32.load8_u (local.get $at))
      (then
        (i32.store8 (i32.const 36800) (i32.const 1))
        (memory.copy (i32.const 36812) (i32.add (local.get $at) (i32.const 2)) (i32.const 16)))
      (else (memory.copy (i32.const 36806) (i32.add (local.get $at) (i32.const 2)) (i32.const 4)))))

  (func $found_port (param $port i32)
    (i32.store16 (i32.const 36804) (local.get $port)))

  (func $say_address (param $at i32)
    (local $n i32)
    (call $say (global.get $address))
    (if (i32.load8_u (local.get $at))
      (then
        (loop $group
          (if (local.get $n) (then (call $say (global.get $colon))))
          (call $say_number
            (i32.load16_u offset=2 (i32.add (local.get $at) (i32.shl (local.get $n) (i32.const 1))))
            (i32.const 16))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $group (i32.lt_u (local.get $n) (i32.const 8)))))
      (else
        (loop $byte
          (if (local.get $n) (then (call $say (global.get $dot))))
          (call $say_number (i32.load8_u offset=2 (i32.add (local.get $at) (local.get $n))) (i32.const 10))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br_if $byte (i32.lt_u (local.get $n) (i32.const 4))))))
    (call $say (global.get $newline)))
"#;

pub(super) const FUNCTIONS: &str = r#"
  (global $network (mut i32) (i32.const 0))
  (global $udp_in (mut i32) (i32.const 0))
  (global $udp_out (mut i32) (i32.const 0))

  ;; the adapter's own memory, which is never forgotten
  (func (export "cabi_realloc_adapter") (param i32 i32 i32) (param $len i32) (result i32)
    (local $page i32)
    (local.set $page (memory.grow
      (i32.shr_u (i32.add (local.get $len) (i32.const 65535)) (i32.const 16))))
    (if (i32.lt_s (local.get $page) (i32.const 0)) (then unreachable))
    (i32.shl (local.get $page) (i32.const 16)))

  (func $the_network (result i32)
    (if (i32.eqz (global.get $network)) (then (global.set $network (call $instance_network))))
    (global.get $network))

  (func $wait (param $pollable i32)
    (call $block (local.get $pollable))
    (call $drop_pollable (local.get $pollable)))

  (func $tcp_new (param $family i32) (result i32)
    (call $tcp_create (local.get $family) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return (i32.const 0))))
    (global.set $socket (i32.load offset=4 (global.get $ret)))
    (i32.const 1))

  (func $tcp_connect (param $to i32)
    (if (i32.eqz (call $tcp_new (i32.load8_u (local.get $to)))) (then (return)))
    (call $tcp_start_connect (global.get $socket) (call $the_network)
      (call $address (local.get $to)) (global.get $ret))
    (if (call $went_wrong (i32.const 1)) (then (call $drop_tcp (global.get $socket)) (return)))
    (call $wait (call $tcp_ready (global.get $socket)))
    (call $tcp_finish_connect (global.get $socket) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (call $drop_tcp (global.get $socket)) (return)))
    (global.set $input (i32.load offset=4 (global.get $ret)))
    (global.set $output (i32.load offset=8 (global.get $ret)))
    (call $say (global.get $connected)))

  (func $tcp_bind (param $to i32)
    (if (i32.eqz (call $tcp_new (i32.load8_u (local.get $to)))) (then (return)))
    (call $tcp_start_bind (global.get $socket) (call $the_network)
      (call $address (local.get $to)) (global.get $ret))
    (if (call $went_wrong (i32.const 1)) (then (return)))
    (call $tcp_finish_bind (global.get $socket) (global.get $ret))
    (if (call $went_wrong (i32.const 1)) (then (return)))
    (call $tcp_local (global.get $socket) (global.get $ret))
    (call $say_bound))

  (func $tcp_listen
    (call $tcp_start_listen (global.get $socket) (global.get $ret))
    (if (call $went_wrong (i32.const 1)) (then (return)))
    (call $tcp_finish_listen (global.get $socket) (global.get $ret))
    (if (call $went_wrong (i32.const 1)) (then (return)))
    (call $say (global.get $listening)))

  (func $tcp_accept
    (call $wait (call $tcp_ready (global.get $socket)))
    (call $tcp_take (global.get $socket) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return)))
    (global.set $socket (i32.load offset=4 (global.get $ret)))
    (global.set $input (i32.load offset=8 (global.get $ret)))
    (global.set $output (i32.load offset=12 (global.get $ret)))
    (call $say (global.get $accepted)))

  (func $tcp_close
    (call $drop_input (global.get $input))
    (call $drop_output (global.get $output))
    (call $drop_tcp (global.get $socket)))

  ;; whether all of it could be sent; a call takes 4096 bytes
  (func $send (param $output i32) (param $at i32) (param $len i32) (result i32)
    (local $now i32)
    (loop $more
      (local.set $now (select (local.get $len) (i32.const 4096) (i32.lt_u (local.get $len) (i32.const 4096))))
      (call $blocking_write (local.get $output) (local.get $at) (local.get $now) (global.get $ret))
      (if (i32.load8_u (global.get $ret)) (then (call $stream_error) (return (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (local.get $now)))
      (local.set $len (i32.sub (local.get $len) (local.get $now)))
      (br_if $more (local.get $len)))
    (i32.const 1))

  ;; of a socket's stream
  (func $stream_error
    (if (i32.load8_u offset=4 (global.get $ret))
      (then (call $say (global.get $closed)))
      (else
        (call $say (global.get $error)) (call $say (global.get $failed)) (call $say (global.get $newline))
        (call $drop_error (i32.load offset=8 (global.get $ret))))))

  ;; prints what one read gives; whether there can be more
  (func $receive (result i32)
    (call $forget)
    (call $blocking_read (global.get $input) (i64.const 4096) (global.get $ret))
    (if (i32.load8_u (global.get $ret)) (then (call $stream_error) (return (i32.const 0))))
    (call $write (i32.const 1) (i32.load offset=4 (global.get $ret)) (i32.load offset=8 (global.get $ret)))
    (i32.const 1))

  ;; a socket bound to $to
  (func $udp_new (param $to i32) (result i32)
    (call $udp_create (i32.load8_u (local.get $to)) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return (i32.const 0))))
    (global.set $udp (i32.load offset=4 (global.get $ret)))
    (call $udp_start_bind (global.get $udp) (call $the_network)
      (call $address (local.get $to)) (global.get $ret))
    (if (call $went_wrong (i32.const 1)) (then (return (i32.const 0))))
    (call $udp_finish_bind (global.get $udp) (global.get $ret))
    (i32.eqz (call $went_wrong (i32.const 1))))

  ;; a socket bound to any address and port of the family of $to, as WASI 0.2 asks for before sending
  (func $udp_client (param $to i32) (result i32)
    (memory.fill (i32.const 36800) (i32.const 0) (i32.const 32))
    (i32.store8 (i32.const 36800) (i32.load8_u (local.get $to)))
    (call $udp_new (i32.const 36800)))

  ;; the socket's two streams, from and to anybody if $peer is 0
  (func $udp_streams (param $peer i32) (result i32)
    (call $udp_stream (global.get $udp) (i32.ne (local.get $peer) (i32.const 0))
      (call $address (local.get $peer)) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return (i32.const 0))))
    (global.set $udp_in (i32.load offset=4 (global.get $ret)))
    (global.set $udp_out (i32.load offset=8 (global.get $ret)))
    (i32.const 1))

  (func $udp_bind (param $to i32)
    (if (i32.eqz (call $udp_new (local.get $to))) (then (return)))
    (call $udp_local (global.get $udp) (global.get $ret))
    (call $say_bound)
    (drop (call $udp_streams (i32.const 0))))

  (func $udp_connect (param $at i32) (param $len i32) (param $to i32)
    (if (i32.eqz (call $udp_client (local.get $to))) (then (return)))
    (if (i32.eqz (call $udp_streams (local.get $to))) (then (return)))
    (call $udp_send (local.get $at) (local.get $len) (i32.const 0)))

  (func $udp_send_to (param $at i32) (param $len i32) (param $to i32)
    (if (i32.eqz (call $udp_client (local.get $to))) (then (return)))
    (if (i32.eqz (call $udp_streams (i32.const 0))) (then (return)))
    (call $udp_send (local.get $at) (local.get $len) (local.get $to)))

  ;; one datagram, with an address unless $to is 0
  (func $udp_send (param $at i32) (param $len i32) (param $to i32)
    (call $wait (call $udp_out_ready (global.get $udp_out)))
    (call $udp_check_send (global.get $udp_out) (global.get $ret))
    (if (call $went_wrong (i32.const 8)) (then (return)))
    (i32.store (i32.const 36928) (local.get $at))
    (i32.store (i32.const 36932) (local.get $len))
    (i32.store (i32.const 36936) (i32.ne (local.get $to) (i32.const 0)))
    (memory.copy (i32.const 36940) (local.get $to) (i32.const 32))
    (call $udp_put (global.get $udp_out) (i32.const 36928) (i32.const 1) (global.get $ret))
    (if (call $went_wrong (i32.const 8)) (then (return)))
    ;; the system's word may come later
    (call $wait (call $udp_out_ready (global.get $udp_out)))
    (call $udp_check_send (global.get $udp_out) (global.get $ret))
    (if (call $went_wrong (i32.const 8)) (then (return)))
    (call $say (global.get $sent)))

  (func $udp_receive
    (local $datagram i32)
    (call $wait (call $udp_in_ready (global.get $udp_in)))
    (call $udp_take (global.get $udp_in) (i64.const 1) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return)))
    (if (i32.eqz (i32.load offset=8 (global.get $ret))) (then (return)))
    (local.set $datagram (i32.load offset=4 (global.get $ret)))
    (call $write (i32.const 1) (i32.load (local.get $datagram)) (i32.load offset=4 (local.get $datagram)))
    (call $say (global.get $newline)))

  (func $resolve (param $name i32) (param $len i32)
    (local $lookup i32) (local $any i32)
    (call $resolve_addresses (call $the_network) (local.get $name) (local.get $len) (global.get $ret))
    (if (call $went_wrong (i32.const 4)) (then (return)))
    (local.set $lookup (i32.load offset=4 (global.get $ret)))
    (loop $next
      (call $wait (call $lookup_ready (local.get $lookup)))
      (call $next_address (local.get $lookup) (global.get $ret))
      (if (call $went_wrong (i32.const 2)) (then (call $drop_lookup (local.get $lookup)) (return)))
      (if (i32.load8_u offset=2 (global.get $ret))
        (then
          (if (i32.eqz (local.get $any)) (then (call $keep_address (i32.const 36740))))
          (local.set $any (i32.const 1))
          (call $say_address (i32.const 36740))
          (br $next))))
    (call $drop_lookup (local.get $lookup))
    (call $say (global.get $resolved)))
"#;

/// What requests have in common in all worlds.
pub(super) const HTTP_COMMON: &str = r#"
  (global $scheme (mut i32) (i32.const 0))
  (global $authority (mut i32) (i32.const 0))
  (global $authority_len (mut i32) (i32.const 0))
  (global $path (mut i32) (i32.const 0))
  (global $path_len (mut i32) (i32.const 0))

  (func $keep_url (param $s i32) (param $authority i32) (param $authority_len i32)
    (param $path i32) (param $path_len i32)
    (global.set $scheme (local.get $s))
    (global.set $authority (local.get $authority))
    (global.set $authority_len (local.get $authority_len))
    (global.set $path (local.get $path))
    (global.set $path_len (local.get $path_len)))

  ;; what the host doesn't take as an authority or a path is not sent
  (func $describe_request (param $request i32) (param $method i32) (result i32)
    (drop (call $set_method (local.get $request) (local.get $method) (i32.const 0) (i32.const 0)))
    (drop (call $set_scheme (local.get $request)
      (i32.const 1) (global.get $scheme) (i32.const 0) (i32.const 0)))
    (if (i32.or
        (call $set_authority (local.get $request) (i32.const 1)
          (global.get $authority) (global.get $authority_len))
        (call $set_path (local.get $request) (i32.const 1) (global.get $path) (global.get $path_len)))
      (then (call $say_failed) (return (i32.const 0))))
    (i32.const 1))

  (func $say_failed
    (call $say (global.get $error)) (call $say (global.get $failed)) (call $say (global.get $newline)))

  ;; says where these fields lead, if they do; that is the URL then. They have the form
  ;; http://authority/path or https://authority/path
  (func $take_location (param $fields i32) (result i32)
    (local $len i32) (local $at i32)
    (call $field (local.get $fields) (global.get $location_name) (i32.const 8) (global.get $ret))
    (call $drop_fields (local.get $fields))
    (if (i32.eqz (i32.load offset=4 (global.get $ret))) (then (return (i32.const 0))))
    (local.set $len (i32.load offset=4 (i32.load (global.get $ret))))
    (memory.copy (i32.const 40000) (i32.load (i32.load (global.get $ret))) (local.get $len))
    (call $say (global.get $location))
    (call $write (i32.const 1) (i32.const 40000) (local.get $len))
    (call $say (global.get $newline))
    (global.set $scheme (i32.eq (i32.load8_u (i32.const 40004)) (i32.const 115)))
    (global.set $authority (i32.add (i32.const 40007) (global.get $scheme)))
    (local.set $at (global.get $authority))
    (loop $not_yet
      (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 47))
        (then (local.set $at (i32.add (local.get $at) (i32.const 1))) (br $not_yet))))
    (global.set $authority_len (i32.sub (local.get $at) (global.get $authority)))
    (global.set $path (local.get $at))
    (global.set $path_len (i32.sub (i32.add (i32.const 40000) (local.get $len)) (local.get $at)))
    (call $forget)
    (i32.const 1))

  (func $http_error (param $code i32)
    (call $say (global.get $error))
    (call $say (i32.add (i32.const 34000) (i32.mul (i32.load8_u (local.get $code)) (i32.const 40))))
    ;; internal-error has a text
    (if (i32.and
        (i32.eq (i32.load8_u (local.get $code)) (i32.const 38))
        (i32.eq (i32.load8_u offset=8 (local.get $code)) (i32.const 1)))
      (then
        (call $say (global.get $space))
        (call $write (i32.const 1)
          (i32.load offset=12 (local.get $code)) (i32.load offset=16 (local.get $code)))))
    (call $say (global.get $newline)))
"#;

/// What is to happen then: nothing else (0), the place that the answer names is asked (1), or nobody waits
/// for an answer (2).
pub(super) const HTTP_FUNCTIONS: &str = r#"
  (func $http (param $method i32) (param $scheme i32) (param $authority i32) (param $authority_len i32)
    (param $path i32) (param $path_len i32) (param $body i32) (param $body_len i32) (param $then i32)
    (local $request i32) (local $outgoing i32) (local $stream i32) (local $future i32) (local $response i32)
    (call $keep_url (local.get $scheme) (local.get $authority) (local.get $authority_len)
      (local.get $path) (local.get $path_len))
    (loop $redirected
      (local.set $request (call $outgoing_request (call $fields)))
      (if (i32.eqz (call $describe_request (local.get $request) (local.get $method))) (then (return)))
      (if (local.get $body_len)
        (then
          (call $request_body (local.get $request) (global.get $ret))
          (local.set $outgoing (i32.load offset=4 (global.get $ret)))
          (call $body_write (local.get $outgoing) (global.get $ret))
          (local.set $stream (i32.load offset=4 (global.get $ret)))))
      (call $handle (local.get $request) (i32.const 0) (i32.const 0) (global.get $ret))
      (if (i32.load8_u (global.get $ret))
        (then (call $http_error (i32.add (global.get $ret) (i32.const 8))) (return)))
      (local.set $future (i32.load offset=8 (global.get $ret)))
      (if (i32.eq (local.get $then) (i32.const 2)) (then (call $say (global.get $begun)) (return)))
      (if (local.get $body_len)
        (then
          (drop (call $send (local.get $stream) (local.get $body) (local.get $body_len)))
          (call $drop_output (local.get $stream))
          (call $body_finish (local.get $outgoing) (i32.const 0) (i32.const 0) (global.get $ret))
          (if (i32.load8_u (global.get $ret))
            (then (call $http_error (i32.add (global.get $ret) (i32.const 8)))))))
      (call $wait (call $response_ready (local.get $future)))
      (call $response_get (local.get $future) (global.get $ret))
      (call $drop_future_response (local.get $future))
      (if (i32.load8_u offset=16 (global.get $ret))
        (then (call $http_error (i32.add (global.get $ret) (i32.const 24))) (return)))
      (local.set $response (i32.load offset=24 (global.get $ret)))
      (call $say (global.get $status))
      (call $say_number (call $response_status (local.get $response)) (i32.const 10))
      (call $say (global.get $newline))
      (if (local.get $then)
        (then
          (if (call $take_location (call $response_headers (local.get $response)))
            (then (call $drop_response (local.get $response)) (br $redirected))))))
    (call $http_body (local.get $response)))

  (func $http_body (param $response i32)
    (local $body i32) (local $stream i32)
    (call $response_consume (local.get $response) (global.get $ret))
    (local.set $body (i32.load offset=4 (global.get $ret)))
    (call $body_stream (local.get $body) (global.get $ret))
    (local.set $stream (i32.load offset=4 (global.get $ret)))
    (loop $more
      (call $forget)
      (call $blocking_read (local.get $stream) (i64.const 4096) (global.get $ret))
      (if (i32.eqz (i32.load8_u (global.get $ret)))
        (then
          (call $write (i32.const 1)
            (i32.load offset=4 (global.get $ret)) (i32.load offset=8 (global.get $ret)))
          (br $more))))
    (if (i32.load8_u offset=4 (global.get $ret))
      (then (call $say (global.get $end)))
      (else (call $http_stream_error (i32.load offset=8 (global.get $ret)))))
    (call $drop_input (local.get $stream))
    (call $drop_incoming_body (local.get $body))
    (call $drop_response (local.get $response)))

  (func $http_stream_error (param $io_error i32)
    (call $http_error_code (local.get $io_error) (global.get $ret))
    (if (i32.load8_u (global.get $ret))
      (then (call $http_error (i32.add (global.get $ret) (i32.const 8))))
      (else (call $say_failed)))
    (call $drop_error (local.get $io_error)))
"#;
