//! Do the devices of one person say the same to each other as an independent implementation?

use kith_common::{
    entry::EntryKind,
    ids::LogId,
    linking::{CodeError, CodeMail, LinkCode, check_number, commitment},
    mail::{MailboxUrl, QueueAddress, QueueSeed},
    own::{ContactNote, MailboxSetting, Own, Setting},
    service::mailbox::Days,
};

use serde::Deserialize;

use crate::{
    account_id,
    cases::{Hex, MarkCase, boxes, load, some},
    device_id, entry_id, marks, reason,
};

#[derive(Deserialize)]
pub(crate) struct OwnBody {
    pub(crate) name: String,
    pub(crate) kind: u8,
    #[serde(flatten)]
    pub(crate) fields: OwnFields,
    pub(crate) salt: Hex,
    pub(crate) body: Hex,
}

#[derive(Deserialize)]
#[serde(tag = "type", content = "fields", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum OwnFields {
    Contact {
        account: Hex,
        #[serde(default)]
        proof: Vec<Hex>,
        name: Option<String>,
        status: Option<u8>,
        greeting: Option<String>,
        validity: Option<u8>,
        #[serde(default)]
        replaces: Vec<Hex>,
    },
    Read {
        log: Hex,
        marks: Vec<MarkCase>,
    },
    Delete {
        log: Option<Hex>,
        #[serde(default)]
        marks: Vec<MarkCase>,
        clear: Option<Hex>,
    },
    Name {
        value: String,
    },
    Mailboxes {
        value: Vec<(String, u64, String)>,
    },
    ReadReceipts {
        value: bool,
    },
    Findable {
        value: bool,
    },
    RelayOnly {
        value: bool,
    },
    Bootstraps {
        value: Vec<String>,
    },
    Draft {
        log: Hex,
        text: String,
    },
    Device {
        device: Hex,
        name: String,
    },
}

#[derive(Deserialize)]
pub(crate) struct RefusedOwn {
    pub(crate) name: String,
    pub(crate) kind: u8,
    pub(crate) refusal: String,
    pub(crate) body: Hex,
}

/// Server, seed and days.
#[derive(Deserialize)]
pub(crate) struct QueueCase(String, Hex, u64);

impl QueueCase {
    pub(crate) fn address(&self) -> QueueAddress {
        let Self(url, seed, days) = self;
        let url = MailboxUrl::parse(url).expect("the address of a server");
        let days = Days::of_count(*days).expect("one or seven days");
        QueueAddress { url, seed: QueueSeed::from_bytes(seed.fixed()), days }
    }
}

#[derive(Deserialize)]
pub(crate) struct CodeCase {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) key: Hex,
    pub(crate) token: Hex,
    pub(crate) addresses: Vec<String>,
    #[serde(default)]
    queue: Option<QueueCase>,
    #[serde(default)]
    access: String,
}

#[derive(Deserialize)]
pub(crate) struct CommitmentCase {
    pub(crate) opening: Hex,
    pub(crate) device: Hex,
    pub(crate) authority: Hex,
    pub(crate) commitment: Hex,
}

#[derive(Deserialize)]
pub(crate) struct CheckCase {
    pub(crate) request: Hex,
    pub(crate) offer: Hex,
    pub(crate) opening: Hex,
    pub(crate) number: String,
}

#[test]
fn self_logs_have_the_same_names() {
    for case in some(&load("07-self-log").logs_of_one) {
        let log = LogId::own(account_id(&case.account));
        assert_eq!(log, LogId::from_bytes(case.log.fixed()));
    }
}

fn made_own(fields: &OwnFields) -> Own {
    let log_id = |log: &Hex| LogId::from_bytes(log.fixed());
    match fields {
        OwnFields::Contact { account, proof, name, status, greeting, validity, replaces } => {
            Own::Contact(Box::new(ContactNote {
                account: account_id(account),
                proof: boxes(proof),
                name: name.clone(),
                status: *status,
                greeting: greeting.clone(),
                validity: *validity,
                replaces: replaces.iter().map(entry_id).collect(),
            }))
        }
        OwnFields::Read { log, marks: read } => Own::Read { log: log_id(log), marks: marks(read) },
        OwnFields::Delete { log: Some(log), marks: entries, clear: None } => {
            Own::Delete { log: log_id(log), entries: marks(entries) }
        }
        OwnFields::Delete { log: None, clear: Some(clear), .. } => {
            Own::Clear { clear: clear.boxed() }
        }
        OwnFields::Delete { .. } => panic!("messages or everything"),
        OwnFields::Mailboxes { value } => {
            let setting = |(url, days, access): &(String, u64, String)| MailboxSetting {
                url: MailboxUrl::parse(url).unwrap(),
                days: Days::of_count(*days).unwrap(),
                access: access.clone(),
            };
            Own::Setting(Setting::Mailboxes(value.iter().map(setting).collect()))
        }
        OwnFields::Name { value } => Own::Setting(Setting::Name(value.clone())),
        OwnFields::ReadReceipts { value } => Own::Setting(Setting::ReadReceipts(*value)),
        OwnFields::Findable { value } => Own::Setting(Setting::Findable(*value)),
        OwnFields::RelayOnly { value } => Own::Setting(Setting::RelayOnly(*value)),
        OwnFields::Bootstraps { value } => Own::Setting(Setting::Bootstraps(value.clone())),
        OwnFields::Draft { log, text } => Own::Draft { log: log_id(log), text: text.clone() },
        OwnFields::Device { device, name } => {
            Own::DeviceName { device: device_id(device), name: name.clone() }
        }
    }
}

#[test]
fn bodies_of_the_self_log_are_equal() {
    let file = load("07-self-log");
    for case in some(&file.own) {
        let own = made_own(&case.fields);
        assert_eq!(own.kind(), EntryKind(case.kind), "{}", case.name);
        assert_eq!(Hex(own.encode(case.salt.fixed())), case.body, "{}", case.name);
        assert_eq!(Own::decode(own.kind(), &case.body.0), Ok(Some(own)), "{}", case.name);
    }
    let mut wrong = Vec::new();
    for case in some(&file.own_refused) {
        let refusal = Own::decode(EntryKind(case.kind), &case.body.0).map_err(|e| reason(&e));
        if refusal.as_ref().err() != Some(&case.refusal.as_str()) {
            wrong.push(format!("{}: {refusal:?}, not {}", case.name, case.refusal));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn codes_are_equal() {
    let file = load("08-linking");
    for case in some(&file.codes) {
        let (key, token) = (device_id(&case.key), case.token.fixed());
        let queue = case.queue.as_ref().map(QueueCase::address);
        let mail = queue.map(|queue| CodeMail { queue, access: case.access.clone() });
        let code = LinkCode { key, token, addresses: case.addresses.clone(), mail };
        assert_eq!(code.encode(), case.text, "{}", case.name);
        assert_eq!(LinkCode::decode(&case.text), Ok(code), "{}", case.name);
    }
    for case in some(&file.codes_refused) {
        let refusal = LinkCode::decode(&case.text).map_err(|error| match error {
            CodeError::NotACode => "not-a-code",
            CodeError::Malformed(error) => reason(&error),
            _ => "a refusal that the spec does not name",
        });
        assert_eq!(refusal.err(), Some(case.refusal.as_str()), "{}", case.name);
    }
}

#[test]
fn commitments_and_check_numbers_are_equal() {
    let file = load("08-linking");
    for case in some(&file.commitments) {
        let made =
            commitment(&case.opening.fixed(), device_id(&case.device), &case.authority.fixed());
        assert_eq!(made, case.commitment.fixed());
    }
    for case in some(&file.checks) {
        let number = check_number(&case.request.0, &case.offer.0, &case.opening.fixed());
        assert_eq!(number, case.number);
    }
}
