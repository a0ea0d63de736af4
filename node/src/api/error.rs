//! How is a refusal told? One JSON shape with a stable code and a sentence for people.

use std::{fmt, time::Duration};

use axum::{
    Extension, Json,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use kith_common::limits::TEXT_BYTES_MAX;
use kith_core::{engine::CommandError, store::StoreError};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::{driver::NodeError, home::HomeError};

/// Code of a request that leaves a choice open which the person must make.
pub(crate) const USAGE_CODE: &str = "choice_needed";
/// Code of a refusal of what may still be right: with `force` it is done all the same.
pub(crate) const UNSURE_CODE: &str = "mailbox_unsure";
/// Time for the body of a request to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a request was refused. A code that begins with `api_` tells that it was asked wrongly, and
/// is counted.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// On an answer that is a refusal: its code.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefusedAs(pub(super) &'static str);

/// The body of every refusal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error: ErrorDetail,
}

/// What happened and what to do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorDetail {
    /// Stable name of the refusal.
    code: &'static str,
    /// What happened and what to do, for a person.
    message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// Whether more must be said, which the command line answers as wrong usage.
    pub(crate) fn is_usage(&self) -> bool {
        self.code == USAGE_CODE
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }
}

impl std::error::Error for ApiError {}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: ErrorDetail { code: self.code, message: self.message } };
        (self.status, Extension(RefusedAs(self.code)), Json(body)).into_response()
    }
}

impl From<NodeError> for ApiError {
    fn from(error: NodeError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        NodeError::from(error).into()
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        let (status, code) = match &error {
            CommandError::UnknownContact => (StatusCode::NOT_FOUND, "unknown_contact"),
            CommandError::UnknownReply | CommandError::UnknownMessage => {
                (StatusCode::NOT_FOUND, "unknown_message")
            }
            CommandError::OwnLink => (StatusCode::BAD_REQUEST, "own_link"),
            CommandError::NoBootstrap => (StatusCode::CONFLICT, "no_bootstrap"),
            CommandError::TooManySought(_) => (StatusCode::CONFLICT, "too_many_sought"),
            CommandError::AlreadyThere(_) => (StatusCode::CONFLICT, "already_there"),
            CommandError::IsBlocked(_) => (StatusCode::CONFLICT, "blocked"),
            CommandError::NotPending(_) => (StatusCode::CONFLICT, "not_pending"),
            CommandError::AcceptFirst(_) => (StatusCode::CONFLICT, "accept_first"),
            CommandError::TooManyContacts(_) => (StatusCode::CONFLICT, "too_many_contacts"),
            CommandError::TooManyDevices(_) => (StatusCode::CONFLICT, "too_many_devices"),
            CommandError::UnknownDevice => (StatusCode::NOT_FOUND, "unknown_device"),
            CommandError::DeviceNameTaken(_) => (StatusCode::CONFLICT, "name_taken"),
            CommandError::EndedWords => (StatusCode::BAD_REQUEST, "recovery_ended"),
            CommandError::UnknownCheck(_) => (StatusCode::NOT_FOUND, "unknown_check"),
            CommandError::ThisDevice => (StatusCode::BAD_REQUEST, "this_device"),
            CommandError::NotStanding(_) => (StatusCode::CONFLICT, "not_standing"),
            CommandError::Agreed(_) => (StatusCode::CONFLICT, "agreed_to_another"),
            CommandError::AgreedInVain(_) => (StatusCode::CONFLICT, "agreed_in_vain"),
            CommandError::Operation(_) => (StatusCode::CONFLICT, "not_decided"),
            CommandError::TooManyDeletions(_) => (StatusCode::CONFLICT, "too_many_deletions"),
            CommandError::EmptyText => (StatusCode::BAD_REQUEST, "empty_text"),
            CommandError::TextTooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "text_too_long"),
            _ => (StatusCode::BAD_REQUEST, "refused"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<HomeError> for ApiError {
    fn from(error: HomeError) -> Self {
        let (status, code) = match &error {
            HomeError::WrongPassphrase => (StatusCode::FORBIDDEN, "wrong_passphrase"),
            HomeError::PassphraseNeeded => (StatusCode::FORBIDDEN, "passphrase_needed"),
            HomeError::AlreadyConfirmed => (StatusCode::BAD_REQUEST, "recovery_confirmed"),
            HomeError::WordsElsewhere => (StatusCode::BAD_REQUEST, "recovery_elsewhere"),
            HomeError::WordsEnded => (StatusCode::BAD_REQUEST, "recovery_ended"),
            _ => (StatusCode::BAD_REQUEST, "keys"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let message = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                format!(
                    "this is too long: a message has at most {TEXT_BYTES_MAX} bytes, send it in parts"
                )
            }
            _ => rejection.body_text(),
        };
        Self::new(rejection.status(), "api_bad_body", message)
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), "api_bad_query", rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), "api_bad_path", rejection.body_text())
    }
}

/// A JSON body, refused in our own shape.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match timeout(BODY_TIMEOUT, Json::<T>::from_request(request, state)).await {
            Ok(read) => Ok(Self(read?.0)),
            Err(_) => {
                let message = "the body of the request did not come in time: try again";
                Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "api_bad_body", message))
            }
        }
    }
}

/// A query string, refused in our own shape.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let axum::extract::Query(value) =
            axum::extract::Query::<T>::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// A part of the path, refused in our own shape.
#[derive(Debug)]
pub(crate) struct Path(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let axum::extract::Path(part) =
            axum::extract::Path::<String>::from_request_parts(parts, state).await?;
        Ok(Self(part))
    }
}
