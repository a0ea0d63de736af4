//! What does a server do to those who ask it? As each test wants.

use std::sync::{Arc, Mutex};

use kith_common::mail::MailboxUrl;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, rustls::HandshakeKind};

/// More than any test asks.
const NOTES_MAX: usize = 256;

/// What is done about a request.
pub(super) enum Act {
    /// Say this, and wait for the next one.
    Say(Vec<u8>),
    /// Say this and go.
    Last(Vec<u8>),
    /// Say nothing, for ever.
    Wait,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The number of its connection, from 0.
    pub(super) connection: usize,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

pub(super) struct Server {
    pub(super) url: MailboxUrl,
    asked: mpsc::Receiver<Asked>,
    ended: mpsc::Receiver<usize>,
    pub(super) handshakes: Arc<Mutex<Vec<Option<HandshakeKind>>>>,
}

impl Server {
    /// Answers the request with this number, counted over all connections.
    pub(super) async fn start(act: impl Fn(usize) -> Act + Send + Sync + 'static) -> Self {
        Self::start_with(act, None).await
    }

    pub(super) async fn start_with(
        act: impl Fn(usize) -> Act + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https://localhost" } else { "http://127.0.0.1" };
        let url = MailboxUrl::parse(&format!("{scheme}:{port}")).unwrap();
        let (asking, asked) = mpsc::channel(NOTES_MAX);
        let (ending, ended) = mpsc::channel(NOTES_MAX);
        let handshakes = Arc::new(Mutex::new(Vec::new()));
        let (act, seen) = (Arc::new(act), Arc::clone(&handshakes));
        let count = Arc::new(Mutex::new(0));
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (asking, ending, tls) = (asking.clone(), ending.clone(), tls.clone());
                let (act, count, seen) = (Arc::clone(&act), Arc::clone(&count), Arc::clone(&seen));
                tokio::spawn(async move {
                    let next = || {
                        let mut count = count.lock().unwrap();
                        *count += 1;
                        act(*count - 1)
                    };
                    match tls {
                        None => serve(stream, connection, &asking, next).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            seen.lock().unwrap().push(stream.get_ref().1.handshake_kind());
                            serve(stream, connection, &asking, next).await;
                        }
                    }
                    let _ = ending.try_send(connection);
                });
            }
        });
        Self { url, asked, ended, handshakes }
    }

    pub(super) async fn asked(&mut self) -> Asked {
        self.asked.recv().await.unwrap()
    }

    /// Whether nobody has asked anything more.
    pub(super) fn was_left_alone(&mut self) -> bool {
        self.asked.try_recv().is_err()
    }

    /// Waits until a connection has ended.
    pub(super) async fn ended(&mut self) -> usize {
        self.ended.recv().await.unwrap()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    connection: usize,
    asking: &mpsc::Sender<Asked>,
    next: impl Fn() -> Act,
) {
    while let Some((head, body)) = request(&mut stream).await {
        let _ = asking.try_send(Asked { connection, head, body });
        match next() {
            Act::Say(bytes) => stream.write_all(&bytes).await.unwrap_or_default(),
            Act::Last(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::Wait => {
                let mut rest = [0; 16];
                while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
                return;
            }
        }
    }
}

async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

/// An answer as a server writes it.
pub(super) fn answer(status: u16, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
