//! Do several replicas on one PostgreSQL keep the same promises? A real server, thrown away after.

use std::process::Command;

use kith_common::service::{
    Code,
    mailbox::{Fetched, Operation, PutBody},
};

use crate::{
    client::{Client, Keys, answered, blob, code, metric, seen, start},
    cluster::Cluster,
    conformance::{self, FLAGS},
    live,
    program::Program,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_rules_hold() {
    let cluster = Cluster::start(&["fsync=off"]).await;
    let flag = cluster.flag();
    let server = start(&[FLAGS, &[flag.as_str()]].concat()).await;
    conformance::all(&server).await;
    live::all(&server).await;
    server.server.shutdown().await.unwrap();
}

async fn waits(client: &mut Client, keys: &Keys, health: std::net::SocketAddr) {
    let body = client.fetch_request(keys, &[], 60_000);
    client.begin(Operation::Fetch, &body).await;
    while metric(health, "kith_mailbox_waiting").await == 0 {
        tokio::task::yield_now().await;
    }
}

async fn delivered(client: &mut Client) -> Fetched {
    let (status, reply) = client.finish().await.unwrap();
    Fetched::decode(&answered(status, reply).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_takes_another_one_delivers() {
    let cluster = Cluster::start(&["fsync=off"]).await;
    let flag = cluster.flag();
    let flags = [flag.as_str(), "--name=mailbox.test"];
    // Both make the tables at once.
    let (one, other) = tokio::join!(start(&flags), start(&flags));
    let (mut writer, mut owner) = (one.client().await, other.client().await);
    (writer.audience, owner.audience) = ("mailbox.test".to_owned(), "mailbox.test".to_owned());
    let keys = Keys::new();
    owner.open(&keys).await;
    let health = other.server.health_address();
    waits(&mut owner, &keys, health).await;
    let put = PutBody::signed(&keys.writer, writer.stamp(), &blob(1));
    writer.ask(Operation::Put, &put).await.unwrap();
    assert_eq!(seen(&delivered(&mut owner).await), [(1, Some(1))]);
    assert_eq!(code(owner.ask(Operation::Put, &put).await), Code::Replayed, "on every replica");

    owner.fetch(&keys, &[1]).await.unwrap();
    waits(&mut owner, &keys, health).await;
    cluster.cut_notices().await;
    writer.put(&keys, &blob(2)).await.unwrap();
    assert_eq!(seen(&delivered(&mut owner).await), [(2, Some(2))], "it looks again after a gap");
    one.server.shutdown().await.unwrap();
    other.server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_loses_nothing() {
    let cluster = Cluster::start(&["fsync=off"]).await;
    let (flag, folder) = (cluster.flag(), tempfile::tempdir().unwrap());
    let survivor = Program::start(folder.path(), &[&flag]);
    let (mut owner, keys) = (survivor.client().await, Keys::new());
    owner.open(&keys).await;
    let mut kept = Vec::new();
    for round in 0..4_u32 {
        let replica = Program::start(folder.path(), &[&flag]);
        let mut writer = replica.client().await;
        for number in round * 10..round * 10 + 10 {
            writer.put(&keys, &blob(number)).await.unwrap();
            kept.push(number);
        }
        let body = PutBody::signed(&keys.writer, writer.stamp(), &blob(1000 + round));
        writer.begin(Operation::Put, &body).await;
        replica.kill();
    }
    let fetched = seen(&owner.fetch(&keys, &[]).await.unwrap());
    let found: Vec<u32> = fetched.iter().filter_map(|(_, blob)| *blob).collect();
    for one in &kept {
        assert!(found.contains(one), "blob {one} was answered and is lost");
    }
    println!("{} answered, {} found after 4 kills", kept.len(), found.len());
    assert!(survivor.stop());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_not_ready_while_the_database_is_away() {
    let mut cluster = Cluster::start(&["fsync=off"]).await;
    let flag = cluster.flag();
    let server = start(&[flag.as_str()]).await;
    let health = server.server.health_address();
    assert!(crate::client::get(health, "/readyz").await.starts_with("HTTP/1.1 200"));
    let (mut client, keys) = (server.client().await, Keys::new());
    client.open(&keys).await;
    // At once, with all that it serves: killed alone, those would go on for a moment.
    let process = cluster.server.id().to_string();
    assert!(Command::new("kill").args(["-QUIT", &process]).status().unwrap().success());
    cluster.server.wait().unwrap();
    assert!(crate::client::get(health, "/readyz").await.starts_with("HTTP/1.1 503"));
    assert_eq!(code(client.put(&keys, &blob(1)).await), Code::Unavailable);
    assert!(crate::client::get(health, "/healthz").await.starts_with("HTTP/1.1 200"));
    server.server.shutdown().await.unwrap();
}
