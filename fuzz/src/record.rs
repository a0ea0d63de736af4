//! Does a node open on any record? Records come from our own sealed storage, yet a damaged one
//! must end in an error, not in a crash.

use kith_common::{
    codec::{Reader, Writer},
    finding::{AddressKey, AnnounceSecret, Day, Schedule},
    ids::LogId,
    share::SharedId,
    time::Uptime,
};
use kith_core::{
    engine::{Command, CommandId, Context, Engine, Input},
    store::{RecordKind, Store, StoreError, memory::MemoryStore},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    cast::CAST,
    cbor::Value,
    engine::setting::{Node, SETTING, START, identity},
};

/// The first byte says which record the rest replaces.
pub(crate) fn record(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let mut store = SETTING.alice.clone();
    let (kind, key) = place(*kind);
    store.put_record(kind, &key, bytes).expect("memory takes every record");
    let Ok(engine) = open(&mut store) else { return };
    look(&engine, &store);
    if kind == RecordKind::Profile {
        let known = Value::parse(bytes).expect("a profile is in the one allowed form");
        let saved = store.record(kind, &key).expect("memory can be read");
        assert_eq!(saved, Some(known.without_extensions().encode()));
    }
    let again = open(&mut store).expect("what opened once opens again");
    assert_eq!(again.contacts(), engine.contacts());
    assert_eq!(again.profile().name, engine.profile().name);
}

/// How many there are.
pub const KINDS: u8 = 12;
/// What a device of Bob's has announced.
pub const SCHEDULE: u8 = 9;
/// What our own announcements are made from.
pub const ANNOUNCER: u8 = 10;
/// Somebody who is looked for.
pub const SOUGHT: u8 = 11;

/// The records that an engine reads when it opens.
pub fn place(number: u8) -> (RecordKind, Vec<u8>) {
    let log = LogId::direct(CAST.alice.id(), CAST.bob.id());
    let device = CAST.bob.devices[0].device();
    match number % KINDS {
        0 => (RecordKind::Profile, Vec::new()),
        1 => (RecordKind::Contact, CAST.bob.id().as_bytes().to_vec()),
        2 => (RecordKind::Log, log.as_bytes().to_vec()),
        3 => (RecordKind::Frontier, [*log.as_bytes(), *device.as_bytes()].concat()),
        4 => (RecordKind::Place, [*log.as_bytes(), *device.as_bytes()].concat()),
        5 => (RecordKind::Queue, vec![5; 32]),
        6 => (RecordKind::Lane, device.as_bytes().to_vec()),
        7 => (RecordKind::Posted, [*log.as_bytes(), *device.as_bytes()].concat()),
        8 => (RecordKind::Package, vec![6; 32]),
        SCHEDULE => (RecordKind::Schedule, [*log.as_bytes(), *device.as_bytes()].concat()),
        ANNOUNCER => (RecordKind::Announcer, Vec::new()),
        _ => (RecordKind::Sought, SharedId::of(&CAST.carol.account).to_bytes().to_vec()),
    }
}

fn open(store: &mut MemoryStore) -> Result<Engine, StoreError> {
    let mut cx = Context {
        now: START,
        uptime: Uptime::from_millis(0),
        rng: &mut ChaCha8Rng::seed_from_u64(1),
        store,
        out: &mut Vec::new(),
    };
    let engine = Engine::open(identity(&CAST.alice), "Alice", &mut cx);
    store.commit();
    engine
}

fn look(engine: &Engine, store: &MemoryStore) {
    let people: Vec<_> = engine.contacts().into_iter().map(|contact| contact.account).collect();
    assert!(people.len() <= 2);
    for account in people {
        let history = engine.history(store, account, None, 100).expect("the store can be read");
        history.expect("a contact has a conversation");
        engine.positions(store, account).expect("the store can be read");
    }
    engine.deadline();
    assert!(engine.card().encode().starts_with("kith:"));
}

/// What Alice keeps; and what more, when she looks for Carol and has heard where Bob leaves records.
pub fn seeds(bootstraps: Vec<String>) -> Vec<Vec<u8>> {
    let mut looking = Node::start(&CAST.alice, "Alice", SETTING.alice.clone(), START);
    let (name, greeting) = (Some("Carol".to_owned()), "hello".to_owned());
    let look = Command::LookFor { id: SharedId::of(&CAST.carol.account), name, greeting };
    let command = |command| Input::Command { id: CommandId(1), command };
    let choice = command(Command::SetBootstraps(bootstraps));
    for input in [choice, Input::Finding { is_on: true }, command(look)] {
        looking.handle(input).expect("memory can be written");
    }
    let kept = |store: &MemoryStore, numbers: &[u8]| -> Vec<Vec<u8>> {
        let kept = numbers.iter().filter_map(|number| {
            let (kind, key) = place(*number);
            let value = store.record(kind, &key).expect("memory can be read")?;
            assert!(Reader::new(&value).tag(1).is_err(), "no record is a tag");
            Some([&[*number], value.as_slice()].concat())
        });
        kept.collect()
    };
    let numbers: Vec<u8> = (0..KINDS).collect();
    let mut seeds = kept(&SETTING.alice, &numbers);
    let more = kept(&looking.store, &[0, ANNOUNCER, SOUGHT]);
    assert_eq!(more.len(), 3, "she looks for somebody");
    seeds.extend(more);
    seeds.extend([heard(), at_the_end_of_time()]);
    seeds
}

fn heard() -> Vec<u8> {
    let (secret, addresses) =
        (AnnounceSecret::from_bytes(&[1; 32]), AddressKey::from_bytes([2; 32]));
    let schedule = Schedule::of(&secret, addresses, Day::of(START));
    let mut writer = Writer::new();
    writer.array(4).uint(1).uint(3).uint(START.millis() << 16).bytes(&schedule.to_bytes());
    [&[SCHEDULE], writer.finish().as_slice()].concat()
}

/// Keys that begin on the last day.
fn at_the_end_of_time() -> Vec<u8> {
    let mut writer = Writer::new();
    writer.array(6).uint(1).bytes(&[1; 32]).bytes(&[2; 32]).uint(u64::from(u32::MAX));
    writer.uint(0).array(0);
    [&[ANNOUNCER], writer.finish().as_slice()].concat()
}
