//! Which addresses may a mailbox have that somebody else has named? None in networks of our own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use kith_common::mail::MailboxUrl;

/// Host and port of a server.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Whether it speaks TLS.
    pub(super) is_tls: bool,
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Target {
    pub(super) fn of(url: &MailboxUrl) -> Self {
        let is_tls = url.as_str().starts_with("https:");
        let usual = if is_tls { 443 } else { 80 };
        let authority = url.audience();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(usual)),
            _ => (authority, usual),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Self { is_tls, host, port }
    }

    /// The address, if it is one and no name.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Whether nobody but this computer can mean its server by an address.
pub(crate) fn leads_here(url: &MailboxUrl) -> bool {
    let target = Target::of(url);
    target.host == "localhost" || target.address().is_some_and(|address| address.is_loopback())
}

/// Whether an address leads to the internet and not to this computer or a network around it.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// By the registry of special addresses (RFC 6890).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b));
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([w, x], [y, z]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(w, x, y, z))
    };
    match [a, b, c, d, e, f] {
        // Mapped and translated addresses lead where the IPv4 address in them does.
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => embedded(g, h),
        [0x2002, ..] => embedded(b, c),
        // Tunnels whose other end cannot be told, documentation.
        [0x2001, 0..0x200, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..0x1000, ..] => false,
        // All that is given out for the internet (RFC 4291 §2.4).
        _ => (0x2000..0x4000).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> (bool, String, u16) {
        let Target { is_tls, host, port } = Target::of(&MailboxUrl::parse(url).unwrap());
        (is_tls, host, port)
    }

    #[test]
    fn host_and_port_are_found() {
        let expect = |host: &str, port| (host.to_owned(), port);
        for (url, is_tls, (host, port)) in [
            ("https://mail.example.org", true, expect("mail.example.org", 443)),
            ("https://mail.example.org:8448", true, expect("mail.example.org", 8448)),
            ("http://127.0.0.1:8448", false, expect("127.0.0.1", 8448)),
            ("https://[2001:db8::1]:9", true, expect("2001:db8::1", 9)),
            ("http://[::1]", false, expect("::1", 80)),
        ] {
            assert_eq!(target(url), (is_tls, host, port), "{url}");
        }
    }

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "9.9.9.9",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.17.0.1",
            "223.255.255.254",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2002:c0a8:101::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }
}
