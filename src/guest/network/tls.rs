//! Encrypted connections: TLS 1.2 and 1.3 by rustls, and whom to believe by the system.
//!
//! The system's certificate authorities are those that its own programs use, or what the usual variables
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` name. They are read when they are first needed, not by a host's thread,
//! and anew every hour, so that a renewed bundle needs no restart.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_http::Error;

use crate::config::Target;

/// How long the system's authorities are taken as they were read.
const READ_AGAIN: Duration = Duration::from_secs(3600);

/// Characters of a reason that are said: it may have the names of a certificate in it, which are many or long.
const MOST_SAID: usize = 300;

/// What connections of all inputs have in common. Only exchanged under the lock.
static CONFIG: Mutex<Option<(Instant, Arc<ClientConfig>)>> = Mutex::new(None);

/// The system has no certificate authority; with the reason, in brackets, if there is one.
pub struct NoAuthorities(pub String);

/// Why a connection is not encrypted.
pub enum Failed {
    /// The other side's certificate is not good; the reason.
    Certificate(String),
    Other(Error),
}

/// Encrypts a connection to `target`, whose certificate has to be good for that name or address.
///
/// # Errors
/// What is wrong with the other side's certificate or its TLS.
pub async fn wrap(
    config: Arc<ClientConfig>,
    stream: TcpStream,
    target: &Target,
) -> Result<TlsStream<TcpStream>, Failed> {
    let name = match target {
        Target::Name(name) => {
            let name = ServerName::try_from(name.clone());
            name.map_err(|_| Failed::Other(Error::HttpRequestUriInvalid))?
        }
        Target::Address(address) => ServerName::from(*address),
    };
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| match rustls_error(&error) {
        Some(error @ rustls::Error::InvalidCertificate(_)) => {
            Failed::Certificate(error.to_string().chars().take(MOST_SAID).collect())
        }
        Some(error) => Failed::Other(of_rustls(error)),
        None => Failed::Other(Error::ConnectionTerminated),
    })
}

/// What encrypted connections need.
///
/// # Errors
/// When nobody could vouch for anybody.
pub async fn config() -> Result<Arc<ClientConfig>, NoAuthorities> {
    let known = CONFIG.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((read, config)) = known
        && read.elapsed() < READ_AGAIN
    {
        return Ok(config);
    }
    let config = wasmtime_wasi::runtime::spawn_blocking(read).await?;
    *CONFIG.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&config)));
    Ok(config)
}

fn read() -> Result<Arc<ClientConfig>, NoAuthorities> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(NoAuthorities(why));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has what TLS 1.2 and 1.3 need");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// What TLS has to say of an error of its stream, at any time.
pub fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|cause| cause.downcast_ref())
}

pub fn of_rustls(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::AlertReceived(alert) => Error::TlsAlertReceived {
            alert_id: Some((*alert).into()),
            alert_message: Some(format!("{alert:?}")),
        },
        _ => Error::TlsProtocolError,
    }
}
