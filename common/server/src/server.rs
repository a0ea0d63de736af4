//! How does a service listen, answer and stop?

use std::{
    convert::Infallible,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use anyhow::Context;
use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use futures::future::BoxFuture;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use kith_common::service::Code;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use crate::{
    config::Config,
    connection::{Doors, Paced, Place},
    http::{self, Form},
    limits::{
        ACCEPT_PAUSE, ENDING_TIME_MAX, HANDSHAKE_TIME_MAX, HEAD_BYTES_MAX, HEAD_TIME_MAX,
        HEADERS_MAX,
    },
    metrics::{Counter, Page},
    throttle::Throttle,
    tls,
};

/// How a service is and what it counts.
pub trait Health: Send + Sync + 'static {
    /// Whether it can do its work now: asks its store.
    fn ready(&self) -> BoxFuture<'_, anyhow::Result<()>>;

    /// Writes its metrics.
    fn measure(&self, page: &mut Page);

    /// Ends what is still to be ended when nobody asks any more.
    fn finish(&self) -> BoxFuture<'_, ()>;
}

/// The health of a service that does nothing yet.
#[derive(Debug)]
pub struct Idle;

impl Health for Idle {
    fn ready(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn measure(&self, _page: &mut Page) {}

    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Says when a service stops, and knows what still runs.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Stop {
    /// Resolves when the service stops.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }

    /// Stops the service from inside, because it cannot go on.
    pub fn give_up(&self) {
        self.token.cancel();
    }

    /// Runs a task that the service waits for when it stops.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// While this is held the service waits with stopping.
    pub fn hold(&self) -> tokio_util::task::task_tracker::TaskTrackerToken {
        self.tasks.token()
    }
}

/// What a service is made of.
pub struct Parts {
    /// What it answers.
    pub router: Router,
    /// How it is.
    pub health: Arc<dyn Health>,
    /// What it was told about stopping; cancelled by [`Server::shutdown`].
    pub stop: Stop,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// A service that runs.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    health_address: SocketAddr,
    tls: bool,
    lines: Vec<String>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

struct Shared {
    router: Router,
    throttle: Throttle,
    doors: Arc<Doors>,
    turned_away: Counter,
    slowed_down: Counter,
    stop: Stop,
    health: Arc<dyn Health>,
    tls: Option<TlsAcceptor>,
}

impl Server {
    /// Listens and begins to answer.
    ///
    /// # Errors
    /// If an address is taken or the certificate cannot be used.
    pub async fn bind(config: &Config, parts: Parts) -> anyhow::Result<Self> {
        let tls = match (&config.tls_cert, &config.tls_key) {
            (Some(certificate), Some(key)) => Some(tls::acceptor(certificate, key)?),
            (None, None) => None,
            _ => anyhow::bail!("a certificate needs its key: set both tls-cert and tls-key"),
        };
        let listener = listen(&config.listen).await?;
        let health = listen(&config.health).await?;
        let (address, health_address) = (listener.local_addr()?, health.local_addr()?);
        let router =
            parts.router.fallback(no_such_path).method_not_allowed_fallback(no_such_method);
        let shared = Arc::new(Shared {
            router,
            throttle: Throttle::new(config),
            doors: Doors::new(config.connections_max, config.connections_per_address),
            turned_away: Counter::default(),
            slowed_down: Counter::default(),
            stop: parts.stop.clone(),
            health: parts.health,
            tls,
        });
        let tls = shared.tls.is_some();
        let task = tokio::spawn(serve(listener, health, shared));
        let (stop, lines) = (parts.stop.token, Vec::new());
        Ok(Self { address, health_address, tls, lines, stop, task })
    }

    /// Where the service is offered.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where health is told.
    pub const fn health_address(&self) -> SocketAddr {
        self.health_address
    }

    /// The address for a client on this machine.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }

    /// Has further lines printed at the start, behind where it listens.
    #[must_use]
    pub fn announcing(self, lines: Vec<String>) -> Self {
        Self { lines, ..self }
    }

    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Waits until the service has ended by itself.
    ///
    /// # Errors
    /// If it failed.
    pub async fn join(&mut self) -> anyhow::Result<()> {
        (&mut self.task).await.context("The service failed")
    }

    /// Lets running requests end, within a few seconds, and stops.
    ///
    /// # Errors
    /// If it failed before.
    pub async fn shutdown(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.join().await
    }
}

async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("Listening on {address}: choose another one, or port 0 for any free one")
    })
}

async fn serve(listener: TcpListener, health: TcpListener, shared: Arc<Shared>) {
    let watched = axum::serve(health, health_router(Arc::clone(&shared)))
        .with_graceful_shutdown({
            let shared = Arc::clone(&shared);
            async move { shared.stop.stopped().await }
        })
        .into_future();
    let watched = tokio::spawn(watched);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stop.stopped() => break,
        };
        match accepted {
            Ok((stream, peer)) => accept(&shared, stream, peer.ip()),
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    shared.stop.tasks.close();
    if timeout(ENDING_TIME_MAX, shared.stop.tasks.wait()).await.is_err() {
        tracing::warn!("requests were still running when the service stopped");
    }
    shared.health.finish().await;
    watched.abort();
}

fn accept(shared: &Arc<Shared>, stream: TcpStream, peer: IpAddr) {
    let Some(place) = shared.doors.enter(peer, shared.throttle.trusts(peer)) else {
        shared.turned_away.count();
        return;
    };
    let _ = stream.set_nodelay(true);
    let state = Arc::clone(shared);
    match &shared.tls {
        None => shared.stop.spawn(connection(stream, peer, place, state)),
        Some(acceptor) => {
            let acceptor = acceptor.clone();
            shared.stop.spawn(async move {
                if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)).await {
                    connection(stream, peer, place, state).await;
                }
            });
        }
    }
}

async fn connection<S>(stream: S, peer: IpAddr, place: Place, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stop = shared.stop.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let checked = shared.throttle.check(peer, request.headers());
        let answering = match checked {
            Ok(()) => Ok(shared.router.clone().oneshot(request.map(Body::new))),
            Err(failure) => {
                shared.slowed_down.count();
                Err(http::refusal(Form::of(request.headers()), &failure))
            }
        };
        async {
            match answering {
                Ok(answering) => answering.await,
                Err(refusal) => Ok::<_, Infallible>(refusal),
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(Paced::new(stream)), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    drop(place);
    if ended.is_err() {
        tracing::debug!("a connection was cut off");
    }
}

async fn no_such_path(request: Request) -> Response {
    let status = axum::http::StatusCode::NOT_FOUND;
    http::refusal_with(status, Form::of(request.headers()), &Code::Malformed.into())
}

async fn no_such_method(request: Request) -> Response {
    let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    http::refusal_with(status, Form::of(request.headers()), &Code::Malformed.into())
}

fn health_router(shared: Arc<Shared>) -> Router {
    let ready = Arc::clone(&shared);
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route(
            "/readyz",
            get(move || async move {
                match ready.health.ready().await {
                    Ok(()) => (axum::http::StatusCode::OK, "ready".to_owned()),
                    Err(error) => (
                        axum::http::StatusCode::SERVICE_UNAVAILABLE,
                        format!("not ready: {error:#}"),
                    ),
                }
            }),
        )
        .route("/metrics", get(move || async move { measured(&shared) }))
}

fn measured(shared: &Shared) -> ([(&'static str, &'static str); 1], String) {
    let mut page = Page::default();
    let open = shared.doors.count() as u64;
    page.single("kith_connections", "gauge", "Open connections.", open);
    let away = "kith_connections_turned_away_total";
    page.single(
        away,
        "counter",
        "Connections for which there was no place.",
        shared.turned_away.total(),
    );
    let slowed = "kith_requests_slowed_down_total";
    page.single(
        slowed,
        "counter",
        "Requests of addresses that asked too often.",
        shared.slowed_down.total(),
    );
    shared.health.measure(&mut page);
    ([("content-type", "text/plain; version=0.0.4")], page.finish())
}
