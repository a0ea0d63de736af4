//! Who holds a connection to the API, and for how long? So many at a time, and none that says
//! nothing.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::ApiState;

/// Connections at one time; a page, a few bots and command lines need a dozen. Well below the 1,024
/// open files of common systems, which the network and the store need too.
const CONNECTIONS_MAX: usize = 128;
/// Bytes of a request's head, and of what is read ahead of its body.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Time for a request's head to come, and of silence between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after the system has refused a connection: it is short of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Time for running requests to end when the node stops.
const ENDING_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves until `stopping` becomes true.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    state: Arc<ApiState>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok(_) if connections.len() >= CONNECTIONS_MAX => {
                state.count_refusal("api_connections_full");
            }
            Ok((stream, _)) => {
                let state = Arc::clone(&state);
                connections.spawn(connection(stream, router.clone(), state, stopping.clone()));
            }
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), "a connection to the API was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(ENDING_TIMEOUT, ended).await.is_err() {
        tracing::warn!("requests were still running when the API stopped");
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    state: Arc<ApiState>,
    mut stopping: watch::Receiver<bool>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let stopped = async { stopping.wait_for(|stop| *stop).await.is_ok() };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // Other errors are no fault: the other end went away, or said nothing more for long enough.
    if ended.is_err_and(|error| error.is_parse()) {
        state.count_refusal("api_malformed");
    }
}
