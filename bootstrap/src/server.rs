//! How does a bootstrap start?

use std::sync::{Arc, Mutex};

use kith_net::{
    address::{self, is_global},
    bootstrap::Bootstrap,
    resolver::{NoResolver, Resolver},
};
use kith_server::{DataFolder, Parts, Server, Stop, config::Config};
use libp2p::Multiaddr;

use crate::{
    config::Settings,
    driver::{Driver, Named},
    error::StartError,
    http, identity,
    limits::{OWN_ADDRESSES_MAX, PEERS_MAX},
    listeners::Listeners,
    meeting::Meetings,
    metrics::Numbers,
    state::State,
    swarm::{self, Setup},
    turn::Turn,
};

/// Takes its key, listens and begins to serve.
///
/// # Errors
/// If a setting is wrong, the key cannot be read or an address is taken.
pub async fn bind(config: Config, settings: Settings) -> anyhow::Result<Server> {
    let told = told(&settings.address)?;
    let named = named(&settings.peer)?;
    let turn = turn(&settings)?;
    let data = config.data.clone();
    let opening = tokio::task::spawn_blocking(move || {
        let folder = DataFolder::hold(&data)?;
        anyhow::Ok((identity::in_folder(&data)?, folder))
    });
    let (key, folder) = opening.await??;
    let state = Arc::new(State {
        _folder: folder,
        own: key.public().to_peer_id(),
        peers: named.iter().map(Bootstrap::to_string).collect(),
        turn,
        addresses: Mutex::default(),
        numbers: Mutex::new(Numbers::default()),
    });
    let setup = Setup {
        records: settings.records(),
        relay: settings.relay(),
        memory_bytes_max: settings.memory_bytes(),
        internet_only: is_on_the_internet(&told, &named),
    };
    let mut swarm = swarm::build(&key, &told, &setup)?;
    let listeners = Listeners::start(&settings.p2p, told, &mut swarm)?;
    let meetings = Meetings::new(usize::try_from(settings.registrations_max)?);
    let resolver = resolver(&named)?;
    let named = Named::new(named, resolver);
    let driver = Driver::start(swarm, listeners, meetings, named, Arc::clone(&state)).await?;
    let stop = Stop::default();
    let lines = state.addresses();
    let router = http::router(Arc::clone(&state));
    let server = Server::bind(&config, Parts { router, health: state, stop: stop.clone() }).await?;
    stop.spawn(watched(driver, stop.clone()));
    Ok(server.announcing(lines))
}

/// A bootstrap without its libp2p node is none.
async fn watched(driver: Driver, stop: Stop) {
    if tokio::spawn(driver.run(stop.clone())).await.is_err() {
        tracing::error!("the libp2p node ended abnormally");
        stop.give_up();
    }
}

fn told(addresses: &[String]) -> Result<Vec<Multiaddr>, StartError> {
    if addresses.len() > OWN_ADDRESSES_MAX {
        return Err(StartError::TooMany { setting: "--address", max: OWN_ADDRESSES_MAX });
    }
    let told = addresses.iter().map(|text| {
        let address = address::parse(text).filter(|address| !address::is_relayed(address));
        address.ok_or_else(|| StartError::Address(text.clone()))
    });
    told.collect()
}

fn named(peers: &[String]) -> Result<Vec<Bootstrap>, StartError> {
    if peers.len() > PEERS_MAX {
        return Err(StartError::TooMany { setting: "--peer", max: PEERS_MAX });
    }
    let named = peers
        .iter()
        .map(|text| text.parse().map_err(|error| StartError::Peer(text.clone(), error)));
    named.collect()
}

fn turn(settings: &Settings) -> Result<Option<Turn>, StartError> {
    match &settings.turn_secret {
        Some(secret) if !settings.turn_url.is_empty() && !secret.expose().is_empty() => {
            Ok(Some(Turn { urls: settings.turn_url.clone(), secret: secret.clone() }))
        }
        None if settings.turn_url.is_empty() => Ok(None),
        _ => Err(StartError::Turn),
    }
}

fn resolver(named: &[Bootstrap]) -> Result<Option<Resolver>, NoResolver> {
    let is_name = |one: &Bootstrap| matches!(one, Bootstrap::Name(_));
    named.iter().any(is_name).then(Resolver::of_system).transpose()
}

/// Whether it stands on the internet and has nobody to reach elsewhere. Then strangers cannot make
/// it dial what is in the operator's own network.
fn is_on_the_internet(told: &[Multiaddr], named: &[Bootstrap]) -> bool {
    let others = named.iter().filter_map(|bootstrap| match bootstrap {
        Bootstrap::Address(_, address) => Some(address),
        Bootstrap::Name(_) => None,
    });
    !told.is_empty() && told.iter().chain(others).all(is_global)
}
