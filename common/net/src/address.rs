//! Which addresses do we dial?

use std::net::IpAddr;

use kith_common::limits::ADDRESS_BYTES_MAX;
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

/// Reads an address somebody told us, if it is one that we dial.
pub fn parse(text: &str) -> Option<Multiaddr> {
    if text.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    normalise(&text.parse().ok()?)
}

/// The address as we dial it, if it is plain TCP or QUIC to a single host and port, or leads
/// through one relay that is reached so.
///
/// Peer ids are thrown away daily, so a plain address that names one would soon be wrong: it is
/// left out. A relay knows nodes by nothing else, and is known itself by one that stays: there both
/// must be named.
pub fn normalise(address: &Multiaddr) -> Option<Multiaddr> {
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    if let [relay @ .., Protocol::P2p(at), Protocol::P2pCircuit, Protocol::P2p(target)] =
        parts.as_slice()
    {
        return (is_plain(relay) && at != target).then(|| address.clone());
    }
    let plain = match parts.as_slice() {
        [plain @ .., Protocol::P2p(_)] => plain,
        plain => plain,
    };
    is_plain(plain).then(|| plain.iter().cloned().collect())
}

/// Splits the peer id off a plain address that ends in one.
pub fn split_peer(address: &Multiaddr) -> Option<(PeerId, Multiaddr)> {
    match address.iter().last()? {
        Protocol::P2p(peer) if !is_relayed(address) => Some((peer, normalise(address)?)),
        _ => None,
    }
}

/// The same address with another port.
pub fn with_port(address: &Multiaddr, port: u16) -> Multiaddr {
    let parts = address.iter().map(|part| match part {
        Protocol::Tcp(_) => Protocol::Tcp(port),
        Protocol::Udp(_) => Protocol::Udp(port),
        other => other,
    });
    parts.collect()
}

/// The TCP or UDP port of an address; of a relayed one, the relay's.
pub fn port(address: &Multiaddr) -> Option<u16> {
    address.iter().find_map(|part| match part {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    })
}

/// The host of an address; of a relayed one, the relay's.
pub fn host(address: &Multiaddr) -> Option<IpAddr> {
    ip(&address.iter().next()?)
}

/// Whether the address speaks TCP rather than QUIC, to the relay if there is one.
pub fn is_tcp(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::Tcp(_)))
}

/// Whether the address leads through a relay.
pub fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::P2pCircuit))
}

/// Where the relay of an address is; all of it, if it leads through none.
pub fn without_circuit(address: &Multiaddr) -> Multiaddr {
    let relay = address.iter().take_while(|part| !matches!(part, Protocol::P2pCircuit));
    relay.filter(|part| !matches!(part, Protocol::P2p(_))).collect()
}

/// The address without a peer id behind it.
pub fn without_peer(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
}

/// The relay through which the address leads, if it names one.
pub fn relay_of(address: &Multiaddr) -> Option<PeerId> {
    let mut relay = None;
    for part in address {
        match part {
            Protocol::P2pCircuit => return relay,
            Protocol::P2p(peer) => relay = Some(peer),
            _ => relay = None,
        }
    }
    None
}

/// Whether the host of an address is on the internet, rather than in some network behind it.
pub fn is_global(address: &Multiaddr) -> bool {
    match host(address).map(|host| host.to_canonical()) {
        Some(IpAddr::V4(ip)) => {
            let [a, b, c, _] = ip.octets();
            let is_elsewhere = matches!(
                (a, b, c),
                (0 | 10 | 127 | 224.., _, _)
                    | (100, 64..128, _)
                    | (172, 16..32, _)
                    | (169, 254, _)
                    | (192, 168, _)
                    | (192, 0, 0 | 2)
                    | (198, 18 | 19, _)
                    | (198, 51, 100)
                    | (203, 0, 113)
            );
            !is_elsewhere
        }
        // What has been given out so far, less what is for documentation.
        Some(IpAddr::V6(ip)) => {
            let [a, b, ..] = ip.segments();
            a & 0xe000 == 0x2000 && (a, b) != (0x2001, 0xdb8)
        }
        None => false,
    }
}

fn is_plain(parts: &[Protocol<'_>]) -> bool {
    let ([host, Protocol::Tcp(port)] | [host, Protocol::Udp(port), Protocol::QuicV1]) = parts
    else {
        return false;
    };
    *port != 0 && ip(host).is_some_and(is_single_host)
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

    const PLAIN: [&str; 2] = ["/ip4/192.0.2.1/tcp/4001", "/ip6/2001:db8::1/udp/4001/quic-v1"];

    #[test]
    fn takes_tcp_and_quic_and_drops_the_peer_id() {
        let peer = PeerId::random();
        for plain in PLAIN {
            let named = format!("{plain}/p2p/{peer}");
            assert_eq!(parse(plain).unwrap().to_string(), plain);
            assert_eq!(parse(&named).unwrap().to_string(), plain);
            let split = split_peer(&named.parse().unwrap());
            assert_eq!(split, Some((peer, plain.parse().unwrap())));
            assert_eq!(split_peer(&plain.parse().unwrap()), None);
        }
    }

    #[test]
    fn keeps_relayed_ones_whole() {
        let (relay, target) = (PeerId::random(), PeerId::random());
        for plain in PLAIN {
            let text = format!("{plain}/p2p/{relay}/p2p-circuit/p2p/{target}");
            let address = parse(&text).unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(relay_of(&address), Some(relay));
            assert!(is_relayed(&address));
            assert_eq!(split_peer(&address), None);
            assert!(text.len() <= ADDRESS_BYTES_MAX);
            assert!(!is_relayed(&plain.parse().unwrap()));
        }
        let [tcp, quic] = PLAIN;
        for text in [
            format!("{tcp}/p2p/{relay}/p2p-circuit"),
            format!("{tcp}/p2p-circuit/p2p/{target}"),
            format!("{tcp}/p2p/{target}/p2p-circuit/p2p/{target}"),
            format!("/p2p/{relay}/p2p-circuit/p2p/{target}"),
            format!("/ip4/0.0.0.0/tcp/1/p2p/{relay}/p2p-circuit/p2p/{target}"),
            format!("{quic}/p2p/{relay}/p2p-circuit/p2p/{target}/p2p-circuit/p2p/{relay}"),
            format!("{quic}/p2p/{relay}/p2p-circuit{tcp}/p2p/{target}"),
        ] {
            assert_eq!(parse(&text), None, "{text}");
        }
    }

    #[test]
    fn knows_what_is_on_the_internet() {
        for (host, expected) in [
            ("ip4/9.9.9.9", true),
            ("ip4/172.32.0.1", true),
            ("ip6/2620:fe::fe", true),
            ("ip6/::ffff:9.9.9.9", true),
            ("ip4/127.0.0.1", false),
            ("ip4/10.1.2.3", false),
            ("ip4/172.31.0.1", false),
            ("ip4/192.168.0.1", false),
            ("ip4/100.127.0.1", false),
            ("ip4/169.254.169.254", false),
            ("ip4/192.0.2.1", false),
            ("ip4/240.0.0.1", false),
            ("ip6/::1", false),
            ("ip6/fe80::1", false),
            ("ip6/fd00::1", false),
            ("ip6/2001:db8::1", false),
            ("ip6/::ffff:10.0.0.1", false),
            ("dns4/example.org", false),
        ] {
            assert_eq!(is_global(&format!("/{host}/tcp/1").parse().unwrap()), expected, "{host}");
        }
    }

    #[test]
    fn a_relay_is_named_right_before_its_circuit() {
        let relay = PeerId::random();
        for (text, expected) in [
            (format!("/ip4/192.0.2.1/tcp/1/p2p/{relay}/p2p-circuit"), Some(relay)),
            (format!("/p2p/{relay}/ip4/192.0.2.1/tcp/1/p2p-circuit"), None),
            (format!("/p2p-circuit/p2p/{relay}"), None),
            (format!("/ip4/192.0.2.1/tcp/1/p2p/{relay}"), None),
        ] {
            assert_eq!(relay_of(&text.parse().unwrap()), expected, "{text}");
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
