//! What do the names of bootstraps stand for?

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use futures::future::join_all;
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, rdata::TXT},
};
use kith_common::limits::{ADDRESS_BYTES_MAX, BOOTSTRAPS_MAX};
use libp2p::{Multiaddr, PeerId};
use thiserror::Error;
use tokio::time::timeout;

use crate::{
    bootstrap::{Bootstrap, Host},
    limits::{NAME_ADDRESSES_MAX, NAME_TIME_MAX, NAMES_REMEMBERED_MAX, NAMES_TIME_MAX},
};

/// Asks name servers.
#[derive(Clone)]
pub struct Resolver(TokioResolver);

/// The settings of this system cannot be used.
#[derive(Debug, Error)]
#[error("names cannot be looked up with the settings of this system")]
pub struct NoResolver(#[from] NetError);

impl Resolver {
    /// Asks those that the system names.
    ///
    /// # Errors
    /// If its settings cannot be read.
    pub fn of_system() -> Result<Self, NoResolver> {
        let mut builder = TokioResolver::builder_tokio()?;
        bound(builder.options_mut());
        Ok(Self(builder.build()?))
    }

    /// Asks these.
    ///
    /// # Errors
    /// If that cannot be set up.
    pub fn of_servers(servers: &[SocketAddr]) -> Result<Self, NoResolver> {
        let servers = servers.iter().map(|server| {
            let ways = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            let ways = ways.map(|mut way| {
                way.port = server.port();
                way
            });
            NameServerConfig::new(server.ip(), true, ways.into())
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        bound(builder.options_mut());
        Ok(Self(builder.build()?))
    }

    async fn ask(&self, host: &Host) -> Vec<(PeerId, Multiaddr)> {
        let answer = match self.0.txt_lookup(host.question()).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(is_none = error.is_no_records_found(), "a name was not found");
                return Vec::new();
            }
        };
        let texts = answer.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(text) => address(text),
            _ => None,
        });
        texts.take(NAME_ADDRESSES_MAX).collect()
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

fn bound(options: &mut ResolverOpts) {
    options.timeout = NAME_TIME_MAX;
    options.attempts = 1;
    options.cache_size = NAMES_REMEMBERED_MAX;
}

/// What a TXT record names, if that is a bootstrap; never another name.
fn address(text: &TXT) -> Option<(PeerId, Multiaddr)> {
    let bytes: Vec<u8> =
        text.txt_data.iter().flatten().copied().take(2 * ADDRESS_BYTES_MAX).collect();
    let text = String::from_utf8(bytes).ok()?;
    match text.strip_prefix("dnsaddr=")?.parse() {
        Ok(Bootstrap::Address(peer, address)) => Some((peer, address)),
        _ => None,
    }
}

/// Who the bootstraps are and where, as far as it can be found out within
/// [`NAMES_TIME_MAX`]: the first [`BOOTSTRAPS_MAX`] of them, of each name
/// [`NAME_ADDRESSES_MAX`] addresses. Names that lead nowhere are left out; without a resolver, all.
pub async fn resolve(
    bootstraps: &[Bootstrap],
    resolver: Option<&Resolver>,
) -> Vec<(PeerId, Vec<Multiaddr>)> {
    let asked = bootstraps.iter().take(BOOTSTRAPS_MAX).map(async |bootstrap| match bootstrap {
        Bootstrap::Address(peer, address) => vec![(*peer, address.clone())],
        Bootstrap::Name(host) => match resolver {
            Some(resolver) => timeout(NAMES_TIME_MAX, resolver.ask(host)).await.unwrap_or_default(),
            None => Vec::new(),
        },
    });
    let mut found = BTreeMap::<PeerId, BTreeSet<Multiaddr>>::new();
    for (peer, address) in join_all(asked).await.into_iter().flatten() {
        found.entry(peer).or_default().insert(address);
    }
    found.into_iter().map(|(peer, addresses)| (peer, addresses.into_iter().collect())).collect()
}

#[cfg(test)]
mod tests;
