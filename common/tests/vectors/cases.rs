//! What do the vector files hold? Their cases as Rust types; `tests/vectors` says how they are made.

use std::{collections::BTreeMap, fmt::Debug, fs, path::PathBuf};

use data_encoding::HEXLOWER;
use kith_common::{
    keys::SigningKey,
    time::{Hlc, Timestamp},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};

use crate::devices::{CheckCase, CodeCase, CommitmentCase, OwnBody, QueueCase, RefusedOwn};
use crate::mailbox::{LiveCase, PutCase, RefusedPut, RefusedReply, ReplyCase};

pub(crate) const FILES: [&str; 8] = [
    "01-envelope",
    "02-account",
    "03-log",
    "04-sync",
    "05-session",
    "07-self-log",
    "08-linking",
    "20-mailbox",
];

pub(crate) fn load(name: &str) -> File {
    load_as(name)
}

/// A file with cases of its own.
pub(crate) fn load_as<T: DeserializeOwned>(name: &str) -> T {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name);
    let text = fs::read_to_string(path.with_extension("json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The cases, of which there must be some.
pub(crate) fn some<T>(cases: &[T]) -> &[T] {
    assert!(!cases.is_empty(), "a file without cases proves nothing");
    cases
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl Hex {
    pub(crate) fn fixed<const N: usize>(&self) -> [u8; N] {
        self.0.as_slice().try_into().unwrap()
    }

    pub(crate) fn boxed(&self) -> Box<[u8]> {
        self.0.as_slice().into()
    }
}

impl Debug for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        HEXLOWER.decode(text.as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

pub(crate) fn boxes(list: &[Hex]) -> Vec<Box<[u8]>> {
    list.iter().map(Hex::boxed).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(rename = "about")]
    pub(crate) _about: String,
    pub(crate) keys: BTreeMap<String, KeyCase>,
    pub(crate) envelopes: Vec<EnvelopeCase>,
    #[serde(default)]
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) refused: Vec<Refused>,
    #[serde(default)]
    pub(crate) accounts: Vec<Proven>,
    #[serde(default)]
    pub(crate) accounts_refused: Vec<RefusedProof>,
    #[serde(default)]
    pub(crate) merges: Vec<Merge>,
    #[serde(default)]
    pub(crate) strings: Vec<SharedText>,
    #[serde(default)]
    pub(crate) strings_refused: Vec<RefusedText>,
    #[serde(default)]
    pub(crate) links: Vec<Link>,
    #[serde(default)]
    pub(crate) links_refused: Vec<RefusedText>,
    #[serde(default)]
    pub(crate) logs: Vec<DirectLog>,
    #[serde(default)]
    pub(crate) bodies: Vec<Body>,
    #[serde(default)]
    pub(crate) bodies_refused: Vec<RefusedBody>,
    #[serde(default)]
    pub(crate) chains: Vec<Chain>,
    #[serde(default)]
    pub(crate) order: Vec<Placed>,
    #[serde(default)]
    pub(crate) fork: Vec<String>,
    #[serde(default)]
    pub(crate) cuts: Vec<CutBody>,
    #[serde(default)]
    pub(crate) logs_of_one: Vec<SelfLog>,
    #[serde(default)]
    pub(crate) own: Vec<OwnBody>,
    #[serde(default)]
    pub(crate) own_refused: Vec<RefusedOwn>,
    #[serde(default)]
    pub(crate) codes: Vec<CodeCase>,
    #[serde(default)]
    pub(crate) codes_refused: Vec<RefusedText>,
    #[serde(default)]
    pub(crate) commitments: Vec<CommitmentCase>,
    #[serde(default)]
    pub(crate) checks: Vec<CheckCase>,
    #[serde(default)]
    pub(crate) puts: Vec<PutCase>,
    #[serde(default)]
    pub(crate) puts_refused: Vec<RefusedPut>,
    #[serde(default)]
    pub(crate) replies: Vec<ReplyCase>,
    #[serde(default)]
    pub(crate) replies_refused: Vec<RefusedReply>,
    #[serde(default)]
    pub(crate) live: Vec<LiveCase>,
    #[serde(default)]
    pub(crate) pairs: Vec<Pair>,
    #[serde(default)]
    pub(crate) sealed: Vec<Sealed>,
    #[serde(default)]
    pub(crate) frames: Vec<FrameCase>,
    #[serde(default)]
    pub(crate) frames_refused: Vec<RefusedFrame>,
    #[serde(default)]
    pub(crate) frames_ignored: Vec<IgnoredFrame>,
}

impl File {
    pub(crate) fn key(&self, name: &str) -> SigningKey {
        SigningKey::from_seed(&self.keys[name].seed.fixed())
    }

    pub(crate) fn envelope(&self, name: &str) -> &EnvelopeCase {
        self.envelopes.iter().find(|case| case.name == name).expect("a named envelope")
    }
}

#[derive(Deserialize)]
pub(crate) struct KeyCase {
    pub(crate) seed: Hex,
    pub(crate) public: Hex,
}

#[derive(Deserialize)]
pub(crate) struct EnvelopeCase {
    pub(crate) name: String,
    pub(crate) signer: String,
    #[serde(flatten)]
    pub(crate) fields: Fields,
    pub(crate) payload: Hex,
    pub(crate) envelope: Hex,
    pub(crate) id: Hex,
}

#[derive(Deserialize)]
#[serde(tag = "kind", content = "fields", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Fields {
    Genesis {},
    DeviceAck {
        inviter: Hex,
        authority: Hex,
        nonce: Hex,
        account: Hex,
    },
    DeviceAdd {
        account: Hex,
        base: Hex,
        device: Hex,
    },
    DeviceUntrust {
        account: Hex,
        base: Hex,
        device: Hex,
        reason: u8,
    },
    DeviceRetire {
        account: Hex,
        base: Hex,
        device: Hex,
    },
    Checkpoint {
        account: Hex,
        base: Hex,
        devices: Vec<KeysCase>,
    },
    Seat {
        account: Hex,
        epoch: u64,
        devices: Vec<Hex>,
        dropped: Vec<Hex>,
        #[serde(default)]
        absorbed: Vec<Hex>,
    },
    MovedTo {
        account: Hex,
        base: Hex,
        to: Hex,
    },
    Absorbs {
        account: Hex,
        base: Hex,
        from: Hex,
        devices: Vec<Hex>,
    },
    Cut {
        account: Hex,
        log: Hex,
        device: Hex,
        lasts: Vec<(u64, Hex, u64)>,
        since: u64,
    },
    Clear {
        account: Hex,
        log: Hex,
        through: Vec<MarkCase>,
    },
    JoinRequest {
        token: Hex,
        commitment: Hex,
        name: String,
        reply: Option<QueueCase>,
    },
    LinkOffer {
        account: Hex,
        inviter: Hex,
        nonce: Hex,
        proof: Vec<Hex>,
        request: Hex,
    },
    LinkAccept {
        opening: Hex,
        acknowledgement: Hex,
        #[serde(default)]
        brings: Vec<Hex>,
    },
    TransportCert {
        transport: Hex,
        audience: Hex,
        not_after: u64,
    },
    Entry {
        log: Hex,
        account: Hex,
        seq: u64,
        prev: Option<Hex>,
        parents: Vec<MarkCase>,
        depth: u64,
        hlc: HlcCase,
        account_head: Hex,
        kind: u8,
        body_hash: Hex,
        body_bytes: u64,
    },
    Frontier {
        log: Hex,
        received: Vec<MarkCase>,
        read: Vec<MarkCase>,
    },
    ContactRequest {
        to_account: Hex,
        to_device: Hex,
        transport: Hex,
        audience: Hex,
        proof: Vec<Hex>,
        name: String,
        greeting: String,
        addresses: Vec<String>,
        #[serde(default)]
        absorbed: Vec<Vec<Hex>>,
    },
    MailboxOpen {
        audience: String,
        time: u64,
        nonce: Hex,
        writer: Hex,
        days: u64,
        blobs_max: u16,
        bytes_max: u64,
        card: Option<Hex>,
        access: Option<String>,
    },
    MailboxPut {
        audience: String,
        time: u64,
        nonce: Hex,
        hash: Hex,
    },
    MailboxFetch {
        audience: String,
        time: u64,
        nonce: Hex,
        delete: Vec<u64>,
        wait_ms: u64,
    },
    MailboxStatus {
        audience: String,
        time: u64,
        nonce: Hex,
    },
    MailboxClose {
        audience: String,
        time: u64,
        nonce: Hex,
    },
}

#[derive(Deserialize)]
pub(crate) struct KeysCase {
    pub(crate) device: Hex,
    pub(crate) authority: Hex,
}

#[derive(Deserialize)]
pub(crate) struct MarkCase {
    pub(crate) device: Hex,
    pub(crate) seq: u64,
    pub(crate) id: Hex,
}

#[derive(Deserialize)]
pub(crate) struct HlcCase {
    pub(crate) millis: u64,
    pub(crate) counter: u64,
}

impl HlcCase {
    pub(crate) fn clock(&self) -> Hlc {
        Hlc::from_bits(Hlc::at(Timestamp::from_millis(self.millis)).bits() + self.counter)
    }
}

#[derive(Deserialize)]
pub(crate) struct Accepted {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) envelope: Hex,
    pub(crate) id: Hex,
}

#[derive(Deserialize)]
pub(crate) struct Refused {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) refusal: String,
    pub(crate) envelope: Hex,
}

#[derive(Deserialize)]
pub(crate) struct Merge {
    pub(crate) name: String,
    pub(crate) proofs: Vec<Vec<Hex>>,
    pub(crate) ends: Vec<EndCase>,
}

#[derive(Deserialize)]
pub(crate) struct EndCase {
    pub(crate) account: Hex,
    pub(crate) ends_up: Hex,
}

#[derive(Deserialize)]
pub(crate) struct Proven {
    pub(crate) name: String,
    pub(crate) proof: Vec<Hex>,
    pub(crate) account: Hex,
    pub(crate) epoch: u64,
    pub(crate) base: Option<Hex>,
    pub(crate) moved_to: Option<Hex>,
    #[serde(default)]
    pub(crate) absorbed: Vec<Hex>,
    #[serde(default)]
    pub(crate) invited: Vec<Hex>,
    pub(crate) standings: Vec<StandingCase>,
    pub(crate) head: Hex,
}

#[derive(Deserialize, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct StandingCase {
    pub(crate) device: Hex,
    pub(crate) standing: String,
    #[serde(rename = "final")]
    pub(crate) is_final: Option<bool>,
}

#[derive(Deserialize)]
pub(crate) struct RefusedProof {
    pub(crate) name: String,
    pub(crate) refusal: String,
    pub(crate) proof: Vec<Hex>,
}

#[derive(Deserialize)]
pub(crate) struct SharedText {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) recovery: Hex,
    pub(crate) checksum: Hex,
}

#[derive(Deserialize)]
pub(crate) struct RefusedText {
    pub(crate) name: String,
    pub(crate) refusal: String,
    pub(crate) text: String,
}

#[derive(Deserialize)]
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) account: Hex,
    pub(crate) proof: Vec<Hex>,
    pub(crate) addresses: Vec<String>,
    pub(crate) text: String,
}

#[derive(Deserialize)]
pub(crate) struct DirectLog {
    pub(crate) one: Hex,
    pub(crate) other: Hex,
    pub(crate) log: Hex,
}

#[derive(Deserialize)]
pub(crate) struct Body {
    pub(crate) name: String,
    pub(crate) salt: Hex,
    pub(crate) text: String,
    pub(crate) reply_to: Option<Hex>,
    pub(crate) body: Hex,
    pub(crate) hash: Hex,
}

#[derive(Deserialize)]
pub(crate) struct RefusedBody {
    pub(crate) name: String,
    pub(crate) refusal: String,
    pub(crate) body: Hex,
}

#[derive(Deserialize)]
pub(crate) struct Chain {
    pub(crate) name: String,
    pub(crate) first: Hex,
    pub(crate) second: Hex,
    pub(crate) authentic: bool,
}

#[derive(Deserialize)]
pub(crate) struct Placed {
    pub(crate) name: String,
    pub(crate) eff: String,
    pub(crate) id: Hex,
}

#[derive(Deserialize)]
pub(crate) struct CutBody {
    pub(crate) entry: String,
    pub(crate) body: Hex,
    pub(crate) cut: Hex,
}

#[derive(Deserialize)]
pub(crate) struct SelfLog {
    pub(crate) account: Hex,
    pub(crate) log: Hex,
}

#[derive(Deserialize)]
pub(crate) struct Pair {
    pub(crate) own: String,
    pub(crate) other: String,
    pub(crate) send: Hex,
    pub(crate) receive: Hex,
    pub(crate) own_transport: Hex,
    pub(crate) other_transport: Hex,
    pub(crate) tag: Hex,
}

#[derive(Deserialize)]
pub(crate) struct Sealed {
    pub(crate) to: String,
    pub(crate) ephemeral_seed: Hex,
    pub(crate) plain: Hex,
    pub(crate) sealed: Hex,
}

#[derive(Deserialize)]
pub(crate) struct FrameCase {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) fields: FrameFields,
    pub(crate) frame: Hex,
}

#[derive(Deserialize)]
#[serde(tag = "type", content = "fields", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum FrameFields {
    Hello { tags: Vec<Hex> },
    Certificate { cert: Hex, proof: Vec<Hex>, addresses: Vec<String> },
    Request { sealed: Hex },
    Frontiers { ask: bool, frontiers: Vec<Hex> },
    Entries { log: Hex, entries: Vec<CarriedCase> },
    Accounts { proofs: Vec<Vec<Hex>> },
    AccountHeads { heads: Vec<HeadCase> },
    Want { log: Hex, entries: Vec<MarkCase> },
    Join { sealed: Hex },
    Offer { sealed: Hex },
    Accept { sealed: Hex },
    Hints { devices: Vec<HintCase> },
    Packages { packages: Vec<Hex> },
    Seek { tokens: Vec<Hex> },
    Records { records: Vec<Hex> },
    Who { proof: Hex },
    Card { sealed: Hex },
}

#[derive(Deserialize)]
pub(crate) struct HeadCase {
    pub(crate) account: Hex,
    pub(crate) head: Hex,
}

#[derive(Deserialize)]
pub(crate) struct HintCase {
    pub(crate) device: Hex,
    pub(crate) addresses: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct CarriedCase {
    pub(crate) envelope: Hex,
    pub(crate) body: Option<Hex>,
}

#[derive(Deserialize)]
pub(crate) struct RefusedFrame {
    pub(crate) name: String,
    pub(crate) refusal: String,
    pub(crate) frame: Hex,
}

#[derive(Deserialize)]
pub(crate) struct IgnoredFrame {
    pub(crate) name: String,
    pub(crate) frame: Hex,
}
