//! How does the command line talk to the node? HTTP on loopback with the key from the home folder.

use std::{io::Read, path::Path, time::Duration};

use data_encoding::HEXLOWER;
use kith_common::keys::Secret;
use rand_core::Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::{
    api::{
        UNSURE_CODE, USAGE_CODE, secret,
        types::{Proof, hex},
    },
    proof::{self, NONCE_BYTES},
    random::OsRandom,
};

/// File in the home folder that says where the node listens and holds the programs' key.
pub const ACCESS_FILE: &str = "api.json";

/// How long a node may take to show that it is ours: it asks nobody for that.
const PROOF_TIMEOUT: Duration = Duration::from_secs(5);
/// A proof is far below this, in bytes.
const PROOF_BYTES_MAX: u64 = 1024;

/// How to reach the running node; the file is readable by its owner only.
#[derive(Serialize, Deserialize)]
#[expect(missing_debug_implementations, reason = "holds the key")]
pub struct Access {
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// Bearer token.
    pub key: String,
}

/// Why a request was not answered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nothing listens, or nothing that knows this home.
    #[error("the node is not running")]
    NotRunning,
    /// More must be said, and what.
    #[error("{0}")]
    Usage(String),
    /// The node said no, but would do it if told to all the same.
    #[error("{0}")]
    Unsure(String),
    /// The node said no, and why.
    #[error("{0}")]
    Refused(String),
}

/// Talks to the node of one home folder.
#[expect(missing_debug_implementations, reason = "holds the key")]
pub struct Client {
    access: Access,
    agent: ureq::Agent,
}

impl Client {
    /// Finds the node of a home folder and has it show that it is the one. What a killed node left
    /// behind may lead to another program: nothing is sent to who cannot show it.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] if none has been started there, or another program answers.
    pub fn open(home: &Path) -> Result<Self, ClientError> {
        let text =
            std::fs::read_to_string(home.join(ACCESS_FILE)).map_err(|_| ClientError::NotRunning)?;
        let access: Access = serde_json::from_str(&text).map_err(|_| ClientError::NotRunning)?;
        let key = secret(&access.key).ok_or(ClientError::NotRunning)?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .build()
            .into();
        let client = Self { access, agent };
        if client.shows_that_it_knows(&key) { Ok(client) } else { Err(ClientError::NotRunning) }
    }

    fn shows_that_it_knows(&self, key: &Secret<32>) -> bool {
        let mut nonce = [0; NONCE_BYTES];
        OsRandom::new().fill_bytes(&mut nonce);
        let question = self.agent.get(self.url(&format!("/api/proof?nonce={}", hex(&nonce))));
        let question = question.config().timeout_global(Some(PROOF_TIMEOUT)).build();
        let answer = question.call().ok().and_then(|mut answer| {
            let reader = answer.body_mut().with_config().limit(PROOF_BYTES_MAX).reader();
            serde_json::from_reader::<_, Proof>(reader).ok()
        });
        let given = answer.and_then(|given| HEXLOWER.decode(given.proof.as_bytes()).ok());
        given.is_some_and(|given| proof::holds(key, &nonce, &given))
    }

    /// Reads.
    ///
    /// # Errors
    /// If the node is not running or refuses.
    pub fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.answer(self.agent.get(self.url(path)).header("authorization", self.key()).call())
    }

    /// Does something.
    ///
    /// # Errors
    /// If the node is not running or refuses.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let request = self.agent.post(self.url(path)).header("authorization", self.key());
        self.answer(request.send_json(body))
    }

    /// Replaces something.
    ///
    /// # Errors
    /// If the node is not running or refuses.
    pub fn put(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let request = self.agent.put(self.url(path)).header("authorization", self.key());
        self.answer(request.send_json(body))
    }

    /// Changes something.
    ///
    /// # Errors
    /// If the node is not running or refuses.
    pub fn patch(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let request = self.agent.patch(self.url(path)).header("authorization", self.key());
        self.answer(request.send_json(body))
    }

    /// Reads for as long as the node has something to say.
    ///
    /// # Errors
    /// If the node is not running or refuses.
    pub fn stream(&self, path: &str) -> Result<impl Read + use<>, ClientError> {
        let request = self.agent.get(self.url(path)).header("authorization", self.key());
        let response = request.call().map_err(|_| ClientError::NotRunning)?;
        if !response.status().is_success() {
            return Err(refusal(response));
        }
        Ok(response.into_body().into_reader())
    }

    /// Waits (ten seconds at most) until the node no longer answers; it may still be ending.
    pub fn wait_until_gone(&self) {
        for _ in 0..100 {
            if std::net::TcpStream::connect(&self.access.address).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.access.address)
    }

    fn key(&self) -> String {
        format!("Bearer {}", self.access.key)
    }

    fn answer(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, ClientError> {
        let response = response.map_err(|_| ClientError::NotRunning)?;
        if !response.status().is_success() {
            return Err(refusal(response));
        }
        document(response).ok_or(ClientError::NotRunning)
    }
}

/// What the node says; `None` if it is nothing that a node would say.
fn document(mut response: ureq::http::Response<ureq::Body>) -> Option<Value> {
    let reader = response.body_mut().with_config().limit(512 << 20).reader();
    serde_json::from_reader(reader).ok()
}

fn refusal(response: ureq::http::Response<ureq::Body>) -> ClientError {
    let status = response.status();
    if status == ureq::http::StatusCode::UNAUTHORIZED {
        // Another program listens where this home's node once did.
        return ClientError::NotRunning;
    }
    let value = document(response);
    let error = |field: &str| value.as_ref()?.pointer(field)?.as_str();
    let message = error("/error/message")
        .map_or_else(|| format!("the node refused this ({status})"), str::to_owned);
    match error("/error/code") {
        Some(USAGE_CODE) => ClientError::Usage(message),
        Some(UNSURE_CODE) => ClientError::Unsure(message),
        _ => ClientError::Refused(message),
    }
}

/// Escapes a text for one part of a path or query (RFC 3986 §2.1).
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(escape("Zoë/2 ?"), "Zo%C3%AB%2F2%20%3F");
    }
}
