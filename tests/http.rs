//! Requests of guests by wasi:http: to whom they go, what bounds them, and how an answer may go wrong.

#![cfg(feature = "http")]

mod host;

use std::io::Write;
use std::time::{Duration, Instant};

use host::server::{Authority, Server, ok, self_signed};
use host::{Ended, Guest, ONCE, Scene, text};

#[test]
fn a_guest_asks_servers_that_were_named() {
    let server = Server::http(ok("hello\n"));
    let by_name = format!("localhost:{}", server.port);
    let guest = Guest::new()
        .http_get(&server.url())
        .http_get(&format!("http://{by_name}/path?query=1"))
        .http_post(&server.url(), "a body");
    let ended = run(guest, &[("allow_hosts", &format!("{}, {by_name}", server.address()))]);
    assert_eq!(lines(&ended), ["status 200", "hello", "end"].repeat(3));
    assert_eq!(server.connections(), 3);
}

#[test]
fn a_guest_asks_nobody_else() {
    let server = Server::http(ok("never\n"));
    let other = Server::http(ok("never\n"));
    let guest = Guest::new().http_get(&server.url()).http_post(&server.url(), "a body");
    let other_address = other.address();
    for options in [&[][..], &[("allow_hosts", other_address.as_str())]] {
        let ended = run(guest.clone(), options);
        assert_refused(&lines(&ended), 2);
        ended.assert_logged("allow_hosts").assert_logged(&server.address());
    }
    assert_eq!((server.connections(), other.connections()), (0, 0));
}

#[test]
fn an_authority_in_another_spelling_is_no_detour() {
    let server = Server::http(ok("never\n"));
    let port = server.port;
    let authorities = [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "127.1",
        "127.0.0.1.",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[::127.0.0.1]",
        "user@127.0.0.1",
        "127.0.0.1%00.example",
    ];
    let mut guest = Guest::new();
    for authority in authorities {
        guest = guest.http_get(&format!("http://{authority}:{port}/"));
    }
    // Names of this kind of pattern are asked after; none of them leads here.
    let ended = run(guest, &[("allow_hosts", "*.example, 192.0.2.0/24")]);
    let lines = lines(&ended);
    assert!(
        lines.len() == authorities.len() && lines.iter().all(|line| line.starts_with("error ")),
        "{lines:?}"
    );
    assert_eq!(server.connections(), 0);
    let guest = Guest::new().http_get(&format!("http://localhost:{port}/")).http_get(&server.url());
    let ended = run(guest, &[("allow_hosts", "*")]);
    assert_refused(&self::lines(&ended), 2);
    assert_eq!(server.connections(), 0);
}

#[test]
fn an_address_that_is_allowed_is_so_in_any_spelling() {
    let server = Server::http(ok("hello\n"));
    let port = server.port;
    for authority in ["127.0.0.1", "[::ffff:127.0.0.1]", "127.1", "0x7f000001"] {
        let guest = Guest::new().http_get(&format!("http://{authority}:{port}/"));
        let ended = run(guest, &[("allow_hosts", &server.address())]);
        assert_eq!(lines(&ended), ["status 200", "hello", "end"], "{authority}");
    }
}

#[test]
fn a_server_that_is_a_proxy_is_no_tunnel() {
    let proxy = Server::http("HTTP/1.1 200 Connection established\r\n\r\n");
    let ended = run(Guest::new().http_connect(&proxy.url()), &[("allow_hosts", &proxy.address())]);
    assert_eq!(lines(&ended), ["error HTTP-request-method-invalid"]);
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn a_redirect_leads_to_named_servers_only() {
    let forbidden = Server::http(ok("never\n"));
    let there = Server::http(ok("there\n"));
    let redirect = |to: &Server| {
        Server::http(format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", to.url()))
    };
    let (good, bad) = (redirect(&there), redirect(&forbidden));
    let guest = Guest::new().http_get_following(&good.url()).http_get_following(&bad.url());
    let patterns = [&there, &good, &bad].map(Server::address).join(",");
    let ended = run(guest, &[("allow_hosts", &patterns)]);
    let lines = lines(&ended);
    let location = |server: &Server| format!("location {}", server.url());
    let expected =
        ["status 302", &location(&there), "status 200", "there", "end", "status 302", &location(&forbidden)];
    assert_eq!(lines[..7], expected);
    assert_refused(&lines[7..], 1);
    assert_eq!(forbidden.connections(), 0);
}

#[test]
fn a_server_that_stalls_costs_a_request_and_not_the_run() {
    let silent = Server::silent();
    let half = Server::requests(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf\n");
        std::thread::sleep(Duration::from_secs(600));
    });
    let drips = Server::requests(|_, stream| drip(stream, "HTTP/1.1 200 OK\r\nx: ", "y"));
    let drips_body = Server::requests(|_, stream| drip(stream, "HTTP/1.1 200 OK\r\n\r\n", "y\n"));
    let patterns = [&silent, &half, &drips, &drips_body].map(Server::address).join(",");
    let https = silent.url().replace("http:", "https:");
    for url in [silent.url(), https, half.url(), drips.url(), drips_body.url()] {
        let begun = Instant::now();
        let ended = run(Guest::new().http_get(&url), &[("allow_hosts", &patterns), ("request_timeout", "1")]);
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        let mut lines = lines(&ended);
        let error = lines.pop().expect("an error");
        assert!(error.starts_with("error ") && error.ends_with("timeout"), "{url}: {error}");
        let before = ["status 200", "half", "y"];
        assert!(lines.iter().all(|line| before.contains(&line.as_str())), "{url}: {lines:?}");
    }
}

/// Never says nothing for long, and never comes to an end.
fn drip(stream: &mut std::net::TcpStream, begin: &str, more: &str) {
    let mut sent = stream.write_all(begin.as_bytes());
    while sent.is_ok() {
        std::thread::sleep(Duration::from_millis(100));
        sent = stream.write_all(more.as_bytes());
    }
}

#[test]
fn a_body_that_never_ends_ends_at_the_limit() {
    let server = Server::requests(|_, stream| {
        let chunk = format!("400\r\n{}\n\r\n", "x".repeat(1023));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while stream.write_all(chunk.as_bytes()).is_ok() {}
    });
    let told = Server::http(ok(&"x".repeat(200_000)));
    let patterns = [&server, &told].map(Server::address).join(",");
    let options = [("allow_hosts", patterns.as_str()), ("body_limit", "100k")];
    let ended = run(Guest::new().http_get(&server.url()), &options);
    let endless = lines(&ended);
    assert_eq!(endless[0], "status 200");
    assert_eq!(endless.last().map(String::as_str), Some("error HTTP-response-body-size"));
    let bytes: usize = endless.iter().filter(|line| line.starts_with('x')).map(|line| line.len() + 1).sum();
    assert!((50_000..=100_000).contains(&bytes), "{bytes}");

    // One that tells its length needn't be read to be refused.
    let ended = run(Guest::new().http_get(&told.url()), &options);
    let told = lines(&ended);
    assert!(told.iter().map(String::len).sum::<usize>() < 101_000, "more than the limit came");
    assert!(told.iter().any(|line| line.ends_with("error HTTP-response-body-size")), "{:?}", told.last());
}

#[test]
fn a_body_that_is_sent_has_the_limit_too() {
    let server = Server::http(ok("received\n"));
    let address = server.address();
    let options = [("allow_hosts", address.as_str()), ("body_limit", "10k")];
    let ended = run(Guest::new().http_post(&server.url(), "x".repeat(9_000)), &options);
    assert_eq!(lines(&ended), ["status 200", "received", "end"]);
    let ended = run(Guest::new().http_post(&server.url(), "x".repeat(50_000)), &options);
    let lines = lines(&ended);
    assert!(lines.iter().any(|line| line == "error HTTP-request-body-size"), "{lines:?}");
    assert!(!lines.contains(&"received".to_owned()), "{lines:?}");
}

#[test]
fn what_is_no_answer_is_an_error_the_guest_can_read() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf\n";
    let cut_chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhalf\n\r\n";
    let bad_chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfive\r\nhalf\n\r\n";
    let long_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(10_000_000));
    for (answer, before) in [
        ("garbage\r\n\r\n", 0),
        ("HTTP/9.9 200 OK\r\n\r\n", 0),
        ("HTTP/1.1 20", 0),
        ("", 0),
        (cut, 2),
        (cut_chunks, 2),
        (bad_chunks, 1),
        (&long_head, 0),
    ] {
        let server = Server::http(answer);
        let ended = run(Guest::new().http_get(&server.url()), &[("allow_hosts", &server.address())]);
        let lines = lines(&ended);
        let what = &answer[..answer.len().min(80)];
        assert_eq!(lines.len(), before + 1, "{what:?}: {lines:?}");
        assert!(lines[before].starts_with("error "), "{what:?}: {lines:?}");
        assert_ne!(lines[before], "error failed", "{what:?}: an error without a name");
    }
}

#[test]
fn a_server_that_is_not_there_is_told_from_one_that_is_not_allowed() {
    let port = host::server::free_port();
    let guest = Guest::new().http_get(&format!("http://127.0.0.1:{port}/"));
    let ended = run(guest, &[("allow_hosts", "127.0.0.1")]);
    assert_eq!(lines(&ended), ["error connection-refused"]);
}

#[test]
fn a_system_without_authorities_is_said_with_what_to_do() {
    let server = Server::saying("HTTP/1.1 200 OK\r\n\r\n");
    let guest = Guest::new().http_get(&format!("https://localhost:{}/", server.port));
    let scene = Scene::new();
    let (file, folder) = (scene.file("none.pem", ""), scene.path("").display().to_string());
    let scene = scene.env("SSL_CERT_FILE", &file).env("SSL_CERT_DIR", &folder);
    let ended = run_in(scene, guest, &[("allow_hosts", "localhost")]);
    assert_eq!(lines(&ended), ["error TLS-certificate-error"]);
    ended.assert_logged("the system has no certificate authorities");
    ended.assert_logged("set SSL_CERT_FILE for Fluent Bit.");
}

#[test]
fn a_certificate_must_be_of_an_authority_of_the_system_for_this_name_and_today() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nsecret\n";
    let server = |tls| Server::https(tls, answer);
    let good = server(authority.server("localhost"));
    let bad = [
        server(authority.server("other.example")),
        server(authority.expired("localhost")),
        server(stranger.server("localhost")),
        server(self_signed("localhost")),
    ];
    let mut guest = Guest::new().http_get(&format!("https://localhost:{}/", good.port));
    for server in &bad {
        guest = guest.http_get(&format!("https://localhost:{}/", server.port));
    }
    // By address, the certificate would have to name it.
    guest = guest.http_get(&format!("https://127.0.0.1:{}/", good.port));
    // One that doesn't speak TLS at all.
    let plain = Server::saying("HTTP/1.1 400 Bad Request\r\n\r\n");
    guest = guest.http_get(&format!("https://localhost:{}/", plain.port));

    let scene = Scene::new();
    let roots = scene.file("authority.pem", &authority.pem);
    let ended = run_in(scene.env("SSL_CERT_FILE", &roots), guest, &[("allow_hosts", "localhost, 127.0.0.1")]);
    let lines = lines(&ended);
    assert_eq!(lines[..3], ["status 200", "secret", "end"]);
    assert_eq!(lines[3..8], ["error TLS-certificate-error"; 5]);
    assert_eq!(lines[8..], ["error TLS-protocol-error"]);
    // The guest knows that, and the operator why.
    for (server, why) in bad.iter().zip(["not valid for name", "expired", "BadSignature", ""]) {
        let said = format!(
            "The guest was refused a request to https://localhost:{}: invalid peer certificate: ",
            server.port
        );
        ended.assert_logged(&said);
        let line = ended.log.lines().find(|line| line.contains(&said)).unwrap_or_default();
        assert!(line.contains(why) && line.contains("SSL_CERT_FILE"), "{line}");
    }
}

#[test]
fn no_more_requests_than_the_limit_at_a_time() {
    let (silent, server) = (Server::silent(), Server::http(ok("hello\n")));
    let guest = Guest::new()
        .http_get(&server.url())
        .http_get(&server.url())
        .http_begin(&silent.url())
        .http_get(&server.url())
        .http_begin(&silent.url())
        .http_get(&server.url());
    let patterns = format!("{}, {}", silent.address(), server.address());
    let ended = run(guest, &[("allow_hosts", &patterns), ("connections_limit", "2")]);
    let hello = ["status 200", "hello", "end"];
    let expected = [&hello[..], &hello, &["begun"], &hello, &["begun", "error connection-limit-reached"]];
    assert_eq!(lines(&ended), expected.concat());
    ended.assert_logged("connections_limit (2) is reached");
}

#[test]
fn requests_one_after_another_are_never_more_than_one() {
    let server = Server::http(ok("hello\n"));
    let guest = (0..12).fold(Guest::new(), |guest, _| guest.http_get(&server.url()));
    let ended = run(guest, &[("allow_hosts", &server.address()), ("connections_limit", "1")]);
    assert_eq!(lines(&ended), ["status 200", "hello", "end"].repeat(12));
}

#[test]
fn a_request_that_waits_ends_with_the_host() {
    let server = Server::silent();
    let guest = Guest::new().out("begin\n").http_get(&server.url());
    let mut host = Scene::new().guest(&guest, &[ONCE, ("allow_hosts", &server.address())]).start();
    host.wait_for_lines(1);
    host.wait_until("the request", |_| server.connections() > 0);
    let ended = host.stop();
    ended.assert_clean();
    assert!(ended.took < Duration::from_secs(8), "{:?}", ended.took);
}

/// Runs a guest to its end.
#[track_caller]
fn run(guest: Guest, options: &[(&str, &str)]) -> Ended {
    run_in(Scene::new(), guest, options)
}

#[track_caller]
fn run_in(scene: Scene, guest: Guest, options: &[(&str, &str)]) -> Ended {
    let mut all = vec![ONCE];
    all.extend(options);
    let mut host = scene.guest(&guest.out("\ndone\n"), &all).start();
    host.wait_until("the guest's end", |host| host.lines().iter().any(|line| line == b"done"));
    let ended = host.stop();
    ended.assert_clean();
    ended
}

/// What a guest that ran to its end has printed.
fn lines(ended: &Ended) -> Vec<String> {
    let mut lines = text(&ended.lines());
    assert_eq!(lines.split_off(lines.len() - 2), ["", "done"]);
    lines
}

#[track_caller]
fn assert_refused(lines: &[String], times: usize) {
    let refused = ["error HTTP-request-denied", "error destination-IP-prohibited"];
    assert_eq!(lines.len(), times, "{lines:?}");
    assert!(lines.iter().all(|line| refused.contains(&line.as_str())), "{lines:?}");
}
