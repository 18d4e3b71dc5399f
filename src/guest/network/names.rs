//! Names and their addresses, for components: `wasi:sockets/ip-name-lookup` of WASI 0.2 and 0.3.
//!
//! wasmtime-wasi can only allow every name or none. Here each is asked about first; in WASI 0.2 the looking
//! up is then wasmtime-wasi's own.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;
use wasmtime::Result;
use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup as p2;
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress};
use wasmtime_wasi::p2::{DynPollable, SocketError};
use wasmtime_wasi::p3::bindings::sockets::{ip_name_lookup as p3, types};

use super::sockets::{self, Sockets, View};
use crate::config::Target;
use crate::guest::component::State;

/// Why a name has no address to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAddress {
    /// It may not be asked for.
    Refused,
    /// Nobody knows one.
    Unknown,
}

/// Look-ups of one run that have not ended. The system's resolver can't be interrupted: what a guest gives up waits for
/// its turn all the same.
pub const MOST_LOOK_UPS: usize = 16;

/// Asks the system's resolver. The place is taken until that has an answer, whoever still waits for it.
///
/// # Errors
/// When it has no answer.
pub async fn look_up(name: &str, place: OwnedSemaphorePermit) -> Result<Vec<IpAddr>, NoAddress> {
    let name = name.to_owned();
    let ask = move || {
        let _place = place;
        (name.as_str(), 0).to_socket_addrs()
    };
    let found = spawn_blocking(ask).await.ok().and_then(std::result::Result::ok).ok_or(NoAddress::Unknown)?;
    Ok(found.map(|address| address.ip().to_canonical()).collect())
}

/// Look-ups of WASI 0.2 that are under way: the handle of each, and its name. An entry goes when its handle is
/// used for another one; the table of handles bounds their number.
pub type LookUps = HashMap<u32, String>;

/// Puts the functions of WASI 0.2 in the place of those that `linker` has.
///
/// # Errors
/// Only if wasmtime-wasi defined a name twice.
pub fn add_p2_to_linker(linker: &mut Linker<State>) -> Result<()> {
    p2::add_to_linker::<State, Sockets>(linker, sockets::view)
}

/// The same for WASI 0.3.
///
/// # Errors
/// As above.
pub fn add_p3_to_linker(linker: &mut Linker<State>) -> Result<()> {
    p3::add_to_linker::<State, Sockets>(linker, sockets::view)
}

impl p2::Host for View<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<network::Network>,
        name: String,
    ) -> Result<Resource<p2::ResolveAddressStream>, SocketError> {
        let target = Target::parse(&name).ok_or(ErrorCode::InvalidArgument)?;
        let known_as = match target {
            Target::Name(name) if !self.network.may_look_up(&name) => {
                return Err(ErrorCode::AccessDenied.into());
            }
            Target::Name(name) => Some(name),
            Target::Address(_) => None,
        };
        let Ok(place) = Arc::clone(&self.network.look_ups).try_acquire_owned() else {
            return Err(ErrorCode::TemporaryResolverFailure.into());
        };
        let stream = p2::Host::resolve_addresses(&mut self.general, network, name)?;
        // The threads take these in the order they come, so the look-up has begun by then.
        spawn_blocking(move || drop(place));
        match known_as {
            Some(name) => self.look_ups.insert(stream.rep(), name),
            None => self.look_ups.remove(&stream.rep()),
        };
        Ok(stream)
    }
}

impl p2::HostResolveAddressStream for View<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<p2::ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        let name = self.look_ups.get(&stream.rep());
        loop {
            let stream = Resource::new_borrow(stream.rep());
            let found = p2::HostResolveAddressStream::resolve_next_address(&mut self.general, stream)?;
            match (found, name) {
                (Some(address), Some(name)) if !self.network.may_resolve(name, ip(address)) => {}
                _ => return Ok(found),
            }
        }
    }

    fn subscribe(&mut self, stream: Resource<p2::ResolveAddressStream>) -> Result<Resource<DynPollable>> {
        p2::HostResolveAddressStream::subscribe(&mut self.general, stream)
    }

    fn drop(&mut self, stream: Resource<p2::ResolveAddressStream>) -> Result<()> {
        self.look_ups.remove(&stream.rep());
        p2::HostResolveAddressStream::drop(&mut self.general, stream)
    }
}

fn ip(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => [a, b, c, d].into(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => [a, b, c, d, e, f, g, h].into(),
    }
}

impl p3::Host for View<'_> {}

impl<T: Send> p3::HostWithStore<T> for Sockets {
    async fn resolve_addresses(
        store: &Accessor<T, Self>,
        name: String,
    ) -> Result<Result<Vec<types::IpAddress>, p3::ErrorCode>> {
        let network = store.with(|mut access| access.get().network);
        let Some(target) = Target::parse(&name) else {
            return Ok(Err(p3::ErrorCode::InvalidArgument));
        };
        Ok(match network.resolve(&target).await {
            Ok(addresses) => Ok(addresses.into_iter().map(Into::into).collect()),
            Err(NoAddress::Refused) => Err(p3::ErrorCode::AccessDenied),
            Err(NoAddress::Unknown) => Err(p3::ErrorCode::NameUnresolvable),
        })
    }
}
