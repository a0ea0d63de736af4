//! From which address of ours would something leave? The system's routes say.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use kith_net::address;
use libp2p::Multiaddr;

/// The address of ours from which packets to another host leave now; `None` if there is no way.
/// Nothing is sent.
pub(crate) fn own_address_towards(remote: &Multiaddr) -> Option<IpAddr> {
    let host = address::host(remote)?;
    let any: IpAddr = match host {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(host, address::port(remote).unwrap_or(1))).ok()?;
    socket.local_addr().ok().map(|own| own.ip())
}

/// Whether what left from an address of ours towards another host is dead: the address is not ours any
/// more, or things leave elsewhere now. New IPv6 addresses come beside old ones, which go on.
pub(crate) fn is_dead(remote: &Multiaddr, left_from: IpAddr) -> bool {
    match own_address_towards(remote) {
        Some(now) if now == left_from => false,
        Some(IpAddr::V4(_)) => true,
        Some(IpAddr::V6(_)) | None => !is_ours(left_from),
    }
}

fn is_ours(address: IpAddr) -> bool {
    let bound = UdpSocket::bind(SocketAddr::new(address, 0));
    !bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_way_for_a_moment_is_dead_only_without_its_address() {
        let nowhere = "/dns4/example.org/tcp/1".parse().unwrap();
        assert!(!is_dead(&nowhere, Ipv4Addr::LOCALHOST.into()));
        assert!(is_dead(&nowhere, Ipv4Addr::new(192, 0, 2, 1).into()));
    }

    #[test]
    fn to_this_machine_things_leave_from_loopback() {
        let here = "/ip4/127.0.0.1/tcp/4001".parse().unwrap();
        assert_eq!(own_address_towards(&here), Some(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_dead(&here, Ipv4Addr::LOCALHOST.into()));
        assert!(is_dead(&here, Ipv4Addr::new(192, 0, 2, 1).into()));
        assert_eq!(own_address_towards(&"/dns4/example.org/tcp/1".parse().unwrap()), None);
    }
}
