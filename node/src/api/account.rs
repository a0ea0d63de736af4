//! Which devices does the person have? Linking, confirming, cutting off, recovering.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use kith_common::{
    account::{Account as Known, Untrust},
    ids::{AccountId, DeviceId},
    share::SharedId,
    time::Timestamp,
};
use kith_core::{
    engine::{Answer, Command, CommandError, Engine},
    names::fold_name,
    view::DeviceView,
};
use zeroize::Zeroizing;

use super::{
    ApiError, ApiState,
    error::{Body, Path},
    keys,
    types::{
        self, Done, Guest, Rename,
        account::{
            Account, Confirm, Device, LinkCode, Recover, Settle, ShownCode, Untrust as Wanted, Why,
        },
        hex,
    },
};
use crate::{driver::wall_clock, home};

/// Characters of a device id that name it.
const PREFIX_CHARS_MIN: usize = 6;

/// The account, its devices, and what waits for a decision.
#[utoipa::path(get, path = "/api/account", responses((status = 200, body = Account)))]
pub(super) async fn show(State(state): State<Arc<ApiState>>) -> Result<Json<Account>, ApiError> {
    account(&state).await.map(Json)
}

async fn account(state: &ApiState) -> Result<Account, ApiError> {
    let recovery_confirmed = home::recovery_confirmed(&state.home)?;
    let account = state
        .node
        .ask(move |engine, _| {
            let known = &engine.identity().account;
            Account {
                id: hex(known.id().as_bytes()),
                account: SharedId::of(known).encode(),
                name: engine.profile().name.clone(),
                devices: engine.devices().iter().map(types::account::device).collect(),
                disputed: known.is_disputed(),
                frozen: known.base().is_none(),
                proposals: types::account::proposals(known),
                to_settle: engine.to_settle().iter().map(|one| hex(one.as_bytes())).collect(),
                merging: types::account::merging(known),
                absorbed: named(engine).into_iter().map(|(_, shared)| shared).collect(),
                recovery_confirmed,
            }
        })
        .await?;
    Ok(account)
}

/// Calls oneself something else; contacts learn it.
#[utoipa::path(put, path = "/api/account/name", request_body = Rename,
    responses((status = 200, body = Account)))]
pub(super) async fn set_name(
    State(state): State<Arc<ApiState>>,
    Body(wanted): Body<Rename>,
) -> Result<Json<Account>, ApiError> {
    changed(&state, Command::SetName(wanted.name)).await
}

/// Makes a code with which a new device can join, once, within ten minutes. The code before it is
/// void.
#[utoipa::path(post, path = "/api/account/link", responses((status = 200, body = LinkCode)))]
pub(super) async fn link(State(state): State<Arc<ApiState>>) -> Result<Json<LinkCode>, ApiError> {
    match state.node.command(Command::LinkDevice).await?? {
        Answer::LinkCode { code, id, left_ms } => {
            Ok(Json(LinkCode { code, id: hex(&id.0), seconds_left: left_ms / 1000 }))
        }
        _ => Err(ApiError::bad_request("refused", "there is no code: try again")),
    }
}

/// Which code serves now, and for how long. Its text is shown once, to who made it.
#[utoipa::path(get, path = "/api/account/link", responses((status = 200, body = ShownCode)))]
pub(super) async fn shown_link(
    State(state): State<Arc<ApiState>>,
) -> Result<Json<ShownCode>, ApiError> {
    let code = state.node.ask(|engine, _| engine.link_code()).await?;
    let now = wall_clock().millis();
    let left_ms = code.map_or(0, |code| code.ends_at.millis().saturating_sub(now));
    let id = code.map(|code| hex(&code.id.0));
    Ok(Json(ShownCode { id, seconds_left: left_ms / 1000 }))
}

/// Makes a code void; any other one is left alone, so that a late word ends nobody else's.
#[utoipa::path(delete, path = "/api/account/link/{id}", params(("id" = String, Path)),
    responses((status = 200, body = Done)))]
pub(super) async fn close_link(
    State(state): State<Arc<ApiState>>,
    Path(id): Path,
) -> Result<Json<Done>, ApiError> {
    let shown = state.node.ask(|engine, _| engine.link_code().map(|code| code.id)).await?;
    if let Some(code) = shown.filter(|code| hex(&code.0) == id.to_lowercase()) {
        state.node.command(Command::CloseLinking(Some(code))).await??;
    }
    Ok(Json(Done {}))
}

/// Devices that want to join and show their number.
#[utoipa::path(get, path = "/api/account/pending", responses((status = 200, body = Vec<Guest>)))]
pub(super) async fn pending(
    State(state): State<Arc<ApiState>>,
) -> Result<Json<Vec<Guest>>, ApiError> {
    let guest = state.node.ask(|engine, _| engine.guest()).await?;
    Ok(Json(guest.and_then(types::guest).into_iter().collect()))
}

/// Takes the device in that shows this number. Whoever confirms without comparing may give the
/// account away.
#[utoipa::path(post, path = "/api/account/confirm", request_body = Confirm,
    responses((status = 200, body = Account)))]
pub(super) async fn confirm(
    State(state): State<Arc<ApiState>>,
    Body(wanted): Body<Confirm>,
) -> Result<Json<Account>, ApiError> {
    let authority = keys::authority(&state, wanted.passphrase).await?;
    changed(&state, Command::ConfirmDevice { check: wanted.check, authority }).await
}

/// All devices, those that are out included.
#[utoipa::path(get, path = "/api/account/devices", responses((status = 200, body = Vec<Device>)))]
pub(super) async fn devices(
    State(state): State<Arc<ApiState>>,
) -> Result<Json<Vec<Device>>, ApiError> {
    let views = state.node.ask(|engine, _| engine.devices()).await?;
    Ok(Json(views.iter().map(types::account::device).collect()))
}

/// Calls a device something; contacts never learn it.
#[utoipa::path(patch, path = "/api/account/devices/{device}", params(("device" = String, Path)),
    request_body = Rename, responses((status = 200, body = Account)))]
pub(super) async fn rename(
    State(state): State<Arc<ApiState>>,
    Path(device): Path,
    Body(wanted): Body<Rename>,
) -> Result<Json<Account>, ApiError> {
    let device = find(&state, device).await?;
    changed(&state, Command::RenameDevice(device, wanted.name)).await
}

/// Trusts a device no longer.
#[utoipa::path(post, path = "/api/account/devices/{device}/untrust",
    params(("device" = String, Path)), request_body = Wanted,
    responses((status = 200, body = Account)))]
pub(super) async fn untrust(
    State(state): State<Arc<ApiState>>,
    Path(device): Path,
    Body(wanted): Body<Wanted>,
) -> Result<Json<Account>, ApiError> {
    let device = find(&state, device).await?;
    let why = match wanted.why {
        Why::Removed => Untrust::Removed,
        Why::Stolen => Untrust::Stolen,
    };
    let since = wanted.since.map(Timestamp::from_millis);
    let authority = keys::authority(&state, wanted.passphrase).await?;
    changed(&state, Command::Untrust { device, why, since, authority }).await
}

/// Agrees to the devices that are to decide from now on.
#[utoipa::path(post, path = "/api/account/settle", request_body = Settle,
    responses((status = 200, body = Account)))]
pub(super) async fn settle(
    State(state): State<Arc<ApiState>>,
    Body(wanted): Body<Settle>,
) -> Result<Json<Account>, ApiError> {
    let mut devices = Vec::new();
    for device in wanted.devices {
        devices.push(find(&state, device).await?);
    }
    let authority = keys::authority(&state, wanted.passphrase).await?;
    changed(&state, Command::Settle { devices, authority }).await
}

/// Decides with the recovery words which devices the account has from now on.
#[utoipa::path(post, path = "/api/account/recover", request_body = Recover,
    responses((status = 200, body = Account)))]
pub(super) async fn recover(
    State(state): State<Arc<ApiState>>,
    Body(wanted): Body<Recover>,
) -> Result<Json<Account>, ApiError> {
    let recovery = home::recovery_key(&Zeroizing::new(wanted.words))?;
    let views = state.node.ask(|engine, _| engine.devices()).await?;
    let keep = kept(&views, &wanted.untrust, wanted.untrust_others)?;
    let accounts = state.node.ask(|engine, _| named(engine)).await?;
    let without = left_out(&accounts, &wanted.without)?;
    let since = wanted.since.map(Timestamp::from_millis);
    changed(&state, Command::Recover { recovery, keep, without, since }).await
}

/// The accounts that this one has absorbed, with their shared strings.
pub(crate) fn named(engine: &Engine) -> Vec<(AccountId, String)> {
    let named = |account: &Known| (account.id(), SharedId::of(account).encode());
    engine.absorbed().map(named).collect()
}

/// The absorbed accounts that a person leaves out, each by its shared string or the beginning of it.
pub(crate) fn left_out(
    absorbed: &[(AccountId, String)],
    without: &[String],
) -> Result<Vec<AccountId>, ApiError> {
    let pick = |wanted: &String| {
        let wanted = wanted.trim().to_lowercase();
        let is_one =
            |(_, shared): &&(AccountId, String)| !wanted.is_empty() && shared.starts_with(&wanted);
        let found: Vec<AccountId> = absorbed.iter().filter(is_one).map(|(id, _)| *id).collect();
        match found.as_slice() {
            [id] => Ok(*id),
            [] => Err(CommandError::UnknownAbsorbed.into()),
            _ => Err(ApiError::new(
                StatusCode::CONFLICT,
                "ambiguous_account",
                "more than one account is meant: write more of it, see `kith account show`",
            )),
        }
    };
    without.iter().map(pick).collect()
}

/// The devices that stay beside this one.
pub(crate) fn kept(
    views: &[DeviceView],
    untrust: &[String],
    untrust_others: bool,
) -> Result<Vec<DeviceId>, ApiError> {
    let gone: Vec<DeviceId> =
        untrust.iter().map(|wanted| pick(views, wanted)).collect::<Result<_, _>>()?;
    if views.iter().any(|view| view.is_this && gone.contains(&view.device)) {
        return Err(CommandError::ThisDevice.into());
    }
    let stays = |view: &&DeviceView| {
        let out = matches!(view.standing, Some(kith_common::account::Standing::Former(_)));
        view.is_this || !(untrust_others || out || gone.contains(&view.device))
    };
    Ok(views.iter().filter(stays).map(|view| view.device).collect())
}

async fn changed(state: &ApiState, command: Command) -> Result<Json<Account>, ApiError> {
    state.node.command(command).await??;
    account(state).await.map(Json)
}

async fn find(state: &ApiState, wanted: String) -> Result<DeviceId, ApiError> {
    state.node.ask(move |engine, _| pick(&engine.devices(), &wanted)).await?
}

/// The device that a person means: by name, or by (the beginning of) its id.
fn pick(views: &[DeviceView], wanted: &str) -> Result<DeviceId, ApiError> {
    let wanted = wanted.trim();
    let folded = fold_name(wanted);
    let is_id = wanted.len() >= PREFIX_CHARS_MIN && wanted.bytes().all(|c| c.is_ascii_hexdigit());
    let by_name =
        |view: &&DeviceView| view.name.as_deref().is_some_and(|name| fold_name(name) == folded);
    let by_id = |view: &&DeviceView| is_id && hex(view.device.as_bytes()).starts_with(&folded);
    let out = |view: &DeviceView| {
        matches!(view.standing, Some(kith_common::account::Standing::Former(_)))
    };
    let mut found: Vec<&DeviceView> = views.iter().filter(|v| by_name(v) || by_id(v)).collect();
    // A name may have gone from a former device to the one that replaced it.
    if found.iter().any(|view| !out(view)) {
        found.retain(|view| !out(view));
    }
    match found.as_slice() {
        [view] => Ok(view.device),
        [] => Err(CommandError::UnknownDevice.into()),
        _ => Err(ApiError::new(
            StatusCode::CONFLICT,
            "ambiguous_device",
            "more than one device is meant: write more of the id, see `kith device list`",
        )),
    }
}
