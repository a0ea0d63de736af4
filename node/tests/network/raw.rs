//! A peer that speaks libp2p but keeps no rule: it opens as many streams as it likes.

use std::{
    collections::VecDeque,
    future::Future,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    noise, ping,
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
        NetworkBehaviour, SubstreamProtocol, SwarmEvent, ToSwarm, handler::ConnectionEvent,
    },
    tcp, yamux,
};
use tokio::time::timeout;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/kith/link/1");
const PATIENCE: Duration = Duration::from_secs(30);

/// The rule breaker.
pub(super) struct Peer(Swarm<Behaviour>);

/// Answers pings like everybody, so that nothing else is held against it.
#[derive(NetworkBehaviour)]
struct Behaviour {
    opener: Opener,
    ping: ping::Behaviour,
}

/// A peer id as people see it.
pub(super) fn peer_name(bytes: &[u8]) -> String {
    PeerId::from_bytes(bytes).unwrap().to_string()
}

/// Writes and flushes; the other side may already have had enough.
pub(super) async fn write(stream: &mut Stream, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
}

impl Peer {
    pub(super) fn new() -> Self {
        let swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_quic()
            .with_behaviour(|_| Behaviour {
                opener: Opener::default(),
                ping: ping::Behaviour::default(),
            })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
            .build();
        Self(swarm)
    }

    /// Dials and opens this many streams.
    pub(super) async fn dial_and_open(&mut self, address: &str, streams: usize) -> Vec<Stream> {
        self.0.behaviour_mut().opener.streams = streams;
        self.0.dial(address.parse::<Multiaddr>().unwrap()).unwrap();
        let mut opened = Vec::new();
        let mut connected = false;
        while !connected || opened.len() < streams {
            match timeout(PATIENCE, self.0.select_next_some()).await.expect("streams in time") {
                SwarmEvent::ConnectionEstablished { .. } => connected = true,
                SwarmEvent::Behaviour(BehaviourEvent::Opener(stream)) => opened.push(stream),
                SwarmEvent::ConnectionClosed { .. } => break,
                SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
        opened
    }

    /// Listens and opens this many streams to whoever comes.
    pub(super) async fn listen_and_open(&mut self, streams: usize) -> String {
        self.0.behaviour_mut().opener.streams = streams;
        self.0.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        loop {
            if let SwarmEvent::NewListenAddr { address, .. } = self.0.select_next_some().await {
                return address.to_string();
            }
        }
    }

    /// Goes on until something else has happened.
    pub(super) async fn run_until(&mut self, event: impl Future<Output = ()>) {
        let mut event = pin!(event);
        loop {
            tokio::select! {
                () = &mut event => return,
                _ = self.0.select_next_some() => {}
            }
        }
    }

    /// Waits until no connection is left.
    pub(super) async fn closed(&mut self) {
        let closed = async {
            while self.0.connected_peers().next().is_some() {
                self.0.select_next_some().await;
            }
        };
        timeout(PATIENCE, closed).await.expect("a close in time");
    }
}

#[derive(Default)]
pub(super) struct Opener {
    streams: usize,
    opened: VecDeque<Stream>,
}

impl NetworkBehaviour for Opener {
    type ConnectionHandler = Handler;
    type ToSwarm = Stream;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler { wanted: self.streams, opened: VecDeque::new() })
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(Handler { wanted: self.streams, opened: VecDeque::new() })
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, stream: Stream) {
        self.opened.push_back(stream);
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Stream, std::convert::Infallible>> {
        let next = self.opened.pop_front();
        next.map_or(Poll::Pending, |stream| Poll::Ready(ToSwarm::GenerateEvent(stream)))
    }
}

pub(super) struct Handler {
    wanted: usize,
    opened: VecDeque<Stream>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = std::convert::Infallible;
    type ToBehaviour = Stream;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Stream>> {
        if let Some(stream) = self.opened.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(stream));
        }
        if self.wanted == 0 {
            return Poll::Pending;
        }
        self.wanted -= 1;
        let protocol = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ());
        Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        match event {}
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(opened) => {
                self.opened.push_back(opened.protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(opened) => {
                self.opened.push_back(opened.protocol);
            }
            _ => {}
        }
    }
}
