//! HTTP requests of components: `wasi:http` of WASI 0.2 and 0.3.
//!
//! The interfaces are wasmtime-wasi-http's. What it leaves to its embedder is here: whether a request may be
//! made at all, where it goes, and how long and large it may become. Each request has a connection of its own,
//! made to an address that was asked about after the name was resolved, so no second look-up can lead
//! elsewhere. Redirects are the guest's to follow, and then requests like any other.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until, timeout, timeout_at};
use wasmtime::component::{Linker, Resource};
use wasmtime::{Result as WasmResult, StoreContextMut};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::runtime::spawn;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::p2::bindings::http::types::{self as p2, ErrorCode};
use wasmtime_wasi_http::p3::bindings::http::types as p3;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::names::NoAddress;
use super::{Network, Refusal, tls};
use crate::config::{Config, Target};
use crate::guest::component::State;

/// Where WASI 0.2 has the types of HTTP.
const P2_TYPES: &str = "wasi:http/types@0.2.12";
/// Where WASI 0.3 has them.
const P3_TYPES: &str = "wasi:http/types@0.3.0";

/// Longest method of a request; the longest that is registered has 17 bytes. wasmtime-wasi-http keeps one of any
/// length for each request, whatever `memory_limit` says.
const MAX_METHOD_BYTES: usize = 100;
/// The same for whom a request is for; longer names are not looked up anyway (see [`Target`]).
const MAX_AUTHORITY_BYTES: usize = 1100;
/// Bytes of a request's body that wasmtime-wasi-http takes at a time, and keeps for each request that is not sent yet.
const BODY_CHUNK_BYTES: usize = 64 << 10;

/// Puts these functions of WASI 0.2 in the place of those that `linker` has:
///
/// - which error code is behind the error of a body's stream: wasmtime-wasi-http's own knows none of those that
///   bodies end with;
/// - setting a request's method, and whom it is for, see [`MAX_METHOD_BYTES`].
///
/// # Errors
/// Only if the types of wasmtime-wasi-http were no longer those of WASI.
pub fn add_p2_to_linker(linker: &mut Linker<State>) -> WasmResult<()> {
    let mut types = linker.instance(P2_TYPES)?;
    types.func_wrap(
        "http-error-code",
        |mut store: StoreContextMut<'_, State>, (error,): (Resource<wasmtime::Error>,)| {
            let error = store.data_mut().ctx().table.get(&error)?;
            Ok((error.downcast_ref().and_then(of_body),))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: StoreContextMut<'_, State>, args| {
            let (request, method): (Resource<p2::OutgoingRequest>, p2::Method) = args;
            if matches!(&method, p2::Method::Other(name) if name.len() > MAX_METHOD_BYTES) {
                return Ok((Err(()),));
            }
            let set = p2::HostOutgoingRequest::set_method(&mut store.data_mut().http(), request, method)?;
            Ok((set,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: StoreContextMut<'_, State>, args| {
            let (request, authority): (Resource<p2::OutgoingRequest>, Option<String>) = args;
            if is_too_long(authority.as_deref()) {
                return Ok((Err(()),));
            }
            let set =
                p2::HostOutgoingRequest::set_authority(&mut store.data_mut().http(), request, authority)?;
            Ok((set,))
        },
    )
}

fn is_too_long(authority: Option<&str>) -> bool {
    authority.is_some_and(|authority| authority.len() > MAX_AUTHORITY_BYTES)
}

/// The same for WASI 0.3: setting a request's method, and whom it is for.
///
/// # Errors
/// As above.
pub fn add_p3_to_linker(linker: &mut Linker<State>) -> WasmResult<()> {
    let mut types = linker.instance(P3_TYPES)?;
    types.func_wrap("[method]request.set-method", |mut store: StoreContextMut<'_, State>, args| {
        let (request, method): (Resource<p3::Request>, p3::Method) = args;
        if matches!(&method, p3::Method::Other(name) if name.len() > MAX_METHOD_BYTES) {
            return Ok((Err(()),));
        }
        Ok((p3::HostRequest::set_method(&mut store.data_mut().http(), request, method)?,))
    })?;
    types.func_wrap("[method]request.set-authority", |mut store: StoreContextMut<'_, State>, args| {
        let (request, authority): (Resource<p3::Request>, Option<String>) = args;
        if is_too_long(authority.as_deref()) {
            return Ok((Err(()),));
        }
        Ok((p3::HostRequest::set_authority(&mut store.data_mut().http(), request, authority)?,))
    })
}

/// The code of an error that a [`Bounded`] body ends with.
fn of_body(error: &Error) -> Option<ErrorCode> {
    match error {
        Error::HttpResponseBodySize(size) => Some(ErrorCode::HttpResponseBodySize(*size)),
        Error::HttpResponseTimeout => Some(ErrorCode::HttpResponseTimeout),
        Error::ConnectionReadTimeout => Some(ErrorCode::ConnectionReadTimeout),
        Error::HttpResponseIncomplete => Some(ErrorCode::HttpResponseIncomplete),
        Error::ConnectionTerminated => Some(ErrorCode::ConnectionTerminated),
        Error::HttpProtocolError => Some(ErrorCode::HttpProtocolError),
        _ => None,
    }
}

/// How long a new request waits for a place. A guest that has read an answer to its end, and asks for the next thing
/// at once, is faster than the task of the connection, which has yet to notice that it is done.
const CLOSING: Duration = Duration::from_millis(50);

/// Bounds of one request.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// From looking up the name to the end of the answer.
    time: Duration,
    /// Of its body, and of the answer's.
    body_bytes: u64,
}

impl Bounds {
    /// As the options say.
    pub fn of(config: &Config) -> Self {
        Self { time: config.request_timeout, body_bytes: config.body_limit_bytes }
    }
}

/// Sends what the guest's HTTP interfaces hand over.
pub struct Client {
    network: Network,
}

impl Client {
    /// For one run.
    pub fn new(network: Network) -> Self {
        Self { network }
    }
}

type Exchange = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Client {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Exchange, Error>> + Send> {
        Box::new(send(self.network.clone(), request, options.unwrap_or_default()))
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }
}

async fn send(
    network: Network,
    request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Exchange, Error> {
    let Bounds { time, body_bytes } = network.reach.bounds;
    let deadline = Instant::now() + time;
    let to = Destination::of(request.uri())?;
    // It would make a tunnel of the connection, to whomever the other side likes.
    if request.method() == Method::CONNECT {
        return Err(Error::HttpRequestMethodInvalid);
    }
    let place = place(&network).await?;
    let addresses = to.addresses(&network);
    let addresses = timeout_at(deadline, addresses).await.map_err(|_| Error::DnsTimeout)??;
    let connect_by = options.connect_timeout.map_or(deadline, |time| deadline.min(Instant::now() + time));
    let stream = timeout_at(connect_by, connect(&network, &to, &addresses, connect_by));
    let stream = stream.await.map_err(|_| Error::ConnectionTimeout)??;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| of_hyper(&error))?;
    let connection = spawn(async move {
        let _held = place;
        timeout_at(deadline, connection).await
    });

    let request = to.request(request.map(|body| {
        Bounded::new(body, body_bytes, Error::HttpRequestBodySize, deadline, None).boxed_unsync()
    }));
    let answer_by = options.first_byte_timeout.map_or(deadline, |time| deadline.min(Instant::now() + time));
    let response = timeout_at(answer_by, sender.send_request(request)).await;
    let response = response.map_err(|_| Error::ConnectionReadTimeout)?.map_err(|error| {
        // The connection's time is over at the same moment, and then it is the connection that fails.
        if Instant::now() >= answer_by { Error::ConnectionReadTimeout } else { of_hyper(&error) }
    })?;
    if let Some(announced) = response.body().size_hint().exact()
        && announced > body_bytes
    {
        return Err(Error::HttpResponseBodySize(Some(announced)));
    }
    let between = options.between_bytes_timeout;
    let response = response.map(|body| {
        let body = body.map_err(|error| of_hyper(&error));
        Bounded::new(body, body_bytes, Error::HttpResponseBodySize, deadline, between).boxed_unsync()
    });
    let rest = async move {
        match connection.await {
            Ok(exchanged) => exchanged.map_err(|error| of_hyper(&error)),
            Err(_) => Err(Error::HttpResponseTimeout),
        }
    };
    Ok((response, Box::new(rest)))
}

/// A place among those that may be under way at a time.
async fn place(network: &Network) -> Result<OwnedSemaphorePermit, Error> {
    let free = timeout(CLOSING, Arc::clone(&network.requests).acquire_owned()).await;
    free.ok().and_then(Result::ok).ok_or_else(|| {
        let limit = network.reach.connections_limit;
        network.reach.refuse("one more HTTP request", Refusal::TooMany(limit));
        Error::ConnectionLimitReached
    })
}

/// Where a request goes.
struct Destination {
    target: Target,
    /// As the guest wrote it, without a user's name and password.
    host: HeaderValue,
    port: u16,
    encrypted: bool,
}

impl Destination {
    fn of(uri: &Uri) -> Result<Self, Error> {
        let encrypted = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(Error::HttpProtocolError),
        };
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        let target = Target::parse(authority.host()).ok_or(Error::HttpRequestUriInvalid)?;
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        let usual = if encrypted { 443 } else { 80 };
        let port = match (authority.port_u16(), host.strip_prefix(authority.host())) {
            (Some(port), _) => port,
            (None, Some("" | ":")) => usual,
            // No number, or a larger one than there is.
            _ => return Err(Error::HttpRequestUriInvalid),
        };
        let host = HeaderValue::from_str(host).map_err(|_| Error::HttpRequestUriInvalid)?;
        Ok(Self { target, host, port, encrypted })
    }

    /// Where it may be sent: at least one address.
    async fn addresses(&self, network: &Network) -> Result<Vec<SocketAddr>, Error> {
        let rules = &network.reach.allow_hosts;
        let allowed = match &self.target {
            Target::Name(name) => rules.have_name_at(name, self.port),
            Target::Address(address) => rules.have_address(*address, self.port),
        };
        if !allowed {
            network.reach.refuse(&self.described(), Refusal::NotAllowed);
            return Err(Error::HttpRequestDenied);
        }
        let addresses = network.resolve(&self.target).await.map_err(|error| match error {
            NoAddress::Refused => Error::HttpRequestDenied,
            NoAddress::Unknown => Error::DnsError { rcode: None, info_code: None },
        })?;
        let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, self.port));
        let addresses: Vec<_> = addresses.filter(|address| network.may_reach(*address).is_ok()).collect();
        if addresses.is_empty() {
            network.reach.refuse(&self.described(), Refusal::ResolvesInside);
            return Err(Error::DestinationIpProhibited);
        }
        Ok(addresses)
    }

    fn described(&self) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        match &self.target {
            Target::Name(name) => format!("a request to {scheme}://{name}:{}", self.port),
            Target::Address(address) => {
                format!("a request to {scheme}://{}", SocketAddr::new(*address, self.port))
            }
        }
    }

    /// The request as it is written to whom it is for: without whom it is for.
    fn request<B>(&self, mut request: Request<B>) -> Request<B> {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
        request.headers_mut().insert(HOST, self.host.clone());
        request
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Longest wait for an address of a name that has others: it may be of a network that swallows everything.
const LONGEST_KNOCK: Duration = Duration::from_secs(5);

/// Connects to the first address that can be connected to.
async fn connect(
    network: &Network,
    to: &Destination,
    addresses: &[SocketAddr],
    by: Instant,
) -> Result<Box<dyn Stream>, Error> {
    let encryption = if to.encrypted {
        Some(tls::config().await.map_err(|missing| {
            network.reach.refuse(&to.described(), Refusal::NoAuthorities(missing.0));
            Error::TlsCertificateError
        })?)
    } else {
        None
    };
    let mut last = Error::DestinationUnavailable;
    for (at, address) in addresses.iter().enumerate() {
        let others = u32::try_from(addresses.len() - at - 1).unwrap_or(u32::MAX);
        let time = by.saturating_duration_since(Instant::now());
        let time = if others > 0 { LONGEST_KNOCK.min(time / (others + 1)) } else { time };
        let connected = timeout(time, TcpStream::connect(address)).await;
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                // A request is small, and its answer is waited for.
                let _ = stream.set_nodelay(true);
                return match encryption {
                    Some(config) => encrypt(network, to, config, stream).await,
                    None => Ok(Box::new(stream)),
                };
            }
            Err(error) => last = of_connecting(&error),
        }
    }
    Err(last)
}

/// The operator is told why a certificate is not good; the guest only that it isn't.
async fn encrypt(
    network: &Network,
    to: &Destination,
    config: Arc<rustls::ClientConfig>,
    stream: TcpStream,
) -> Result<Box<dyn Stream>, Error> {
    match tls::wrap(config, stream, &to.target).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(tls::Failed::Other(error)) => Err(error),
        Err(tls::Failed::Certificate(why)) => {
            network.reach.refuse(&to.described(), Refusal::Certificate(why));
            Err(Error::TlsCertificateError)
        }
    }
}

fn of_connecting(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
        io::ErrorKind::TimedOut => Error::ConnectionTimeout,
        io::ErrorKind::ConnectionReset => Error::ConnectionTerminated,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Error::DestinationIpUnroutable,
        _ => Error::DestinationUnavailable,
    }
}

fn of_hyper(error: &hyper::Error) -> Error {
    // A bound that the guest's own body has broken.
    if let Some(Error::HttpRequestBodySize(size)) = error.source().and_then(|cause| cause.downcast_ref()) {
        return Error::HttpRequestBodySize(*size);
    }
    let of_stream = error.source().and_then(|cause| cause.downcast_ref());
    if let Some(error) = of_stream.and_then(tls::rustls_error) {
        return tls::of_rustls(error);
    }
    if error.is_timeout() {
        Error::HttpResponseTimeout
    } else if error.is_incomplete_message() || is(error, &[io::ErrorKind::UnexpectedEof]) {
        Error::HttpResponseIncomplete
    } else if error.is_parse_too_large() {
        Error::HttpResponseHeaderSectionSize(None)
    } else if error.is_closed() || error.is_canceled() || is(error, &GONE) {
        Error::ConnectionTerminated
    } else {
        Error::HttpProtocolError
    }
}

/// The other side is gone, and not only at odds with the protocol.
const GONE: [io::ErrorKind; 3] =
    [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset];

/// Whether one of these is behind it.
fn is(error: &hyper::Error, kinds: &[io::ErrorKind]) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| kinds.contains(&cause.kind()))
}

/// A body within its bounds.
struct Bounded<B> {
    body: B,
    left_bytes: u64,
    limit_bytes: u64,
    too_large: fn(Option<u64>) -> Error,
    deadline: Pin<Box<Sleep>>,
    /// Longest time for one frame to come, as the guest wants it, and when the next is due.
    between: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl<B> Bounded<B> {
    fn new(
        body: B,
        limit_bytes: u64,
        too_large: fn(Option<u64>) -> Error,
        deadline: Instant,
        between: Option<Duration>,
    ) -> Self {
        Self {
            body,
            left_bytes: limit_bytes,
            limit_bytes,
            too_large,
            deadline: Box::pin(sleep_until(deadline)),
            between: between.map(|time| (time, Box::pin(tokio::time::sleep(time)))),
        }
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Bounded<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        // First, since a body that always has more would never let it be looked at.
        if this.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Error::HttpResponseTimeout)));
        }
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            if let Some((_, due)) = &mut this.between {
                ready!(due.as_mut().poll(context));
                return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
            }
            return Poll::Pending;
        };
        if let Some((time, due)) = &mut this.between {
            due.as_mut().reset(Instant::now() + *time);
        }
        if let Some(Ok(data)) = frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref))
            && let Some(data) = data
        {
            match this.left_bytes.checked_sub(data.remaining() as u64) {
                Some(left) => this.left_bytes = left,
                None => return Poll::Ready(Some(Err((this.too_large)(Some(this.limit_bytes))))),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_learns_no_password() {
        for (uri, host) in [
            ("http://user:secret@a.example:8099/x", "a.example:8099"),
            ("https://a.example", "a.example"),
            ("http://[::1]:80/", "[::1]:80"),
        ] {
            let to = Destination::of(&uri.parse().unwrap()).expect("it can be asked");
            let request = to.request(Request::builder().uri(uri).header(HOST, "x@y").body(()).unwrap());
            assert_eq!(request.headers()[HOST], host);
        }
    }
}
