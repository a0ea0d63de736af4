//! Who asks too often? Requests are counted by address, in bounded memory.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
};

use axum::http::HeaderMap;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};
use kith_common::service::{Code, Failure};

use crate::{
    config::Config,
    limits::{ADDRESSES_COUNTED_MAX, HOPS_MAX},
};

type Limiter = RateLimiter<
    IpAddr,
    HashMapStateStore<IpAddr>,
    MonotonicClock,
    NoOpMiddleware<<MonotonicClock as Clock>::Instant>,
>;

/// Counts requests by address.
pub(crate) struct Throttle {
    limiter: Option<Limiter>,
    trusted: Vec<IpAddr>,
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").finish_non_exhaustive()
    }
}

impl Throttle {
    /// Counts as the configuration says.
    pub(crate) fn new(config: &Config) -> Self {
        let quota = NonZeroU32::new(config.requests_per_second).map(|rate| {
            let burst = NonZeroU32::new(config.requests_burst).unwrap_or(rate);
            Quota::per_second(rate).allow_burst(burst)
        });
        let limiter = quota
            .map(|quota| RateLimiter::new(quota, HashMapStateStore::default(), MonotonicClock));
        Self { limiter, trusted: config.trusted_proxy.clone() }
    }

    /// Whether this address is a proxy that is believed.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.contains(&address.to_canonical())
    }

    /// Counts a request.
    ///
    /// # Errors
    /// `slow-down` with the milliseconds to wait.
    pub(crate) fn check(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let mut who = network(self.client(peer, headers));
        if limiter.len() >= ADDRESSES_COUNTED_MAX {
            limiter.retain_recent();
            if limiter.len() >= ADDRESSES_COUNTED_MAX {
                who = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        limiter.check_key(&who).map_err(|until| {
            let wait = until.wait_time_from(MonotonicClock.now());
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
            Failure::with(Code::SlowDown, wait_ms)
        })
    }

    /// The last address on the way that is no proxy of ours: what stands before it anybody can say.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let plain = headers.get_all("x-forwarded-for").iter();
        let plain = plain.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
        let plain: Vec<_> = plain.map(|hop| hop.trim().to_owned()).collect();
        let hops = if plain.is_empty() { forwarded(headers) } else { plain };
        let hops = hops.iter().rev().take(HOPS_MAX).map_while(|hop| address(hop));
        let mut last = peer;
        for hop in hops {
            last = hop;
            if !self.trusts(hop) {
                break;
            }
        }
        last
    }
}

/// The hops of `Forwarded` (RFC 7239).
fn forwarded(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all("forwarded").iter().filter_map(|line| line.to_str().ok());
    let parts = lines.flat_map(|line| line.split([',', ';']));
    let named = parts.filter_map(|part| part.trim().split_once('='));
    let hops = named.filter(|(name, _)| name.eq_ignore_ascii_case("for"));
    hops.map(|(_, value)| value.trim_matches('"').to_owned()).collect()
}

fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|found| found.ip());
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(with_port)
}

/// An address, or what one household has of IPv6: its first 64 bits.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttle(trusted: &[&str]) -> Throttle {
        let trusted = trusted.iter().map(|one| one.parse().unwrap()).collect();
        let quota = Quota::per_hour(NonZeroU32::MIN);
        let limiter = RateLimiter::new(quota, HashMapStateStore::default(), MonotonicClock);
        Throttle { limiter: Some(limiter), trusted }
    }

    fn said(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn only_a_trusted_proxy_says_who_asks() {
        let throttle = throttle(&["10.0.0.1", "10.0.0.2"]);
        let proxy = "10.0.0.1".parse().unwrap();
        for (peer, name, value, expected) in [
            (proxy, "x-forwarded-for", "1.1.1.1, 2.2.2.2, 10.0.0.2", "2.2.2.2"),
            (
                proxy,
                "forwarded",
                "for=1.1.1.1;proto=https, For=\"[2001:db8::1]:80\"",
                "2001:db8::1",
            ),
            (proxy, "x-forwarded-for", "nonsense", "10.0.0.1"),
            ("3.3.3.3".parse().unwrap(), "x-forwarded-for", "1.1.1.1", "3.3.3.3"),
        ] {
            let found = throttle.client(peer, &said(name, value));
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{value}");
        }
    }

    #[test]
    fn addresses_are_counted_apart_and_a_network_together() {
        let throttle = throttle(&[]);
        let check = |text: &str| throttle.check(text.parse().unwrap(), &HeaderMap::new());
        assert!(check("1.1.1.1").is_ok() && check("1.1.1.2").is_ok());
        let refused = check("::ffff:1.1.1.1").unwrap_err();
        assert_eq!(refused.code, Code::SlowDown);
        assert!(refused.value.is_some_and(|wait_ms| wait_ms > 3_000_000));
        assert!(check("2001:db8::1").is_ok() && check("2001:db8::ffff").is_err());
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory() {
        let throttle = throttle(&[]);
        for n in 0..u32::try_from(ADDRESSES_COUNTED_MAX).unwrap() + 100 {
            let _ = throttle.check(IpAddr::V4(n.into()), &HeaderMap::new());
        }
        let counted = throttle.limiter.as_ref().map(RateLimiter::len);
        assert_eq!(counted, Some(ADDRESSES_COUNTED_MAX + 1));
    }
}
