//! What does a test see of a network? Its links, frames and counters, waited for.

use std::{collections::VecDeque, sync::LazyLock, time::Duration};

use kith::network::{LinkId, Network, NetworkConfig, NetworkEvent};
use tokio::{
    sync::mpsc,
    time::{interval, timeout},
};

use super::{LOG, PATIENCE};

/// A network and what it tells.
pub(crate) struct Node {
    pub(crate) network: Network,
    pub(crate) events: mpsc::Receiver<NetworkEvent>,
    /// Events that came before the first `Listening`.
    pub(crate) early: VecDeque<NetworkEvent>,
    pub(crate) addresses: Vec<String>,
}

/// What `LinkUp` says.
#[derive(Clone, Debug)]
pub(crate) struct Up {
    pub(crate) link: LinkId,
    pub(crate) own: Box<[u8]>,
    pub(crate) peer: Box<[u8]>,
    pub(crate) address: String,
}

pub(crate) fn config(listen: &[&str]) -> NetworkConfig {
    LazyLock::force(&LOG);
    NetworkConfig::new(listen.iter().map(|address| address.parse().unwrap()).collect())
}

impl Node {
    pub(crate) async fn start(listen: &[&str]) -> Self {
        Self::with(config(listen)).await
    }

    pub(crate) async fn with(config: NetworkConfig) -> Self {
        let (sender, events) = mpsc::channel(16);
        let network = Network::start(config, sender).await.unwrap();
        let mut node = Self { network, events, early: VecDeque::new(), addresses: Vec::new() };
        while node.addresses.is_empty() {
            match node.next().await {
                NetworkEvent::Listening { addresses } => node.addresses = addresses,
                other => node.early.push_back(other),
            }
        }
        node
    }

    pub(crate) async fn next(&mut self) -> NetworkEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("an event")
    }

    /// The next event of a link.
    pub(crate) async fn link_event(&mut self) -> NetworkEvent {
        loop {
            let event = match self.early.pop_front() {
                Some(event) => event,
                None => self.next().await,
            };
            match event {
                NetworkEvent::Listening { addresses } => self.addresses = addresses,
                event => return event,
            }
        }
    }

    pub(crate) async fn up(&mut self) -> Up {
        match self.link_event().await {
            NetworkEvent::LinkUp { link, own_transport, peer_transport, address, .. } => {
                Up { link, own: own_transport, peer: peer_transport, address }
            }
            other => panic!("{other:?} instead of LinkUp"),
        }
    }

    pub(crate) async fn frame(&mut self, on: LinkId) -> Vec<u8> {
        match self.link_event().await {
            NetworkEvent::Frame { link, bytes } if link == on => bytes,
            other => panic!("{other:?} instead of Frame({on:?})"),
        }
    }

    pub(crate) async fn down(&mut self, on: LinkId) {
        assert_eq!(self.link_event().await, NetworkEvent::LinkDown { link: on });
    }

    pub(crate) fn address(&self) -> String {
        self.addresses.first().unwrap().clone()
    }

    pub(crate) fn count(&self, counter: &str) -> u64 {
        *self.network.counters().get(counter).unwrap_or_else(|| panic!("no counter {counter}"))
    }

    /// Counters have no event of their own.
    pub(crate) async fn counted(&self, counter: &str, at_least: u64) {
        let reached = async {
            let mut tick = interval(Duration::from_millis(5));
            while self.count(counter) < at_least {
                tick.tick().await;
            }
        };
        let late = timeout(PATIENCE, reached).await.is_err();
        assert!(!late, "{counter} below {at_least}: {:?}", self.network.counters());
    }
}

/// Two nodes and the link between them; the first one dialled.
pub(crate) async fn linked(transport: &str) -> (Node, Up, Node, Up) {
    let (mut alice, mut bob) = (Node::start(&[transport]).await, Node::start(&[transport]).await);
    alice.network.dial(vec![bob.address()]);
    let (at_alice, at_bob) = (alice.up().await, bob.up().await);
    (alice, at_alice, bob, at_bob)
}

/// Sends a frame from one end to the other.
pub(crate) async fn passes(from: &Node, on: LinkId, to: &mut Node, at: LinkId, frame: &[u8]) {
    from.network.send(on, frame.to_vec()).unwrap();
    assert_eq!(to.frame(at).await, frame);
}
