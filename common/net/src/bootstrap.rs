//! Where is a bootstrap, and who is there?

use std::{fmt, str::FromStr};

use kith_common::limits::ADDRESS_BYTES_MAX;
use libp2p::{Multiaddr, PeerId};
use thiserror::Error;

use crate::{address, limits::HOST_CHARACTERS_MAX};

const NAME: &str = "/dnsaddr/";

/// How a bootstrap is named (spec 23): `/ip4/…/udp/8450/quic-v1/p2p/…`, `/ip4/…/tcp/8450/p2p/…`, the
/// same with `ip6`, or `/dnsaddr/HOST`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Bootstrap {
    /// An address, and who is there.
    Address(PeerId, Multiaddr),
    /// A host whose TXT records say that.
    Name(Host),
}

/// The name of a host, in lower case.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Host(String);

/// Why a text names no bootstrap.
#[derive(Copy, Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "this is no address of a bootstrap: write /ip4/ADDRESS/udp/PORT/quic-v1/p2p/PEER, \
     /ip4/ADDRESS/tcp/PORT/p2p/PEER (or ip6), or /dnsaddr/HOST"
)]
pub struct NoBootstrap;

impl FromStr for Bootstrap {
    type Err = NoBootstrap;

    fn from_str(text: &str) -> Result<Self, NoBootstrap> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(NoBootstrap);
        }
        if let Some(host) = text.strip_prefix(NAME) {
            return Host::new(host).map(Self::Name).ok_or(NoBootstrap);
        }
        let address = text.parse().map_err(|_| NoBootstrap)?;
        let (peer, address) = address::split_peer(&address).ok_or(NoBootstrap)?;
        Ok(Self::Address(peer, address))
    }
}

impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(peer, address) => write!(f, "{address}/p2p/{peer}"),
            Self::Name(Host(host)) => write!(f, "{NAME}{host}"),
        }
    }
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address(..) => "Bootstrap::Address",
            Self::Name(_) => "Bootstrap::Name",
        })
    }
}

impl Host {
    fn new(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_label =
            |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_letter);
        let is_host = text.len() <= HOST_CHARACTERS_MAX && text.split('.').all(is_label);
        is_host.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The name under which its TXT records lie, with the root at its end.
    pub(crate) fn question(&self) -> String {
        format!("_dnsaddr.{}.", self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Host")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same() {
        let peer = PeerId::random();
        for text in [
            format!("/ip4/192.0.2.1/udp/8450/quic-v1/p2p/{peer}"),
            format!("/ip6/2001:db8::1/tcp/8450/p2p/{peer}"),
            "/dnsaddr/bootstrap.example.org".to_owned(),
            "/dnsaddr/xn--kith-5qa.example".to_owned(),
        ] {
            let bootstrap: Bootstrap = text.parse().unwrap();
            assert_eq!(bootstrap.to_string(), text);
            assert!(!format!("{bootstrap:?}").contains(&text[10..]), "an address in a log");
        }
        let host: Bootstrap = "/dnsaddr/Bootstrap.Example.ORG.".parse().unwrap();
        assert_eq!(host.to_string(), "/dnsaddr/bootstrap.example.org");
    }

    #[test]
    fn everything_else_is_refused() {
        let (peer, long) = (PeerId::random(), "a.".repeat(122) + "a");
        for text in [
            String::new(),
            "/ip4/192.0.2.1/tcp/8450".to_owned(),
            format!("/p2p/{peer}"),
            format!("/ip4/192.0.2.1/tcp/8450/p2p/{peer}/p2p-circuit"),
            format!("/ip4/192.0.2.1/tcp/8450/p2p/{peer}/p2p-circuit/p2p/{}", PeerId::random()),
            format!("/dns4/example.org/tcp/8450/p2p/{peer}"),
            format!("/dnsaddr/example.org/p2p/{peer}"),
            "/dnsaddr/".to_owned(),
            "/dnsaddr/example..org".to_owned(),
            "/dnsaddr/exam ple.org".to_owned(),
            format!("/dnsaddr/{}", "a".repeat(64)),
            format!("/dnsaddr/{long}"),
        ] {
            assert_eq!(text.parse::<Bootstrap>(), Err(NoBootstrap), "{text}");
        }
    }
    proptest::proptest! {
        #[test]
        fn arbitrary_text_is_refused_or_means_what_it_is_written_as(
            text in "(/dnsaddr/|/ip4/|/ip6/)?[ -~]{0,80}|/dnsaddr/[a-zA-Z0-9.-]{1,40}",
        ) {
            if let Ok(bootstrap) = text.parse::<Bootstrap>() {
                let again = bootstrap.to_string().parse::<Bootstrap>();
                proptest::prop_assert_eq!(again, Ok(bootstrap));
            }
        }
    }
}
