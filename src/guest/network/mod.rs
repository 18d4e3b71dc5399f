//! What a component may reach: whom it connects to, what it looks up, where it listens.
//!
//! Core modules have no network. For components every address is asked about here before anything happens
//! ([`Network::permits`]), whichever interface it comes through: sockets of WASI 0.2 and 0.3, and HTTP, which
//! resolves and connects by itself. Names are looked up only if a rule has them ([`names`]), and what they
//! resolve to is remembered for the run together with the name, since an address that was resolved is allowed
//! by its name's rule only.
//!
//! A refusal is an error the guest can read, one log line for each target, and a count.

#[cfg(feature = "http")]
pub mod http;
pub mod names;
pub mod sockets;
#[cfg(feature = "http")]
mod tls;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::sockets::SocketAddrUse;

use crate::config::{Config, Rules, Target};
use crate::counters::Counters;
use crate::event::Event;
use crate::pipe::Pipe;

/// Different refusals that are told; beyond, they are only counted.
const MAX_TOLD: usize = 1000;
/// Names that are remembered with an address they have.
const MAX_RESOLVED: usize = 10_000;

/// What an input's options say about the network, and what has been told of refusals. Outlasts the runs.
pub struct Reach {
    allow_hosts: Rules,
    allow_listen: Rules,
    connections_limit: u32,
    #[cfg(feature = "http")]
    bounds: http::Bounds,
    /// Refusals that have been told. Only the guest's thread locks it.
    told: Mutex<HashSet<String>>,
    pipe: Arc<Pipe>,
    counters: Arc<Counters>,
}

/// Why something is refused; a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No rule of `allow_hosts` has it.
    NotAllowed,
    /// A rule has the name, but not for this address.
    ResolvesInside,
    /// No rule of `allow_listen` has it.
    NotOurs,
    /// There are so many already.
    TooMany(u32),
    /// There are no rules at all.
    NoRules,
    /// Its certificate is not good; why.
    #[cfg(feature = "http")]
    Certificate(String),
    /// Nobody could say that it is the right one; with what was looked at.
    #[cfg(feature = "http")]
    NoAuthorities(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => write!(f, "allow_hosts does not have it"),
            Self::ResolvesInside => write!(
                f,
                "that is no address of the public internet, so allow_hosts has to have it by its address, its range or the exact name"
            ),
            Self::NotOurs => write!(f, "allow_listen does not have it"),
            Self::TooMany(limit) => write!(f, "connections_limit ({limit}) is reached"),
            #[cfg(feature = "http")]
            Self::Certificate(why) => {
                write!(f, "{why} (the authorities are the system's, or those of SSL_CERT_FILE)")
            }
            #[cfg(feature = "http")]
            Self::NoAuthorities(looked_at) => write!(
                f,
                "the system has no certificate authorities{looked_at}; install its package ca-certificates, or set SSL_CERT_FILE for Fluent Bit"
            ),
            Self::NoRules => write!(f, "neither allow_hosts nor allow_listen is set"),
        }
    }
}

impl Reach {
    /// As the options say.
    pub fn new(config: &Config, pipe: Arc<Pipe>, counters: Arc<Counters>) -> Self {
        Self {
            allow_hosts: config.allow_hosts.clone(),
            allow_listen: config.allow_listen.clone(),
            connections_limit: config.connections_limit,
            #[cfg(feature = "http")]
            bounds: http::Bounds::of(config),
            told: Mutex::default(),
            pipe,
            counters,
        }
    }

    /// Counts a refusal and tells it, if it is a new one.
    fn refuse(&self, what: &str, why: Refusal) {
        self.counters.refused_connections.add(1);
        let mut told = lock(&self.told);
        if told.len() < MAX_TOLD && told.insert(what.to_owned()) {
            let last = told.len() == MAX_TOLD;
            drop(told);
            self.pipe.post(Event::NetworkRefused { what: what.to_owned(), why: why.to_string(), last });
        }
    }
}

/// The network of one run.
#[derive(Clone)]
pub struct Network {
    reach: Arc<Reach>,
    /// Only this run's thread locks it.
    resolved: Arc<Mutex<Resolved>>,
    /// Whether a UDP socket is, or was, at a place that the system picked.
    udp_elsewhere: Arc<AtomicBool>,
    /// Look-ups of names that may still begin.
    look_ups: Arc<tokio::sync::Semaphore>,
    /// HTTP requests that may still begin.
    #[cfg(feature = "http")]
    requests: Arc<tokio::sync::Semaphore>,
}

/// Addresses, and the names that were resolved to them.
#[derive(Default)]
struct Resolved {
    names: HashMap<IpAddr, HashSet<String>>,
    /// Of all addresses together.
    count: usize,
}

impl Resolved {
    fn add(&mut self, address: IpAddr, name: &str) {
        if self.count == MAX_RESOLVED {
            // What was looked up last is what will be connected to next.
            *self = Self::default();
        }
        self.count += usize::from(self.names.entry(address).or_default().insert(name.to_owned()));
    }
}

impl Network {
    /// For one run.
    pub fn new(reach: &Arc<Reach>) -> Self {
        Self {
            reach: Arc::clone(reach),
            resolved: Arc::default(),
            udp_elsewhere: Arc::default(),
            look_ups: Arc::new(tokio::sync::Semaphore::new(names::MOST_LOOK_UPS)),
            #[cfg(feature = "http")]
            requests: Arc::new(tokio::sync::Semaphore::new(reach.connections_limit as usize)),
        }
    }

    /// Whether a socket may be of any use.
    fn has_rules(&self) -> bool {
        !self.reach.allow_hosts.is_empty() || !self.reach.allow_listen.is_empty()
    }

    /// Opens what the options grant: nothing, or sockets whose every address is asked about here.
    pub fn grant(&self, wasi: &mut WasiCtxBuilder) {
        let any = self.has_rules();
        wasi.allow_tcp(any).allow_udp(any).allow_ip_name_lookup(any);
        let network = self.clone();
        wasi.socket_addr_check(move |address, what_for| {
            let permitted = network.permits(address, what_for);
            Box::pin(std::future::ready(permitted))
        });
    }

    /// Whether a socket may be used so.
    fn permits(&self, address: SocketAddr, what_for: SocketAddrUse) -> bool {
        use SocketAddrUse::{TcpAccept, TcpBind, TcpConnect, TcpListen, UdpBind, UdpReceive, UdpSend};
        let reach = &self.reach;
        let listens = |address: SocketAddr| reach.allow_listen.have_local(address.ip(), address.port());
        match what_for {
            TcpConnect | UdpSend => {
                let protocol = if matches!(what_for, TcpConnect) { "tcp" } else { "udp" };
                self.may_reach(address)
                    .map_err(|why| reach.refuse(&format!("a connection to {protocol} {address}"), why))
                    .is_ok()
            }
            // Which socket it is that hears a stranger isn't told, so all of them have to be at granted places.
            UdpReceive => {
                let granted = !reach.allow_listen.is_empty() && !self.udp_elsewhere.load(Ordering::Relaxed);
                granted || self.may_reach(address).is_ok()
            }
            TcpAccept => true,
            TcpBind | TcpListen | UdpBind if listens(address) => true,
            // What every connection does by itself: the system picks a place that nobody knows.
            TcpBind | UdpBind if address.ip().is_unspecified() && address.port() == 0 => {
                if matches!(what_for, UdpBind) {
                    self.udp_elsewhere.store(true, Ordering::Relaxed);
                }
                true
            }
            TcpBind | TcpListen | UdpBind => {
                let protocol = if matches!(what_for, UdpBind) { "udp" } else { "tcp" };
                reach.refuse(&format!("listening at {protocol} {address}"), Refusal::NotOurs);
                false
            }
        }
    }

    /// Whether an address may be connected to: as it stands, or by a name it was resolved from.
    fn may_reach(&self, address: SocketAddr) -> Result<(), Refusal> {
        let (ip, port) = (address.ip().to_canonical(), address.port());
        let rules = &self.reach.allow_hosts;
        let resolved = lock(&self.resolved);
        let mut names = resolved.names.get(&ip).into_iter().flatten();
        if rules.have_address(ip, port) || names.any(|name| rules.have_resolved(name, ip, port)) {
            Ok(())
        } else {
            Err(Refusal::NotAllowed)
        }
    }

    /// Whether `name` may be looked up. A refusal is told.
    fn may_look_up(&self, name: &str) -> bool {
        let allowed = self.reach.allow_hosts.have_name(name);
        if !allowed {
            self.reach.refuse(&format!("a look-up of {name}"), Refusal::NotAllowed);
        }
        allowed
    }

    /// Remembers that `name` was resolved to `address`, if some rule lets it be. What isn't is told.
    fn may_resolve(&self, name: &str, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if !self.reach.allow_hosts.may_resolve(name, address) {
            self.reach.refuse(&format!("{name} at {address}"), Refusal::ResolvesInside);
            return false;
        }
        lock(&self.resolved).add(address, name);
        true
    }

    /// Looks a name up, or takes an address as it is. Only addresses that some rule allows are returned.
    ///
    /// # Errors
    /// When no rule has the name, or it has no address.
    async fn resolve(&self, target: &Target) -> Result<Vec<IpAddr>, names::NoAddress> {
        match target {
            Target::Address(address) => Ok(vec![*address]),
            Target::Name(name) if !self.may_look_up(name) => Err(names::NoAddress::Refused),
            Target::Name(name) => {
                let place = Arc::clone(&self.look_ups).acquire_owned().await;
                let addresses = names::look_up(name, place.map_err(|_| names::NoAddress::Unknown)?).await?;
                Ok(addresses.into_iter().filter(|address| self.may_resolve(name, *address)).collect())
            }
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked has left it whole: each use is one operation.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
