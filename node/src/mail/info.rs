//! What does a server say of itself, before it is chosen? (`GET /v1/info`, spec 20)

use hyper::{Method, StatusCode, body::Bytes};
use kith_common::mail::MailboxUrl;
use serde::Deserialize;
use thiserror::Error;

use super::{
    Reach,
    connection::{Question, Silence},
    courier::unexpected,
    limits::{ANSWER_TIMEOUT, INFO_BYTES_MAX},
};

/// What a mailbox-server says of itself; there may be more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Info {
    /// What it is.
    service: String,
    /// Whether only who says a word may open queues.
    #[serde(default)]
    pub access: bool,
}

/// Why a server cannot be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InfoError {
    /// No answer. The text is a sentence about the server.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that no mailbox would give.
    #[error("what answers there is no mailbox: check the address")]
    NoMailbox,
}

/// What a mailbox-server calls itself.
const SERVICE: &str = "kith-mailbox";

impl Reach {
    /// Asks a server that the person is about to choose, on a connection of its own.
    ///
    /// # Errors
    /// If nothing answers there, or no mailbox.
    pub async fn ask_about(&self, url: &MailboxUrl) -> Result<Info, InfoError> {
        let (status, body) = self
            .fetch_info(url)
            .await
            .map_err(|silence| InfoError::Unreachable(silence.sentence()))?;
        if status.is_redirection() || status.is_server_error() {
            return Err(InfoError::Unreachable(unexpected(status)));
        }
        let info: Option<Info> = serde_json::from_slice(&body).ok();
        info.filter(|info| status == StatusCode::OK && info.service == SERVICE)
            .ok_or(InfoError::NoMailbox)
    }

    async fn fetch_info(&self, url: &MailboxUrl) -> Result<(StatusCode, Vec<u8>), Silence> {
        let _slot = self.writing.take().await;
        let mut connection = self.connector.open(url, true).await?;
        let question = Question {
            method: Method::GET,
            path: "/v1/info",
            kind: "application/json",
            body: Bytes::new(),
        };
        let answer = connection.ask(url, question, ANSWER_TIMEOUT).await?;
        let status = answer.status;
        let body = if status == StatusCode::OK {
            answer.read(INFO_BYTES_MAX, ANSWER_TIMEOUT).await?
        } else {
            Vec::new()
        };
        Ok((status, body))
    }
}
