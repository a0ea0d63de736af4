//! Does an honest node get through while others do what they can, and what does that cost?

use std::time::{Duration, Instant};

use futures::AsyncWriteExt;
use kith_net::address::split_peer;
use libp2p::Multiaddr;
use tokio::task::JoinSet;

use crate::{
    client::{Client, Made, made},
    program::Program,
    raw::Raw,
    records::own_address,
    service::{At, Service},
};

const BOGUS: u32 = 10_002;
const FLOODERS: u32 = 8;
const CONNECTIONS: usize = 1000;
const SLOW: usize = 60;
const STREAMS: usize = 16;
/// What all of this may cost in KiB. The slow ones alone are allowed 60 · 16 · 256 KiB = 240 MiB by
/// their windows, but kad reads no more from them than it needs.
const GROWTH_KIB_MAX: u64 = 160 * 1024;

/// A record whose signature does not hold, one that is none, one that lies in a wrong place.
fn bogus(number: u32) -> Made {
    let mut made = made(number % 50, 1);
    match number % 3 {
        0 => *made.value.last_mut().unwrap() ^= u8::try_from(number % 255).unwrap() + 1,
        1 => made.value = vec![u8::try_from(number % 251).unwrap(); 1024],
        _ => made.key[..4].copy_from_slice(&number.to_be_bytes()),
    }
    made
}

async fn offers_bogus(at: At, flooder: u32) {
    let mut mallory = Client::connected(&at).await;
    for number in (0..BOGUS).filter(|number| number % FLOODERS == flooder) {
        mallory.offer(&bogus(number), at.peer).await;
    }
}

/// Connects again and again until it was let in, stays until it is thrown out.
async fn hangs_around(to: Multiaddr) {
    let mut raw = insists(&to, 0).await;
    raw.ended().await;
}

/// Asks on some streams without ever reading an answer, says nothing on the others.
async fn is_slow(to: Multiaddr) {
    let mut raw = insists(&to, STREAMS).await;
    let mut silent = Vec::new();
    for number in 0..STREAMS {
        let Some(mut stream) = raw.stream("/kith/kad/1").await else { break };
        // FIND_NODE, with a key of 32 bytes.
        let question = [&[36, 0x08, 4, 0x12, 32][..], &[7; 32]].concat();
        if number % 2 == 0 {
            let all = question.repeat(2000);
            let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&all)).await;
        }
        silent.push(stream);
    }
    raw.ended().await;
}

async fn insists(to: &Multiaddr, streams: usize) -> Raw {
    loop {
        if let Some(raw) = Raw::connect(to, streams).await {
            return raw;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_node_gets_through() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(data.path(), &[]).await;
    let at = program.at.clone();
    let (_, tcp) = split_peer(&at.tcp()).unwrap();
    let mut alice = Client::connected(&at).await;
    let before_kib = program.resident_kib();

    let (mut crowd, mut slow, mut floods) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
    for _ in 0..CONNECTIONS {
        crowd.spawn(hangs_around(tcp.clone()));
    }
    for _ in 0..SLOW {
        slow.spawn(is_slow(tcp.clone()));
    }
    for flooder in 0..FLOODERS {
        floods.spawn(offers_bogus(at.clone(), flooder));
    }

    let others = "kith_p2p_connections{opened_by=\"others\"}";
    let (mut honest, mut slowest) = (0, Duration::ZERO);
    let (mut most_kib, mut most_connections) = (before_kib, 0);
    // Whoever is let in and does nothing is thrown out, so that the crowd comes to an end.
    while !floods.is_empty() || !crowd.is_empty() {
        let begin = Instant::now();
        let record = made(1000 + honest, 1);
        assert!(alice.offer(&record, at.peer).await);
        assert_eq!(alice.look(&record.key).await, [record.value]);
        slowest = slowest.max(begin.elapsed());
        most_kib = most_kib.max(program.resident_kib());
        most_connections = most_connections.max(at.numbers().await[others]);
        honest += 1;
        while floods.try_join_next().is_some() || crowd.try_join_next().is_some() {}
    }
    let mut all = 0;
    for why in ["signature", "malformed", "wrong_key"] {
        all += at.until_refused("record", why, |count| count >= u64::from(BOGUS / 3)).await;
    }
    println!(
        "{all} bogus records refused; {CONNECTIONS} connections let in, {most_connections} at one time; \
         {honest} honest puts and gets, the slowest took {slowest:?}; resident KiB: {before_kib} \
         before, {most_kib} at most, {} at the end",
        program.resident_kib()
    );
    assert_eq!(all, u64::from(BOGUS));
    at.until("kith_records", |records| records == u64::from(honest)).await;
    assert!(most_kib - before_kib < GROWTH_KIB_MAX, "{before_kib} KiB grew to {most_kib}");

    // Who does not answer a ping goes too, whatever streams it has.
    let running = alice.run();
    at.until(others, |count| count <= 1).await;
    running.abort();
    program.stop();
}

/// The loopback has no bound of its own, so this needs another address of this machine.
#[tokio::test]
async fn one_source_has_its_share_of_connections() {
    let Some(host) = own_address() else { return };
    let service = Service::listening(&host, &[]).await;
    let (_, tcp) = split_peer(&service.at.tcp()).unwrap();
    let mut inside = Vec::new();
    for _ in 0..64 {
        inside.push(Raw::connect(&tcp, 0).await.unwrap());
    }
    let others = "kith_p2p_connections{opened_by=\"others\"}";
    service.at.until(others, |count| count == 64).await;
    // The handshake is over before it is seen that there is no place.
    if let Some(mut more) = Raw::connect(&tcp, 0).await {
        more.ended().await;
    }
    service.at.until_refused("connection", "bound", |count| count == 1).await;
    inside.pop();
    service.at.until(others, |count| count == 63).await;
    assert!(Raw::connect(&tcp, 0).await.is_some());
    service.stop().await;
}
