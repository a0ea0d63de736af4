//! How does the account of this node become part of another one?

use std::sync::Arc;

use axum::{Json, extract::State};
use kith_common::share::ContactCard;
use kith_core::engine::{Answer, Command};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{ApiError, ApiState, error::Body, keys};
use crate::home;

/// Into which account to merge.
#[derive(Deserialize, ToSchema)]
pub(super) struct Merge {
    /// Link of the account that stays, which has taken this device in: `kith account merge` gets it
    /// by a code.
    link: String,
    /// The recovery words of the account that ends, if its other devices need not agree.
    #[serde(default)]
    words: String,
    /// Empty for a node that is kept without one.
    #[serde(default)]
    passphrase: String,
}

/// The consent of one more device.
#[derive(Deserialize, ToSchema)]
pub(super) struct Agree {
    /// Empty for a node that is kept without one.
    #[serde(default)]
    passphrase: String,
}

/// How far merging has got.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Merging {
    /// Whether the account has gone over.
    merged: bool,
    /// Devices that have agreed, while more are needed.
    agreed: Option<usize>,
    /// How many must agree.
    needed: Option<usize>,
}

/// Lets the account of this node go over into another one, of which this device is one already.
/// Nothing undoes it.
#[utoipa::path(post, path = "/api/account/merge", request_body = Merge,
    responses((status = 200, body = Merging)))]
pub(super) async fn merge(
    State(state): State<Arc<ApiState>>,
    Body(wanted): Body<Merge>,
) -> Result<Json<Merging>, ApiError> {
    let card = ContactCard::decode(&wanted.link)
        .map_err(|error| ApiError::bad_request("link", error.to_string()))?;
    let words = Zeroizing::new(wanted.words);
    let authority = keys::authority(&state, wanted.passphrase).await?;
    let key = if words.is_empty() { authority } else { home::recovery_key(&words)? };
    let account = Box::new(card.account);
    let merging = carried_out(&state, Command::MergeInto { account, key }).await?;
    state.node.command(Command::LookForOwn(card.addresses)).await??;
    Ok(merging)
}

/// Agrees that the account goes over, as another device of it wants.
#[utoipa::path(post, path = "/api/account/merge/agree", request_body = Agree,
    responses((status = 200, body = Merging)))]
pub(super) async fn agree(
    State(state): State<Arc<ApiState>>,
    Body(wanted): Body<Agree>,
) -> Result<Json<Merging>, ApiError> {
    let authority = keys::authority(&state, wanted.passphrase).await?;
    carried_out(&state, Command::AgreeToMerge { authority }).await
}

async fn carried_out(state: &ApiState, command: Command) -> Result<Json<Merging>, ApiError> {
    Ok(Json(match state.node.command(command).await?? {
        Answer::Waits { have, need } => {
            Merging { merged: false, agreed: Some(have), needed: Some(need) }
        }
        _ => Merging { merged: true, agreed: None, needed: None },
    }))
}
