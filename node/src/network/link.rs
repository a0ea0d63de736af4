//! How do two connected nodes get the one stream of their link?
//!
//! The dialling side opens exactly one stream of [`PROTOCOL`]; the other side takes exactly one.
//! Whoever opens a second one, or none in time, loses the connection.

use std::{
    collections::{HashSet, VecDeque},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, transport::PortUse, upgrade::ReadyUpgrade},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
        NetworkBehaviour, NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
        handler::{ConnectionEvent, DialUpgradeError},
    },
};
use tokio::time::Sleep;

/// Name of the link's protocol.
pub(super) const PROTOCOL: StreamProtocol = StreamProtocol::new("/kith/link/1");

/// Why a connection gets no link, or loses it.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// No stream in time.
    TimedOut,
    /// A stream that the protocol doesn't allow.
    SecondStream,
    /// The peer doesn't speak the protocol.
    Refused,
    /// The connection broke.
    Gone,
}

/// What became of a connection: its stream, or why there is none.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) connection: ConnectionId,
    pub(super) outcome: Result<Stream, Failure>,
}

/// Hands out the one stream of every connection that is to have one. Those that we open to
/// bootstraps and relays have none.
#[derive(Debug)]
pub(super) struct Behaviour {
    opening_timeout: Duration,
    expected: HashSet<ConnectionId>,
    actions: VecDeque<ToSwarm<Event, Open>>,
}

/// A connection that has no link is to get one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Open;

impl Behaviour {
    pub(super) fn new(opening_timeout: Duration) -> Self {
        Self { opening_timeout, expected: HashSet::new(), actions: VecDeque::new() }
    }

    /// This dial is for a link.
    pub(super) fn expect(&mut self, connection: ConnectionId) {
        self.expected.insert(connection);
    }

    /// A connection that was made for something else, and that we opened, gets a link.
    pub(super) fn open(&mut self, peer_id: PeerId, connection: ConnectionId) {
        let handler = NotifyHandler::One(connection);
        self.actions.push_back(ToSwarm::NotifyHandler { peer_id, handler, event: Open });
    }

    fn handler(&self, role: Endpoint, expected: bool) -> Handler {
        let timeout = self.opening_timeout;
        let state = if expected { State::waiting(timeout) } else { State::Unwanted };
        Handler { role, timeout, state, outcome: None }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(Endpoint::Listener, true))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        role: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        // Who dials in the place of a listener waits for the other end, as after any punch.
        let expected = self.expected.remove(&connection) || role == Endpoint::Listener;
        Ok(self.handler(role, expected))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::DialFailure(failure) = event {
            self.expected.remove(&failure.connection_id);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        connection: ConnectionId,
        outcome: THandlerOutEvent<Self>,
    ) {
        let event = Event { connection, outcome };
        self.actions.push_back(ToSwarm::GenerateEvent(event));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        self.actions.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

/// The link's part of one connection.
#[derive(Debug)]
pub(super) struct Handler {
    role: Endpoint,
    timeout: Duration,
    state: State,
    outcome: Option<Result<Stream, Failure>>,
}

#[derive(Debug)]
enum State {
    /// The connection is for something else.
    Unwanted,
    /// No stream yet.
    Waiting { asked: bool, deadline: Pin<Box<Sleep>> },
    /// The stream was handed out.
    Open,
    /// The failure was told; the connection is about to be closed.
    Failed,
}

impl State {
    fn waiting(timeout: Duration) -> Self {
        Self::Waiting { asked: false, deadline: Box::pin(tokio::time::sleep(timeout)) }
    }
}

impl Handler {
    /// A stream is there; `dialled` tells whether the side that dialled opened it.
    fn opened(&mut self, stream: Stream, dialled: bool) {
        match self.state {
            State::Waiting { .. } if dialled => {
                self.state = State::Open;
                self.outcome = Some(Ok(stream));
            }
            State::Unwanted | State::Waiting { .. } | State::Open => {
                self.fail(Failure::SecondStream);
            }
            State::Failed => {}
        }
    }

    fn fail(&mut self, failure: Failure) {
        if !matches!(self.state, State::Failed) {
            self.state = State::Failed;
            self.outcome = Some(Err(failure));
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Result<Stream, Failure>;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn connection_keep_alive(&self) -> bool {
        // Once it is open, the stream itself keeps the connection.
        matches!(self.state, State::Waiting { .. })
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        if let Some(outcome) = self.outcome.take() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(outcome));
        }
        let State::Waiting { asked, deadline } = &mut self.state else { return Poll::Pending };
        if self.role == Endpoint::Dialer && !*asked {
            *asked = true;
            let protocol = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ());
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        if deadline.as_mut().poll(cx).is_ready() {
            self.state = State::Failed;
            let failure = ConnectionHandlerEvent::NotifyBehaviour(Err(Failure::TimedOut));
            return Poll::Ready(failure);
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, Open: Open) {
        if matches!(self.state, State::Unwanted) {
            self.state = State::waiting(self.timeout);
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(opened) => {
                self.opened(opened.protocol, self.role == Endpoint::Listener);
            }
            ConnectionEvent::FullyNegotiatedOutbound(opened) => {
                self.opened(opened.protocol, self.role == Endpoint::Dialer);
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => {
                self.fail(match error {
                    StreamUpgradeError::Timeout => Failure::TimedOut,
                    StreamUpgradeError::NegotiationFailed => Failure::Refused,
                    StreamUpgradeError::Apply(never) => match never {},
                    StreamUpgradeError::Io(_) => Failure::Gone,
                });
            }
            _ => {}
        }
    }
}
