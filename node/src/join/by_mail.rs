//! How does this computer become a device of an account whose other device is never there? It asks
//! the mailbox of the code for a while, then ends; the next time it goes on (spec 08).

use std::sync::Arc;

use kith_common::{account::Account, time::Uptime};
use kith_core::{
    engine::{Input, LinkId},
    linking::{JoinStep, MailJoiner},
};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{EVENTS_MAX, Progress, RETRY};
use crate::{
    clock::wall_clock,
    mail::{Answered, Carrier, Reach},
    network::{Network, NetworkConfig, NetworkEvent},
    random::OsRandom,
};

/// How long an answer is waited for once there is nothing more to say: the other device may be there.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the mailbox is tried.
const TRIES: Duration = Duration::from_secs(60);

/// How far a joining device has come.
#[derive(Debug)]
pub enum Outcome {
    /// The account has taken it in.
    Joined(Box<Account>),
    /// The other device is to be started, then this one again.
    Waiting {
        /// The number that both show, if there is one yet.
        check: Option<String>,
    },
}

struct Session<'k> {
    joiner: &'k mut MailJoiner,
    keep: &'k mut dyn FnMut(&MailJoiner) -> anyhow::Result<()>,
    carrier: Carrier,
    begin: Instant,
}

impl Session<'_> {
    fn uptime(&self) -> Uptime {
        let ms = self.begin.elapsed().as_millis();
        Uptime::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    /// What was learnt is kept before anything is asked that follows from it.
    fn go_on(&mut self) -> anyhow::Result<()> {
        (self.keep)(self.joiner)?;
        let now = (wall_clock(), self.uptime());
        for errand in self.joiner.poll(now, &mut OsRandom::new()) {
            self.carrier.send(errand);
        }
        Ok(())
    }

    fn wake(&self) -> Instant {
        let at = self.joiner.deadline().unwrap_or(self.uptime().plus_millis(60_000));
        // Without a pause nothing else would get its turn.
        (self.begin + Duration::from_millis(at.millis())).max(Instant::now() + PAUSE)
    }

    fn answered(&mut self, answered: Answered) -> Option<JoinStep> {
        let Some(Input::Errand { id, reply }) = self.carrier.input(answered) else { return None };
        let now = (wall_clock(), self.uptime());
        self.joiner.handle((id, reply), now, &mut OsRandom::new())
    }
}

const PAUSE: Duration = Duration::from_millis(10);

/// Joins an account by a code, as far as it gets now. Whatever changes is given to `keep` first.
///
/// # Errors
/// If the network does not start, nothing can be kept, the mailbox does not answer, or the code is
/// of the very account that the device has.
pub async fn join_by_mail(
    joiner: &mut MailJoiner,
    reach: Arc<Reach>,
    keep: &mut dyn FnMut(&MailJoiner) -> anyhow::Result<()>,
    mut tell: impl FnMut(Progress<'_>),
) -> anyhow::Result<Outcome> {
    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    let network = Network::start(NetworkConfig::new(Vec::new()), events).await?;
    let (answers, answered) = mpsc::channel(EVENTS_MAX);
    let carrier = Carrier::start(reach, answers);
    let mut session = Session { joiner, keep, carrier, begin: Instant::now() };
    let outcome = converse(&mut session, &network, (inbox, answered), &mut tell).await;
    network.shutdown().await;
    outcome
}

async fn converse(
    session: &mut Session<'_>,
    network: &Network,
    (mut inbox, mut answers): (mpsc::Receiver<NetworkEvent>, mpsc::Receiver<Answered>),
    tell: &mut impl FnMut(Progress<'_>),
) -> anyhow::Result<Outcome> {
    let mut progress = Instant::now();
    let mut retry = interval(RETRY);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_posted = false;
    if let Some(check) = session.joiner.check() {
        tell(Progress::Compare(check));
    }
    session.go_on()?;
    loop {
        let patience = if is_posted { PATIENCE } else { TRIES };
        let step = tokio::select! {
            event = inbox.recv() => {
                let Some(event) = event else { anyhow::bail!("the network has stopped: try again") };
                heard(session, network, event)
            }
            answered = answers.recv() => answered.and_then(|answered| session.answered(answered)),
            _ = retry.tick() => {
                network.dial(session.joiner.code().addresses.clone());
                None
            }
            () = sleep_until(session.wake()) => None,
            () = sleep_until(progress + patience) => return ended(session, is_posted),
        };
        match step {
            Some(JoinStep::Compare { check, .. }) => {
                progress = Instant::now();
                tell(Progress::Compare(&check));
            }
            Some(JoinStep::Joined(account)) => {
                (session.keep)(session.joiner)?;
                return Ok(Outcome::Joined(account));
            }
            Some(JoinStep::SameAccount) => anyhow::bail!(super::SAME_ACCOUNT),
            None => {}
        }
        for answered in session.carrier.returned() {
            session.answered(answered);
        }
        session.go_on()?;
        if session.joiner.is_posted() != is_posted {
            is_posted = session.joiner.is_posted();
            progress = Instant::now();
        }
    }
}

/// The other device is there all the same.
fn heard(session: &mut Session<'_>, network: &Network, event: NetworkEvent) -> Option<JoinStep> {
    let rng = &mut OsRandom::new();
    match event {
        NetworkEvent::LinkUp { link, .. } => {
            let hello = session.joiner.hello(rng)?;
            let _ = network.send(link, hello);
            None
        }
        NetworkEvent::Frame { link, bytes } => {
            let uptime = session.uptime();
            let step = session.joiner.handle_frame((LinkId(link.0), &bytes), uptime, rng)?;
            if let JoinStep::Compare { frame, .. } = &step {
                let _ = network.send(link, frame.clone());
            }
            Some(step)
        }
        NetworkEvent::Listening { .. } | NetworkEvent::LinkDown { .. } => None,
    }
}

fn ended(session: &Session<'_>, is_posted: bool) -> anyhow::Result<Outcome> {
    if !is_posted {
        let why = session.joiner.trouble().unwrap_or("it does not answer").to_owned();
        anyhow::bail!(
            "nothing could be left in the mailbox of the code: {why}. Nothing is lost: the same \
             command goes on"
        );
    }
    Ok(Outcome::Waiting { check: session.joiner.check().map(str::to_owned) })
}
