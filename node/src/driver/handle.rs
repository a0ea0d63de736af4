//! How do others ask something of the engine, or hear from it?

use std::{collections::BTreeMap, sync::Arc};

use kith_common::mail::MailboxUrl;
use kith_core::{
    engine::{Answer, Command, CommandError, Engine, LinkId},
    store::Store,
};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{NodeError, Notice, Question, Work};
use crate::{
    dht::Dht,
    mail::{Info, InfoError, Reach},
    network::{self, Network},
};

/// Talks to the engine's thread.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    pub(super) work: mpsc::Sender<Work>,
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) cut_off: watch::Sender<Option<CutOff>>,
    pub(super) network: Arc<Network>,
    pub(super) dht: Arc<Dht>,
    pub(super) reach: Arc<Reach>,
}

/// This device was cut off from the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutOff {
    /// Whether nothing can undo it.
    pub is_final: bool,
}

impl NodeHandle {
    /// Has a command carried out; returns after it is durable.
    ///
    /// # Errors
    /// If the node has stopped or its storage failed. Inside: why the command was refused.
    pub async fn command(
        &self,
        command: Command,
    ) -> Result<Result<Answer, CommandError>, NodeError> {
        let (reply, answer) = oneshot::channel();
        self.work.send(Work::Command(command, reply)).await.map_err(|_| NodeError::Stopped)?;
        answer.await.map_err(|_| NodeError::Stopped)?
    }

    /// Reads from the engine and its store.
    ///
    /// # Errors
    /// If the node has stopped.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Engine, &dyn Store) -> T + Send + 'static,
    ) -> Result<T, NodeError> {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |engine, store| {
            let _ = reply.send(question(engine, store));
        });
        self.work.send(Work::Question(question)).await.map_err(|_| NodeError::Stopped)?;
        answer.await.map_err(|_| NodeError::Stopped)
    }

    /// Listens to what happens from now on.
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Waits until this device is cut off from the account.
    pub async fn cut_off(&self) -> CutOff {
        let mut cut_off = self.cut_off.subscribe();
        let told = cut_off.wait_for(Option::is_some).await.ok().and_then(|told| *told);
        match told {
            Some(told) => told,
            None => std::future::pending().await,
        }
    }

    /// What the network refused, by kind.
    pub fn network_counters(&self) -> BTreeMap<&'static str, u64> {
        self.network.counters()
    }

    /// This node's part in the distributed hash table, in numbers.
    pub fn dht_numbers(&self) -> [(&'static str, u64); 5] {
        self.dht.numbers()
    }

    /// How long the last lookups took that found something, in milliseconds.
    pub fn lookups_ms(&self) -> Vec<u64> {
        self.dht.lookups_ms()
    }

    /// Bootstraps through which others can reach this node now.
    pub fn relay_count(&self) -> usize {
        self.network.relay_count()
    }

    /// Whether a link leads through a relay; `None` if it is gone.
    pub fn is_relayed(&self, link: LinkId) -> Option<bool> {
        self.network.is_relayed(network::LinkId(link.0))
    }

    /// Asks a mailbox-server that the person is about to choose what it is.
    ///
    /// # Errors
    /// If nothing answers there, or no mailbox.
    pub async fn ask_mailbox(&self, url: &MailboxUrl) -> Result<Info, InfoError> {
        self.reach.ask_about(url).await
    }

    /// Ends the engine's thread after what is waiting.
    pub async fn stop(&self) {
        let _ = self.work.send(Work::Stop).await;
    }
}
