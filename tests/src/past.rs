//! What had people said before a test begins? An account full of conversations, made by engines in
//! this process and, if wanted, laid into a home.

#![expect(clippy::expect_used, reason = "a harness tells what failed by panicking")]

use std::path::Path;

use kith::{
    home::{self, Passphrase},
    sqlite::SqliteStore,
};
use kith_common::crypto;
use kith_core::{
    engine::{Command, Identity, Input, LinkId},
    store::{EntryRow, LogNumber, RecordKind, Store, memory::MemoryStore},
};

use crate::{
    chat::days,
    pair::{Side, Transactions, frames, join, talk},
};

/// Conversations that a past is spread over.
pub const CONVERSATIONS: usize = 5;
/// Lines that are said before the other side hears of them.
const AT_ONCE: usize = 32;
/// Rows that go into one transaction where a home is filled.
const PER_TRANSACTION: usize = 1024;
/// Number of the first contact's letter.
const FIRST_LETTER: u8 = 2;
/// More logs than a past has.
const LOGS: u32 = 16;

const RECORDS: [RecordKind; 10] = [
    RecordKind::Profile,
    RecordKind::Contact,
    RecordKind::Log,
    RecordKind::Frontier,
    RecordKind::Setting,
    RecordKind::Evidence,
    RecordKind::Account,
    RecordKind::Draft,
    RecordKind::Cut,
    RecordKind::Trash,
];

/// Something that was said in one of the conversations.
#[derive(Debug)]
pub struct Said {
    with: usize,
    mine: bool,
    text: String,
}

/// Every line of the [chat](crate::chat), its authors spread over the conversations and over both
/// sides.
pub fn chat() -> Vec<Said> {
    let said = |line: crate::chat::Line| {
        let [first, second, ..] = crypto::hash(b"kith/tests/past", line.author.as_bytes());
        Said { with: usize::from(first) % CONVERSATIONS, mine: second & 1 == 0, text: line.text }
    };
    days().into_iter().flatten().map(said).collect()
}

/// So many lines of about the length that people write.
pub fn generated(count: usize) -> Vec<Said> {
    let said = |number: usize| Said {
        with: number % CONVERSATIONS,
        mine: number / CONVERSATIONS % 8 < 4,
        text: format!("{number}: a line of about the length that people write in chat rooms"),
    };
    (0..count).map(said).collect()
}

/// The name of a contact, as it is shown.
pub fn contact(number: usize) -> String {
    format!("contact {number}")
}

/// A device of this account after everything was said.
pub fn lived(identity: Identity, said: &[Said]) -> Side<MemoryStore> {
    let mut me = Side::of(identity, MemoryStore::new());
    for number in 0..CONVERSATIONS {
        let letter = FIRST_LETTER + u8::try_from(number).expect("few conversations");
        let mut other = Side::new(letter, MemoryStore::new());
        let link = LinkId(1 + number as u64);
        me.befriend_as(other.engine.card(), &contact(number));
        other.befriend(me.engine.card());
        join(&mut me, &mut other, link);
        let lines: Vec<&Said> = said.iter().filter(|line| line.with == number).collect();
        let (mine, theirs) = (me.account(), other.account());
        for lines in lines.chunks(AT_ONCE) {
            let (mut to_me, mut to_other) = (Vec::new(), Vec::new());
            for line in lines {
                let say = |to| Command::Send { to, text: line.text.clone(), reply_to: None };
                if line.mine {
                    to_other.extend(frames(me.command(say(theirs))));
                } else {
                    to_me.extend(frames(other.command(say(mine))));
                }
            }
            talk(&mut me, &mut other, link, &mut to_me, &mut to_other);
        }
        me.handle(Input::LinkDown { link });
    }
    assert_eq!(messages(&me.store), said.len(), "everything was said and heard");
    me
}

fn messages(store: &impl Store) -> usize {
    let mut logs = rows(store);
    // The self log comes first.
    logs.drain(..1);
    logs.iter().map(Vec::len).sum()
}

/// All rows of each log in their order.
pub fn rows(store: &impl Store) -> Vec<Vec<EntryRow>> {
    let log = |number| {
        let mut rows =
            store.newest(LogNumber(number), None, usize::MAX).expect("the store can be read");
        rows.reverse();
        rows
    };
    (0..LOGS).map(log).filter(|rows| !rows.is_empty()).collect()
}

/// The values of all records.
pub fn records(store: &impl Store) -> Vec<Vec<u8>> {
    let of_kind = |kind| store.records(kind).expect("the store can be read");
    RECORDS.into_iter().flat_map(of_kind).map(|(_, value)| value).collect()
}

/// Inserts rows with nothing checked, so many in a transaction.
pub fn insert(store: &mut impl Transactions, logs: &[Vec<EntryRow>], per_transaction: usize) {
    for chunk in logs.iter().flat_map(|rows| rows.chunks(per_transaction)) {
        store.begin_transaction();
        for row in chunk {
            store.add_entry(row).expect("the store takes it");
        }
        store.commit_transaction();
    }
}

/// Everything that one store holds, put into another that is empty.
pub fn copy(from: &impl Store, to: &mut impl Transactions) {
    insert(to, &rows(from), PER_TRANSACTION);
    to.begin_transaction();
    for kind in RECORDS {
        for (key, value) in from.records(kind).expect("the store can be read") {
            to.put_record(kind, &key, &value).expect("the store takes it");
        }
    }
    to.commit_transaction();
}

/// Lays a past into a home without a passphrase whose node has never run.
pub fn fill(home: &Path, said: &[Said]) {
    let keys = home::unlock(home, &Passphrase::None).expect("a home without a passphrase");
    let me = lived(Identity { account: keys.account, device: keys.device }, said);
    let mut store = SqliteStore::open(&home::database(home), &keys.master).expect("its database");
    copy(&me.store, &mut store);
}
