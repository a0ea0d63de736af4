//! How do we take part in the distributed hash table?
//!
//! libp2p's Kademlia does the work; this is how all of us set it up, and what it leaves open: who
//! comes into the routing table, what is kept, and who hands it on.
//!
//! libp2p is never let republish: its job would remember every key that anybody ever offered,
//! bogus ones too, for an hour ([`take_turn`] does it instead). And a server that lists many
//! addresses would make the answers of all who know it too large to be sent.

use std::time::Duration;

use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    kad::{
        Addresses, Behaviour, BucketInserts, Caching, Config, Event, InboundRequest, Quorum,
        StoreInserts,
    },
    swarm::ConnectionId,
};

use crate::{
    address,
    admission::Source,
    limits::{
        ANSWER_TIME_MAX, HANDING_ON_MAX, PACKET_BYTES_MAX, PATHS, QUERY_TIME_MAX, RECORD_TTL,
        REPLICAS, SERVER_ADDRESSES_MAX,
    },
    records::Records,
};

/// The protocol between servers, and between them and those who ask (spec 23).
pub const PROTOCOL: StreamProtocol = StreamProtocol::new("/kith/kad/1");

/// The part of the table that is ours.
pub type Dht = Behaviour<Records>;

/// Takes part with this id, keeping records there.
pub fn behaviour(own: PeerId, records: Records) -> Dht {
    Behaviour::with_config(own, records, config())
}

/// How all of us set up Kademlia.
fn config() -> Config {
    let mut config = Config::new(PROTOCOL);
    config
        .set_max_packet_size(PACKET_BYTES_MAX)
        .set_replication_factor(REPLICAS)
        .set_parallelism(PATHS)
        .disjoint_query_paths(true)
        .set_query_timeout(QUERY_TIME_MAX)
        .set_substreams_timeout(ANSWER_TIME_MAX)
        .set_record_ttl(Some(RECORD_TTL))
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        .set_provider_record_ttl(Some(Duration::ZERO))
        .set_record_filtering(StoreInserts::FilterBoth)
        .set_kbucket_inserts(BucketInserts::Manual)
        .set_caching(Caching::Disabled);
    config
}

/// Does what an event of the table asks for. `source_of` says where a connection comes from, see
/// [`Source::of`].
pub fn heed(dht: &mut Dht, event: &Event, source_of: impl FnOnce(ConnectionId) -> Option<Source>) {
    match event {
        Event::InboundRequest {
            request: InboundRequest::PutRecord { connection, record: Some(record), .. },
        } => {
            let source = source_of(*connection);
            let _ = dht.store_mut().offer(record.key.as_ref(), &record.value, source);
        }
        Event::InboundRequest { request: InboundRequest::AddProvider { .. } } => {
            dht.store_mut().refuse_provider();
        }
        Event::RoutablePeer { peer, address } => add(dht, *peer, address),
        Event::RoutingUpdated { peer, addresses, .. } => trim(dht, *peer, addresses),
        _ => {}
    }
}

/// Puts a server into the routing table that told its addresses on a connection. Those at another
/// host than the connection's other end are left out: anybody could name anybody's.
pub fn add_told(dht: &mut Dht, peer: PeerId, connected: &Multiaddr, told: &[Multiaddr]) {
    let host = address::host(connected).filter(|_| !address::is_relayed(connected));
    let there = told.iter().filter(|told| host.is_some() && address::host(told) == host);
    for address in there.take(SERVER_ADDRESSES_MAX) {
        add(dht, peer, address);
    }
}

/// Hands on some of the records whose turn it is. Call it every second.
pub fn take_turn(dht: &mut Dht) {
    let busy = dht.iter_queries().count();
    let due = dht.store_mut().take_due(HANDING_ON_MAX.saturating_sub(busy));
    for record in due {
        let _ = dht.put_record(record, Quorum::All);
    }
}

fn add(dht: &mut Dht, peer: PeerId, address: &Multiaddr) {
    if let Some(address) = address::normalise(address).filter(|one| !address::is_relayed(one)) {
        dht.add_address(&peer, address);
    }
}

fn trim(dht: &mut Dht, peer: PeerId, addresses: &Addresses) {
    let wrong = |address: &&Multiaddr| address::split_peer(address).is_none();
    let (wrong, right): (Vec<_>, Vec<_>) = addresses.iter().partition(wrong);
    let surplus = right.iter().skip(SERVER_ADDRESSES_MAX);
    for address in wrong.iter().chain(surplus) {
        dht.remove_address(&peer, address);
    }
}

#[cfg(test)]
mod tests;
