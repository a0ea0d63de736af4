//! Do requests on a WebSocket follow the same rules?

use kith_common::{
    envelope::sign,
    service::{
        Code, Failure,
        mailbox::{
            Close, Done, Fetched, Opened, Operation, PutBody, Standing, Status, Stored,
            live::{Answer, ask},
        },
    },
};
use mailbox_server::limits::LIVE_BYTES_MAX;

use crate::{
    client::{Client, Keys, Running, blob, seen, start},
    conformance::FLAGS,
};

pub(crate) async fn all(server: &Running) {
    every_request_has_its_answer(server).await;
    news_come_once(server).await;
    a_connection_is_of_one_signer(server).await;
}

#[tokio::test]
async fn requests_on_a_websocket() {
    all(&start(FLAGS).await).await;
}

async fn socket(server: &Running) -> Client {
    let mut client = server.client().await;
    client.upgrade().await;
    client
}

async fn asked(client: &mut Client, operation: Operation, body: &[u8]) -> Result<Vec<u8>, Code> {
    client.say(&ask(operation, body)).await;
    match Answer::decode(&client.hear().await.expect("an answer")).unwrap() {
        Answer::Done(of, reply) => {
            assert_eq!(of, operation);
            Ok(reply.to_vec())
        }
        Answer::Refused(failure) => Err(Failure::decode(failure).unwrap().code),
        Answer::News => panic!("news, not an answer"),
    }
}

async fn opened(client: &mut Client, keys: &Keys) -> Opened {
    let mut open = client.open_request(keys);
    open.access = Some("sesame".to_owned());
    let open = sign(&keys.owner, open);
    Opened::decode(&asked(client, Operation::Open, open.bytes()).await.unwrap()).unwrap()
}

async fn every_request_has_its_answer(server: &Running) {
    let (mut owner, mut writer, keys) = (socket(server).await, socket(server).await, Keys::new());
    let incarnation = opened(&mut owner, &keys).await.incarnation;
    let put = PutBody::signed(&keys.writer, writer.stamp(), &blob(1));
    let stored = asked(&mut writer, Operation::Put, &put).await.unwrap();
    assert_eq!(Stored::decode(&stored), Ok(Stored { incarnation }));
    assert_eq!(asked(&mut writer, Operation::Put, &put).await, Err(Code::Replayed));
    let fetch = owner.fetch_request(&keys, &[], 1000);
    let fetched = asked(&mut owner, Operation::Fetch, &fetch).await.unwrap();
    assert_eq!(seen(&Fetched::decode(&fetched).unwrap()), [(1, Some(1))]);
    let status = sign(&keys.writer, Status { stamp: writer.stamp() });
    let standing = asked(&mut writer, Operation::Status, status.bytes()).await.unwrap();
    assert_eq!(Standing::decode(&standing).unwrap().incarnation, incarnation);
    for nonsense in [&b""[..], b"\x82\x09\xa0", b"nonsense"] {
        writer.say(nonsense).await;
        let answer = writer.hear().await.unwrap();
        let Ok(Answer::Refused(failure)) = Answer::decode(&answer) else { panic!("refused") };
        assert_eq!(Failure::decode(failure).unwrap().code, Code::Malformed);
    }
    let close = sign(&keys.writer, Close { stamp: writer.stamp() });
    let done = asked(&mut writer, Operation::Close, close.bytes()).await.unwrap();
    assert_eq!(Done::decode(&done), Ok(Done));
}

async fn news_come_once(server: &Running) {
    let (mut owner, mut writer, keys) = (socket(server).await, server.client().await, Keys::new());
    opened(&mut owner, &keys).await;
    for number in [1, 3] {
        let fetch = owner.fetch_request(&keys, &[], 0);
        asked(&mut owner, Operation::Fetch, &fetch).await.unwrap();
        writer.put(&keys, &blob(number)).await.unwrap();
        assert_eq!(Answer::decode(&owner.hear().await.unwrap()), Ok(Answer::News));
        writer.put(&keys, &blob(number + 1)).await.unwrap();
    }
    let fetch = owner.fetch_request(&keys, &[], 0);
    let fetched = asked(&mut owner, Operation::Fetch, &fetch).await.expect("no news before it");
    assert_eq!(Fetched::decode(&fetched).unwrap().items.len(), 4);
}

async fn a_connection_is_of_one_signer(server: &Running) {
    let (mut client, keys, others) = (socket(server).await, Keys::new(), Keys::new());
    opened(&mut client, &keys).await;
    let put = PutBody::signed(&keys.writer, client.stamp(), &blob(1));
    assert_eq!(asked(&mut client, Operation::Put, &put).await, Err(Code::OtherQueue));
    let fetch = client.fetch_request(&others, &[], 0);
    assert_eq!(asked(&mut client, Operation::Fetch, &fetch).await, Err(Code::OtherQueue));
    let fetch = client.fetch_request(&keys, &[], 0);
    asked(&mut client, Operation::Fetch, &fetch).await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_connection() {
    let server = start(FLAGS).await;
    let mut client = socket(&server).await;
    client.say(&vec![0; LIVE_BYTES_MAX + 1]).await;
    assert!(client.hear().await.is_none());
}

#[tokio::test]
async fn websockets_are_closed_when_the_server_stops() {
    let server = start(FLAGS).await;
    let (mut client, keys) = (socket(&server).await, Keys::new());
    opened(&mut client, &keys).await;
    server.server.shutdown().await.unwrap();
    assert!(client.hear().await.is_none());
}
