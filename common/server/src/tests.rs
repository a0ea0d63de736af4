//! Does a service answer, turn away what is too much, and stop?

use std::{
    ffi::OsString,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{Router, routing::get};
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, HandshakeKind, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use crate::{
    Health, Parts, Server, Service, Stop,
    config::{Config, NoSettings, Start, load},
    metrics::Page,
};

#[derive(Default)]
struct Store {
    away: AtomicBool,
    finished: AtomicBool,
}

impl Health for Store {
    fn ready(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            if self.away.load(Ordering::SeqCst) { Err(anyhow::anyhow!("away")) } else { Ok(()) }
        })
    }

    fn measure(&self, page: &mut Page) {
        page.single("kith_test", "gauge", "A test.", 7);
    }

    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.finished.store(true, Ordering::SeqCst) })
    }
}

fn config(flags: &[&str]) -> Config {
    let service = Service {
        name: "test",
        about: "",
        listen: "127.0.0.1:0",
        health: "127.0.0.1:0",
        secrets: &[],
    };
    let arguments = ["test"].iter().chain(flags).map(OsString::from);
    let Start::Run(config, NoSettings {}) = load(&service, arguments).unwrap() else {
        panic!("it runs")
    };
    *config
}

async fn server(flags: &[&str]) -> (Server, Arc<Store>) {
    let (health, stop) = (Arc::new(Store::default()), Stop::default());
    let waiting = stop.clone();
    let wait = move || async move {
        waiting.stopped().await;
        "stopping"
    };
    let router = Router::new().route("/wait", get(wait)).route("/hello", get(|| async { "hello" }));
    let parts = Parts { router, health: Arc::<Store>::clone(&health), stop };
    (Server::bind(&config(flags), parts).await.unwrap(), health)
}

async fn asked(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A connection that is turned away may be reset before everything is read.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn health_follows_the_store_and_metrics_are_told() {
    let (server, store) = server(&[]).await;
    let health = server.health_address();
    assert!(asked(health, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(asked(health, "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(asked(health, "/metrics").await.contains("kith_test 7"));
    store.away.store(true, Ordering::SeqCst);
    let answer = asked(health, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("away"), "{answer}");
    assert!(asked(server.address(), "/healthz").await.starts_with("HTTP/1.1 404"), "apart");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_running_request_is_answered_when_the_service_stops() {
    let (server, store) = server(&[]).await;
    let address = server.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(asked(address, "/hello").await.ends_with("hello"), "the first is waiting by now");
    server.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("stopping"), "{answer}");
    assert!(store.finished.load(Ordering::SeqCst));
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn refusals_have_codes_and_too_many_requests_are_slowed_down() {
    let (server, _store) = server(&["--requests-per-second", "1", "--requests-burst", "2"]).await;
    let answer = asked(server.address(), "/nowhere").await;
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("\"code\":\"malformed\""));
    assert!(asked(server.address(), "/hello").await.ends_with("hello"));
    let answer = asked(server.address(), "/hello").await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after: 1"), "{answer}");
    assert!(answer.contains("\"code\":\"slow-down\"") && answer.contains("\"value\":"), "{answer}");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn connections_have_places() {
    let (server, _store) = server(&["--connections-per-address", "2"]).await;
    let address = server.address();
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 512]).await.unwrap() > 0);
        held.push(stream);
    }
    assert_eq!(asked(address, "/hello").await, "", "turned away");
    let mut gone = held.pop().unwrap();
    gone.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    gone.read_to_string(&mut rest).await.unwrap();
    while asked(address, "/hello").await.is_empty() {
        tokio::task::yield_now().await;
    }
    server.shutdown().await.unwrap();
}

/// Made once for these tests alone, good until the year 2126 for the name localhost.
const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/certificate.pem");
const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/key.pem");

#[tokio::test]
async fn tls_is_spoken_and_nothing_can_be_resumed() {
    let (server, _store) = server(&["--tls-cert", CERTIFICATE, "--tls-key", KEY]).await;
    assert!(server.url().starts_with("https://"));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(CERTIFICATE).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // The client keeps what could be resumed; the second connection shows that there was nothing.
    let connector = TlsConnector::from(Arc::new(client));
    for _ in 0..2 {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        let request = b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("hello"), "{answer}");
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    }
    let plain = asked(server.address(), "/hello").await;
    assert!(!plain.contains("hello"), "{plain}");
    server.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_cut_off() {
    let (server, _store) = server(&[]).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost:").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"));
    server.shutdown().await.unwrap();
}
