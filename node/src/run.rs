//! How does a node start and stop? Keys, engine, network and API, put together.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::Context;
use libp2p::{Multiaddr, multiaddr::Protocol};
use tracing_subscriber::prelude::*;

use crate::{
    api::{self, Api, Sessions},
    cli::RunArguments,
    client::{ACCESS_FILE, Access},
    driver::{Node, NodeHandle, NodeParts},
    home::{self, Passphrase},
    network::NetworkConfig,
};

/// Port of the API where nothing else was asked for.
const API_PORT: u16 = 7474;
/// File in the home folder that remembers the ports for other nodes.
const PORTS_FILE: &str = "ports";

/// What a node says once it runs.
#[expect(missing_debug_implementations, reason = "holds the token of the page")]
pub struct Ready {
    /// Opens the page once.
    pub web: String,
    /// Where the API listens.
    pub api: String,
    /// Where other nodes can reach this one.
    pub listening: Vec<String>,
}

/// Runs the node of a home folder until it is told to stop.
///
/// # Errors
/// If keys do not open, the folder is in use, or an address cannot be listened on.
pub async fn run(
    folder: &Path,
    passphrase: &Passphrase,
    arguments: RunArguments,
    ready: impl FnOnce(&Ready),
) -> anyhow::Result<()> {
    start_logging();
    let keys = home::unlock(folder, passphrase)?;
    let listen = if arguments.listen.is_empty() {
        usual_addresses(folder)
    } else {
        arguments.listen.clone()
    };
    let fixed = !arguments.listen.is_empty();
    let parts = NodeParts {
        account: keys.account,
        device: keys.device,
        master: keys.master,
        name: keys.name,
        database: home::database(folder),
        network: NetworkConfig { mdns: !arguments.no_mdns, ..NetworkConfig::new(listen) },
        peers: arguments.peer.iter().map(Multiaddr::to_string).collect(),
    };
    let node = Node::start(parts).await?;
    let sessions = Sessions::new();
    let access_key = sessions.key();
    let api = bind(arguments.api, node.handle.clone(), folder, sessions).await?;
    let address = api.address()?;
    let listening = wait_for_addresses(&node.handle).await;
    if !fixed {
        remember_ports(folder, &listening);
    }
    let stopped = stop_signal().context("Waiting for the signal to stop")?;
    let access = Access { address: address.to_string(), key: access_key };
    write_private(&folder.join(ACCESS_FILE), &serde_json::to_vec(&access)?)
        .context("Writing the key for local programs")?;
    let web = api::launch_address(&api.state());
    ready(&Ready { web, api: format!("http://{address}"), listening });
    api.serve(stopped).await;
    let _ = std::fs::remove_file(folder.join(ACCESS_FILE));
    node.stop().await;
    Ok(())
}

async fn bind(
    wanted: Option<SocketAddr>,
    node: NodeHandle,
    folder: &Path,
    sessions: Sessions,
) -> anyhow::Result<Api> {
    if let Some(address) = wanted {
        return Api::bind(address, node, folder.to_owned(), sessions)
            .await
            .with_context(|| format!("Listening on {address} for the page"));
    }
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, API_PORT));
    let free = std::net::TcpListener::bind(usual).is_ok();
    let address = if free { usual } else { SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) };
    Api::bind(address, node, folder.to_owned(), sessions).await.context("Listening for the page")
}

/// The first addresses, so that a link made at once already carries them.
async fn wait_for_addresses(node: &NodeHandle) -> Vec<String> {
    for _ in 0..100 {
        match node.ask(|engine, _| engine.addresses().to_vec()).await {
            Ok(addresses) if addresses.is_empty() => {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            Ok(addresses) => return addresses,
            Err(_) => break,
        }
    }
    Vec::new()
}

/// All interfaces, QUIC and TCP, on the ports of the last run if there was one: links that were
/// handed out stay good.
fn usual_addresses(folder: &Path) -> Vec<Multiaddr> {
    let ports = std::fs::read_to_string(folder.join(PORTS_FILE)).unwrap_or_default();
    let mut ports = ports.split_whitespace().map(|port| port.parse::<u16>().ok());
    let (udp, tcp) = (ports.next().flatten(), ports.next().flatten());
    let free_udp = |port: &u16| std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    let free_tcp = |port: &u16| std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    let udp = udp.filter(free_udp).unwrap_or(0);
    let tcp = tcp.filter(free_tcp).unwrap_or(0);
    let any = Multiaddr::empty().with(Protocol::Ip4(Ipv4Addr::UNSPECIFIED));
    vec![any.clone().with(Protocol::Udp(udp)).with(Protocol::QuicV1), any.with(Protocol::Tcp(tcp))]
}

fn remember_ports(folder: &Path, listening: &[String]) {
    let addresses: Vec<Multiaddr> =
        listening.iter().filter_map(|address| address.parse().ok()).collect();
    let port = |wanted: fn(&Protocol<'_>) -> Option<u16>| {
        addresses.iter().flat_map(Multiaddr::iter).find_map(|protocol| wanted(&protocol))
    };
    let udp = port(|protocol| match protocol {
        Protocol::Udp(port) => Some(*port),
        _ => None,
    });
    let tcp = port(|protocol| match protocol {
        Protocol::Tcp(port) => Some(*port),
        _ => None,
    });
    let text = format!("{} {}\n", udp.unwrap_or(0), tcp.unwrap_or(0));
    if let Err(error) = write_private(&folder.join(PORTS_FILE), text.as_bytes()) {
        tracing::warn!(%error, "the ports could not be remembered");
    }
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let _ = std::fs::remove_file(&new);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&new)?.write_all(bytes)?;
    std::fs::rename(new, path)
}

/// Notices from now on whether the program is asked to end.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// Our own lines only: what libraries write may name addresses.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("KITH_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let ours =
        tracing_subscriber::filter::filter_fn(|metadata| metadata.target().starts_with("kith"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(ours);
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}
