//! How does a test ask a node without a process for every question? HTTP with the key of the home.

use std::{path::Path, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use ureq::http;

use super::Events;

/// Messages in one page, the most that the API gives.
const PAGE: usize = 1000;

/// Talks to one run of a node. Clones share connections.
#[derive(Debug, Clone, Deserialize)]
pub struct Api {
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// The programs' key.
    pub key: String,
    #[serde(skip, default = "agent")]
    agent: ureq::Agent,
}

/// An answer of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON, null if there was none.
    pub body: Value,
}

impl Reply {
    /// What was asked for.
    ///
    /// # Panics
    /// If it was refused.
    pub fn value(self) -> Value {
        assert_eq!(self.status, 200, "refused: {}", self.body);
        self.body
    }

    /// The stable name of a refusal.
    pub fn code(&self) -> &str {
        self.body.pointer("/error/code").and_then(Value::as_str).unwrap_or_default()
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq)]
pub enum SendFailed {
    /// No answer came: it may be written or not.
    NoAnswer,
    /// The node said no.
    Refused(Reply),
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Who wrote it.
    pub author: Author,
    /// What is said.
    pub text: String,
    /// The message that it answers.
    pub reply_to: Option<String>,
    /// How far it got, for those of the asked node.
    pub state: Option<String>,
    /// What its writer had seen last.
    pub parents: Vec<String>,
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Author {
    /// The account as a shared string.
    pub account: String,
    /// As the asked node calls them.
    pub name: String,
    /// Whether it is the asked node's own person.
    pub me: bool,
}

impl Api {
    /// Reads where a node listens and its key.
    pub(super) fn open(file: &Path) -> Self {
        let text = std::fs::read_to_string(file).expect("a running node has written api.json");
        serde_json::from_str(&text).expect("api.json is JSON")
    }

    /// Reads.
    pub fn get(&self, path: &str) -> Reply {
        let asked = self.agent.get(self.url(path)).header("authorization", self.bearer()).call();
        read(asked).expect("the node answers")
    }

    /// Does something.
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.try_post(path, body).expect("the node answers")
    }

    /// Does something; `None` if no answer came.
    pub fn try_post(&self, path: &str, body: &Value) -> Option<Reply> {
        let asked = self.agent.post(self.url(path)).header("authorization", self.bearer());
        read(asked.send_json(body))
    }

    /// Replaces something.
    pub fn put(&self, path: &str, body: &Value) -> Reply {
        let asked = self.agent.put(self.url(path)).header("authorization", self.bearer());
        read(asked.send_json(body)).expect("the node answers")
    }

    /// Ends something.
    pub fn delete(&self, path: &str) -> Reply {
        let asked = self.agent.delete(self.url(path)).header("authorization", self.bearer()).call();
        read(asked).expect("the node answers")
    }

    /// Sends a message; its id.
    ///
    /// # Errors
    /// If it was refused or no answer came.
    pub fn send(
        &self,
        contact: &str,
        text: &str,
        reply_to: Option<&str>,
    ) -> Result<String, SendFailed> {
        let body = json!({ "text": text, "reply_to": reply_to });
        let reply = self.try_post(&messages(contact), &body).ok_or(SendFailed::NoAnswer)?;
        match reply.body.get("id").and_then(Value::as_str) {
            Some(id) if reply.status == 200 => Ok(id.to_owned()),
            _ => Err(SendFailed::Refused(reply)),
        }
    }

    /// Whether a message is in a conversation.
    pub fn has(&self, contact: &str, id: &str) -> bool {
        self.get(&format!("{}?limit=1&before={id}", messages(contact))).status == 200
    }

    /// A whole conversation, page by page, oldest first.
    pub fn history(&self, contact: &str) -> Vec<Message> {
        let mut pages: Vec<Vec<Message>> = Vec::new();
        loop {
            let oldest = pages.last().and_then(|page| page.first());
            let above = oldest.map(|message| format!("&before={}", message.id)).unwrap_or_default();
            let path = format!("{}?limit={PAGE}{above}", messages(contact));
            let page = self.get(&path).value();
            let page: Vec<Message> =
                serde_json::from_value(page).expect("messages have this shape");
            let full = page.len() == PAGE;
            pages.push(page);
            if !full {
                return pages.into_iter().rev().flatten().collect();
            }
        }
    }

    /// How often something of this name was refused.
    pub fn refusals(&self, name: &str) -> u64 {
        let status = self.get("/api/status").value();
        let count = status.get("refusals").and_then(|refusals| refusals.get(name));
        count.and_then(Value::as_u64).unwrap_or(0)
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        let asked = self.agent.get(self.url("/api/events")).header("authorization", self.bearer());
        let endless = asked.config().timeout_global(None).build().call();
        Events::read(endless.expect("the node tells what happens").into_body().into_reader())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.key)
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

fn messages(contact: &str) -> String {
    format!("/api/contacts/{}/messages", kith::client::escape(contact))
}

fn read(asked: Result<http::Response<ureq::Body>, ureq::Error>) -> Option<Reply> {
    let mut response = asked.ok()?;
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string().ok()?;
    Some(Reply { status, body: serde_json::from_str(&text).unwrap_or_default() })
}
