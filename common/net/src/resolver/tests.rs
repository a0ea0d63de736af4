//! Do names lead where their records say?

use std::net::Ipv4Addr;

use hickory_server::{Server, zone_handler::Catalog};
use tokio::net::UdpSocket;

use super::*;

#[path = "tests/name_server.rs"]
mod name_server;

use name_server::name_server;

async fn asked_with(texts: &[(&str, Vec<String>)]) -> (Server<Catalog>, Resolver) {
    let (server, at) = name_server(texts).await;
    (server, Resolver::of_servers(&[at]).unwrap())
}

fn named(peer: PeerId, port: usize) -> String {
    format!("/ip4/192.0.2.1/udp/{port}/quic-v1/p2p/{peer}")
}

fn parsed(text: &str) -> Bootstrap {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_name_stands_for_what_its_records_say_and_for_no_other_name() {
    let (alice, bob) = (PeerId::random(), PeerId::random());
    let text = |text: &str| vec![format!("dnsaddr={text}")];
    let long = format!("dnsaddr={}", named(bob, 3));
    let (front, back) = long.split_at(40);
    let (_server, resolver) = asked_with(&[
        ("_dnsaddr.a.example.test.", text(&named(alice, 1))),
        ("_dnsaddr.a.example.test.", text(&named(alice, 2))),
        ("_dnsaddr.a.example.test.", vec![front.to_owned(), back.to_owned()]),
        ("_dnsaddr.a.example.test.", text("/dnsaddr/b.example.test")),
        ("_dnsaddr.a.example.test.", text("/ip4/192.0.2.1/tcp/1")),
        ("_dnsaddr.a.example.test.", vec![named(alice, 9)]),
        ("_dnsaddr.a.example.test.", vec!["v=spf1 -all".to_owned()]),
        ("_dnsaddr.b.example.test.", text(&named(alice, 4))),
    ])
    .await;
    let told = named(bob, 5);
    let asked = [parsed("/dnsaddr/A.example.test"), parsed("/dnsaddr/none.test"), parsed(&told)];
    let mut expected = vec![
        (alice, vec![named(alice, 1), named(alice, 2)]),
        (bob, vec![named(bob, 3), named(bob, 5)]),
    ];
    expected.sort();
    let found = resolve(&asked, Some(&resolver)).await;
    let found: Vec<_> = found
        .into_iter()
        .map(|(peer, addresses)| {
            let named = addresses.iter().map(|address| format!("{address}/p2p/{peer}"));
            (peer, named.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_name_stands_for_no_more_than_its_share() {
    let texts: Vec<_> = (1..=100)
        .map(|port| {
            let text = format!("dnsaddr={}", named(PeerId::random(), port));
            ("_dnsaddr.example.test.", vec![text])
        })
        .collect();
    let (_server, resolver) = asked_with(&texts).await;
    let asked = [parsed("/dnsaddr/example.test")];
    assert_eq!(resolve(&asked, Some(&resolver)).await.len(), NAME_ADDRESSES_MAX);
    let many: Vec<_> = (1..100).map(|port| parsed(&named(PeerId::random(), port))).collect();
    assert_eq!(resolve(&many, None).await.len(), BOOTSTRAPS_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_is_silent_is_not_waited_for() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let resolver = Resolver::of_servers(&[silent.local_addr().unwrap()]).unwrap();
    let peer = PeerId::random();
    let asked = [parsed("/dnsaddr/example.test"), parsed(&named(peer, 1))];
    let begin = tokio::time::Instant::now();
    let found = resolve(&asked, Some(&resolver)).await;
    assert_eq!(found.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), [peer]);
    assert!(begin.elapsed() <= NAMES_TIME_MAX);
}
