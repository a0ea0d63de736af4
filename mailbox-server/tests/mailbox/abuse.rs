//! What does it cost to annoy a mailbox-server? Figures are printed.

use std::time::Instant;

use kith_common::service::{
    Code,
    mailbox::{Operation, PutBody, SizeClass},
};

use crate::client::{Client, Keys, Running, answered, blob, code, get, metric, start};

#[tokio::test]
async fn strangers_fill_nothing() {
    let server = start(&["--requests-per-second", "0"]).await;
    let (mut client, keys) = (server.client().await, Keys::new());
    client.open(&keys).await;
    let size = || {
        let file = |name| std::fs::metadata(server._folder.path().join(name)).unwrap().len();
        file("mailbox.sqlite") + file("mailbox.sqlite-wal")
    };
    let (before, began) = (size(), Instant::now());
    let stranger = Keys::new();
    for number in 0..500 {
        assert_eq!(code(client.put(&stranger, &blob(number)).await), Code::UnknownQueue);
    }
    println!("500 puts of a stranger in {:?}, {} bytes kept", began.elapsed(), size() - before);
    assert_eq!(size(), before);
}

#[tokio::test]
async fn a_flood_of_one_address_is_slowed_down() {
    let server = start(&["--requests-per-second", "1", "--requests-burst", "20"]).await;
    let (mut client, keys) = (server.client().await, Keys::new());
    client.open(&keys).await;
    let (mut taken, mut slowed) = (0, 0);
    for number in 0..200 {
        match client.put(&keys, &blob(number)).await {
            Ok(_) => taken += 1,
            Err(failure) => {
                assert_eq!(failure.code, Code::SlowDown);
                assert!(failure.value.is_some_and(|wait_ms| (1..=1000).contains(&wait_ms)));
                slowed += 1;
            }
        }
    }
    println!("of 200 puts {taken} were taken, {slowed} slowed down");
    assert!((19..=22).contains(&taken));
    let health = server.server.health_address();
    assert_eq!(metric(health, "kith_requests_slowed_down_total").await, slowed);
}

/// Many who promise a mebibyte and send nearly none of it.
async fn slow_ones(server: &Running, count: usize, bytes: usize) -> Vec<Client> {
    let mut slow = Vec::new();
    for _ in 0..count {
        let mut client = server.client().await;
        let length = Operation::Put.body_bytes_max();
        let head = format!(
            "POST /v1/mailbox/put HTTP/1.1\r\nhost: x\r\ncontent-type: application/cbor\r\n\
             content-length: {length}\r\n\r\n"
        );
        client.raw(head.as_bytes()).await;
        client.raw(&vec![0; bytes]).await;
        slow.push(client);
    }
    slow
}

#[tokio::test]
async fn slow_clients_do_not_keep_others_away() {
    let server = start(&["--requests-per-second", "0"]).await;
    let slow = slow_ones(&server, 300, 1000).await;
    let (mut client, keys) = (server.client().await, Keys::new());
    client.open(&keys).await;
    let began = Instant::now();
    for byte in 0..4 {
        client.put(&keys, &vec![byte; SizeClass::Mib1.bytes()]).await.unwrap();
    }
    let fetched = client.fetch(&keys, &[]).await.unwrap();
    assert_eq!((fetched.items.len(), fetched.more), (1, true));
    println!("beside {} slow clients 4 MiB took {:?}", slow.len(), began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn slow_clients_are_cut_off() {
    let server = start(&["--requests-per-second", "0"]).await;
    let began = tokio::time::Instant::now();
    for mut slow in slow_ones(&server, 20, 70_000).await {
        let refused = slow.finish().await.map(|(status, body)| code(answered(status, body)));
        assert!(matches!(refused, None | Some(Code::Malformed)), "{refused:?}");
    }
    println!("20 slow clients were cut off after {:?}", began.elapsed());
    assert!(began.elapsed().as_secs() <= 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_leave_room_for_honest_ones() {
    let flags =
        ["--requests-per-second=0", "--connections-per-address=1000", "--connections-max=900"];
    let server = start(&flags).await;
    let mut held = Vec::new();
    for _ in 0..800 {
        held.push(server.client().await);
    }
    let (mut client, keys) = (server.client().await, Keys::new());
    client.open(&keys).await;
    let began = Instant::now();
    for number in 0..50 {
        client.put(&keys, &blob(number)).await.unwrap();
    }
    println!("beside {} idle connections a put takes {:?}", held.len(), began.elapsed() / 50);
    for _ in 0..200 {
        held.push(server.client().await);
    }
    let health = server.server.health_address();
    while metric(health, "kith_connections_turned_away_total").await < 101 {
        tokio::task::yield_now().await;
    }
    assert_eq!(metric(health, "kith_connections ").await, 900);
    client.put(&keys, &blob(50)).await.expect("who is inside is served");
}

#[tokio::test]
async fn what_is_refused_by_http_has_a_code_too() {
    let server = start(&[]).await;
    let address = server.server.address();
    for (path, status) in
        [("/nowhere", "404"), ("/v1/mailbox/put", "405"), ("/v1/mailbox/live", "400")]
    {
        let answer = get(address, path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains("\"code\":\"malformed\""), "{answer}");
    }
    let mut client = server.client().await;
    let (status, body) = client.send(Operation::Status, b"nonsense").await.unwrap();
    assert_eq!(code(answered(status, body)), Code::Malformed);
    let put = PutBody { put: b"nonsense", blob: &blob(1) }.encode();
    let (status, body) = client.send(Operation::Put, &put).await.unwrap();
    assert_eq!(code(answered(status, body)), Code::Malformed);
}

#[tokio::test]
async fn it_says_what_it_is() {
    let server = start(&["--access=sesame"]).await;
    let info = get(server.server.address(), "/v1/info").await;
    for said in ["\"service\":\"kith-mailbox\"", "\"access\":true", "\"blob_bytes\":[4096,16384,"] {
        assert!(info.contains(said), "{info}");
    }
    assert!(!info.contains("sesame"));
    let api = get(server.server.address(), "/openapi.json").await;
    assert!(api.contains("\"openapi\":\"3.1.0\"") && api.contains("/v1/mailbox/put"), "{api}");
}
