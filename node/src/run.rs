//! How does a node start and stop? Keys, engine, network and API, put together.

use std::{
    io::{IsTerminal, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::Context;
use libp2p::{Multiaddr, multiaddr::Protocol};
use tracing_subscriber::prelude::*;

use crate::{
    api::{self, Api, Sessions},
    cli::RunArguments,
    client::{ACCESS_FILE, Access},
    dht::DhtMode,
    driver::{CutOff, Node, NodeHandle, NodeParts},
    finding::FindingConfig,
    home::{self, HomeError, Passphrase},
    mail::MailConfig,
    network::{NetworkConfig, NetworkError},
};

/// Port of the API where nothing else was asked for.
const API_PORT: u16 = 7474;
/// File in the home folder that remembers the ports for other nodes.
const PORTS_FILE: &str = "ports";

/// Time for what a node says when it learns that it was cut off.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// Time for the ports of the last run to become free: somebody else may let them go.
const PORTS_PATIENCE: Duration = Duration::from_secs(3);

/// How often the bar on the terminal moves.
const PROGRESS_PAUSE: Duration = Duration::from_millis(500);
/// Entries that are caught up without a bar.
const PROGRESS_ENTRIES_MIN: u64 = 200;

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

/// Runs the node of a home folder, which is [held](home::hold), until it is told to stop.
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
    let fixed = !arguments.listen.is_empty();
    let ports = Ports::remembered(folder);
    let listen =
        if fixed { arguments.listen.clone() } else { ports.free_within(PORTS_PATIENCE).await };
    let parts = NodeParts {
        account: keys.account,
        device: keys.device,
        master: keys.master,
        name: keys.name,
        database: home::database(folder),
        network: NetworkConfig {
            mdns: !arguments.no_mdns,
            upnp: !arguments.no_upnp,
            ..NetworkConfig::new(listen.clone())
        },
        finding: FindingConfig {
            bootstraps: arguments.bootstrap,
            dht: if arguments.dht_client { DhtMode::Client } else { DhtMode::Auto },
            name_servers: arguments.name_server,
            no_built_in: arguments.no_built_in,
        },
        peers: arguments.peer.iter().map(Multiaddr::to_string).collect(),
        mail: MailConfig {
            more_roots: arguments.mailbox_ca,
            takes_private: arguments.private_mailboxes,
        },
    };
    let node = Node::start(parts).await.map_err(|error| naming(error, &listen))?;
    let sessions = Sessions::new();
    let access_key = sessions.key();
    let api = bind(arguments.api, node.handle.clone(), folder, sessions).await?;
    let address = api.address()?;
    let listening = wait_for_addresses(&node.handle).await;
    if !fixed {
        ports.or_those_of(&listening).remember(folder);
    }
    let stopped = stop_signal().context("Waiting for the signal to stop")?;
    let access = Access { address: address.to_string(), key: access_key };
    write_private(&folder.join(ACCESS_FILE), &serde_json::to_vec(&access)?)
        .context("Writing the key for local programs")?;
    let web = api::launch_address(&api.state());
    ready(&Ready { web, api: format!("http://{address}"), listening });
    let bar =
        std::io::stderr().is_terminal().then(|| tokio::spawn(show_progress(node.handle.clone())));
    let cut_off = serve(api, &node.handle, stopped).await;
    if let Some(bar) = bar {
        bar.abort();
    }
    let _ = std::fs::remove_file(folder.join(ACCESS_FILE));
    node.stop().await;
    match cut_off {
        None => Ok(()),
        Some(CutOff { is_final: false }) => {
            home::lock_away(folder)?;
            Err(HomeError::Locked.into())
        }
        Some(CutOff { is_final: true }) => {
            home::erase(folder)?;
            Err(HomeError::Erased.into())
        }
    }
}

/// A bar on the terminal while much is to be caught up, as on a device that has just joined.
async fn show_progress(node: NodeHandle) {
    let mut shown = false;
    loop {
        tokio::time::sleep(PROGRESS_PAUSE).await;
        let Ok(progress) = node.ask(|engine, _| engine.catching_up()).await else { return };
        match progress {
            Some((here, all)) if shown || all - here >= PROGRESS_ENTRIES_MIN => {
                shown = true;
                let tenths = usize::try_from(here * 20 / all.max(1)).unwrap_or_default();
                let (done, left) = ("█".repeat(tenths), "░".repeat(20 - tenths.min(20)));
                eprint!("\r{done}{left} {here} of {all} entries ");
            }
            Some(_) => {}
            None if shown => {
                shown = false;
                eprintln!("\rEverything is here.{:40}", "");
            }
            None => {}
        }
        let _ = std::io::stderr().flush();
    }
}

/// Serves until somebody stops the node, or this device is cut off from its account.
async fn serve(api: Api, node: &NodeHandle, stopped: impl Future<Output = ()>) -> Option<CutOff> {
    let mut cut_off = None;
    api.serve(async {
        tokio::select! {
            () = stopped => {}
            told = node.cut_off() => {
                cut_off = Some(told);
                // The page is told too, and others hear from us what they may not know.
                tokio::time::sleep(LAST_WORDS).await;
            }
        }
    })
    .await;
    cut_off
}

async fn bind(
    wanted: Option<SocketAddr>,
    node: NodeHandle,
    folder: &Path,
    sessions: Sessions,
) -> anyhow::Result<Api> {
    if let Some(address) = wanted {
        return Api::bind(address, node, folder.to_owned(), sessions).await.with_context(|| {
            format!("Listening on {address} for the page (name another one with --api)")
        });
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
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(addresses) => return addresses,
            Err(_) => break,
        }
    }
    Vec::new()
}

/// An error that says which address it is about: its place means nothing to a person.
fn naming(error: anyhow::Error, listen: &[Multiaddr]) -> anyhow::Error {
    match error.downcast_ref::<NetworkError>() {
        Some(NetworkError::Listen { position, source }) => match listen.get(*position) {
            Some(address) => anyhow::anyhow!(
                "cannot listen on {address}: {source}: stop what has it, or name another one \
                 with --listen"
            ),
            None => error,
        },
        Some(NetworkError::ListenUnsupported { position }) => match listen.get(*position) {
            Some(address) => anyhow::anyhow!(
                "{address} is neither /ip…/tcp/… nor /ip…/udp/…/quic-v1: write it like one of them"
            ),
            None => error,
        },
        Some(NetworkError::Transport) | None => error,
    }
}

/// Ports for other nodes. They stay the same, so that links that were handed out stay good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ports {
    udp: Option<u16>,
    tcp: Option<u16>,
}

impl Ports {
    fn remembered(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join(PORTS_FILE)).unwrap_or_default();
        let mut ports = text.split_whitespace().map(|port| port.parse().ok().filter(|p| *p != 0));
        Self { udp: ports.next().flatten(), tcp: ports.next().flatten() }
    }

    /// All interfaces, QUIC and TCP, on these ports; instead of one that does not become free in
    /// time, on any.
    async fn free_within(self, patience: Duration) -> Vec<Multiaddr> {
        let any = Ipv4Addr::UNSPECIFIED;
        let free_udp = |port: &u16| std::net::UdpSocket::bind((any, *port)).is_ok();
        let free_tcp = |port: &u16| std::net::TcpListener::bind((any, *port)).is_ok();
        let end = tokio::time::Instant::now() + patience;
        let free = loop {
            let free = Self { udp: self.udp.filter(free_udp), tcp: self.tcp.filter(free_tcp) };
            if free == self || tokio::time::Instant::now() >= end {
                break free;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        if free != self {
            tracing::warn!("another program has a port of this node: links lead there for now");
        }
        let any = Multiaddr::empty().with(Protocol::Ip4(any));
        let udp = Protocol::Udp(free.udp.unwrap_or(0));
        let tcp = Protocol::Tcp(free.tcp.unwrap_or(0));
        vec![any.clone().with(udp).with(Protocol::QuicV1), any.with(tcp)]
    }

    /// These, and those listened on where there are none.
    fn or_those_of(self, listening: &[String]) -> Self {
        let addresses: Vec<Multiaddr> =
            listening.iter().filter_map(|address| address.parse().ok()).collect();
        let mut ports = self;
        for protocol in addresses.iter().flatten() {
            match protocol {
                Protocol::Udp(port) => drop(ports.udp.get_or_insert(port)),
                Protocol::Tcp(port) => drop(ports.tcp.get_or_insert(port)),
                _ => {}
            }
        }
        ports
    }

    fn remember(self, folder: &Path) {
        let text = format!("{} {}\n", self.udp.unwrap_or(0), self.tcp.unwrap_or(0));
        if let Err(error) = write_private(&folder.join(PORTS_FILE), text.as_bytes()) {
            tracing::warn!(%error, "the ports could not be remembered");
        }
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
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
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
pub(crate) fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ports_of(addresses: &[Multiaddr]) -> Ports {
        let listed: Vec<String> = addresses.iter().map(Multiaddr::to_string).collect();
        Ports::default().or_those_of(&listed)
    }

    #[tokio::test]
    async fn a_port_that_is_busy_for_a_moment_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let busy = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = busy.local_addr().unwrap().port();
        Ports { udp: None, tcp: Some(port) }.remember(folder.path());
        let ports = Ports::remembered(folder.path());
        let waiting = tokio::spawn(ports.free_within(Duration::from_secs(30)));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(busy);
        assert_eq!(ports_of(&waiting.await.unwrap()).tcp, Some(port));
    }

    #[tokio::test]
    async fn a_port_that_stays_busy_is_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let busy = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = busy.local_addr().unwrap().port();
        let ports = Ports { udp: Some(port), tcp: None };
        let listen = ports.free_within(Duration::ZERO).await;
        assert_eq!(ports_of(&listen).udp, Some(0), "any port, for now");
        let listening =
            ["/ip4/127.0.0.1/udp/9/quic-v1".to_owned(), "/ip4/1.2.3.4/tcp/7".to_owned()];
        ports.or_those_of(&listening).remember(folder.path());
        let kept = Ports { udp: Some(port), tcp: Some(7) };
        assert_eq!(Ports::remembered(folder.path()), kept);
    }
}
