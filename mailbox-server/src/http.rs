//! Which paths are there, and what goes in and out of them?

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{State as Shared, ws::WebSocketUpgrade},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use kith_common::{
    limits::{FETCH_ITEMS_MAX, FETCH_WAIT_MS_MAX, REQUEST_AGE_MS_MAX},
    service::{
        Code, Failure,
        mailbox::{Operation, SizeClass},
    },
};
use kith_server::http::{Form, cbor, read_body, refusal};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{limits::LIVE_BYTES_MAX, live, state::State};

#[derive(OpenApi)]
#[openapi(info(
    title = "Kith mailbox-server",
    description = "Keeps sealed blobs for a short time. Bodies are CBOR; docs/spec/20-mailbox.md has their format."
))]
struct Api;

/// What the server answers.
pub(crate) fn router(state: Arc<State>) -> Router {
    let (router, api) = OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(open))
        .routes(routes!(put))
        .routes(routes!(fetch))
        .routes(routes!(status))
        .routes(routes!(close))
        .routes(routes!(live_socket))
        .routes(routes!(info))
        .with_state(state)
        .split_for_parts();
    let api = Json(serde_json::to_value(api).unwrap_or_default());
    router.route("/openapi.json", get(move || async move { api.clone() }))
}

macro_rules! operation {
    ($name:ident, $operation:ident, $path:literal, $about:literal, $reply:literal) => {
        #[utoipa::path(
            post, path = $path, description = $about,
            request_body(content = Vec<u8>, content_type = "application/cbor"),
            responses(
                (status = 200, description = $reply, body = Vec<u8>, content_type = "application/cbor"),
                (status = "4XX", description = "A `failure` that says what to do", body = Vec<u8>, content_type = "application/cbor"),
                (status = "5XX", description = "A `failure`: try again later", body = Vec<u8>, content_type = "application/cbor"),
            )
        )]
        async fn $name(state: Shared<Arc<State>>, headers: HeaderMap, body: Body) -> Response {
            answer(&state, Operation::$operation, headers, body).await
        }
    };
}

operation!(
    open,
    Open,
    "/v1/mailbox/open",
    "Makes a queue or changes it; `mailbox-open`",
    "`opened`"
);
operation!(put, Put, "/v1/mailbox/put", "Leaves a blob; `mailbox-put-body`", "`stored`");
operation!(fetch, Fetch, "/v1/mailbox/fetch", "Deletes and takes; `mailbox-fetch`", "`fetched`");
operation!(status, Status, "/v1/mailbox/status", "Looks; `mailbox-status`", "`standing`");
operation!(close, Close, "/v1/mailbox/close", "Deletes a queue; `mailbox-close`", "`done`");

async fn answer(state: &State, operation: Operation, headers: HeaderMap, body: Body) -> Response {
    let (form, host) = (Form::of(&headers), host(&headers).to_owned());
    // Headers hold the buffer into which they were read: who waits must not keep it.
    drop(headers);
    let answered = match read_body(body, operation.body_bytes_max(), &state.coming).await {
        Ok(body) => state.answer(operation, body, &host, None).await,
        Err(failure) => {
            let refused = Err(failure);
            state.metrics.count(operation, &refused);
            refused
        }
    };
    match answered {
        Ok(bytes) => cbor(bytes),
        Err(failure) => refusal(form, &failure),
    }
}

fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// The same requests on a WebSocket; `live-request` and `live-reply`.
#[utoipa::path(get, path = "/v1/mailbox/live", responses((status = 101, description = "A WebSocket")))]
async fn live_socket(
    state: Shared<Arc<State>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let host = host(&headers).to_owned();
    match upgrade {
        Ok(upgrade) => live::upgrade(upgrade, Arc::clone(&state), host),
        Err(_) => refusal(Form::of(&headers), &Failure::from(Code::Malformed)),
    }
}

/// What this server is.
#[derive(Debug, Serialize, ToSchema)]
struct Info {
    /// Always `kith-mailbox`.
    service: &'static str,
    /// Version of the program.
    version: &'static str,
    /// Whether opening a queue needs an access word.
    access: bool,
    /// Sizes that a blob can have, in bytes.
    blob_bytes: Vec<usize>,
    /// Blobs that a queue may hold.
    queue_blobs_max: u16,
    /// Bytes that a queue may hold.
    queue_bytes_max: u64,
    /// Items in one answer to a fetch.
    fetch_items_max: usize,
    /// Longest wait of a fetch in milliseconds.
    fetch_wait_ms_max: u64,
    /// Largest message on a WebSocket in bytes.
    live_bytes_max: usize,
    /// How far a request's time may be off, in milliseconds.
    request_age_ms_max: u64,
}

/// What this server is and allows.
#[utoipa::path(get, path = "/v1/info", responses((status = 200, body = Info)))]
async fn info(state: Shared<Arc<State>>) -> Response {
    let info = Info {
        service: "kith-mailbox",
        version: env!("CARGO_PKG_VERSION"),
        access: state.access.is_some(),
        blob_bytes: SizeClass::ALL.map(SizeClass::bytes).to_vec(),
        queue_blobs_max: state.bounds.queue_blobs_max,
        queue_bytes_max: state.bounds.queue_bytes_max,
        fetch_items_max: FETCH_ITEMS_MAX,
        fetch_wait_ms_max: FETCH_WAIT_MS_MAX,
        live_bytes_max: LIVE_BYTES_MAX,
        request_age_ms_max: REQUEST_AGE_MS_MAX,
    };
    Json(info).into_response()
}
