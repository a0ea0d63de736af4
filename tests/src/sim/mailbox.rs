//! What lies between people who are never there at once? Mailbox-servers, which die like anything.

use std::collections::BTreeMap;

use kith_common::{
    crypto,
    envelope::Signed,
    mail::{MailboxUrl, QueueAddress},
    own::MailboxSetting,
    service::{
        Code, Failure, Stamp,
        mailbox::{
            Close, Days, Done, Fetch, Fetched, Incarnation, Item, Open, Opened, Operation, Put,
            PutBody, Standing, Status, Stored,
        },
    },
    time::Timestamp,
};
use kith_core::{
    engine::{Command, Input},
    mail::{Errand, ErrandError, ErrandId},
};
use rand_core::Rng;

use super::{BEGIN_MS, Happening, World};

#[derive(Debug, Clone)]
struct Queue {
    writer: [u8; 32],
    incarnation: [u8; 16],
    days: Days,
    card: Option<Box<[u8]>>,
    blobs: Vec<(u64, Option<Box<[u8]>>, u64)>,
    next: u64,
    blobs_max: u16,
    bytes_max: u64,
}

/// Blobs that somebody records, for those who replay them.
const RECORDED_MAX: usize = 60;

/// A mailbox-server.
#[derive(Debug, Default)]
pub struct Mailbox {
    queues: BTreeMap<[u8; 32], Queue>,
    /// Whether it answers.
    pub is_up: bool,
}

/// A request that waits for something to come.
#[derive(Debug)]
pub(crate) struct Waiting {
    node: usize,
    started_ms: u64,
    id: ErrandId,
    server: usize,
    body: Vec<u8>,
    until_ms: u64,
}

impl Mailbox {
    fn answer(
        &mut self,
        now_ms: u64,
        operation: Operation,
        body: &[u8],
        rng: &mut impl Rng,
    ) -> Result<Vec<u8>, Failure> {
        let bad = |_| Failure::from(Code::Malformed);
        let now_ms = BEGIN_MS + now_ms;
        for queue in self.queues.values_mut() {
            queue.blobs.retain(|(_, _, end)| *end > now_ms);
        }
        Ok(match operation {
            Operation::Open => {
                let open = Signed::<Open>::decode(body)
                    .map_err(bad)?
                    .verify()
                    .map_err(|_| Failure::from(Code::BadSignature))?;
                let mut incarnation = [0; 16];
                rng.fill_bytes(&mut incarnation);
                let value = open.value();
                let queue = self.queues.entry(*open.signer()).or_insert_with(|| Queue {
                    writer: value.writer,
                    incarnation,
                    days: value.days,
                    card: None,
                    blobs: vec![],
                    next: 1,
                    blobs_max: value.blobs_max,
                    bytes_max: value.bytes_max,
                });
                queue.card.clone_from(&value.card);
                Opened {
                    incarnation: Incarnation::from_bytes(queue.incarnation),
                    blobs_max: 512,
                    bytes_max: 1 << 23,
                }
                .encode()
            }
            Operation::Put => {
                let body = PutBody::decode(body).map_err(bad)?;
                let put = Signed::<Put>::decode(body.put)
                    .map_err(bad)?
                    .verify()
                    .map_err(|_| Failure::from(Code::BadSignature))?;
                assert_eq!(put.value().hash, crypto::hash_plain(body.blob));
                let queue = self
                    .queues
                    .values_mut()
                    .find(|q| q.writer == *put.signer())
                    .ok_or(Failure::from(Code::UnknownQueue))?;
                let bytes: usize =
                    queue.blobs.iter().filter_map(|(_, b, _)| b.as_ref()).map(|b| b.len()).sum();
                let count = queue.blobs.iter().filter(|(_, b, _)| b.is_some()).count();
                let end = now_ms + queue.days.count() * 86_400_000;
                if count >= usize::from(queue.blobs_max)
                    || (bytes + body.blob.len()) as u64 > queue.bytes_max
                {
                    if queue.blobs.last().is_some_and(|(_, b, _)| b.is_some()) {
                        queue.blobs.push((queue.next, None, end));
                        queue.next += 1;
                    }
                    return Err(Code::Full.into());
                }
                if !queue.blobs.iter().any(|(_, b, _)| b.as_deref() == Some(body.blob)) {
                    queue.blobs.push((queue.next, Some(body.blob.into()), end));
                    queue.next += 1;
                }
                Stored { incarnation: Incarnation::from_bytes(queue.incarnation) }.encode()
            }
            Operation::Fetch => {
                let fetch = Signed::<Fetch>::decode(body)
                    .map_err(bad)?
                    .verify()
                    .map_err(|_| Failure::from(Code::BadSignature))?;
                let queue =
                    self.queues.get_mut(fetch.signer()).ok_or(Failure::from(Code::UnknownQueue))?;
                queue.blobs.retain(|(n, ..)| !fetch.value().delete.contains(n));
                let mut items = Vec::new();
                let mut bytes = 0;
                for (number, blob, _) in &queue.blobs {
                    bytes += blob.as_ref().map_or(0, |b| b.len());
                    if !items.is_empty() && bytes > 1 << 20 {
                        break;
                    }
                    items.push(Item { number: *number, blob: blob.clone() });
                }
                let more = items.len() < queue.blobs.len();
                Fetched { incarnation: Incarnation::from_bytes(queue.incarnation), items, more }
                    .encode()
            }
            Operation::Status => {
                let status = Signed::<Status>::decode(body).map_err(bad)?;
                let queue = self
                    .queues
                    .values()
                    .find(|q| q.writer == *status.signer())
                    .ok_or(Failure::from(Code::UnknownQueue))?;
                Standing {
                    incarnation: Incarnation::from_bytes(queue.incarnation),
                    days: queue.days,
                    card: queue.card.clone(),
                }
                .encode()
            }
            Operation::Close => {
                let close = Signed::<Close>::decode(body).map_err(bad)?;
                let signer = *close.signer();
                let before = self.queues.len();
                self.queues.retain(|owner, queue| *owner != signer && queue.writer != signer);
                if self.queues.len() == before {
                    return Err(Code::UnknownQueue.into());
                }
                Done.encode()
            }
        })
    }

    /// Blobs that lie there.
    pub fn blob_count(&self) -> usize {
        self.queues.values().map(|queue| queue.blobs.len()).sum()
    }
}

fn has_items(reply: &[u8]) -> bool {
    Fetched::decode(reply).is_ok_and(|fetched| !fetched.items.is_empty())
}

impl World {
    /// A mailbox-server; returns its number.
    pub fn mailbox(&mut self) -> usize {
        self.mailboxes.push(Mailbox { is_up: true, ..Mailbox::default() });
        self.mailboxes.len() - 1
    }

    /// Where a mailbox-server answers.
    pub fn mailbox_setting(&self, server: usize) -> MailboxSetting {
        let url = MailboxUrl::parse(&format!("https://box{server}.example")).expect("a name");
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
            let gone: Vec<Waiting> = std::mem::take(&mut self.waiting);
            for waiting in gone {
                if waiting.server == server {
                    self.reply_errand(waiting.node, waiting.started_ms, waiting.id, Err(away()));
                } else {
                    self.waiting.push(waiting);
                }
            }
        }
    }

    /// A mailbox-server loses everything and begins anew.
    pub fn wipe_mailbox(&mut self, server: usize) {
        self.set_mailbox(server, false);
        self.mailboxes[server] = Mailbox { is_up: true, ..Mailbox::default() };
    }

    /// Queues that a mailbox-server has.
    pub fn queues_at(&self, server: usize) -> usize {
        self.mailboxes[server].queues.len()
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

    fn put_into(&mut self, server: usize, queue: &QueueAddress, blob: &[u8]) {
        let now_ms = self.now_ms;
        let time = Timestamp::from_millis(BEGIN_MS + now_ms);
        let mut nonce = [0; 16];
        self.rng.fill_bytes(&mut nonce);
        let stamp = Stamp { audience: queue.url.audience().to_owned(), time, nonce };
        let body = PutBody::signed(&queue.seed.writer(), stamp, blob);
        // It may be full.
        let mailbox = &mut self.mailboxes[server];
        let _ = mailbox.answer(now_ms, Operation::Put, &body, &mut self.rng);
        self.wake_waiting();
    }

    /// Blobs that lie with a mailbox-server.
    pub fn blobs_at(&self, server: usize) -> usize {
        self.mailboxes[server].blob_count()
    }

    pub(crate) fn run_errand(&mut self, node: usize, errand: Errand) {
        self.tell(node, || format!("asks a mailbox: {errand:?}"));
        let started_ms = self.nodes[node].started_ms;
        let in_ms =
            1 + self.weather.latency_ms_min + self.below(1 + self.weather.latency_ms_spread);
        self.at(in_ms, Happening::Errand { node, started_ms, errand: Box::new(errand) });
    }

    pub(crate) fn errand_arrives(&mut self, node: usize, started_ms: u64, errand: Errand) {
        let host = errand.url.audience().to_owned();
        let server =
            (0..self.mailboxes.len()).find(|server| host == format!("box{server}.example"));
        let there = self.nodes[node].connected && !self.chance(self.weather.loss_per_mille);
        let Some(server) = server.filter(|server| there && self.mailboxes[*server].is_up) else {
            self.reply_errand(node, started_ms, errand.id, Err(away()));
            return;
        };
        let now_ms = self.now_ms;
        let reply =
            self.mailboxes[server].answer(now_ms, errand.operation, &errand.body, &mut self.rng);
        self.overhear_errand(&errand);
        let empty = reply
            .as_ref()
            .is_ok_and(|reply| errand.operation == Operation::Fetch && !has_items(reply));
        if empty && errand.wait_ms > 0 {
            let Errand { id, body, wait_ms, .. } = errand;
            let until_ms = now_ms + wait_ms;
            self.waiting.push(Waiting { node, started_ms, id, server, body, until_ms });
            self.at(wait_ms, Happening::Mail);
            return;
        }
        self.reply_errand(node, started_ms, errand.id, reply.map_err(ErrandError::Refused));
        if errand.operation == Operation::Put {
            self.letters_put += 1;
            self.wake_waiting();
        }
    }

    pub(crate) fn wake_waiting(&mut self) {
        let now_ms = self.now_ms;
        for waiting in std::mem::take(&mut self.waiting) {
            let mailbox = &mut self.mailboxes[waiting.server];
            let reply = mailbox.answer(now_ms, Operation::Fetch, &waiting.body, &mut self.rng);
            let done =
                waiting.until_ms <= now_ms || reply.as_ref().map_or(true, |reply| has_items(reply));
            if done {
                let Waiting { node, started_ms, id, .. } = waiting;
                self.reply_errand(node, started_ms, id, reply.map_err(ErrandError::Refused));
            } else {
                self.waiting.push(waiting);
            }
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

    fn reply_errand(
        &mut self,
        node: usize,
        started_ms: u64,
        id: ErrandId,
        reply: Result<Vec<u8>, ErrandError>,
    ) {
        let in_ms = 1 + self.below(1 + self.weather.latency_ms_spread);
        // What was stored may be answered in vain.
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
        if self.nodes[node].mail_joiner.is_some() {
            self.joiner_answered(node, id, reply);
        } else if self.nodes[node].is_running() {
            self.input(node, Input::Errand { id, reply });
        }
    }
}

fn away() -> ErrandError {
    ErrandError::Unreachable("nobody answers".to_owned())
}
