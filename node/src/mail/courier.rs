//! Who makes the requests about one queue? One courier, on a connection of its own.

use std::sync::Arc;

use hyper::{Method, StatusCode, body::Bytes};
use kith_common::service::{Failure, mailbox::Operation};
use kith_core::mail::{Errand, ErrandError};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Duration, sleep},
};

use super::{
    Answered, Reach,
    connection::{Answer, Connection, Question, Silence},
    limits::{ANSWER_TIMEOUT, IDLE_TIMEOUT, SHORT_BYTES_MAX, answer_bytes_max},
    slots::{Slot, Slots},
};

/// Content type of requests and answers (spec 20).
const CBOR: &str = "application/cbor";

/// A request, and the room that it takes until it is answered.
pub(super) struct Job {
    pub(super) errand: Errand,
    pub(super) _room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// A connection that is kept for the next request of the queue.
struct Held {
    connection: Connection,
    slot: Slot,
}

/// Makes requests one after another until none has come for a while, or others need the room.
/// Returns where they come from: one may have come at the last moment.
pub(super) async fn run(
    reach: Arc<Reach>,
    listens: bool,
    mut jobs: mpsc::Receiver<Job>,
    (run, answers): (u64, mpsc::Sender<Answered>),
) -> mpsc::Receiver<Job> {
    let slots = if listens { &reach.listening } else { &reach.writing };
    let mut held = None;
    loop {
        let job = match &held {
            None => jobs.try_recv().ok(),
            Some(_) => tokio::select! {
                biased;
                job = jobs.recv() => job,
                () = slots.wanted() => None,
                () = sleep(IDLE_TIMEOUT) => None,
            },
        };
        let Some(Job { errand, _room }) = job else { return jobs };
        let id = errand.id;
        let (reply, room) = match carry(&reach, slots, &mut held, errand).await {
            Ok((reply, room)) => (reply, room),
            Err(silence) => {
                held = None;
                (Err(ErrandError::Unreachable(silence.sentence())), None)
            }
        };
        if answers.send(Answered { run, id, reply, _room: room }).await.is_err() {
            return jobs;
        }
    }
}

type Reply = (Result<Vec<u8>, ErrandError>, Option<OwnedSemaphorePermit>);

async fn carry(
    reach: &Reach,
    slots: &Slots,
    held: &mut Option<Held>,
    errand: Errand,
) -> Result<Reply, Silence> {
    let Errand { url, operation, body, wait_ms, own, .. } = errand;
    let question = Question {
        method: Method::POST,
        path: operation.path(),
        kind: CBOR,
        body: Bytes::from(body),
    };
    let patience = ANSWER_TIMEOUT + Duration::from_millis(wait_ms);
    let mut slot = None;
    let mut answer = None;
    if let Some(mut kept) = held.take() {
        // What was kept may have ended meanwhile: then a fresh one is asked the same, once.
        match kept.connection.ask(&url, question.clone(), patience).await {
            Ok(given) => answer = Some((given, kept)),
            Err(Silence::Dropped) => slot = kept.slot,
            Err(silence) => return Err(silence),
        }
    }
    let (answer, kept) = match answer {
        Some(answered) => answered,
        None => {
            let slot = if slot.is_some() { slot } else { slots.take().await };
            let mut connection = reach.connector.open(&url, own).await?;
            let answer = connection.ask(&url, question, patience).await?;
            (answer, Held { connection, slot })
        }
    };
    let reply = read(reach, operation, answer).await?;
    *held = Some(kept);
    Ok(reply)
}

async fn read(reach: &Reach, operation: Operation, answer: Answer) -> Result<Reply, Silence> {
    let status = answer.status;
    if status == StatusCode::OK {
        // Only fetches are large, and only own servers are asked for them.
        let room = match operation {
            Operation::Fetch => Arc::clone(&reach.fetches).acquire_owned().await.ok(),
            _ => None,
        };
        let body = answer.read(answer_bytes_max(operation), ANSWER_TIMEOUT).await?;
        return Ok((Ok(body), room));
    }
    let body = answer.read(SHORT_BYTES_MAX, ANSWER_TIMEOUT).await?;
    match Failure::decode(&body) {
        Ok(failure) => Ok((Err(ErrandError::Refused(failure)), None)),
        Err(_) => Err(Silence::Because(unexpected(status))),
    }
}

/// What a status says that no mailbox would give.
pub(super) fn unexpected(status: StatusCode) -> String {
    let code = status.as_u16();
    if status.is_redirection() {
        format!("it points to another address (status {code}): ask who runs it for that one")
    } else if status.is_server_error() {
        format!("it is out of order (status {code}): it is tried again by itself")
    } else {
        format!("what answers there is no mailbox (status {code}): check the address")
    }
}
