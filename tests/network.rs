//! Which peers a guest may reach through sockets: those that were named, and nobody by a detour.

mod host;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use host::server::{Server, free_port, udp};
use host::{Ended, Guest, ONCE, Scene, text};

#[test]
fn without_a_grant_a_guest_reaches_nobody() {
    let server = Server::saying("never\n");
    let (socket, udp_address) = udp();
    let guest = Guest::new()
        .tcp_connect(&server.address())
        .udp_send(&udp_address, "never")
        .udp_send_to(&udp_address, "never")
        .resolve("localhost")
        .tcp_bind("127.0.0.1:0")
        .udp_bind("127.0.0.1:0");
    let ended = run(guest, &[]);
    assert_eq!(lines(&ended), ["error access-denied"; 6]);
    assert_eq!(server.connections(), 0);
    assert_nothing_came(&socket);
    ended.assert_logged("refused a socket: neither allow_hosts nor allow_listen is set");
    ended.assert_logged("refused a look-up of localhost");
}

#[test]
fn a_named_address_is_reached_and_its_neighbours_are_not() {
    let (server, other) = (Server::saying("hello\n"), Server::saying("never\n"));
    let guest = Guest::new()
        .tcp_connect(&server.address())
        .tcp_receive_all()
        .tcp_connect(&other.address())
        .tcp_connect(&format!("127.0.0.2:{}", server.port));
    let ended = run(guest, &[("allow_hosts", &server.address())]);
    let expected = ["connected", "hello", "closed", "error access-denied", "error access-denied"];
    assert_eq!(lines(&ended), expected);
    assert_eq!((server.connections(), other.connections()), (1, 0));
}

#[test]
fn ranges_and_patterns_without_a_port_mean_what_they_say() {
    let server = Server::saying("hello\n");
    let guest = Guest::new().tcp_connect(&server.address());
    let allowed = |patterns: &str| {
        let ended = run(guest.clone(), &[("allow_hosts", patterns)]);
        lines(&ended) == ["connected"]
    };
    let port = server.port;
    assert!(allowed("127.0.0.1"));
    assert!(allowed(&format!("127.0.0.0/8:{port}")));
    assert!(allowed(&format!("192.0.2.1, 127.0.0.0/30:{port}")));
    assert!(!allowed(&format!("127.0.0.0/32:{port}")));
    assert!(!allowed("127.0.0.0/8:1"));
    assert!(!allowed("[::1]"));
    assert_eq!(server.connections(), 3);
}

#[test]
fn a_wildcard_never_reaches_this_machine() {
    let server = Server::saying("never\n");
    let port = server.port;
    let guest = Guest::new()
        .tcp_connect(&server.address())
        .tcp_connect(&format!("0.0.0.0:{port}"))
        .tcp_connect(&format!("127.1.2.3:{port}"))
        .tcp_connect(&format!("[::1]:{port}"))
        .tcp_connect(&format!("[::]:{port}"))
        .tcp_connect(&format!("[::ffff:127.0.0.1]:{port}"))
        .tcp_connect(&format!("[::ffff:0.0.0.0]:{port}"))
        .tcp_connect(&format!("[::127.0.0.1]:{port}"));
    for patterns in ["*", "0.0.0.0/0, [::/0]", "*.localhost"] {
        let ended = run(guest.clone(), &[("allow_hosts", patterns)]);
        let lines = lines(&ended);
        assert_eq!(lines.len(), 8, "{lines:?}");
        // Some are no addresses to connect to, to begin with.
        let refused = ["error access-denied", "error invalid-argument"];
        assert!(lines.iter().all(|line| refused.contains(&line.as_str())), "{lines:?}");
        assert_eq!(lines[0], "error access-denied");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn addresses_of_version_6_are_named_like_others() {
    let server = Server::at("[::1]:0", |mut stream| drop(stream.write_all(b"hello\n")));
    let address = format!("[::1]:{}", server.port);
    let guest = Guest::new().tcp_connect(&address).tcp_receive_all();
    for patterns in [address.as_str(), "[::1]", "[::1/128]"] {
        let ended = run(guest.clone(), &[("allow_hosts", patterns)]);
        assert_eq!(lines(&ended), ["connected", "hello", "closed"], "{patterns}");
    }
    for patterns in ["127.0.0.0/8, localhost", "[::1]:1", "[::2/127]"] {
        let ended = run(Guest::new().tcp_connect(&address), &[("allow_hosts", patterns)]);
        assert_eq!(lines(&ended), ["error access-denied"], "{patterns}");
    }
}

#[test]
fn an_address_is_known_by_its_name_only() {
    let (server, other) = (Server::saying("hello\n"), Server::saying("never\n"));
    let guest = Guest::new()
        .tcp_connect(&server.address())
        .resolve("localhost")
        .tcp_connect_found(server.port)
        .tcp_receive_all()
        .tcp_connect_found(other.port);
    let ended = run(guest, &[("allow_hosts", &format!("localhost:{}", server.port))]);
    let lines = lines(&ended);
    let addresses = lines.iter().filter(|line| line.starts_with("address ")).count();
    assert!(addresses > 0, "{lines:?}");
    let rest: Vec<_> = lines.iter().filter(|line| !line.starts_with("address ")).collect();
    let expected = ["error access-denied", "resolved", "connected", "hello", "closed", "error access-denied"];
    assert_eq!(rest, expected);
    assert_eq!((server.connections(), other.connections()), (1, 0));
}

#[test]
fn names_are_compared_as_names() {
    let server = Server::saying("hello\n");
    let guest = |name| Guest::new().resolve(name).tcp_connect_found(server.port);
    let pattern = format!("LocalHost:{}", server.port);
    for name in ["localhost", "LOCALHOST"] {
        let ended = run(guest(name), &[("allow_hosts", &pattern)]);
        assert_eq!(lines(&ended).last().map(String::as_str), Some("connected"), "{name}");
    }
    for name in ["localhost.example", "example.localhost", "localhos", "local\u{2010}host", ""] {
        let ended = run(Guest::new().resolve(name), &[("allow_hosts", &pattern)]);
        assert!(lines(&ended)[0].starts_with("error "), "{name:?}: {:?}", lines(&ended));
    }
}

#[test]
fn a_look_up_opens_no_way_that_was_not_named() {
    let server = Server::saying("never\n");
    // Numbers are names to the system's resolver, in all their spellings.
    for name in
        ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "::1"]
    {
        let guest = Guest::new().resolve(name).tcp_connect_found(server.port);
        let ended = run(guest, &[("allow_hosts", "*")]);
        let lines = lines(&ended);
        assert!(!lines.contains(&"connected".to_owned()), "{name}: {lines:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn datagrams_go_where_connections_may() {
    let ((socket, address), (other, other_address)) = (udp(), udp());
    std::thread::spawn(move || answer_datagrams(&socket));
    let guest = Guest::new()
        .udp_send(&address, "first")
        .udp_receive()
        .udp_send_to(&address, "second")
        .udp_receive()
        .udp_send(&other_address, "never")
        .udp_send_to(&other_address, "never");
    let ended = run(guest, &[("allow_hosts", &address)]);
    let expected =
        ["sent", "answer to first", "sent", "answer to second", "error access-denied", "error access-denied"];
    assert_eq!(lines(&ended), expected);
    assert_nothing_came(&other);
}

#[test]
fn datagrams_take_no_detour() {
    let (socket, address) = udp();
    let port = socket.local_addr().expect("its address").port();
    let guest = Guest::new()
        .udp_send(&address, "never")
        .udp_send_to(&address, "never")
        .udp_send_to(&format!("0.0.0.0:{port}"), "never")
        .udp_send_to(&format!("[::ffff:127.0.0.1]:{port}"), "never")
        .udp_send(&format!("[::ffff:127.0.0.1]:{port}"), "never");
    let ended = run(guest, &[("allow_hosts", "*")]);
    let lines = lines(&ended);
    assert!(lines.len() == 5 && lines.iter().all(|line| line.starts_with("error ")), "{lines:?}");
    assert_nothing_came(&socket);
}

#[test]
fn binding_is_granted_apart_from_connecting() {
    let (port, other) = (free_port(), free_port());
    let guest = Guest::new()
        .tcp_bind(&format!("127.0.0.1:{port}"))
        .udp_bind(&format!("127.0.0.1:{port}"))
        .tcp_bind(&format!("127.0.0.1:{other}"))
        .udp_bind(&format!("127.0.0.1:{other}"))
        .tcp_bind(&format!("0.0.0.0:{port}"))
        .udp_bind(&format!("0.0.0.0:{port}"))
        .tcp_connect(&format!("127.0.0.1:{port}"));
    let bound = format!("bound to port {port}");
    let denied = "error access-denied";
    let ended = run(guest.clone(), &[("allow_listen", &format!("127.0.0.1:{port}"))]);
    assert_eq!(lines(&ended), [&bound, &bound, denied, denied, denied, denied, denied]);
    // Nobody listens, so a connection that is allowed is refused by the system.
    let ended = run(guest, &[("allow_hosts", &format!("127.0.0.1:{port}"))]);
    assert_eq!(lines(&ended), [denied, denied, denied, denied, denied, denied, "error connection-refused"]);
}

#[test]
fn a_place_that_the_system_picks_is_none_to_listen_at() {
    let listen = format!("127.0.0.1:{}", free_port());
    let guest =
        Guest::new().tcp_bind("0.0.0.0:0").tcp_listen().tcp_bind("127.0.0.1:0").udp_bind("127.0.0.1:0");
    let ended = run(guest, &[("allow_listen", &listen)]);
    let lines = lines(&ended);
    assert!(lines[0].starts_with("bound to port "), "{lines:?}");
    assert_eq!(lines[1..], ["error access-denied"; 3]);
    ended.assert_logged("refused listening at tcp 0.0.0.0:");
}

#[test]
fn a_guest_that_may_listen_serves_whom_it_likes() {
    let (port, udp_port) = (free_port(), free_port());
    let guest = Guest::new()
        .udp_bind(&format!("127.0.0.1:{udp_port}"))
        .tcp_bind(&format!("127.0.0.1:{port}"))
        .tcp_listen()
        .tcp_accept()
        .tcp_receive()
        .tcp_send("hello\n")
        .udp_receive()
        .out("done\n");
    let patterns = format!("127.0.0.1:{port}, 127.0.0.1:{udp_port}");
    let mut host = Scene::new().guest(&guest, &[ONCE, ("allow_listen", &patterns)]).start();
    host.wait_for_lines(3);
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("the guest listens");
    client.write_all(b"from the client\n").expect("it reads");
    let mut line = String::new();
    BufReader::new(&client).read_line(&mut line).expect("it answers");
    assert_eq!(line, "hello\n");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    sender.send_to(b"a datagram", ("127.0.0.1", udp_port)).expect("it can be sent");
    let lines = text(&host.wait_for_lines(7));
    assert_eq!(lines[2..], ["listening", "accepted", "from the client", "a datagram", "done"]);
    host.stop().assert_clean();
}

#[test]
fn a_socket_for_sending_does_not_hear_strangers() {
    // As a client's it has a port that the system picks, and may listen at another place only.
    let listen = format!("127.0.0.1:{}", free_port());
    let guest = Guest::new().udp_bind(&listen).udp_bind("0.0.0.0:0").out("waits\n").udp_receive();
    let mut host = Scene::new().guest(&guest, &[ONCE, ("allow_listen", &listen)]).start();
    let lines = text(&host.wait_for_lines(3));
    let port: u16 = lines[1].rsplit(' ').next().expect("a port").parse().expect("a number");
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for _ in 0..5 {
        stranger.send_to(b"never", ("127.0.0.1", port)).expect("it can be sent");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(text(&host.stop().assert_clean().lines()), lines);
}

#[test]
fn lines_from_a_socket_are_records_as_they_come() {
    let (line, lines) = std::sync::mpsc::channel::<&str>();
    let lines = std::sync::Mutex::new(lines);
    let server = Server::tcp(move |mut stream| {
        for line in lines.lock().expect("one connection").iter() {
            stream.write_all(line.as_bytes()).expect("the guest reads");
        }
    });
    let guest = Guest::new().tcp_connect(&server.address()).tcp_receive_all();
    let mut host = Scene::new().guest(&guest, &[ONCE, ("allow_hosts", &server.address())]).start();
    host.wait_for_lines(1);
    for n in 1..4 {
        line.send("a line\n").expect("the server waits");
        host.wait_for_lines(1 + n);
    }
    drop(line);
    assert_eq!(text(&host.wait_for_lines(5)), ["connected", "a line", "a line", "a line", "closed"]);
}

#[test]
fn no_more_connections_than_the_limit_at_a_time() {
    let server = Server::silent();
    let guest = Guest::new()
        .repeat(3, |guest| guest.tcp_connect(&server.address()))
        .tcp_close()
        .out("again\n")
        .tcp_connect(&server.address());
    let options = [("allow_hosts", server.address()), ("connections_limit", "3".to_owned())];
    let options = options.each_ref().map(|(key, value)| (*key, value.as_str()));
    let ended = run(guest.clone(), &options);
    assert_eq!(lines(&ended), ["connected", "connected", "connected", "again", "connected"]);
    let options = [options[0], ("connections_limit", "2")];
    let ended = run(Guest::new().repeat(3, |guest| guest.tcp_connect(&server.address())), &options);
    // WASI 0.3 has no word for it.
    let refused = if host::as_async_components() { "error other" } else { "error new-socket-limit" };
    assert_eq!(lines(&ended), ["connected", "connected", refused]);
    ended.assert_logged("connections_limit (2) is reached");
}

#[test]
fn that_a_core_module_has_no_network_is_said_once() {
    let scene = Scene::new();
    let module = scene.file("module.wat", Guest::new().out("here\n").wat());
    let options = [("wasi_path", module.as_str()), ("interval_sec", "0"), ("interval_nsec", "10000000")];
    let mut host = scene.input("exec_wasi", &[&options[..], &[("allow_hosts", "*")]].concat()).start();
    host.wait_for_lines(5);
    let ended = host.stop();
    let said = ended.log.matches("it is a core module, which has no network").count();
    assert_eq!(said, 1, "{}", ended.log);
}

#[test]
fn a_refusal_is_logged_once_for_each_target() {
    let ports = [free_port(), free_port()];
    let [first, second] = ports.map(|port| format!("127.0.0.1:{port}"));
    let guest =
        Guest::new().repeat(20, |guest| guest.tcp_connect(&first).tcp_connect(&second).resolve("localhost"));
    let ended = run(guest, &[("allow_hosts", "192.0.2.1")]);
    for target in [first.as_str(), second.as_str(), "localhost"] {
        let said = ended.log.lines().filter(|line| line.contains(target)).count();
        assert_eq!(said, 1, "{target} in:\n{}", ended.log);
    }
}

#[test]
fn a_guest_that_tries_every_port_does_not_fill_the_log() {
    let mut guest = Guest::new();
    for port in 1..2000 {
        guest = guest.tcp_connect(&format!("127.0.0.1:{port}"));
    }
    let ended = run(guest, &[("allow_hosts", "192.0.2.1")]);
    assert_eq!(lines(&ended).len(), 1999);
    let said = ended.log.lines().filter(|line| line.contains("127.0.0.1:")).count();
    assert!((1..200).contains(&said), "{said} lines");
}

#[test]
fn a_guest_that_waits_for_a_peer_is_stopped_like_any_other() {
    let server = Server::silent();
    let port = free_port();
    let waits = [
        Guest::new().tcp_connect(&server.address()).tcp_receive(),
        Guest::new().tcp_bind(&format!("127.0.0.1:{port}")).tcp_listen().tcp_accept(),
        Guest::new().udp_bind(&format!("127.0.0.1:{port}")).udp_receive(),
    ];
    let listen = format!("127.0.0.1:{port}");
    let address = server.address();
    for guest in waits {
        let options = [ONCE, ("allow_hosts", &*address), ("allow_listen", &*listen)];
        let mut host = Scene::new().guest(&guest, &options).start();
        host.wait_for_lines(1);
        let ended = host.stop();
        ended.assert_clean();
        assert!(ended.took < Duration::from_secs(8), "{:?}", ended.took);

        let options = [options[0], options[1], options[2], ("timeout", "1")];
        let mut host = Scene::new().guest(&guest, &options).start();
        host.wait_for_log("timeout");
        host.stop().assert_clean();
    }
}

#[test]
fn a_pattern_that_is_none_stops_the_start() {
    for (option, patterns) in [
        ("allow_hosts", "http://127.0.0.1/"),
        ("allow_hosts", "127.0.0.1:0x50"),
        ("allow_hosts", "10.0.0.0/33"),
        ("allow_hosts", "[::1"),
        ("allow_hosts", "exa*mple.org"),
        ("allow_listen", "*.example.org:80"),
    ] {
        let guest = Guest::new().out("never\n");
        let ended = Scene::new().guest(&guest, &[ONCE, (option, patterns)]).start().wait();
        assert!(!ended.status.success(), "{patterns}: {}", ended.log);
        ended.assert_logged(option).assert_logged(patterns);
    }
}

/// Runs a guest to its end.
#[track_caller]
fn run(guest: Guest, options: &[(&str, &str)]) -> Ended {
    let mut all = vec![ONCE];
    all.extend(options);
    let mut host = Scene::new().guest(&guest.out("done\n"), &all).start();
    host.wait_until("the guest's end", |host| host.lines().iter().any(|line| line == b"done"));
    let ended = host.stop();
    ended.assert_clean();
    ended
}

/// What a guest that ran to its end has printed.
fn lines(ended: &Ended) -> Vec<String> {
    let mut lines = text(&ended.lines());
    assert_eq!(lines.pop().as_deref(), Some("done"));
    lines
}

fn assert_nothing_came(socket: &UdpSocket) {
    let came = socket.recv(&mut [0; 100]);
    assert!(came.is_err(), "a datagram came");
}

fn answer_datagrams(socket: &UdpSocket) {
    socket.set_read_timeout(None).expect("no time limit");
    let mut buffer = [0; 100];
    while let Ok((len, peer)) = socket.recv_from(&mut buffer) {
        let answer = [b"answer to ", &buffer[..len]].concat();
        socket.send_to(&answer, peer).expect("the guest can be answered");
    }
}
