//! Does an honest node get through while others do what they can, and what does that cost?

use std::time::{Duration, Instant};

use kith_net::address::split_peer;

use crate::{
    client::{Client, made},
    crowd::{BOGUS, be_slow, goes_on, hang_around, offer_bogus},
    program::Program,
    raw::Raw,
    records::own_address,
    service::Service,
};

const CONNECTIONS: usize = 1000;
/// What all of this may cost in KiB. The slow ones alone are allowed 60 · 16 · 256 KiB = 240 MiB by
/// their windows, but kad reads no more from them than it needs.
const GROWTH_KIB_MAX: u64 = 160 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_node_gets_through() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(data.path(), &[]).await;
    let at = program.at.clone();
    let (_, tcp) = split_peer(&at.tcp()).unwrap();
    let mut alice = Client::connected(&at.quic()).await;
    let before_kib = program.resident_kib();

    let mut floods = offer_bogus(&at.quic(), at.peer).await;
    let mut crowd = hang_around(&tcp, CONNECTIONS);
    let _slow = be_slow(&tcp);

    let others = "kith_p2p_connections{opened_by=\"others\"}";
    let (mut honest, mut slowest) = (0, Duration::ZERO);
    let (mut most_kib, mut most_connections) = (before_kib, 0);
    // Whoever is let in and does nothing is thrown out, so that the crowd comes to an end.
    while goes_on(&mut floods) || goes_on(&mut crowd) {
        let begin = Instant::now();
        let record = made(1000 + honest, 1);
        assert!(alice.offer(&record, at.peer).await);
        assert_eq!(alice.look(&record.key).await, [record.value]);
        slowest = slowest.max(begin.elapsed());
        most_kib = most_kib.max(program.resident_kib());
        most_connections = most_connections.max(at.numbers().await[others]);
        honest += 1;
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
