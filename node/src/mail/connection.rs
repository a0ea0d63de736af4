//! How is one server asked? A connection to an address that was checked, and requests on it.

use std::{io, net::SocketAddr, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{ACCEPT, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use kith_common::mail::MailboxUrl;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{self, pki_types::ServerName},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    limits::{
        ADDRESS_TIMEOUT, ADDRESSES_MAX, CONNECT_TIMEOUT, HEAD_BYTES_MAX, HEADERS_MAX, LOOKUPS_MAX,
    },
    place::{Target, is_public},
};

/// What connections are made with.
pub(super) struct Connector {
    tls: TlsConnector,
    /// Whether servers that others have named may be in networks of our own.
    takes_private: bool,
    lookups: Semaphore,
}

/// A connection, for one queue.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    _carrier: AbortOnDropHandle<()>,
}

/// What is asked.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// Content type of question and answer.
    pub(super) kind: &'static str,
    pub(super) body: Bytes,
}

/// Why there was no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// The connection had ended, or did before anything was answered.
    Dropped,
    /// For the person.
    Because(String),
}

impl Silence {
    fn because(text: impl Into<String>) -> Self {
        Self::Because(text.into())
    }

    /// What a person is told.
    pub(super) fn sentence(self) -> String {
        match self {
            Self::Dropped => "it ended the connection without an answer: it is tried again by \
                              itself; if that stays so, ask who runs it"
                .to_owned(),
            Self::Because(text) => text,
        }
    }
}

impl Connector {
    pub(super) const fn new(tls: TlsConnector, takes_private: bool) -> Self {
        Self { tls, takes_private, lookups: Semaphore::const_new(LOOKUPS_MAX) }
    }

    /// Connects to a server. One that the person has not chosen must be in the internet.
    pub(super) async fn open(&self, url: &MailboxUrl, own: bool) -> Result<Connection, Silence> {
        match timeout(CONNECT_TIMEOUT, self.connect(&Target::of(url), own)).await {
            Ok(connected) => connected,
            Err(_) => Err(Silence::because(UNREACHED)),
        }
    }

    async fn connect(&self, target: &Target, own: bool) -> Result<Connection, Silence> {
        let mut addresses = self.look_up(target).await?;
        if !own && !self.takes_private {
            addresses.retain(|address| is_public(address.ip()));
            if addresses.is_empty() {
                return Err(Silence::because(PRIVATE));
            }
        }
        addresses.truncate(ADDRESSES_MAX);
        let stream = reach(&addresses).await?;
        let _ = stream.set_nodelay(true);
        if !target.is_tls {
            return shake_hands(stream).await;
        }
        let name = match target.address() {
            Some(address) => ServerName::from(address),
            None => ServerName::try_from(target.host.clone())
                .map_err(|_| Silence::because(UNKNOWN_NAME))?,
        };
        let stream = self.tls.connect(name, stream).await.map_err(|error| untrusted(&error))?;
        shake_hands(stream).await
    }

    async fn look_up(&self, target: &Target) -> Result<Vec<SocketAddr>, Silence> {
        if let Some(address) = target.address() {
            return Ok(vec![SocketAddr::new(address, target.port)]);
        }
        let Ok(_permit) = self.lookups.acquire().await else { return Ok(Vec::new()) };
        let found = lookup_host((target.host.as_str(), target.port)).await;
        let found: Vec<SocketAddr> = found.map_err(|_| Silence::because(UNKNOWN_NAME))?.collect();
        if found.is_empty() { Err(Silence::because(UNKNOWN_NAME)) } else { Ok(found) }
    }
}

const UNKNOWN_NAME: &str = "its name leads nowhere: check how it is written, and whether you are connected to the internet";
const UNREACHED: &str =
    "it cannot be reached: check the address, and whether you are connected to the internet";
const NOBODY: &str = "nothing answers at this address: check host and port, or ask who runs it";
const NO_HTTP: &str = "what answers there is no mailbox: check the address";
const PRIVATE: &str = "somebody else named an address in your own network, and nothing is sent \
    there: if that is meant, choose it as your mailbox too or start the node with \
    --private-mailboxes";
const NO_TLS: &str = "no secure connection could be made: check the address, or ask who runs it";

/// The first of these addresses that answers; no other one is asked for than was checked.
async fn reach(addresses: &[SocketAddr]) -> Result<TcpStream, Silence> {
    let mut refused = false;
    for (tried, address) in addresses.iter().enumerate() {
        let is_last = tried + 1 == addresses.len();
        let patience = if is_last { CONNECT_TIMEOUT } else { ADDRESS_TIMEOUT };
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => refused |= error.kind() == io::ErrorKind::ConnectionRefused,
            Err(_) => {}
        }
    }
    Err(Silence::because(if refused { NOBODY } else { UNREACHED }))
}

fn untrusted(error: &io::Error) -> Silence {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => Silence::because(format!(
            "its certificate does not hold ({why}): ask who runs it; the root certificate of a \
             server of your own is given with --mailbox-ca"
        )),
        _ => Silence::because(NO_TLS),
    }
}

async fn shake_hands<S>(stream: S) -> Result<Connection, Silence>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let shaken = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|_| Silence::Dropped)?;
    let carrier = tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(Connection { sender, _carrier: AbortOnDropHandle::new(carrier) })
}

/// An answer whose body has not been read yet.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Incoming,
}

impl Connection {
    /// Asks, and waits until an answer begins.
    pub(super) async fn ask(
        &mut self,
        url: &MailboxUrl,
        question: Question,
        patience: Duration,
    ) -> Result<Answer, Silence> {
        let Question { method, path, kind, body } = question;
        let mut request = Request::builder().method(&method).uri(path).header(HOST, url.audience());
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, kind);
        }
        let request = request.header(ACCEPT, kind).body(Full::new(body));
        let request = request.map_err(|_| Silence::because(NO_HTTP))?;
        self.sender.ready().await.map_err(|_| Silence::Dropped)?;
        match timeout(patience, self.sender.send_request(request)).await {
            Ok(Ok(response)) => {
                Ok(Answer { status: response.status(), body: response.into_body() })
            }
            Ok(Err(error)) if error.is_parse() => Err(Silence::because(NO_HTTP)),
            Ok(Err(_)) => Err(Silence::Dropped),
            Err(_) => Err(Silence::because(SLOW)),
        }
    }
}

const SLOW: &str = "it did not answer in time: it is tried again by itself";

impl Answer {
    /// The body, if it is not larger than allowed.
    pub(super) async fn read(
        self,
        bytes_max: usize,
        patience: Duration,
    ) -> Result<Vec<u8>, Silence> {
        match timeout(patience, Limited::new(self.body, bytes_max).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes().into()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                Err(Silence::because("it answered more than a mailbox would: check the address"))
            }
            Ok(Err(_)) => {
                Err(Silence::because("the connection to it broke off: it is tried again by itself"))
            }
            Err(_) => Err(Silence::because(SLOW)),
        }
    }
}
