//! Which devices does the person have? Linking, confirming, cutting off, recovering.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use kith_common::{
    account::{Account as Known, Reason, Standing, Untrust},
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
    error::{Body, Path, USAGE_CODE},
    keys,
    node::in_use,
    types::{
        self, Done, Guest, Rename,
        account::{
            Account, Confirm, Device, LinkCode, LinkWish, Recover, Settle, ShownCode,
            Untrust as Wanted, Why,
        },
        hex,
    },
};
use crate::{clock::wall_clock, home};

/// Characters of a device id that name it.
const ID_CHARS_MIN: usize = 4;
/// Characters of a device id where it stands for a name.
const ID_CHARS_SHOWN: usize = 8;

/// The account, its devices, and what waits for a decision.
#[utoipa::path(get, path = "/api/account", responses((status = 200, body = Account)))]
pub(super) async fn show(State(state): State<Arc<ApiState>>) -> Result<Json<Account>, ApiError> {
    account(&state).await.map(Json)
}

async fn account(state: &ApiState) -> Result<Account, ApiError> {
    let recovery = home::recovery(&state.home, in_use(state).await?)?;
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
                recovery_confirmed: recovery == home::Recovery::Confirmed,
                recovery: recovery.word(),
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

/// Makes a code with which a new device can join, once, within ten minutes; by mail, within a day,
/// also if it is never there together with this one. The code before it is void.
#[utoipa::path(post, path = "/api/account/link", request_body = LinkWish,
    responses((status = 200, body = LinkCode)))]
pub(super) async fn link(
    State(state): State<Arc<ApiState>>,
    Body(wanted): Body<LinkWish>,
) -> Result<Json<LinkCode>, ApiError> {
    let by_mail = wanted.by_mail;
    let command = if by_mail { Command::LinkDeviceByMail } else { Command::LinkDevice };
    match state.node.command(command).await?? {
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
    let (code, is_open) =
        state.node.ask(|engine, _| (engine.link_code(), engine.code_is_open())).await?;
    let now = wall_clock().millis();
    let left_ms = code.map_or(0, |code| code.ends_at.millis().saturating_sub(now));
    let id = code.map(|code| hex(&code.id.0));
    Ok(Json(ShownCode { id, seconds_left: left_ms / 1000, is_open }))
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
    let guests = state.node.ask(|engine, _| engine.guests()).await?;
    Ok(Json(guests.into_iter().filter_map(types::guest).collect()))
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
    Body(mut wanted): Body<Recover>,
) -> Result<Json<Account>, ApiError> {
    let words = Zeroizing::new(std::mem::take(&mut wanted.words));
    let recovery = home::recovery_key(&words)?;
    let views = state.node.ask(|engine, _| engine.devices()).await?;
    let Recover { untrust, untrust_others, keep_all, .. } = &wanted;
    let choice = Choice { untrust, untrust_others: *untrust_others, keep_all: *keep_all };
    let keep = kept(&views, choice)?;
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

/// Which devices a person wants to keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice<'a> {
    /// These go.
    pub(crate) untrust: &'a [String],
    /// All others go.
    pub(crate) untrust_others: bool,
    /// All that are not named stay, the accused too.
    pub(crate) keep_all: bool,
}

/// The devices that stay beside this one. Who is accused stays or goes by the person's word alone.
pub(crate) fn kept(views: &[DeviceView], choice: Choice<'_>) -> Result<Vec<DeviceId>, ApiError> {
    let Choice { untrust, untrust_others, keep_all } = choice;
    let gone: Vec<DeviceId> =
        untrust.iter().map(|wanted| pick(views, wanted)).collect::<Result<_, _>>()?;
    if views.iter().any(|view| view.is_this && gone.contains(&view.device)) {
        return Err(CommandError::ThisDevice.into());
    }
    let accused: Vec<String> = views.iter().filter(|view| is_accused(view)).map(called).collect();
    if !accused.is_empty() && untrust.is_empty() && !untrust_others && !keep_all {
        return Err(ApiError::bad_request(
            USAGE_CODE,
            format!(
                "devices of yours accuse each other ({}): say which go with --untrust DEVICE, or \
                 that all others go with --untrust-others, or that all stay with --keep-all",
                accused.join(", ")
            ),
        ));
    }
    let stays = |view: &&DeviceView| {
        let comes_back = keep_all && is_accused(view);
        let out = is_out(view) && !comes_back;
        view.is_this || !(untrust_others || out || gone.contains(&view.device))
    };
    Ok(views.iter().filter(stays).map(|view| view.device).collect())
}

/// Whether it is word against word, or one voice has put a device out that may still answer.
fn is_accused(view: &DeviceView) -> bool {
    match view.standing {
        Some(Standing::Disputed) => true,
        Some(Standing::Former(former)) => {
            !former.is_final && !matches!(former.reason, Reason::LeftOut | Reason::Retired)
        }
        _ => false,
    }
}

const fn is_out(view: &DeviceView) -> bool {
    matches!(view.standing, Some(Standing::Former(_)))
}

/// What a person calls a device, or the beginning of its id.
fn called(view: &DeviceView) -> String {
    let id = || hex(view.device.as_bytes()).chars().take(ID_CHARS_SHOWN).collect();
    view.name.clone().unwrap_or_else(id)
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
    let is_hex = !wanted.is_empty() && wanted.bytes().all(|c| c.is_ascii_hexdigit());
    let is_id = is_hex && wanted.len() >= ID_CHARS_MIN;
    let by_name =
        |view: &&DeviceView| view.name.as_deref().is_some_and(|name| fold_name(name) == folded);
    let by_id = |view: &&DeviceView| is_id && hex(view.device.as_bytes()).starts_with(&folded);
    let mut found: Vec<&DeviceView> = views.iter().filter(|v| by_name(v) || by_id(v)).collect();
    // A name may have gone from a former device to the one that replaced it.
    if found.iter().any(|view| !is_out(view)) {
        found.retain(|view| !is_out(view));
    }
    match found.as_slice() {
        [view] => Ok(view.device),
        [] if is_hex && !is_id => Err(ApiError::bad_request(
            "short_id",
            format!(
                "no device is called {wanted}, and of an id at least {ID_CHARS_MIN} characters are \
                 needed: see `kith device list`"
            ),
        )),
        [] => Err(CommandError::UnknownDevice.into()),
        _ => Err(ApiError::new(
            StatusCode::CONFLICT,
            "ambiguous_device",
            "more than one device is meant: write more of the id, see `kith device list`",
        )),
    }
}
