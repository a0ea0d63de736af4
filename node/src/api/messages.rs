//! What was said? Conversations.

use std::sync::Arc;

use axum::{Json, extract::State};
use kith_common::time::Timestamp;
use kith_core::engine::{Answer, Command};

use super::{
    ApiError, ApiState, contacts,
    error::{Body, Path, Query},
    keys,
    types::{
        self, Done, HistoryQuery, Message, NewMessage, Sent,
        account::{ClearMessages, DeleteMessages, Deleted, Draft},
        entry_id, hex,
    },
};

const PAGE: usize = 50;

/// A page of a conversation in the order that everybody sees, oldest first.
#[utoipa::path(get, path = "/api/contacts/{contact}/messages",
    params(("contact" = String, Path), HistoryQuery),
    responses((status = 200, body = Vec<Message>)))]
pub(super) async fn history(
    State(state): State<Arc<ApiState>>,
    Path(contact): Path,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<Vec<Message>>, ApiError> {
    let with = contacts::find(&state, contact).await?;
    let before = query.before.as_deref().map(message_id).transpose()?;
    let limit = query.limit.unwrap_or(PAGE);
    let messages = state
        .node
        .ask(move |engine, store| {
            let page = engine.history(store, with.account, before, limit)?;
            Ok::<_, kith_core::store::StoreError>(page.map(|page| {
                page.into_iter().map(|view| types::message(engine, &with, view)).collect()
            }))
        })
        .await???;
    Ok(Json(messages))
}

/// Writes a message; returns at once, also when nobody is online.
#[utoipa::path(post, path = "/api/contacts/{contact}/messages",
    params(("contact" = String, Path)), request_body = NewMessage,
    responses((status = 200, body = Sent)))]
pub(super) async fn send(
    State(state): State<Arc<ApiState>>,
    Path(contact): Path,
    Body(new): Body<NewMessage>,
) -> Result<Json<Sent>, ApiError> {
    let to = contacts::find(&state, contact).await?.account;
    let reply_to = new.reply_to.as_deref().map(message_id).transpose()?;
    let command = Command::Send { to, text: new.text, reply_to };
    match state.node.command(command).await?? {
        Answer::Sent(id) => Ok(Json(Sent { id: hex(id.as_bytes()) })),
        _ => Err(ApiError::bad_request("refused", "the message was not written: try again")),
    }
}

/// Everything in the conversation has been read.
#[utoipa::path(post, path = "/api/contacts/{contact}/read", params(("contact" = String, Path)),
    responses((status = 200, body = Done)))]
pub(super) async fn mark_read(
    State(state): State<Arc<ApiState>>,
    Path(contact): Path,
) -> Result<Json<Done>, ApiError> {
    let account = contacts::find(&state, contact).await?.account;
    state.node.command(Command::MarkRead(account)).await??;
    Ok(Json(Done {}))
}

/// Deletes messages on the person's own devices; others keep theirs.
#[utoipa::path(post, path = "/api/contacts/{contact}/messages/delete",
    params(("contact" = String, Path)), request_body = DeleteMessages,
    responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(state): State<Arc<ApiState>>,
    Path(contact): Path,
    Body(wanted): Body<DeleteMessages>,
) -> Result<Json<Deleted>, ApiError> {
    let with = contacts::find(&state, contact).await?.account;
    let entries = wanted.ids.iter().map(|id| message_id(id)).collect::<Result<_, _>>()?;
    deleted(&state, Command::Delete { with, entries }).await
}

/// Deletes a conversation, or its beginning, on the person's own devices; others keep theirs.
#[utoipa::path(post, path = "/api/contacts/{contact}/clear",
    params(("contact" = String, Path)), request_body = ClearMessages,
    responses((status = 200, body = Deleted)))]
pub(super) async fn clear(
    State(state): State<Arc<ApiState>>,
    Path(contact): Path,
    Body(wanted): Body<ClearMessages>,
) -> Result<Json<Deleted>, ApiError> {
    let with = contacts::find(&state, contact).await?.account;
    let before = wanted.before.map(Timestamp::from_millis);
    let authority = keys::authority(&state, wanted.passphrase).await?;
    deleted(&state, Command::Clear { with, before, authority }).await
}

async fn deleted(state: &ApiState, command: Command) -> Result<Json<Deleted>, ApiError> {
    match state.node.command(command).await?? {
        Answer::Deleted(deleted) => Ok(Json(Deleted { deleted })),
        _ => Err(ApiError::bad_request("refused", "nothing was deleted: try again")),
    }
}

/// Keeps what is being written, for all devices of the person.
#[utoipa::path(put, path = "/api/contacts/{contact}/draft",
    params(("contact" = String, Path)), request_body = Draft,
    responses((status = 200, body = Done)))]
pub(super) async fn keep_draft(
    State(state): State<Arc<ApiState>>,
    Path(contact): Path,
    Body(draft): Body<Draft>,
) -> Result<Json<Done>, ApiError> {
    let to = contacts::find(&state, contact).await?.account;
    state.node.command(Command::KeepDraft { to, text: draft.text }).await??;
    Ok(Json(Done {}))
}

fn message_id(text: &str) -> Result<kith_common::ids::EntryId, ApiError> {
    entry_id(text).ok_or_else(|| {
        let message = "this is no message id: ids have 64 characters, see `kith history --json`";
        ApiError::bad_request("bad_message_id", message)
    })
}
