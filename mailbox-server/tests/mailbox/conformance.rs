//! Are the rules of spec 20 kept? The same stories on the embedded store and on PostgreSQL.

use kith_common::{
    envelope::sign,
    limits::FETCH_ITEMS_MAX,
    service::{
        Code, Stamp,
        mailbox::{Days, Operation, PutBody, SizeClass, Status},
    },
};

use crate::client::{Keys, Running, blob, code, off_by, seen, start};

/// Every story, by name.
macro_rules! stories {
    ($($story:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $story() {
                super::$story(&super::start(super::FLAGS).await).await;
            })*
        }

        pub(crate) async fn all(server: &Running) {
            $(println!("{}", stringify!($story)); $story(server).await;)*
        }
    };
}

stories!(
    what_is_put_is_fetched_until_it_is_deleted,
    a_blob_that_is_there_is_stored_once,
    opening_again_changes_a_queue_and_keeps_what_is_in_it,
    keys_of_another_queue_are_taken,
    a_full_queue_is_marked_once,
    answers_are_bounded,
    a_fetch_waits_until_something_comes,
    a_closed_queue_is_gone_and_another_one_has_another_life,
    the_writer_sees_the_card_and_may_close,
    who_has_no_key_leaves_nothing,
    a_request_counts_once,
    a_request_is_for_one_server_and_for_now,
    blobs_have_their_classes,
    the_access_word_is_wanted_for_opening_only,
);

pub(crate) const FLAGS: &[&str] = &["--access", "sesame", "--requests-per-second", "0"];

async fn opened(server: &Running) -> (crate::client::Client, Keys) {
    let (mut client, keys) = (server.client().await, Keys::new());
    let open = client.open_request(&keys);
    let open = kith_common::service::mailbox::Open { access: Some("sesame".to_owned()), ..open };
    client.open_as(&keys, open).await.unwrap();
    (client, keys)
}

async fn what_is_put_is_fetched_until_it_is_deleted(server: &Running) {
    let (mut client, keys) = opened(server).await;
    for number in 1..=3 {
        client.put(&keys, &blob(number)).await.unwrap();
    }
    let all = [(1, Some(1)), (2, Some(2)), (3, Some(3))];
    for _ in 0..2 {
        let fetched = client.fetch(&keys, &[]).await.unwrap();
        assert_eq!((seen(&fetched).as_slice(), fetched.more), (&all[..], false));
        assert_eq!(fetched.items[2].blob.as_deref(), Some(&blob(3)[..]));
    }
    let fetched = client.fetch(&keys, &[1, 3, 77, 1 << 40]).await.unwrap();
    assert_eq!(seen(&fetched), [(2, Some(2))]);
    client.put(&keys, &blob(4)).await.unwrap();
    assert_eq!(seen(&client.fetch(&keys, &[2]).await.unwrap()), [(4, Some(4))]);
}

async fn a_blob_that_is_there_is_stored_once(server: &Running) {
    let (mut client, keys) = opened(server).await;
    let first = client.put(&keys, &blob(1)).await.unwrap();
    assert_eq!(client.put(&keys, &blob(1)).await.unwrap(), first);
    assert_eq!(seen(&client.fetch(&keys, &[]).await.unwrap()), [(1, Some(1))]);
    client.fetch(&keys, &[1]).await.unwrap();
    client.put(&keys, &blob(1)).await.unwrap();
    assert_eq!(seen(&client.fetch(&keys, &[]).await.unwrap()), [(2, Some(1))], "it is new again");
    let (mut other, others) = opened(server).await;
    other.put(&others, &blob(1)).await.unwrap();
    assert_eq!(seen(&other.fetch(&others, &[]).await.unwrap()), [(1, Some(1))], "queues are apart");
}

async fn opening_again_changes_a_queue_and_keeps_what_is_in_it(server: &Running) {
    let (mut client, keys) = opened(server).await;
    let stored = client.put(&keys, &blob(1)).await.unwrap();
    let mut open = client.open_request(&keys);
    (open.blobs_max, open.bytes_max, open.days) = (1, u64::MAX >> 12, Days::One);
    open.access = Some("sesame".to_owned());
    let again = client.open_as(&keys, open).await.unwrap();
    assert_eq!(again.incarnation, stored.incarnation);
    assert_eq!((again.blobs_max, again.bytes_max), (1, 64 << 20), "no more than is allowed");
    assert_eq!(code(client.put(&keys, &blob(2)).await), Code::Full);
    assert_eq!(client.status(&keys).await.unwrap().days, Days::One);
    let fetched = client.fetch(&keys, &[]).await.unwrap();
    assert_eq!(seen(&fetched), [(1, Some(1)), (2, None)]);
}

async fn keys_of_another_queue_are_taken(server: &Running) {
    let (mut client, keys) = opened(server).await;
    let fresh = Keys::new;
    let copies = [
        Keys { owner: fresh().owner, writer: copied(&keys.writer) },
        Keys { owner: copied(&keys.owner), writer: fresh().writer },
        Keys { owner: copied(&keys.writer), writer: copied(&keys.owner) },
        Keys { owner: fresh().owner, writer: copied(&keys.owner) },
    ];
    for taken in copies {
        let mut open = client.open_request(&taken);
        open.access = Some("sesame".to_owned());
        assert_eq!(code(client.open_as(&taken, open).await), Code::Taken);
    }
}

fn copied(key: &kith_common::keys::SigningKey) -> kith_common::keys::SigningKey {
    key.expose_seed(kith_common::keys::SigningKey::from_seed)
}

async fn a_full_queue_is_marked_once(server: &Running) {
    let (mut client, keys) = (server.client().await, Keys::new());
    let mut open = client.open_request(&keys);
    (open.blobs_max, open.access) = (2, Some("sesame".to_owned()));
    client.open_as(&keys, open).await.unwrap();
    client.put(&keys, &blob(1)).await.unwrap();
    client.put(&keys, &blob(2)).await.unwrap();
    for number in 3..6 {
        assert_eq!(code(client.put(&keys, &blob(number)).await), Code::Full);
    }
    client.put(&keys, &blob(2)).await.expect("what is there needs no room");
    let full = [(1, Some(1)), (2, Some(2)), (3, None)];
    assert_eq!(seen(&client.fetch(&keys, &[]).await.unwrap()), full);
    client.fetch(&keys, &[1, 3]).await.unwrap();
    client.put(&keys, &blob(6)).await.unwrap();
    assert_eq!(code(client.put(&keys, &blob(7)).await), Code::Full);
    let fetched = client.fetch(&keys, &[]).await.unwrap();
    assert_eq!(seen(&fetched), [(2, Some(2)), (4, Some(6)), (5, None)]);
    let mut open = client.open_request(&keys);
    (open.blobs_max, open.bytes_max, open.access) = (9, 8192, Some("sesame".to_owned()));
    client.open_as(&keys, open).await.unwrap();
    assert_eq!(code(client.put(&keys, &blob(8)).await), Code::Full, "bytes count too");
}

async fn answers_are_bounded(server: &Running) {
    let (mut client, keys) = opened(server).await;
    let large = |byte| vec![byte; SizeClass::Kib256.bytes()];
    for byte in 0..5 {
        client.put(&keys, &large(byte)).await.unwrap();
    }
    client.put(&keys, &vec![9; SizeClass::Mib1.bytes()]).await.unwrap();
    let fetched = client.fetch(&keys, &[]).await.unwrap();
    assert_eq!((fetched.items.len(), fetched.more), (4, true), "1 MiB together");
    let fetched = client.fetch(&keys, &[1, 2, 3, 4, 5]).await.unwrap();
    assert_eq!((fetched.items.len(), fetched.more), (1, false), "one may be 1 MiB alone");
    client.fetch(&keys, &[6]).await.unwrap();
    let many = u32::try_from(FETCH_ITEMS_MAX).unwrap() / 2 + 1;
    for number in 0..many {
        client.put(&keys, &blob(number)).await.unwrap();
    }
    let fetched = client.fetch(&keys, &[]).await.unwrap();
    assert_eq!((fetched.items.len(), fetched.more), (FETCH_ITEMS_MAX / 2, true));
}

async fn a_fetch_waits_until_something_comes(server: &Running) {
    let ((mut owner, keys), mut writer) = (opened(server).await, server.client().await);
    let waiting = metric_of(server, "kith_mailbox_waiting").await;
    let body = owner.fetch_request(&keys, &[], 60_000);
    owner.begin(Operation::Fetch, &body).await;
    while metric_of(server, "kith_mailbox_waiting").await == waiting {
        tokio::task::yield_now().await;
    }
    writer.put(&keys, &blob(1)).await.unwrap();
    let (status, reply) = owner.finish().await.unwrap();
    let reply = crate::client::answered(status, reply).unwrap();
    let fetched = kith_common::service::mailbox::Fetched::decode(&reply).unwrap();
    assert_eq!(seen(&fetched), [(1, Some(1))]);
    let fetched = owner.fetch_waiting(&keys, &[1], 1).await.unwrap();
    assert!(fetched.items.is_empty(), "it ends in time");
}

async fn metric_of(server: &Running, name: &str) -> u64 {
    crate::client::metric(server.server.health_address(), name).await
}

async fn a_closed_queue_is_gone_and_another_one_has_another_life(server: &Running) {
    let (mut client, keys) = opened(server).await;
    let first = client.put(&keys, &blob(1)).await.unwrap();
    client.close(&keys.owner).await.unwrap();
    assert_eq!(code(client.put(&keys, &blob(2)).await), Code::UnknownQueue);
    assert_eq!(code(client.fetch(&keys, &[]).await), Code::UnknownQueue);
    assert_eq!(code(client.close(&keys.owner).await), Code::UnknownQueue);
    let mut open = client.open_request(&keys);
    open.access = Some("sesame".to_owned());
    let second = client.open_as(&keys, open).await.unwrap();
    assert_ne!(second.incarnation, first.incarnation);
    assert!(client.fetch(&keys, &[]).await.unwrap().items.is_empty());
}

async fn the_writer_sees_the_card_and_may_close(server: &Running) {
    let (mut client, keys) = (server.client().await, Keys::new());
    let mut open = client.open_request(&keys);
    (open.card, open.access) = (Some([7; 100].into()), Some("sesame".to_owned()));
    let opened = client.open_as(&keys, open).await.unwrap();
    let standing = client.status(&keys).await.unwrap();
    assert_eq!((standing.incarnation, standing.days), (opened.incarnation, Days::Seven));
    assert_eq!(standing.card.as_deref(), Some(&[7; 100][..]));
    client.close(&keys.writer).await.unwrap();
    assert_eq!(code(client.status(&keys).await), Code::UnknownQueue);
}

async fn who_has_no_key_leaves_nothing(server: &Running) {
    let (mut client, keys) = opened(server).await;
    let (blobs, queues) = ("kith_mailbox_blobs", "kith_mailbox_queues");
    ready(server).await;
    let before = (metric_of(server, blobs).await, metric_of(server, queues).await);
    let stranger = Keys::new();
    assert_eq!(code(client.put(&stranger, &blob(1)).await), Code::UnknownQueue);
    let turned = Keys { owner: copied(&keys.writer), writer: copied(&keys.owner) };
    assert_eq!(code(client.put(&turned, &blob(1)).await), Code::UnknownQueue, "the owner puts");
    assert_eq!(code(client.fetch(&turned, &[]).await), Code::UnknownQueue, "the writer fetches");
    assert_eq!(code(client.status(&turned).await), Code::UnknownQueue);
    let mut body = PutBody::signed(&keys.writer, client.stamp(), &blob(1));
    let at = body.len() - 4096 - 10;
    body[at] ^= 1;
    assert_eq!(code(client.ask(Operation::Put, &body).await), Code::BadSignature);
    let mut body = PutBody::signed(&keys.writer, client.stamp(), &blob(1));
    *body.last_mut().unwrap() ^= 1;
    assert_eq!(code(client.ask(Operation::Put, &body).await), Code::Malformed, "another blob");
    ready(server).await;
    let after = (metric_of(server, blobs).await, metric_of(server, queues).await);
    assert_eq!(after, before, "nothing was kept");
    assert!(client.fetch(&keys, &[]).await.unwrap().items.is_empty());
}

/// Has the server count anew.
async fn ready(server: &Running) {
    let answer = crate::client::get(server.server.health_address(), "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

async fn a_request_counts_once(server: &Running) {
    let (mut client, keys) = opened(server).await;
    let put = PutBody::signed(&keys.writer, client.stamp(), &blob(1));
    client.ask(Operation::Put, &put).await.unwrap();
    assert_eq!(code(client.ask(Operation::Put, &put).await), Code::Replayed);
    let fetch = client.fetch_request(&keys, &[1], 0);
    client.ask(Operation::Fetch, &fetch).await.unwrap();
    assert_eq!(code(client.ask(Operation::Fetch, &fetch).await), Code::Replayed);
    let status = sign(&keys.writer, Status { stamp: client.stamp() });
    client.ask(Operation::Status, status.bytes()).await.unwrap();
    assert_eq!(code(client.ask(Operation::Status, status.bytes()).await), Code::Replayed);
    assert_eq!(
        code(client.ask(Operation::Put, &put).await),
        Code::Replayed,
        "deleted stays deleted"
    );
}

async fn a_request_is_for_one_server_and_for_now(server: &Running) {
    let (mut client, keys) = opened(server).await;
    let elsewhere = Stamp { audience: "mail.example.org".to_owned(), ..client.stamp() };
    let put = |stamp| PutBody::signed(&keys.writer, stamp, &blob(1));
    assert_eq!(code(client.ask(Operation::Put, &put(elsewhere)).await), Code::WrongAudience);
    for minutes in [-6, 6] {
        let stamp = Stamp { time: off_by(minutes), ..client.stamp() };
        let failure = client.ask(Operation::Put, &put(stamp)).await.unwrap_err();
        assert_eq!(failure.code, Code::Stale);
        let told = failure.value.unwrap();
        assert!(kith_server::now().millis().abs_diff(told) < 60_000, "it says what time it is");
    }
    for minutes in [-4, 4] {
        let stamp = Stamp { time: off_by(minutes), ..client.stamp() };
        client.ask(Operation::Put, &put(stamp)).await.unwrap();
    }
}

async fn blobs_have_their_classes(server: &Running) {
    let (mut client, keys) = opened(server).await;
    for length in [0, 1, 4095, 4097, 1 << 19] {
        assert_eq!(code(client.put(&keys, &vec![1; length]).await), Code::BadClass, "{length}");
    }
    for class in SizeClass::ALL {
        client.put(&keys, &vec![1; class.bytes()]).await.unwrap();
    }
    let oversized = PutBody::signed(&keys.writer, client.stamp(), &vec![1; (1 << 20) + 4096]);
    let (status, reply) = client.send(Operation::Put, &oversized).await.unwrap();
    let failure = crate::client::answered(status, reply).unwrap_err();
    let allowed = Operation::Put.body_bytes_max() as u64;
    assert_eq!((failure.code, failure.value), (Code::TooLarge, Some(allowed)));
}

async fn the_access_word_is_wanted_for_opening_only(server: &Running) {
    let (mut client, keys) = (server.client().await, Keys::new());
    for word in [None, Some("sesamE"), Some("")] {
        let mut open = client.open_request(&keys);
        open.access = word.map(str::to_owned);
        let body = sign(&keys.owner, open);
        let refused = code(client.ask(Operation::Open, body.bytes()).await);
        let expected = if word == Some("") { Code::Malformed } else { Code::Access };
        assert_eq!(refused, expected, "{word:?}");
    }
    let (mut client, keys) = opened(server).await;
    client.put(&keys, &blob(1)).await.unwrap();
}
