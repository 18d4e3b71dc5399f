//! Servers that guests speak to: on loopback, in the test's own process, with a thread for each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;

/// Listens on a free port of 127.0.0.1 as long as the test program runs.
pub struct Server {
    pub port: u16,
    /// What was told it, in order: connections, requests.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Does this with each connection, which is closed behind it.
    pub fn tcp(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", serve)
    }

    /// The same at another address than 127.0.0.1.
    pub fn at(address: &str, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (serve, log) = (Arc::new(serve), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                log.lock().expect("no panic").push("connection".into());
                let serve = serve.clone();
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { port, seen }
    }

    /// Sends this to each connection.
    pub fn saying(text: &'static str) -> Self {
        Self::tcp(move |mut stream| drop(stream.write_all(text.as_bytes())))
    }

    /// Accepts and says nothing for longer than any test waits.
    pub fn silent() -> Self {
        Self::tcp(|_stream| std::thread::sleep(Duration::from_secs(600)))
    }

    /// Reads a request, then answers with these bytes and closes.
    pub fn http(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::requests(move |_, stream| drop(stream.write_all(&answer)))
    }

    /// Reads a request, then does this with the lines of its head and the connection.
    pub fn requests(serve: impl Fn(&[String], &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::tcp(move |mut stream| {
            if let Some(head) = read_request(&mut stream) {
                serve(&head, &mut stream);
            }
        })
    }

    /// The same with encryption, with a certificate of this authority.
    pub fn https(tls: Arc<rustls::ServerConfig>, answer: &'static str) -> Self {
        Self::tcp(move |stream| {
            let connection = rustls::ServerConnection::new(tls.clone()).expect("a configuration");
            let mut stream = rustls::StreamOwned::new(connection, stream);
            if read_request(&mut stream).is_some() {
                // A guest may have gone; that is its test's business.
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        })
    }

    /// Address and port, as `allow_hosts` and `tcp_connect` take them.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address())
    }

    /// How many connections came.
    pub fn connections(&self) -> usize {
        self.seen.lock().expect("no panic").len()
    }
}

/// Reads a request to its end; the lines of its head, unless the connection ends before.
pub fn read_request(stream: &mut impl Read) -> Option<Vec<String>> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let field = |name: &str| {
        lines
            .iter()
            .find_map(|line| line.to_lowercase().strip_prefix(name).map(|value| value.trim().to_owned()))
    };
    if field("transfer-encoding:").is_some() {
        read_chunks(&mut reader)?;
    } else if let Some(length) = field("content-length:") {
        let length = length.parse().ok()?;
        if std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()? < length {
            return None;
        }
    }
    Some(lines)
}

/// Reads a body in pieces to its end, unless the connection ends before.
fn read_chunks(reader: &mut impl BufRead) -> Option<()> {
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).ok()?;
        let size = u64::from_str_radix(size.trim_end(), 16).ok()?;
        // With the line end behind it.
        std::io::copy(&mut reader.take(size + 2), &mut std::io::sink()).ok()?;
        if size == 0 {
            return Some(());
        }
    }
}

/// An answer with a body whose length is told.
pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A port on which nobody listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A socket that waits for datagrams on 127.0.0.1, for so long that a missing one has surely not been sent.
pub fn udp() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a time limit");
    let address = socket.local_addr().expect("its address").to_string();
    (socket, address)
}

/// A certificate authority of the test's own.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, for those who trust it.
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A server's configuration with a certificate for this name.
    pub fn server(&self, name: &str) -> Arc<rustls::ServerConfig> {
        self.server_with(CertificateParams::new([name.to_owned()]).expect("a name"))
    }

    /// With a certificate that was valid until some years ago.
    pub fn expired(&self, name: &str) -> Arc<rustls::ServerConfig> {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2018, 1, 1);
        params.not_after = rcgen::date_time_ymd(2019, 1, 1);
        self.server_with(params)
    }

    fn server_with(&self, params: CertificateParams) -> Arc<rustls::ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        tls(certificate.der().clone(), &key)
    }
}

/// A server's configuration with a certificate for this name that nobody but itself has signed.
pub fn self_signed(name: &str) -> Arc<rustls::ServerConfig> {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    tls(certificate.der().clone(), &key)
}

fn tls(certificate: rustls::pki_types::CertificateDer<'static>, key: &KeyPair) -> Arc<rustls::ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a private key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate and its key");
    Arc::new(config)
}
