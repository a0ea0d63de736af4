//! Which addresses do we dial?

use std::net::IpAddr;

use kith_common::limits::ADDRESS_BYTES_MAX;
use libp2p::{Multiaddr, multiaddr::Protocol};

/// Reads an address somebody told us, if it is one that we dial.
pub(super) fn parse(text: &str) -> Option<Multiaddr> {
    if text.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    normalise(&text.parse().ok()?)
}

/// The address without a peer id, if it is plain TCP or QUIC to a single host and port.
///
/// Peer ids are thrown away daily, so an address that names one would soon be wrong.
pub(super) fn normalise(address: &Multiaddr) -> Option<Multiaddr> {
    let mut parts: Vec<Protocol<'_>> = address.iter().collect();
    if let Some(Protocol::P2p(_)) = parts.last() {
        parts.pop();
    }
    let ([host, Protocol::Tcp(port)] | [host, Protocol::Udp(port), Protocol::QuicV1]) =
        parts.as_slice()
    else {
        return None;
    };
    if *port == 0 || !is_single_host(ip(host)?) {
        return None;
    }
    Some(parts.into_iter().collect())
}

/// The same address with another port.
pub(super) fn with_port(address: &Multiaddr, port: u16) -> Multiaddr {
    let parts = address.iter().map(|part| match part {
        Protocol::Tcp(_) => Protocol::Tcp(port),
        Protocol::Udp(_) => Protocol::Udp(port),
        other => other,
    });
    parts.collect()
}

/// The TCP or UDP port of an address.
pub(super) fn port(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    })
}

/// The host of an address.
pub(super) fn host(address: &Multiaddr) -> Option<IpAddr> {
    ip(&address.iter().next()?)
}

/// Whether the address speaks TCP rather than QUIC.
pub(super) fn is_tcp(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::Tcp(_)))
}

fn ip(part: &Protocol<'_>) -> Option<IpAddr> {
    match part {
        Protocol::Ip4(ip) => Some(IpAddr::V4(*ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}

fn is_single_host(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || broadcast)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_tcp_and_quic_and_drops_the_peer_id() {
        let peer = libp2p::PeerId::random();
        for plain in ["/ip4/192.0.2.1/tcp/4001", "/ip6/2001:db8::1/udp/4001/quic-v1"] {
            assert_eq!(parse(plain).unwrap().to_string(), plain);
            assert_eq!(parse(&format!("{plain}/p2p/{peer}")).unwrap().to_string(), plain);
        }
    }

    #[test]
    fn refuses_everything_else() {
        let long = format!("/ip4/192.0.2.1/tcp/4001{}", " ".repeat(300));
        for text in [
            "",
            "192.0.2.1:4001",
            "/ip4/192.0.2.1",
            "/ip4/192.0.2.1/tcp/0",
            "/ip4/0.0.0.0/tcp/4001",
            "/ip4/224.0.0.251/udp/5353/quic-v1",
            "/ip4/255.255.255.255/udp/9/quic-v1",
            "/ip4/192.0.2.1/udp/4001",
            "/ip4/192.0.2.1/udp/4001/quic",
            "/ip4/192.0.2.1/tcp/4001/ws",
            "/dns4/example.org/tcp/4001",
            "/memory/1",
            &long,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
