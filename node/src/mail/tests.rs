//! Requests are made as the spec wants, whatever the other end does.

mod server;

use std::{sync::Arc, time::Duration};

use kith_common::{
    mail::MailboxUrl,
    service::{Code, Failure, mailbox::Operation},
};
use kith_core::mail::{Errand, ErrandError, ErrandId};
use tokio::{sync::mpsc, time::timeout};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        HandshakeKind, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use self::server::{Act, Server, answer};
use super::{
    Answered, Carrier, InfoError, MailConfig, Reach,
    connection::Silence,
    courier::unexpected,
    limits::{FETCHES_READ_MAX, IDLE_TIMEOUT},
    slots::Slots,
};

/// A carrier as the driver has it.
struct Post {
    carrier: Carrier,
    answers: mpsc::Receiver<Answered>,
}

type Reply = Result<Vec<u8>, ErrandError>;

impl Post {
    fn new(reach: Reach) -> Self {
        let (sender, answers) = mpsc::channel(1);
        Self { carrier: Carrier::start(Arc::new(reach), sender), answers }
    }

    async fn answered(&mut self) -> (u64, Reply) {
        let answered = self.answers.recv().await.unwrap();
        (answered.id.0, answered.reply)
    }

    async fn ask(&mut self, errand: Errand) -> Reply {
        self.carrier.send(errand);
        self.answered().await.1
    }
}

fn reach() -> Reach {
    Reach::new(&MailConfig::default()).unwrap()
}

fn post() -> Post {
    Post::new(reach())
}

fn errand(server: &Server, id: u64, queue: u8) -> Errand {
    Errand {
        id: ErrandId(id),
        url: server.url.clone(),
        operation: Operation::Put,
        body: vec![queue; 100],
        queue: [queue; 32],
        wait_ms: 0,
        own: true,
        overtakes: false,
    }
}

fn sentence(reply: Reply) -> String {
    match reply {
        Err(ErrandError::Unreachable(sentence)) => sentence,
        other => panic!("it was answered: {other:?}"),
    }
}

fn port(server: &Server) -> &str {
    server.url.audience().rsplit_once(':').unwrap().1
}

#[tokio::test]
async fn each_queue_has_a_connection_of_its_own_and_keeps_it() {
    let mut server = Server::start(|_| Act::Say(answer(200, b"stored"))).await;
    let mut post = post();
    let mut connections = Vec::new();
    for (id, queue) in [(1, 1), (2, 2), (3, 1), (4, 2), (5, 3)] {
        assert_eq!(post.ask(errand(&server, id, queue)).await, Ok(b"stored".to_vec()));
        let asked = server.asked().await;
        assert_eq!(asked.body, [queue; 100]);
        connections.push(asked.connection);
    }
    assert_eq!(connections, [0, 1, 0, 1, 2]);
}

#[tokio::test]
async fn requests_differ_in_nothing_but_what_is_asked() {
    let mut server = Server::start(|_| Act::Say(answer(200, b"x"))).await;
    post().ask(errand(&server, 1, 1)).await.unwrap();
    let head = server.asked().await.head;
    let expected = format!(
        "POST /v1/mailbox/put HTTP/1.1\r\nhost: {}\r\ncontent-type: application/cbor\r\n\
         accept: application/cbor\r\ncontent-length: 100\r\n\r\n",
        server.url.audience()
    );
    assert_eq!(head, expected);
}

#[tokio::test]
async fn a_connection_that_has_ended_is_replaced_once() {
    // Ends after an answer; then in the middle of the next request.
    let mut server = Server::start(|number| match number {
        0 => Act::Last(answer(200, b"first")),
        2 => Act::Last(Vec::new()),
        number => Act::Say(answer(200, number.to_string().as_bytes())),
    })
    .await;
    let mut post = post();
    assert_eq!(post.ask(errand(&server, 1, 1)).await, Ok(b"first".to_vec()));
    assert_eq!(post.ask(errand(&server, 2, 1)).await, Ok(b"1".to_vec()));
    assert_eq!(post.ask(errand(&server, 3, 1)).await, Ok(b"3".to_vec()));
    let mut connections = Vec::new();
    for _ in 0..4 {
        connections.push(server.asked().await.connection);
    }
    assert_eq!(connections, [0, 1, 1, 2]);
}

#[tokio::test]
async fn a_fresh_connection_that_ends_is_not_replaced() {
    let mut server = Server::start(|_| Act::Last(Vec::new())).await;
    let said = sentence(post().ask(errand(&server, 1, 1)).await);
    assert!(said.contains("without an answer"), "{said}");
    server.asked().await;
    assert!(server.was_left_alone());
}

#[tokio::test]
async fn refusals_are_told_as_they_are() {
    let failure = Failure::with(Code::Stale, 7);
    let body = failure.encode();
    let server = Server::start(move |_| Act::Say(answer(401, &body))).await;
    let reply = post().ask(errand(&server, 1, 1)).await;
    assert_eq!(reply, Err(ErrandError::Refused(failure)));
}

#[tokio::test]
async fn what_is_no_mailbox_is_said_to_be_none() {
    let elsewhere = b"HTTP/1.1 301 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    for (said, expected) in [
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "is no mailbox"),
        (answer(404, b"<html>nothing here</html>"), "is no mailbox (status 404)"),
        (answer(502, b"<html>"), "out of order (status 502)"),
        (elsewhere.to_vec(), "points to another address (status 301)"),
    ] {
        let server = Server::start(move |_| Act::Last(said.clone())).await;
        let told = sentence(post().ask(errand(&server, 1, 1)).await);
        assert!(told.contains(expected), "{told}");
    }
    assert!(unexpected(hyper::StatusCode::OK).contains("no mailbox"));
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let long = vec![0; 3 << 10];
    let in_parts = {
        let mut bytes = b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\nc00\r\n".to_vec();
        bytes.extend_from_slice(&long);
        bytes
    };
    for said in [answer(200, &long), answer(400, &long), in_parts] {
        let server = Server::start(move |_| Act::Say(said.clone())).await;
        let told = sentence(post().ask(errand(&server, 1, 1)).await);
        assert!(told.contains("more than a mailbox would"), "{told}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_counts_as_none() {
    let mut said = answer(200, b"stored");
    said.truncate(said.len() - 1);
    let server = Server::start(move |_| Act::Last(said.clone())).await;
    let told = sentence(post().ask(errand(&server, 1, 1)).await);
    assert!(told.contains("broke off"), "{told}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let server = Server::start(|_| Act::Wait).await;
    let reach = reach();
    let mut connection = reach.connector.open(&server.url, true).await.ok().unwrap();
    let question = super::connection::Question {
        method: hyper::Method::POST,
        path: Operation::Put.path(),
        kind: "application/cbor",
        body: hyper::body::Bytes::new(),
    };
    let asked = connection.ask(&server.url, question, Duration::from_millis(20)).await;
    let Err(Silence::Because(said)) = asked.map(|_| ()) else { panic!("it said something") };
    assert!(said.contains("did not answer in time"), "{said}");
}

#[tokio::test]
async fn nothing_answers_where_nobody_listens() {
    let server = Server::start(|_| Act::Wait).await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = MailboxUrl::parse(&format!("http://127.0.0.1:{free}")).unwrap();
    let told = sentence(post().ask(Errand { url, ..errand(&server, 1, 1) }).await);
    assert!(told.contains("nothing answers at this address"), "{told}");
    let url = MailboxUrl::parse("http://nobody.invalid").unwrap();
    let told = sentence(post().ask(Errand { url, ..errand(&server, 1, 1) }).await);
    assert!(told.contains("its name leads nowhere"), "{told}");
}

#[tokio::test]
async fn others_cannot_send_us_into_our_own_network() {
    let mut server = Server::start(|_| Act::Say(answer(200, b"x"))).await;
    let port = port(&server).to_owned();
    let mut cautious = post();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:7f00:1]", "0.0.0.0"] {
        let url = MailboxUrl::parse(&format!("http://{host}:{port}")).unwrap();
        let told =
            sentence(cautious.ask(Errand { url, own: false, ..errand(&server, 1, 1) }).await);
        assert!(told.contains("--private-mailboxes"), "{host}: {told}");
    }
    assert!(server.was_left_alone());
    let config = MailConfig { takes_private: true, ..MailConfig::default() };
    let mut at_home = Post::new(Reach::new(&config).unwrap());
    at_home.ask(Errand { own: false, ..errand(&server, 1, 1) }).await.unwrap();
    assert_eq!(server.asked().await.connection, 0);
}

#[tokio::test]
async fn what_was_reached_as_ours_is_not_used_for_others() {
    let mut server = Server::start(|_| Act::Say(answer(200, b"x"))).await;
    let mut post = post();
    post.ask(errand(&server, 1, 1)).await.unwrap();
    sentence(post.ask(Errand { own: false, ..errand(&server, 2, 1) }).await);
    server.asked().await;
    assert!(server.was_left_alone());
}

#[tokio::test]
async fn with_no_more_room_queues_take_turns_in_order() {
    let mut server = Server::start(|_| Act::Say(answer(200, b"x"))).await;
    let mut post = Post::new(Reach { writing: Slots::new(1), ..reach() });
    for id in 1..=4 {
        post.carrier.send(errand(&server, id, u8::try_from(id).unwrap()));
    }
    let mut answered = Vec::new();
    for _ in 0..4 {
        // At once, and not when a connection has been idle for long.
        let (id, reply) = timeout(IDLE_TIMEOUT / 2, post.answered()).await.unwrap();
        reply.unwrap();
        answered.push(id);
    }
    assert_eq!(answered, [1, 2, 3, 4]);
    // Each let its connection go for the next one.
    for connection in 0..3 {
        assert_eq!(server.ended().await, connection);
    }
}

#[tokio::test]
async fn letters_do_not_wait_for_queues_that_are_looked_into() {
    let mut server = Server::start(|number| match number {
        0 => Act::Wait,
        _ => Act::Say(answer(200, b"stored")),
    })
    .await;
    let mut post = Post::new(Reach { listening: Slots::new(1), ..reach() });
    let fetch = |server: &Server, id, queue| Errand {
        operation: Operation::Fetch,
        wait_ms: 60_000,
        ..errand(server, id, queue)
    };
    post.carrier.send(fetch(&server, 1, 1));
    server.asked().await;
    post.carrier.send(fetch(&server, 2, 2));
    post.carrier.send(errand(&server, 3, 3));
    assert_eq!(post.answered().await.0, 3);
}

#[tokio::test]
async fn what_overtakes_a_look_does_not_wait_for_its_end() {
    let mut server = Server::start(|number| match number {
        0 => Act::Wait,
        _ => Act::Say(answer(200, b"closed")),
    })
    .await;
    let mut post = post();
    let look = Errand { operation: Operation::Fetch, wait_ms: 60_000, ..errand(&server, 1, 1) };
    post.carrier.send(look);
    server.asked().await;
    let close = Errand { operation: Operation::Close, overtakes: true, ..errand(&server, 2, 1) };
    post.carrier.send(close);
    assert_eq!(post.answered().await.0, 2);
}

#[tokio::test]
async fn large_answers_wait_until_those_before_them_are_handled() {
    let mut server = Server::start(|_| Act::Say(answer(200, &[7; 5000]))).await;
    let (sender, mut answers) = mpsc::channel(FETCHES_READ_MAX * 2);
    let mut carrier = Carrier::start(Arc::new(reach()), sender);
    let all = u64::try_from(FETCHES_READ_MAX).unwrap() + 1;
    for id in 1..=all {
        let queue = u8::try_from(id).unwrap();
        carrier.send(Errand { operation: Operation::Fetch, ..errand(&server, id, queue) });
    }
    let mut handled = Vec::new();
    for _ in 0..FETCHES_READ_MAX {
        handled.push(answers.recv().await.unwrap());
        server.asked().await;
    }
    server.asked().await;
    assert!(answers.try_recv().is_err());
    handled.pop();
    assert_eq!(answers.recv().await.unwrap().bytes(), 5000);
}

#[tokio::test]
async fn more_than_there_is_room_for_comes_back() {
    let server = Server::start(|_| Act::Wait).await;
    let mut post = post();
    let large = |id| Errand { body: vec![0; 40 << 20], ..errand(&server, id, 1) };
    post.carrier.send(large(1));
    assert!(!post.carrier.has_returned());
    post.carrier.send(large(2));
    assert!(post.carrier.has_returned());
    let [answered] = post.carrier.returned().try_into().ok().unwrap();
    let Some(kith_core::engine::Input::Errand { id, reply }) = post.carrier.input(answered) else {
        panic!("it is lost")
    };
    assert_eq!(id, ErrandId(2));
    assert!(sentence(reply).contains("tried again"));
}

#[tokio::test]
async fn an_end_ends_requests_at_once() {
    let mut server = Server::start(|_| Act::Wait).await;
    let mut post = post();
    post.carrier.send(Errand { wait_ms: 60_000, ..errand(&server, 1, 1) });
    server.asked().await;
    drop(post.carrier);
    assert_eq!(server.ended().await, 0);
}

#[tokio::test]
async fn answers_for_an_engine_that_has_ended_are_not_told_to_the_next() {
    let mut server = Server::start(|_| Act::Say(answer(200, b"x"))).await;
    let mut post = post();
    post.carrier.send(errand(&server, 1, 1));
    server.asked().await;
    let answered = post.answers.recv().await.unwrap();
    post.carrier.begin_anew();
    assert!(post.carrier.input(answered).is_none());
    post.carrier.send(errand(&server, 1, 1));
    let answered = post.answers.recv().await.unwrap();
    assert!(post.carrier.input(answered).is_some());
}

#[tokio::test]
async fn a_server_says_what_it_is_before_it_is_chosen() {
    let info = br#"{"service":"kith-mailbox","access":true,"later":[1]}"#;
    let mut server = Server::start(|_| Act::Say(answer(200, info))).await;
    assert!(reach().ask_about(&server.url).await.unwrap().access);
    assert!(server.asked().await.head.starts_with("GET /v1/info HTTP/1.1\r\n"));
    for other in [answer(200, b"{\"service\":\"other\"}"), answer(200, b"<"), answer(404, b"")] {
        let server = Server::start(move |_| Act::Say(other.clone())).await;
        assert_eq!(reach().ask_about(&server.url).await, Err(InfoError::NoMailbox));
    }
    let server = Server::start(|_| Act::Say(answer(503, b""))).await;
    let Err(InfoError::Unreachable(said)) = reach().ask_about(&server.url).await else {
        panic!("it is out of order")
    };
    assert!(said.contains("out of order"), "{said}");
}

#[tokio::test]
async fn tls_sessions_are_not_resumed_and_own_roots_count() {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), certificate.pem()).unwrap();
    let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .unwrap();
    config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let server = Server::start_with(|_| Act::Say(answer(200, b"x")), Some(tls)).await;
    let told = sentence(post().ask(errand(&server, 1, 1)).await);
    assert!(told.contains("--mailbox-ca"), "{told}");
    let config = MailConfig { more_roots: Some(file.path().to_owned()), takes_private: false };
    let mut post = Post::new(Reach::new(&config).unwrap());
    for queue in 1..=3 {
        post.ask(errand(&server, queue.into(), queue)).await.unwrap();
    }
    let seen = server.handshakes.lock().unwrap().clone();
    assert_eq!(seen.len(), 3);
    assert!(!seen.contains(&Some(HandshakeKind::Resumed)), "{seen:?}");
    std::fs::write(file.path(), "nothing").unwrap();
    let error = Reach::new(&config).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("--mailbox-ca"), "{error}");
}
