//! How does a WebSocket carry requests? (spec 20 R11)

use std::{future::pending, sync::Arc};

use axum::{
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    response::Response,
};
use bytes::Bytes;
use kith_common::service::{Code, Failure, mailbox::live};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    limits::{LIVE_BUFFER_BYTES, LIVE_BYTES_MAX, PING_PAUSE, PINGS_UNANSWERED_MAX},
    state::{Session, State},
    store::News,
};

/// Takes over a connection.
pub(crate) fn upgrade(upgrade: WebSocketUpgrade, state: Arc<State>, host: String) -> Response {
    upgrade
        .read_buffer_size(LIVE_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(LIVE_BYTES_MAX)
        .max_frame_size(LIVE_BYTES_MAX)
        .on_upgrade(move |socket| run(socket, state, host))
}

enum Event {
    Message(Message),
    News,
    Tick,
    End,
}

async fn run(mut socket: WebSocket, state: Arc<State>, host: String) {
    let _held = state.stop.hold();
    let _live = state.metrics.live.enter();
    let (mut session, mut silent) = (Session::default(), 0);
    let mut pings = interval(PING_PAUSE);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.tick().await;
    loop {
        let event = tokio::select! {
            message = socket.recv() => message.and_then(Result::ok).map_or(Event::End, Event::Message),
            () = come(session.news.as_mut()) => Event::News,
            _ = pings.tick() => Event::Tick,
            () = state.stop.stopped() => Event::End,
        };
        let said = match event {
            Event::Message(message) => {
                silent = 0;
                match message {
                    Message::Binary(asked) => {
                        Box::pin(answer(&state, asked, &host, &mut session)).await
                    }
                    Message::Text(_) => Message::Binary(refusal(&Code::Malformed.into())),
                    Message::Ping(_) | Message::Pong(_) => continue,
                    Message::Close(_) => return,
                }
            }
            Event::News => {
                session.news = None;
                Message::Binary(live::Answer::News.encode().into())
            }
            Event::Tick => {
                silent += 1;
                if silent > PINGS_UNANSWERED_MAX {
                    return;
                }
                Message::Ping(Bytes::new())
            }
            Event::End => Message::Close(None),
        };
        let ends = matches!(said, Message::Close(_));
        if socket.send(said).await.is_err() || ends {
            return;
        }
    }
}

async fn come(news: Option<&mut News>) {
    match news {
        Some(news) => news.come().await,
        None => pending().await,
    }
}

async fn answer(state: &State, message: Bytes, host: &str, session: &mut Session) -> Message {
    let Ok((operation, body)) = live::asked(&message) else {
        return Message::Binary(refusal(&Code::Malformed.into()));
    };
    let body = message.slice_ref(body);
    drop(message);
    let answered = state.answer(operation, body, host, Some(session)).await;
    Message::Binary(match answered {
        Ok(reply) => live::Answer::Done(operation, &reply).encode().into(),
        Err(failure) => refusal(&failure),
    })
}

fn refusal(failure: &Failure) -> Bytes {
    live::Answer::Refused(&failure.encode()).encode().into()
}
