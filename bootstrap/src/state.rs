//! What do requests over HTTP share with the driver?

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::ensure;
use futures::future::BoxFuture;
use kith_server::{DataFolder, Health, metrics::Page};
use libp2p::{Multiaddr, PeerId};

use crate::{metrics::Numbers, turn::Turn};

/// Shared by all.
#[derive(Debug)]
pub(crate) struct State {
    /// Keeps other bootstraps away from the key.
    pub(crate) _folder: DataFolder,
    pub(crate) own: PeerId,
    /// The other bootstraps, as the operator named them.
    pub(crate) peers: Vec<String>,
    pub(crate) turn: Option<Turn>,
    pub(crate) addresses: Mutex<Vec<String>>,
    pub(crate) numbers: Mutex<Numbers>,
}

impl State {
    /// Where we are reached, with our peer id.
    pub(crate) fn addresses(&self) -> Vec<String> {
        whole(&self.addresses).clone()
    }

    pub(crate) fn tell_addresses(&self, addresses: &[Multiaddr]) {
        let told = addresses.iter().map(|address| format!("{address}/p2p/{}", self.own));
        *whole(&self.addresses) = told.collect();
    }

    pub(crate) fn tell_numbers(&self, numbers: Numbers) {
        *whole(&self.numbers) = numbers;
    }
}

/// What is in there is whole after every statement, whatever happened to a thread.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Health for State {
    fn ready(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            let is_ready = whole(&self.numbers).is_ready;
            ensure!(is_ready, "not listening, or other bootstraps were not dialled yet");
            Ok(())
        })
    }

    fn measure(&self, page: &mut Page) {
        let numbers = whole(&self.numbers).clone();
        numbers.write(page);
    }

    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
