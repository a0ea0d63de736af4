//! How is the node, and what should it do? Status, settings, recovery words, stop.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use kith_common::{ids::AccountId, share::SharedId};
use kith_core::engine::Command;

use super::{
    ApiError, ApiState,
    error::Body,
    keys, page,
    types::{CatchingUp, ConfirmRecovery, Done, RecoveryWords, Settings, Status, Unlock, hex},
};
use crate::home::{self, Recovery};

/// How the node is.
#[utoipa::path(get, path = "/api/status", responses((status = 200, body = Status)))]
pub(super) async fn status(State(state): State<Arc<ApiState>>) -> Result<Json<Status>, ApiError> {
    let mut refusals = state.refusals();
    for (name, count) in state.node.network_counters() {
        *refusals.entry(name).or_default() += count;
    }
    let recovery = home::recovery(&state.home, in_use(&state).await?)?;
    let takes_passphrase = home::needs_passphrase(&state.home)?;
    let uptime_seconds = state.started.elapsed().as_secs();
    let status = state
        .node
        .ask(move |engine, _| {
            for (name, count) in engine.refusals() {
                *refusals.entry(name).or_default() += count;
            }
            let me = engine.identity();
            Status {
                name: engine.profile().name.clone(),
                account: SharedId::of(&me.account).encode(),
                device: hex(me.device.device().as_bytes()),
                version: env!("CARGO_PKG_VERSION"),
                listening: engine.addresses().to_vec(),
                peers: engine.device_count(),
                links: engine.link_count(),
                pending_entries: engine.pending_count(),
                recovery_confirmed: recovery == Recovery::Confirmed,
                recovery: recovery.word(),
                takes_passphrase,
                read_receipts: engine.profile().read_receipts,
                page_built: page::is_built(),
                uptime_seconds,
                warnings: engine.warnings(),
                catching_up: engine.catching_up().map(|(here, all)| CatchingUp { here, all }),
                refusals,
            }
        })
        .await?;
    Ok(Json(status))
}

/// Stops the node.
#[utoipa::path(post, path = "/api/stop", responses((status = 200, body = Done)))]
pub(super) async fn stop(State(state): State<Arc<ApiState>>) -> Json<Done> {
    let _ = state.stop.send(true);
    Json(Done {})
}

/// The settings.
#[utoipa::path(get, path = "/api/settings", responses((status = 200, body = Settings)))]
pub(super) async fn settings(
    State(state): State<Arc<ApiState>>,
) -> Result<Json<Settings>, ApiError> {
    let read_receipts = state.node.ask(|engine, _| engine.profile().read_receipts).await?;
    Ok(Json(Settings { read_receipts }))
}

/// Changes the settings.
#[utoipa::path(put, path = "/api/settings", request_body = Settings,
    responses((status = 200, body = Settings)))]
pub(super) async fn change_settings(
    State(state): State<Arc<ApiState>>,
    Body(wanted): Body<Settings>,
) -> Result<Json<Settings>, ApiError> {
    state.node.command(Command::SetReadReceipts(wanted.read_receipts)).await??;
    Ok(Json(wanted))
}

/// The recovery words, until they are confirmed.
#[utoipa::path(post, path = "/api/recovery/show", request_body = Unlock,
    responses((status = 200, body = RecoveryWords)))]
pub(super) async fn show_recovery(
    State(state): State<Arc<ApiState>>,
    Body(unlock): Body<Unlock>,
) -> Result<Json<RecoveryWords>, ApiError> {
    let account = in_use(&state).await?;
    let words = keys::with_passphrase(&state, unlock.passphrase, move |home, passphrase| {
        home::recovery_words(home, passphrase, account)
    });
    Ok(Json(RecoveryWords { words: words.await? }))
}

/// The account whose recovery words count.
pub(super) async fn in_use(state: &ApiState) -> Result<AccountId, ApiError> {
    Ok(state.node.ask(|engine, _| engine.identity().account.id()).await?)
}

/// Confirms that the recovery words are written down; they are erased from the device.
#[utoipa::path(post, path = "/api/recovery/confirm", request_body = ConfirmRecovery,
    responses((status = 200, body = Done)))]
pub(super) async fn confirm_recovery(
    State(state): State<Arc<ApiState>>,
    Body(given): Body<ConfirmRecovery>,
) -> Result<Json<Done>, ApiError> {
    let words: Option<BTreeMap<u8, String>> = given
        .words
        .into_iter()
        .map(|(position, word)| position.parse().ok().map(|position| (position, word)))
        .collect();
    let words = words.ok_or_else(|| {
        ApiError::bad_request("bad_position", "positions of words are numbers from 1 to 24")
    })?;
    let account = in_use(&state).await?;
    keys::with_passphrase(&state, given.passphrase, move |home, passphrase| {
        home::confirm_recovery(home, passphrase, account, &words)
    })
    .await?;
    Ok(Json(Done {}))
}
