//! Making and accepting sockets within the option `connections_limit`: each is a descriptor of the host's process.
//!
//! All else about sockets is wasmtime-wasi's; whom they may reach it asks [`Network`].

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime::{Error, Result, StoreContextMut};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddressFamily};
use wasmtime_wasi::p2::bindings::sockets::{tcp, tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{self, SocketError};
use wasmtime_wasi::p3::bindings::sockets::types as p3;
use wasmtime_wasi::sockets::{TcpSocket, UdpSocket, WasiSocketsCtxView};

use super::names::LookUps;
use super::{Network, Refusal};
use crate::guest::component::State;

/// Where WASI 0.2 has connections.
const P2_TCP: &str = "wasi:sockets/tcp@0.2.12";
/// Where WASI 0.3 has its sockets.
pub const P3_SOCKETS: &str = "wasi:sockets/types@0.3.0";

/// What functions for sockets and names work with: wasmtime-wasi's own, and what is asked before.
pub struct View<'a> {
    pub general: WasiSocketsCtxView<'a>,
    pub network: Network,
    pub look_ups: &'a mut LookUps,
}

/// Stands for [`View`] where a linker wants a type without lifetime.
pub struct Sockets;

impl HasData for Sockets {
    type Data<'a> = View<'a>;
}

/// The view of one run's state.
pub fn view(state: &mut State) -> View<'_> {
    let network = state.network.clone();
    let (look_ups, general) = state.look_ups_and_sockets();
    View { general, network, look_ups }
}

/// Puts the functions of WASI 0.2 in the place of those that `linker` has.
///
/// # Errors
/// Only if wasmtime-wasi defined a name twice.
pub fn add_p2_to_linker(linker: &mut Linker<State>) -> Result<()> {
    tcp_create_socket::add_to_linker::<State, Sockets>(linker, view)?;
    udp_create_socket::add_to_linker::<State, Sockets>(linker, view)?;
    linker.instance(P2_TCP)?.func_wrap(
        "[method]tcp-socket.accept",
        |mut store: StoreContextMut<'_, State>, (listener,): (Resource<p2::TcpSocket>,)| {
            let mut view = view(store.data_mut());
            if !view.may_make_one() {
                return Ok((Err(ErrorCode::NewSocketLimit),));
            }
            match tcp::HostTcpSocket::accept(&mut view.general, listener) {
                Ok(accepted) => Ok((Ok(accepted),)),
                Err(error) => Ok((Err(error.downcast()?),)),
            }
        },
    )
}

/// The same for WASI 0.3.
///
/// # Errors
/// Only if wasmtime-wasi's types were no longer those of WASI.
pub fn add_p3_to_linker(linker: &mut Linker<State>) -> Result<()> {
    let mut sockets = linker.instance(P3_SOCKETS)?;
    sockets.func_wrap(
        "[static]tcp-socket.create",
        |mut store: StoreContextMut<'_, State>, (family,): (p3::IpAddressFamily,)| {
            let mut view = view(store.data_mut());
            if !view.may_make_one() {
                return Ok((Err(p3::ErrorCode::Other(None)),));
            }
            match p3::HostTcpSocket::create(&mut view.general, family) {
                Ok(socket) => Ok((Ok(socket),)),
                Err(error) => Ok((Err(error.downcast()?),)),
            }
        },
    )?;
    sockets.func_wrap_async(
        "[static]udp-socket.create",
        |mut store: StoreContextMut<'_, State>, (family,): (p3::IpAddressFamily,)| {
            Box::new(async move {
                let mut view = view(store.data_mut());
                if !view.may_make_one() {
                    return Ok((Err(p3::ErrorCode::Other(None)),));
                }
                match p3::HostUdpSocket::create(&mut view.general, family).await {
                    Ok(socket) => Ok((Ok(socket),)),
                    Err(error) => Ok((Err(error.downcast()?),)),
                }
            })
        },
    )
}

impl View<'_> {
    /// Whether the limit allows one more. Where there are no rules, wasmtime-wasi refuses it, and here it is told.
    fn may_make_one(&mut self) -> bool {
        if !self.network.has_rules() {
            self.network.reach.refuse("a socket", Refusal::NoRules);
            return true;
        }
        let limit = self.network.reach.connections_limit;
        let may = sockets_in(self.general.table) < limit as usize;
        if !may {
            self.network.reach.refuse("one more socket", Refusal::TooMany(limit));
        }
        may
    }
}

fn sockets_in(handles: &mut ResourceTable) -> usize {
    let is_socket = |handle: &&mut (dyn std::any::Any + Send)| {
        handle.is::<TcpSocket>()
            || handle.is::<UdpSocket>()
            || handle.is::<p2::TcpSocket>()
            || handle.is::<p2::UdpSocket>()
    };
    handles.iter_mut().filter(is_socket).count()
}

impl network::Host for View<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> Result<ErrorCode> {
        network::Host::convert_error_code(&mut self.general, error)
    }

    fn network_error_code(&mut self, error: Resource<Error>) -> Result<Option<ErrorCode>> {
        network::Host::network_error_code(&mut self.general, error)
    }
}

impl network::HostNetwork for View<'_> {
    fn drop(&mut self, network: Resource<network::Network>) -> Result<()> {
        network::HostNetwork::drop(&mut self.general, network)
    }
}

impl tcp_create_socket::Host for View<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> Result<Resource<p2::TcpSocket>, SocketError> {
        if !self.may_make_one() {
            return Err(ErrorCode::NewSocketLimit.into());
        }
        tcp_create_socket::Host::create_tcp_socket(&mut self.general, family)
    }
}

impl udp_create_socket::Host for View<'_> {
    async fn create_udp_socket(
        &mut self,
        family: IpAddressFamily,
    ) -> Result<Resource<p2::UdpSocket>, SocketError> {
        if !self.may_make_one() {
            return Err(ErrorCode::NewSocketLimit.into());
        }
        udp_create_socket::Host::create_udp_socket(&mut self.general, family).await
    }
}
