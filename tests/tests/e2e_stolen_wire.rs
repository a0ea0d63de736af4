//! What does a stolen device still get over the wire? Everything that true nodes send to it is read
//! here as it comes out of the transport: before it was cut off all that a device gets, afterwards
//! what proves that it is out, and nothing else.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "tests and their helpers fail by panicking"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use kith::{
    home::{self, Passphrase, UnlockedKeys},
    network::{LinkId, Network, NetworkConfig, NetworkEvent},
};
use kith_common::{
    account::{Account, TransportCert},
    crypto,
    entry::{Entry, EntryKind, Text, hash_body},
    envelope::sign,
    frame::{CarriedEntry, Frame, TAG_BYTES},
    frontier::Frontier,
    ids::{DeviceId, EntryId, LogId},
    keys::SigningKey,
    limits::{BODY_SALT_BYTES, HELLO_TAGS_STEP},
    share::ContactCard,
    time::{Hlc, Timestamp},
};
use kith_tests::process::{PATIENCE, Person, until};
use tokio::sync::mpsc;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Longer than a node takes to answer whatever it will answer.
const LISTENS: Duration = Duration::from_secs(6);

/// The transport ids at both ends of a link, the own one first.
type Ends = [Box<[u8]>; 2];

/// Who has the keys of a stolen device, and plays no engine that would obey.
struct Thief {
    key: SigningKey,
    account: Account,
    log: LogId,
    /// Devices of Alice and Bob that may be at the other end.
    others: Vec<DeviceId>,
}

impl Thief {
    /// What was copied from a device before anybody noticed.
    fn steal(tablet: &Person, bob: &Person) -> Self {
        let UnlockedKeys { device, .. } =
            home::unlock(&tablet.home(), &Passphrase::None).expect("a home without a passphrase");
        let (own, other) = (card(tablet), card(bob));
        let log = LogId::direct(own.account.id(), other.account.id());
        let all = own.account.devices().chain(other.account.devices());
        let others = all.filter(|other| *other != device.device()).collect();
        Self { key: device, account: own.account, log, others }
    }

    /// Tags by which every device that knew this one recognises it.
    fn hello(&self, own: &[u8], peer: &[u8]) -> Vec<u8> {
        let tag = |other: &DeviceId| {
            let keys = self.key.pair_keys(*other).unwrap();
            let mut message = Vec::new();
            for part in [b"kith/hello/1".as_slice(), own, peer] {
                message.push(u8::try_from(part.len()).unwrap());
                message.extend_from_slice(part);
            }
            let hash = crypto::keyed_hash(&keys.send, &message);
            let mut tag = [0; TAG_BYTES];
            tag.copy_from_slice(&hash[..TAG_BYTES]);
            tag
        };
        let mut tags: Vec<[u8; TAG_BYTES]> = self.others.iter().map(tag).collect();
        tags.resize(HELLO_TAGS_STEP, [7; TAG_BYTES]);
        tags.sort_unstable();
        Frame::Hello { tags }.encode()
    }

    /// The proof of when the device still belonged.
    fn certificate(&self, own: &[u8], peer: &[u8]) -> Vec<u8> {
        let not_after = now().plus_millis(DAY_MS).millis();
        let cert = TransportCert { transport: own.into(), audience: peer.into(), not_after };
        let cert = sign(&self.key, cert).into_bytes();
        let proof = self.account.proof().to_vec();
        Frame::Certificate { cert, proof, addresses: vec![] }.encode()
    }

    /// That it has nothing and wants everything.
    fn asks(&self) -> Vec<u8> {
        let frontier = Frontier { log: self.log, received: vec![], read: vec![] };
        let frontiers = vec![sign(&self.key, frontier).into_bytes()];
        Frame::Frontiers { ask: true, frontiers }.encode()
    }

    /// A message, as if written long before.
    fn says(&self, text: &str) -> Vec<u8> {
        let body = Text { text: text.to_owned(), reply_to: None }.encode([1; BODY_SALT_BYTES]);
        let entry = Entry {
            log: self.log,
            account: self.account.id(),
            seq: 1,
            prev: None,
            parents: vec![],
            depth: 1,
            hlc: Hlc::at(Timestamp::from_millis(now().millis() - DAY_MS)),
            account_head: EntryId::from_bytes([0; 32]),
            kind: EntryKind::TEXT,
            body_hash: hash_body(&body),
            body_bytes: body.len() as u64,
        };
        let envelope = sign(&self.key, entry).into_bytes();
        let entries = vec![CarriedEntry { envelope, body: Some(body.into()) }];
        Frame::Entries { log: self.log, entries }.encode()
    }

    /// Connects to nodes, says all it can, and keeps the kinds of everything that comes back, by
    /// node. `meanwhile` goes on beside.
    fn listen(
        &self,
        nodes: &[&Person],
        meanwhile: impl FnOnce(),
    ) -> Vec<BTreeMap<&'static str, usize>> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let mut heard = vec![BTreeMap::new(); nodes.len()];
        runtime.block_on(async {
            let (events, mut inbox) = mpsc::channel(64);
            let network = Network::start(NetworkConfig::new(Vec::new()), events).await.unwrap();
            for node in nodes {
                network.dial(vec![format!("/ip4/127.0.0.1/tcp/{}", node.port())]);
            }
            let mut links: BTreeMap<u64, (usize, Ends)> = BTreeMap::new();
            let mut meanwhile = Some(meanwhile);
            let end = Instant::now() + LISTENS;
            while Instant::now() < end {
                let Ok(event) =
                    tokio::time::timeout(Duration::from_millis(300), inbox.recv()).await
                else {
                    for (link, (_, [own, peer])) in &links {
                        let link = LinkId(*link);
                        for frame in
                            [self.hello(own, peer), self.certificate(own, peer), self.asks()]
                        {
                            let _ = network.send(link, frame);
                        }
                        let _ = network.send(link, self.says("written by a thief"));
                    }
                    if let Some(meanwhile) = meanwhile.take().filter(|_| links.len() == nodes.len())
                    {
                        tokio::task::block_in_place(meanwhile);
                    }
                    continue;
                };
                match event.expect("the network runs") {
                    NetworkEvent::LinkUp {
                        link, own_transport, peer_transport, address, ..
                    } => {
                        let node = nodes
                            .iter()
                            .position(|node| address.contains(&format!("/tcp/{}", node.port())));
                        let _ = network.send(link, self.hello(&own_transport, &peer_transport));
                        links.insert(link.0, (node.unwrap(), [own_transport, peer_transport]));
                    }
                    NetworkEvent::Frame { link, bytes } => {
                        let frame = Frame::decode(&bytes).unwrap().expect("a frame we know");
                        *heard[links[&link.0].0].entry(kind(&frame)).or_default() += 1;
                    }
                    NetworkEvent::LinkDown { .. } | NetworkEvent::Listening { .. } => {}
                }
            }
            network.shutdown().await;
        });
        heard
    }
}

fn kind(frame: &Frame) -> &'static str {
    match frame {
        Frame::Hello { .. } => "hello",
        Frame::Accounts { .. } => "accounts",
        Frame::Certificate { .. } => "certificate",
        Frame::Frontiers { .. } => "frontiers",
        Frame::Entries { .. } => "entries",
        Frame::Request { .. } => "request",
        Frame::AccountHeads { .. } => "account heads",
        Frame::Want { .. } => "want",
        Frame::Hints { .. } => "hints",
        Frame::Packages { .. } => "packages",
        Frame::Seek { .. } | Frame::Records { .. } => "records",
        Frame::Who { .. } | Frame::Card { .. } => "who",
        Frame::Join { .. } | Frame::Offer { .. } | Frame::Accept { .. } => "linking",
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap())
}

fn card(person: &Person) -> ContactCard {
    ContactCard::decode(&person.link()).unwrap()
}

fn texts(person: &Person, with: &str) -> Vec<String> {
    person.api().history(with).into_iter().map(|message| message.text).collect()
}

#[test]
fn a_device_that_was_cut_off_gets_the_proof_of_that_and_nothing_else() {
    let (phone, bob) = (Person::start("Alice"), Person::start("Bob"));
    phone.befriends(&bob);
    let laptop = phone.gets("laptop");
    laptop.meets(&bob);
    let mut tablet = phone.gets("tablet");
    tablet.meets(&bob);
    phone.says(&bob, "before the theft");
    until("all have it", PATIENCE, || {
        let all = [(&tablet, "Bob"), (&laptop, "Bob"), (&bob, "Alice")];
        all.iter().all(|(person, with)| texts(person, with).len() == 1).then_some(())
    });
    let thief = Thief::steal(&tablet, &bob);
    tablet.down();

    // As long as nobody has noticed, the copy is a device like any other: this test can see.
    for heard in thief.listen(&[&phone, &bob], || ()) {
        for seen in ["hello", "certificate", "frontiers", "entries"] {
            assert!(heard.contains_key(seen), "a device gets {seen}: {heard:?}");
        }
    }

    // Two of three decide. Bob has heard of it when he knows two devices.
    let stolen = tablet.init["device"].as_str().unwrap();
    for device in [&phone, &laptop] {
        device.kith(&["device", "untrust", stolen, "--stolen", "--since", "1m"]).json();
    }
    until("everybody knows", PATIENCE, || {
        let known = bob.contact(&phone)["devices"].as_array()?.clone();
        (known.len() == 2 && !known.contains(&tablet.init["device"])).then_some(())
    });
    let said = std::cell::RefCell::new(Vec::new());
    let heard = thief.listen(&[&phone, &laptop, &bob], || {
        for number in 0..5 {
            said.borrow_mut().push(format!("he must not have this {number}"));
            phone.says(&bob, said.borrow().last().unwrap());
        }
        bob.says(&phone, "nor this");
    });
    for (heard, node) in heard.iter().zip(["phone", "laptop", "bob"]) {
        let kinds: BTreeSet<&str> = heard.keys().copied().collect();
        assert_eq!(kinds, BTreeSet::from(["hello", "accounts"]), "from {node}: {heard:?}");
    }
    // And nothing that he said is anywhere.
    let mut all = vec!["before the theft".to_owned()];
    all.append(&mut said.borrow_mut());
    all.push("nor this".to_owned());
    for (person, with) in [(&phone, "Bob"), (&laptop, "Bob"), (&bob, "Alice")] {
        until("the conversation goes on without him", PATIENCE, || {
            (texts(person, with).len() == all.len()).then_some(())
        });
        assert!(!texts(person, with).iter().any(|text| text.contains("thief")));
    }
}
