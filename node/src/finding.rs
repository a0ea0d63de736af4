//! Where does looking for others begin? Bootstraps that the person has chosen, that the command line
//! names, or that this program was built with; names among them are looked up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use kith_common::limits::BOOTSTRAPS_MAX;
use kith_net::{
    bootstrap::Bootstrap,
    resolver::{NoResolver, Resolver, resolve},
};
use libp2p::{Multiaddr, PeerId};
use tokio::{sync::watch, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    dht::{Dht, DhtMode},
    network::{Network, Reach},
};

/// Bootstraps that this program was built with, a line each; used where no others are named.
const BUILT_IN: &str = include_str!("bootstraps.txt");
/// Time after which names are looked up again.
const AGAIN: Duration = Duration::from_secs(3600);
/// First wait before names are looked up again of which one led nowhere.
const RETRY_MIN: Duration = Duration::from_secs(5);

/// How others are found.
#[derive(Debug, Clone, Default)]
pub struct FindingConfig {
    /// Bootstraps beside those that the person has chosen.
    pub bootstraps: Vec<Bootstrap>,
    /// How this node takes part in the distributed hash table.
    pub dht: DhtMode,
    /// Name servers to ask instead of the system's.
    pub name_servers: Vec<std::net::SocketAddr>,
    /// Whether to leave out the bootstraps that this program was built with.
    pub no_built_in: bool,
}

/// What was chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Chosen {
    bootstraps: Vec<Bootstrap>,
    relay_only: bool,
}

/// Tells network and table where to begin.
#[derive(Debug)]
pub(crate) struct Guide {
    config: FindingConfig,
    chosen: watch::Sender<Chosen>,
    _task: AbortOnDropHandle<()>,
}

impl Guide {
    /// Starts on the runtime of the caller; nothing is told before something is chosen.
    pub(crate) fn start(config: FindingConfig, network: Arc<Network>, dht: Arc<Dht>) -> Self {
        let (chosen, news) = watch::channel(Chosen::default());
        let servers = config.name_servers.clone();
        let task = tokio::spawn(guide(news, servers, network, dht));
        Self { config, chosen, _task: AbortOnDropHandle::new(task) }
    }

    /// Takes over what the person has chosen. Returns whether there is anywhere to begin.
    pub(crate) fn choose(&self, chosen: &[String], relay_only: bool) -> bool {
        let mut bootstraps = self.config.bootstraps.clone();
        // A later version may know other forms.
        bootstraps.extend(chosen.iter().filter_map(|address| address.parse().ok()));
        if bootstraps.is_empty() && !self.config.no_built_in {
            bootstraps = built_in();
        }
        bootstraps.sort();
        bootstraps.dedup();
        let is_on = !bootstraps.is_empty();
        self.chosen.send_replace(Chosen { bootstraps, relay_only });
        is_on
    }
}

/// The bootstraps that this program was built with.
fn built_in() -> Vec<Bootstrap> {
    let lines = BUILT_IN.lines().map(str::trim);
    lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.parse().ok()).collect()
}

async fn guide(
    mut news: watch::Receiver<Chosen>,
    servers: Vec<std::net::SocketAddr>,
    network: Arc<Network>,
    dht: Arc<Dht>,
) {
    let mut told = None;
    let mut remembered = Remembered::new();
    let (mut wait, mut was_whole) = (RETRY_MIN, true);
    loop {
        let chosen = news.borrow_and_update().clone();
        if told.as_ref().is_none_or(|told: &Reach| told.relay_only != chosen.relay_only) {
            // That does not wait for names to be looked up.
            let bootstraps = resolve(&chosen.bootstraps, None).await;
            let reach = Reach { bootstraps, relay_only: chosen.relay_only };
            network.reach(reach.clone()).await;
            dht.reach(reach.clone()).await;
            told = Some(reach);
        }
        let (reach, whole) = look_up(&chosen, &servers, &mut remembered).await;
        if told.as_ref() != Some(&reach) {
            network.reach(reach.clone()).await;
            dht.reach(reach.clone()).await;
            told = Some(reach);
        }
        wait = match (whole, was_whole) {
            (true, _) => AGAIN,
            (false, true) => RETRY_MIN,
            (false, false) => wait.saturating_mul(2).min(AGAIN),
        };
        was_whole = whole;
        tokio::select! {
            changed = news.changed() => match changed {
                Ok(()) => was_whole = true,
                Err(_) => return,
            },
            () = sleep(wait) => {}
        }
    }
}

/// What names stood for when they led somewhere last.
type Remembered = BTreeMap<Bootstrap, Vec<(PeerId, Vec<Multiaddr>)>>;

/// Where all of them are, and whether every name led somewhere. One that does not now still stands for
/// what it stood for: a name server that cannot be reached is no reason to leave everybody.
async fn look_up(
    chosen: &Chosen,
    servers: &[std::net::SocketAddr],
    remembered: &mut Remembered,
) -> (Reach, bool) {
    let is_name = |it: &&Bootstrap| matches!(it, Bootstrap::Name(_));
    let names: Vec<&Bootstrap> = chosen.bootstraps.iter().filter(is_name).collect();
    let resolver = || -> Result<Resolver, NoResolver> {
        if servers.is_empty() { Resolver::of_system() } else { Resolver::of_servers(servers) }
    };
    let resolver = if names.is_empty() { None } else { resolver().ok() };
    remembered.retain(|name, _| names.contains(&name));
    let looking = names.iter().take(BOOTSTRAPS_MAX).map(async |name| {
        let found = resolve(std::slice::from_ref(*name), resolver.as_ref()).await;
        ((*name).clone(), found)
    });
    let mut whole = true;
    for (name, found) in join_all(looking).await {
        if found.is_empty() {
            whole = false;
        } else {
            remembered.insert(name, found);
        }
    }
    let plain = resolve(&chosen.bootstraps, None).await;
    let mut all: BTreeMap<PeerId, BTreeSet<Multiaddr>> = BTreeMap::new();
    for (peer, addresses) in plain.iter().chain(remembered.values().flatten()) {
        all.entry(*peer).or_default().extend(addresses.iter().cloned());
    }
    let bootstraps = all.into_iter().map(|(peer, at)| (peer, at.into_iter().collect())).collect();
    (Reach { bootstraps, relay_only: chosen.relay_only }, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_that_was_built_in_is_a_bootstrap() {
        let lines = BUILT_IN.lines().map(str::trim);
        let named = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert_eq!(named.count(), built_in().len());
    }

    #[tokio::test]
    async fn addresses_of_one_peer_are_one_bootstrap_and_need_no_name_server() {
        let peer = PeerId::random();
        let of = |at: &str| format!("{at}/p2p/{peer}").parse().unwrap();
        let bootstraps = vec![of("/ip4/192.0.2.1/tcp/1"), of("/ip4/192.0.2.1/udp/1/quic-v1")];
        let chosen = Chosen { bootstraps, relay_only: true };
        let (reach, whole) = look_up(&chosen, &[], &mut Remembered::new()).await;
        assert!(whole && reach.relay_only);
        assert_eq!(reach.bootstraps.len(), 1);
        assert_eq!(reach.bootstraps[0].1.len(), 2);
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_looked_up_stands_for_what_it_stood_for() {
        let name: Bootstrap = "/dnsaddr/boot.example.test".parse().unwrap();
        let there = vec![(PeerId::random(), vec!["/ip4/192.0.2.1/tcp/1".parse().unwrap()])];
        let mut remembered = Remembered::from([(name.clone(), there.clone())]);
        let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let chosen = Chosen { bootstraps: vec![name], relay_only: false };
        let (reach, whole) = look_up(&chosen, &[gone], &mut remembered).await;
        assert!(!whole);
        assert_eq!(reach.bootstraps, there);
        // Another choice forgets it.
        let (reach, whole) = look_up(&Chosen::default(), &[gone], &mut remembered).await;
        assert!(whole && reach.bootstraps.is_empty() && remembered.is_empty());
    }
}
