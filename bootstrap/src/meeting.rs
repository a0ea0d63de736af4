//! Who is registered where? Meeting places (spec 23 R6).
//!
//! The protocol is libp2p's rendezvous, the server our own: libp2p's remembers every registration
//! until it ends though another has replaced it, takes them up to 1 MiB large, and tells whoever
//! does not name a namespace all there are, and in which.

mod wire;

use std::{
    collections::{BTreeMap, btree_map},
    time::{Duration, Instant},
};

use kith_net::admission::Source;
use libp2p::{
    PeerId, StreamProtocol,
    core::{PeerRecord, SignedEnvelope},
    request_response::{self, ProtocolSupport},
};
use thiserror::Error;

pub(crate) use self::wire::Codec;
use self::wire::{Answer, Registered, Request};
use crate::limits::{
    MEETING_STREAMS_MAX, MEETING_TIME_MAX, NAMESPACE_BYTES_MAX, NAMESPACES_PER_PEER_MAX,
    REGISTRATION_BYTES_MAX, REGISTRATION_SECONDS_MAX, REGISTRATIONS_PER_NAMESPACE_MAX,
    REGISTRATIONS_PER_SOURCE_MAX,
};

const PROTOCOL: StreamProtocol = StreamProtocol::new("/rendezvous/1.0.0");

/// The protocol as a part of our libp2p node.
pub(crate) type Behaviour = request_response::Behaviour<Codec>;
/// What it tells.
pub(crate) type Event = request_response::Event<Request, Answer>;

/// Takes requests.
pub(crate) fn behaviour() -> Behaviour {
    let config = request_response::Config::default()
        .with_request_timeout(MEETING_TIME_MAX)
        .with_max_concurrent_streams(MEETING_STREAMS_MAX);
    Behaviour::with_codec(Codec, [(PROTOCOL, ProtocolSupport::Inbound)], config)
}

/// Why somebody was not registered, or not told who is.
#[derive(Copy, Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum Refusal {
    /// No namespace, or a longer one than there can be.
    #[error("namespace")]
    Namespace,
    /// What is to be registered is too large, or not signed by whoever registers it.
    #[error("not_authorised")]
    NotAuthorised,
    /// The peer, or its source, is registered as often as it may be.
    #[error("peer_full")]
    PeerFull,
    /// There is no room.
    #[error("full")]
    Full,
}

impl Refusal {
    /// All there are.
    pub(crate) const ALL: [Self; 4] =
        [Self::Namespace, Self::NotAuthorised, Self::PeerFull, Self::Full];
}

/// All registrations.
#[derive(Debug)]
pub(crate) struct Meetings {
    registrations_max: usize,
    places: BTreeMap<String, BTreeMap<PeerId, Registration>>,
    peers: BTreeMap<PeerId, usize>,
    sources: BTreeMap<Source, usize>,
    count: usize,
    refused: [u64; Refusal::ALL.len()],
}

#[derive(Debug)]
struct Registration {
    signed: Vec<u8>,
    source: Option<Source>,
    since: Instant,
    until: Instant,
}

/// Who asks, and when.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) peer: PeerId,
    pub(crate) source: Option<Source>,
    pub(crate) now: Instant,
}

impl Meetings {
    /// Room for so many registrations.
    pub(crate) fn new(registrations_max: usize) -> Self {
        Self {
            registrations_max,
            places: BTreeMap::new(),
            peers: BTreeMap::new(),
            sources: BTreeMap::new(),
            count: 0,
            refused: [0; Refusal::ALL.len()],
        }
    }

    /// How many registrations there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// How often each kind of refusal happened.
    pub(crate) fn refused(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        Refusal::ALL.into_iter().zip(self.refused)
    }

    /// Answers a request, if it wants an answer.
    pub(crate) fn answer(&mut self, asking: Asking, request: Request) -> Option<Answer> {
        match request {
            Request::Register { namespace, signed, seconds } => {
                let registered = self.register(asking, namespace, signed, seconds);
                Some(Answer::Registered(registered.inspect_err(|refusal| self.count(*refusal))))
            }
            Request::Unregister { namespace } => {
                self.remove(&namespace, asking.peer);
                None
            }
            Request::Discover { namespace, limit } => {
                let found = self.discover(&namespace, limit, asking.now);
                let found = found.inspect_err(|refusal| self.count(*refusal));
                Some(Answer::Discovered(found.map(|found| (namespace, found))))
            }
        }
    }

    /// Forgets what has ended.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let ended: Vec<_> = self
            .places
            .iter()
            .flat_map(|(namespace, here)| here.iter().map(move |one| (namespace, one)))
            .filter(|(_, (_, registration))| registration.until <= now)
            .map(|(namespace, (peer, _))| (namespace.clone(), *peer))
            .collect();
        for (namespace, peer) in ended {
            self.remove(&namespace, peer);
        }
    }

    fn register(
        &mut self,
        asking: Asking,
        namespace: String,
        signed: Vec<u8>,
        seconds: Option<u64>,
    ) -> Result<u64, Refusal> {
        check(&namespace)?;
        if signed.len() > REGISTRATION_BYTES_MAX || signer(&signed) != Some(asking.peer) {
            return Err(Refusal::NotAuthorised);
        }
        self.remove(&namespace, asking.peer);
        let of_peer = self.peers.get(&asking.peer).copied().unwrap_or_default();
        let of_source = asking.source.and_then(|source| self.sources.get(&source)).copied();
        if of_peer >= NAMESPACES_PER_PEER_MAX
            || of_source.is_some_and(|count| count >= REGISTRATIONS_PER_SOURCE_MAX)
        {
            return Err(Refusal::PeerFull);
        }
        self.make_room(&namespace)?;
        let seconds = seconds.unwrap_or(u64::MAX).clamp(1, REGISTRATION_SECONDS_MAX);
        let registration = Registration {
            signed,
            source: asking.source,
            since: asking.now,
            until: asking.now + Duration::from_secs(seconds),
        };
        self.insert(namespace, asking.peer, registration);
        Ok(seconds)
    }

    /// Room in one namespace, by its oldest registration, and room in all.
    fn make_room(&mut self, namespace: &str) -> Result<(), Refusal> {
        if let Some(here) = self.places.get(namespace)
            && here.len() >= REGISTRATIONS_PER_NAMESPACE_MAX
            && let Some(oldest) = here.iter().min_by_key(|(_, one)| one.since)
        {
            let oldest = *oldest.0;
            self.remove(namespace, oldest);
        }
        if self.count < self.registrations_max { Ok(()) } else { Err(Refusal::Full) }
    }

    fn discover(
        &self,
        namespace: &str,
        limit: Option<u64>,
        now: Instant,
    ) -> Result<Vec<Registered>, Refusal> {
        check(namespace)?;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let here = self.places.get(namespace).into_iter().flat_map(BTreeMap::values);
        let mut here: Vec<_> = here.filter(|one| one.until > now).collect();
        here.sort_by_key(|one| std::cmp::Reverse(one.since));
        let told = here.into_iter().take(limit).map(|one| Registered {
            signed: one.signed.clone(),
            seconds: one.until.duration_since(now).as_secs().max(1),
        });
        Ok(told.collect())
    }

    fn insert(&mut self, namespace: String, peer: PeerId, registration: Registration) {
        *self.peers.entry(peer).or_default() += 1;
        if let Some(source) = registration.source {
            *self.sources.entry(source).or_default() += 1;
        }
        self.count += 1;
        self.places.entry(namespace).or_default().insert(peer, registration);
    }

    fn remove(&mut self, namespace: &str, peer: PeerId) {
        let Some(here) = self.places.get_mut(namespace) else { return };
        let Some(registration) = here.remove(&peer) else { return };
        if here.is_empty() {
            self.places.remove(namespace);
        }
        one_less(&mut self.peers, peer);
        if let Some(source) = registration.source {
            one_less(&mut self.sources, source);
        }
        self.count -= 1;
    }

    fn count(&mut self, refusal: Refusal) {
        if let Some(count) = self.refused.get_mut(refusal as usize) {
            *count += 1;
        }
    }
}

fn check(namespace: &str) -> Result<(), Refusal> {
    let fits = (1..=NAMESPACE_BYTES_MAX).contains(&namespace.len());
    if fits { Ok(()) } else { Err(Refusal::Namespace) }
}

/// Who signed this record of addresses, if the signature holds.
fn signer(signed: &[u8]) -> Option<PeerId> {
    let envelope = SignedEnvelope::from_protobuf_encoding(signed).ok()?;
    PeerRecord::from_signed_envelope(envelope).ok().map(|record| record.peer_id())
}

fn one_less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    let btree_map::Entry::Occupied(mut count) = counts.entry(key) else { return };
    *count.get_mut() -= 1;
    if *count.get() == 0 {
        count.remove();
    }
}

#[cfg(test)]
mod tests;
