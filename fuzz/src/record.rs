//! Does a node open on any record? Records come from our own sealed storage, yet a damaged one
//! must end in an error, not in a crash.

use kith_common::{ids::LogId, time::Uptime};
use kith_core::{
    engine::{Context, Engine},
    store::{RecordKind, Store, StoreError, memory::MemoryStore},
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    cast::CAST,
    cbor::Value,
    engine::setting::{SETTING, START, identity},
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
pub const KINDS: u8 = 9;

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
        _ => (RecordKind::Package, vec![6; 32]),
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
