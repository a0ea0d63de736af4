//! What is signed here for Python to verify? Every kind of envelope, at its bounds.

use std::{convert::Infallible, fs, path::PathBuf};

use data_encoding::HEXLOWER;
use kith_common::{
    account::{Account, DeviceAck, DeviceAdd, Genesis, TransportCert},
    crypto,
    entry::{Entry, EntryKind, Mark, Text, hash_body},
    envelope::{Payload, sign},
    frame::ContactRequest,
    frontier::Frontier,
    ids::{AccountId, DeviceId, EntryId, LogId},
    keys::SigningKey,
    limits::{NAME_BYTES_MAX, SEQ_MAX, TRANSPORT_ID_BYTES_MAX},
    share::ContactCard,
    time::Hlc,
};
use rand_core::{TryCryptoRng, TryRng};
use serde_json::{Value, json};

use crate::received;

/// A generator that draws one known seed.
pub(crate) struct OneSeed(pub(crate) [u8; 32]);

impl TryRng for OneSeed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, space: &mut [u8]) -> Result<(), Infallible> {
        space.copy_from_slice(&self.0);
        Ok(())
    }
}

impl TryCryptoRng for OneSeed {}

/// Envelopes at their bounds, in the form that `verify_vectors.py` reads.
#[derive(Default)]
struct Outgoing(Vec<Value>);

impl Outgoing {
    fn put<T: Payload>(&mut self, kind: &str, key: &SigningKey, value: T) -> Box<[u8]> {
        let signed = sign(key, value);
        assert_eq!(received(kind, signed.bytes()), Ok(signed.id()), "{kind} at its bounds");
        self.0.push(json!({
            "kind": kind,
            "signer": HEXLOWER.encode(signed.signer()),
            "envelope": HEXLOWER.encode(signed.bytes()),
            "id": HEXLOWER.encode(signed.id().as_bytes()),
        }));
        signed.into_bytes()
    }
}

fn largest_marks(count: u8) -> Vec<Mark> {
    let mark = |n: u8| Mark {
        device: DeviceId::from_bytes([n; 32]),
        seq: SEQ_MAX,
        id: EntryId::from_bytes([!n; 32]),
    };
    (0..count).map(mark).collect()
}

fn put_entries(out: &mut Outgoing, key: &SigningKey, account: AccountId) {
    let log = LogId::direct(account, AccountId::from_bytes([7; 32]));
    let body = Text { text: "☃".repeat(20_000), reply_to: None }.encode([9; 16]);
    let small = Entry {
        log,
        account,
        seq: 1,
        prev: None,
        parents: vec![],
        depth: 1,
        hlc: Hlc::ZERO,
        account_head: EntryId::from_bytes([0; 32]),
        kind: EntryKind::TEXT,
        body_hash: hash_body(&body),
        body_bytes: body.len() as u64,
    };
    out.put("entry", key, small.clone());
    let large = Entry {
        seq: SEQ_MAX,
        prev: Some(EntryId::from_bytes([0xff; 32])),
        parents: largest_marks(8),
        depth: SEQ_MAX,
        hlc: Hlc::from_bits(u64::MAX),
        kind: EntryKind(255),
        ..small
    };
    out.put("entry", key, large);
    let (received, read) = (largest_marks(128), largest_marks(128));
    out.put("frontier", key, Frontier { log, received, read });
}

fn put_session(out: &mut Outgoing, key: &SigningKey, account: &Account) -> Value {
    let longest: Box<[u8]> = [0xee; TRANSPORT_ID_BYTES_MAX].into();
    let (transport, audience) = (longest.clone(), longest.clone());
    out.put("transport-cert", key, TransportCert { transport, audience, not_after: u64::MAX });
    let target = SigningKey::from_seed(&[0x55; 32]);
    let request = ContactRequest {
        to_account: account.id(),
        to_device: target.device(),
        transport: longest.clone(),
        audience: longest,
        proof: account.proof().to_vec(),
        name: "n".repeat(NAME_BYTES_MAX),
        greeting: String::new(),
        addresses: vec![],
    };
    let plain = out.put("contact-request", key, request);
    let sealed = crypto::seal_to(&mut OneSeed([0x66; 32]), target.device(), &plain).unwrap();
    let seed = target.expose_seed(|seed| HEXLOWER.encode(seed));
    let (plain, sealed) = (HEXLOWER.encode(&plain), HEXLOWER.encode(&sealed));
    json!([{ "seed": seed, "plain": plain, "sealed": sealed }])
}

#[test]
fn what_is_signed_here_is_written_for_python() {
    let [recovery, device, authority, second] =
        [0x31, 0x32, 0x33, 0x34].map(|n| SigningKey::from_seed(&[n; 32]));
    let mut out = Outgoing::default();
    let ack = DeviceAck {
        inviter: *recovery.public(),
        authority: *authority.public(),
        nonce: [0x35; 32],
        account: None,
    };
    let first_device = out.put("device-ack", &device, ack);
    let genesis = out.put("genesis", &recovery, Genesis { first_device });
    let begun = Account::fold(std::slice::from_ref(&genesis)).unwrap();
    let ack = DeviceAck {
        inviter: *authority.public(),
        authority: [0x36; 32],
        nonce: [0x37; 32],
        account: Some(begun.id()),
    };
    let device_envelope = out.put("device-ack", &second, ack);
    let previous = (0..8).map(|n| EntryId::from_bytes([n; 32])).collect();
    let add = DeviceAdd { account: begun.id(), previous, device: device_envelope };
    let add = out.put("device-add", &authority, add);
    let account = Account::fold(&[genesis, add]).unwrap();
    assert_eq!(account.devices().len(), 2);
    put_entries(&mut out, &device, account.id());
    let sealed = put_session(&mut out, &second, &account);
    let card = ContactCard { account: account.clone(), name: "Zoë".to_owned(), addresses: vec![] };
    let written = json!({
        "envelopes": out.0,
        "account": HEXLOWER.encode(account.id().as_bytes()),
        "head": HEXLOWER.encode(account.head().as_bytes()),
        "link": card.encode(),
        "sealed": sealed,
    });
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("vectors-from-rust.json");
    fs::write(path, serde_json::to_vec_pretty(&written).unwrap()).unwrap();
}
