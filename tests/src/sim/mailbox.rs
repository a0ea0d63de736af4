//! What lies between people who are never there at once? Mailbox-servers, which die like anything.
//!
//! The tables and rules are those of the real server; only HTTP is left out. A fetch that finds
//! nothing waits here; when something was put, its client looks again.

use kith_common::{
    envelope::{Signed, sign},
    keys::SigningKey,
    mail::{MailboxUrl, QueueAddress},
    own::MailboxSetting,
    service::{
        Code, Failure, Stamp,
        mailbox::{Close, Days, Fetched, Incarnation, Open, Operation, Put, PutBody, Stored},
    },
    time::Timestamp,
};
use kith_core::{
    engine::{Command, Input, Output},
    mail::{Errand, ErrandError, ErrandId},
};
use mailbox_server::{
    mailbox::Bounds,
    store::sqlite::{Tables, answer},
};
use rand_core::Rng;

use super::{BEGIN_MS, Happening, World};

/// Blobs that a sweep of a mailbox-server looks at.
const SWEPT_MAX: usize = 1000;

/// Blobs that somebody records, for those who replay them.
const RECORDED_MAX: usize = 60;

/// A mailbox-server.
#[derive(Debug)]
pub struct Mailbox {
    tables: Tables,
    /// Whether it answers.
    pub is_up: bool,
    /// Whether it says after each put that it has just begun.
    is_forgetful: bool,
    /// Whether somebody has taken a queue over.
    is_seized: bool,
}

impl Mailbox {
    fn new() -> Self {
        let bounds = Bounds {
            queues_max: 10_000,
            bytes_max: 1 << 32,
            queue_blobs_max: u16::MAX,
            queue_bytes_max: 1 << 32,
        };
        let tables = Tables::in_memory(bounds).expect("there is memory");
        Self { tables, is_up: true, is_forgetful: false, is_seized: false }
    }
}

/// A request that waits for something to come.
#[derive(Debug)]
pub(crate) struct Waiting {
    node: usize,
    started_ms: u64,
    id: ErrandId,
    server: usize,
    nothing: Vec<u8>,
    until_ms: u64,
}

impl World {
    /// A mailbox-server; returns its number.
    pub fn mailbox(&mut self) -> usize {
        self.mailboxes.push(Mailbox::new());
        self.mailboxes.len() - 1
    }

    /// Where a mailbox-server answers.
    pub fn mailbox_setting(&self, server: usize) -> MailboxSetting {
        let url = MailboxUrl::parse(&format!("https://{}", host(server))).expect("a name");
        MailboxSetting { url, days: Days::Seven, access: String::new() }
    }

    /// A person chooses mailboxes, on one device.
    pub fn choose_mailboxes(&mut self, node: usize, servers: &[usize]) {
        let list = servers.iter().map(|server| self.mailbox_setting(*server)).collect();
        self.command(node, Command::SetMailboxes(list));
    }

    /// A mailbox-server goes down or comes back.
    pub fn set_mailbox(&mut self, server: usize, is_up: bool) {
        self.mailboxes[server].is_up = is_up;
        if !is_up {
            self.end_waiting(server, |_| Err(away()));
        }
    }

    /// A mailbox-server loses everything and begins anew.
    pub fn wipe_mailbox(&mut self, server: usize) {
        self.set_mailbox(server, false);
        self.mailboxes[server] = Mailbox::new();
    }

    /// Queues that a mailbox-server has.
    pub fn queues_at(&self, server: usize) -> u64 {
        self.mailboxes[server].tables.totals().queues
    }

    /// Somebody who may write into a queue fills it with what is sealed for it and says nothing, and
    /// with what lay there before.
    pub fn flood_queue(&mut self, server: usize, queue: &QueueAddress, blobs: usize) {
        for number in 0..blobs {
            let junk = vec![u8::try_from(number % 251).unwrap_or(0); number * 7];
            let blob = queue.seed.seal_blob(&junk, 4096, &mut self.rng).expect("it fits");
            self.put_into(server, queue, &blob);
        }
        self.replay_blobs(server, queue);
    }

    /// Somebody puts everything that ever lay with a mailbox-server into a queue.
    pub fn replay_blobs(&mut self, server: usize, queue: &QueueAddress) {
        for blob in self.recorded.clone() {
            self.put_into(server, queue, &blob);
        }
    }

    /// From now on a mailbox-server says after each put that it has just begun anew.
    pub fn make_forgetful(&mut self, server: usize) {
        self.mailboxes[server].is_forgetful = true;
    }

    /// Somebody who may write into a queue closes it, and opens one of their own for the same writers.
    ///
    /// # Panics
    /// If that does not work.
    pub fn seize_queue(&mut self, server: usize, queue: &QueueAddress) {
        let time = Timestamp::from_millis(BEGIN_MS + self.now_ms);
        let writer = queue.seed.writer();
        let thief = SigningKey::random(&mut self.rng);
        let mut stamp = || {
            let mut nonce = [0; 16];
            self.rng.fill_bytes(&mut nonce);
            Stamp { audience: queue.url.audience().to_owned(), time, nonce }
        };
        let close = sign(&writer, Close { stamp: stamp() }).into_bytes();
        let open = Open {
            stamp: stamp(),
            writer: *writer.public(),
            days: queue.days,
            blobs_max: 100,
            bytes_max: 1 << 20,
            card: None,
            access: None,
        };
        let open = sign(&thief, open).into_bytes();
        for (operation, body) in [(Operation::Close, close), (Operation::Open, open)] {
            let tables = &mut self.mailboxes[server].tables;
            let body = body.into_vec().into();
            let done = answer(tables, &host(server), time, operation, &body, &mut self.rng);
            assert!(done.is_ok(), "{operation:?}: {done:?}");
        }
        self.mailboxes[server].is_seized = true;
        self.end_waiting(server, Ok);
    }

    fn put_into(&mut self, server: usize, queue: &QueueAddress, blob: &[u8]) {
        let time = Timestamp::from_millis(BEGIN_MS + self.now_ms);
        let mut nonce = [0; 16];
        self.rng.fill_bytes(&mut nonce);
        let stamp = Stamp { audience: queue.url.audience().to_owned(), time, nonce };
        let body = PutBody::signed(&queue.seed.writer(), stamp, blob).into();
        let tables = &mut self.mailboxes[server].tables;
        // It may be full.
        let _ = answer(tables, &host(server), time, Operation::Put, &body, &mut self.rng);
        self.end_waiting(server, Ok);
    }

    /// Blobs that lie with a mailbox-server.
    pub fn blobs_at(&mut self, server: usize) -> u64 {
        let now = Timestamp::from_millis(BEGIN_MS + self.now_ms);
        let tables = &mut self.mailboxes[server].tables;
        while tables.sweep(now, SWEPT_MAX).expect("memory does not fail") {}
        tables.totals().blobs
    }

    pub(crate) fn run_errand(&mut self, node: usize, errand: Errand) {
        self.tell(node, || format!("asks a mailbox: {errand:?}"));
        self.note_owner(node, &errand);
        let started_ms = self.nodes[node].started_ms;
        let spread_ms = self.below(1 + self.weather.latency_ms_spread);
        let in_ms = 1 + self.weather.latency_ms_min + spread_ms;
        self.at(in_ms, Happening::Errand { node, started_ms, errand: Box::new(errand) });
    }

    /// Nothing is put for a device that the writer knows to be out.
    pub(crate) fn check_written_to(&self, node: usize, outputs: &[Output]) {
        for output in outputs {
            let Output::Errand(Errand { operation: Operation::Put, body, .. }) = output else {
                continue;
            };
            let put = PutBody::decode(body).expect("our own request can be read");
            let put = Signed::<Put>::decode(put.put).expect("our own request can be read");
            let Some(owner) = self.queue_owners.get(put.signer()) else { continue };
            let (name, device) = (&self.nodes[*owner].name, self.nodes[*owner].device);
            let trusted = self.nodes[node].engine().is_trusted(device);
            assert!(trusted, "{} writes to {name}", self.nodes[node].name);
        }
    }

    /// Whose queues are whose.
    fn note_owner(&mut self, node: usize, errand: &Errand) {
        if errand.operation == Operation::Open && self.nodes[node].engine.is_some() {
            let open = Signed::<Open>::decode(&errand.body).expect("our own request can be read");
            self.queue_owners.insert(open.claim().writer, node);
        }
    }

    pub(crate) fn errand_arrives(&mut self, node: usize, started_ms: u64, errand: Errand) {
        let there = self.nodes[node].connected && !self.chance(self.weather.loss_per_mille);
        let named = |server: &usize| host(*server) == errand.url.audience();
        let server = (0..self.mailboxes.len()).find(named);
        let Some(server) = server.filter(|server| there && self.mailboxes[*server].is_up) else {
            self.reply_errand((node, started_ms, errand.id), Err(away()));
            return;
        };
        self.overhear_errand(&errand);
        let Errand { id, operation, body, wait_ms, .. } = errand;
        let now = Timestamp::from_millis(BEGIN_MS + self.now_ms);
        let tables = &mut self.mailboxes[server].tables;
        let body = body.into();
        let mut reply = answer(tables, &host(server), now, operation, &body, &mut self.rng);
        if self.mailboxes[server].is_forgetful && operation == Operation::Put && reply.is_ok() {
            let mut incarnation = [0; 16];
            self.rng.fill_bytes(&mut incarnation);
            let incarnation = Incarnation::from_bytes(incarnation);
            reply = Ok(Stored { incarnation }.encode());
        }
        if let Err(failure) = &reply {
            let is_seized = self.mailboxes[server].is_seized && failure.code == Code::Taken;
            let fault = is_fault(failure) && self.nodes[node].honest && !is_seized;
            assert!(!fault, "{}: {operation:?} is refused: {failure}", self.nodes[node].name);
        }
        if operation == Operation::Put && reply.is_ok() {
            self.letters_put += 1;
            self.end_waiting(server, Ok);
        }
        if operation == Operation::Fetch
            && wait_ms > 0
            && reply.as_ref().is_ok_and(|reply| is_empty(reply))
        {
            let until_ms = self.now_ms + wait_ms;
            let nothing = reply.unwrap_or_default();
            self.waiting.push(Waiting { node, started_ms, id, server, nothing, until_ms });
            self.at(wait_ms, Happening::Mail);
            return;
        }
        self.reply_errand((node, started_ms, id), reply.map_err(ErrandError::Refused));
    }

    /// Those who wait at a mailbox-server get an answer.
    fn end_waiting(
        &mut self,
        server: usize,
        answer: impl Fn(Vec<u8>) -> Result<Vec<u8>, ErrandError>,
    ) {
        let (here, others) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|it: &Waiting| it.server == server);
        self.waiting = others;
        for Waiting { node, started_ms, id, nothing, .. } in here {
            self.reply_errand((node, started_ms, id), answer(nothing));
        }
    }

    /// Those who have waited long enough get an answer.
    pub(crate) fn wake_waiting(&mut self) {
        let now_ms = self.now_ms;
        let (over, others) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|it: &Waiting| it.until_ms <= now_ms);
        self.waiting = others;
        for Waiting { node, started_ms, id, nothing, .. } in over {
            self.reply_errand((node, started_ms, id), Ok(nothing));
        }
    }

    /// Somebody records what is put.
    fn overhear_errand(&mut self, errand: &Errand) {
        if errand.operation == Operation::Put
            && self.recorded.len() < RECORDED_MAX
            && let Ok(put) = PutBody::decode(&errand.body)
        {
            self.recorded.push(put.blob.to_vec());
        }
    }

    /// What was done may be answered in vain.
    fn reply_errand(
        &mut self,
        (node, started_ms, id): (usize, u64, ErrandId),
        reply: Result<Vec<u8>, ErrandError>,
    ) {
        let in_ms = 1 + self.below(1 + self.weather.latency_ms_spread);
        let lost = self.chance(self.weather.loss_per_mille);
        let reply = if lost { Err(away()) } else { reply };
        self.at(in_ms, Happening::Answer { node, started_ms, id, reply });
    }

    pub(crate) fn errand_answered(
        &mut self,
        node: usize,
        started_ms: u64,
        id: ErrandId,
        reply: Result<Vec<u8>, ErrandError>,
    ) {
        if self.nodes[node].started_ms != started_ms {
            return;
        }
        if let Err(error) = &reply {
            self.tell(node, || format!("errand {} came to nothing: {error:?}", id.0));
        }
        if self.nodes[node].mail_joiner.is_some() {
            self.joiner_answered(node, id, reply);
        } else if self.nodes[node].is_running() {
            if let Err(error) = &reply {
                self.tell(node, || format!("errand {} came to nothing: {error:?}", id.0));
            }
            self.input(node, Input::Errand { id, reply });
        }
    }
}

/// How a mailbox-server is called.
fn host(server: usize) -> String {
    format!("box{server}.example")
}

fn is_empty(reply: &[u8]) -> bool {
    Fetched::decode(reply).is_ok_and(|fetched| fetched.items.is_empty())
}

fn away() -> ErrandError {
    ErrandError::Unreachable("nobody answers".to_owned())
}

/// Whether an honest node should never have caused this.
const fn is_fault(failure: &Failure) -> bool {
    matches!(
        failure.code,
        Code::Malformed | Code::BadClass | Code::BadSignature | Code::Replayed | Code::Taken
    )
}
