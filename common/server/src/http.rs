//! How do bodies come in and answers go out? Within bounds of size, time and memory.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use kith_common::service::{Code, Failure};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use crate::limits::{
    BUDGET_KIB, BYTES_PER_SECOND_MIN, FREE_BYTES_MAX, PIECE_BYTES, TRANSFER_GRACE,
};

/// The media type of requests and answers.
pub const CBOR: HeaderValue = HeaderValue::from_static("application/cbor");

/// Memory for bodies and answers, shared by all connections.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Semaphore>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_KIB)))
    }
}

impl Budget {
    /// Room for so many bytes, when there is some; none is needed for a few.
    ///
    /// # Errors
    /// `unavailable` if there is no room for long.
    pub async fn room(&self, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        if bytes <= FREE_BYTES_MAX {
            return Ok(None);
        }
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        match timeout(TRANSFER_GRACE, Arc::clone(&self.0).acquire_many_owned(kib)).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) | Err(_) => Err(Code::Unavailable.into()),
        }
    }

    /// The bytes, which hold their room until the last of them is gone.
    ///
    /// # Errors
    /// As [`room`](Self::room).
    pub async fn hold(&self, bytes: Vec<u8>) -> Result<Bytes, Failure> {
        Ok(match self.room(bytes.len()).await? {
            Some(permit) => Bytes::from_owner(Held { bytes, _permit: permit }),
            None => Bytes::from(bytes),
        })
    }
}

struct Held {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body of at most `limit` bytes. What came in one small piece is not copied. Room is taken
/// as bytes come, so that a promise holds none, and each 64 KiB must come within a few seconds.
///
/// # Errors
/// `too-large`, `unavailable` if there is no room for it, `malformed` if it is cut short or comes
/// too slowly.
pub async fn read_body(mut body: Body, limit: usize, budget: &Budget) -> Result<Bytes, Failure> {
    let too_large = || Failure::with(Code::TooLarge, limit as u64);
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let (mut whole, mut room, mut held) = (Vec::new(), None, FREE_BYTES_MAX);
    let end = Instant::now() + transfer_time(limit);
    let mut piece_end = Instant::now() + TRANSFER_GRACE;
    loop {
        let frame = timeout_at(end.min(piece_end), body.frame()).await;
        let piece = match frame {
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(None) => break,
            Ok(Some(Err(_))) | Err(_) => return Err(Code::Malformed.into()),
        };
        let length = whole.len() + piece.len();
        if length > limit {
            return Err(too_large());
        }
        if whole.is_empty() && length <= held && body.is_end_stream() {
            return Ok(piece);
        }
        while length > held {
            merge(&mut room, budget.room(PIECE_BYTES).await?);
            held += PIECE_BYTES;
            piece_end = Instant::now() + TRANSFER_GRACE;
        }
        whole.extend_from_slice(&piece);
    }
    Ok(match room {
        Some(permit) => Bytes::from_owner(Held { bytes: whole, _permit: permit }),
        None => Bytes::from(whole),
    })
}

fn merge(all: &mut Option<OwnedSemaphorePermit>, more: Option<OwnedSemaphorePermit>) {
    match (all.as_mut(), more) {
        (Some(all), Some(more)) => all.merge(more),
        (None, more) => *all = more,
        (Some(_), None) => {}
    }
}

/// How long so many bytes may take.
pub const fn transfer_time(bytes: usize) -> Duration {
    TRANSFER_GRACE.saturating_add(Duration::from_secs(bytes as u64 / BYTES_PER_SECOND_MIN))
}

/// An answer in CBOR.
pub fn cbor(bytes: Bytes) -> Response {
    ([(header::CONTENT_TYPE, CBOR)], bytes).into_response()
}

/// How a refusal is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For who asked in CBOR.
    Cbor,
    /// For everybody else.
    Json,
}

impl Form {
    /// The form in which a request was made.
    pub fn of(asked: &HeaderMap) -> Self {
        if asked.get(header::CONTENT_TYPE) == Some(&CBOR) { Self::Cbor } else { Self::Json }
    }
}

/// A refusal in the form of the request.
pub fn refusal(form: Form, failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.code.status());
    refusal_with(status.unwrap_or(StatusCode::BAD_REQUEST), form, failure)
}

/// As [`refusal`], with a status that HTTP itself asks for.
pub fn refusal_with(status: StatusCode, form: Form, failure: &Failure) -> Response {
    let mut response = if form == Form::Cbor {
        (status, cbor(failure.encode().into())).into_response()
    } else {
        let mut said = serde_json::json!({
            "code": failure.code.text(),
            "sentence": failure.sentence,
        });
        if let (Some(value), Some(fields)) = (failure.value, said.as_object_mut()) {
            fields.insert("value".to_owned(), value.into());
        }
        (status, axum::Json(said)).into_response()
    };
    if let (Code::SlowDown, Some(wait_ms)) = (failure.code, failure.value) {
        let seconds = HeaderValue::from(wait_ms.div_ceil(1000));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
