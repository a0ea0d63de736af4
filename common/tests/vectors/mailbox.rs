//! Do requests to a mailbox-server and its answers have the same bytes as elsewhere?

use kith_common::{
    codec::DecodeError,
    crypto,
    envelope::Signed,
    service::{
        Code, Failure, Stamp,
        mailbox::{
            Close, Days, Done, Fetch, Fetched, Incarnation, Item, Open, Opened, Operation, Put,
            PutBody, Standing, Status, Stored, live,
        },
    },
    time::Timestamp,
};

use serde::Deserialize;

use crate::{
    cases::{EnvelopeCase, Fields, File, Hex, load, some},
    check, reason,
};

#[derive(Deserialize)]
pub(crate) struct PutCase {
    pub(crate) name: String,
    pub(crate) envelope: Hex,
    pub(crate) blob: Hex,
    pub(crate) body: Hex,
}

#[derive(Deserialize)]
pub(crate) struct RefusedPut {
    pub(crate) name: String,
    pub(crate) refusal: String,
    pub(crate) body: Hex,
}

#[derive(Deserialize)]
pub(crate) struct ReplyCase {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) fields: ReplyFields,
    pub(crate) reply: Hex,
}

#[derive(Deserialize)]
#[serde(tag = "type", content = "fields", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum ReplyFields {
    Opened { incarnation: Hex, blobs_max: u16, bytes_max: u64 },
    Stored { incarnation: Hex },
    Fetched { incarnation: Hex, items: Vec<ItemCase>, more: bool },
    Standing { incarnation: Hex, days: u64, card: Option<Hex> },
    Done {},
    Failure { code: String, sentence: String, value: Option<u64> },
}

#[derive(Deserialize)]
pub(crate) struct ItemCase {
    pub(crate) number: u64,
    pub(crate) blob: Option<Hex>,
}

#[derive(Deserialize)]
pub(crate) struct RefusedReply {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) type_: String,
    pub(crate) refusal: String,
    pub(crate) reply: Hex,
}

#[derive(Deserialize)]
pub(crate) struct LiveCase {
    pub(crate) operation: String,
    pub(crate) body: Hex,
    pub(crate) message: Hex,
}

fn stamp(audience: &str, millis: u64, nonce: &Hex) -> Stamp {
    let time = Timestamp::from_millis(millis);
    Stamp { audience: audience.to_owned(), time, nonce: nonce.fixed() }
}

pub(crate) fn check_request(file: &File, case: &EnvelopeCase) {
    match &case.fields {
        Fields::MailboxOpen { audience, time, nonce, card, access, .. } => {
            let Fields::MailboxOpen { writer, days, blobs_max, bytes_max, .. } = &case.fields
            else {
                panic!("an open is an open");
            };
            let open = Open {
                stamp: stamp(audience, *time, nonce),
                writer: writer.fixed(),
                days: Days::of_count(*days).unwrap(),
                blobs_max: *blobs_max,
                bytes_max: *bytes_max,
                card: card.as_ref().map(Hex::boxed),
                access: access.clone(),
            };
            check(file, case, open);
        }
        Fields::MailboxPut { audience, time, nonce, hash } => {
            check(file, case, Put { stamp: stamp(audience, *time, nonce), hash: hash.fixed() });
        }
        Fields::MailboxFetch { audience, time, nonce, delete, wait_ms } => {
            let stamp = stamp(audience, *time, nonce);
            check(file, case, Fetch { stamp, delete: delete.clone(), wait_ms: *wait_ms });
        }
        Fields::MailboxStatus { audience, time, nonce } => {
            check(file, case, Status { stamp: stamp(audience, *time, nonce) });
        }
        Fields::MailboxClose { audience, time, nonce } => {
            check(file, case, Close { stamp: stamp(audience, *time, nonce) });
        }
        _ => panic!("{} is no request to a mailbox-server", case.name),
    }
}

#[test]
fn bodies_of_puts_are_equal() {
    let file = load("20-mailbox");
    for case in some(&file.puts) {
        let body = PutBody { put: &case.envelope.0, blob: &case.blob.0 };
        assert_eq!(Hex(body.encode()), case.body, "{}", case.name);
        assert_eq!(PutBody::decode(&case.body.0), Ok(body), "{}", case.name);
        let put = Signed::<Put>::decode(&case.envelope.0).unwrap();
        assert_eq!(put.claim().hash, crypto::hash_plain(&case.blob.0), "{}", case.name);
        let again =
            PutBody::signed(&file.key("queue writer"), put.claim().stamp.clone(), body.blob);
        assert_eq!(Hex(again), case.body, "{}", case.name);
    }
    for case in some(&file.puts_refused) {
        let refusal = PutBody::decode(&case.body.0).map_err(|error| reason(&error));
        assert_eq!(refusal.err(), Some(case.refusal.as_str()), "{}", case.name);
    }
}

/// Encodes the named fields; whether the given bytes decode to the same.
fn made_reply(fields: &ReplyFields, bytes: &[u8]) -> (Vec<u8>, bool) {
    let incarnation = |hex: &Hex| Incarnation::from_bytes(hex.fixed());
    match fields {
        ReplyFields::Opened { incarnation: one, blobs_max, bytes_max } => {
            let incarnation = incarnation(one);
            let opened = Opened { incarnation, blobs_max: *blobs_max, bytes_max: *bytes_max };
            (opened.encode(), Opened::decode(bytes) == Ok(opened))
        }
        ReplyFields::Stored { incarnation: one } => {
            let stored = Stored { incarnation: incarnation(one) };
            (stored.encode(), Stored::decode(bytes) == Ok(stored))
        }
        ReplyFields::Fetched { incarnation: one, items, more } => {
            let item = |case: &ItemCase| Item {
                number: case.number,
                blob: case.blob.as_ref().map(Hex::boxed),
            };
            let items = items.iter().map(item).collect();
            let fetched = Fetched { incarnation: incarnation(one), items, more: *more };
            (fetched.encode(), Fetched::decode(bytes) == Ok(fetched))
        }
        ReplyFields::Standing { incarnation: one, days, card } => {
            let (incarnation, card) = (incarnation(one), card.as_ref().map(Hex::boxed));
            let standing = Standing { incarnation, days: Days::of_count(*days).unwrap(), card };
            (standing.encode(), Standing::decode(bytes) == Ok(standing))
        }
        ReplyFields::Done {} => (Done.encode(), Done::decode(bytes) == Ok(Done)),
        ReplyFields::Failure { code, sentence, value } => {
            let code = Code::named(code).unwrap();
            let failure = Failure { code, sentence: sentence.clone().into(), value: *value };
            (failure.encode(), Failure::decode(bytes) == Ok(failure))
        }
    }
}

fn refusal(type_: &str, bytes: &[u8]) -> Option<DecodeError> {
    match type_ {
        "opened" => Opened::decode(bytes).err(),
        "stored" => Stored::decode(bytes).err(),
        "fetched" => Fetched::decode(bytes).err(),
        "standing" => Standing::decode(bytes).err(),
        "done" => Done::decode(bytes).err(),
        "failure" => Failure::decode(bytes).err(),
        _ => panic!("no such reply: {type_}"),
    }
}

#[test]
fn replies_are_equal() {
    let file = load("20-mailbox");
    for case in some(&file.replies) {
        let (written, read) = made_reply(&case.fields, &case.reply.0);
        assert_eq!(Hex(written), case.reply, "{}", case.name);
        assert!(read, "{} as read", case.name);
    }
    for case in some(&file.replies_refused) {
        let refusal = refusal(&case.type_, &case.reply.0).map(|error| reason(&error));
        assert_eq!(refusal, Some(case.refusal.as_str()), "{}", case.name);
    }
}

#[test]
fn messages_of_a_websocket_are_equal() {
    let file = load("20-mailbox");
    let named = Operation::ALL.into_iter().zip(["open", "put", "fetch", "status", "close"]);
    for (case, (operation, name)) in some(&file.live).iter().zip(named) {
        assert_eq!(case.operation, name);
        assert_eq!(Hex(live::ask(operation, &case.body.0)), case.message, "{name}");
        assert_eq!(live::asked(&case.message.0), Ok((operation, &case.body.0[..])), "{name}");
    }
    assert_eq!(file.live.len(), Operation::ALL.len());
}
