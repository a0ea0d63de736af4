//! How does this computer become a device of an account? From the code to the keys of a new home.

mod by_mail;

use std::{collections::BTreeSet, time::Duration};

use kith_core::{
    engine::LinkId,
    limits::LINK_CODE_MS,
    linking::{JoinStep, Joiner},
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

pub use self::by_mail::{Outcome, join_by_mail};
use crate::{
    home::Joined,
    network::{self, Network, NetworkConfig, NetworkEvent},
    random::OsRandom,
};

/// Frames that may wait; each may be a MiB.
const EVENTS_MAX: usize = 8;
/// Pause before the other device is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// Silence after which a person is told what may be wrong.
const SILENCE: Duration = Duration::from_secs(15);

const SAME_ACCOUNT: &str = "the code is of this very account: make one with `kith device link` on a \
    device of the other account, the one that is to stay";

/// What a person is told meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Both devices show this number now.
    Compare(&'a str),
    /// The other device does not answer.
    Silence,
}

/// Joins an account by a code. What comes back has no home yet.
///
/// # Errors
/// If the network does not start, or the code's time is over.
pub async fn join(mut joiner: Joiner, tell: impl FnMut(Progress<'_>)) -> anyhow::Result<Joined> {
    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    let network = Network::start(NetworkConfig::new(Vec::new()), events).await?;
    let account = converse(&mut joiner, &network, inbox, tell).await;
    network.shutdown().await;
    let account = account?;
    let (device, authority) = joiner.into_keys();
    Ok(Joined { account, device, authority })
}

async fn converse(
    joiner: &mut Joiner,
    network: &Network,
    mut inbox: mpsc::Receiver<NetworkEvent>,
    mut tell: impl FnMut(Progress<'_>),
) -> anyhow::Result<kith_common::account::Account> {
    let begin = Instant::now();
    let end = begin + Duration::from_millis(LINK_CODE_MS);
    let mut links: BTreeSet<u64> = BTreeSet::new();
    let mut retry = interval(RETRY);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silence = Some(begin + SILENCE);
    loop {
        let event = tokio::select! {
            event = inbox.recv() => event,
            _ = retry.tick() => {
                ask(joiner, network, &links);
                continue;
            }
            () = sleep_until(silence.unwrap_or(end)), if silence.is_some() => {
                silence = None;
                if joiner.check().is_none() {
                    tell(Progress::Silence);
                }
                continue;
            }
            () = sleep_until(end) => anyhow::bail!(
                "nobody confirmed this device within ten minutes: make a new code with \
                 `kith device link` and try again"
            ),
        };
        let Some(event) = event else { anyhow::bail!("the network has stopped: try again") };
        let (link, frame) = match event {
            NetworkEvent::Listening { .. } => continue,
            NetworkEvent::LinkUp { link, .. } => {
                links.insert(link.0);
                if joiner.check().is_none() {
                    say_hello(joiner, network, link);
                }
                continue;
            }
            NetworkEvent::LinkDown { link } => {
                links.remove(&link.0);
                joiner.link_down(LinkId(link.0));
                ask(joiner, network, &links);
                continue;
            }
            NetworkEvent::Frame { link, bytes } => (link, bytes),
        };
        match joiner.handle(LinkId(link.0), &frame, &mut OsRandom::new()) {
            Some(JoinStep::Compare { frame, check }) => {
                let _ = network.send(link, frame);
                tell(Progress::Compare(&check));
            }
            Some(JoinStep::Joined(account)) => return Ok(*account),
            Some(JoinStep::SameAccount) => anyhow::bail!(SAME_ACCOUNT),
            None => {}
        }
    }
}

/// Until the other device has answered: dials it, or asks it again.
fn ask(joiner: &Joiner, network: &Network, links: &BTreeSet<u64>) {
    if joiner.check().is_some() {
        return;
    }
    if links.is_empty() {
        network.dial(joiner.code().addresses.clone());
    }
    for link in links {
        say_hello(joiner, network, network::LinkId(*link));
    }
}

fn say_hello(joiner: &Joiner, network: &Network, link: network::LinkId) {
    if let Some(hello) = joiner.hello(&mut OsRandom::new()) {
        let _ = network.send(link, hello);
    }
}
