//! Where do we listen, and where are we reached?

use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use kith_net::address;
use libp2p::{Multiaddr, Swarm, TransportError, core::transport::ListenerId, multiaddr::Protocol};

use crate::{error::StartError, limits::OWN_ADDRESSES_MAX, swarm::Behaviour};

/// What is listened on, and what others are told about that.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// Set if somebody has said where we are reached.
    fixed: bool,
    found: HashMap<ListenerId, BTreeSet<Multiaddr>>,
    told: Vec<Multiaddr>,
}

impl Listeners {
    /// Listens.
    ///
    /// # Errors
    /// If that is not possible; addresses of IPv6 are left out where there is none, as long as there
    /// is another.
    pub(crate) fn start(
        wanted: &[String],
        told: Vec<Multiaddr>,
        swarm: &mut Swarm<Behaviour>,
    ) -> Result<Self, StartError> {
        let mut found = HashMap::new();
        for (text, address) in usable(wanted)? {
            let id = swarm.listen_on(address).map_err(|error| match error {
                TransportError::MultiaddrNotSupported(_) => {
                    StartError::ListenUnsupported(text.clone())
                }
                TransportError::Other(source) => {
                    StartError::Listen { address: text.clone(), source }
                }
            })?;
            found.insert(id, BTreeSet::new());
        }
        let fixed = !told.is_empty();
        Ok(Self { fixed, found, told })
    }

    #[cfg(test)]
    pub(crate) fn expect(&mut self, id: ListenerId) {
        self.found.insert(id, BTreeSet::new());
    }

    /// Whether every listener has said where it listens.
    pub(crate) fn are_complete(&self) -> bool {
        self.found.values().all(|addresses| !addresses.is_empty())
    }

    /// Whether any of them still listens.
    pub(crate) fn is_any_left(&self) -> bool {
        self.found.values().any(|addresses| !addresses.is_empty())
    }

    /// A listener can be reached at a further address; returns whether others must be told.
    pub(crate) fn opened(&mut self, id: ListenerId, at: &Multiaddr) -> bool {
        if let Some(addresses) = self.found.get_mut(&id)
            && let Some(at) = address::normalise(at)
        {
            addresses.insert(at);
        }
        self.tell()
    }

    /// A listener cannot be reached there any more; returns whether others must be told.
    pub(crate) fn closed(&mut self, id: ListenerId, at: &Multiaddr) -> bool {
        if let Some(addresses) = self.found.get_mut(&id)
            && let Some(at) = address::normalise(at)
        {
            addresses.remove(&at);
        }
        self.tell()
    }

    /// Where others are told to connect.
    pub(crate) fn told(&self) -> &[Multiaddr] {
        &self.told
    }

    fn tell(&mut self) -> bool {
        if self.fixed {
            return false;
        }
        let (loopback, others): (BTreeSet<_>, BTreeSet<_>) =
            self.found.values().flatten().cloned().partition(is_loopback);
        let told = if others.is_empty() { loopback } else { others };
        let told: Vec<_> = told.into_iter().take(OWN_ADDRESSES_MAX).collect();
        let changed = told != self.told;
        self.told = told;
        changed
    }
}

fn is_loopback(address: &Multiaddr) -> bool {
    address::host(address).is_some_and(|host| host.is_loopback())
}

/// The addresses that can be bound. Trying that first gives the system's own error; and it finds a
/// TCP port that another program of this user listens on, which libp2p would silently share.
fn usable(wanted: &[String]) -> Result<Vec<(String, Multiaddr)>, StartError> {
    let (mut usable, mut missing) = (Vec::new(), None);
    for text in wanted {
        let unsupported = || StartError::ListenUnsupported(text.clone());
        let address: Multiaddr = text.parse().map_err(|_| unsupported())?;
        let at = socket_address(&address).ok_or_else(unsupported)?;
        match try_bind(at, address::is_tcp(&address)) {
            Ok(()) => usable.push((text.clone(), address)),
            Err(source) => {
                let left_out = at.is_ipv6() && source.kind() != io::ErrorKind::AddrInUse;
                let error = StartError::Listen { address: text.clone(), source };
                if !left_out {
                    return Err(error);
                }
                missing = Some(error);
            }
        }
    }
    match (usable.is_empty(), missing) {
        (true, Some(error)) => Err(error),
        (true, None) => Err(StartError::NoAddress),
        (false, _) => Ok(usable),
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
