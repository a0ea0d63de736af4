//! Is nothing kept that could be forged?

use kith_common::time::Timestamp;
use kith_net::address;
use libp2p::{PeerId, kad};

use crate::{
    client::{Client, Made, made, made_at},
    service::Service,
};

const HOUR_MS: u64 = 60 * 60 * 1000;

fn at_hour(hours: i64) -> Timestamp {
    let now_ms = i64::try_from(crate::client::now().millis()).unwrap();
    let hour_ms = i64::try_from(HOUR_MS).unwrap();
    Timestamp::from_millis(u64::try_from(now_ms + hours * hour_ms).unwrap())
}

#[tokio::test]
async fn what_could_be_forged_is_never_stored() {
    let service = Service::start(&[]).await;
    let mut mallory = Client::connected(&service.at.quic()).await;
    let good = made(1, 500);
    let mut bent = good.clone();
    *bent.value.last_mut().unwrap() ^= 1;
    let elsewhere = Made { key: made(2, 1).key, ..good.clone() };
    let long = Made { value: vec![7; 60_000], ..good.clone() };
    for (bad, why) in [
        (bent, "signature"),
        (elsewhere, "wrong_key"),
        (Made { key: vec![0; 5000], ..good.clone() }, "wrong_key"),
        (Made { value: vec![7; 1000], ..good.clone() }, "malformed"),
        (Made { value: vec![], ..good.clone() }, "malformed"),
        (made_at(1, 1, at_hour(-24)), "time"),
        (made_at(1, 1, at_hour(3)), "time"),
    ] {
        let name = format!("kith_refused_total{{kind=\"record\",why=\"{why}\"}}");
        let before = service.at.numbers().await[&name];
        mallory.offer(&bad, service.at.peer).await;
        service.at.until(&name, |count| count == before + 1).await;
        assert!(mallory.look(&bad.key).await.is_empty(), "{why}");
    }
    // A message that is too large is not even looked at.
    assert!(!mallory.offer(&long, service.at.peer).await);
    assert_eq!(service.at.numbers().await["kith_records"], 0);

    assert!(mallory.offer(&good, service.at.peer).await);
    service.at.until("kith_records", |records| records == 1).await;
    mallory.offer(&made(1, 4), service.at.peer).await;
    service.at.until_refused("record", "older", |count| count == 1).await;
    assert_eq!(mallory.look(&good.key).await, std::slice::from_ref(&good.value));
    service.stop().await;
}

#[tokio::test]
async fn what_libp2p_says_of_a_record_lets_nothing_in_and_keeps_nothing_out() {
    let service = Service::start(&[]).await;
    let mut client = Client::connected(&service.at.quic()).await;
    let good = made(1, 1);
    let claims = kad::Record {
        publisher: Some(PeerId::random()),
        expires: Some(std::time::Instant::now() + std::time::Duration::from_secs(1)),
        ..kad::Record::new(good.key.clone(), good.value.clone())
    };
    let kad = &mut client.swarm.behaviour_mut().kad;
    kad.put_record_to(claims, [service.at.peer].into_iter(), kad::Quorum::One);
    client.swarm.behaviour_mut().kad.start_providing(kad::RecordKey::new(&good.key)).unwrap();
    let running = client.run();
    service.at.until("kith_records", |records| records == 1).await;
    service.at.until_refused("record", "provider", |count| count == 1).await;
    running.abort();
    service.stop().await;
}

/// The loopback has no bound of its own, so this needs another address of this machine.
#[tokio::test]
async fn one_source_keeps_its_share() {
    let Some(host) = own_address() else { return };
    let service = Service::listening(&host, &[]).await;
    assert_eq!(address::host(&service.at.quic()).unwrap().to_string(), host);
    let mut client = Client::connected(&service.at.quic()).await;
    for device in 0..1030 {
        client.offer(&made(device, 1), service.at.peer).await;
    }
    service.at.until_refused("record", "source_full", |count| count == 6).await;
    assert_eq!(service.at.numbers().await["kith_records"], 1024);
    service.stop().await;
}

/// An address of this machine that is not the loopback.
pub(crate) fn own_address() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the system only chooses an address.
    socket.connect("203.0.113.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then(|| ip.to_string())
}
