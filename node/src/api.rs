//! What may local programs ask? The HTTP API on loopback, for the page, the command line and bots.
//!
//! Every path is guarded by [`auth`]: exact host, own origin, and a session or key (but for the
//! node's own proof, which comes before the key). The OpenAPI
//! document at `/api/openapi.json` is made from the handlers themselves.

mod account;
mod auth;
mod connections;
mod contacts;
mod error;
mod events;
mod finding;
mod keys;
mod mailboxes;
mod merging;
mod messages;
mod node;
mod page;
pub mod types;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{Router, extract::DefaultBodyLimit, middleware, response::IntoResponse, routing::get};
use tokio::{net::TcpListener, sync::watch};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use self::error::{UNSURE_CODE, USAGE_CODE};
pub(crate) use self::{
    account::{
        Choice, kept as kept_devices, left_out as left_out_accounts, named as absorbed_accounts,
    },
    auth::{launch_address, secret},
    contacts::qr_code,
};
pub use self::{auth::Sessions, error::ApiError};
use crate::driver::NodeHandle;

/// Largest request body in bytes: a text of 60,000 bytes, every character escaped in JSON.
const BODY_BYTES_MAX: usize = 512 * 1024;

/// What every handler may use.
#[derive(Debug)]
pub struct ApiState {
    pub(crate) node: NodeHandle,
    pub(crate) sessions: Mutex<Sessions>,
    pub(crate) home: PathBuf,
    pub(crate) port: u16,
    pub(crate) started: Instant,
    pub(crate) stop: watch::Sender<bool>,
    /// Whose turn it is to try a passphrase.
    unlocking: Arc<tokio::sync::Mutex<()>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl ApiState {
    pub(crate) fn count_refusal(&self, name: &'static str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(name).or_default() += 1;
    }

    pub(crate) fn refusals(&self) -> BTreeMap<&'static str, u64> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Kith local API",
    description = "Speaks for one node, on loopback only. Programs send the key from `api.json` in the home folder as a bearer token, once `/api/proof` has shown that this is the node of that folder; the page uses a session cookie and the `X-CSRF` header."
))]
struct Document;

/// A listening API, not yet serving.
#[derive(Debug)]
pub struct Api {
    listener: TcpListener,
    state: Arc<ApiState>,
    stopped: watch::Receiver<bool>,
}

impl Api {
    /// Listens on a loopback address.
    ///
    /// # Errors
    /// If the address is not loopback or is taken.
    pub async fn bind(
        address: SocketAddr,
        node: NodeHandle,
        home: PathBuf,
        sessions: Sessions,
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(
            address.ip().is_loopback(),
            "the API speaks on loopback only: use 127.0.0.1 or [::1] instead of {}",
            address.ip()
        );
        let listener = TcpListener::bind(address).await?;
        let (stop, stopped) = watch::channel(false);
        let state = ApiState {
            node,
            sessions: Mutex::new(sessions),
            home,
            port: listener.local_addr()?.port(),
            started: Instant::now(),
            stop,
            unlocking: Arc::default(),
            refused: Mutex::default(),
        };
        Ok(Self { listener, state: Arc::new(state), stopped })
    }

    /// Where the API listens.
    ///
    /// # Errors
    /// If the socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The state behind the handlers.
    pub fn state(&self) -> Arc<ApiState> {
        Arc::clone(&self.state)
    }

    /// Serves until [`ApiState`] is told to stop or `shutdown` comes.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let router = router(Arc::clone(&self.state));
        let state = Arc::clone(&self.state);
        let mut served = pin!(connections::serve(self.listener, router, state, self.stopped));
        tokio::select! {
            () = &mut served => return,
            () = shutdown => {}
        }
        // Ends the event streams too, which would otherwise keep the server waiting.
        let _ = self.state.stop.send(true);
        served.await;
    }
}

/// All routes behind the guard.
pub fn router(state: Arc<ApiState>) -> Router {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(auth::open_session, auth::session))
        .routes(routes!(auth::launch))
        .routes(routes!(auth::prove))
        .routes(routes!(node::status))
        .routes(routes!(node::stop))
        .routes(routes!(node::settings, node::change_settings))
        .routes(routes!(node::show_recovery))
        .routes(routes!(node::confirm_recovery))
        .routes(routes!(contacts::invite))
        .routes(routes!(contacts::invite_qr))
        .routes(routes!(contacts::list, contacts::add))
        .routes(routes!(contacts::show, contacts::rename))
        .routes(routes!(contacts::accept))
        .routes(routes!(contacts::block))
        .routes(routes!(contacts::unblock))
        .routes(routes!(contacts::remove))
        .routes(routes!(messages::history, messages::send))
        .routes(routes!(messages::mark_read))
        .routes(routes!(messages::delete))
        .routes(routes!(messages::clear))
        .routes(routes!(messages::keep_draft))
        .routes(routes!(account::show))
        .routes(routes!(account::set_name))
        .routes(routes!(account::link, account::shown_link))
        .routes(routes!(account::close_link))
        .routes(routes!(account::pending))
        .routes(routes!(account::confirm))
        .routes(routes!(account::devices))
        .routes(routes!(account::rename))
        .routes(routes!(account::untrust))
        .routes(routes!(account::settle))
        .routes(routes!(account::recover))
        .routes(routes!(mailboxes::list, mailboxes::choose))
        .routes(routes!(finding::show, finding::change))
        .routes(routes!(finding::sought, finding::look_for))
        .routes(routes!(finding::stop_looking))
        .routes(routes!(merging::merge))
        .routes(routes!(merging::agree))
        .routes(routes!(events::events))
        .split_for_parts();
    let document = axum::Json(document);
    router
        .route("/api/openapi.json", get(|| async move { document.into_response() }))
        .fallback(page::serve)
        .method_not_allowed_fallback(page::wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&state), auth::guard))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::map_response(page::with_headers))
        .with_state(state)
}
