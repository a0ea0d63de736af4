//! Where do we listen?

use std::{
    collections::BTreeSet,
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use kith_net::address;
use libp2p::{Multiaddr, Swarm, TransportError, core::transport::ListenerId, multiaddr::Protocol};

use super::{
    NetworkError,
    counters::{Counter, Counters},
    limits::{REBIND_ATTEMPTS_MAX, REBIND_WAIT},
    swarm::Behaviour,
};

/// The listening sockets and the addresses they can be reached at.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    sockets: Vec<Socket>,
    addresses: BTreeSet<Multiaddr>,
}

#[derive(Debug)]
struct Socket {
    wanted: Multiaddr,
    id: Option<ListenerId>,
}

impl Listeners {
    /// Listens on all addresses that this machine can have.
    pub(super) fn start(
        wanted: &[Multiaddr],
        swarm: &mut Swarm<Behaviour>,
        counters: &Counters,
    ) -> Result<Self, NetworkError> {
        let mut listeners = Self::default();
        for (position, wanted) in usable(wanted, counters)? {
            let id = swarm.listen_on(wanted.clone()).map_err(|error| match error {
                TransportError::MultiaddrNotSupported(_) => {
                    NetworkError::ListenUnsupported { position }
                }
                TransportError::Other(source) => NetworkError::Listen { position, source },
            })?;
            listeners.sockets.push(Socket { wanted, id: Some(id) });
        }
        Ok(listeners)
    }

    /// Stops listening, so that another swarm can have the ports.
    pub(super) fn stop(&mut self, swarm: &mut Swarm<Behaviour>) {
        for id in self.sockets.iter_mut().filter_map(|socket| socket.id.take()) {
            swarm.remove_listener(id);
        }
        self.addresses.clear();
    }

    /// Listens again on the same ports; on others where that stays impossible.
    pub(super) async fn restart(&mut self, swarm: &mut Swarm<Behaviour>, counters: &Counters) {
        for socket in &mut self.sockets {
            for _ in 0..REBIND_ATTEMPTS_MAX {
                socket.id = swarm.listen_on(socket.wanted.clone()).ok();
                if socket.id.is_some() {
                    break;
                }
                tokio::time::sleep(REBIND_WAIT).await;
            }
            if socket.id.is_none() {
                counters.add(Counter::ListenFailed);
                tracing::warn!("a listening port could not be kept, taking another one");
                socket.id = swarm.listen_on(address::with_port(&socket.wanted, 0)).ok();
            }
        }
    }

    /// A socket can be reached at a further address.
    pub(super) fn opened(&mut self, id: ListenerId, at: &Multiaddr) {
        let Some(address) = address::normalise(at) else { return };
        let socket = self.sockets.iter_mut().find(|socket| socket.id == Some(id));
        if let (Some(socket), Some(port)) = (socket, address::port(&address)) {
            socket.wanted = address::with_port(&socket.wanted, port);
        }
        self.addresses.insert(address);
    }

    /// An address is gone.
    pub(super) fn closed(&mut self, at: &Multiaddr) {
        if let Some(address) = address::normalise(at) {
            self.addresses.remove(&address);
        }
    }

    pub(super) fn listens_on(&self, address: &Multiaddr) -> bool {
        self.addresses.contains(address)
    }

    pub(super) fn list(&self) -> Vec<String> {
        self.addresses.iter().map(Multiaddr::to_string).collect()
    }
}

/// The addresses that can be bound, with their places in the configuration.
///
/// Binding them here first gives the system's own error; and it finds a TCP port that another node
/// of this user listens on, which libp2p would silently share.
fn usable(
    wanted: &[Multiaddr],
    counters: &Counters,
) -> Result<Vec<(usize, Multiaddr)>, NetworkError> {
    let mut usable = Vec::new();
    let mut missing = None;
    for (position, wanted) in wanted.iter().enumerate() {
        let at = socket_address(wanted).ok_or(NetworkError::ListenUnsupported { position })?;
        match try_bind(at, address::is_tcp(wanted)) {
            Ok(()) => usable.push((position, wanted.clone())),
            Err(source) if at.is_ipv6() && source.kind() != io::ErrorKind::AddrInUse => {
                counters.add(Counter::ListenFailed);
                missing = Some(NetworkError::Listen { position, source });
            }
            Err(source) => return Err(NetworkError::Listen { position, source }),
        }
    }
    match missing {
        Some(error) if usable.is_empty() => Err(error),
        _ => Ok(usable),
    }
}

fn try_bind(at: SocketAddr, tcp: bool) -> io::Result<()> {
    if tcp { TcpListener::bind(at).map(drop) } else { UdpSocket::bind(at).map(drop) }
}

fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    match parts.as_slice() {
        [_, Protocol::Tcp(port)] | [_, Protocol::Udp(port), Protocol::QuicV1] => {
            Some(SocketAddr::new(address::host(address)?, *port))
        }
        _ => None,
    }
}
