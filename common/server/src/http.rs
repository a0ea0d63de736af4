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
    time::timeout,
};

use crate::limits::{BUDGET_KIB, BYTES_PER_SECOND_MIN, FREE_BYTES_MAX, TRANSFER_GRACE};

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

/// Reads a body of at most `limit` bytes. What came in one piece is not copied.
///
/// # Errors
/// `too-large`, `unavailable` if there is no room for it, `malformed` if it is cut short or comes
/// too slowly.
pub async fn read_body(mut body: Body, limit: usize, budget: &Budget) -> Result<Bytes, Failure> {
    let too_large = || Failure::with(Code::TooLarge, limit as u64);
    let promised = body.size_hint();
    if promised.lower() > limit as u64 {
        return Err(too_large());
    }
    let upper = promised.upper().and_then(|upper| usize::try_from(upper).ok()).unwrap_or(limit);
    let upper = upper.min(limit);
    let permit = budget.room(upper).await?;
    let reading = async {
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|_| ())?.into_data() else { continue };
            if whole.len() + piece.len() > limit {
                return Ok(Err(too_large()));
            }
            if whole.is_empty() && body.is_end_stream() && permit.is_none() {
                return Ok(Ok(piece));
            }
            whole.extend_from_slice(&piece);
        }
        Ok::<_, ()>(Ok(match permit {
            Some(permit) => Bytes::from_owner(Held { bytes: whole, _permit: permit }),
            None => Bytes::from(whole),
        }))
    };
    match timeout(transfer_time(upper), reading).await {
        Ok(Ok(read)) => read,
        Ok(Err(())) | Err(_) => Err(Code::Malformed.into()),
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

/// A refusal in CBOR, or in JSON for who did not ask in CBOR.
pub fn refusal(asked: &HeaderMap, failure: &Failure) -> Response {
    let status = StatusCode::from_u16(failure.code.status());
    refusal_with(status.unwrap_or(StatusCode::BAD_REQUEST), asked, failure)
}

/// As [`refusal`], with a status that HTTP itself asks for.
pub fn refusal_with(status: StatusCode, asked: &HeaderMap, failure: &Failure) -> Response {
    let mut response = if asked.get(header::CONTENT_TYPE) == Some(&CBOR) {
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
