//! Which paths are there, and what goes in and out of them?

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State as Shared,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use kith_common::service::{Code, Failure};
use kith_server::http::{Form, refusal};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{state::State, turn::Credentials};

#[derive(OpenApi)]
#[openapi(info(
    title = "Kith bootstrap",
    description = "What a bootstrap tells over HTTP; docs/spec/23-bootstrap.md says what else it does."
))]
struct Api;

/// What the bootstrap answers.
pub(crate) fn router(state: Arc<State>) -> Router {
    let (router, api) = OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(turn))
        .routes(routes!(info))
        .with_state(state)
        .split_for_parts();
    let api = Json(serde_json::to_value(api).unwrap_or_default());
    router.route("/openapi.json", get(move || async move { api.clone() }))
}

/// Credentials for the TURN server.
#[utoipa::path(post, path = "/v1/turn", responses(
    (status = 200, body = Credentials),
    (status = 503, description = "There is no TURN server"),
))]
async fn turn(state: Shared<Arc<State>>, headers: HeaderMap) -> Response {
    let mut random = [0; 8];
    let (Some(turn), Ok(())) = (&state.turn, getrandom::fill(&mut random)) else {
        return refusal(Form::of(&headers), &Failure::from(Code::Unavailable));
    };
    let now_seconds = kith_server::now().millis() / 1000;
    let credentials = Json(turn.credentials(now_seconds, random));
    ([(header::CACHE_CONTROL, "no-store")], credentials).into_response()
}

/// What this bootstrap is.
#[derive(Debug, Serialize, ToSchema)]
struct Info {
    /// Always `kith-bootstrap`.
    service: &'static str,
    /// Version of the program.
    version: &'static str,
    /// Where it is reached, with its peer id.
    addresses: Vec<String>,
    /// Other bootstraps that it knows.
    peers: Vec<String>,
    /// Whether it hands out credentials for a TURN server.
    turn: bool,
}

/// What this bootstrap is, and where others are.
#[utoipa::path(get, path = "/v1/info", responses((status = 200, body = Info)))]
async fn info(state: Shared<Arc<State>>) -> Json<Info> {
    Json(Info {
        service: "kith-bootstrap",
        version: env!("CARGO_PKG_VERSION"),
        addresses: state.addresses(),
        peers: state.peers.clone(),
        turn: state.turn.is_some(),
    })
}
