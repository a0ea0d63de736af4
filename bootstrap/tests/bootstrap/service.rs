//! How is a bootstrap run inside a test, and asked over HTTP?

use std::{collections::BTreeMap, ffi::OsString, net::SocketAddr, time::Duration};

use bootstrap::config::{SERVICE, Settings};
use kith_server::{
    Server,
    config::{Start, load},
};
use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::client::PATIENCE;

/// A bootstrap on free ports of the loopback.
pub(crate) struct Service {
    server: Server,
    _data: TempDir,
    pub(crate) at: At,
}

/// Where a bootstrap is.
#[derive(Clone, Debug)]
pub(crate) struct At {
    pub(crate) peer: PeerId,
    /// With the peer id.
    pub(crate) addresses: Vec<Multiaddr>,
    pub(crate) http: SocketAddr,
    pub(crate) health: SocketAddr,
}

impl Service {
    pub(crate) async fn start(flags: &[&str]) -> Self {
        Self::listening("127.0.0.1", flags).await
    }

    pub(crate) async fn listening(host: &str, flags: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let folder = format!("--data={}", data.path().display());
        let p2p = format!("--p2p=/ip4/{host}/udp/0/quic-v1,/ip4/{host}/tcp/0");
        let fixed = ["bootstrap", "--listen=127.0.0.1:0", "--health=127.0.0.1:0", &folder, &p2p];
        let arguments = fixed.iter().chain(flags).map(OsString::from);
        let Start::Run(config, settings) = load::<Settings>(&SERVICE, arguments).unwrap() else {
            panic!("it runs")
        };
        let server = bootstrap::bind(*config, settings).await.unwrap();
        let at = At::of(server.address(), server.health_address()).await;
        Self { server, _data: data, at }
    }

    pub(crate) async fn stop(self) {
        self.server.shutdown().await.unwrap();
    }
}

impl At {
    pub(crate) async fn of(http: SocketAddr, health: SocketAddr) -> Self {
        let info = asked(http, "GET", "/v1/info").await;
        let info: serde_json::Value = serde_json::from_str(body(&info)).unwrap();
        let texts = info["addresses"].as_array().unwrap().iter();
        let addresses: Vec<Multiaddr> =
            texts.map(|text| text.as_str().unwrap().parse().unwrap()).collect();
        let Some(Protocol::P2p(peer)) = addresses[0].iter().last() else { panic!("{addresses:?}") };
        Self { peer, addresses, http, health }
    }

    pub(crate) fn quic(&self) -> Multiaddr {
        self.address(|part| matches!(part, Protocol::QuicV1))
    }

    pub(crate) fn tcp(&self) -> Multiaddr {
        self.address(|part| matches!(part, Protocol::Tcp(_)))
    }

    fn address(&self, has: impl Fn(&Protocol<'_>) -> bool) -> Multiaddr {
        self.addresses.iter().find(|address| address.iter().any(|part| has(&part))).unwrap().clone()
    }

    /// What it measures.
    pub(crate) async fn numbers(&self) -> BTreeMap<String, u64> {
        let page = asked(self.health, "GET", "/metrics").await;
        let lines = body(&page).lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| line.rsplit_once(' '));
        values.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
    }

    /// Waits until a number is as it should be, and returns it.
    pub(crate) async fn until(&self, name: &str, is: impl Fn(u64) -> bool) -> u64 {
        let waiting = async {
            loop {
                let value = self.numbers().await.get(name).copied().unwrap_or_default();
                if is(value) {
                    return value;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(value) => value,
            Err(_) => panic!("{name} did not become right: {:?}", self.numbers().await),
        }
    }

    pub(crate) async fn until_refused(
        &self,
        kind: &str,
        why: &str,
        is: impl Fn(u64) -> bool,
    ) -> u64 {
        self.until(&format!("kith_refused_total{{kind=\"{kind}\",why=\"{why}\"}}"), is).await
    }
}

/// The whole answer to a request without a body.
pub(crate) async fn asked(at: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}
