//! What is happening? A stream of events (server-sent events) for as long as somebody listens.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt};
use kith_common::ids::AccountId;
use tokio_stream::wrappers::{BroadcastStream, WatchStream, errors::BroadcastStreamRecvError};

use super::{
    ApiState, contacts,
    types::{self, Happening, MessageState, hex},
};
use crate::driver::{NodeHandle, Notice};

/// What happens from now on; `data` of each event is one JSON document.
#[utoipa::path(get, path = "/api/events",
    responses((status = 200, content_type = "text/event-stream", body = Happening)))]
pub(super) async fn events(
    State(state): State<Arc<ApiState>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let node = state.node.clone();
    let stopped = WatchStream::new(state.stop.subscribe()).filter(|stop| std::future::ready(*stop));
    let stream = BroadcastStream::new(node.listen())
        .then(move |notice| happening(node.clone(), notice))
        .filter_map(|happening| async move { Event::default().json_data(happening?).ok().map(Ok) })
        .take_until(stopped.into_future());
    Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(25)))
}

async fn happening(
    node: NodeHandle,
    notice: Result<Notice, BroadcastStreamRecvError>,
) -> Option<Happening> {
    match notice {
        Err(BroadcastStreamRecvError::Lagged(_)) | Ok(Notice::Resync) => Some(Happening::Resync {}),
        Ok(Notice::Message { with, message }) => node
            .ask(move |engine, _| {
                let contact = engine.contact(with)?;
                Some(Happening::Message {
                    contact: contact.shared.clone(),
                    unread: contact.unread,
                    message: Box::new(types::message(engine, &contact, *message)),
                })
            })
            .await
            .ok()?,
        Ok(Notice::States { with, states }) => Some(Happening::State {
            contact: shared(&node, with).await?,
            messages: states
                .into_iter()
                .map(|(id, state)| MessageState { id: hex(id.as_bytes()), state: state.word() })
                .collect(),
        }),
        Ok(Notice::Contact(account)) => {
            let contact = contacts::fresh(&node, account).await.ok()?;
            Some(Happening::Contact { contact: Box::new(contact) })
        }
        Ok(Notice::ContactRemoved(shared)) => {
            Some(Happening::ContactRemoved { account: shared.encode() })
        }
        Ok(Notice::Account) => Some(Happening::Account {}),
        Ok(Notice::Sought) => Some(Happening::Sought {}),
        Ok(Notice::Linking(guest)) => {
            let code = node.ask(|engine, _| engine.link_code()).await.ok()?;
            let code = code.map(|code| hex(&code.id.0));
            Some(Happening::Linking { guest: guest.and_then(types::guest), code })
        }
        Ok(Notice::Rewritten(with)) => {
            Some(Happening::Rewritten { contact: shared(&node, with).await? })
        }
        Ok(Notice::CutOff { is_final }) => Some(Happening::CutOff { is_final }),
    }
}

async fn shared(node: &NodeHandle, account: AccountId) -> Option<String> {
    node.ask(move |engine, _| engine.contact(account).map(|contact| contact.shared)).await.ok()?
}
