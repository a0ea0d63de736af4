//! Who is on the list? Contacts, requests and the link to hand out.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use kith_common::{
    ids::AccountId,
    share::{ContactCard, SharedId},
};
use kith_core::{
    engine::{Answer, Command, Engine},
    names::fold_name,
    store::{Store, StoreError},
    view::ContactView,
};
use qrcode::{EcLevel, QrCode, render::svg};

use super::{
    ApiError, ApiState,
    error::{Body, Path},
    types::{self, AddContact, Contact, Done, Invite, LastMessage, Rename},
};
use crate::driver::NodeHandle;

/// What to hand to somebody who wants to be a contact.
#[utoipa::path(get, path = "/api/invite", responses((status = 200, body = Invite)))]
pub(super) async fn invite(State(state): State<Arc<ApiState>>) -> Result<Json<Invite>, ApiError> {
    let card = state.node.ask(|engine, _| engine.card()).await?;
    Ok(Json(Invite {
        link: card.encode(),
        account: SharedId::of(&card.account).encode(),
        qr_svg_path: "/api/invite.svg",
    }))
}

/// The link as a QR code.
#[utoipa::path(get, path = "/api/invite.svg",
    responses((status = 200, content_type = "image/svg+xml", body = String)))]
pub(super) async fn invite_qr(
    State(state): State<Arc<ApiState>>,
) -> Result<impl IntoResponse, ApiError> {
    let card = state.node.ask(|engine, _| engine.card()).await?;
    let code = qr_code(card)?;
    let svg = code
        .render()
        .min_dimensions(320, 320)
        .dark_color(svg::Color("#000000"))
        .light_color(svg::Color("#ffffff"))
        .build();
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], svg))
}

/// The link as a QR code; addresses are left out, from the last, until it fits.
pub(crate) fn qr_code(mut card: ContactCard) -> Result<QrCode, ApiError> {
    loop {
        match QrCode::with_error_correction_level(card.encode(), EcLevel::L) {
            Ok(code) => return Ok(code),
            Err(_) if card.addresses.pop().is_some() => {}
            Err(_) => {
                let message = "the link is too long for a QR code: send it as text";
                return Err(ApiError::new(StatusCode::CONFLICT, "too_long", message));
            }
        }
    }
}

/// Everybody, by name.
#[utoipa::path(get, path = "/api/contacts", responses((status = 200, body = Vec<Contact>)))]
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
) -> Result<Json<Vec<Contact>>, ApiError> {
    let node = state.node.clone();
    let list = state
        .node
        .ask(move |engine, store| {
            let contacts = engine.contacts();
            let whole = contacts.iter().map(|view| whole(&node, engine, store, view));
            whole.collect::<Result<_, _>>()
        })
        .await??;
    Ok(Json(list))
}

/// Asks somebody to become a contact.
#[utoipa::path(post, path = "/api/contacts", request_body = AddContact,
    responses((status = 200, body = Contact)))]
pub(super) async fn add(
    State(state): State<Arc<ApiState>>,
    Body(wanted): Body<AddContact>,
) -> Result<Json<Contact>, ApiError> {
    let card = ContactCard::decode(&wanted.link)
        .map_err(|error| ApiError::bad_request("bad_link", error.to_string()))?;
    let name = wanted.name.filter(|name| !name.is_empty());
    let greeting = wanted.greeting.unwrap_or_default();
    let command = Command::AddContact { card: Box::new(card), name, greeting };
    changed(&state, command).await
}

/// One person, by shared string, name, or the beginning of the shared string.
#[utoipa::path(get, path = "/api/contacts/{contact}", params(("contact" = String, Path)),
    responses((status = 200, body = Contact)))]
pub(super) async fn show(
    State(state): State<Arc<ApiState>>,
    Path(contact): Path,
) -> Result<Json<Contact>, ApiError> {
    let view = find(&state, contact).await?;
    fresh(&state.node, view.account).await.map(Json)
}

/// Calls somebody something else.
#[utoipa::path(patch, path = "/api/contacts/{contact}", params(("contact" = String, Path)),
    request_body = Rename, responses((status = 200, body = Contact)))]
pub(super) async fn rename(
    State(state): State<Arc<ApiState>>,
    Path(contact): Path,
    Body(wanted): Body<Rename>,
) -> Result<Json<Contact>, ApiError> {
    let account = find(&state, contact).await?.account;
    changed(&state, Command::Rename(account, wanted.name)).await
}

/// Agrees to a request.
#[utoipa::path(post, path = "/api/contacts/{contact}/accept", params(("contact" = String, Path)),
    responses((status = 200, body = Contact)))]
pub(super) async fn accept(
    State(state): State<Arc<ApiState>>,
    Path(contact): Path,
) -> Result<Json<Contact>, ApiError> {
    let account = find(&state, contact).await?.account;
    changed(&state, Command::Accept(account)).await
}

/// Hears nothing more from somebody.
#[utoipa::path(post, path = "/api/contacts/{contact}/block", params(("contact" = String, Path)),
    responses((status = 200, body = Contact)))]
pub(super) async fn block(
    State(state): State<Arc<ApiState>>,
    Path(contact): Path,
) -> Result<Json<Contact>, ApiError> {
    let account = find(&state, contact).await?.account;
    changed(&state, Command::Block(account)).await
}

/// Hears from somebody again.
#[utoipa::path(post, path = "/api/contacts/{contact}/unblock", params(("contact" = String, Path)),
    responses((status = 200, body = Contact)))]
pub(super) async fn unblock(
    State(state): State<Arc<ApiState>>,
    Path(contact): Path,
) -> Result<Json<Contact>, ApiError> {
    let account = find(&state, contact).await?.account;
    changed(&state, Command::Unblock(account)).await
}

/// Takes somebody off the list; the conversation is kept.
#[utoipa::path(post, path = "/api/contacts/{contact}/remove", params(("contact" = String, Path)),
    responses((status = 200, body = Done)))]
pub(super) async fn remove(
    State(state): State<Arc<ApiState>>,
    Path(contact): Path,
) -> Result<Json<Done>, ApiError> {
    let account = find(&state, contact).await?.account;
    state.node.command(Command::Remove(account)).await??;
    Ok(Json(Done {}))
}

async fn changed(state: &ApiState, command: Command) -> Result<Json<Contact>, ApiError> {
    match state.node.command(command).await?? {
        Answer::Contact(account) => fresh(&state.node, account).await.map(Json),
        _ => Err(unknown()),
    }
}

/// A contact with its newest message.
pub(super) async fn fresh(node: &NodeHandle, account: AccountId) -> Result<Contact, ApiError> {
    let asked = node.clone();
    let contact = node
        .ask(move |engine, store| {
            let view = engine.contact(account);
            view.map(|view| whole(&asked, engine, store, &view)).transpose()
        })
        .await??;
    contact.ok_or_else(unknown)
}

/// The contact that a person means: by shared string, name, or the start of the shared string.
pub(super) async fn find(state: &ApiState, wanted: String) -> Result<ContactView, ApiError> {
    state.node.ask(move |engine, _| pick(engine.contacts(), &wanted)).await?
}

fn pick(contacts: Vec<ContactView>, wanted: &str) -> Result<ContactView, ApiError> {
    let wanted = wanted.trim();
    let folded = fold_name(wanted);
    let by_id = folded.starts_with("kith1") && folded.len() >= "kith1".len() + 4;
    let meant = |contact: &&ContactView| {
        if by_id { contact.shared.starts_with(&folded) } else { fold_name(&contact.name) == folded }
    };
    // Names that differ in case only are told apart by their exact spelling.
    let exact = contacts.iter().find(|contact| contact.name == wanted && !by_id);
    let mut found = contacts.iter().filter(meant);
    match (exact, found.next(), found.next()) {
        (Some(contact), ..) | (None, Some(contact), None) => Ok(contact.clone()),
        (None, Some(_), Some(_)) => Err(ApiError::new(
            StatusCode::CONFLICT,
            "ambiguous_contact",
            "more than one contact is called like this: write the name exactly, or more of the id",
        )),
        (None, None, _) => Err(unknown()),
    }
}

fn unknown() -> ApiError {
    kith_core::engine::CommandError::UnknownContact.into()
}

/// A contact with how it is connected and its newest message.
fn whole(
    node: &NodeHandle,
    engine: &Engine,
    store: &dyn Store,
    view: &ContactView,
) -> Result<Contact, StoreError> {
    let newest = engine.history(store, view.account, None, 1)?.unwrap_or_default();
    let last = newest.into_iter().next_back().map(|message| LastMessage {
        text: message.text.unwrap_or_default(),
        sent_at: types::rfc3339(message.sent_at),
        me: message.mine,
    });
    let relayed: Vec<bool> = view.links.iter().filter_map(|link| node.is_relayed(*link)).collect();
    let connection = match relayed.as_slice() {
        [] => None,
        links if links.iter().all(|relayed| *relayed) => Some("relayed"),
        _ => Some("direct"),
    };
    Ok(types::contact(view, connection, last))
}
