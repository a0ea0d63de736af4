//! Does what was answered survive `kill -9` of the true program?

use std::process::Command;

use kith_common::service::mailbox::{Operation, PutBody};

use crate::{
    client::{Keys, blob, metric, seen},
    program::Program,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_put_is_never_lost_and_a_deleted_one_stays_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::new();
    let (mut kept, mut deleted, mut number) = (Vec::new(), Vec::new(), 0_u32);
    for round in 0..8 {
        let program = Program::start(folder.path(), &[]);
        let mut client = program.client().await;
        client.open(&keys).await;
        let fetched = seen(&client.fetch(&keys, &[]).await.unwrap());
        let found: Vec<u32> = fetched.iter().filter_map(|(_, blob)| *blob).collect();
        for one in &kept {
            assert!(found.contains(one), "blob {one} was answered and is lost");
        }
        for one in &deleted {
            assert!(!found.contains(one), "blob {one} was deleted and is back");
        }
        for _ in 0..10 {
            number += 1;
            client.put(&keys, &blob(number)).await.unwrap();
            kept.push(number);
        }
        if let Some((place, Some(gone))) = fetched.first().copied() {
            client.fetch(&keys, &[place]).await.unwrap();
            kept.retain(|one| *one != gone);
            deleted.push(gone);
        }
        // Between a put and its answer: it may be there or not, but nothing else changes.
        number += 1;
        let body = PutBody::signed(&keys.writer, client.stamp(), &blob(number));
        client.begin(Operation::Put, &body).await;
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        program.kill();
    }
    println!("{} kept, {} deleted over 8 kills", kept.len(), deleted.len());
    assert!(deleted.len() >= 7 && kept.len() > 70);
}

#[tokio::test]
async fn it_stops_in_order_and_answers_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]);
    let (mut client, keys) = (program.client().await, Keys::new());
    client.open(&keys).await;
    let body = client.fetch_request(&keys, &[], 60_000);
    client.begin(Operation::Fetch, &body).await;
    while metric(program.health, "kith_mailbox_waiting").await == 0 {
        tokio::task::yield_now().await;
    }
    let stopped = tokio::task::spawn_blocking(move || program.stop());
    let (status, _) = client.finish().await.expect("an answer");
    assert_eq!(status, 200);
    assert!(stopped.await.unwrap(), "it ended well");
}

#[test]
fn the_settings_in_use_can_be_printed() {
    let printed = Command::new(env!("CARGO_BIN_EXE_mailbox-server"))
        .args(["--print-config", "--access=open-sesame", "--postgres=host=h password=secret"])
        .output()
        .unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.status.success() && text.contains("listen = \"127.0.0.1:8448\""), "{text}");
    assert!(!text.contains("sesame") && !text.contains("password"), "{text}");
}
