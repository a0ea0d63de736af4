//! Are all bootstraps one network?

use crate::{
    client::{Client, PATIENCE, made},
    service::Service,
};

async fn three() -> [Service; 3] {
    let first = Service::start(&[]).await;
    let peer = format!("--peer={}", first.at.quic());
    let second = Service::start(&[&peer]).await;
    let peer = format!("--peer={}", first.at.tcp());
    let third = Service::start(&[&peer]).await;
    [first, second, third]
}

/// ```text
///  second → first ← third        the second and the third hear of each other from the first
/// ```
#[tokio::test]
async fn losing_any_of_them_loses_nothing() {
    let [first, second, third] = three().await;
    for one in [&first, &second, &third] {
        one.at.until("kith_p2p_servers", |servers| servers == 2).await;
    }
    let record = made(1, 1);
    let mut alice = Client::connected(&first.at.quic()).await;
    assert!(alice.publish(&record).await);
    for one in [&first, &second, &third] {
        one.at.until("kith_records", |records| records == 1).await;
    }
    first.stop().await;
    second.stop().await;
    let mut bob = Client::connected(&third.at.quic()).await;
    assert!(bob.look(&record.key).await.contains(&record.value));
    third.stop().await;
}

#[tokio::test]
async fn it_is_ready_when_the_others_were_dialled() {
    let gone = Service::start(&[]).await;
    let (peer, at) = (format!("--peer={}", gone.at.tcp()), gone.at.clone());
    gone.stop().await;
    let left = Service::start(&[&peer]).await;
    let ready = async |service: &Service| {
        let answer = crate::service::asked(service.at.health, "GET", "/readyz").await;
        answer.starts_with("HTTP/1.1 200")
    };
    let waiting = async {
        while !ready(&left).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    let info = crate::service::asked(left.at.http, "GET", "/v1/info").await;
    assert!(info.contains(&at.tcp().to_string()), "it tells whom it knows: {info}");
    left.stop().await;
}
