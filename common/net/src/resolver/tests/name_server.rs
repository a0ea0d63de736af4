//! A true name server, on loopback.

use std::{
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_server::{
    Server,
    proto::rr::{
        Name, RData, Record,
        rdata::{SOA, TXT},
    },
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, ZoneType},
};
use tokio::net::{TcpListener, UdpSocket};

/// A name server for `example.test` with these TXT records.
pub(crate) async fn name_server(texts: &[(&str, Vec<String>)]) -> (Server<Catalog>, SocketAddr) {
    let name = |text: &str| Name::from_str(text).unwrap();
    let origin = name("example.test.");
    let mut zone = InMemoryZoneHandler::<TokioRuntimeProvider>::empty(
        origin.clone(),
        ZoneType::Primary,
        AxfrPolicy::Deny,
    );
    let begin = SOA::new(name("ns.example.test."), name("root.example.test."), 1, 60, 60, 60, 60);
    zone.upsert_mut(Record::from_rdata(origin.clone(), 60, RData::SOA(begin)), 0);
    for (at, strings) in texts {
        let text = RData::TXT(TXT::new(strings.clone()));
        zone.upsert_mut(Record::from_rdata(name(at), 60, text), 0);
    }
    let mut catalog = Catalog::new();
    catalog.upsert(origin.into(), vec![Arc::new(zone)]);
    let mut server = Server::new(catalog);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = socket.local_addr().unwrap();
    server.register_socket(socket);
    let listener = TcpListener::bind(at).await.unwrap();
    server.register_listener(listener, Duration::from_secs(5), 4096);
    (server, at)
}
